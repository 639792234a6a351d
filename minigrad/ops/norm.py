"""Layer normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

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
    over = tuple(range(input.ndim - dims, input.ndim))
    normal = input - input.mean(axis=over, keepdims=True)
    variance = (normal * normal).mean(axis=over, keepdims=True)
    inverse = 1 / namespace(input).sqrt(variance + eps)
    normal *= inverse
    result = normal.copy() if weight is None else normal * weight
    if bias is not None:
        result += bias
    return result, (normal, inverse, weight, over) if keep else None


@layer_norm_last.backward
def _layer_norm_backward(residuals: Any, g: Array, needs: tuple[bool, ...]) -> Sequence[Any]:
    """With n the normalised input and h = g weight: d_input = (h - mean h - n mean(h n)) / deviation."""
    normal, inverse, weight, over = residuals
    rows = tuple(range(over[0]))
    d_input = None
    if needs[0]:
        d_input = g.copy() if weight is None else g * weight
        along = (d_input * normal).mean(axis=over, keepdims=True)
        d_input -= d_input.mean(axis=over, keepdims=True)
        d_input -= normal * along
        d_input *= inverse
    return d_input, (g * normal).sum(axis=rows) if needs[1] else None, g.sum(axis=rows) if needs[2] else None


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
    sizes = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not sizes or tuple(input.shape[-len(sizes) :]) != sizes or not math.prod(sizes):
        raise RuntimeError(
            f"layer_norm: input {tuple(input.shape)} must end in normalized_shape {sizes}, which needs at least one "
            f"dimension and no size 0"
        )
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and (tuple(given.shape) != sizes or given.dtype != input.dtype):
            raise RuntimeError(
                f"layer_norm: {name} is {given.dtype} of shape {tuple(given.shape)}, with input {input.dtype} and "
                f"normalized_shape {sizes} it must be {input.dtype} of shape {sizes}"
            )
    return layer_norm_last(input, weight, bias, dims=len(sizes), eps=eps)
