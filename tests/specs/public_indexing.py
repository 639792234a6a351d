"""Specs of the public functions made of primitives in indexing.py, gathering.py, sorting.py and comparison.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad import Tensor
from minigrad.testing import OpSpec
from minigrad.testing.strategies import (
    Host,
    Shape,
    arrays,
    axis,
    broadcastable,
    indices,
    integers,
    masks,
    numbers,
    shapes,
)

from .calls import Call, named, trailing
from .comparison import _picked
from .indexing import _along, _replaced, _replaced_along, _summed_at, _taken

Arguments = tuple[list[Any], dict[str, Any]]


# ---- x[i] and its kin -----------------------------------------------------------------------------------------------


@st.composite
def _getitem(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes()))
    return [x], {"index": draw(indices(x.shape))}


@st.composite
def _index_put(draw: st.DrawFn) -> Arguments:
    """A tensor, values to put in, and a place for each: one array per leading dimension, or a mask."""
    x = draw(arrays(shapes(min_dims=1, min_side=1)))
    accumulate = draw(st.booleans())
    if draw(st.booleans()):
        index: tuple[Host, ...] = (draw(masks(x.shape)),)
    elif accumulate:
        common = draw(shapes(min_dims=1, max_dims=2, min_side=1))
        index = tuple(draw(integers(common, -size, size)) for size in x.shape[: draw(st.integers(1, x.ndim))])
    else:  # which of two values stays is not defined, so each place comes once
        index = (np.array(draw(st.lists(st.integers(0, x.shape[0] - 1), unique=True, min_size=1))),)
    region = x[index].shape
    values = draw(arrays(region[draw(st.integers(0, len(region))) :]))
    return [x, values, *index], {"accumulate": accumulate}


def _put(x: Host, values: Host, *index: Host, accumulate: bool) -> Host:
    whole = values + np.zeros(x[index].shape)
    return x + _summed_at(whole, x.shape, index) if accumulate else _replaced(x, whole, index)


def _put_in_order(function: Any, x: Any, values: Any, *index: Any, accumulate: bool) -> Any:
    return function(x, tuple(index), values, accumulate=accumulate)


# ---- slices along one dimension -------------------------------------------------------------------------------------


@st.composite
def _slices(draw: st.DrawFn, source: bool = False, distinct: bool = False, **choices: Any) -> Arguments:
    """A tensor, places along one dimension, and perhaps a slice for each of them."""
    x = draw(arrays(shapes(min_side=1)))
    dim = draw(axis(x.ndim))
    size, at_least, at_most = (x.shape[dim], 0, 3) if x.ndim else (1, 1, 1)
    places = st.lists(st.integers(0, size - 1), unique=distinct, min_size=at_least, max_size=at_most)
    index = np.array(draw(places), np.int64)
    inputs = [x, index]
    if source:
        sizes = list(x.shape)
        if x.ndim:
            sizes[dim] = len(index)
        inputs.append(draw(arrays(tuple(sizes))))
    return inputs, {"dim": dim, **{name: draw(strategy) for name, strategy in choices.items()}}


def _rows(x: Host, dim: int) -> list[Host]:
    return list(np.moveaxis(x, dim, 0)) if x.ndim else [x]


def _selected(x: Host, index: Host, dim: int) -> Host:
    rows = _rows(x, dim)
    if not x.ndim:
        return x
    taken = np.array([rows[place] for place in index]).reshape(len(index), *np.moveaxis(x, dim, 0).shape[1:])
    return np.moveaxis(taken, 0, dim)


def _changed(x: Host, index: Host, source: Any, dim: int, change: Any) -> Host:
    """Each place along `dim` after `change(old, new)`, one after the other."""
    rows = _rows(x, dim)
    new = _rows(source, dim) if isinstance(source, np.ndarray) and source.ndim else [source] * len(index)
    for place, one in zip(index, new, strict=True):
        rows[place] = change(rows[place], one)
    return np.stack(rows, axis=dim).reshape(x.shape)


@st.composite
def _filled(draw: st.DrawFn) -> Arguments:
    (x, index), settings = draw(_slices())
    return [x, index, draw(arrays(()))], settings


@st.composite
def _select(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1, min_side=1)))
    dim = draw(axis(x.ndim))
    return [x], {"dim": dim, "index": draw(st.integers(-x.shape[dim], x.shape[dim] - 1))}


@st.composite
def _narrow(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1)))
    dim = draw(axis(x.ndim))
    start = draw(st.integers(0, x.shape[dim]))
    length = draw(st.integers(0, x.shape[dim] - start))
    from_end = draw(st.booleans()) and start < x.shape[dim]
    return [x], {"dim": dim, "start": start - x.shape[dim] if from_end else start, "length": length}


def _stretch_of(x: Host, dim: int, start: int, length: int) -> Host:
    first = start % x.shape[dim] if x.shape[dim] and start < 0 else start
    return np.take(x, range(first, first + length), dim)


# ---- a place for each element ---------------------------------------------------------------------------------------


# Shapes of a tensor and of an index of it of which one is a number, which then counts as a vector of one.
_WITH_NUMBERS: list[tuple[Shape, Shape]] = [((), ()), ((2,), ()), ((), (1,))]


@st.composite
def _gather(draw: st.DrawFn) -> Arguments:
    """PyTorch's rule: an index may be smaller than the tensor in the other dimensions."""
    if not draw(st.integers(0, 4)):
        shape, places = draw(st.sampled_from([*_WITH_NUMBERS, ((), (2,))]))
        index = np.asarray(draw(integers(places, 0, math.prod(shape))))
        return [draw(arrays(shape)), index], {"dim": draw(axis(0))}
    x, index, dim = draw(_along())
    kept = tuple(slice(None) if at == dim else slice(draw(st.integers(0, size))) for at, size in enumerate(x.shape))
    return [x, index[kept]], {"dim": dim - draw(st.sampled_from([0, x.ndim]))}


