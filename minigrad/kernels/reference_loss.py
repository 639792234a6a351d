"""Softmax, cross-entropy, and cross-entropy with the output layer folded in, in plain array functions.

Shapes: N rows, V classes, D features. `target` (N) holds class indices, range-checked by the caller: a kernel cannot
look at them without waiting for the device. `weight` (V) or None are class weights, constants here. Rows whose target
is `ignore_index` count nowhere and pass no gradient.

With smoothing e, w the class weights and p the softmax of a row z, the loss of the row is (Szegedy et al. 2015)
    (1 - e) w[y] (-log p[y])  +  e / V sum_c w[c] (-log p[c])
"mean" divides the sum by the sum of w[y] over the rows that count, as PyTorch does; with no such row it is nan.
"""

from minigrad.backend import namespace
from minigrad.kernels.common import Array, Needs

CHUNK = 1 << 21  # logits alive at a time in linear_cross_entropy


def softmax(x: Array, dim: int) -> Array:
    """exp(x) over its sum along dim, with the maximum taken off first so that nothing overflows."""
    xp = namespace(x)
    if x.size == 0:
        return xp.empty_like(x)
    e = xp.exp(x - x.max(axis=dim, keepdims=True))
    return e / e.sum(axis=dim, keepdims=True)


def log_softmax(x: Array, dim: int) -> Array:
    """The logarithm of softmax, without going through softmax: exact where a probability would round to 0."""
    xp = namespace(x)
    if x.size == 0:
        return xp.empty_like(x)
    shifted = x - x.max(axis=dim, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=dim, keepdims=True))


def softmax_backward(g: Array, ans: Array, dim: int) -> Array:
    """p (g - sum p g): the gradient of softmax's input from its result `ans` = p."""
    return ans * (g - (g * ans).sum(axis=dim, keepdims=True))


def log_softmax_backward(g: Array, ans: Array, dim: int) -> Array:
    """g - p sum g: the gradient of log_softmax's input from its result `ans` = log p."""
    return g - namespace(g).exp(ans) * g.sum(axis=dim, keepdims=True)


def row_weights(target: Array, weight: Array | None, ignore_index: int, dtype: object) -> tuple[Array, Array, Array]:
    """For each row (N): does it count, a target safe to index with, and its target's class weight (0 if ignored)."""
    xp = namespace(target)
    counts = target != ignore_index
    safe = xp.where(counts, target, 0)
    if weight is None:
        return counts, safe, counts.astype(dtype)
    return counts, safe, xp.where(counts, weight[safe], xp.zeros((), dtype=dtype))


def reduce_rows(losses: Array, row_weight: Array, reduction: str) -> Array:
    """(N) losses to the loss; "mean" of no row is nan, without a warning."""
    xp = namespace(losses)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return xp.asarray(losses.sum())
    return xp.asarray(losses.sum() * _reciprocal(row_weight.sum()))


def _reciprocal(total: Array) -> Array:
    """1 / total, nan at 0."""
    xp = namespace(total)
    return xp.where(total == 0, xp.full_like(total, float("nan")), 1 / xp.where(total == 0, xp.ones_like(total), total))


def gradient_scale(g: Array, row_weight: Array, reduction: str) -> Array:
    """What each row's own gradient is multiplied by: (N, 1) for "none", one number otherwise."""
    if reduction == "none":
        return g.reshape(-1, 1)
    return g if reduction == "sum" else g * _reciprocal(row_weight.sum())


def _row_losses(
    logits: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float
) -> tuple[Array, Array]:
    """Each row's loss (N), and its class weight (N)."""
    xp = namespace(logits)
    counts, safe, row_weight = row_weights(target, weight, ignore_index, logits.dtype)
    surprise = -log_softmax(logits, 1)
    losses = (1 - smoothing) * row_weight * xp.take_along_axis(surprise, safe.reshape(-1, 1), axis=1).reshape(-1)
    if smoothing:
        spread = surprise if weight is None else surprise * weight
        losses = losses + (smoothing / logits.shape[1]) * spread.sum(axis=1)
    return xp.where(counts, losses, xp.zeros_like(losses)), row_weight


