"""Make a function of `minigrad.ops` a method of Tensor as well."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

from minigrad.core.inplace import in_place
from minigrad.core.tensor import Tensor

TOP_LEVEL: dict[str, Any] = {}  # what `minigrad.NAME` offers, in the order it is defined


def function(*names: str, called: str = "") -> Callable[[Any], Any]:
    """Offer the function as `minigrad.its_name` (or `called`), and under other names PyTorch has for it."""

    def offer(op: Any) -> Any:
        _rename(op, called)
        for name in (called or op.__name__.rstrip("_"), *names):
            TOP_LEVEL[name] = op
        return op

    return offer


def method(*names: str, called: str = "", inplace: bool = False, only: bool = False) -> Callable[[Any], Any]:
    """Offer the function as `minigrad.its_name` and `Tensor.its_name`, and under the further `names`.

    Args:
        called: the name, if it is not the function's own.
        names: more names, e.g. "__mul__" or PyTorch's "multiply"; a dunder becomes a method only.
        inplace: offer `its_name_`, too, which writes the result into the tensor (and `__imul__` for `__mul__`).
        only: a method without a top-level function.
    """

    def attach(op: Any) -> Any:
        _rename(op, called)
        for name in (called or op.__name__.rstrip("_"), *names):
            setattr(Tensor, name, op)
            dunder = name.startswith("__")
            if not dunder and not only:
                TOP_LEVEL[name] = op
            if inplace:
                writing = _in_place_version(op, name)
                augmented = f"__i{name.removeprefix('__')}"
                if dunder and hasattr(operator, augmented):  # Python has `+=`, and nothing of the kind for `-x`
                    setattr(Tensor, augmented, writing)
                elif not dunder:
                    setattr(Tensor, f"{name}_", writing)
        return op

    return attach


def _rename(op: Any, called: str) -> None:
    """Errors name a function as users know it; a primitive has its own name, and may serve under several."""
    if called and not hasattr(op, "op"):
        op.__name__ = called


def _in_place_version(op: Any, name: str) -> Any:
    @functools.wraps(op)
    def writing(self: Tensor, *args: Any, **settings: Any) -> Tensor:
        return in_place(self, op, *args, **settings)

    writing.__name__ = f"{name.strip('_')}_"
    writing.__doc__ = f"`{name.strip('_')}`, written into this tensor."
    return writing


def reflected(op: Any) -> Any:
    """`other op self`, for `__rsub__` and its kin."""

    @functools.wraps(op)
    def swapped(self: Tensor, other: Any) -> Any:
        return op(other, self)

    return swapped
