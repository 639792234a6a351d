"""Arrays: of plain numbers, of special values, of integers and bools; and the same numbers laid out otherwise.

Plain numbers are multiples of 1/16 in a small interval, which

- float32 holds exactly, so that both precisions compute with the same inputs;
- stay 1/16 away from given kinks, where no step of a numeric derivative reaches;
- cannot overflow in a product: with numbers below 3 and at most 27 elements an array's product is below 3**27 < 1e13,
  and the square of that is still far below float32's 3e38;
- shrink towards 1, 2, 3, so that a failing example is as simple as it can be and no mistake hides behind a zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.testing.strategies.shapes import Shape

Host = np.ndarray[Any, Any]
Interval = tuple[float, float]

_STEP = 16  # numbers are multiples of 1/16
_MARGIN = 1 / _STEP  # how far numbers stay from a kink


@cache
def _numbers(domain: Interval, kinks: tuple[float, ...]) -> tuple[float, ...]:
    """The numbers of an open interval, simplest first, away from the kinks."""
    low, high = domain
    grid = np.arange(np.floor(low * _STEP) + 1, np.ceil(high * _STEP)) / _STEP
    kept = [float(x) for x in grid if all(abs(x - kink) >= _MARGIN for kink in kinks)]
    if not kept:
        raise ValueError(f"no multiple of 1/{_STEP} lies in {domain} away from {kinks}: widen the domain")
    return tuple(sorted(kept, key=lambda x: (x == 0, x != int(x), abs(x), x < 0)))


def numbers(domain: Interval = (-3, 3), kinks: Sequence[float] = ()) -> st.SearchStrategy[float]:
    """Finite numbers inside the open interval `domain`, at least 1/16 away from each of `kinks`."""
    return st.sampled_from(grid_of(domain, kinks))


def grid_of(domain: Interval, kinks: Sequence[float] = ()) -> tuple[float, ...]:
    """All of `numbers(domain, kinks)`, simplest first; ValueError if there are none."""
    return _numbers((float(domain[0]), float(domain[1])), tuple(kinks))


@st.composite
def arrays(
    draw: st.DrawFn,
    shape: Shape | st.SearchStrategy[Shape],
    *,
    domain: Interval = (-3, 3),
    kinks: Sequence[float] = (),
    distinct: bool = False,
) -> Host:
    """float64 arrays of `numbers(domain, kinks)`; `distinct` allows no ties among the elements."""
    shape = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    # Without a fill every element is drawn: a mistake that permutes equal elements would not show.
    return draw(hnp.arrays(np.float64, shape, elements=numbers(domain, kinks), fill=st.nothing(), unique=distinct))


def special_values(dtype: Any = np.float64) -> st.SearchStrategy[float]:
    """The floating point numbers that formulas forget, of float32 or float64, the least odd first.

    Both zeros, infinities, NaN; the largest, the smallest normal and the smallest subnormal number of each sign; and
    the two next to 1.
    """
    info = np.finfo(dtype)
    one = np.dtype(dtype).type(1)
    ends = [float(end) for end in (info.max, info.tiny, info.smallest_subnormal)]
    near_one = [float(np.nextafter(one, end)) for end in (one * 2, one * 0)]
    signed = [sign * end for end in ends for sign in (1, -1)]
    return st.sampled_from([0.0, -0.0, np.inf, -np.inf, np.nan, *signed, *near_one])


def special_arrays(
    shape: Shape | st.SearchStrategy[Shape], dtype: Any = np.float64, *, domain: Interval = (-3, 3)
) -> st.SearchStrategy[Host]:
    """Arrays of float32 or float64 with `special_values` among plain numbers."""
    elements = st.one_of(numbers(domain), special_values(dtype))
    return hnp.arrays(dtype, shape, elements=elements, fill=st.nothing())


def integers(shape: Shape | st.SearchStrategy[Shape], low: int, high: int) -> st.SearchStrategy[Host]:
    """int64 arrays with low <= element < high."""
    return hnp.arrays(np.int64, shape, elements=st.integers(low, high - 1), fill=st.nothing())


def masks(shape: Shape | st.SearchStrategy[Shape]) -> st.SearchStrategy[Host]:
    """Bool arrays."""
    return hnp.arrays(np.bool_, shape, elements=st.booleans(), fill=st.nothing())


def relaid(array: Host, manner: str) -> Host:
    """An array with the same values whose memory lies otherwise: "transposed", "strided", "reversed" or "offset"."""
    if manner == "transposed":
        return np.array(array, order="F") if array.ndim > 1 else relaid(array, "strided")
    if not array.ndim:
        return np.stack([array, array])[1, ...]
    if manner == "strided":
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if manner == "reversed":
        return np.array(array[..., ::-1], order="C")[..., ::-1]
    wider = np.concatenate([array[:1], array]) if array.shape[0] else array.copy()
    return wider[1:] if array.shape[0] else wider


def layouts() -> st.SearchStrategy[str]:
    """The manners of `relaid`."""
    return st.sampled_from(["transposed", "strided", "reversed", "offset"])
