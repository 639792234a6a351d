"""Along a dimension: running sums and products, and differences."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array, namespace
from minigrad.core.fused import fused
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor
from minigrad.ops import conversion, indexing, joining, shape
from minigrad.ops.dims import checked
from minigrad.ops.method import method
from minigrad.ops.reduction import products_before, takes_dtype


def _dtype(input: Array) -> Any:
    return "int64" if input.dtype.kind in "biu" else input.dtype


@primitive
def cumsum(input: Array, dim: int) -> Array:
    """The sum of the elements up to each one along `dim`. Whole numbers and bools are summed in int64."""
    at = checked(dim, input.ndim)
    return input.cumsum(at, dtype=_dtype(input)) if input.ndim else input.astype(_dtype(input))


def _sums_from_the_end(g: Any, dim: int) -> Any:
    if not g.ndim:
        return g
    back = (checked(dim, g.ndim),)
    return shape.flipped(cumsum(shape.flipped(g, dims=back), dim), dims=back)


cumsum.vjp(input=lambda g, dim: _sums_from_the_end(g, dim))
method(called="cumsum", inplace=True)(takes_dtype(cumsum))


@method()
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Each element along `dim` less the one before it, `n` times over; each time one element fewer remains.

    `prepend` and `append` are joined on first, unless `n` is 0, which gives a copy. RuntimeError for a 0-d tensor, a
    negative `n`, and something to join that does not fit.
    """
    if not input.ndim or n < 0:
        raise RuntimeError(f"diff: needs a dimension and n >= 0, got shape {tuple(input.shape)} and n={n}")
    at = checked(dim, input.ndim)
    for name, part in (("prepend", prepend), ("append", append)):
        if part is not None and not isinstance(part, Tensor):
            raise TypeError(
                f"diff: {name} must be a Tensor, got {type(part).__name__}: make one with minigrad.tensor()"
            )
        if part is not None and _beside(part, at) != _beside(input, at):
            raise RuntimeError(
                f"diff: {name} has shape {tuple(part.shape)}, the tensor {tuple(input.shape)}: except in dim {at} "
                f"they must be equal"
            )
    if not n:
        return conversion.clone(input)
    parts = [part for part in (prepend, input, append) if part is not None]
    result = joining.cat(parts, at) if len(parts) > 1 else input
    for _ in range(min(n, result.shape[at])):
        size = result.shape[at] - 1
        result = indexing.narrow(result, at, 1, size) - indexing.narrow(result, at, 0, size)
    return result


def _beside(tensor: Tensor, at: int) -> tuple[int, ...]:
    """The shape, with -1 in dimension `at`."""
    return tuple([-1 if place == at else size for place, size in enumerate(tensor.shape)])


def cumprod_by_doubling(input: Tensor, dim: int) -> Tensor:
    """Running products in log2(n) steps, each of which doubles how far back they reach; right at zeros, too."""
    at = checked(dim, input.ndim)
    result, reach = input, 1
    size = input.shape[at] if input.ndim else 1
    while reach < size:
        begun = indexing.narrow(result, at, 0, reach)
        longer = indexing.narrow(result, at, reach, size - reach) * indexing.narrow(result, at, 0, size - reach)
        result, reach = joining.cat([begun, longer], at), 2 * reach
    return result


@fused(composite=cumprod_by_doubling)
def cumprod(input: Array, dim: int, *, keep: bool) -> Any:
    """The product of the elements up to each one along `dim`. Whole numbers and bools are multiplied in int64."""
    at = checked(dim, input.ndim)
    result = input.cumprod(at, dtype=_dtype(input)) if input.ndim else input.astype(_dtype(input))
    return result, (input, at) if keep else None


@cumprod.backward
def _cumprod_backward(residuals: Any, g: Array, needs: Any) -> Any:
    """x[i] is a factor of every result from i on. Without dividing, for x may be 0:

    dx[i] = x[0] … x[i-1] s[i]   with   s[i] = g[i] + x[i+1] s[i+1]
    """
    input, dim = residuals
    if not input.ndim:
        return (g,)
    xp = namespace(input)
    lanes = xp.moveaxis(input, dim, -1)
    return (xp.moveaxis(products_before(lanes) * _weighted_sums(lanes, xp.moveaxis(g, dim, -1)), -1, dim),)


def _weighted_sums(lanes: Array, g: Array) -> Array:
    """s[i] = g[i] + x[i+1] s[i+1] along the last dimension, in log2(n) steps that each double how far they look."""
    xp = namespace(lanes)
    sums, factors, reach = g.copy(), xp.ones_like(lanes), 1
    factors[..., :-1] = lanes[..., 1:]
    while reach < lanes.shape[-1]:  # factors[i] is x[i+1] … x[i+reach], as far as these exist
        sums[..., :-reach] += factors[..., :-reach] * sums[..., reach:]
        factors[..., :-reach] *= factors[..., reach:].copy()
        reach *= 2
    return sums


method(called="cumprod", inplace=True)(takes_dtype(cumprod))
