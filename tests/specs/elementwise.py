"""Specs of minigrad/ops/elementwise.py and special.py. The references are Python's `math`, one number at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, shapes

WHOLE = tuple(range(-4, 5))


def each(function: Callable[[float], float]) -> Callable[[Host], Host]:
    """A function of one number, on every element."""
    return np.vectorize(function, otypes=[np.float64])


@st.composite
def _round(draw: st.DrawFn) -> tuple[list[Any], dict[str, Any]]:
    # Away from the halves where rounding steps: in whole numbers, and in hundreds.
    decimals = draw(st.sampled_from([0, 0, -2]))
    kinks = [whole + 0.5 for whole in range(-4, 4)] if decimals == 0 else []
    return [draw(arrays(shapes(), kinks=kinks))], {"decimals": decimals}


SPECS = [
    OpSpec("zeros_of", each(lambda x: 0.0)),
    OpSpec("abs", each(math.fabs), kinks=(0,)),
    OpSpec("sign", each(lambda x: math.copysign(1, x)), kinks=(0,)),
    OpSpec("positive", lambda x: x),
    OpSpec("floor", each(math.floor), kinks=WHOLE),
    OpSpec("ceil", each(math.ceil), kinks=WHOLE),
    OpSpec("trunc", each(math.trunc), kinks=WHOLE),
    OpSpec("round", lambda x, decimals: each(lambda one: float(round(one, decimals)))(x), _round()),
    OpSpec("frac", each(lambda x: x - math.trunc(x)), kinks=WHOLE),
    OpSpec("square", each(lambda x: x**2)),
    OpSpec("sqrt", each(math.sqrt), domain=(0, 4)),
    OpSpec("rsqrt", each(lambda x: x**-0.5), domain=(0.2, 4)),
    OpSpec("reciprocal", each(lambda x: 1 / x), kinks=(0, -1 / 16, 1 / 16)),
    OpSpec("exp", each(math.exp)),
    OpSpec("exp2", each(lambda x: 2.0**x)),
    OpSpec("expm1", each(math.expm1)),
    OpSpec("log", each(math.log), domain=(0.1, 5)),
    OpSpec("log2", each(math.log2), domain=(0.1, 5)),
    OpSpec("log10", each(math.log10), domain=(0.1, 5)),
    OpSpec("log1p", each(math.log1p), domain=(-0.9, 5)),
    OpSpec("sin", each(math.sin), domain=(-7, 7)),
    OpSpec("cos", each(math.cos), domain=(-7, 7)),
    OpSpec("tan", each(math.tan), domain=(-1.4, 1.4)),
    OpSpec("asin", each(math.asin), domain=(-0.9, 0.9)),
    OpSpec("acos", each(math.acos), domain=(-0.9, 0.9)),
    OpSpec("atan", each(math.atan)),
    OpSpec("sinh", each(math.sinh)),
    OpSpec("cosh", each(math.cosh)),
    OpSpec("tanh", each(math.tanh)),
    OpSpec("asinh", each(math.asinh)),
    OpSpec("acosh", each(math.acosh), domain=(1.2, 5)),
    OpSpec("atanh", each(math.atanh), domain=(-0.9, 0.9)),
    OpSpec("erf", each(math.erf)),
    OpSpec("relu", each(lambda x: max(x, 0.0)), kinks=(0,)),
    OpSpec("sigmoid", each(lambda x: 1 / (1 + math.exp(-x))), domain=(-9, 9)),
    OpSpec("logsigmoid", each(lambda x: -math.log1p(math.exp(-x))), domain=(-9, 9), kinks=(0,)),
]