def _in_rows(function: Any, like: int) -> Any:
    """The reference with its dimension counted from the front and numbers as vectors; the shape is that of an input."""

    def reference(*inputs: Any, dim: int, **settings: Any) -> Any:
        shape, rows = inputs[like].shape, [np.atleast_1d(one) for one in inputs]
        return function(*rows, dim=dim % rows[0].ndim, **settings).reshape(shape)

    return reference


@st.composite
def _take_along_dim(draw: st.DrawFn) -> Arguments:
    """Places from either end; the index is stretched, or the tensor; without a dimension both are one row.

    In a row PyTorch takes places from the front alone.
    """
    x, index, dim = draw(_along())
    if not draw(st.integers(0, 4)):
        return [x, draw(integers(shapes(max_dims=2), 0, x.size))], {"dim": None}
    one = draw(st.integers(0, x.ndim - 1))
    if one != dim and index.size:
        x, index = draw(st.sampled_from([(x, index.take([0], axis=one)), (x.take([0], axis=one), index)]))
    from_end = draw(masks(index.shape))
    return [x, index - x.shape[dim] * from_end], {"dim": dim - draw(st.sampled_from([0, x.ndim]))}


def _taken_along(x: Host, index: Host, dim: int | None) -> Host:
    return x.ravel()[index.ravel()] if dim is None else np.take_along_axis(x, index, dim)


@st.composite
def _scatter(draw: st.DrawFn, distinct: bool = True) -> Arguments:
    if not draw(st.integers(0, 4)):
        shape, places = draw(st.sampled_from(_WITH_NUMBERS))
        index = np.asarray(draw(integers(places, 0, math.prod(shape))))
        return [draw(arrays(shape)), index, draw(arrays(places))], {"dim": draw(axis(0))}
    x, index, dim = draw(_along(distinct=distinct))
    kept = tuple(slice(None) if at == dim else slice(draw(st.integers(0, size))) for at, size in enumerate(x.shape))
    index = index[kept]
    src = draw(arrays(tuple(size + draw(st.integers(0, 1)) for size in index.shape)))
    return [x, index, src], {"dim": dim - draw(st.sampled_from([0, x.ndim]))}


