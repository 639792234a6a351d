"""Specs of minigrad/ops/reduction.py, extremum.py and cumulative.py. The references go lane by lane in Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, Interval, arrays, axis, axis_or_axes, integers, shapes

Arguments = tuple[list[Any], dict[str, Any]]


def over(function: Callable[[list[float]], float], dtype: Any = np.float64) -> Callable[..., Host]:
    """A function of a list of numbers, on every lane that `dim` spans."""

    def reference(x: Host, dim: Any = None, keepdim: bool = False, **settings: Any) -> Host:
        dims = range(x.ndim) if dim is None or dim == () else [dim] if isinstance(dim, int) else dim
        gone = sorted({one % max(x.ndim, 1) for one in dims} if x.ndim else [])
        rest = [one for one in range(x.ndim) if one not in gone]
        lanes = x.transpose(*rest, *gone).reshape(*[x.shape[one] for one in rest], -1 if x.size else _size(x, gone))
        result = np.empty(lanes.shape[:-1], dtype)
        for place in np.ndindex(*result.shape):
            result[place] = function(lanes[place].tolist(), **settings)
        return np.expand_dims(result, tuple(gone)) if keepdim else result

    return reference


def _size(x: Host, gone: list[int]) -> int:
    return math.prod(x.shape[one] for one in gone)


@st.composite
def reduced(
    draw: st.DrawFn,
    *,
    min_side: int = 0,
    max_side: int = 3,
    distinct: bool = False,
    several: bool = True,
    keepdim: bool = True,
    domain: Interval = (-3, 3),
    kinks: tuple[float, ...] = (),
    **choices: Any,
) -> Arguments:
    """An array, the dimensions to reduce, and further settings."""
    shape = draw(shapes(min_side=min_side, max_side=max_side))
    x = draw(arrays(shape, distinct=distinct, domain=domain, kinks=kinks))
    dim = draw(axis_or_axes(x.ndim) if several else st.one_of(st.none(), axis(x.ndim)))
    settings = {"dim": dim, **({"keepdim": draw(st.booleans())} if keepdim else {})}
    return [x], {**settings, **{name: draw(strategy) for name, strategy in choices.items()}}


@st.composite
def _spread(draw: st.DrawFn) -> Arguments:
    """Two degrees of freedom at least, so that neither variance nor deviation is 0 or NaN."""
    shape = draw(shapes(min_dims=1, min_side=2))
    dim = draw(axis_or_axes(len(shape)))
    x = draw(arrays(shape, distinct=True))
    return [x], {"dim": dim, "correction": draw(st.sampled_from([0, 1, 0.5])), "keepdim": draw(st.booleans())}


def _variance(numbers: list[float], correction: float) -> float:
    centre = math.fsum(numbers) / len(numbers)
    return math.fsum((one - centre) ** 2 for one in numbers) / (len(numbers) - correction)


def _with_zeros() -> st.SearchStrategy[Host]:
    """Zeros among the factors, where a rule that divides would fail."""
    return arrays(shapes(max_side=4), domain=(-1.5, 1.5)).map(_rounded)


def _rounded(x: Host) -> Host:
    return np.asarray(np.round(x))  # NumPy makes scalars of 0-d results


@st.composite
def _product(draw: st.DrawFn) -> Arguments:
    x = draw(st.one_of(_with_zeros(), arrays(shapes(max_side=4))))
    return [x], {"dim": draw(st.one_of(st.none(), axis(x.ndim))), "keepdim": draw(st.booleans())}


@st.composite
def _running(draw: st.DrawFn) -> Arguments:
    x = draw(st.one_of(_with_zeros(), arrays(shapes(max_side=4))))
    return [x], {"dim": draw(axis(x.ndim))}


def running(step: Callable[[float, float], float], start: float) -> Callable[..., Host]:
    """Every element combined with all before it along `dim`."""

    def reference(x: Host, dim: int) -> Host:
        if not x.ndim:
            return x.copy()
        result = np.empty(x.shape)
        lanes = np.moveaxis(result, dim, -1)
        for place in np.ndindex(*lanes.shape[:-1]):
            total = start
            for at, one in enumerate(np.moveaxis(x, dim, -1)[place]):
                total = step(total, one)
                lanes[(*place, at)] = total
        return result

    return reference


@st.composite
def _shares(draw: st.DrawFn) -> Arguments:
    x = _rounded(draw(arrays(shapes(min_side=1), domain=(-1.5, 1.5))))
    dim = draw(axis_or_axes(x.ndim))
    return [x, over(max)(x, dim, True)], {"dim": dim}


def _share_of_the_best(x: Host, best: Host, dim: Any) -> Host:
    return (x == best) / over(lambda lane: lane.count(max(lane)))(x, dim, True)


@st.composite
def _along(draw: st.DrawFn, **choices: Any) -> Arguments:
    shape = draw(shapes(min_dims=1, min_side=1))
    x = draw(arrays(shape, distinct=True))
    settings = {"dim": draw(st.integers(0, x.ndim - 1)), "keepdim": draw(st.booleans())}
    return [x], {**settings, **{name: draw(strategy) for name, strategy in choices.items()}}


@st.composite
def _ranked(draw: st.DrawFn) -> Arguments:
    inputs, settings = draw(_along(nan_wins=st.booleans()))
    return inputs, {**settings, "rank": draw(st.integers(0, inputs[0].shape[settings["dim"]] - 1))}


def at_rank(rank: int | None) -> Callable[..., tuple[Host, Host]]:
    """The element at a rank of each lane, and its index."""

    def reference(x: Host, dim: int, keepdim: bool, rank: int | None = rank, **_: Any) -> tuple[Host, Host]:
        values = over(lambda lane: sorted(lane)[rank])(x, dim, keepdim)
        return values, over(lambda lane: lane.index(sorted(lane)[rank]), np.int64)(x, dim, keepdim)

    return reference


@st.composite
def _placed(draw: st.DrawFn) -> Arguments:
    sizes = draw(shapes(min_dims=1, min_side=1))
    dim = draw(st.integers(0, len(sizes) - 1))
    kept = (*sizes[:dim], 1, *sizes[dim + 1 :])
    return [draw(arrays(kept)), draw(integers(kept, 0, sizes[dim]))], {"sizes": sizes, "dim": dim}


def _put(src: Host, indices: Host, sizes: tuple[int, ...], dim: int) -> Host:
    result = np.zeros(sizes)
    for place in np.ndindex(*src.shape):
        result[(*place[:dim], int(indices[place]), *place[dim + 1 :])] = src[place]
    return result


def _first(best: Callable[[list[float]], float]) -> Callable[[list[float]], int]:
    return lambda lane: lane.index(best(lane))


SPECS = [
    OpSpec("sum", over(math.fsum), reduced()),
    OpSpec("mean", over(lambda lane: math.fsum(lane) / len(lane)), reduced(min_side=1)),
    OpSpec("prod", over(math.prod), _product(), exact=False),
    OpSpec("variance", over(_variance), _spread()),
    OpSpec("deviation", over(lambda lane, correction: math.sqrt(_variance(lane, correction))), _spread()),
    OpSpec("norm_2", over(lambda lane: math.hypot(*lane)), reduced(min_side=1, kinks=(0,))),
    OpSpec(
        "norm_p",
        over(lambda lane, p: math.fsum(abs(one) ** p for one in lane) ** (1 / p)),
        reduced(min_side=1, kinks=(0, 1 / 16, -1 / 16), p=st.sampled_from([3, 1.5, 2.5])),
    ),
    OpSpec("any", over(any, np.bool_), reduced(domain=(-1.5, 1.5)), smooth=0),
    OpSpec("all", over(all, np.bool_), reduced(domain=(-1.5, 1.5)), smooth=0),
    OpSpec(
        "count_nonzero", over(lambda lane: sum(one != 0 for one in lane), np.int64), reduced(keepdim=False), smooth=0
    ),
    OpSpec("amax", over(max), reduced(min_side=1, distinct=True)),
    OpSpec("amin", over(min), reduced(min_side=1, distinct=True)),
    OpSpec("argmax", over(_first(max), np.int64), reduced(min_side=1, several=False), smooth=0),
    OpSpec("argmin", over(_first(min), np.int64), reduced(min_side=1, several=False), smooth=0),
    OpSpec("shares", _share_of_the_best, _shares(), smooth=0),
    OpSpec("max_along", at_rank(-1), _along()),
    OpSpec("min_along", at_rank(0), _along()),
    OpSpec("ranked", at_rank(None), _ranked()),
    OpSpec("placed", _put, _placed()),
    OpSpec("cumsum", running(lambda total, one: total + one, 0.0), _running()),
    OpSpec("cumprod", running(lambda total, one: total * one, 1.0), _running(), exact=False),
]
