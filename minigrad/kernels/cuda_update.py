"""Optimizer steps, and the norm and scale of gradients, for CuPy: see `reference_update` for what they compute."""

import functools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import cupy

from minigrad.backend import device_of, on
from minigrad.kernels import cuda_source
from minigrad.kernels.common import Array
from minigrad.kernels.cuda_launch import kernel, reduction
from minigrad.kernels.cuda_many import grouped, run_many, sum_many
from minigrad.kernels.cuda_source import Body

# Each update's arrays, by the body and the numbers: those that can share a launch.
_Calls: TypeAlias = dict[tuple[Body, tuple[float, ...]], list[tuple[Array, ...]]]


class _Waiting(threading.local):
    """The updates that wait for the end of `together`; None outside of it."""

    calls: _Calls | None = None


_waiting = _Waiting()


@contextmanager
def together() -> Iterator[None]:
    """Inside, updates wait; at the end those with the same settings are one launch for all their parameters."""
    calls: _Calls = {}
    _waiting.calls = calls
    try:
        yield
    finally:
        _waiting.calls = None
        for (body, numbers), each in calls.items():
            groups, alone = grouped(each)
            for group in groups:
                run_many(body, group, numbers)
            for arrays in alone:
                _update(body, numbers, arrays)


def _update(body: Body, numbers: tuple[float, ...], arrays: tuple[Array, ...]) -> None:
    """Run the body over its arrays, the gradient and what is written: now, or at the end of `together`."""
    if _waiting.calls is None:
        kernel(body)(arrays[0], *numbers, *arrays[1:])
    else:
        _waiting.calls.setdefault((body, numbers), []).append(arrays)


def sgd_update(
    p: Array, g: Array, buf: Array | None,
    *, lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool, first: bool,
) -> None:  # fmt: skip
    """Stochastic gradient descent, in place."""
    if buf is None:
        _update(cuda_source.SGD, (lr, weight_decay, maximize), (g, p))
    else:
        numbers = (lr, momentum, dampening, weight_decay, nesterov, maximize, first)
        _update(cuda_source.SGD_MOMENTUM, numbers, (g, p, buf))


def adagrad_update(
    p: Array, g: Array, state_sum: Array, *, lr: float, weight_decay: float, eps: float, maximize: bool
) -> None:
    """Adagrad, in place."""
    _update(cuda_source.ADAGRAD, (lr, weight_decay, eps, maximize), (g, p, state_sum))


def rmsprop_update(
    p: Array, g: Array, square_avg: Array, grad_avg: Array | None, momentum_buffer: Array | None,
    *, lr: float, alpha: float, eps: float, weight_decay: float, momentum: float, maximize: bool,
) -> None:  # fmt: skip
    """RMSprop, in place."""
    momentum = 0.0 if momentum_buffer is None else momentum
    numbers = (lr, alpha, eps, weight_decay, momentum, grad_avg is not None, maximize)
    mean, buffer = (square_avg if array is None else array for array in (grad_avg, momentum_buffer))
    _update(cuda_source.RMSPROP, numbers, (g, p, square_avg, mean, buffer))


def adam_update(
    p: Array, g: Array, exp_avg: Array, exp_avg_sq: Array, max_exp_avg_sq: Array | None,
    *, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, decoupled: bool, step: int,
    maximize: bool,
) -> None:  # fmt: skip
    """Adam, AdamW and AMSGrad, in place."""
    numbers = (
        lr / (1 - beta1**step), (1 - beta2**step) ** 0.5, beta1, beta2, eps, 0.0 if decoupled else weight_decay,
        1 - lr * weight_decay if decoupled else 1.0, max_exp_avg_sq is not None, maximize,
    )  # fmt: skip
    largest = exp_avg_sq if max_exp_avg_sq is None else max_exp_avg_sq
    _update(cuda_source.ADAM, numbers, (g, p, exp_avg, exp_avg_sq, largest))


def squared_norm(arrays: Sequence[Array]) -> Array:
    """The sum of all squares, a 0-d array that stays on the card: one launch for all, and one to add up."""
    groups, alone = grouped([(array,) for array in arrays])
    totals = [sum_many(cuda_source.SUM_OF_SQUARES, group) for group in groups]
    totals += [reduction(cuda_source.SUM_OF_SQUARES)(array) for (array,) in alone]
    return functools.reduce(cupy.add, [total.astype(arrays[0].dtype, copy=False) for total in totals])


def scale(arrays: Sequence[Array], factor: Array | float) -> None:
    """Multiply every array by the number `factor`, in place, in one launch; no two may share memory."""
    factors: dict[object, Array] = {}
    for array in arrays:
        kind = device_of(array), array.dtype
        if kind not in factors:
            with on(kind[0]):
                factors[kind] = cupy.asarray(factor, dtype=array.dtype)
    groups, alone = grouped([(factors[device_of(array), array.dtype], array) for array in arrays])
    for group in groups:
        run_many(cuda_source.SCALE, group, ())
    for number, array in alone:
        array *= number
