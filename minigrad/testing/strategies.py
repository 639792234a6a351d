"""Hypothesis strategies for the arguments of ops: shapes, arrays, indices, axes, memory layouts.

Numbers are sixteenths, so that float32 and float64 hold the same value, and they shrink towards 1, 2, 3: what a failing
example shows is as simple as it can be, and no mistake hides behind a zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

Host = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Interval = tuple[float, float]

_STEP = 16  # numbers are multiples of 1/16
_MARGIN = 1 / _STEP  # how far numbers stay from a kink, where no step of a numeric derivative reaches


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
    return st.sampled_from(_numbers((float(domain[0]), float(domain[1])), tuple(kinks)))


def shapes(*, min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 3) -> st.SearchStrategy[Shape]:
    """Shapes, among them 0-d, empty and size-1 ones unless the bounds exclude them."""
    return hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)


@st.composite
def broadcastable(
    draw: st.DrawFn, count: int, *, max_dims: int = 3, min_side: int = 0, max_side: int = 3
) -> tuple[Shape, ...]:
    """`count` shapes that broadcast together."""
    if count == 1:
        return (draw(shapes(max_dims=max_dims, min_side=min_side, max_side=max_side)),)
    drawn = draw(
        hnp.mutually_broadcastable_shapes(
            num_shapes=count, min_dims=0, max_dims=max_dims, min_side=min_side, max_side=max_side
        )
    )
    return drawn.input_shapes


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


def integers(shape: Shape | st.SearchStrategy[Shape], low: int, high: int) -> st.SearchStrategy[Host]:
    """int64 arrays with low <= element < high."""
    return hnp.arrays(np.int64, shape, elements=st.integers(low, high - 1), fill=st.nothing())


def masks(shape: Shape | st.SearchStrategy[Shape]) -> st.SearchStrategy[Host]:
    """Bool arrays."""
    return hnp.arrays(np.bool_, shape, elements=st.booleans(), fill=st.nothing())


def axis(ndim: int) -> st.SearchStrategy[int]:
    """One of `ndim` dimensions, counted from either end. 0-d arrays have 0 and -1, as in PyTorch."""
    reach = max(ndim, 1)
    return st.integers(-reach, reach - 1)


def axes(ndim: int, *, min_size: int = 1) -> st.SearchStrategy[tuple[int, ...]]:
    """Some different dimensions, in any order, counted from either end."""
    if not ndim:
        return st.just(())
    places = st.lists(st.integers(0, ndim - 1), unique=True, min_size=min(min_size, ndim), max_size=ndim)
    return st.builds(
        lambda chosen, from_end: tuple(place - ndim if from_end else place for place in chosen), places, st.booleans()
    )


def axis_or_axes(ndim: int) -> st.SearchStrategy[int | tuple[int, ...] | None]:
    """What a reduction takes for `dim`: None, one dimension or several."""
    return st.one_of(st.none(), axis(ndim), axes(ndim))


@st.composite
def indices(draw: st.DrawFn, shape: Shape) -> Any:
    """An index of an array of this shape: ints, slices, `...`, None, lists, integer arrays that repeat, bool masks."""
    kind = draw(st.sampled_from(["basic", "arrays", "mask", "mixed"]))
    if kind == "mask" and shape:
        covered = draw(st.integers(1, len(shape)))
        return draw(masks(shape[:covered]))
    if kind in ("arrays", "mixed") and shape and 0 not in shape:
        count = draw(st.integers(1, len(shape)))
        common = draw(shapes(min_dims=1, max_dims=2, min_side=1, max_side=3))
        parts: list[Any] = [draw(integers(common, -size, size)) for size in shape[:count]]
        if kind == "mixed":
            place = draw(st.integers(0, count - 1))
            drawn = draw(hnp.basic_indices((shape[place],), min_dims=1, allow_ellipsis=False))
            parts[place] = drawn if not isinstance(drawn, tuple) else drawn[0] if drawn else slice(None)
        return parts[0] if count == 1 else tuple(parts)
    # PyTorch has no negative steps, so they are left out.
    basic = draw(hnp.basic_indices(shape, min_dims=0, allow_newaxis=True))
    return _without_negative_steps(basic)


def _without_negative_steps(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_without_negative_steps(part) for part in index)
    if isinstance(index, slice) and index.step is not None and index.step < 0:
        return slice(None, None, -index.step)
    return index


def relaid(array: Host, manner: str) -> Host:
    """An array with the same values whose memory lies otherwise: "transposed", "strided", "reversed" or "offset"."""
    if manner == "transposed":
        return np.asfortranarray(array) if array.ndim > 1 else relaid(array, "strided")
    if not array.ndim:
        return np.stack([array, array])[1, ...]
    if manner == "strided":
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if manner == "reversed":
        return np.ascontiguousarray(array[..., ::-1])[..., ::-1]
    wider = np.concatenate([array[:1], array]) if array.shape[0] else array
    return wider[1:] if array.shape[0] else wider


def layouts() -> st.SearchStrategy[str]:
    """The manners of `relaid`."""
    return st.sampled_from(["transposed", "strided", "reversed", "offset"])
