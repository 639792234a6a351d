"""Softmax and cross-entropy for NumPy: see `reference_loss` for the shapes and what they compute.

Rows are worked on a few at a time, so that all the passes over them find them in the cache, shared out over threads.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from minigrad.kernels import cpu_few_rows, memory, pool
from minigrad.kernels.common import Needs
from minigrad.kernels.reference_loss import chunk_rows, gradient_scale, reduce_rows, row_weights

Array: TypeAlias = np.ndarray[Any, Any]

# Elements of a block of rows: 1 MiB of float32. For 400 x 10,000 logits on two threads the passes take 1.3 ms; in
# blocks of 1 << 15, whose calls are too short for two threads to take turns, 3.2.
BLOCK = 1 << 18
GRAIN = 1 << 15  # elements worth a thread of their own
CHUNK = 1 << 25  # logits alive at a time in linear_cross_entropy: 128 MiB of float32


@dataclass(frozen=True, slots=True)
class Rows:
    """What the loss of each row is made of; N rows, V classes."""

    counts: Array  # N, bool: the target is not ignore_index
    safe: Array  # N: the target, 0 where ignored
    row_weight: Array  # N: the class weight of the target, 0 where ignored
    hit: Array  # N: how much of the row's loss is for its target, a in reference_loss
    spread: Array | None  # V: how much is for each class, b in reference_loss; None without smoothing

    @classmethod
    def of(cls, target: Array, weight: Array | None, ignore_index: int, smoothing: float, V: int, dtype: Any) -> "Rows":
        counts, safe, row_weight = row_weights(target, weight, ignore_index, dtype)
        spread = None
        if smoothing:
            spread = np.full((V,), smoothing / V, dtype=dtype) if weight is None else (smoothing / V) * weight
        return cls(counts, safe, row_weight, (1 - smoothing) * row_weight, spread)

    def mass(self) -> Array:
        """What multiplies the softmax in each row's gradient, a + sum b (N)."""
        return self.hit if self.spread is None else self.hit + self.spread.sum()

    def __getitem__(self, rows: slice) -> "Rows":
        """The same for some of the rows."""
        return Rows(self.counts[rows], self.safe[rows], self.row_weight[rows], self.hit[rows], self.spread)


def _block_sums(source: Array, out: Array, spread: Array | None) -> tuple[Array, Array, Array | float]:
    """exp(z - max z) of the rows z of `source` into `out`. Gives for each row the maximum, the sum of the exponentials,
    and sum_c b[c] (z[c] - max)."""
    top = source.max(axis=1)
    np.subtract(source, top[:, None], out=out)
    # einsum and not BLAS, whose threads would wait for each other here; its sum takes a third of the
    # time of sum's, and is right to 5e-6 in float32.
    spread_sum = 0.0 if spread is None else np.einsum("nv,v->n", out, spread)
    np.exp(out, out=out)
    return top, np.einsum("nv->n", out), spread_sum


