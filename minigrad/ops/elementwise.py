"""Element by element: arithmetic, functions of one number, comparisons.

To add one: the forward, its rule, and `@method()` if it is a method of Tensor, too. `promote=True` brings the inputs to
one dtype, `promote="float"` makes float32 of integers as well. Broadcasting needs no word in a rule: the engine sums a
gradient back to its input's shape.
"""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array, namespace
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor
from minigrad.ops.method import method, reflected

# ---- arithmetic -----------------------------------------------------------------------------------------------------


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


@method(called="add", inplace=True)
def add_multiple(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """`input + alpha * other`."""
    return add(input, other if alpha == 1 else mul(other, alpha))


@method("subtract", called="sub", inplace=True)
def sub_multiple(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """`input - alpha * other`."""
    return sub(input, other if alpha == 1 else mul(other, alpha))


@method("negative", "__neg__", inplace=True)
@primitive
def neg(input: Array) -> Array:
    """`-input`."""
    return -input


neg.vjp(input=lambda g: -g)

# The operators are the primitives themselves, which is the shortest way into them.
Tensor.__add__ = Tensor.__radd__ = add  # type: ignore[method-assign]
Tensor.__sub__, Tensor.__rsub__ = sub, reflected(sub)  # type: ignore[method-assign]
Tensor.__mul__ = Tensor.__rmul__ = mul  # type: ignore[method-assign]

# ---- functions of one number ----------------------------------------------------------------------------------------


@method(inplace=True)
@primitive(promote="float")
def tanh(input: Array) -> Array:
    """The hyperbolic tangent."""
    return namespace(input).tanh(input)


tanh.vjp(input=lambda g, ans: g * (1 - ans * ans))
