"""Along one dimension, with a place for each element: gather, scatter, take_along_dim."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.backend import Array, namespace
from minigrad.core import dtypes
from minigrad.core.errors import shapes_do_not_broadcast
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor, wrap
from minigrad.ops import shape
from minigrad.ops.bounds import first_outside
from minigrad.ops.indexing import getitem, value_array
from minigrad.ops.method import method


def _along(index: Array, dim: int, namespace_: Any) -> tuple[Any, ...]:
    """Indices that take `index` along `dim`, and every other dimension as it comes."""
    parts: list[Any] = []
    for at, size in enumerate(index.shape):
        stretch = [1] * index.ndim
        stretch[at] = size
        parts.append(index if at == dim else namespace_.arange(size).reshape(stretch))
    return tuple(parts)


@primitive
def gathered(input: Array, index: Array, *, dim: int) -> Array:
    """`out[i][j] = input[index[i][j]][j]` for dim 0, and so on."""
    return input[_along(index, dim, namespace(input))] if input.ndim else input.copy()


gathered.vjp(input=lambda g, input_shape, index, dim: scatter_sum(g, index, shape=input_shape, dim=dim))


@primitive
def scatter_sum(src: Array, index: Array, *, shape: tuple[int, ...], dim: int) -> Array:
    """Zeros of `shape` with `src` added along `dim` at the places in `index`."""
    xp = namespace(src)
    result = xp.zeros(shape, src.dtype)
    if len(shape):
        xp.add.at(result, _along(index, dim, xp), src)
    else:
        result[...] = src
    return result


scatter_sum.vjp(src=lambda g, index, dim: gathered(g, index, dim=dim))


def _checked(name: str, input: Tensor, dim: int, index: Tensor, *, exactly: bool = False) -> int:
    """The dimension counted from the front. TypeError for an index of no integers, RuntimeError for another rank;
    unless `exactly`, a number is as good as a vector of one."""
    at = shape.dim_of(dim, input.ndim, name)
    if not isinstance(index, Tensor) or index.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: the index must be a tensor of integers, got {getattr(index, 'dtype', type(index).__name__)}"
        )
    ranks = [one.ndim if exactly else max(one.ndim, 1) for one in (index, input)]
    if ranks[0] != ranks[1]:
        raise RuntimeError(
            f"{name}: the index has {index.ndim} dimensions, the tensor {input.ndim}: they must be equal"
        )
    return at


def _check_fits(name: str, input: Tensor, at: int, index: Tensor) -> None:
    """RuntimeError for an index longer than the tensor beside `at`, IndexError for a place that there is not."""
    if any(size > whole for place, (size, whole) in enumerate(zip(index.shape, input.shape)) if place != at):
        raise RuntimeError(
            f"{name}: the index has shape {tuple(index.shape)}, the tensor {tuple(input.shape)}: except in dimension "
            f"{at} the index must not be larger"
        )
    _check_places(name, input, at, index._array, index._array)


def _check_places(name: str, input: Tensor, at: int, places: Array, given: Array) -> None:
    """IndexError for the first of the places that there is not, as it was given."""
    size = input.shape[at] if input.ndim else 1
    wrong = first_outside(places, size)
    if wrong is not None:
        raise IndexError(f"{name}: index {given[wrong]} is out of range for dimension {at} of size {size}")


def _line(tensor: Tensor) -> Tensor:
    """A number as a vector of one."""
    return tensor if tensor.ndim else shape.reshape(tensor, (1,))


@method()
def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """For each place in `index`, the element of `input` there along `dim`; elsewhere `index` may be smaller."""
    at = _checked("gather", input, dim, index)
    _check_fits("gather", input, at, index)
    if input.ndim == index.ndim:
        return gathered(input, index, dim=at)
    return shape.reshape(gathered(_line(input), _line(index), dim=at), index.shape)


@method()
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """As `gather`, with tensor and index stretched to each other's other sizes; places may count from the end.

    Without `dim`, both are taken as one row of elements.
    """
    if dim is None:
        input, indices, dim = shape.ravel(input), shape.ravel(indices), 0
    at = _checked("take_along_dim", input, dim, indices, exactly=True)
    row, given = _line(input), _line(indices).to(dtypes.int64)  # a small dtype may have no room for the size
    places = given + (given < 0) * row.shape[at]
    _check_places("take_along_dim", input, at, places._array, given._array)
    kept = [tuple([1 if place == at else size for place, size in enumerate(one.shape)]) for one in (row, places)]
    try:
        common = np.broadcast_shapes(*kept)
    except ValueError:
        raise shapes_do_not_broadcast("take_along_dim", kept) from None
    sizes = [[one.shape[at] if place == at else size for place, size in enumerate(common)] for one in (row, places)]
    result = gathered(shape.expand_sizes(row, sizes[0]), shape.expand_sizes(places, sizes[1]), dim=at)
    return result if indices.ndim else shape.reshape(result, ())


@primitive
def scattered(input: Array, index: Array, src: Array, *, dim: int) -> Array:
    """`input` with the elements along `dim` at the places in `index` replaced by `src`."""
    result = input.copy()
    result[_along(index, dim, namespace(input))] = src
    return result


@primitive
def zero_along(input: Array, index: Array, *, dim: int) -> Array:
    """`input` with zeros along `dim` at the places in `index`."""
    result = input.copy()
    result[_along(index, dim, namespace(input))] = 0
    return result


zero_along.vjp(input=lambda g, index, dim: zero_along(g, index, dim=dim))

scattered.vjp(
    input=lambda g, index, dim: zero_along(g, index, dim=dim),
    src=lambda g, index, dim: gathered(g, index, dim=dim),
)


def _source(name: str, src: Any, index: Tensor, input: Tensor) -> Tensor:
    """What to write, in the shape of `index`: one number everywhere, or the front of `src`."""
    if not isinstance(src, Tensor):
        return shape.expand_sizes(wrap(value_array(src, input)), *index.shape)
    src = _line(src)
    if src.ndim != index.ndim or any(size > whole for size, whole in zip(index.shape, src.shape)):
        raise RuntimeError(
            f"{name}: src has shape {tuple(src.shape)}, the index {tuple(index.shape)}: there must be an element of "
            f"src for each place"
        )
    return getitem(src, tuple([slice(0, size) for size in index.shape])).to(input.dtype)


@method(inplace=True)
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """`input` with elements along `dim` replaced at the places in `index` by those of `src`, or by one number."""
    if reduce is not None:
        raise RuntimeError(f"scatter: reduce={reduce!r} is not offered: use scatter_add for sums")
    at = _checked("scatter", input, dim, index)
    _check_fits("scatter", input, at, index)
    index = _line(index)
    source = _source("scatter", value if src is None else src, index, input)
    result = scattered(_line(input), index, source, dim=at)
    return result if input.ndim else shape.reshape(result, ())


@method(inplace=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`input` with the elements of `src` added along `dim` at the places in `index`."""
    at = _checked("scatter_add", input, dim, index)
    _check_fits("scatter_add", input, at, index)
    index = _line(index)
    source = _source("scatter_add", src, index, input)
    added = scatter_sum(source, index, shape=tuple(_line(input).shape), dim=at)
    return input + (added if input.ndim else shape.reshape(added, ()))
