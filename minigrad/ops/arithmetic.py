"""Two numbers make one: sums, products, quotients, powers, the larger and the smaller.

To add one: the forward, its rules, and `@method()` if it is a method of Tensor, too. `promote=True` brings the inputs
to one dtype, `promote="float"` makes float32 of integers as well. Broadcasting needs no word in a rule: the engine sums
a gradient back to its input's shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.backend import Array, namespace
from minigrad.core import dtypes
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor
from minigrad.ops.comparison import choose, keep_where, replace_where
from minigrad.ops.elementwise import log, sigmoid, zeros_of
from minigrad.ops.method import function, method, reflected

# ---- sums and products ----------------------------------------------------------------------------------------------


@primitive(promote=True)
def add(input: Array, other: Array) -> Array:
    """`input + other`."""
    return input + other


add.vjp(input=lambda g: g, other=lambda g: g)


@primitive(promote=True)
def sub(input: Array, other: Array) -> Array:
    """`input - other`."""
    return input - other


sub.vjp(input=lambda g: g, other=lambda g: -g)


@method("multiply", inplace=True)
@primitive(promote=True)
def mul(input: Array, other: Array) -> Array:
    """`input * other`."""
    return input * other


mul.vjp(input=lambda g, other: g * other, other=lambda g, input: g * input)


def _multiple(other: Any, alpha: float, input: Any) -> Any:
    """alpha * other, in the dtype that the result with `input` has: by itself a whole number times 0.5 is a float32."""
    if isinstance(other, Tensor) and isinstance(input, Tensor):
        other = other.to(dtypes.result_type(input._array, other._array))
    return other * alpha


@method(called="add", inplace=True)
def add_multiple(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """`input + alpha * other`."""
    return add(input, other if alpha == 1 else _multiple(other, alpha, input))


@method("subtract", called="sub", inplace=True)
def sub_multiple(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """`input - alpha * other`."""
    return sub(input, other if alpha == 1 else _multiple(other, alpha, input))


@function()
def rsub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """`other - alpha * input`."""
    return sub_multiple(other, input, alpha=alpha)


@method("negative", "__neg__", inplace=True)
@primitive
def neg(input: Array) -> Array:
    """`-input`."""
    return -input


neg.vjp(input=lambda g: -g)


# ---- quotients and remainders ---------------------------------------------------------------------------------------


@primitive(promote="float")
def div(input: Array, other: Array) -> Array:
    """`input / other`; integers give floats."""
    return input / other


div.vjp(input=lambda g, other: g / other, other=lambda g, ans, other: -(g * ans) / other)


def _no_zero_divisor(input: Array, other: Array) -> None:
    """Integers have no infinity to answer a division by 0 with. Only on the host can one look without waiting."""
    if input.dtype.kind in "iu" and isinstance(other, (int, np.ndarray)) and not np.all(other):
        raise ZeroDivisionError("integer division by zero: divide floats, which gives inf or nan, or replace the zeros")


@method("__floordiv__", inplace=True)
@primitive(promote=True)
def floor_divide(input: Array, other: Array) -> Array:
    """`input / other` rounded down, in the dtype of the two. Integer division by 0 raises."""
    _no_zero_divisor(input, other)
    return namespace(input).floor_divide(input, other)


floor_divide.vjp(input=lambda g: zeros_of(g), other=lambda g: zeros_of(g))


@primitive(promote=True)
def trunc_divide(input: Array, other: Array) -> Array:
    """`input / other` rounded towards zero, in the dtype of the two. Integer division by 0 raises."""
    xp = namespace(input)
    if input.dtype.kind == "f":
        return xp.trunc(input / other)
    _no_zero_divisor(input, other)
    # What is left over shares the input's sign, so that the rest divides without remainder.
    return xp.floor_divide(input - xp.fmod(input, other), other)


trunc_divide.vjp(input=lambda g: zeros_of(g), other=lambda g: zeros_of(g))


@method("divide", called="div", inplace=True)
def div_rounded(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """`input / other`; `rounding_mode` is "floor" (down) or "trunc" (towards zero), and then integers stay integers."""
    if rounding_mode is None:
        return div(input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(f"div: rounding_mode is None, 'floor' or 'trunc', not {rounding_mode!r}")
    return floor_divide(input, other) if rounding_mode == "floor" else trunc_divide(input, other)


method(called="true_divide", inplace=True)(div)


@method("__mod__", inplace=True)
@primitive(promote=True)
def remainder(input: Array, other: Array) -> Array:
    """What `input // other` leaves over; it has the sign of `other`, as Python's `%`."""
    _no_zero_divisor(input, other)
    return namespace(input).remainder(input, other)