def _added_along(x: Host, index: Host, src: Host, dim: int) -> Host:
    result = x.astype(np.float64)
    for at in np.ndindex(*index.shape):
        result[(*at[:dim], int(index[at]), *at[dim + 1 :])] += src[at]
    return result


@st.composite
def _scatter_number(draw: st.DrawFn) -> Arguments:
    (x, index, _), settings = draw(_scatter(distinct=False))
    return [x, index], {**settings, "value": draw(numbers())}


# ---- masks and conditions -------------------------------------------------------------------------------------------


@st.composite
def _masked(draw: st.DrawFn) -> Arguments:
    one, mask = draw(broadcastable(2))
    return [draw(arrays(one)), draw(masks(mask))], {}


def _where_true(x: Host, mask: Host) -> Host:
    shape = np.broadcast_shapes(x.shape, mask.shape)
    whole, chosen = x + np.zeros(shape), mask & np.ones(shape, bool)
    return np.array([one for one, yes in zip(whole.ravel(), chosen.ravel(), strict=True) if yes], np.float64)


@st.composite
def _masked_fill(draw: st.DrawFn) -> Arguments:
    inputs, _ = draw(_masked())
    return [*inputs, draw(st.one_of(numbers(), arrays(())))], {}


@st.composite
def _where(draw: st.DrawFn) -> Arguments:
    condition, one, other = draw(broadcastable(3))
    second = draw(st.one_of(numbers(), arrays(other)))
    return [draw(masks(condition)), draw(arrays(one)), second], {}


@st.composite
def _with_zeros(draw: st.DrawFn) -> Arguments:
    return [draw(integers(shapes(), -1, 2))], {}


def _places_of_others_than_0(x: Host) -> Host:
    found = [place for place in np.ndindex(*x.shape) if x[place]]
    return np.array(found, np.int64).reshape(len(found), x.ndim)


# ---- in order -------------------------------------------------------------------------------------------------------


@st.composite
def _order(draw: st.DrawFn, **choices: Any) -> Arguments:
    x = draw(arrays(shapes(), distinct=True))
    return [x], {"dim": draw(axis(x.ndim)), **{name: draw(strategy) for name, strategy in choices.items()}}


def _ordered(x: Host, dim: int, descending: bool) -> tuple[Host, Host]:
    if not x.ndim:
        return x, np.zeros((), np.int64)
    values, places = np.empty(x.shape), np.empty(x.shape, np.int64)
    lanes = np.moveaxis(x, dim, -1)
    for at in np.ndindex(*lanes.shape[:-1]):
        pairs = sorted([(one, place) for place, one in enumerate(lanes[at].tolist())], reverse=descending)
        np.moveaxis(values, dim, -1)[at] = [one for one, _ in pairs]
        np.moveaxis(places, dim, -1)[at] = [place for _, place in pairs]
    return values, places


@st.composite
def _topk(draw: st.DrawFn) -> Arguments:
    (x,), settings = draw(_order(largest=st.booleans()))
    return [x], {**settings, "k": draw(st.integers(0, x.shape[settings["dim"]] if x.ndim else 1))}


def _best(x: Host, k: int, dim: int, largest: bool) -> tuple[Host, ...]:
    found = _ordered(x, dim, largest)
    return tuple(one.take(range(k), dim) for one in found) if x.ndim else found


@st.composite
def _unique(draw: st.DrawFn) -> Arguments:
    x = draw(st.one_of(integers(shapes(), -2, 3), arrays(shapes(), domain=(-1, 1))))
    return [x], {"return_inverse": draw(st.booleans()), "return_counts": draw(st.booleans())}


