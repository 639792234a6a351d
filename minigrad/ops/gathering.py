"""Along one dimension, with a place for each element: gather, scatter, take_along_dim."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.backend import Array, namespace
from minigrad.core.errors import shapes_do_not_broadcast
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor, wrap
from minigrad.ops import shape
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


def _checked(index: Tensor, input: Tensor, dim: int, name: str) -> int:
    at = shape.dim_of(dim, input.ndim, name)
    if not isinstance(index, Tensor) or index.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: the index must be a tensor of integers, got {getattr(index, 'dtype', type(index).__name__)}"
        )
    if max(index.ndim, 1) != max(input.ndim, 1):
        raise RuntimeError(
            f"{name}: the index has {index.ndim} dimensions, the tensor {input.ndim}: they must be equal"
        )
    size = input.shape[at] if input.ndim else 1
    places = index._array
    if isinstance(places, np.ndarray) and places.size and (places.min() < 0 or places.max() >= size):
        wrong = places[(places < 0) | (places >= size)].flat[0]
        raise IndexError(f"{name}: index {wrong} is out of range for dimension {at} of size {size}")
    return at


@method()
def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """For each place in `index`, the element of `input` there along `dim`; shapes may differ only in `dim`."""
    at = _checked(index, input, dim, "gather")
    return gathered(input, index, dim=at)


@method()
def take_along_dim(input: Tensor, indices: Tensor, dim: int) -> Tensor:
    """As `gather`, with tensor and index stretched to each other's other sizes; places may count from the end."""
    at = shape.dim_of(dim, input.ndim, "take_along_dim")
    if input.ndim != indices.ndim:
        raise RuntimeError(
            f"take_along_dim: the index has {indices.ndim} dimensions, the tensor {input.ndim}: they must be equal"
        )
    places = indices + (indices < 0).to(indices.dtype) * input.shape[at] if input.ndim else indices
    kept = [tuple([1 if place == at else size for place, size in enumerate(one.shape)]) for one in (input, indices)]
    try:
        common = np.broadcast_shapes(*kept)
    except ValueError:
        raise shapes_do_not_broadcast("take_along_dim", kept) from None
    sizes = [[one.shape[at] if place == at else size for place, size in enumerate(common)] for one in (input, indices)]
    return gather(shape.expand_sizes(input, sizes[0]), at, shape.expand_sizes(places, sizes[1]))


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


def _source(src: Any, index: Tensor, input: Tensor) -> Tensor:
    if not isinstance(src, Tensor):
        return shape.expand_sizes(wrap(value_array(src, input)), *index.shape)
    return getitem(src, tuple([slice(0, size) for size in index.shape])).to(input.dtype)


@method(inplace=True)
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """`input` with elements along `dim` replaced at the places in `index` by those of `src`, or by one number."""
    if reduce is not None:
        raise RuntimeError(f"scatter: reduce={reduce!r} is not offered: use scatter_add for sums")
    at = _checked(index, input, dim, "scatter")
    return scattered(input, index, _source(value if src is None else src, index, input), dim=at)


@method(inplace=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`input` with the elements of `src` added along `dim` at the places in `index`."""
    at = _checked(index, input, dim, "scatter_add")
    return input + scatter_sum(_source(src, index, input), index, shape=tuple(input.shape), dim=at)