remainder.vjp(input=lambda g: g, other=lambda g, input, other: -g * floor_divide(input, other))


@method(inplace=True)
@primitive(promote=True)
def fmod(input: Array, other: Array) -> Array:
    """What division rounded towards zero leaves over; it has the sign of `input`, as C's fmod."""
    _no_zero_divisor(input, other)
    return namespace(input).fmod(input, other)


fmod.vjp(input=lambda g: g, other=lambda g, input, other: -g * trunc_divide(input, other))

# ---- powers ---------------------------------------------------------------------------------------------------------


@method("__pow__", inplace=True)
@primitive(promote=True)
def pow(input: Array, exponent: Array) -> Array:
    """`input ** exponent`; each may be a number. Whole numbers have no negative powers: convert with .float()."""
    if type(exponent) is int and exponent < 0 and input.dtype.kind in "iu":
        raise ValueError("whole numbers have no negative powers: convert with .float()")
    if input.dtype.kind == "b":
        result = namespace(input).power(input, exponent)
        return result.astype(bool) if result.dtype == "int8" else result  # which NumPy makes of two bools
    if type(exponent) in (int, float) and exponent in _QUICK_POWERS:
        return _QUICK_POWERS[exponent](input)
    # A rule may bring a NumPy scalar, whose own power rounds otherwise.
    return namespace(input).asarray(input) ** exponent


_QUICK_POWERS = {
    2: lambda x: x * x,
    3: lambda x: x * x * x,
    0.5: lambda x: namespace(x).sqrt(x),
    -0.5: lambda x: 1 / namespace(x).sqrt(x),
}


def _slope_base(input: Any, exponent: Any) -> Any:
    """The base in 0 * x^-1, which the derivative of x^0 would be, as 1 where x is 0 or NaN, so that it is 0."""
    if type(exponent) in (int, float):  # decided here, for a look at every element would cost as much as the power
        return input if exponent else zeros_of(input) + 1
    return replace_where(input, ((input == 0) | (input != input)) & (exponent == 0), 1)


pow.vjp(
    input=lambda g, input, exponent: g * (exponent * pow(_slope_base(input, exponent), exponent - 1)),
    # 0^b is constant for b >= 0, as PyTorch has it, and not 0 * log(0).
    exponent=lambda g, ans, input, exponent: g * keep_where(ans * log(input), ~((input == 0) & (exponent >= 0))),
)

# ---- the larger, the smaller, and what lies between -----------------------------------------------------------------


@method(inplace=False)
@primitive(promote=True)
def maximum(input: Array, other: Array) -> Array:
    """The larger of both; NaN if one is NaN. Where they are equal, each gets half of the gradient."""
    return namespace(input).maximum(input, other)


maximum.vjp(
    input=lambda g, input, other: choose(input == other, g / 2, keep_where(g, ~(input < other))),
    other=lambda g, input, other: choose(input == other, g / 2, keep_where(g, ~(input > other))),
)


@method(inplace=False)
@primitive(promote=True)
def minimum(input: Array, other: Array) -> Array:
    """The smaller of both; NaN if one is NaN. Where they are equal, each gets half of the gradient."""
    return namespace(input).minimum(input, other)


