"""In order: sort, argsort, topk, and what is unique. Values carry gradients to where they came from."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from minigrad.backend import Array, namespace
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor, wrap
from minigrad.ops import gathering, indexing, shape
from minigrad.ops.method import method

Sorted = namedtuple("Sorted", ["values", "indices"])


@primitive(outputs=("values", "indices"))
def sorted_along(input: Array, *, dim: int, descending: bool) -> Any:
    """The elements in order along `dim`, and where they were. Stable; NaN counts as largest."""
    xp = namespace(input)
    if not input.ndim:
        return input.copy(), xp.zeros((), np.int64)
    if descending:  # stable: reverse, sort upwards, reverse again
        order = xp.flip(input.shape[dim] - 1 - xp.argsort(xp.flip(input, dim), axis=dim, kind="stable"), dim)
    else:
        order = xp.argsort(input, axis=dim, kind="stable")
    return xp.take_along_axis(input, order, axis=dim), order.astype(np.int64)


sorted_along.vjp(
    input=lambda g_values, indices, input_shape, dim: gathering.scatter_sum(
        g_values, indices, shape=input_shape, dim=dim
    )
)


@method()
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Sorted:
    """(values, indices) in order along `dim`; always stable."""
    at = shape.dim_of(dim, input.ndim, "sort")
    return Sorted(*sorted_along(input, dim=at, descending=bool(descending)))


@method()
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The places of the elements in order along `dim`."""
    return sort(input.detach(), dim, descending).indices


@method()
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Sorted:
    """The `k` largest (or smallest) along `dim`, best first: (values, indices)."""
    at = shape.dim_of(dim, input.ndim, "topk")
    size = input.shape[at] if input.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"topk: k={k} is out of range for dimension {at} of size {size}")
    indices = sort(input.detach(), at, largest).indices
    if input.ndim:
        indices = indexing.narrow(indices, at, 0, k).contiguous()
    return Sorted(gathering.gather(input, at, indices), indices)


@method()
def unique(input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False) -> Any:
    """The different values, in order; with the place of each element among them, and how often each came, if asked."""
    xp = namespace(input._array)
    values, inverse, counts = xp.unique(input._array.reshape(-1), return_inverse=True, return_counts=True)
    result = [wrap(values)]
    if return_inverse:
        result.append(wrap(inverse.reshape(input.shape).astype(np.int64)))
    if return_counts:
        result.append(wrap(counts.astype(np.int64)))
    return result[0] if len(result) == 1 else tuple(result)
