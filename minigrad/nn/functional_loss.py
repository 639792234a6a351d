"""Losses of two tensors of one shape. `reduction` is "mean" (over all elements), "sum" or "none"."""

from __future__ import annotations

import warnings

from minigrad.backend import Array, namespace
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor
from minigrad.ops.arithmetic import maximum, xlogy
from minigrad.ops.class_targets import REDUCTIONS, check_reduction
from minigrad.ops.comparison import where
from minigrad.ops.elementwise import exp, log, log1p, logsigmoid


def reduced(loss: Tensor, reduction: str, name: str) -> Tensor:
    """The loss after its reduction; ValueError for a reduction that there is not."""
    check_reduction(name, reduction)
    if reduction == "mean":
        return loss.mean()
    return loss.sum() if reduction == "sum" else loss


def _difference(input: Tensor, target: Tensor, name: str) -> Tensor:
    """input - target, with a warning where they broadcast: (B) beside (B, 1) gives (B, B), hardly ever on purpose."""
    if input._array.shape != target._array.shape:
        warnings.warn(
            f"{name}: the input has shape {tuple(input.shape)} and the target {tuple(target.shape)}: they broadcast, "
            f"which is rarely meant, so give them one shape",
            stacklevel=3,
        )
    return input - target


def check_same_shape(input: Tensor, target: Tensor, name: str) -> None:
    """ValueError unless both have one shape."""
    if input._array.shape != target._array.shape:
        raise ValueError(
            f"{name}: the input has shape {tuple(input.shape)} and the target {tuple(target.shape)}: "
            f"they must be equal, so reshape or unsqueeze one of them"
        )


def check_stretches(input: Tensor, other: Tensor | None, name: str, word: str) -> None:
    """RuntimeError unless the other, if there is one, stretches to the input's shape."""
    if other is None or other._array.shape == input._array.shape:
        return
    ends = zip(other.shape[::-1], input.shape[::-1], strict=False)
    if other.ndim > input.ndim or any(size not in (1, whole) for size, whole in ends):
        raise RuntimeError(
            f"{name}: {word} has shape {tuple(other.shape)}, which does not stretch to the input's {tuple(input.shape)}"
        )


def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """(input - target)^2."""
    return reduced(_difference(input, target, "mse_loss").square(), reduction, "mse_loss")


def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """|input - target|."""
    return reduced(_difference(input, target, "l1_loss").abs(), reduction, "l1_loss")


def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """d^2 / (2 beta) where d = |input - target| is below beta, d - beta / 2 elsewhere (Girshick, ICCV 2015)."""
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss: beta must be at least 0, got {beta}")
    difference = _difference(input, target, "smooth_l1_loss")
    distance = difference.abs()
    if beta == 0:
        return reduced(distance, reduction, "smooth_l1_loss")
    far = distance >= beta  # NaN is not, and so stays NaN
    near = where(far, 0.0, difference)  # the square of an infinite distance would make NaN of the gradient
    loss = where(far, distance - 0.5 * beta, near.square() * (0.5 / beta))
    return reduced(loss, reduction, "smooth_l1_loss")


def huber_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """d^2 / 2 where d = |input - target| is at most delta, delta * (d - delta / 2) elsewhere (Huber 1964)."""
    if delta <= 0:
        raise RuntimeError(f"huber_loss: delta must be above 0, got {delta}")
    difference = _difference(input, target, "huber_loss")
    distance = difference.abs()  # its square would have no second derivative at 0
    far = distance > delta  # NaN is not, and so stays NaN
    near = where(far, 0.0, difference)  # the square of an infinite distance would make NaN of the gradient
    loss = where(far, (distance - 0.5 * delta) * delta, near.square() * 0.5)
    return reduced(loss, reduction, "huber_loss")


def kl_div(input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """target * (log target - input), the input being logarithms of probabilities, the target too with `log_target`.

    Only `reduction="batchmean"`, the sum divided by the size of the first dimension, gives the divergence of Kullback
    and Leibler; "mean" divides by the number of elements.
    """
    loss = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    check_reduction("kl_div", reduction, (*REDUCTIONS, "batchmean"))
    if reduction == "batchmean":
        return loss.sum() / (input.shape[0] if input.ndim else 1)
    return reduced(loss, reduction, "kl_div")


@primitive
def binary_cross_entropy_of(input: Array, target: Array) -> Array:
    """-(t log x + (1 - t) log(1 - x)), the logarithms no lower than -100, so that a certain mistake costs 100."""
    xp = namespace(input)
    certain = xp.maximum(log(input), -100)
    return -(target * certain + (1 - target) * xp.maximum(log1p(-input), -100))


# The slope's denominator is bounded as PyTorch bounds it: it stays finite at 0 and 1.
binary_cross_entropy_of.vjp(
    input=lambda g, input, target: g * (input - target) / maximum(input * (1 - input), 1e-12),
    target=lambda g, input: g * (log1p(-input) - log(input)),
)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """-(t log x + (1 - t) log(1 - x)) of probabilities x; `binary_cross_entropy_with_logits` is the stabler way.

    `weight` rescales each element. Raises ValueError where the shapes differ.
    """
    check_same_shape(input, target, "binary_cross_entropy")
    check_stretches(input, weight, "binary_cross_entropy", "weight")
    loss = binary_cross_entropy_of(input, target)
    return reduced(loss if weight is None else loss * weight, reduction, "binary_cross_entropy")


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """The binary cross-entropy of sigmoid(input), which cannot overflow.

    `weight` rescales each element, `pos_weight` (broadcast) the positive examples' part. Raises ValueError where the
    shapes differ.
    """
    name = "binary_cross_entropy_with_logits"
    check_same_shape(input, target, name)
    check_stretches(input, weight, name, "weight")
    check_stretches(input, pos_weight, name, "pos_weight")
    log_probability = logsigmoid(input)
    if pos_weight is not None:
        log_probability = log_probability * ((pos_weight - 1) * target + 1)
    loss = (1 - target) * input - log_probability
    return reduced(loss if weight is None else loss * weight, reduction, name)
