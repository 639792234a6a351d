"""Comparisons, logic, and choosing elements by a condition.

A comparison has no gradient; what chooses by one sends the gradient to the elements it chose, and zero to the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.backend import Array, is_array, namespace
from minigrad.core import dtypes
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor, wrap
from minigrad.ops.method import function, method, reflected

# ---- comparisons ----------------------------------------------------------------------------------------------------


@method()
@primitive(promote=True)
def eq(input: Array, other: Array) -> Array:
    """Where the elements are equal, as bools."""
    return input == other


@method("not_equal")
@primitive(promote=True)
def ne(input: Array, other: Array) -> Array:
    """Where the elements differ, as bools."""
    return input != other


@method("less", "__lt__")
@primitive(promote=True)
def lt(input: Array, other: Array) -> Array:
    """`input < other`, element by element."""
    return input < other


@method("less_equal", "__le__")
@primitive(promote=True)
def le(input: Array, other: Array) -> Array:
    """`input <= other`, element by element."""
    return input <= other


@method("greater", "__gt__")
@primitive(promote=True)
def gt(input: Array, other: Array) -> Array:
    """`input > other`, element by element."""
    return input > other


@method("greater_equal", "__ge__")
@primitive(promote=True)
def ge(input: Array, other: Array) -> Array:
    """`input >= other`, element by element."""
    return input >= other


def _comparable(other: Any) -> bool:
    return isinstance(other, (Tensor, bool, int, float, complex, np.generic)) or is_array(other)


def _equal(self: Tensor, other: Any) -> Any:
    # Python then falls back on identity: a tensor equals no None, no string.
    return eq(self, other) if _comparable(other) else NotImplemented


def _unequal(self: Tensor, other: Any) -> Any:
    return ne(self, other) if _comparable(other) else NotImplemented


Tensor.__eq__ = _equal  # type: ignore[method-assign, assignment]
Tensor.__ne__ = _unequal  # type: ignore[method-assign, assignment]


@method()
@primitive(promote=True)
def isclose(input: Array, other: Array, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Array:
    """Where `|input - other| <= atol + rtol |other|`; infinities are close to themselves."""
    return namespace(input).isclose(input, other, rtol, atol, equal_nan)


@method()
def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether every element is close to its counterpart (see `isclose`), as a Python bool. Waits for a GPU."""
    return bool(isclose(input, other, rtol, atol, equal_nan)._array.all())


