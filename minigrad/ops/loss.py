"""Losses over classes: cross-entropy, alone and with the output layer folded in, and the negative log-likelihood.

With smoothing e, class weights w and log-probabilities l = log_softmax(z), the loss of a row z with target y is
    (1 - e) w[y] (-l[y])  +  e / C sum_c w[c] (-l[c])                                (Szegedy et al. 2015)
and "mean" divides the sum over the rows by the sum of w[y]. A row whose target is `ignore_index` counts nowhere.

Shapes: N rows, C classes, D features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigrad import kernels
from minigrad.backend import Array, namespace
from minigrad.core import dtypes
from minigrad.core.fused import fused
from minigrad.core.tensor import Tensor, wrap
from minigrad.ops.class_targets import (
    as_rows,
    check_class_weight,
    check_classes,
    check_reduction,
    check_smoothing,
    count_classes,
)
from minigrad.ops.comparison import ne, where
from minigrad.ops.linalg import linear
from minigrad.ops.softmax import log_softmax

# ---- in primitives --------------------------------------------------------------------------------------------------


def rows_loss(
    log_probabilities: Tensor,
    target: Tensor,
    weight: Tensor | None,
    *,
    ignore_index: int,
    reduction: str,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The loss of log-probabilities (N, C) for class indices (N): 0-d, or (N) for reduction "none"."""
    C = log_probabilities.shape[1]
    counts = ne(target, ignore_index)  # N
    safe = where(counts, target, 0).to(dtypes.int64)  # as an index, a tensor of uint8 would be a mask
    surprise = -log_probabilities  # N, C
    of_target = surprise[_places(safe), safe]  # N
    row_weight = counts.to(surprise.dtype)
    if weight is not None:
        of_target, surprise, row_weight = of_target * weight[safe], surprise * weight, row_weight * weight[safe]
    losses = of_target
    if label_smoothing:
        losses = (1 - label_smoothing) * of_target + (label_smoothing / C) * surprise.sum(1)
    losses = where(counts, losses, 0.0)
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / row_weight.sum()


def _places(index: Tensor) -> Tensor:
    return wrap(namespace(index._array).arange(index.shape[0]))


