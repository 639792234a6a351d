"""The largest, the smallest, the middle one, and where they are.

Over everything, or several dimensions, elements that tie share the gradient. Along one dimension the result names an
index, and the element there gets it all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import Array, namespace
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor
from minigrad.ops import gathering
from minigrad.ops.arithmetic import maximum, minimum
from minigrad.ops.dims import Dims, axes, checked, kept
from minigrad.ops.method import method


class ValuesAndIndices(NamedTuple):
    """What an op along one dimension found, and where."""

    values: Tensor
    indices: Tensor


# ---- over everything, or several dimensions -------------------------------------------------------------------------


@method()
@primitive
def amax(input: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    """The largest element over `dim`; NaN if there is one. Elements that tie share the gradient."""
    return input.max(axis=axes(dim, input.ndim), keepdims=keepdim)


@method()
@primitive
def amin(input: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    """The smallest element over `dim`; NaN if there is one. Elements that tie share the gradient."""
    return input.min(axis=axes(dim, input.ndim), keepdims=keepdim)


@primitive
def shares(input: Array, best: Array, *, dim: Dims) -> Array:
    """1/n at each of the n elements that equal the best one over `dim` (all NaN are one), and 0 elsewhere.

    `best` has the input's shape with size 1 in `dim`.
    """
    tied = (input == best) | namespace(input).isnan(input)
    return tied.astype(input.dtype) / tied.sum(axis=axes(dim, input.ndim), keepdims=True, dtype=input.dtype)


_shared_gradient = {
    "input": lambda g, ans, input, input_shape, dim: (
        g.reshape(kept(input_shape, dim)) * shares(input, ans.reshape(kept(input_shape, dim)), dim=dim)
    )
}
amax.vjp(**_shared_gradient)
amin.vjp(**_shared_gradient)

# ---- along one dimension --------------------------------------------------------------------------------------------


@method()
@primitive
def argmax(input: Array, dim: int | None = None, keepdim: bool = False) -> Array:
    """The index of the largest element along `dim`, or in the flattened tensor; the first of several, int64."""
    return _arg(namespace(input).argmax, input, dim, keepdim)


@method()
@primitive
def argmin(input: Array, dim: int | None = None, keepdim: bool = False) -> Array:
    """The index of the smallest element along `dim`, or in the flattened tensor; the first of several, int64."""
    return _arg(namespace(input).argmin, input, dim, keepdim)


def _arg(find: Any, input: Array, dim: int | None, keepdim: bool) -> Array:
    at = None if dim is None else checked(dim, input.ndim)
    return find(input, axis=at if input.ndim else None, keepdims=keepdim).astype(np.int64)


@primitive(outputs=("values", "indices"))
def max_along(input: Array, *, dim: int, keepdim: bool) -> Any:
    """The largest elements along `dim` and their indices."""
    return _taken(input, namespace(input).argmax(input, axis=dim if input.ndim else None, keepdims=True), dim, keepdim)


@primitive(outputs=("values", "indices"))
def min_along(input: Array, *, dim: int, keepdim: bool) -> Any:
    """The smallest elements along `dim` and their indices."""
    return _taken(input, namespace(input).argmin(input, axis=dim if input.ndim else None, keepdims=True), dim, keepdim)


@primitive(outputs=("values", "indices"))
def ranked(input: Array, *, rank: int, dim: int, keepdim: bool, nan_wins: bool) -> Any:
    """The elements that would be at `rank` if `dim` were sorted, and their indices. NaN is the largest number.

    With `nan_wins` a NaN is taken wherever there is one.
    """
    xp = namespace(input)
    if not input.ndim:
        return input.copy(), xp.zeros((), np.int64)
    order = xp.argpartition(input, rank, axis=dim)
    places = order[(slice(None),) * dim + (slice(rank, rank + 1),)]
    if nan_wins and input.dtype.kind == "f":
        nan = xp.isnan(input)
        places = xp.where(nan.any(axis=dim, keepdims=True), xp.argmax(nan, axis=dim, keepdims=True), places)
    return _taken(input, places, dim, keepdim)


def _taken(input: Array, places: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
    """The elements at `places`, which have size 1 in `dim`, and the places."""
    values = namespace(input).take_along_axis(input, places, axis=dim) if input.ndim else input.copy()
    places = places.astype(np.int64)
    if keepdim or not input.ndim:
        return values, places
    rest = input.shape[:dim] + input.shape[dim + 1 :]
    return values.reshape(rest), places.reshape(rest)


@primitive
def placed(src: Array, indices: Array, *, sizes: tuple[int, ...], dim: int) -> Array:
    """Zeros of the shape `sizes` with the elements of `src`, which has size 1 in `dim`, at the indices along it."""
    if not sizes:
        return src.copy()
    xp = namespace(src)
    result = xp.zeros(sizes, src.dtype)
    grid = list(xp.meshgrid(*[xp.arange(size) for size in src.shape], indexing="ij", sparse=True))
    grid[dim] = indices
    result[tuple(grid)] = src
    return result


placed.vjp(src=lambda g, indices, dim: gathering.gathered(g, indices, dim=dim))

_chosen_gradient = {
    "input": lambda g_values, indices, input_shape, dim: placed(
        g_values.reshape(kept(input_shape, dim)), indices.reshape(kept(input_shape, dim)), sizes=input_shape, dim=dim
    )
}
max_along.vjp(**_chosen_gradient)
min_along.vjp(**_chosen_gradient)
ranked.vjp(**_chosen_gradient)

# ---- PyTorch's overloads --------------------------------------------------------------------------------------------


@method()
def max(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    other: Any = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """The largest element; with `dim`, (values, indices) along it; with another tensor, the larger of both."""
    if isinstance(dim, Tensor) or other is not None:
        return maximum(input, dim if other is None else other)
    at = dim if axis is None else axis
    if at is None:
        return amax(input)
    return ValuesAndIndices(*max_along(input, dim=_one(at, input, "max"), keepdim=keepdim or keepdims))


@method()
def min(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    other: Any = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """The smallest element; with `dim`, (values, indices) along it; with another tensor, the smaller of both."""
    if isinstance(dim, Tensor) or other is not None:
        return minimum(input, dim if other is None else other)
    at = dim if axis is None else axis
    if at is None:
        return amin(input)
    return ValuesAndIndices(*min_along(input, dim=_one(at, input, "min"), keepdim=keepdim or keepdims))


def _one(dim: Any, input: Tensor, name: str) -> int:
    """The one dimension to go along, counted from the front, with something in it."""
    if not isinstance(dim, int):
        raise TypeError(f"{name}: dim must be one dimension, got {dim!r}: a{name}() takes several")
    try:
        at = checked(dim, input.ndim)
    except IndexError as error:
        raise IndexError(f"{name}: {error}") from None
    if input.ndim and not input.shape[at]:
        raise IndexError(f"{name}: dimension {at} of shape {tuple(input.shape)} has no element to name")
    return at


@method()
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element (the lower of two); with `dim` (values, indices) along it. NaN if there is one."""
    if dim is None:
        return median(input.reshape(-1), 0).values
    at = _one(dim, input, "median")
    size = input.shape[at] if input.ndim else 1
    return ValuesAndIndices(*ranked(input, rank=(size - 1) // 2, dim=at, keepdim=keepdim, nan_wins=True))


@method()
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """(values, indices) of the k-th smallest elements along `dim`, counted from 1. NaN counts as the largest."""
    at = _one(dim, input, "kthvalue")
    size = input.shape[at] if input.ndim else 1
    if not 1 <= k <= size:
        raise RuntimeError(f"kthvalue: k={k} is out of range for dimension {at} of size {size}")
    return ValuesAndIndices(*ranked(input, rank=k - 1, dim=at, keepdim=keepdim, nan_wins=False))
