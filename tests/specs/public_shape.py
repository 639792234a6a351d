"""Specs of the public functions in minigrad/ops/shape.py, joining.py and diagonals.py that are made of primitives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad import Tensor
from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, axis, broadcastable, shapes

from .calls import listed, trailing
from .shape import _joined, _places_on_diagonal, _reversed, _with_places_permuted

Arguments = tuple[list[Any], dict[str, Any]]


def laid_out(x: Host, shape: tuple[int, ...]) -> Host:
    """The elements one after the other in another shape."""
    return np.array(x.ravel().tolist(), np.float64).reshape(shape)


# ---- other sizes ----------------------------------------------------------------------------------------------------


@st.composite
def _reshape(draw: st.DrawFn) -> Arguments:
    """Sizes that multiply to the number of elements, one of which may be written -1."""
    x = draw(arrays(shapes()))
    sizes = list(draw(st.permutations(x.shape)))
    if draw(st.booleans()):
        sizes = [math.prod(sizes)]
    sizes.insert(draw(st.integers(0, len(sizes))), 1)
    if x.size and draw(st.booleans()):
        sizes[draw(st.integers(0, len(sizes) - 1))] = -1
    return [x], {"shape": tuple(sizes)}


def _with_size_found(x: Host, shape: tuple[int, ...]) -> Host:
    known = math.prod(size for size in shape if size != -1)
    return laid_out(x, tuple(x.size // known if size == -1 else size for size in shape))


@st.composite
def _flatten(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes()))
    first, last = sorted(draw(st.integers(0, max(x.ndim - 1, 0))) for _ in range(2))
    return [x], {"start_dim": first, "end_dim": last - draw(st.sampled_from([0, max(x.ndim, 1)]))}


def _flat(x: Host, start_dim: int, end_dim: int) -> Host:
    dims = list(x.shape) or [1]
    last = end_dim % len(dims)
    return laid_out(x, (*dims[:start_dim], math.prod(dims[start_dim : last + 1]), *dims[last + 1 :]))


@st.composite
def _unflatten(draw: st.DrawFn) -> Arguments:
    parts = draw(shapes(min_dims=1, max_dims=2, min_side=1))
    before, after = draw(shapes(max_dims=1)), draw(shapes(max_dims=1))
    x = draw(arrays((*before, math.prod(parts), *after)))
    sizes = list(parts)
    if draw(st.booleans()):
        sizes[draw(st.integers(0, len(sizes) - 1))] = -1
    dim = len(before) - draw(st.sampled_from([0, x.ndim]))
    return [x], {"dim": dim, "sizes": tuple(sizes)}


def _several(x: Host, dim: int, sizes: tuple[int, ...]) -> Host:
    at = dim % x.ndim
    known = math.prod(size for size in sizes if size != -1)
    found = [x.shape[at] // known if size == -1 else size for size in sizes]
    return laid_out(x, (*x.shape[:at], *found, *x.shape[at + 1 :]))


@st.composite
def _squeeze(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(max_side=2)))
    dim = draw(st.one_of(st.none(), axis(x.ndim), st.lists(st.integers(0, max(x.ndim - 1, 0)), unique=True).map(tuple)))
    return [x], {} if dim is None else {"dim": dim}


def _squeezed(x: Host, dim: Any = None) -> Host:
    named = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    gone = {one % max(x.ndim, 1) for one in named}
    return laid_out(x, tuple(size for at, size in enumerate(x.shape) if size != 1 or at not in gone))


@st.composite
def _unsqueeze(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes()))
    return [x], {"dim": draw(axis(x.ndim + 1))}


@st.composite
def _stretch(draw: st.DrawFn) -> Arguments:
    one, other = draw(broadcastable(2))
    return [draw(arrays(one))], {"shape": np.broadcast_shapes(one, other)}


@st.composite
def _like(draw: st.DrawFn, stretch: bool) -> Arguments:
    """A tensor, and another whose shape is the one to take."""
    if stretch:
        one, other = draw(broadcastable(2))
        return [draw(arrays(one)), draw(arrays(np.broadcast_shapes(one, other)))], {}
    x = draw(arrays(shapes()))
    return [x, draw(arrays(_with_a_1(draw, x.shape)))], {}


def _with_a_1(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that any memory layout can be seen in."""
    at = draw(st.integers(0, len(shape)))
    return (*shape[:at], 1, *shape[at:])


