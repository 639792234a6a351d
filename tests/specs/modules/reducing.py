"""What the specs of losses share: how they reduce, and where their examples lie."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from minigrad.testing.module_spec import Batch, ModuleCase
from minigrad.testing.strategies import Host

Call = tuple[dict[str, Any], list[Any]]

# "mean" twice: by name and by default.
reductions = st.sampled_from([{"reduction": "none"}, {}, {"reduction": "mean"}, {"reduction": "sum"}])


def reduced(losses: Host, reduction: str = "mean") -> Host:
    """The losses, their sum or their mean."""
    return losses.mean() if reduction == "mean" else losses.sum() if reduction == "sum" else losses


def examples_apart(case: ModuleCase) -> Batch | None:
    """Unreduced losses keep their examples apart, along the first dimension of everything."""
    arrays = case.arrays()
    if case.arguments.get("reduction") != "none" or not all(one.ndim for one in arrays):
        return None
    return Batch((0,) * len(arrays), (0,))


def vectors_apart(case: ModuleCase) -> Batch | None:
    """The same where an example is more than a number: (D) alone has no batch."""
    return examples_apart(case) if case.arrays()[0].ndim > 1 else None
