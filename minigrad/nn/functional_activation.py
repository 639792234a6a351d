"""Activation functions written in primitives.

Two traps are avoided throughout. A branch of `where` that is not chosen still gets a gradient of 0, and 0 times the
infinite slope of an overflowed exp is nan: so the argument is bounded before it goes there. And at a kink the slope is
PyTorch's, which is mostly that of the flat side.
"""

from __future__ import annotations

import math

from minigrad.core.inplace import in_place
from minigrad.core.tensor import Tensor
from minigrad.ops.comparison import where
from minigrad.ops.elementwise import expm1, logsigmoid, sigmoid, sign, tanh
from minigrad.ops.special import erf

_SELU_ALPHA = 1.6732632423543772  # Klambauer et al., NeurIPS 2017: the fixed point of mean 0 and variance 1
_SELU_SCALE = 1.0507009873554805


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x above 0, negative_slope * x below."""
    if inplace:
        return in_place(input, leaky_relu, negative_slope)
    return where(input > 0, input, input * negative_slope)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """leaky_relu with a learned slope: one for all (1), or one for each channel, dimension 1 of the input.

    Raises RuntimeError for another number of slopes (He et al., ICCV 2015).
    """
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or weight.numel() not in (1, channels):
        raise RuntimeError(
            f"prelu: there must be 1 slope or one for each of the {channels} channels, got {weight.numel()} of shape "
            f"{tuple(weight.shape)} with an input of shape {tuple(input.shape)}"
        )
    if weight.numel() == 1:
        weight = weight.reshape(())
    else:
        weight = weight.reshape((1, channels) + (1,) * (input.ndim - 2))
    return where(input > 0, input, input * weight)


def _exponential_below(input: Tensor, alpha: float) -> Tensor:
    """alpha * (e^x - 1) for x below 0, and its value at 0 above, where exp might overflow."""
    return expm1(where(input > 0, 0.0, input)) * alpha


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x above 0, alpha * (e^x - 1) below (Clevert et al., ICLR 2016)."""
    if inplace:
        return in_place(input, elu, alpha)
    return where(input > 0, input, _exponential_below(input, alpha))


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x above 0, alpha * (e^(x / alpha) - 1) below, so that the slope is continuous (Barron 2017)."""
    if inplace:
        return in_place(input, celu, alpha)
    if not alpha:
        raise ZeroDivisionError("celu: alpha must not be 0, for x is divided by it")
    return where(input > 0, input, expm1(where(input > 0, 0.0, input) / alpha) * alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """elu, scaled so that mean 0 and variance 1 are kept (Klambauer et al., NeurIPS 2017)."""
    if inplace:
        return in_place(input, selu)
    return elu(input, _SELU_ALPHA) * _SELU_SCALE


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function at x (Hendrycks & Gimpel 2016); "tanh" takes their approximation."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    if approximate == "none":
        return input * ((erf(input * math.sqrt(0.5)) + 1) * 0.5)
    inner = (input + input * input * input * 0.044715) * math.sqrt(2 / math.pi)
    return input * (tanh(inner) + 1) * 0.5


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x), also called swish."""
    if inplace:
        return in_place(input, silu)
    return input * sigmoid(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)) (Misra 2019)."""
    if inplace:
        return in_place(input, mish)
    return input * tanh(softplus(input))


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, and x itself where beta * x is above `threshold`."""
    scaled = input * beta
    return where(scaled > threshold, input, logsigmoid(-scaled) / -beta)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along `dim` times the sigmoid of the second (Dauphin et al., ICML 2017)."""
    if input.shape[dim] % 2:
        raise RuntimeError(f"glu: dimension {dim} is to be halved, and its size is odd: {input.shape[dim]}")
    value, gate = input.chunk(2, dim)
    return value * sigmoid(gate)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x cut off at min_val and max_val. The slope at both is 0, unlike clamp's."""
    if inplace:
        return in_place(input, hardtanh, min_val, max_val)
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val must not be above max_val, got {min_val} and {max_val}")
    inside = (input > min_val).logical_and(input < max_val)
    return where(inside, input, input.detach().clamp(min_val, max_val)).to(input.dtype)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """x cut off at 0 and 6."""
    if inplace:
        return in_place(input, relu6)
    return hardtanh(input, 0.0, 6.0)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """x / 6 + 1/2, cut off at 0 and 1 (Howard et al., ICCV 2019)."""
    if inplace:
        return in_place(input, hardsigmoid)
    return relu6(input + 3) / 6


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x) (Howard et al., ICCV 2019)."""
    if inplace:
        return in_place(input, hardswish)
    inside = where(input.abs() >= 3, 0.0, input)  # for an infinity has no product with the 0 that flows back
    bent = where(input >= 3, input, inside * (inside + 3) / 6)
    return where(input <= -3, 0.0, bent)  # NaN stays NaN


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x, and 0 between -lambd and lambd."""
    return where(input.abs() <= lambd, 0.0, input)  # NaN stays NaN


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by lambd, and 0 between -lambd and lambd."""
    if not lambd >= 0:
        raise RuntimeError(f"softshrink: lambd must be at least 0, got {lambd}")
    return hardshrink(input, lambd) - sign(input) * (input.abs() > lambd).to(input.dtype) * lambd


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    return input - tanh(input)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (input.abs() + 1)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x above `threshold`, `value` elsewhere."""
    if inplace:
        return in_place(input, _threshold, threshold, value)
    return _threshold(input, threshold, value)


def _threshold(input: Tensor, level: float, value: float) -> Tensor:
    return where(input > level, input, value).to(input.dtype)
