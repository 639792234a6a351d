"""The LSTM for NumPy: see `reference_recurrent` for the shapes and what it computes, `cpu_steps` for how states lie in
memory here.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from minigrad.kernels import memory
from minigrad.kernels.common import Needs, time_order
from minigrad.kernels.cpu_steps import (
    Blocks,
    alike,
    bias_gradient,
    blocks,
    carried,
    ends,
    flat,
    gradient_of_last,
    input_gradient,
    one_half,
    project,
    recurrent_gradient,
    rows,
    rows_of,
    spans_of,
    starts,
    sum_biases,
    turned,
    weight_gradient,
    without_residuals,
)
from minigrad.kernels.steps import BatchSizes

Array: TypeAlias = np.ndarray[Any, Any]

STACK = 1 << 17  # elements of the gates of a few steps that go through the cache at a time: 512 KiB of float32


def lstm_forward(
    input: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool, batch_sizes: BatchSizes = None,
) -> tuple[tuple[Array, Array, Array], tuple[Any, ...] | None]:  # fmt: skip
    """An LSTM over a sequence. Gives (output, h_n, c_n), residuals."""
    H, spans, bias = h0.shape[1], spans_of(input, batch_sizes), sum_biases(b_ih, b_hh)
    h_first, c_first = turned(h0), turned(c0)
    if not keep:
        h, c = h_first, c_first

        def step(z: Array, x: Array, b: int) -> None:
            _lstm_step(z, x, c[:, :b], c[:, :b], h[:, :b])

        output = without_residuals(input, h, w_ih, w_hh, bias, spans, reverse, step)
        return (output, turned(h), turned(c)), None
    from_input = project(input, w_ih, bias)
    gates = blocks(4 * H, spans, input.dtype)
    h_after, c_after = (blocks(H, spans, input.dtype) for _ in range(2))
    h_before, c_before = h_first, c_first
    for t in time_order(len(spans), reverse):
        z, h, c = gates[t], h_after[t], c_after[t]
        b = h.shape[1]  # the sequences this step has
        np.matmul(w_hh, carried(h_before, h_first, b), out=z)
        _lstm_step(z, from_input[:, spans[t]], carried(c_before, c_first, b), c, h)
        h_before, c_before = h, c
    output = rows(h_after, spans, (*input.shape[:-1], H), input.dtype)
    residuals = (input, h0, c0, w_ih, w_hh, gates.whole, h_after.whole, c_after.whole, batch_sizes, reverse)
    return (output, ends(h_after, h0, reverse), ends(c_after, c0, reverse)), residuals


def _lstm_step(z: Array, x: Array, c_before: Array, c: Array, h: Array) -> None:
    """From z = w_hh h and what comes from the input x, (4H, b), to the gates in z, the cell c and the state h, (H, b).

    `c` may be `c_before` itself."""
    H = h.shape[0]
    z += x
    half = one_half(z.dtype)
    i_f, g, o = z[: 2 * H], z[2 * H : 3 * H], z[3 * H :]
    i_f *= half
    o *= half
    np.tanh(z, out=z)
    i_f *= half
    i_f += half
    o *= half
    o += half
    np.multiply(z[H : 2 * H], c_before, out=c)  # f c
    np.multiply(z[:H], g, out=h)  # i g, where there is room
    c += h
    np.tanh(c, out=h)
    h *= o


def _lstm_local(gates: Array, c_before: Sequence[Array], c_after: Array, room: Array) -> tuple[Array, Array]:
    """The local derivatives of a few steps, from their gates (steps, 4, H b) and cells, into `room` (5 steps H b): of
    the gates, in their shape, which d_c (for i, f, g) or d_h (for o) multiplies into d_gates, and of the cell's way
    into h, o (1 - tanh(c)^2), (steps, H b)."""
    i, g, o = gates[:, 0], gates[:, 2], gates[:, 3]
    local, through_h = room[: gates.size].reshape(gates.shape), room[gates.size :].reshape(o.shape)
    squashed = np.tanh(c_after)
    np.subtract(1, gates, out=local)
    local *= gates  # s (1 - s), the sigmoid's; for g it is overwritten
    d_i, d_f, d_g, d_o = local[:, 0], local[:, 1], local[:, 2], local[:, 3]
    d_i *= g
    for row, before in zip(d_f, c_before):  # which lie apart: the first may be c0
        block = row.reshape(before.shape)
        block *= before
    np.multiply(g, g, out=d_g)
    np.subtract(1, d_g, out=d_g)
    d_g *= i
    d_o *= squashed
    np.multiply(squashed, squashed, out=squashed)
    np.subtract(1, squashed, out=squashed)
    np.multiply(squashed, o, out=through_h)
    return local, through_h


def lstm_backward(
    residuals: tuple[Any, ...], g_output: Array | None, g_h_n: Array | None, g_c_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, c0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, c0, w_ih, w_hh, *kept, batch_sizes, reverse = residuals
    H, spans = h0.shape[1], spans_of(input, batch_sizes)
    gates, h_after, c_after = (Blocks(whole, K * H, spans) for whole, K in zip(kept, (4, 1, 1)))
    c_before = starts(c_after, turned(c0), reverse)
    d_h_n, d_c_n = gradient_of_last(g_h_n, h0), gradient_of_last(g_c_n, c0)
    g_rows = None if g_output is None else flat(g_output)
    d_gates = memory.empty((4 * H, flat(input).shape[0]), h0.dtype)
    pieces = alike(spans, STACK // max(1, 4 * H))
    room = memory.empty((5 * H * max((rows_of(spans, steps) for steps in pieces), default=0),), h0.dtype)
    # Local derivatives and what they become stay in the cache for a few steps; all at once, they went through memory.
    for steps in pieces if reverse else reversed(pieces):
        N, b = rows_of(spans, steps), c_after[steps.start].shape[1]
        local, through_h = _lstm_local(
            gates.stack(steps, 4), c_before[steps], c_after.stack(steps, 1)[:, 0], room[: 5 * H * N]
        )
        d_h, d_c = d_h_n[:, :b], d_c_n[:, :b]
        for place in time_order(len(local), not reverse):
            t = steps.start + place
            d_z, through = local[place].reshape(4 * H, b), through_h[place].reshape(H, b)
            if g_rows is not None:
                d_h += g_rows[spans[t]].T
            through *= d_h
            d_c += through
            d_ifg, d_o = d_z[: 3 * H].reshape(3, H, b), d_z[3 * H :]
            d_ifg *= d_c
            d_o *= d_h
            d_c *= gates[t][H : 2 * H]
            np.matmul(w_hh.T, d_z, out=d_h)
        side_by_side = d_gates[:, spans[steps.start].start :][:, :N].reshape(4 * H, len(local), b)
        side_by_side[...] = local.reshape(len(local), 4 * H, b).transpose(1, 0, 2)
    d_bias = bias_gradient(d_gates) if needs[5] or needs[6] else None
    return (
        input_gradient(d_gates, w_ih, input.shape) if needs[0] else None,
        turned(d_h_n) if needs[1] else None,
        turned(d_c_n) if needs[2] else None,
        weight_gradient(d_gates, flat(input)) if needs[3] else None,
        recurrent_gradient(d_gates, h_after, h0, spans, reverse) if needs[4] else None,
        d_bias if needs[5] else None,
        d_bias.copy() if needs[6] and d_bias is not None else None,
    )
