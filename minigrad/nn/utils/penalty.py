"""A penalty on the size of chosen parameters, to be added to the loss."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from minigrad.core.tensor import Tensor
from minigrad.nn.module import Module


def penalty(
    module_or_named_parameters: Module | Iterable[tuple[str, Tensor]],
    l1: float = 0.0,
    l2: float = 0.0,
    names: str | Iterable[str] = "*",
) -> Tensor:
    """l1 * sum |w| + l2 * sum w^2 over the chosen parameters: a 0-d tensor in the graph.

        loss = criterion(model(x), y) + penalty(model, l1=1e-4, names="*.weight")

    Args:
        module_or_named_parameters: a module, or pairs (name, tensor) as `module.named_parameters()` gives them.
        l1: drives small weights to zero (lasso, Tibshirani 1996); at zero itself its gradient is 0.
        l2: shrinks all weights in proportion (ridge, Hoerl & Kennard 1970); its gradient is 2 * l2 * w.
        names: which parameters: shell patterns for their dotted names, one or several, such as "decoder.*".

    When to take which: weight decay in an optimizer's group needs no graph, and SGD(weight_decay=2 * l2) takes the very
    steps of `l2`, so prefer it for L2 alone. With Adam prefer AdamW's: the gradient of a penalty is divided by Adam's
    averages, and weights with large gradients then shrink less. Take the penalty for L1, for both together, and where
    the loss should say what the weights cost.

    Raises TypeError for tensors without names, ValueError for a negative factor, and where no name matches.
    """
    if not (l1 >= 0 and l2 >= 0):
        raise ValueError(f"penalty: l1 and l2 must be at least 0, got {l1} and {l2}")
    patterns = [names] if isinstance(names, str) else list(names)
    known = _named(module_or_named_parameters)
    chosen = [one for name, one in known if any(fnmatchcase(name, pattern) for pattern in patterns)]
    if not chosen:
        raise ValueError(
            f"penalty: no parameter's name matches {patterns}, among {[name for name, _ in known]}: mind that a "
            f"pattern is for the whole dotted name"
        )
    return functools.reduce(operator.add, [_size(one, l1, l2) for one in chosen])


def _named(given: Any) -> list[tuple[str, Tensor]]:
    """The pairs (name, tensor) of a module, or as they are given."""
    if isinstance(given, Module):
        return list(given.named_parameters())
    listed = list(given) if isinstance(given, Iterable) and not isinstance(given, Tensor) else [given]
    for one in listed:
        if not (isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str) and isinstance(one[1], Tensor)):
            raise TypeError(
                f"penalty takes a module or pairs (name, tensor), got a {type(one).__name__}: "
                f"give it the module, module.named_parameters(), or [('w', w)]"
            )
    return listed


def _size(parameter: Tensor, l1: float, l2: float) -> Tensor:
    """Both terms for one parameter; a term without weight is left out, for it would cost as much as the other."""
    if not l1:
        return l2 * (parameter * parameter).sum()
    absolute = l1 * parameter.abs().sum()
    return absolute + l2 * (parameter * parameter).sum() if l2 else absolute