@st.composite
def _viewed(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes()))
    return [x], {"shape": _with_a_1(draw, x.shape)}


@st.composite
def _group(draw: st.DrawFn) -> Arguments:
    return [draw(arrays(shape)) for shape in draw(broadcastable(draw(st.integers(1, 3))))], {}


def _all_stretched(*tensors: Host) -> tuple[Host, ...]:
    shape = np.broadcast_shapes(*[one.shape for one in tensors])
    return tuple(one + np.zeros(shape) for one in tensors)


# ---- another order --------------------------------------------------------------------------------------------------


@st.composite
def _permute(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes()))
    order = draw(st.permutations(range(x.ndim)))
    return [x], {"dims": tuple(dim - draw(st.sampled_from([0, x.ndim])) for dim in order)}


@st.composite
def _two_dims(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes()))
    return [x], {"dim0": draw(axis(x.ndim)), "dim1": draw(axis(x.ndim))}


def _swapped(x: Host, dim0: int, dim1: int) -> Host:
    if not x.ndim:
        return x
    order = list(range(x.ndim))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _with_places_permuted(x, tuple(order))


@st.composite
def _movedim(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1)))
    if draw(st.booleans()):
        return [x], {"source": draw(axis(x.ndim)), "destination": draw(axis(x.ndim))}
    count = draw(st.integers(0, x.ndim))
    source, destination = (tuple(draw(st.permutations(range(x.ndim)))[:count]) for _ in range(2))
    return [x], {"source": source, "destination": destination}


@st.composite
def _flip(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes()))
    dims = draw(st.lists(st.integers(0, x.ndim - 1), unique=True)) if x.ndim else []
    return [x], {"dims": tuple(dim - draw(st.sampled_from([0, x.ndim])) for dim in dims)}


# ---- joined and cut -------------------------------------------------------------------------------------------------


@st.composite
def _cat(draw: st.DrawFn) -> Arguments:
    """Tensors that agree in all sizes but one; an empty one of one dimension is left out, as in PyTorch."""
    first = draw(shapes(min_dims=1))
    dim = draw(axis(len(first)))
    at = dim % len(first)
    sizes = draw(st.lists(st.integers(0, 3), max_size=2))
    tensors = [draw(arrays((*first[:at], size, *first[at + 1 :]))) for size in (first[at], *sizes)]
    if draw(st.integers(0, 4)) == 0:
        tensors.insert(draw(st.integers(0, len(tensors))), np.zeros(0))
    return tensors, {"dim": dim}


def _cat_of(*tensors: Host, dim: int) -> Host:
    whole = [one for one in tensors if one.shape != (0,)] or [tensors[0]]
    return _joined(*whole, dim=dim)


@st.composite
def _same_shapes(draw: st.DrawFn) -> Arguments:
    shape = draw(shapes())
    tensors = [draw(arrays(shape)) for _ in range(draw(st.integers(1, 3)))]
    return tensors, {"dim": draw(axis(len(shape) + 1))}


@st.composite
def _side_by_side(draw: st.DrawFn, dim: int) -> Arguments:
    """Tensors for hstack (dim 1) or vstack (dim 0), which take vectors and numbers in their own way."""
    first = draw(shapes(max_dims=3))
    at = 0 if len(first) == 1 and dim == 1 else dim
    if (len(first) < 2 and dim == 0) or not first:
        return [draw(arrays(first)) for _ in range(draw(st.integers(1, 3)))], {}
    sizes = [first[at], *draw(st.lists(st.integers(0, 3), max_size=2))]
    return [draw(arrays((*first[:at], size, *first[at + 1 :]))) for size in sizes], {}


@st.composite
def _split(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1, max_side=5)))
    dim = draw(axis(x.ndim))
    if draw(st.booleans()):
        return [x], {"split_size_or_sections": draw(st.integers(1, 4)), "dim": dim}
    cuts = sorted(draw(st.lists(st.integers(0, x.shape[dim]), max_size=2)))
    return [x], {"split_size_or_sections": [int(size) for size in np.diff([0, *cuts, x.shape[dim]])], "dim": dim}


