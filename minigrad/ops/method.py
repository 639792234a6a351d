"""Make a function of `minigrad.ops` a method of Tensor as well."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minigrad.core.inplace import in_place
from minigrad.core.tensor import Tensor

TOP_LEVEL: dict[str, Any] = {}  # what `minigrad.NAME` offers, in the order it is defined


def function(*names: str, called: str = "") -> Callable[[Any], Any]:
    """Offer the function as `minigrad.its_name` (or `called`), and under other names PyTorch has for it."""

    def offer(op: Any) -> Any:
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
        for name in (called or op.__name__.rstrip("_"), *names):
            setattr(Tensor, name, op)
            dunder = name.startswith("__")
            if not dunder and not only:
                TOP_LEVEL[name] = op
            if inplace:
                writing = _in_place_version(op, name)
                if dunder:
                    setattr(Tensor, f"__i{name.removeprefix('__')}", writing)
                else:
                    setattr(Tensor, f"{name}_", writing)
        return op

    return attach


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
