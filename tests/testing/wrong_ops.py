"""Ops with a mistake each, in a module of their own: what a failing example prints imports them from here."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import primitive
from minigrad.backend import Array


@primitive
def cube(input: Array, *, shift: float = 0.0) -> Array:
    """x³ + shift, with a rule that forgets the 3."""
    return input * input * input + shift


cube.vjp(input=lambda g, input: g * input * input)


@primitive
def slope(input: Array) -> Array:
    """3 x², with half of its derivative."""
    return input * input * 3


slope.vjp(input=lambda g, input: g * 3 * input)


@primitive
def cubed(input: Array) -> Array:
    """x³, with a right rule whose own derivative is wrong."""
    return input * input * input


cubed.vjp(input=lambda g, input: g * slope(input))


@primitive
def scaled(input: Array) -> Array:
    """x², with a rule that is off by one in a thousand million."""
    return input * input


scaled.vjp(input=lambda g, input: g * input * (2 + 2e-9))


@primitive(promote=True)
def product(input: Array, other: Array) -> Array:
    """x y, with a rule that is wrong where the first is broadcast."""
    return input * other


product.vjp(
    input=lambda g, other, input_shape: g * other * (2.0 if g.shape != input_shape else 1.0),
    other=lambda g, input: g * input,
)


def doubled(input: Array) -> Any:
    """2 x."""
    return input * 2


@primitive
def doubled_and_one(input: Array) -> Array:
    """2 x + 1, which the reference `doubled` is not."""
    return input * 2 + 1


doubled_and_one.vjp(input=lambda g: g * 2)


@primitive
def remembers(input: Array, other: Array) -> Array:
    """x y, which takes the second input for the first where they share memory."""
    return input * (input if np.shares_memory(input, other) else other)


remembers.vjp(input=lambda g, other: g * other, other=lambda g, input: g * input)


@primitive
def centred(input: Array) -> Array:
    """x less the mean of all: no example is alone in it."""
    return input - (input.mean() if input.size else 0)


centred.vjp(input=lambda g: g - g.sum() / max(1, _count(g.shape)))


def _count(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))
