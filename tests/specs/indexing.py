"""Specs of minigrad/ops/indexing.py, gathering.py, sorting.py and filling.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, broadcastable, indices, integers, masks, numbers, shapes

Arguments = tuple[list[Any], dict[str, Any]]


@st.composite
def _basic(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes()))
    index = draw(hnp.basic_indices(x.shape, allow_newaxis=True, allow_ellipsis=False))
    parts = index if isinstance(index, tuple) else (index,)
    return [x], {"index": (*parts, Ellipsis)}


@st.composite
def _basic_scatter(draw: st.DrawFn) -> Arguments:
    (x,), settings = draw(_basic())
    return [draw(arrays(x[settings["index"]].shape))], {"shape": x.shape, **settings}


def _elements(x: Host, index: tuple[Any, ...]) -> Host:
    """The places an index takes, read off an array of place numbers, and the elements there one by one."""
    places = np.arange(x.size).reshape(x.shape)[index]
    flat = x.reshape(-1).tolist()
    return np.array([flat[place] for place in np.ravel(places)], dtype=np.float64).reshape(np.shape(places))


def _summed_at(src: Host, shape: tuple[int, ...], index: tuple[Any, ...]) -> Host:
    result = np.zeros(shape).reshape(-1)
    places = np.arange(result.size).reshape(shape)[index]
    for place, value in zip(np.ravel(places), np.ravel(src), strict=True):
        result[place] += value
    return result.reshape(shape)


@st.composite
def _array_index(draw: st.DrawFn) -> Arguments:
    """An index with arrays in it: such indices copy."""
    x = draw(arrays(shapes(min_dims=1, min_side=1)))
    index = draw(indices(x.shape))
    parts = index if isinstance(index, tuple) else (index,)
    if not any(isinstance(part, np.ndarray) for part in parts):
        parts = (draw(integers((2,), 0, x.shape[0])),)
    return [x], {"index": parts}


@st.composite
def _index_sum(draw: st.DrawFn) -> Arguments:
    (x,), settings = draw(_array_index())
    return [draw(arrays(x[settings["index"]].shape))], {"shape": x.shape, **settings}


@st.composite
def _index_accumulate(draw: st.DrawFn) -> Arguments:
    (x,), settings = draw(_array_index())
    return [x, draw(arrays(x[settings["index"]].shape))], settings


@st.composite
def _index_replace(draw: st.DrawFn) -> Arguments:
    """Each place once: which of several values stays is not defined."""
    x = draw(arrays(shapes(min_dims=1, min_side=1)))
    if draw(st.booleans()):
        parts: tuple[Any, ...] = (draw(masks(x.shape)),)
    else:
        rows = draw(st.lists(st.integers(0, x.shape[0] - 1), unique=True, min_size=1))
        parts = (np.array(rows),)
    return [x, draw(arrays(x[parts].shape))], {"index": parts}


def _replaced(x: Host, values: Host, index: tuple[Any, ...]) -> Host:
    result = x.reshape(-1).tolist()
    places = np.arange(x.size).reshape(x.shape)[index]
    for place, value in zip(np.ravel(places), np.ravel(values), strict=True):
        result[place] = float(value)
    return np.array(result).reshape(x.shape)


@st.composite
def _along(draw: st.DrawFn, distinct: bool = False) -> tuple[Host, Host, int]:
    """An array, places along one of its dimensions, and which."""
    x = draw(arrays(shapes(min_dims=1, min_side=1)))
    dim = draw(st.integers(0, x.ndim - 1))
    if distinct:
        order = np.argsort(draw(arrays(x.shape, distinct=True)), axis=dim)
        return x, order, dim
    count = draw(st.integers(0, 3))
    return x, draw(integers((*x.shape[:dim], count, *x.shape[dim + 1 :]), 0, x.shape[dim])), dim


@st.composite
def _gathered(draw: st.DrawFn) -> Arguments:
    x, index, dim = draw(_along())
    return [x, index], {"dim": dim}


def _place(index: Host, at: tuple[int, ...], dim: int) -> tuple[int, ...]:
    return (*at[:dim], int(index[at]), *at[dim + 1 :])


def _taken(x: Host, index: Host, dim: int) -> Host:
    result = np.empty(index.shape)
    for at in np.ndindex(*index.shape):
        result[at] = x[_place(index, at, dim)]
    return result


@st.composite
def _zero_at(draw: st.DrawFn) -> Arguments:
    (x, _), settings = draw(_index_replace())
    return [x], settings


@st.composite
def _zero_along(draw: st.DrawFn) -> Arguments:
    x, index, dim = draw(_along(distinct=True))
    return [x, index], {"dim": dim}


@st.composite
def _scatter_sum(draw: st.DrawFn) -> Arguments:
    x, index, dim = draw(_along())
    return [draw(arrays(index.shape)), index], {"shape": x.shape, "dim": dim}


def _summed_along(src: Host, index: Host, shape: tuple[int, ...], dim: int) -> Host:
    result = np.zeros(shape)
    for at in np.ndindex(*index.shape):
        result[_place(index, at, dim)] += src[at]
    return result


@st.composite
def _scattered(draw: st.DrawFn) -> Arguments:
    x, index, dim = draw(_along(distinct=True))
    return [x, index, draw(arrays(index.shape))], {"dim": dim}


def _replaced_along(x: Host, index: Host, src: Host, dim: int) -> Host:
    result = x.astype(np.float64)
    for at in np.ndindex(*index.shape):
        result[_place(index, at, dim)] = src[at]
    return result


@st.composite
def _sorted_along(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1), distinct=True))
    return [x], {"dim": draw(st.integers(0, x.ndim - 1)), "descending": draw(st.booleans())}


def _in_order(x: Host, dim: int, descending: bool) -> tuple[Host, Host]:
    order = np.argsort(-x if descending else x, axis=dim)
    return (-np.sort(-x, axis=dim) if descending else np.sort(x, axis=dim)), order


@st.composite
def _fill(draw: st.DrawFn) -> Arguments:
    value = draw(st.one_of(numbers(), arrays(())))
    return [draw(arrays(shapes())), value], {}


@st.composite
def _copy(draw: st.DrawFn) -> Arguments:
    one, other = draw(broadcastable(2))
    return [draw(arrays(np.broadcast_shapes(one, other))), draw(arrays(other))], {}


SPECS = [
    OpSpec("fill", lambda x, value: np.array([float(value)] * x.size).reshape(x.shape), _fill()),
    OpSpec("copy", lambda x, src: src + np.zeros(x.shape), _copy()),
    OpSpec("basic_index", _elements, _basic()),
    OpSpec("basic_scatter", _summed_at, _basic_scatter()),
    OpSpec("array_index", _elements, _array_index(), waits=True),
    OpSpec("index_sum", _summed_at, _index_sum(), waits=True),
    OpSpec("index_replace", _replaced, _index_replace(), waits=True),
    OpSpec(
        "index_accumulate",
        lambda x, values, index: x + _summed_at(values, x.shape, index),
        _index_accumulate(),
        waits=True,
    ),
    OpSpec("zero_at", lambda x, index: _replaced(x, np.zeros(x[index].shape), index), _zero_at(), waits=True),
    OpSpec("zero_along", lambda x, index, dim: _replaced_along(x, index, np.zeros(index.shape), dim), _zero_along()),
    OpSpec("gathered", _taken, _gathered()),
    OpSpec("scatter_sum", _summed_along, _scatter_sum()),
    OpSpec("scattered", _replaced_along, _scattered()),
    OpSpec("sorted_along", _in_order, _sorted_along()),
]