def _different(x: Host, return_inverse: bool, return_counts: bool) -> tuple[Host, ...]:
    values = sorted(set(x.ravel().tolist()))
    inverse = np.array([values.index(one) for one in x.ravel().tolist()], np.int64).reshape(x.shape)
    counts = np.array([(x == one).sum() for one in values], np.int64)
    return np.array(values, x.dtype), *[inverse] * return_inverse, *[counts] * return_counts


PUBLIC = {
    "Tensor.__getitem__": OpSpec(
        trailing(Tensor.__getitem__, "index"), lambda x, index: x[index], _getitem(), waits=True
    ),
    "index_put": OpSpec(Call(minigrad.index_put, _put_in_order), _put, _index_put(), waits=True),
    "index_select": OpSpec(named(minigrad.index_select, "input", "index"), _selected, _slices(), waits=True),
    "index_add": OpSpec(
        named(minigrad.index_add, "input", "index", "source"),
        lambda x, index, source, dim, alpha: _changed(x, index, source, dim, lambda old, new: old + alpha * new),
        _slices(True, alpha=st.sampled_from([1, 2, -0.5])),
        waits=True,
    ),
    "index_copy": OpSpec(
        named(minigrad.index_copy, "input", "index", "source"),
        lambda x, index, source, dim: _changed(x, index, source, dim, lambda old, new: new),
        _slices(True, distinct=True),
        waits=True,
    ),
    "index_fill": OpSpec(
        named(minigrad.index_fill, "input", "index", "value"),
        lambda x, index, value, dim: _changed(x, index, value, dim, lambda old, new: old * 0 + new),
        _filled(),
        waits=True,
    ),
    "select": OpSpec(minigrad.select, lambda x, dim, index: np.take(x, index, dim), _select()),
    "narrow": OpSpec(minigrad.narrow, _stretch_of, _narrow()),
    "gather": OpSpec(named(minigrad.gather, "input", "index"), _in_rows(_taken, 1), _gather()),
    "take_along_dim": OpSpec(minigrad.take_along_dim, _taken_along, _take_along_dim()),
    "scatter": OpSpec(named(minigrad.scatter, "input", "index", "src"), _in_rows(_replaced_along, 0), _scatter()),
    "scatter/number": OpSpec(
        named(minigrad.scatter, "input", "index"),
        _in_rows(lambda x, index, dim, value: _replaced_along(x, index, np.full(index.shape, value), dim), 0),
        _scatter_number(),
    ),
    "scatter_add": OpSpec(
        named(minigrad.scatter_add, "input", "index", "src"), _in_rows(_added_along, 0), _scatter(distinct=False)
    ),
    "masked_select": OpSpec(minigrad.masked_select, _where_true, _masked(), waits=True),
    "masked_fill": OpSpec(minigrad.masked_fill, lambda x, mask, value: _picked(mask, value, x), _masked_fill()),
    "where": OpSpec(minigrad.where, _picked, _where()),
    "where/places": OpSpec(
        minigrad.where,
        lambda x: tuple(_places_of_others_than_0(x).T) or (_places_of_others_than_0(x)[:, 0],),
        st.tuples(masks(shapes(min_dims=1))).map(lambda x: (x, {})),
        smooth=0,
        waits=True,
    ),
    "Tensor.where": OpSpec(
        Call(Tensor.where, lambda function, condition, one, other: function(one, condition, other)), _picked, _where()
    ),
    "nonzero": OpSpec(minigrad.nonzero, _places_of_others_than_0, _with_zeros(), smooth=0, waits=True),
    "argwhere": OpSpec(minigrad.argwhere, _places_of_others_than_0, _with_zeros(), smooth=0, waits=True),
    "sort": OpSpec(minigrad.sort, _ordered, _order(descending=st.booleans())),
    "argsort": OpSpec(
        minigrad.argsort,
        lambda x, dim, descending: _ordered(x, dim, descending)[1],
        _order(descending=st.booleans()),
        smooth=0,
    ),
    "topk": OpSpec(minigrad.topk, _best, _topk()),
    "unique": OpSpec(minigrad.unique, _different, _unique(), smooth=0, waits=True),
}
