"""Specs of minigrad/ops/arithmetic.py. The references are Python's operators and `math`, number by number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, Interval, arrays, broadcastable, numbers, shapes

Arguments = tuple[list[Any], dict[str, Any]]

OFF_GRID = 1 / 32  # drawn numbers are sixteenths: this much more makes a tie impossible


def each(function: Callable[..., float]) -> Callable[..., Host]:
    """A function of numbers, on every element of arrays that broadcast."""
    return np.vectorize(function, otypes=[np.float64])


@st.composite
def two(
    draw: st.DrawFn,
    first: Interval = (-3, 3),
    second: Interval = (-3, 3),
    kinks: tuple[float, ...] = (),
    shift: float = 0,
) -> Arguments:
    """Two arrays that broadcast, or an array and a number; the second's `kinks` are left out, and it is shifted."""
    if draw(st.integers(0, 3)) == 0:
        number = draw(numbers(second, kinks)) + shift
        return [draw(arrays(shapes(), domain=first)), number], {}
    one, other = draw(broadcastable(2))
    # NumPy makes numbers of 0-d results, and these are to stay arrays.
    return [draw(arrays(one, domain=first)), np.asarray(draw(arrays(other, domain=second, kinks=kinks)) + shift)], {}


@st.composite
def _parts(draw: st.DrawFn) -> Arguments:
    """A dividend that lies between two multiples of its divisor, where quotients and remainders do not step."""
    one, other = draw(broadcastable(2))
    other_array = draw(arrays(other, domain=(-3, 3), kinks=(0, 1 / 16, -1 / 16)))
    share = draw(arrays(np.broadcast_shapes(one, other), domain=(0.2, 0.8)))
    whole = np.floor(draw(arrays(share.shape)))
    return [np.asarray(other_array * (whole + share)), other_array], {}


@st.composite
def _power(draw: st.DrawFn) -> Arguments:
    if draw(st.booleans()):
        base, exponent = draw(broadcastable(2))
        return [draw(arrays(base, domain=(0.2, 3))), draw(arrays(exponent, domain=(-2, 3)))], {}
    exponent_number = draw(st.sampled_from([0.5, 2, 3, 2.0, -1, 1.5, 1, 0]))
    domain = (0.2, 3) if exponent_number in (0.5, 1.5, -1) else (-3, 3)
    return [draw(arrays(shapes(), domain=domain)), exponent_number], {}


@st.composite
def _clamp(draw: st.DrawFn) -> Arguments:
    shape, low_shape, high_shape = draw(broadcastable(3))
    low: Any = np.asarray(draw(arrays(low_shape, domain=(-2, 1))) + OFF_GRID)
    high: Any = np.asarray(draw(arrays(high_shape, domain=(-1, 2))) + OFF_GRID)
    if draw(st.booleans()):
        low, high = draw(st.sampled_from([(None, 1.03125), (-0.96875, None), (-0.96875, 1.03125), (1.03125, -0.96875)]))
    elif np.any(np.isclose(low, np.broadcast_to(high, np.broadcast_shapes(low_shape, high_shape)))):
        high = np.asarray(high + OFF_GRID / 2)  # the bounds have a tie of their own
    return [draw(arrays(shape)), low, high], {}


def _clamped(x: Host, low: Any, high: Any) -> Host:
    at_least = -math.inf if low is None else low
    return each(lambda x, low, high: min(max(x, low), high))(x, at_least, math.inf if high is None else high)


AWAY_FROM_0 = (0.0, 1 / 16, -1 / 16)

SPECS = [
    OpSpec("add", each(lambda x, y: x + y), two()),
    OpSpec("sub", each(lambda x, y: x - y), two()),
    OpSpec("mul", each(lambda x, y: x * y), two()),
    OpSpec("neg", each(lambda x: -x)),
    OpSpec("div", each(lambda x, y: x / y), two(kinks=AWAY_FROM_0)),
    OpSpec("floor_divide", each(lambda x, y: math.floor(x / y)), _parts()),
    OpSpec("trunc_divide", each(lambda x, y: math.trunc(x / y)), _parts()),
    OpSpec("remainder", each(lambda x, y: x - y * math.floor(x / y)), _parts()),
    OpSpec("fmod", each(lambda x, y: x - y * math.trunc(x / y)), _parts()),
    OpSpec("pow", each(lambda x, y: x**y), _power()),
    OpSpec("maximum", each(max), two(shift=OFF_GRID)),
    OpSpec("minimum", each(min), two(shift=OFF_GRID)),
    OpSpec("clamp", _clamped, _clamp()),
    OpSpec("lerp", each(lambda x, end, weight: (1 - weight) * x + weight * end)),
    OpSpec("atan2", each(math.atan2), two(first=(0.1, 3))),
    OpSpec("logaddexp", each(lambda x, y: math.log(math.exp(x) + math.exp(y)))),
    OpSpec("xlogy", each(lambda x, y: x * math.log(y)), two(second=(0.1, 4), first=(0.1, 3))),
]
