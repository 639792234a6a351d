"""Optimizer steps, gradient norms and sparse rows for NumPy: see `reference_update` for what they compute.

`cpu_blocks` runs them over blocks that stay in the cache, and over threads.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from minigrad.kernels import pool, reference_update
from minigrad.kernels.cpu_blocks import BLOCK, in_blocks, together

Array: TypeAlias = np.ndarray[Any, Any]

GRAIN = 1 << 16  # squares worth a thread of their own
NORM_BLOCK = 1 << 12  # squares that are added in the array's own precision


@functools.lru_cache(maxsize=8)
def _numbers(dtype: np.dtype[Any], *values: float) -> tuple[Array, ...]:
    """The numbers as 0-d arrays, kept for a while: at one step all parameters of a group have the same.

    A ufunc on few elements takes 0.3 us with one of these, and 0.6 with a number of Python's, which it converts first.
    """
    return tuple(np.array(value, dtype=dtype) for value in values)


# In the updates a ufunc's last argument is where its result goes: said without `out=` that is 0.1 us faster, and so are
# these calls than operators in place. It is a third of what a small parameter takes.


def _descent(p: Array, g: Array, weight_decay: float, maximize: bool) -> Array:
    """The gradient to go down: `g` itself, or an array of its own."""
    if weight_decay:
        decay = np.multiply(p, weight_decay)
        return np.subtract(decay, g, decay) if maximize else np.add(decay, g, decay)
    return np.negative(g) if maximize else g


def sgd_update(
    p: Array, g: Array, buf: Array | None,
    *, lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool, first: bool,
) -> None:  # fmt: skip
    """Stochastic gradient descent, in place."""
    rate, keep, take = _numbers(p.dtype, lr, momentum, 1 - dampening)

    def update(p: Array, g: Array, buf: Array | None, scratch: Array) -> None:
        g = _descent(p, g, weight_decay, maximize)
        if buf is not None:
            g = _momentum(g, buf, scratch)
        np.multiply(g, rate, scratch)
        np.subtract(p, scratch, p)

    def _momentum(g: Array, buf: Array, scratch: Array) -> Array:
        if first:
            buf[...] = g
        else:
            np.multiply(buf, keep, buf)
            np.add(buf, g if dampening == 0 else np.multiply(g, take, scratch), buf)
        if not nesterov:
            return buf
        np.multiply(buf, keep, scratch)
        return np.add(g, scratch, scratch)

    in_blocks(update, (p, g, buf))


def adagrad_update(
    p: Array, g: Array, state_sum: Array, *, lr: float, weight_decay: float, eps: float, maximize: bool
) -> None:
    """Adagrad, in place."""
    rate, least = _numbers(p.dtype, lr, eps)

    def update(p: Array, g: Array, state_sum: Array, scratch: Array) -> None:
        g = _descent(p, g, weight_decay, maximize)
        np.square(g, scratch)
        np.add(state_sum, scratch, state_sum)
        np.sqrt(state_sum, scratch)
        np.add(scratch, least, scratch)
        np.divide(g, scratch, scratch)
        np.multiply(scratch, rate, scratch)
        np.subtract(p, scratch, p)

    in_blocks(update, (p, g, state_sum))


def rmsprop_update(
    p: Array, g: Array, square_avg: Array, grad_avg: Array | None, momentum_buffer: Array | None,
    *, lr: float, alpha: float, eps: float, weight_decay: float, momentum: float, maximize: bool,
) -> None:  # fmt: skip
    """RMSprop, in place."""
    rate, change, least, keep = _numbers(p.dtype, lr, 1 - alpha, eps, momentum)

    def update(
        p: Array, g: Array, square_avg: Array, grad_avg: Array | None, momentum_buffer: Array | None, scratch: Array
    ) -> None:
        g = _descent(p, g, weight_decay, maximize)
        np.square(g, scratch)
        _move_average(square_avg, scratch, change, scratch)
        spread = square_avg
        if grad_avg is not None:
            _move_average(grad_avg, g, change, scratch)
            np.square(grad_avg, scratch)
            spread = np.subtract(square_avg, scratch, scratch)
        np.sqrt(spread, scratch)
        np.add(scratch, least, scratch)
        step = np.divide(g, scratch, scratch)
        if momentum_buffer is not None:
            np.multiply(momentum_buffer, keep, momentum_buffer)
            step = np.add(momentum_buffer, step, momentum_buffer)
        np.multiply(step, rate, scratch)
        np.subtract(p, scratch, p)

    in_blocks(update, (p, g, square_avg, grad_avg, momentum_buffer))


def _move_average(average: Array, toward: Array, change: Array, scratch: Array) -> None:
    """average += change * (toward - average), by way of `scratch`, which `toward` may be."""
    np.subtract(toward, average, scratch)
    np.multiply(scratch, change, scratch)
    np.add(average, scratch, average)


def _blockwise(plain: Callable[..., None]) -> Callable[..., None]:
    """The plain update, which gets by on blocks: its temporaries are a block's, and stay in the cache."""

    @functools.wraps(plain)
    def update(*arrays: Array, **settings: Any) -> None:
        in_blocks(lambda *blocks: plain(*blocks[:-1], **settings), arrays)

    return update


