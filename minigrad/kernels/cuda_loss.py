"""Cross-entropy for CuPy: see `reference_loss` for the shapes and what it computes.

CuPy's reductions sum the rows; one kernel turns logits into their gradient in place. Nothing waits for the card.
"""

from typing import Any

import cupy

from minigrad.kernels import cuda_source
from minigrad.kernels.common import Array, Needs
from minigrad.kernels.cuda_launch import kernel, reduction
from minigrad.kernels.reference_loss import chunk_rows, gradient_scale, reduce_rows, row_weights

CHUNK = 1 << 25  # logits alive at a time in linear_cross_entropy: 128 MiB of float32


class _Rows:
    """What the loss of each row is made of; the letters a and b are those of reference_loss."""

    def __init__(self, target: Array, weight: Array | None, ignore_index: int, smoothing: float, V: int, dtype: Any):
        self.counts, safe, self.row_weight = row_weights(target, weight, ignore_index, dtype)
        self.safe = safe.astype(cupy.int64, copy=False)
        self.a = (1 - smoothing) * self.row_weight  # N
        self.smoothed = smoothing != 0
        self.b = cupy.full((V,), smoothing / V, dtype) if weight is None else (smoothing / V) * weight  # V

    def __getitem__(self, rows: slice) -> "_Rows":
        part = object.__new__(_Rows)
        part.counts, part.safe, part.row_weight = self.counts[rows], self.safe[rows], self.row_weight[rows]
        part.a, part.b, part.smoothed = self.a[rows], self.b, self.smoothed
        return part

    def losses(self, logits: Array) -> tuple[Array, Array, Array]:
        """Each row's loss, its maximum, and the sum of its exponentials beside that, all (N).

        Maximum and sum stay apart: the logarithm of both together would lose its last digits where logits are large.
        """
        top = logits.max(axis=1)
        total = reduction(cuda_source.SUM_EXP)(logits, top[:, None], axis=1)
        hit = cupy.take_along_axis(logits, self.safe[:, None], axis=1)[:, 0]
        losses = self.a * (cupy.log(total) - (hit - top))
        if self.smoothed:
            losses = losses + self.b.sum() * (cupy.log(total) + top) - cupy.matmul(logits, self.b)
        return cupy.where(self.counts, losses, cupy.zeros_like(losses)), top, total

    def gradient(self, logits: Array, top: Array, total: Array, scale: Array, out: Array) -> None:
        """The gradient of the logits, times each row's `scale` (N), into `out`, which may be the logits."""
        mass = scale * (self.a + self.b.sum()) if self.smoothed else scale * self.a
        kernel(cuda_source.CROSS_ENTROPY_BACKWARD)(
            logits, top, mass / total, scale * self.a, scale, self.safe, self.counts, self.b,
            logits.shape[1], self.smoothed, out,
        )  # fmt: skip

    def scale(self, g: Array, reduction: str) -> Array:
        """What each row's own gradient is multiplied by, (N)."""
        scale = gradient_scale(g, self.row_weight, reduction).reshape(-1)
        return cupy.ascontiguousarray(cupy.broadcast_to(scale, self.a.shape))


def cross_entropy_forward(
    logits: Array, target: Array, weight: Array | None,
    *, ignore_index: int, reduction: str, label_smoothing: float, keep: bool,
) -> tuple[Array, tuple | None]:  # fmt: skip
    """The loss of logits (N, V). Gives loss, residuals."""
    rows = _Rows(target, weight, ignore_index, label_smoothing, logits.shape[1], logits.dtype)
    losses, top, total = rows.losses(logits)
    residuals = (logits, rows, reduction, top, total) if keep else None
    return reduce_rows(losses, rows.row_weight, reduction), residuals


def cross_entropy_backward(residuals: tuple, g: Array, needs: Needs) -> tuple[Array | None]:
    """The gradient of (logits,)."""
    logits, rows, reduction, top, total = residuals
    if not needs[0]:
        return (None,)
    d_logits = cupy.empty(logits.shape, logits.dtype)
    rows.gradient(logits, top, total, rows.scale(g, reduction), d_logits)
    return (d_logits,)


def linear_cross_entropy_forward(
    input: Array, linear_weight: Array, target: Array, linear_bias: Array | None, weight: Array | None,
    *, ignore_index: int, reduction: str, label_smoothing: float, keep: bool,
) -> tuple[Array, tuple | None]:  # fmt: skip
    """Cross-entropy of input @ linear_weight.T + linear_bias, CHUNK logits at a time. Gives loss, residuals.

    As in `cpu_loss` the gradients of "mean" and "sum" are made here; the first backward hands them out.
    """
    N, V = input.shape[0], linear_weight.shape[0]
    rows = _Rows(target, weight, ignore_index, label_smoothing, V, input.dtype)
    losses = cupy.empty((N,), input.dtype)
    arrays = (input, linear_weight, linear_bias)
    ready = []
    if keep and reduction != "none":
        scale = rows.scale(cupy.ones((), input.dtype), reduction)
        ready.append(_chunks(arrays, rows, losses, scale, (True, True, True)))
    else:
        _chunks(arrays, rows, losses, None, (False, False, False))
    return reduce_rows(losses, rows.row_weight, reduction), (arrays, rows, reduction, ready) if keep else None


def linear_cross_entropy_backward(
    residuals: tuple, g: Array, needs: Needs
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of (input, linear_weight, linear_bias)."""
    arrays, rows, reduction, ready = residuals
    if not ready:
        return _chunks(arrays, rows, None, rows.scale(g, reduction), needs)
    d_input, d_weight, d_bias = (d if need else None for d, need in zip(ready.pop(), needs, strict=True))
    for gradient in (d_input, d_weight, d_bias):
        if gradient is not None:
            gradient *= g
    return d_input, d_weight, d_bias


def _chunks(
    arrays: tuple[Array, Array, Array | None], rows: _Rows, losses: Array | None, scale: Array | None, needs: Needs
) -> tuple[Array | None, Array | None, Array | None]:
    """Chunk by chunk: fill `losses` where given, and add up the gradients that are needed, rows times `scale`."""
    input, linear_weight, linear_bias = arrays
    d_input = cupy.empty(input.shape, input.dtype) if needs[0] else None
    d_weight = cupy.zeros(linear_weight.shape, input.dtype) if needs[1] else None
    d_bias = cupy.zeros_like(linear_bias) if needs[2] and linear_bias is not None else None
    for chunk in chunk_rows(input.shape[0], linear_weight.shape[0], CHUNK):
        logits = cupy.matmul(input[chunk], linear_weight.T)
        if linear_bias is not None:
            logits += linear_bias
        part = rows[chunk]
        found, top, total = part.losses(logits)
        if losses is not None:
            losses[chunk] = found
        if scale is not None:
            part.gradient(logits, top, total, scale[chunk], logits)
        if d_input is not None:
            cupy.matmul(logits, linear_weight, out=d_input[chunk])
        if d_weight is not None:
            d_weight += cupy.matmul(logits.T, input[chunk])
        if d_bias is not None:
            d_bias += logits.sum(axis=0)
    return d_input, d_weight, d_bias
