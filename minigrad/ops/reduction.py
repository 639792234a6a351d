"""Fewer elements come out: sums, means, products, spreads, norms, and whether any or all hold.

`dim` is None (everything), a dimension or several; `keepdim` keeps them with size 1. NumPy's `axis` and `keepdims` are
taken, too.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.backend import Array, namespace
from minigrad.core import dtypes
from minigrad.core.fused import fused
from minigrad.core.modes import quiet
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor
from minigrad.ops import indexing, joining
from minigrad.ops.arithmetic import pow
from minigrad.ops.comparison import ne
from minigrad.ops.dims import Dims, axes, checked, count, kept, remaining, stretch
from minigrad.ops.elementwise import abs, sign, zeros_of
from minigrad.ops.extremum import amax, amin
from minigrad.ops.method import method


def takes_dtype(op: Any) -> Callable[..., Any]:
    """PyTorch's `dtype=` beside an op: the input is converted first, so that nothing overflows."""

    @functools.wraps(op, updated=())
    def converting(input: Tensor, *args: Any, dtype: Any = None, **settings: Any) -> Any:
        return op(input if dtype is None else input.to(dtype), *args, **settings)

    return converting


def accumulator(input: Array) -> Any:
    """The dtype sums are made in: int64 for whole numbers and bools; float32 for float16, as far as it goes."""
    if input.dtype.kind in "biu":
        return dtypes.int64
    return dtypes.float32 if input.dtype == dtypes.float16 else input.dtype


def _in_half(result: Array, input: Array) -> Array:
    """A result accumulated in float32 for float16 input goes back to it."""
    return result.astype(input.dtype) if input.dtype == dtypes.float16 else result


def _sum(input: Array, dim: Dims, keepdim: bool, dtype: Any = None) -> Array:
    with quiet():
        return input.sum(axis=axes(dim, input.ndim), dtype=dtype, keepdims=keepdim)


# ---- sums and means -------------------------------------------------------------------------------------------------