@method()
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and the same elements, as a Python bool. Waits for a GPU."""
    return input.shape == other.shape and bool(eq(input, other)._array.all())


# ---- kinds of numbers -----------------------------------------------------------------------------------------------


@method()
@primitive
def isnan(input: Array) -> Array:
    """Where the elements are NaN."""
    return namespace(input).isnan(input)


@method()
@primitive
def isinf(input: Array) -> Array:
    """Where the elements are infinite, of either sign."""
    return namespace(input).isinf(input)


@method()
@primitive
def isfinite(input: Array) -> Array:
    """Where the elements are neither NaN nor infinite."""
    return namespace(input).isfinite(input)


# ---- logic ----------------------------------------------------------------------------------------------------------


@method(inplace=True)
@primitive(promote=True)
def logical_and(input: Array, other: Array) -> Array:
    """Where both are true; numbers other than 0 count as true."""
    return namespace(input).logical_and(input, other)


@method(inplace=True)
@primitive(promote=True)
def logical_or(input: Array, other: Array) -> Array:
    """Where one or both are true; numbers other than 0 count as true."""
    return namespace(input).logical_or(input, other)


@method(inplace=True)
@primitive(promote=True)
def logical_xor(input: Array, other: Array) -> Array:
    """Where exactly one is true; numbers other than 0 count as true."""
    return namespace(input).logical_xor(input, other)


@method(inplace=True)
@primitive
def logical_not(input: Array) -> Array:
    """Where the elements are false, or 0."""
    return namespace(input).logical_not(input)


@method("__and__", inplace=True)
@primitive(promote=True)
def bitwise_and(input: Array, other: Array) -> Array:
    """`input & other`: "and" of bools, or of the bits of integers."""
    return input & other


@method("__or__", inplace=True)
@primitive(promote=True)
def bitwise_or(input: Array, other: Array) -> Array:
    """`input | other`: "or" of bools, or of the bits of integers."""
    return input | other


@method("__xor__", inplace=True)
@primitive(promote=True)
def bitwise_xor(input: Array, other: Array) -> Array:
    """`input ^ other`: "exclusive or" of bools, or of the bits of integers."""
    return input ^ other


@method("__invert__", inplace=True)
@primitive
def bitwise_not(input: Array) -> Array:
    """`~input`: "not" of bools, or of the bits of integers."""
    return ~input


for _name, _op in {"rand": bitwise_and, "ror": bitwise_or, "rxor": bitwise_xor}.items():
    setattr(Tensor, f"__{_name}__", reflected(_op))

# ---- choosing by a condition ----------------------------------------------------------------------------------------


# NumPy's `where` branches at each element, and where the mask is irregular it waits for most of them. Arithmetic on the
# numbers' bits is up to ten times faster, and exact: nothing is rounded, and an infinity or NaN times 0 is 0.


def _bits(dtype: Any) -> Any:
    return np.dtype(f"i{dtype.itemsize}")


def _blend(mask: Array, input: Array, other: Array) -> Array:
    """`input` where the mask is true, `other` elsewhere; both of one dtype."""
    if input.dtype.itemsize > 8:
        return namespace(mask).where(mask, input, other)
    whole = _bits(input.dtype)
    first, second = input.view(whole), other.view(whole)
    return ((first ^ second) * mask.astype(whole) ^ second).view(input.dtype)


@primitive
def keep_where(input: Array, mask: Array) -> Array:
    """`input` where the mask is true and 0 elsewhere: the gradient of everything that chooses.

    Unlike `input * mask` it makes 0 of an infinity, too.
    """
    if input.dtype.itemsize > 8:
        return namespace(input).where(mask, input, 0)
    whole = _bits(input.dtype)
    return (mask.astype(whole) * input.view(whole)).view(input.dtype)


keep_where.vjp(input=lambda g, mask: keep_where(g, mask))


@primitive
def choose(condition: Array, input: Array, other: Array) -> Array:
    """`input` where the condition (bools) is true, `other` elsewhere; both of one dtype."""
    return _blend(condition, input, other)


choose.vjp(
    input=lambda g, condition: keep_where(g, condition),
    other=lambda g, condition: keep_where(g, ~condition),
)


@function()
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where the condition is true, `other` elsewhere, all broadcast together.

    With the condition alone: the places where it is true, one tensor of indices for each dimension.
    As a method it is `input.where(condition, other)`.
    """
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if input is None or other is None:
        raise TypeError("where() takes a condition alone, or a condition, input and other")
    dtype = dtypes.result_type(input, other)
    return choose(_condition(condition, "where"), _operand(input, dtype, condition), _operand(other, dtype, condition))


@method(called="where", only=True)
def where_method(input: Tensor, condition: Tensor, other: Any) -> Tensor:
    """`input` where the condition is true, `other` elsewhere."""
    return where(condition, input, other)


def _condition(condition: Any, name: str) -> Tensor:
    """A condition as bools; PyTorch takes uint8, too, which were its bools once."""
    if not isinstance(condition, Tensor):
        raise TypeError(f"{name}: the condition must be a bool tensor, got {type(condition).__name__}")
    if condition.dtype == dtypes.uint8:
        return ne(condition, 0)
    if condition.dtype != dtypes.bool:
        raise RuntimeError(f"{name}: the condition must be a bool tensor, got {condition.dtype}: compare it (x != 0)")
    return condition


def _operand(value: Any, dtype: Any, like: Tensor) -> Tensor:
    """A number, array or tensor as a tensor of this dtype; a number goes to where `like` is."""
    if isinstance(value, Tensor):
        return value.to(dtype)
    return wrap(namespace(like._array).asarray(dtypes.in_range(value, dtype), dtype=dtype))


@primitive
def replace_where(input: Array, mask: Array, value: Array) -> Array:
    """`value` where the mask (bools) is true, `input` elsewhere; `value` is a number or of the input's dtype."""
    return _blend(mask, value if is_array(value) else input.dtype.type(value), input)


replace_where.vjp(
    input=lambda g, mask: keep_where(g, ~mask),
    value=lambda g, mask: keep_where(g, mask),
)


@method(inplace=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`input` with one number (or 0-d tensor) put where the mask is true."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                f"masked_fill: the value must be one number, got shape {tuple(value.shape)}: use where()"
            )
        value = value.to(input.dtype)
    return replace_where(input, _condition(mask, "masked_fill"), value)


@method(inplace=True)
@primitive
def nan_to_num(
    input: Array, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Array:
    """NaN replaced by `nan` (0), infinities by `posinf` and `neginf` (the largest and smallest finite number)."""
    return namespace(input).nan_to_num(input, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)


nan_to_num.vjp(input=lambda g, input: keep_where(g, isfinite(input)))
