"""Layer normalisation, and its sister that leaves the mean alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.backend import Array, namespace
from minigrad.core.fused import fused
from minigrad.core.tensor import Tensor


def layer_norm_in_primitives(
    input: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, dims: int, eps: float
) -> Tensor:
    """The last `dims` dimensions of `input` with mean 0 and variance 1, then times `weight` plus `bias`."""
    over = tuple(range(input.ndim - dims, input.ndim))
    centred = input - input.mean(over, keepdim=True)
    variance = (centred * centred).mean(over, keepdim=True)
    result = centred / (variance + eps).sqrt()
    if weight is not None:
        result = result * weight
    return result if bias is None else result + bias


@fused(composite=layer_norm_in_primitives)
def layer_norm_last(
    input: Array, weight: Array = None, bias: Array = None, *, dims: int, eps: float, keep: bool
) -> Any:
    """The last `dims` dimensions of `input` with mean 0 and variance 1, then times `weight` plus `bias`."""
    xp, shape = namespace(input), input.shape
    rows = input.reshape(math.prod(shape[:-dims]), math.prod(shape[-dims:]))  # N, D
    normal = rows - rows.mean(axis=1, keepdims=True)
    variance = xp.einsum("nd,nd->n", normal, normal) / rows.shape[1]
    inverse = (1 / xp.sqrt(variance + eps))[:, None]
    normal *= inverse
    result = normal.copy() if weight is None else normal * weight.reshape(-1)
    if bias is not None:
        result += bias.reshape(-1)
    return result.reshape(shape), (normal, inverse, weight, shape, shape[-dims:]) if keep else None


@layer_norm_last.backward
def _layer_norm_backward(residuals: Any, g: Array, needs: tuple[bool, ...]) -> Sequence[Any]:
    """With n the normalised input and h = g weight: d_input = (h - mean h - n mean(h n)) / deviation."""
    normal, inverse, weight, shape, sizes = residuals
    xp, D = namespace(g), normal.shape[1]
    rows = g.reshape(normal.shape)  # N, D
    d_input = d_weight = d_bias = None
    if needs[0]:
        d_input = rows.copy() if weight is None else rows * weight.reshape(-1)
        along = xp.einsum("nd,nd->n", d_input, normal)[:, None] / D
        d_input -= d_input.mean(axis=1, keepdims=True)
        d_input -= normal * along
        d_input *= inverse
        d_input = d_input.reshape(shape)
    if needs[1]:
        d_weight = xp.einsum("nd,nd->d", rows, normal).reshape(sizes)
    if needs[2]:
        d_bias = rows.sum(axis=0).reshape(sizes)
    return d_input, d_weight, d_bias


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Layer normalisation (Ba et al. 2016), as `torch.nn.functional.layer_norm`.

    The last dimensions of `input`, which `normalized_shape` names, get mean 0 and variance 1, and are then scaled and
    shifted by `weight` and `bias` of that shape. Raises RuntimeError where shapes or dtypes do not fit.
    """
    dims = _normalized_dims("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return layer_norm_last(input, weight, bias, dims=dims, eps=eps)


def rms_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Root mean square normalisation (Zhang & Sennrich, NeurIPS 2019), as `torch.nn.functional.rms_norm`.

    The last dimensions of `input`, which `normalized_shape` names, are divided by the root of their mean square plus
    `eps` (by default the spacing of the dtype's numbers at 1), and then scaled by `weight` of that shape. Raises
    RuntimeError where shapes or dtypes do not fit.
    """
    dims = _normalized_dims("rms_norm", input, normalized_shape, weight=weight)
    over = tuple(range(input.ndim - dims, input.ndim))
    spacing = float(np.finfo(input.dtype).eps) if eps is None else eps
    result = input / (input.square().mean(over, keepdim=True) + spacing).sqrt()
    return result if weight is None else result * weight


def _normalized_dims(name: str, input: Tensor, normalized_shape: int | Sequence[int], **affine: Tensor | None) -> int:
    """How many dimensions are normalised, once they are found to be the last of `input` and the shape of the others."""
    sizes = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not sizes or tuple(input.shape[-len(sizes) :]) != sizes or not math.prod(sizes):
        raise RuntimeError(
            f"{name}: input {tuple(input.shape)} must end in normalized_shape {sizes}, which needs at least one "
            f"dimension and no size 0"
        )
    for word, given in affine.items():
        if given is not None and (tuple(given.shape) != sizes or given.dtype != input.dtype):
            raise RuntimeError(
                f"{name}: {word} is {given.dtype} of shape {tuple(given.shape)}, with input {input.dtype} and "
                f"normalized_shape {sizes} it must be {input.dtype} of shape {sizes}"
            )
    return len(sizes)
