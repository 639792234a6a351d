"""Optimizer steps, and the norm and scale of gradients, for CuPy: see `reference_update` for what they compute."""

import functools
from collections.abc import Sequence

import cupy

from minigrad.kernels import cuda_source
from minigrad.kernels.common import Array
from minigrad.kernels.cuda_launch import kernel, reduction
from minigrad.kernels.cuda_many import grouped, run_many, sum_many


def sgd_update(
    p: Array, g: Array, buf: Array | None,
    *, lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool, first: bool,
) -> None:  # fmt: skip
    """Stochastic gradient descent, in place."""
    if buf is None:
        kernel(cuda_source.SGD)(g, lr, weight_decay, maximize, p)
    else:
        step = kernel(cuda_source.SGD_MOMENTUM)
        step(g, lr, momentum, dampening, weight_decay, nesterov, maximize, first, p, buf)


def adagrad_update(
    p: Array, g: Array, state_sum: Array, *, lr: float, weight_decay: float, eps: float, maximize: bool
) -> None:
    """Adagrad, in place."""
    kernel(cuda_source.ADAGRAD)(g, lr, weight_decay, eps, maximize, p, state_sum)


def rmsprop_update(
    p: Array, g: Array, square_avg: Array, grad_avg: Array | None, momentum_buffer: Array | None,
    *, lr: float, alpha: float, eps: float, weight_decay: float, momentum: float, maximize: bool,
) -> None:  # fmt: skip
    """RMSprop, in place."""
    unused = cupy.empty_like(p) if grad_avg is None or momentum_buffer is None else None
    kernel(cuda_source.RMSPROP)(
        g, lr, alpha, eps, weight_decay, 0.0 if momentum_buffer is None else momentum, grad_avg is not None, maximize,
        p, square_avg, unused if grad_avg is None else grad_avg, unused if momentum_buffer is None else momentum_buffer,
    )  # fmt: skip


def adam_update(
    p: Array, g: Array, exp_avg: Array, exp_avg_sq: Array, max_exp_avg_sq: Array | None,
    *, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, decoupled: bool, step: int,
    maximize: bool,
) -> None:  # fmt: skip
    """Adam, AdamW and AMSGrad, in place."""
    amsgrad = max_exp_avg_sq is not None
    kernel(cuda_source.ADAM)(
        g, lr / (1 - beta1**step), (1 - beta2**step) ** 0.5, beta1, beta2, eps,
        0.0 if decoupled else weight_decay, 1 - lr * weight_decay if decoupled else 1.0, amsgrad, maximize,
        p, exp_avg, exp_avg_sq, max_exp_avg_sq if amsgrad else cupy.empty_like(p),
    )  # fmt: skip


def squared_norm(arrays: Sequence[Array]) -> Array:
    """The sum of all squares, a 0-d array that stays on the card: one launch for all, and one to add up."""
    groups, alone = grouped([(array,) for array in arrays])
    totals = [sum_many(cuda_source.SUM_OF_SQUARES, group) for group in groups]
    totals += [reduction(cuda_source.SUM_OF_SQUARES)(array) for (array,) in alone]
    return functools.reduce(cupy.add, [total.astype(arrays[0].dtype, copy=False) for total in totals])


def scale(arrays: Sequence[Array], factor: Array | float) -> None:
    """Multiply every array by the number `factor`, in place, in one launch."""
    factors = {dtype: cupy.asarray(factor, dtype=dtype) for dtype in {array.dtype for array in arrays}}
    groups, alone = grouped([(factors[array.dtype], array) for array in arrays])
    for group in groups:
        run_many(cuda_source.SCALE, group, ())
    for number, array in alone:
        array *= number
