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
from minigrad.core.fused import fused
from minigrad.core.tensor import Tensor, wrap
from minigrad.ops.bounds import first_outside
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
    safe = where(counts, target, 0)
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
        ignore_index: the target of rows that do not count.
        reduction: "none" for the loss of each row, in the shape of the indices; "sum"; or "mean", weighted.
        label_smoothing: how much of the target, 0 to 1, is spread evenly over all classes.

    Raises RuntimeError for shapes or dtypes that do not fit, IndexError for a class that does not exist.
    """
    _check_settings("cross_entropy", reduction, label_smoothing)
    _check_weight("cross_entropy", input, weight)
    if target.dtype.kind == "f":
        return _against_probabilities(input, target, weight, reduction, label_smoothing)
    rows, flat = _as_rows("cross_entropy", input, target, ignore_index)
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
    _check_settings("nll_loss", reduction, 0.0)
    _check_weight("nll_loss", input, weight)
    rows, flat = _as_rows("nll_loss", input, target, ignore_index)
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
        target: class indices in the shape of `input` without D; or probabilities (C) or (N, C).
        weight, reduction, ignore_index, label_smoothing: as for `cross_entropy`; None ignores -100.
        options: PyTorch's choice of chunks, which are always chosen here; taken and left alone.

    Raises RuntimeError for shapes or dtypes that do not fit, IndexError for a class that does not exist.
    """
    _check_settings("linear_cross_entropy", reduction, label_smoothing)
    ignore = -100 if ignore_index is None else ignore_index
    if target.dtype.kind == "f":
        logits = linear(input, linear_weight, linear_bias)
        return cross_entropy(logits, target, weight, reduction=reduction, label_smoothing=label_smoothing)
    _check_output_layer(input, linear_weight, linear_bias, weight, target)
    classes, features = linear_weight.shape
    _check_classes("linear_cross_entropy", target, classes, ignore)
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


def _as_rows(name: str, input: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Scores (C), (N, C) or (N, C, d1, ...) as (rows, C), and their class indices as (rows)."""
    shape = tuple(input.shape)
    if not shape:
        raise RuntimeError(f"{name}: input must be (C), (N, C) or (N, C, d1, ...), got a number")
    expected = () if len(shape) == 1 else (shape[0], *shape[2:])
    if tuple(target.shape) != expected:
        raise RuntimeError(
            f"{name}: target has shape {tuple(target.shape)}, for input {shape} it must be {expected}: the class "
            f"indices of {'(C)' if len(shape) == 1 else 'input without dimension 1, the classes'}"
        )
    classes = shape[0] if len(shape) == 1 else shape[1]
    _check_classes(name, target, classes, ignore_index)
    if len(shape) == 2:
        return input, target
    if len(shape) > 2:
        input = input.movedim(1, -1)
    count = math.prod(expected)
    return input.reshape(count, classes), target.reshape(count)


def _against_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Tensor:
    """The cross-entropy against a distribution over the classes for each row; "mean" divides by the number of rows."""
    if target.shape != input.shape:
        raise RuntimeError(
            f"cross_entropy: target holds probabilities of shape {tuple(target.shape)}, input has shape "
            f"{tuple(input.shape)}: they must be equal; class indices must be integers"
        )
    dim = 0 if input.ndim == 1 else 1
    classes = input.shape[dim]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    terms = -log_softmax(input, dim) * target
    if weight is not None:
        terms = terms * weight.reshape((classes, *[1] * (input.ndim - dim - 1)))
    losses = terms.sum(dim)
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / losses.numel()


# ---- what does not fit ----------------------------------------------------------------------------------------------


def _check_settings(name: str, reduction: str, label_smoothing: float) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"{name}: label_smoothing must be between 0 and 1, got {label_smoothing}")


def _check_weight(name: str, input: Tensor, weight: Tensor | None) -> None:
    """Class weights (C) of the input's dtype, that ask for no gradient: the kernels give them none."""
    if weight is None:
        return
    classes = (input.shape[0] if input.ndim == 1 else input.shape[1],) if input.ndim else ()
    if tuple(weight.shape) != classes or weight.dtype != input.dtype:
        raise RuntimeError(
            f"{name}: weight is {weight.dtype} of shape {tuple(weight.shape)}, with input {input.dtype} "
            f"{tuple(input.shape)} it must be {input.dtype} of shape {classes}: one weight for each class"
        )
    _check_constant(name, weight)


def _check_constant(name: str, weight: Tensor) -> None:
    if weight.requires_grad:
        raise RuntimeError(f"{name}: the class weights get no gradient: pass weight.detach()")


def _check_classes(name: str, target: Tensor, classes: int, ignore_index: int) -> None:
    """IndexError for a class index that does not exist, as far as the host can see."""
    if target.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: target holds class indices and must be of an integer dtype, it is {target.dtype}")
    place = first_outside(target._array, classes, ignore_index)
    if place is not None:
        raise IndexError(
            f"{name}: target{list(place) if place else ''} is class {target._array[place]}, there are {classes} "
            f"classes, 0 to {classes - 1} (ignore_index is {ignore_index})"
        )


def _check_output_layer(
    input: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, weight: Tensor | None, target: Tensor
) -> None:
    """RuntimeError unless features, output layer and targets fit."""
    name = "linear_cross_entropy"
    shape, table = tuple(input.shape), tuple(linear_weight.shape)
    if len(table) != 2 or not shape or shape[-1] != table[1]:
        raise RuntimeError(
            f"{name}: input {shape} and linear_weight {table}: they must be (..., D) and (C, D): classes, features"
        )
    if tuple(target.shape) != shape[:-1]:
        raise RuntimeError(
            f"{name}: target has shape {tuple(target.shape)}, for input {shape} it must be {shape[:-1]}: one class "
            f"index for each row of features"
        )
    for word, given in (("linear_weight", linear_weight), ("linear_bias", linear_bias), ("weight", weight)):
        if given is None:
            continue
        if given.dtype != input.dtype:
            raise RuntimeError(
                f"{name}: input is {input.dtype} and {word} {given.dtype}: they must be equal, so convert one of them "
                f"with .to(dtype)"
            )
        if word != "linear_weight" and tuple(given.shape) != table[:1]:
            raise RuntimeError(
                f"{name}: {word} has shape {tuple(given.shape)}, it must be {table[:1]}: one number for each class"
            )
    if weight is not None:
        _check_constant(name, weight)
