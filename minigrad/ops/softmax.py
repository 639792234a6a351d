"""The softmax family, each in the form that cannot overflow.

The derivatives of softmax and log_softmax are primitives, too, so that each runs as one kernel and has its own rules.
"""

from __future__ import annotations

from typing import Any

from minigrad import kernels
from minigrad.backend import Array, namespace
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor
from minigrad.ops import elementwise
from minigrad.ops.dims import Dims, axes, checked, kept, remaining
from minigrad.ops.method import method


def _kernel(name: str, dim: int, *arrays: Array) -> Array:
    """Run a kernel along `dim`; a number counts as one element in one dimension."""
    kernel = getattr(kernels.of(arrays[0]), name)
    at = checked(dim, arrays[0].ndim)
    if arrays[0].ndim:
        return kernel(*arrays, at)
    return kernel(*[array.reshape(1) for array in arrays], dim).reshape(())


# ---- softmax --------------------------------------------------------------------------------------------------------


@primitive(promote="float")
def softmax(input: Array, dim: int) -> Array:
    """exp(input) over its sum along `dim`."""
    return _kernel("softmax", dim, input)


@primitive
def softmax_backward(flow: Array, result: Array, dim: int) -> Array:
    """p (f - sum p f), the gradient of softmax's input from its result p and the gradient f that flows in."""
    return _kernel("softmax_backward", dim, flow, result)


softmax.vjp(input=lambda g, ans, dim: softmax_backward(g, ans, dim))
softmax_backward.vjp(
    flow=lambda g, result, dim: softmax_backward(g, result, dim),
    result=lambda g, flow, result, dim: (
        g * (flow - (flow * result).sum(dim, keepdims=True)) - flow * (g * result).sum(dim, keepdims=True)
    ),
)


@method(called="softmax")
def softmax_as(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(input) over its sum along `dim`: probabilities. With `dtype` the input is converted first."""
    return softmax(input if dtype is None else input.to(dtype), dim)


# ---- log_softmax ----------------------------------------------------------------------------------------------------


@primitive(promote="float")
def log_softmax(input: Array, dim: int) -> Array:
    """The logarithm of softmax along `dim`, exact where a probability would round to 0."""
    return _kernel("log_softmax", dim, input)


@primitive
def log_softmax_backward(flow: Array, result: Array, dim: int) -> Array:
    """f - exp(l) sum f, the gradient of log_softmax's input from its result l and the gradient f that flows in."""
    return _kernel("log_softmax_backward", dim, flow, result)


log_softmax.vjp(input=lambda g, ans, dim: log_softmax_backward(g, ans, dim))
log_softmax_backward.vjp(
    flow=lambda g, result, dim: g - (g * elementwise.exp(result)).sum(dim, keepdims=True),
    result=lambda g, flow, result, dim: -g * elementwise.exp(result) * flow.sum(dim, keepdims=True),
)


@method(called="log_softmax")
def log_softmax_as(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """The logarithm of softmax along `dim`. With `dtype` the input is converted first."""
    return log_softmax(input if dtype is None else input.to(dtype), dim)


# ---- logsumexp ------------------------------------------------------------------------------------------------------


@method()
@primitive(promote="float")
def logsumexp(input: Array, dim: Dims, keepdim: bool = False) -> Array:
    """log(sum(exp(input))) over `dim`, with the maximum taken out first."""
    xp = namespace(input)
    axis = axes(dim, input.ndim)
    top = input.max(axis=axis, keepdims=True) if input.size else xp.zeros(kept(input.shape, dim), input.dtype)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))  # an infinity less itself would be nan
    total = xp.log(xp.exp(input - top).sum(axis=axis, keepdims=True)) + top
    return total.reshape(remaining(input.shape, dim, keepdim))


logsumexp.vjp(
    input=lambda g, ans, input, input_shape, dim: (
        g.reshape(kept(input_shape, dim)) * elementwise.exp(input - ans.reshape(kept(input_shape, dim)))
    )
)
