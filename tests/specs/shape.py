"""Specs of minigrad/ops/shape.py, joining.py and diagonals.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, axes, shapes

Arguments = tuple[list[Any], dict[str, Any]]


@st.composite
def _reshaped(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes()))
    return [x], {"shape": draw(st.sampled_from(_same_size(x.size)))}


def _same_size(count: int) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = [(count,), (1, count), (count, 1, 1)]
    found += [(rows, count // rows) for rows in range(2, count) if count % rows == 0]
    return [*found, ()] if count == 1 else found


@st.composite
def _expand(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(max_dims=2)))
    stretched = [draw(st.integers(0, 3)) if size == 1 else draw(st.sampled_from([size, -1])) for size in x.shape]
    leading = draw(st.lists(st.integers(0, 3), max_size=2))
    return [x], {"shape": (*leading, *stretched)}


def _stretched(x: Host, shape: tuple[int, ...]) -> Host:
    kept = (1,) * (len(shape) - x.ndim) + x.shape
    return x + np.zeros([old if new == -1 else new for new, old in zip(shape, kept, strict=True)])


@st.composite
def _permuted(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes()))
    return [x], {"dims": tuple(draw(st.permutations(range(x.ndim))))}


def _with_places_permuted(x: Host, dims: tuple[int, ...]) -> Host:
    result = np.empty([x.shape[dim] for dim in dims])
    for place in np.ndindex(*result.shape):
        source = [0] * x.ndim
        for dim, at in zip(dims, place, strict=True):
            source[dim] = at
        result[place] = x[tuple(source)]
    return result


@st.composite
def _flipped(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes()))
    return [x], {"dims": tuple(dim % x.ndim for dim in draw(axes(x.ndim, min_size=0)))}


def _reversed(x: Host, dims: tuple[int, ...]) -> Host:
    for dim in dims:
        x = np.take(x, range(x.shape[dim])[::-1], axis=dim)
    return x


@st.composite
def _roll(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1, max_side=4)))
    shift = st.integers(-5, 5)
    if draw(st.booleans()):
        return [x], {"shifts": draw(shift), "dims": draw(st.sampled_from([None, 0, x.ndim - 1]))}
    dims = tuple(range(x.ndim))
    return [x], {"shifts": tuple(draw(shift) for _ in dims), "dims": dims}


def _rolled(x: Host, shifts: Any, dims: Any) -> Host:
    if dims is None:
        return _rolled(x.reshape(-1), shifts, 0).reshape(x.shape)
    pairs = [(shifts, dims)] if isinstance(dims, int) else zip(shifts, dims, strict=True)
    for shift, dim in pairs:
        size = x.shape[dim]
        x = np.take(x, [(at - shift) % size for at in range(size)], axis=dim)
    return x


@st.composite
def _concatenated(draw: st.DrawFn) -> Arguments:
    first = draw(shapes(min_dims=1))
    dim = draw(st.integers(0, len(first) - 1))
    sizes = draw(st.lists(st.integers(0, 3), min_size=0, max_size=3))
    others = [(*first[:dim], size, *first[dim + 1 :]) for size in sizes]
    return [draw(arrays(shape)) for shape in (first, *others)], {"dim": dim}


def _joined(*tensors: Host, dim: int) -> Host:
    rows = [np.moveaxis(x, dim, 0)[at] for x in tensors for at in range(x.shape[dim])]
    if not rows:
        return tensors[0].copy()
    return np.stack(rows, axis=dim)


@st.composite
def _stacked(draw: st.DrawFn) -> Arguments:
    shape = draw(shapes())
    tensors = [draw(arrays(shape)) for _ in range(draw(st.integers(1, 3)))]
    return tensors, {"dim": draw(st.integers(0, len(shape)))}


def _side_by_side(*tensors: Host, dim: int) -> Host:
    shape = tensors[0].shape
    return np.concatenate([x.reshape(*shape[:dim], 1, *shape[dim:]) for x in tensors], axis=dim)


@st.composite
def _unbound(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1, min_side=1)))
    return [x], {"dim": draw(st.integers(0, x.ndim - 1))}


@st.composite
def _split(draw: st.DrawFn) -> Arguments:
    shape = draw(shapes(min_dims=1, max_side=5))
    dim = draw(st.integers(0, len(shape) - 1))
    cuts = sorted(draw(st.lists(st.integers(0, shape[dim]), max_size=2)))
    sizes = tuple(int(size) for size in np.diff([0, *cuts, shape[dim]]))
    return [draw(arrays(shape))], {"split_sizes": sizes, "dim": dim}


def _pieces(x: Host, split_sizes: tuple[int, ...], dim: int) -> tuple[Host, ...]:
    return tuple(np.split(x, np.cumsum(split_sizes)[:-1], axis=dim))


@st.composite
def _triangle(draw: st.DrawFn) -> Arguments:
    return [draw(arrays(shapes(min_dims=2)))], {"diagonal": draw(st.integers(-3, 3))}


def _lower(x: Host, diagonal: int) -> Host:
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    return np.where(columns - rows <= diagonal, x, 0.0)


def _upper(x: Host, diagonal: int) -> Host:
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    return np.where(columns - rows >= diagonal, x, 0.0)


@st.composite
def _diagonal(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=2, min_side=1, max_side=4)))
    dim1, dim2 = draw(st.permutations(range(x.ndim)))[:2]
    offset = draw(st.integers(-x.shape[dim1] + 1, x.shape[dim2] - 1))
    return [x], {"offset": offset, "dim1": dim1, "dim2": dim2}


def _places_on_diagonal(shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> list[tuple[int, ...]]:
    return [place for place in np.ndindex(*shape) if place[dim2] - place[dim1] == offset]


def _on_diagonal(x: Host, offset: int, dim1: int, dim2: int) -> Host:
    rest = [size for dim, size in enumerate(x.shape) if dim not in (dim1, dim2)]
    places = _places_on_diagonal(x.shape, offset, dim1, dim2)
    result = np.empty((*rest, len(places) // max(math.prod(rest), 1)))
    for place in places:
        outer = tuple(at for dim, at in enumerate(place) if dim not in (dim1, dim2))
        result[(*outer, min(place[dim1], place[dim2]))] = x[place]
    return result


@st.composite
def _diagonal_scatter(draw: st.DrawFn) -> Arguments:
    (x,), settings = draw(_diagonal())
    return [_on_diagonal(x, **settings)], {"shape": x.shape, **settings}


def _put_on_diagonal(src: Host, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> Host:
    result = np.zeros(shape)
    for place in _places_on_diagonal(shape, offset, dim1, dim2):
        outer = tuple(at for dim, at in enumerate(place) if dim not in (dim1, dim2))
        result[place] = src[(*outer, min(place[dim1], place[dim2]))]
    return result


SPECS = [
    OpSpec("reshaped", lambda x, shape: np.array(x.ravel().tolist()).reshape(shape), _reshaped()),
    OpSpec("expand", _stretched, _expand()),
    OpSpec("permuted", _with_places_permuted, _permuted()),
    OpSpec("flipped", _reversed, _flipped()),
    OpSpec("roll", _rolled, _roll()),
    OpSpec("concatenated", _joined, _concatenated()),
    OpSpec("stacked", _side_by_side, _stacked()),
    OpSpec("unbound", lambda x, dim: tuple(np.moveaxis(x, dim, 0)), _unbound()),
    OpSpec("split_with_sizes", _pieces, _split()),
    OpSpec("tril", _lower, _triangle()),
    OpSpec("triu", _upper, _triangle()),
    OpSpec("diagonal", _on_diagonal, _diagonal()),
    OpSpec("diagonal_scatter", _put_on_diagonal, _diagonal_scatter()),
]