minimum.vjp(
    input=lambda g, input, other: choose(input == other, g / 2, keep_where(g, ~(input > other))),
    other=lambda g, input, other: choose(input == other, g / 2, keep_where(g, ~(input < other))),
)


@method("clip", inplace=True)
@primitive(promote=True)
def clamp(input: Array, min: Array | None = None, max: Array | None = None) -> Array:
    """`input` where it lies between `min` and `max`, which may be numbers, tensors or left out; otherwise the bound.

    Where `min > max` the result is `max`. The gradient goes through where the input is at a bound, too.
    """
    if min is None and max is None:
        raise ValueError("give at least one of min and max")
    xp = namespace(input)
    raised = input if min is None else xp.maximum(input, min)
    return raised if max is None else xp.minimum(raised, max)


def _within(input: Any, min: Any, max: Any) -> Any:
    if min is None:
        return input <= max
    return input >= min if max is None else (input >= min) & (input <= max)


def _below(input: Any, min: Any, max: Any) -> Any:
    return input < min if max is None else (input < min) & (min < max)


def _above(input: Any, min: Any, max: Any) -> Any:
    return input > max if min is None else (input > max) | (max < min)


clamp.vjp(
    input=lambda g, input, min, max: keep_where(g, _within(input, min, max)),
    min=lambda g, input, min, max: keep_where(g, _below(input, min, max)),
    max=lambda g, input, min, max: keep_where(g, _above(input, min, max)),
)

# ---- combinations ---------------------------------------------------------------------------------------------------


@method(inplace=True)
@primitive(promote=True)
def lerp(input: Array, end: Array, weight: Array) -> Array:
    """On the straight line from `input` (weight 0) to `end` (weight 1)."""
    return input + weight * (end - input)


lerp.vjp(
    input=lambda g, weight: g * (1 - weight),
    end=lambda g, weight: g * weight,
    weight=lambda g, input, end: g * (end - input),
)


@method("arctan2", inplace=True)
@primitive(promote="float")
def atan2(input: Array, other: Array) -> Array:
    """The angle of the point (other, input) to the first axis, in [-pi, pi]."""
    return namespace(input).arctan2(input, other)


def _over_square_radius(side: Any, input: Any, other: Any) -> Any:
    """`side / (input² + other²)`, and 0 at the origin, where the angle has no direction."""
    square = input * input + other * other
    return keep_where(side / square, square != 0)


atan2.vjp(
    input=lambda g, input, other: g * _over_square_radius(other, input, other),
    other=lambda g, input, other: -g * _over_square_radius(input, input, other),
)


@method()
@primitive(promote="float")
def logaddexp(input: Array, other: Array) -> Array:
    """log(exp(input) + exp(other)) without overflow."""
    return namespace(input).logaddexp(input, other)


logaddexp.vjp(
    input=lambda g, input, other: g * sigmoid(input - other),
    other=lambda g, input, other: g * sigmoid(other - input),
)


@method(inplace=True)
@primitive(promote="float", numbers=False)
def xlogy(input: Array, other: Array) -> Array:
    """`input * log(other)`, and 0 where the input is 0, unless `other` is NaN."""
    xp = namespace(input)
    return input * xp.log(xp.where((input == 0) & ~xp.isnan(other), 1, other))


xlogy.vjp(
    input=lambda g, input, other: g * log(replace_where(other, (input == 0) & (other <= 0), 1)),
    other=lambda g, input, other: g * (input / other),
)

# ---- operators ------------------------------------------------------------------------------------------------------

# They are the primitives themselves, which is the shortest way into them.
for _name, _op in {"add": add, "sub": sub, "mul": mul, "truediv": div}.items():
    method(called=f"__{_name}__", inplace=True)(_op)
for _name, _op in {"radd": add, "rmul": mul}.items():
    setattr(Tensor, f"__{_name}__", _op)
for _name, _op in {"rsub": sub, "rtruediv": div, "rfloordiv": floor_divide, "rmod": remainder, "rpow": pow}.items():
    setattr(Tensor, f"__{_name}__", reflected(_op))
