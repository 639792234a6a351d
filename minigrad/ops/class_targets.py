"""What losses over classes have in common: their settings, and class indices that fit their scores.

Scores are (C), (N, C) or (N, C, d1, ...): C classes, N rows. The indices are (), (N) or (N, d1, ...).
"""

from __future__ import annotations

import math

from minigrad.core.tensor import Tensor
from minigrad.ops.bounds import first_outside

REDUCTIONS: tuple[str, ...] = ("mean", "sum", "none")


def check_reduction(name: str, reduction: str, known: tuple[str, ...] = REDUCTIONS) -> None:
    """ValueError for a reduction that there is not."""
    if reduction not in known:
        first = ", ".join(map(repr, known[:-1]))
        raise ValueError(f"{name}: reduction is {first} or {known[-1]!r}, not {reduction!r}")


def check_smoothing(name: str, label_smoothing: float) -> None:
    """RuntimeError for a label smoothing that is no share."""
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"{name}: label_smoothing must be between 0 and 1, got {label_smoothing}")


def count_classes(name: str, input: Tensor) -> int:
    """The number of classes that there are scores for. RuntimeError for a single number."""
    shape = input._array.shape
    if not shape:
        raise RuntimeError(f"{name}: input must be (C), (N, C) or (N, C, d1, ...), got a number")
    return int(shape[0] if len(shape) == 1 else shape[1])


def check_class_weight(name: str, weight: Tensor | None, input: Tensor, classes: int) -> None:
    """RuntimeError unless there is one weight for each class, of the input's dtype, that asks for no gradient."""
    if weight is None:
        return
    if tuple(weight.shape) != (classes,) or weight.dtype != input.dtype:
        raise RuntimeError(
            f"{name}: weight is {weight.dtype} of shape {tuple(weight.shape)}, with input {input.dtype} "
            f"{tuple(input.shape)} it must be {input.dtype} of shape {(classes,)}: one weight for each class"
        )
    if weight.requires_grad:
        raise RuntimeError(f"{name}: the class weights get no gradient: pass weight.detach()")


def check_classes(name: str, target: Tensor, classes: int, ignore_index: int | None = None) -> None:
    """IndexError for a class index that does not exist, as far as the host can see; RuntimeError for no integers."""
    if target.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: target holds class indices and must be of an integer dtype, it is {target.dtype}")
    place = first_outside(target._array, classes, ignore_index)
    if place is not None:
        ignored = "" if ignore_index is None else f" (ignore_index is {ignore_index})"
        raise IndexError(
            f"{name}: target{list(place) if place else ''} is class {target._array[place]}, there are {classes} "
            f"classes, 0 to {classes - 1}{ignored}"
        )


def as_rows(name: str, input: Tensor, target: Tensor, ignore_index: int | None = None) -> tuple[Tensor, Tensor]:
    """The scores as (rows, C) and their class indices as (rows), once they are found to fit."""
    classes, shape = count_classes(name, input), input._array.shape
    expected = () if len(shape) == 1 else (shape[0], *shape[2:])
    if target._array.shape != expected:
        raise RuntimeError(
            f"{name}: target has shape {tuple(target.shape)}, for input {shape} it must be {expected}: the class "
            f"indices of {'(C)' if len(shape) == 1 else 'input without dimension 1, the classes'}"
        )
    check_classes(name, target, classes, ignore_index)
    if len(shape) == 2:
        return input, target
    if len(shape) > 2:
        input = input.movedim(1, -1)
    count = math.prod(expected)
    return input.reshape(count, classes), target.reshape(count)