def cross_entropy_in_primitives(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy of logits (N, C) and class indices (N)."""
    return rows_loss(
        log_softmax(input, 1),
        target,
        weight,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def linear_cross_entropy_in_primitives(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    **settings: Any,
) -> Tensor:
    """The cross-entropy of the logits that a linear layer (C, D) makes of input (N, D)."""
    return cross_entropy_in_primitives(linear(input, linear_weight, linear_bias), target, weight, **settings)


# ---- by the kernels -------------------------------------------------------------------------------------------------


@fused(composite=cross_entropy_in_primitives)
def cross_entropy_rows(
    input: Array, target: Array, weight: Array = None,
    *, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0, keep: bool,
) -> Any:  # fmt: skip
    """The cross-entropy of logits (N, C) and class indices (N)."""
    return kernels.of(input).cross_entropy_forward(
        input, target, weight,
        ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing, keep=keep,
    )  # fmt: skip


@cross_entropy_rows.backward
def _cross_entropy_backward(residuals: Any, g: Array, needs: tuple[bool, ...]) -> Sequence[Any]:
    return *kernels.of(g).cross_entropy_backward(residuals, g, needs), None, None


@fused(composite=linear_cross_entropy_in_primitives)
def linear_cross_entropy_rows(
    input: Array, linear_weight: Array, target: Array, linear_bias: Array = None, weight: Array = None,
    *, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0, keep: bool,
) -> Any:  # fmt: skip
    """The cross-entropy of input (N, D) @ linear_weight (C, D)^T + linear_bias (C), and class indices (N), without ever
    holding all N x C logits."""
    return kernels.of(input).linear_cross_entropy_forward(
        input, linear_weight, target, linear_bias, weight,
        ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing, keep=keep,
    )  # fmt: skip


@linear_cross_entropy_rows.backward
def _linear_cross_entropy_backward(residuals: Any, g: Array, needs: tuple[bool, ...]) -> Sequence[Any]:
    needed = (needs[0], needs[1], needs[3])
    d_input, d_weight, d_bias = kernels.of(g).linear_cross_entropy_backward(residuals, g, needed)
    return d_input, d_weight, None, d_bias, None


# ---- for every shape ------------------------------------------------------------------------------------------------


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy of logits and classes, as `torch.nn.functional.cross_entropy`.

    Args:
        input: logits (C), (N, C) or (N, C, d1, ...).
        target: class indices (), (N) or (N, d1, ...); or probabilities of the shape of `input`.
        weight: a weight for each class (C), which gets no gradient.
        ignore_index: the target of rows that do not count; with probabilities there is none.
        reduction: "none" for the loss of each row, in the shape of the indices; "sum"; or "mean", weighted. The mean of
            no rows is nan.
        label_smoothing: how much of the target, 0 to 1, is spread evenly over all classes.

    Raises RuntimeError for shapes or dtypes that do not fit, IndexError for a class that does not exist.
    """
    name = "cross_entropy"
    check_reduction(name, reduction)
    check_smoothing(name, label_smoothing)
    check_class_weight(name, weight, input, count_classes(name, input))
    if target.dtype.kind == "f":
        _check_nothing_ignored(name, ignore_index)
        dim = 0 if input.ndim == 1 else 1
        return _against_probabilities(name, input, target, weight, dim, reduction, label_smoothing)
    rows, flat = as_rows(name, input, target, ignore_index)
    loss = cross_entropy_rows(
        rows, flat, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )
    return loss.reshape(target.shape) if reduction == "none" else loss


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """The negative log-likelihood of log-probabilities and class indices: `cross_entropy` after its log_softmax.

    Arguments, shapes and errors as there, without probabilities as the target.
    """
    check_reduction("nll_loss", reduction)
    check_class_weight("nll_loss", weight, input, count_classes("nll_loss", input))
    rows, flat = as_rows("nll_loss", input, target, ignore_index)
    loss = rows_loss(rows, flat, weight, ignore_index=ignore_index, reduction=reduction)
    return loss.reshape(target.shape) if reduction == "none" else loss


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """`cross_entropy(linear(input, linear_weight, linear_bias), target)`, never holding all the logits.

    Args:
        input: features (D), (N, D) or (..., D).
        linear_weight: the output layer (C, D); `linear_bias` (C).
        target: class indices in the shape of `input` without D; or probabilities in that shape with C after it.
        weight, reduction, label_smoothing: as for `cross_entropy`.
        ignore_index: as for `cross_entropy`, where None is -100; with probabilities there is none.
        options: PyTorch's choice of chunks, which are always chosen here; taken and left alone.

    Raises RuntimeError for shapes or dtypes that do not fit, IndexError for a class that does not exist.
    """
    name = "linear_cross_entropy"
    check_reduction(name, reduction)
    check_smoothing(name, label_smoothing)
    _check_output_layer(input, linear_weight, linear_bias)
    classes, features = linear_weight.shape
    check_class_weight(name, weight, input, classes)
    if target.dtype.kind == "f":
        _check_nothing_ignored(name, ignore_index)
        logits = linear(input, linear_weight, linear_bias)
        return _against_probabilities(name, logits, target, weight, logits.ndim - 1, reduction, label_smoothing)
    if tuple(target.shape) != tuple(input.shape[:-1]):
        raise RuntimeError(
            f"{name}: target has shape {tuple(target.shape)}, for input {tuple(input.shape)} it must be "
            f"{tuple(input.shape[:-1])}: one class index for each row of features"
        )
    ignore = -100 if ignore_index is None else ignore_index
    check_classes(name, target, classes, ignore)
    count = math.prod(target.shape)
    loss = linear_cross_entropy_rows(
        input if input.ndim == 2 else input.reshape(count, features),
        linear_weight,
        target if target.ndim == 1 else target.reshape(count),
        linear_bias,
        weight,
        ignore_index=ignore,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )
    return loss.reshape(target.shape) if reduction == "none" else loss


def _against_probabilities(
    name: str, logits: Tensor, target: Tensor, weight: Tensor | None, dim: int, reduction: str, label_smoothing: float
) -> Tensor:
    """The loss of a distribution over the classes, which lie along `dim`, for each row; "mean" is over the rows."""
    if target.shape != logits.shape:
        raise RuntimeError(
            f"{name}: target holds probabilities of shape {tuple(target.shape)}, the logits have shape "
            f"{tuple(logits.shape)}: they must be equal; class indices must be integers"
        )
    classes = logits.shape[dim]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    terms = -log_softmax(logits, dim) * target
    if weight is not None:
        terms = terms * weight.reshape((classes, *[1] * (logits.ndim - dim - 1)))
    losses = terms.sum(dim)
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / losses.numel()


def _check_nothing_ignored(name: str, ignore_index: int | None) -> None:
    """RuntimeError for a class to ignore, where each row is a distribution and has no class of its own."""
    if ignore_index is not None and ignore_index >= 0:
        raise RuntimeError(
            f"{name}: ignore_index is {ignore_index}, but target holds probabilities, of which none can be ignored: "
            f"leave it out, or give class indices"
        )


def _check_output_layer(input: Tensor, linear_weight: Tensor, linear_bias: Tensor | None) -> None:
    """RuntimeError unless features and output layer fit."""
    name = "linear_cross_entropy"
    shape, table = tuple(input.shape), tuple(linear_weight.shape)
    if len(table) != 2 or not shape or shape[-1] != table[1]:
        raise RuntimeError(
            f"{name}: input {shape} and linear_weight {table}: they must be (..., D) and (C, D): classes, features"
        )
    for word, given in (("linear_weight", linear_weight), ("linear_bias", linear_bias)):
        if given is not None and given.dtype != input.dtype:
            raise RuntimeError(
                f"{name}: input is {input.dtype} and {word} {given.dtype}: they must be equal, so convert one of them "
                f"with .to(dtype)"
            )
    if linear_bias is not None and tuple(linear_bias.shape) != table[:1]:
        raise RuntimeError(
            f"{name}: linear_bias has shape {tuple(linear_bias.shape)}, it must be {table[:1]}: one number for each "
            f"class"
        )