def _split_of(x: Host, split_size_or_sections: Any, dim: int) -> tuple[Host, ...]:
    if isinstance(split_size_or_sections, int):
        starts = range(0, max(x.shape[dim], 1), split_size_or_sections)
        return tuple(np.take(x, range(at, min(at + split_size_or_sections, x.shape[dim])), dim) for at in starts)
    return tuple(np.split(x, np.cumsum(split_size_or_sections)[:-1], axis=dim))


@st.composite
def _chunk(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1, max_side=5)))
    return [x], {"chunks": draw(st.integers(1, 4)), "dim": draw(axis(x.ndim))}


def _chunks(x: Host, chunks: int, dim: int) -> tuple[Host, ...]:
    if not x.shape[dim]:
        return (x,) * chunks
    return _split_of(x, math.ceil(x.shape[dim] / chunks), dim)


@st.composite
def _tensor_split(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1, max_side=5)))
    cuts = draw(st.one_of(st.integers(1, 4), st.lists(st.integers(-3, 6), max_size=3).map(tuple)))
    return [x], {"indices_or_sections": cuts, "dim": draw(axis(x.ndim))}


@st.composite
def _along(draw: st.DrawFn, min_side: int = 1) -> Arguments:
    x = draw(arrays(shapes(min_dims=1, min_side=min_side)))
    return [x], {"dim": draw(axis(x.ndim))}


@st.composite
def _times(draw: st.DrawFn, name: str) -> Arguments:
    x = draw(arrays(shapes(max_dims=2, max_side=2)))
    extra = draw(st.integers(0 if name == "sizes" else -x.ndim, 1))
    return [x], {name: tuple(draw(st.integers(0, 2)) for _ in range(x.ndim + extra))}


@st.composite
def _repeat_interleave(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1)))
    dim = draw(st.one_of(st.none(), axis(x.ndim)))
    return [x], {"repeats": draw(st.integers(0, 3)), "dim": dim}


def _each_several_times(x: Host, repeats: int, dim: int | None) -> Host:
    lanes = x.reshape(-1) if dim is None else np.moveaxis(x, dim, 0)
    rows = [row for row in lanes for _ in range(repeats)]
    joined = np.array(rows).reshape(len(rows), *lanes.shape[1:])
    return joined if dim is None else np.moveaxis(joined, 0, dim)


@st.composite
def _meshgrid(draw: st.DrawFn) -> Arguments:
    tensors = [draw(arrays(shapes(max_dims=1))) for _ in range(draw(st.integers(1, 3)))]
    return tensors, {"indexing": draw(st.sampled_from(["ij", "xy"]))}


# ---- diagonals, windows ---------------------------------------------------------------------------------------------


@st.composite
def _diag(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1, max_dims=2)))
    return [x], {"diagonal": draw(st.integers(-2, 2))}


def _diag_of(x: Host, diagonal: int) -> Host:
    if x.ndim == 2:
        return np.array([x[place] for place in _places_on_diagonal(x.shape, diagonal, 0, 1)], np.float64)
    result = np.zeros((len(x) + abs(diagonal),) * 2)
    for value, place in zip(x, _places_on_diagonal(result.shape, diagonal, 0, 1), strict=True):
        result[place] = value
    return result


@st.composite
def _unfold(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1, min_side=1, max_side=5, max_dims=2)))
    dimension = draw(axis(x.ndim))
    size = draw(st.integers(1, x.shape[dimension]))
    return [x], {"dimension": dimension, "size": size, "step": draw(st.integers(1, 3))}


def _windows(x: Host, dimension: int, size: int, step: int) -> Host:
    starts = range(0, x.shape[dimension] - size + 1, step)
    cut = [np.moveaxis(np.take(x, range(at, at + size), dimension), dimension, -1) for at in starts]
    return np.stack(cut, axis=dimension % x.ndim)