@primitive
def sum(input: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    """The sum over `dim`. Whole numbers and bools are summed in int64."""
    return _in_half(_sum(input, dim, keepdim, accumulator(input)), input)


sum.vjp(input=lambda g, input_shape, dim: stretch(g, input_shape, dim))
method(called="sum")(takes_dtype(sum))


@primitive
def mean(input: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    """The mean over `dim`; NaN of no elements. Floating point only."""
    if input.dtype.kind not in "fc":
        raise ValueError(f"the mean of {input.dtype} numbers is no {input.dtype} number: convert with .float() first")
    total = _sum(input, dim, keepdim, accumulator(input))
    return _in_half(total / count(input.shape, dim), input)


mean.vjp(input=lambda g, input_shape, dim: stretch(g / count(input_shape, dim), input_shape, dim))
method(called="mean")(takes_dtype(mean))

# ---- products -------------------------------------------------------------------------------------------------------


def prod_by_halves(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The product as a tree of multiplications, which has the right derivatives of every order at zeros, too."""
    factors, at = (input.reshape(-1), 0) if dim is None else (input, checked(dim, input.ndim))
    factors = factors if factors.ndim else factors.reshape(1)
    size = factors.shape[at]
    while size > 1:
        half = size // 2
        pairs = indexing.narrow(factors, at, 0, half) * indexing.narrow(factors, at, half, half)
        rest = indexing.narrow(factors, at, 2 * half, size - 2 * half)
        factors, size = joining.cat([pairs, rest], at), size - half
    # The sum over the one factor that is left; over none it is 0, and the product of nothing is 1.
    result = sum(factors, at).reshape(remaining(input.shape, dim, keepdim))
    return result if size else result + 1


@fused(composite=prod_by_halves)
def prod(input: Array, dim: int | None = None, keepdim: bool = False, *, keep: bool) -> Any:
    """The product over `dim`; of nothing it is 1. Whole numbers and bools are multiplied in int64."""
    result = input.prod(axis=axes(dim, input.ndim), dtype=accumulator(input), keepdims=keepdim)
    return namespace(input).asarray(_in_half(result, input)), (input, dim) if keep else None


@prod.backward
def _prod_backward(residuals: Any, g: Array, needs: Any) -> Any:
    """g times the product of all other factors: those before and those after, which divides by nothing."""
    input, dim = residuals
    xp = namespace(input)
    lanes = input.reshape(-1) if dim is None or not input.ndim else xp.moveaxis(input, dim, -1)
    others = products_before(lanes) * xp.flip(products_before(xp.flip(lanes, -1)), -1)
    whole = others.reshape(input.shape) if dim is None or not input.ndim else xp.moveaxis(others, -1, dim)
    return (whole * g.reshape(kept(input.shape, dim)),)


def products_before(lanes: Array) -> Array:
    """For each element of the last dimension the product of those before it; 1 for the first."""
    xp = namespace(lanes)
    result = xp.ones_like(lanes)
    result[..., 1:] = lanes[..., :-1].cumprod(axis=-1)
    return result


method(called="prod")(takes_dtype(prod))

# ---- spreads --------------------------------------------------------------------------------------------------------


def _per_freedom(sizes: tuple[int, ...], dim: Dims, correction: float) -> float:
    """1 / (n - correction); infinite where there are no degrees of freedom, so that 0 times it is NaN."""
    freedom = count(sizes, dim) - correction
    return 1 / freedom if freedom > 0 else math.inf


@primitive
def variance(input: Array, *, dim: Dims, correction: float, keepdim: bool) -> Array:
    """The mean square distance from the mean, for n elements over n - correction."""
    if input.dtype.kind != "f":
        raise ValueError(f"the spread of {input.dtype} numbers is not defined here: convert with .float() first")
    wide = input.astype(accumulator(input), copy=False)
    centred = wide - _sum(wide, dim, keepdim=True) / count(input.shape, dim)
    total = _sum(centred * centred, dim, keepdim)
    return _in_half(total * _per_freedom(input.shape, dim, correction), input)


variance.vjp(
    input=lambda g, input, input_shape, dim, correction: (
        (g * (2 * _per_freedom(input_shape, dim, correction))).reshape(kept(input_shape, dim))
        * (input - mean(input, dim, True))
    )
)


@primitive
def deviation(input: Array, *, dim: Dims, correction: float, keepdim: bool) -> Array:
    """The square root of the variance."""
    return namespace(input).sqrt(variance(input, dim=dim, correction=correction, keepdim=keepdim))


deviation.vjp(
    # Where the deviation is 0, so is every distance from the mean, and the gradient is taken as 0.
    input=lambda g, ans, input, input_shape, dim, correction: (
        (g / (ans + (ans == 0)) * _per_freedom(input_shape, dim, correction)).reshape(kept(input_shape, dim))
        * (input - mean(input, dim, True))
    )
)


@method()
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance over `dim`: for n elements the sum of squared distances from the mean, over n - correction.

    `correction` is 1 (Bessel's), or 0 with `unbiased=False`. With no degree of freedom left the result is NaN.
    """
    return variance(input, **_spread_settings(dim, unbiased, keepdim, correction))


@method()
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The standard deviation over `dim`, the square root of `var`."""
    return deviation(input, **_spread_settings(dim, unbiased, keepdim, correction))


def _spread_settings(dim: Any, unbiased: bool | None, keepdim: bool, correction: float | None) -> dict[str, Any]:
    if isinstance(dim, bool):  # PyTorch's x.var(False)
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError("give either unbiased or correction, which say the same")
    if correction is None:
        correction = 0 if unbiased is False else 1
    return {"dim": dim, "correction": correction, "keepdim": keepdim}


# ---- norms ----------------------------------------------------------------------------------------------------------


@primitive
def norm_2(input: Array, *, dim: Dims, keepdim: bool) -> Array:
    """The root of the sum of squares."""
    wide = input.astype(accumulator(input), copy=False)
    total = _sum(wide * wide, dim, keepdim)
    return _in_half(namespace(input).sqrt(total), input)


norm_2.vjp(
    # Where the norm is 0, so is the input, and the gradient is taken as 0.
    input=lambda g, ans, input, input_shape, dim: input * (g / (ans + (ans == 0))).reshape(kept(input_shape, dim))
)


@primitive
def norm_p(input: Array, *, p: float, dim: Dims, keepdim: bool) -> Array:
    """The p-th root of the sum of p-th powers of the absolute values."""
    wide = namespace(input).abs(input).astype(accumulator(input), copy=False)
    return _in_half(_sum(wide**p, dim, keepdim) ** (1 / p), input)


norm_p.vjp(
    # sign(x) (|x| / norm)^(p - 1); 0^(p - 1) may be infinite, so 1 stands for a 0, whose sign makes the gradient 0.
    input=lambda g, ans, input, input_shape, p, dim: (
        (g / pow(ans + (ans == 0), p - 1)).reshape(kept(input_shape, dim))
        * (sign(input) * pow(abs(input) + (input == 0), p - 1))
    )
)


@method()
def norm(input: Tensor, p: Any = "fro", dim: Dims = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The vector norm of the elements over `dim`: `p` is "fro" or 2 (Euclid), 1, another number, inf or -inf.

    p = 0 counts the elements other than 0. RuntimeError for whole numbers and for p = "nuc".
    """
    if dtype is not None:
        input = input.to(dtype)
    if not dtypes.is_floating(input.dtype):
        raise RuntimeError(f"norm: a {input.dtype} tensor has no norm here: convert it with .float()")
    if p is None or p == "fro" or p == 2:
        return norm_2(input, dim=dim, keepdim=keepdim)
    if not isinstance(p, (int, float)):
        raise RuntimeError(f"norm: p is 'fro' or a number, not {p!r}")
    if p == 1:
        return sum(abs(input), dim, keepdim)
    if p == 0:
        return sum(ne(input, 0).to(input.dtype) + zeros_of(input), dim, keepdim)  # in the graph, with gradient 0
    if math.isinf(p):
        return (amax if p > 0 else amin)(abs(input), dim, keepdim)
    return norm_p(input, p=p, dim=dim, keepdim=keepdim)


# ---- whether, and how many ------------------------------------------------------------------------------------------


def _axes_of_truth(dim: Dims, ndim: int) -> tuple[int, ...] | None:
    """As `axes`; but here no dimensions are none, and not all."""
    return () if dim is not None and not isinstance(dim, int) and not len(dim) else axes(dim, ndim)


@method()
@primitive
def any(input: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    """Whether any element is true, or not 0, as a bool (uint8 for uint8); with `dim=()`, of each element alone."""
    found = input.any(axis=_axes_of_truth(dim, input.ndim), keepdims=keepdim)
    return found.astype(np.uint8) if input.dtype == np.uint8 else found


@method()
@primitive
def all(input: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    """Whether all elements are true, or not 0, as a bool (uint8 for uint8); with `dim=()`, of each element alone."""
    found = input.all(axis=_axes_of_truth(dim, input.ndim), keepdims=keepdim)
    return found.astype(np.uint8) if input.dtype == np.uint8 else found


@method()
@primitive
def count_nonzero(input: Array, dim: Dims = None) -> Array:
    """How many elements are not 0, as int64."""
    return (input != 0).sum(axis=axes(dim, input.ndim), dtype=np.int64)