_adam_plainly = _blockwise(reference_update.adam_update)


def adam_update(
    p: Array, g: Array, exp_avg: Array, exp_avg_sq: Array, max_exp_avg_sq: Array | None,
    *, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, decoupled: bool, step: int,
    maximize: bool,
) -> None:  # fmt: skip
    """Adam, AdamW and AMSGrad, in place.

    With the correction c = sqrt(1 - beta2^t) it is m / (sqrt(v) / c + eps) = c * m / (sqrt(v) + c * eps): numbers are
    multiplied in place of a whole array, which is one pass of 13, and that a division.
    """
    if p.dtype.itemsize == 2:  # c * eps could become zero there
        _adam_plainly(
            p, g, exp_avg, exp_avg_sq, max_exp_avg_sq, lr=lr, beta1=beta1, beta2=beta2, eps=eps,
            weight_decay=weight_decay, decoupled=decoupled, step=step, maximize=maximize,
        )  # fmt: skip
        return
    c = (1 - beta2**step) ** 0.5
    shrink, change, keep, new, least, rate = _numbers(
        p.dtype, 1 - lr * weight_decay, 1 - beta1, beta2, 1 - beta2, c * eps, c * lr / (1 - beta1**step)
    )

    def update(p: Array, g: Array, m: Array, v: Array, v_max: Array | None, scratch: Array) -> None:
        if decoupled:
            np.multiply(p, shrink, p)
        g = _descent(p, g, 0 if decoupled else weight_decay, maximize)
        _move_average(m, g, change, scratch)
        np.square(g, scratch)
        np.multiply(scratch, new, scratch)
        np.multiply(v, keep, v)
        np.add(v, scratch, v)
        if v_max is not None:
            v = np.maximum(v_max, v, out=v_max)
        np.sqrt(v, scratch)
        np.add(scratch, least, scratch)
        np.divide(m, scratch, scratch)
        np.multiply(scratch, rate, scratch)
        np.subtract(p, scratch, p)

    in_blocks(update, (p, g, exp_avg, exp_avg_sq, max_exp_avg_sq))


adadelta_update = _blockwise(reference_update.adadelta_update)
adamax_update = _blockwise(reference_update.adamax_update)
nadam_update = _blockwise(reference_update.nadam_update)
radam_update = _blockwise(reference_update.radam_update)
asgd_update = _blockwise(reference_update.asgd_update)
rprop_update = _blockwise(reference_update.rprop_update)


