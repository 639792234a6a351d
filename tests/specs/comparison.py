"""Specs of minigrad/ops/comparison.py. The references go through Python's own comparisons, one pair at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, broadcastable, masks, numbers, shapes

Arguments = tuple[list[Any], dict[str, Any]]


def each(function: Callable[..., bool]) -> Callable[..., Host]:
    """A question about numbers, on every element of arrays that broadcast."""
    return np.vectorize(function, otypes=[np.bool_])


@st.composite
def _often_equal(draw: st.DrawFn) -> Arguments:
    one, other = draw(broadcastable(2))
    return [draw(arrays(one, domain=(-1.5, 1.5))), draw(arrays(other, domain=(-1.5, 1.5)))], {}


@st.composite
def _special(draw: st.DrawFn) -> Arguments:
    elements = st.sampled_from([0.0, -1.5, math.inf, -math.inf, math.nan, 2.0])
    return [draw(hnp.arrays(np.float64, shapes(), elements=elements, fill=st.nothing()))], {}


@st.composite
def _close(draw: st.DrawFn) -> Arguments:
    x = draw(_special())[0][0]
    step = draw(st.sampled_from([0.0, 1e-9, 1e-3]))
    return [x, np.asarray(x + step)], {"equal_nan": draw(st.booleans())}


def _is_close(x: Host, y: Host, equal_nan: bool) -> Host:
    def close(a: float, b: float) -> bool:
        if math.isnan(a) or math.isnan(b):
            return equal_nan and math.isnan(a) and math.isnan(b)
        return a == b or (math.isfinite(b) and abs(a - b) <= 1e-8 + 1e-5 * abs(b))

    return each(close)(x, y)


@st.composite
def _bits(draw: st.DrawFn, count: int = 2) -> Arguments:
    shapes_ = draw(broadcastable(count))
    if draw(st.booleans()):
        return [draw(masks(shape)) for shape in shapes_], {}
    return [draw(hnp.arrays(np.int64, shape, elements=st.integers(-9, 9))) for shape in shapes_], {}


def on_bits(function: Callable[..., Any]) -> Callable[..., Host]:
    """Python's operator on ints or bools, in the dtype of the arrays."""

    def reference(*values: Host) -> Host:
        return np.vectorize(function, otypes=[values[0].dtype])(*values)

    return reference


@st.composite
def _keep(draw: st.DrawFn) -> Arguments:
    shape = draw(shapes())
    mask_shape = draw(st.sampled_from([shape, shape[1:]])) if shape else shape
    return [draw(arrays(shape)), draw(masks(mask_shape))], {}


@st.composite
def _choose(draw: st.DrawFn) -> Arguments:
    condition, one, other = draw(broadcastable(3))
    return [draw(masks(condition)), draw(arrays(one)), draw(arrays(other))], {}


@st.composite
def _replace(draw: st.DrawFn) -> Arguments:
    shape, mask = draw(broadcastable(2))
    value = draw(st.one_of(numbers(), arrays(())))
    return [draw(arrays(shape)), draw(masks(mask)), value], {}


def _picked(condition: Host, one: Any, other: Any) -> Host:
    return np.vectorize(lambda yes, a, b: a if yes else b, otypes=[np.float64])(condition, one, other)


@st.composite
def _nan_to_num(draw: st.DrawFn) -> Arguments:
    settings = draw(st.sampled_from([{}, {"nan": 7.0}, {"nan": 1.0, "posinf": 2.0, "neginf": -2.0}]))
    return draw(_special())[0], {"nan": None, "posinf": 9.0, "neginf": -9.0, **settings}


def _numbers_for(x: Host, nan: Any, posinf: Any, neginf: Any) -> Host:
    def replaced(a: float) -> float:
        if math.isnan(a):
            return nan or 0.0
        return a if math.isfinite(a) else posinf if a > 0 else neginf

    return np.vectorize(replaced, otypes=[np.float64])(x)


SPECS = [
    OpSpec("eq", each(lambda x, y: x == y), _often_equal(), smooth=0),
    OpSpec("ne", each(lambda x, y: x != y), _often_equal(), smooth=0),
    OpSpec("lt", each(lambda x, y: x < y), _often_equal(), smooth=0),
    OpSpec("le", each(lambda x, y: x <= y), _often_equal(), smooth=0),
    OpSpec("gt", each(lambda x, y: x > y), _often_equal(), smooth=0),
    OpSpec("ge", each(lambda x, y: x >= y), _often_equal(), smooth=0),
    OpSpec("isclose", _is_close, _close(), smooth=0),
    OpSpec("isnan", each(math.isnan), _special(), smooth=0),
    OpSpec("isinf", each(math.isinf), _special(), smooth=0),
    OpSpec("isfinite", each(math.isfinite), _special(), smooth=0),
    OpSpec("logical_and", each(lambda x, y: bool(x) and bool(y)), _often_equal(), smooth=0),
    OpSpec("logical_or", each(lambda x, y: bool(x) or bool(y)), _often_equal(), smooth=0),
    OpSpec("logical_xor", each(lambda x, y: bool(x) != bool(y)), _often_equal(), smooth=0),
    OpSpec("logical_not", each(lambda x: not x), smooth=0),
    OpSpec("bitwise_and", on_bits(lambda x, y: x & y), _bits(), smooth=0),
    OpSpec("bitwise_or", on_bits(lambda x, y: x | y), _bits(), smooth=0),
    OpSpec("bitwise_xor", on_bits(lambda x, y: x ^ y), _bits(), smooth=0),
    OpSpec("bitwise_not", on_bits(lambda x: not x if isinstance(x, (bool, np.bool)) else ~x), _bits(1), smooth=0),
    OpSpec("keep_where", lambda x, mask: _picked(mask, x, 0.0), _keep()),
    OpSpec("choose", _picked, _choose()),
    OpSpec("replace_where", lambda x, mask, value: _picked(mask, value, x), _replace()),
    OpSpec("nan_to_num", _numbers_for, _nan_to_num(), smooth=0),
]
