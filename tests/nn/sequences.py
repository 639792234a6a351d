"""What the tests of packed sequences share: the lengths of a batch, and padded numbers of those lengths."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

Array = Any


@st.composite
def lengths_of(draw: Any) -> list[int]:
    """The lengths of a batch: all equal, longest first, or in any order."""
    drawn = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    how = draw(st.sampled_from(["equal", "sorted", "any"]))
    if how == "equal":
        return [drawn[0]] * len(drawn)
    return sorted(drawn, reverse=True) if how == "sorted" else drawn


def is_sorted(lengths: list[int]) -> bool:
    return sorted(lengths, reverse=True) == lengths


def padded_of(lengths: list[int], features: int, seed: int, batch_first: bool = False, extra: int = 0) -> Array:
    """Numbers (T, B, F), with numbers in the padding as well."""
    shape = (max(lengths) + extra, len(lengths), features)
    values = np.random.default_rng(seed).normal(size=shape)
    return np.ascontiguousarray(values.swapaxes(0, 1)) if batch_first else values