def squared_norm(arrays: Sequence[Array]) -> Array:
    """The sum of all squares, a 0-d array: in blocks through BLAS, the blocks added up in double precision.

    The same for any number of threads: the blocks are.
    """
    flat = [np.ascontiguousarray(array).reshape(-1) for array in arrays]
    counts = [one.size // NORM_BLOCK for one in flat]
    blocks = [one[: count * NORM_BLOCK].reshape(count, NORM_BLOCK) for one, count in zip(flat, counts)]
    sums = [np.empty((count,), dtype=one.dtype) for one, count in zip(flat, counts)]
    # One call for many blocks: 0.6 ms for 6.6 million float32; a call for each block took 1.7.
    pieces = [
        (one[piece], its[piece])
        for one, its in zip(blocks, sums)
        for piece in pool.blocks(0, len(its), BLOCK // NORM_BLOCK)
    ]

    def run(start: int, stop: int) -> None:
        for one, its in pieces[start:stop]:
            np.vecdot(one, one, out=its)

    work = sum(its.size for _, its in pieces) * NORM_BLOCK
    pool.share(run, len(pieces), -(-len(pieces) * GRAIN // max(1, work)))
    rests = [one[count * NORM_BLOCK :] for one, count in zip(flat, counts)]
    total = sum([float(its.sum(dtype=np.float64)) for its in sums]) + sum([float(np.dot(rest, rest)) for rest in rests])
    return np.asarray(total, dtype=arrays[0].dtype)


def scale(arrays: Sequence[Array], factor: Array | float) -> None:
    """Multiply every array by the number `factor`, in place."""

    def update(block: Array, scratch: Array) -> None:
        np.multiply(block, numbers[block.dtype], block)

    numbers = {array.dtype: np.asarray(factor, dtype=array.dtype) for array in arrays}
    with together():
        for array in arrays:
            in_blocks(update, (array,))


def sum_rows(index: Array, values: Array) -> tuple[Array, Array]:
    """(Sorted unique indices, the sums of the rows of `values` that share each): sorted, then added up run by run."""
    order = index.argsort(kind="stable")
    ranked = index[order]
    new = np.ones(index.size + 1, dtype=bool)
    np.not_equal(ranked[1:], ranked[:-1], out=new[1:-1])
    (bounds,) = new.nonzero()  # run k is values[order[bounds[k] : bounds[k + 1]]]
    starts = bounds[:-1]
    sums = _rows(values, order[starts])
    if starts.size < index.size:
        _add_further_rows(sums, values, order, bounds)
    return ranked[starts], sums


def _add_further_rows(sums: Array, values: Array, order: Array, bounds: Array) -> None:
    """Add to the first row of each run, which is in `sums`, its further rows.

    All second rows come first, then all third ones, the longest runs in front: so the rows to be added lie side by side
    as the sums do, and as long as equally many runs go on they are one addition. For 700 words of 200 float32, with as
    many repetitions as in text, this takes 50 us, and np.add.reduceat 300.
    """
    further = bounds[1:] - bounds[:-1] - 1
    lengths = np.bincount(further)[1:]  # how many runs have 1, 2, ... further rows
    counts = lengths[::-1].cumsum()[::-1]  # and how many at least so many
    runs = (-further).argsort(kind="stable")[: counts[0]]
    ends = counts.cumsum()
    row = np.arange(1, counts.size + 1).repeat(counts)
    run = np.arange(ends[-1]) - (ends - counts).repeat(counts)
    # Half precision adds up in single: by itself it stops counting at 2048.
    precise = np.promote_types(values.dtype, np.float32)
    more = _rows(values, order[bounds[runs[run]] + row]).astype(precise, copy=False)
    total = _rows(sums, runs).astype(precise, copy=False)
    (changes,) = lengths.nonzero()  # from one to the next equally many runs go on
    begin = first = 0
    for last, end, count in zip((changes + 1).tolist(), ends[changes].tolist(), counts[changes].tolist(), strict=True):
        block = more[begin:end]
        if last - first > 1:
            block = block.reshape(last - first, count, *more.shape[1:]).sum(axis=0)
        total[:count] += block
        first, begin = last, end
    sums[runs] = total


def _rows(array: Array, index: Array) -> Array:
    """array[index]; `take` needs two thirds of the time, but would copy an array that is not contiguous."""
    return array.take(index, axis=0) if array.flags.c_contiguous else array[index]


def add_rows(table: Array, index: Array, values: Array) -> None:
    """table[index[k]] += values[k], in place, adding up where an index repeats."""
    if not (index[1:] > index[:-1]).all():  # as they are when they were summed before, to be held as a gradient
        index, values = sum_rows(index, values)
    rows = _rows(table, index)
    rows += values
    table[index] = rows