def _row_gradients(
    logits: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float, scale: Array
) -> Array:
    """The gradient of each row's own loss in its logits (N, V), times scale: (a + sum b) p - a [c = y] - b[c]."""
    xp = namespace(logits)
    counts, safe, row_weight = row_weights(target, weight, ignore_index, logits.dtype)
    V = logits.shape[1]
    a = ((1 - smoothing) * row_weight).reshape(-1, 1)
    b = xp.full((V,), smoothing / V, dtype=logits.dtype) if weight is None else (smoothing / V) * weight
    hit = xp.arange(V).reshape(1, V) == safe.reshape(-1, 1)
    gradient = (a + b.sum()) * softmax(logits, 1) - xp.where(hit, a, xp.zeros_like(a)) - b
    return xp.where(counts.reshape(-1, 1), scale * gradient, xp.zeros_like(a))  # 0 even where scale is nan


def cross_entropy_forward(
    logits: Array, target: Array, weight: Array | None,
    *, ignore_index: int, reduction: str, label_smoothing: float, keep: bool,
) -> tuple[Array, tuple | None]:  # fmt: skip
    """The loss of logits (N, V): 0-d for "mean" and "sum", (N) for "none". Gives loss, residuals."""
    losses, row_weight = _row_losses(logits, target, weight, ignore_index, label_smoothing)
    residuals = (logits, target, weight, ignore_index, reduction, label_smoothing) if keep else None
    return reduce_rows(losses, row_weight, reduction), residuals


def cross_entropy_backward(residuals: tuple, g: Array, needs: Needs) -> tuple[Array | None]:
    """The gradient of (logits,), the one argument that has one."""
    logits, target, weight, ignore_index, reduction, smoothing = residuals
    if not needs[0]:
        return (None,)
    _, _, row_weight = row_weights(target, weight, ignore_index, logits.dtype)
    scale = gradient_scale(g, row_weight, reduction)
    return (_row_gradients(logits, target, weight, ignore_index, smoothing, scale),)


def chunk_rows(rows: int, classes: int, limit: int) -> list[slice]:
    """Slices over the rows, of about the same length, each of at most `limit` logits (but at least one row)."""
    most = max(1, limit // max(1, classes))
    step = -(-rows // max(1, -(-rows // most)))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, max(1, step))]


def linear_cross_entropy_forward(
    input: Array, linear_weight: Array, target: Array, linear_bias: Array | None, weight: Array | None,
    *, ignore_index: int, reduction: str, label_smoothing: float, keep: bool,
) -> tuple[Array, tuple | None]:  # fmt: skip
    """cross_entropy(input @ linear_weight.T + linear_bias, target) without ever holding all N x V logits.

    input (N, D), linear_weight (V, D), target (N), linear_bias (V) or None, weight (V) or None. Gives loss, residuals.
    """
    xp = namespace(input)
    _, _, row_weight = row_weights(target, weight, ignore_index, input.dtype)
    losses = xp.empty((input.shape[0],), dtype=input.dtype)
    for rows in chunk_rows(input.shape[0], linear_weight.shape[0], CHUNK):
        logits = _logits(input[rows], linear_weight, linear_bias)
        losses[rows], _ = _row_losses(logits, target[rows], weight, ignore_index, label_smoothing)
    kept = (input, linear_weight, target, linear_bias, weight, ignore_index, reduction, label_smoothing)
    return reduce_rows(losses, row_weight, reduction), kept if keep else None


def _logits(input: Array, linear_weight: Array, linear_bias: Array | None) -> Array:
    logits = namespace(input).matmul(input, linear_weight.T)
    return logits if linear_bias is None else logits + linear_bias


def linear_cross_entropy_backward(
    residuals: tuple, g: Array, needs: Needs
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of (input, linear_weight, linear_bias), the arguments that have one."""
    input, linear_weight, target, linear_bias, weight, ignore_index, reduction, smoothing = residuals
    xp = namespace(input)
    _, _, row_weight = row_weights(target, weight, ignore_index, input.dtype)
    scale = gradient_scale(g, row_weight, reduction)
    d_input = xp.empty_like(input) if needs[0] else None
    d_weight = xp.zeros_like(linear_weight) if needs[1] else None
    d_bias = xp.zeros_like(linear_bias) if needs[2] and linear_bias is not None else None
    for rows in chunk_rows(input.shape[0], linear_weight.shape[0], CHUNK):
        logits = _logits(input[rows], linear_weight, linear_bias)
        row_scale = scale[rows] if reduction == "none" else scale
        d_logits = _row_gradients(logits, target[rows], weight, ignore_index, smoothing, row_scale)
        if d_input is not None:
            d_input[rows] = xp.matmul(d_logits, linear_weight)
        if d_weight is not None:
            d_weight += xp.matmul(d_logits.T, input[rows])
        if d_bias is not None:
            d_bias += d_logits.sum(axis=0)
    return d_input, d_weight, d_bias
