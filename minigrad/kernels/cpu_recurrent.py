"""RNN, LSTM and GRU for NumPy: see `reference_recurrent` for the shapes and what they compute, `cpu_steps` for how
states lie in memory here.

What does not depend on the step before is done for all steps at once: the input product, the local derivatives, the
weight gradients. A step writes into memory that is there already, in as few calls as it can. And a sigmoid is a tanh,
sigmoid(x) = tanh(x / 2) / 2 + 1/2: one tanh serves all gates.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from minigrad.kernels import memory, pool
from minigrad.kernels.common import Needs, time_order
from minigrad.kernels.cpu_steps import (
    Blocks,
    Spans,
    alike,
    bias_gradient,
    blocks,
    carried,
    columns,
    ends,
    flat,
    gradient_of_last,
    input_gradient,
    project,
    rows,
    rows_of,
    spans_of,
    sum_biases,
    turned,
    weight_gradient,
)
from minigrad.kernels.steps import BatchSizes

Array: TypeAlias = np.ndarray[Any, Any]

# Elements worth a thread of their own. After a product the threads of BLAS go on spinning for a while, and one of ours
# has to share its core with them: 400 x 800 gates are done sooner by one alone.
GRAIN = 1 << 20
# Rows of the input that are multiplied at a time where nothing is kept: in pieces half that long, products of 650 units
# take a tenth longer.
ROWS = 1 << 9
STACK = 1 << 17  # elements of the gates of a few steps that go through the cache at a time: 512 KiB of float32


def _share_steps(work: pool.Work, blocks: Sequence[Array]) -> None:
    """Share out work(first step, last step) over threads."""
    size = max((block.size for block in blocks), default=0)
    pool.share(work, len(blocks), -(-GRAIN // max(1, size)))


def _starts(after: Sequence[Array], first: Array, reverse: bool) -> list[Array]:
    """What each step began with, from what each ended with."""
    before = [first] * len(after)
    state = first
    for t in time_order(len(after), reverse):
        before[t] = carried(state, first, after[t].shape[1])
        state = after[t]
    return before


@cache
def _half(dtype: Any) -> Array:
    """0.5 as an array: a Python number is converted in every call, 0.3 microseconds of 0.6 for 256 gates."""
    return np.array(0.5, dtype)


def _without_residuals(
    input: Array, h: Array, w_ih: Array, w_hh: Array, bias: Array | None, spans: Spans, reverse: bool,
    step: Callable[[Array, Array, int], None],
) -> Array:  # fmt: skip
    """The output of a recurrence that nothing is kept of. Its state `h` (H, B) moves along time in place, by
    step(w_hh h, what comes from the input, b), the first two (K*H, b), over the first b sequences.

    A sequence that has ended, or not begun, keeps its column meanwhile: in the end `h` holds the last states. What
    comes from the input is multiplied for ROWS rows at a time: memory is needed for the output, and for little beside.
    """
    B, rows, order = h.shape[1], w_hh.shape[0], time_order(len(spans), reverse)
    output = memory.empty((*input.shape[:-1], h.shape[0]), input.dtype)
    source, below = flat(input), flat(output)
    scratch = np.empty((rows * B,), input.dtype)
    count = max(1, ROWS // max(1, B))
    for at in range(0, len(order), count):
        steps = order[at : at + count]
        first, last = sorted((steps[0], steps[-1]))
        start = spans[first].start
        from_input = project(source[start : spans[last].stop], w_ih, bias)
        for t in steps:
            span = spans[t]
            b = span.stop - span.start
            z, state = scratch[: rows * b].reshape(rows, b), h[:, :b]
            np.matmul(w_hh, state, out=z)
            step(z, from_input[:, span.start - start : span.stop - start], b)
            below[span] = state.T
    return output


# ----------------------------------------------------------------------------------------------------------------- LSTM


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

        output = _without_residuals(input, h, w_ih, w_hh, bias, spans, reverse, step)
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
    half = _half(z.dtype)
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
    c_before = _starts(c_after, turned(c0), reverse)
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
        _recurrent_gradient(d_gates, h_after, h0, spans, reverse) if needs[4] else None,
        d_bias if needs[5] else None,
        d_bias.copy() if needs[6] and d_bias is not None else None,
    )


def _recurrent_gradient(d_gates: Array, h_after: Sequence[Array], h0: Array, spans: Spans, reverse: bool) -> Array:
    """That of w_hh, (K*H, H)."""
    h_before = columns(_starts(h_after, turned(h0), reverse), spans, h0.shape[1], h0.dtype)
    return weight_gradient(d_gates, h_before.T)


def _gates(block: Array, count: int) -> list[Array]:
    """Views of the `count` gates of one step, each (H, b)."""
    return list(block.reshape(count, block.shape[0] // count, block.shape[1]))


# ------------------------------------------------------------------------------------------------------------------ GRU


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

        return (_without_residuals(input, h, w_ih, w_hh, b_ih, spans, reverse, step), turned(h)), None
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
    half = _half(z.dtype)
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


def gru_backward(
    residuals: tuple[Any, ...], g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, *kept, batch_sizes, reverse = residuals
    (B, H), spans = h0.shape, spans_of(input, batch_sizes)
    gates, hidden_n, h_after = (Blocks(whole, K * H, spans) for whole, K in zip(kept, (3, 1, 1)))
    h_before = _starts(h_after, turned(h0), reverse)
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
        _recurrent_gradient(d_hidden, h_after, h0, spans, reverse) if needs[3] else None,
        bias_gradient(d_gates) if needs[4] else None,
        bias_gradient(d_hidden) if needs[5] else None,
    )


# ------------------------------------------------------------------------------------------------------------------ RNN


def rnn_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, nonlinearity: str, reverse: bool, keep: bool, batch_sizes: BatchSizes = None,
) -> tuple[tuple[Array, Array], tuple[Any, ...] | None]:  # fmt: skip
    """A simple recurrent network over a sequence. Gives (output, h_n), residuals."""
    H, spans, bias = h0.shape[1], spans_of(input, batch_sizes), sum_biases(b_ih, b_hh)
    h_first = turned(h0)
    if not keep:
        h = h_first

        def step(z: Array, x: Array, b: int) -> None:
            z += x
            _rnn_step(z, nonlinearity, h[:, :b])

        return (_without_residuals(input, h, w_ih, w_hh, bias, spans, reverse, step), turned(h)), None
    from_input = project(input, w_ih, bias)
    h_after = blocks(H, spans, input.dtype)
    state = h_first
    for t in time_order(len(spans), reverse):
        h = h_after[t]
        np.matmul(w_hh, carried(state, h_first, h.shape[1]), out=h)
        h += from_input[:, spans[t]]
        _rnn_step(h, nonlinearity, h)
        state = h
    results = rows(h_after, spans, (*input.shape[:-1], H), input.dtype), ends(h_after, h0, reverse)
    return results, (input, h0, w_ih, w_hh, h_after.whole, nonlinearity, batch_sizes, reverse)


def _rnn_step(z: Array, nonlinearity: str, h: Array) -> None:
    """The state h of what adds up to it, (H, b)."""
    if nonlinearity == "tanh":
        np.tanh(z, out=h)
    else:
        np.maximum(z, 0, out=h)


def rnn_backward(
    residuals: tuple[Any, ...], g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, whole, nonlinearity, batch_sizes, reverse = residuals
    spans = spans_of(input, batch_sizes)
    h_after = Blocks(whole, h0.shape[1], spans)
    local = blocks(h0.shape[1], spans, input.dtype)
    d_h_n = gradient_of_last(g_h_n, h0)
    g_rows = None if g_output is None else flat(g_output)
    for t in time_order(len(spans), not reverse):
        d, h = local[t], h_after[t]
        d_h = d_h_n[:, : d.shape[1]]
        if g_rows is not None:
            d_h += g_rows[spans[t]].T
        if nonlinearity == "tanh":
            np.multiply(h, h, out=d)
            np.subtract(1, d, out=d)
            d *= d_h
        else:
            np.multiply(d_h, h > 0, out=d)
        np.matmul(w_hh.T, d, out=d_h)
    d_gates = columns(local, spans, h0.shape[1], h0.dtype)
    d_bias = bias_gradient(d_gates) if needs[4] or needs[5] else None
    return (
        input_gradient(d_gates, w_ih, input.shape) if needs[0] else None,
        turned(d_h_n) if needs[1] else None,
        weight_gradient(d_gates, flat(input)) if needs[2] else None,
        _recurrent_gradient(d_gates, h_after, h0, spans, reverse) if needs[3] else None,
        d_bias if needs[4] else None,
        d_bias.copy() if needs[5] and d_bias is not None else None,
    )