def _row_sums(logits: Array, rows: Rows, kept: Array | None, bias: Array | None = None) -> Array:
    """What `_block_sums` gives, (3, N), for logits (N, V). The exponentials go into `kept`, which may be the logits
    themselves, or through a block of scratch. With a `bias` (V) the logits still lack it, and get it in place."""
    N, V = logits.shape
    sums = np.empty((3, N), dtype=logits.dtype)
    step = max(1, BLOCK // max(1, V))

    def run(start: int, stop: int) -> None:
        scratch = np.empty((min(step, stop - start) if kept is None else 0, V), dtype=logits.dtype)
        for block in pool.blocks(start, stop, step):
            z = logits[block]
            if bias is not None:
                z += bias
            out = scratch[: block.stop - block.start] if kept is None else kept[block]
            sums[0, block], sums[1, block], sums[2, block] = _block_sums(z, out, rows.spread)

    pool.share(run, N, GRAIN // max(1, V))
    return sums


def _losses(rows: Rows, hit: Array, total: Array, spread_sum: Array) -> Array:
    """Each row's loss (N), from its target's logit less the maximum and what `_block_sums` gives."""
    log_total = np.log(total)
    losses = rows.hit * (log_total - hit)
    if rows.spread is not None:
        losses += rows.spread.sum() * log_total - spread_sum
    losses[~rows.counts] = 0
    return losses


def _finish_gradient(z: Array, rows: Rows, scale: Array) -> None:
    """Turn scale * (a + sum b) p into scale * ((a + sum b) p - a [c = y] - b[c]), in place, and ignored rows into 0."""
    z[np.arange(z.shape[0]), rows.safe] -= scale * rows.hit
    if rows.spread is not None:
        z -= scale[:, None] * rows.spread
    if not rows.counts.all():
        z[~rows.counts] = 0


def _gradient_but_for_factors(z: Array, rows: Rows, total: Array, scale: Array) -> Array:
    """From exponentials z and their sums: z becomes the gradient but for a factor of each row (N), which is returned.

    The products that follow are much smaller than z, and take the factors more cheaply. In half precision, where the
    factors and z without them leave the range of its numbers, z takes them at once.
    """
    mass = rows.mass()
    if z.itemsize < 4:
        z *= (scale * mass / total)[:, None]
        _finish_gradient(z, rows, scale)
        return np.ones_like(scale)
    # z is (total / mass) times (a + sum b) p.
    _finish_gradient(z, rows, np.divide(total, mass, out=np.zeros_like(total), where=mass != 0))
    return np.where(rows.counts, scale * mass / total, 0)  # 0 even where scale is nan


def _row_scale(g: Array, rows: Rows, reduction: str) -> Array:
    """What each row's own gradient is multiplied by, (N)."""
    return np.broadcast_to(gradient_scale(g, rows.row_weight, reduction).reshape(-1), rows.hit.shape)


def cross_entropy_forward(
    logits: Array, target: Array, weight: Array | None,
    *, ignore_index: int, reduction: str, label_smoothing: float, keep: bool,
) -> tuple[Array, tuple[Any, ...] | None]:  # fmt: skip
    """The loss of logits (N, V). Gives loss, residuals.

    With `keep` the exponentials stay, in the memory that the gradient will have: the first backward turns them into it,
    in two thirds of the time. Another backward makes them anew.
    """
    if weight is None and not label_smoothing and cpu_few_rows.fits(logits, target, ignore_index, reduction):
        return cpu_few_rows.forward(logits, target, reduction)
    N, V = logits.shape
    rows = Rows.of(target, weight, ignore_index, label_smoothing, V, logits.dtype)
    exponentials = memory.empty((N, V), logits.dtype) if keep else None
    top, total, spread_sum = _row_sums(logits, rows, exponentials)
    losses = _losses(rows, logits[np.arange(N), rows.safe] - top, total, spread_sum)
    # Maximum and sum apart: the logarithm of both together would lose its last digits where logits are large.
    residuals = (logits, rows, reduction, top, total, [exponentials]) if keep else None
    return reduce_rows(losses, rows.row_weight, reduction), residuals


def cross_entropy_backward(residuals: tuple[Any, ...], g: Array, needs: Needs) -> tuple[Array | None]:
    """The gradient of (logits,), each block of it through the cache once."""
    if type(residuals) is cpu_few_rows.Few:
        return (cpu_few_rows.backward(residuals, g),)
    logits, rows, reduction, top, total, ready = residuals
    if not needs[0]:
        return (None,)
    N, V = logits.shape
    exponentials = ready.pop() if ready else None
    d_logits = memory.empty((N, V), logits.dtype) if exponentials is None else exponentials
    scale = _row_scale(g, rows, reduction)
    mass = scale * rows.mass() / total

    def run(start: int, stop: int) -> None:
        for block in pool.blocks(start, stop, BLOCK // max(1, V)):
            z = d_logits[block]
            if exponentials is None:
                np.subtract(logits[block], top[block, None], out=z)
                np.exp(z, out=z)
            z *= mass[block, None]
            _finish_gradient(z, rows[block], scale[block])

    pool.share(run, N, GRAIN // max(1, V))
    return (d_logits,)


def linear_cross_entropy_forward(
    input: Array, linear_weight: Array, target: Array, linear_bias: Array | None, weight: Array | None,
    *, ignore_index: int, reduction: str, label_smoothing: float, keep: bool,
) -> tuple[Array, tuple[Any, ...] | None]:  # fmt: skip
    """Cross-entropy of input @ linear_weight.T + linear_bias, CHUNK logits at a time. Gives loss, residuals.

    For "mean" and "sum" with `keep` the gradients are made here, while the logits are at hand: backward would have to
    multiply for them again, one product more to the three. The first backward hands them out; another makes them anew.
    """
    N, V = input.shape[0], linear_weight.shape[0]
    rows = Rows.of(target, weight, ignore_index, label_smoothing, V, input.dtype)
    losses = np.empty((N,), dtype=input.dtype)
    arrays = (input, linear_weight, linear_bias)
    if not keep:
        _chunks(arrays, rows, losses, None, (False, False, False))
        return reduce_rows(losses, rows.row_weight, reduction), None
    ready = []
    if reduction == "none":
        _chunks(arrays, rows, losses, None, (False, False, False))
    else:
        one = np.ones((), dtype=input.dtype)
        ready.append(_chunks(arrays, rows, losses, _row_scale(one, rows, reduction), (True, True, True)))
    return reduce_rows(losses, rows.row_weight, reduction), (arrays, rows, reduction, ready)


def linear_cross_entropy_backward(
    residuals: tuple[Any, ...], g: Array, needs: Needs
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of (input, linear_weight, linear_bias)."""
    arrays, rows, reduction, ready = residuals
    if not ready:
        return _chunks(arrays, rows, None, _row_scale(g, rows, reduction), needs)
    d_input, d_weight, d_bias = (d if need else None for d, need in zip(ready.pop(), needs, strict=True))
    if g != 1:
        for gradient in (d_input, d_weight, d_bias):
            if gradient is not None:
                gradient *= g
    return d_input, d_weight, d_bias


def _chunks(
    arrays: tuple[Array, Array, Array | None], rows: Rows, losses: Array | None, scale: Array | None, needs: Needs
) -> tuple[Array | None, Array | None, Array | None]:
    """Chunk by chunk: fill `losses` where given, and add up the gradients that are needed, rows times `scale`."""
    input, linear_weight, linear_bias = arrays
    N, V = input.shape[0], linear_weight.shape[0]
    chunks = chunk_rows(N, V, CHUNK)
    buffer = memory.empty((chunks[0].stop if chunks else 0, V), input.dtype)
    d_input = memory.empty(input.shape, input.dtype) if needs[0] else None
    d_weight = memory.empty((V, input.shape[1]), input.dtype) if needs[1] else None
    if d_weight is not None and not chunks:
        d_weight.fill(0)
    d_bias = np.zeros_like(linear_bias) if needs[2] and linear_bias is not None else None
    product = memory.empty(d_weight.shape, d_weight.dtype) if d_weight is not None and len(chunks) > 1 else None
    for number, chunk in enumerate(chunks):
        logits = np.matmul(input[chunk], linear_weight.T, out=buffer[: chunk.stop - chunk.start])
        part = rows[chunk]
        hit = logits[np.arange(logits.shape[0]), part.safe]
        if linear_bias is not None:
            hit += linear_bias[part.safe]
        top, total, spread_sum = _row_sums(logits, part, logits, linear_bias)
        if losses is not None:
            losses[chunk] = _losses(part, hit - top, total, spread_sum)
        if scale is None:
            continue
        factor = _gradient_but_for_factors(logits, part, total, scale[chunk])
        if d_input is not None:
            np.matmul(logits, linear_weight, out=d_input[chunk])
            d_input[chunk] *= factor[:, None]
        if d_weight is not None:
            np.matmul(logits.T, factor[:, None] * input[chunk], out=product if number else d_weight)
            if number:
                d_weight += product
        if d_bias is not None:
            d_bias += factor @ logits
    return d_input, d_weight, d_bias


def softmax(x: Array, dim: int) -> Array:
    """exp(x) over its sum along dim."""
    if not x.size:
        return np.empty_like(x)
    e = np.subtract(x, x.max(axis=dim, keepdims=True))
    np.exp(e, out=e)
    e /= e.sum(axis=dim, keepdims=True)
    return e


def log_softmax(x: Array, dim: int) -> Array:
    """The logarithm of softmax along dim."""
    if not x.size:
        return np.empty_like(x)
    shifted = np.subtract(x, x.max(axis=dim, keepdims=True))
    exponentials = np.exp(shifted, out=memory.empty(x.shape, x.dtype))
    shifted -= np.log(exponentials.sum(axis=dim, keepdims=True))
    return shifted


def softmax_backward(g: Array, ans: Array, dim: int) -> Array:
    """p (g - sum p g)."""
    weighted = np.multiply(g, ans)
    total = weighted.sum(axis=dim, keepdims=True)
    np.subtract(g, total, out=weighted)
    weighted *= ans
    return weighted


def log_softmax_backward(g: Array, ans: Array, dim: int) -> Array:
    """g - p sum g."""
    gradient = np.exp(ans)
    gradient *= g.sum(axis=dim, keepdims=True)
    return np.subtract(g, gradient, out=gradient)
