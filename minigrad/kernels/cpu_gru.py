"""The GRU for NumPy: see `reference_recurrent` for the shapes and what it computes, `cpu_steps` for how states lie in
memory here.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from minigrad.kernels import pool
from minigrad.kernels.common import Needs, time_order
from minigrad.kernels.cpu_steps import (
    Blocks,
    Spans,
    bias_gradient,
    blocks,
    carried,
    columns,
    ends,
    flat,
    gradient_of_last,
    input_gradient,
    one_half,
    project,
    recurrent_gradient,
    rows,
    spans_of,
    starts,
    turned,
    weight_gradient,
    without_residuals,
)
from minigrad.kernels.steps import BatchSizes

Array: TypeAlias = np.ndarray[Any, Any]

# Elements worth a thread of their own. After a product the threads of BLAS go on spinning for a while, and one of ours
# has to share its core with them: 400 x 800 gates are done sooner by one alone.
GRAIN = 1 << 20


def _share_steps(work: pool.Work, blocks: Sequence[Array]) -> None:
    """Share out work(first step, last step) over threads."""
    size = max((block.size for block in blocks), default=0)
    pool.share(work, len(blocks), -(-GRAIN // max(1, size)))


def gru_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool, batch_sizes: BatchSizes = None,
) -> tuple[tuple[Array, Array], tuple[Any, ...] | None]:  # fmt: skip
    """A GRU over a sequence. Gives (output, h_n), residuals."""
    H, spans = h0.shape[1], spans_of(input, batch_sizes)
    h_first = turned(h0)
    if not keep:
        h = h_first

        def step(z: Array, x: Array, b: int) -> None:
            _gru_step(z, x, b_hh, None, h[:, :b], h[:, :b])

        return (without_residuals(input, h, w_ih, w_hh, b_ih, spans, reverse, step), turned(h)), None
    from_input = project(input, w_ih, b_ih)
    gates, hidden_n = (blocks(width, spans, input.dtype) for width in (3 * H, H))
    h_after = blocks(H, spans, input.dtype)
    state = h_first
    for t in time_order(len(spans), reverse):
        z, h = gates[t], h_after[t]
        before = carried(state, h_first, h.shape[1])
        np.matmul(w_hh, before, out=z)
        _gru_step(z, from_input[:, spans[t]], b_hh, hidden_n[t], before, h)
        state = h
    results = rows(h_after, spans, (*input.shape[:-1], H), input.dtype), ends(h_after, h0, reverse)
    return results, (input, h0, w_ih, w_hh, gates.whole, hidden_n.whole, h_after.whole, batch_sizes, reverse)


def _gru_step(z: Array, x: Array, b_hh: Array | None, hidden_n: Array | None, before: Array, h: Array) -> None:
    """From z = w_hh h and what comes from the input x, (3H, b), to the gates in z and the state h, (H, b).

    `hidden_n` (H, b), if wanted, is what r multiplies. `h` may be `before` itself."""
    H = h.shape[0]
    if b_hh is not None:
        z += b_hh[:, None]
    rz, n = z[: 2 * H], z[2 * H :]
    if hidden_n is not None:
        hidden_n[...] = n
    rz += x[: 2 * H]
    half = one_half(z.dtype)
    rz *= half
    np.tanh(rz, out=rz)
    rz *= half
    rz += half
    n *= rz[:H]
    n += x[2 * H :]
    np.tanh(n, out=n)
    np.subtract(before, n, out=h)
    h *= rz[H:]
    h += n


def _gru_local(
    gates: Sequence[Array], hidden_n: Sequence[Array], h_before: Sequence[Array], spans: Spans, H: int, dtype: Any
) -> tuple[list[Array], list[Array]]:
    """What d_h of a step multiplies into d_gates and into d_hidden, each (3H, b), for all steps."""
    local, local_hidden = (blocks(3 * H, spans, dtype) for _ in range(2))

    def fill(start: int, stop: int) -> None:
        for t in range(start, stop):
            r, z, n = _gates(gates[t], 3)
            d_r, d_z, d_n = _gates(local[t], 3)
            np.multiply(n, n, out=d_r)
            np.subtract(1, d_r, out=d_r)
            np.subtract(1, z, out=d_z)
            np.multiply(d_z, d_r, out=d_n)  # (1 - z) (1 - n^2)
            d_z *= z
            d_z *= h_before[t] - n
            np.subtract(1, r, out=d_r)
            d_r *= r
            d_r *= hidden_n[t]
            d_r *= d_n
            local_hidden[t][...] = local[t]
            _gates(local_hidden[t], 3)[2][...] *= r

    _share_steps(fill, gates)
    return local, local_hidden


def _gates(block: Array, count: int) -> list[Array]:
    """Views of the `count` gates of one step, each (H, b)."""
    return list(block.reshape(count, block.shape[0] // count, block.shape[1]))


def gru_backward(
    residuals: tuple[Any, ...], g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, *kept, batch_sizes, reverse = residuals
    (B, H), spans = h0.shape, spans_of(input, batch_sizes)
    gates, hidden_n, h_after = (Blocks(whole, K * H, spans) for whole, K in zip(kept, (3, 1, 1)))
    h_before = starts(h_after, turned(h0), reverse)
    local, local_hidden = _gru_local(gates, hidden_n, h_before, spans, H, h0.dtype)
    d_h_n, recurrent = gradient_of_last(g_h_n, h0), np.empty((H * B,), dtype=input.dtype)
    g_rows = None if g_output is None else flat(g_output)
    for t in time_order(len(spans), not reverse):
        b = gates[t].shape[1]
        d_h, from_h = d_h_n[:, :b], recurrent[: H * b].reshape(H, b)
        if g_rows is not None:
            d_h += g_rows[spans[t]].T
        for through in (local[t], local_hidden[t]):
            through = through.reshape(3, H, b)
            through *= d_h
        np.matmul(w_hh.T, local_hidden[t], out=from_h)
        d_h *= gates[t][H : 2 * H]
        d_h += from_h
    d_gates, d_hidden = (columns(each, spans, 3 * H, h0.dtype) for each in (local, local_hidden))
    return (
        input_gradient(d_gates, w_ih, input.shape) if needs[0] else None,
        turned(d_h_n) if needs[1] else None,
        weight_gradient(d_gates, flat(input)) if needs[2] else None,
        recurrent_gradient(d_hidden, h_after, h0, spans, reverse) if needs[3] else None,
        bias_gradient(d_gates) if needs[4] else None,
        bias_gradient(d_hidden) if needs[5] else None,
    )