PUBLIC = {
    "reshape": OpSpec(trailing(minigrad.reshape, "shape"), _with_size_found, _reshape()),
    "Tensor.view": OpSpec(trailing(Tensor.view, "shape"), _with_size_found, _viewed()),
    "Tensor.view_as": OpSpec(Tensor.view_as, lambda x, y: laid_out(x, y.shape), _like(False), differentiable=(0,)),
    "Tensor.reshape_as": OpSpec(
        Tensor.reshape_as, lambda x, y: laid_out(x, y.shape), _like(False), differentiable=(0,)
    ),
    "flatten": OpSpec(minigrad.flatten, _flat, _flatten()),
    "ravel": OpSpec(
        minigrad.ravel, lambda x: laid_out(x, (x.size,)), st.tuples(arrays(shapes())).map(lambda x: (x, {}))
    ),
    "unflatten": OpSpec(minigrad.unflatten, _several, _unflatten()),
    "squeeze": OpSpec(minigrad.squeeze, _squeezed, _squeeze()),
    "unsqueeze": OpSpec(minigrad.unsqueeze, lambda x, dim: np.stack([x], dim), _unsqueeze()),
    "broadcast_to": OpSpec(trailing(minigrad.broadcast_to, "shape"), lambda x, shape: x + np.zeros(shape), _stretch()),
    "Tensor.expand": OpSpec(trailing(Tensor.expand, "shape"), lambda x, shape: x + np.zeros(shape), _stretch()),
    "Tensor.expand_as": OpSpec(Tensor.expand_as, lambda x, y: x + np.zeros(y.shape), _like(True), differentiable=(0,)),
    "broadcast_tensors": OpSpec(minigrad.broadcast_tensors, _all_stretched, _group()),
    "permute": OpSpec(
        trailing(minigrad.permute, "dims"),
        lambda x, dims: _with_places_permuted(x, tuple(dim % x.ndim for dim in dims)),
        _permute(),
    ),
    "transpose": OpSpec(minigrad.transpose, _swapped, _two_dims()),
    "t": OpSpec(
        minigrad.t,
        lambda x: _with_places_permuted(x, tuple(range(x.ndim))[::-1]),
        st.tuples(arrays(shapes(max_dims=2))).map(lambda x: (x, {})),
    ),
    "movedim": OpSpec(minigrad.movedim, np.moveaxis, _movedim()),
    "flip": OpSpec(trailing(minigrad.flip, "dims"), _reversed, _flip()),
    "cat": OpSpec(listed(minigrad.cat), _cat_of, _cat()),
    "stack": OpSpec(listed(minigrad.stack), lambda *x, dim: np.stack(x, dim), _same_shapes()),
    "hstack": OpSpec(listed(minigrad.hstack), lambda *x: np.hstack(x), _side_by_side(1)),
    "vstack": OpSpec(listed(minigrad.vstack), lambda *x: np.vstack(x), _side_by_side(0)),
    "split": OpSpec(minigrad.split, _split_of, _split()),
    "chunk": OpSpec(minigrad.chunk, _chunks, _chunk()),
    "tensor_split": OpSpec(
        trailing(minigrad.tensor_split, "indices_or_sections"),
        lambda x, indices_or_sections, dim: np.array_split(x, indices_or_sections, dim),
        _tensor_split(),
    ),
    "unbind": OpSpec(minigrad.unbind, lambda x, dim: tuple(np.moveaxis(x, dim, 0)), _along()),
    "Tensor.repeat": OpSpec(trailing(Tensor.repeat, "sizes"), lambda x, sizes: np.tile(x, sizes), _times("sizes")),
    "tile": OpSpec(trailing(minigrad.tile, "dims"), lambda x, dims: np.tile(x, dims), _times("dims")),
    "repeat_interleave": OpSpec(minigrad.repeat_interleave, _each_several_times, _repeat_interleave()),
    "meshgrid": OpSpec(minigrad.meshgrid, lambda *x, indexing: np.meshgrid(*x, indexing=indexing), _meshgrid()),
    "diag": OpSpec(minigrad.diag, _diag_of, _diag()),
    "trace": OpSpec(
        minigrad.trace,
        lambda x: math.fsum(x[at, at] for at in range(min(x.shape))),
        st.tuples(arrays(shapes(min_dims=2, max_dims=2))).map(lambda x: (x, {})),
    ),
    "unfold": OpSpec(minigrad.unfold, _windows, _unfold()),
}
