"""RNN, LSTM and GRU for CuPy: see `reference_recurrent` for the shapes and what they compute.

A step is one matrix product and one kernel for all the gate arithmetic. Nothing waits for the card. The loop cannot be
captured in a CUDA graph, to be launched as a whole: up to version 14 CuPy refuses cuBLAS's products during a capture.
"""

import cupy

from minigrad.kernels import cuda_source
from minigrad.kernels.common import Array, Needs, time_order
from minigrad.kernels.cuda_launch import kernel
from minigrad.kernels.reference_recurrent import flat, input_gradient, project, start, weight_gradient
from minigrad.kernels.steps import BatchSizes, carry, ends, starts, steps_of


def lstm_forward(
    input: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool, batch_sizes: BatchSizes = None,
) -> tuple[tuple[Array, Array, Array], tuple | None]:  # fmt: skip
    """An LSTM over a sequence. Gives (output, h_n, c_n), residuals."""
    (B, H), steps = h0.shape, steps_of(input, batch_sizes)
    gates = project(input, w_ih, b_ih, b_hh)
    output, recurrent = cupy.empty((*input.shape[:-1], H), input.dtype), cupy.empty((B, 4 * H), input.dtype)
    cells = cupy.empty_like(output)
    step, h, c = kernel(cuda_source.LSTM_FORWARD), h0, c0
    for t in time_order(len(steps), reverse):
        z = gates[steps[t]]
        from_h = recurrent[: len(z)]
        cupy.matmul(carry(h, h0, len(z)), w_hh.T, out=from_h)
        before, h, c = carry(c, c0, len(z)), output[steps[t]], cells[steps[t]]
        step(before, from_h, H, c, h, z)
    h_n, c_n = (ends([states[at] for at in steps], first, reverse) for states, first in ((output, h0), (cells, c0)))
    residuals = (input, h0, c0, w_ih, w_hh, gates, cells, output.copy(), batch_sizes, reverse) if keep else None
    return (output, h_n, c_n), residuals


def lstm_backward(
    residuals: tuple, g_output: Array | None, g_h_n: Array | None, g_c_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, c0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, c0, w_ih, w_hh, gates, cells, output, batch_sizes, reverse = residuals
    steps = steps_of(input, batch_sizes)
    before = starts(cells, c0, steps, reverse)
    d_gates = cupy.empty_like(gates)
    d_h, d_c = start(g_h_n, h0), start(g_c_n, c0)
    step = kernel(cuda_source.LSTM_BACKWARD)
    for t in time_order(len(steps), not reverse):
        at = steps[t]
        g, z = 0 if g_output is None else g_output[at], gates[at]
        h, c = d_h[: len(z)], d_c[: len(z)]
        step(g, h, before[at], cells[at], z, h0.shape[1], c, d_gates[at])
        cupy.matmul(d_gates[at], w_hh, out=h)
    d_bias = flat(d_gates).sum(axis=0) if needs[5] or needs[6] else None
    return (
        input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h if needs[1] else None,
        d_c if needs[2] else None,
        weight_gradient(d_gates, input) if needs[3] else None,
        weight_gradient(d_gates, starts(output, h0, steps, reverse)) if needs[4] else None,
        d_bias if needs[5] else None,
        d_bias.copy() if needs[6] and d_bias is not None else None,
    )


def gru_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool, batch_sizes: BatchSizes = None,
) -> tuple[tuple[Array, Array], tuple | None]:  # fmt: skip
    """A GRU over a sequence. Gives (output, h_n), residuals."""
    (B, H), steps = h0.shape, steps_of(input, batch_sizes)
    gates = project(input, w_ih, b_ih)
    output, recurrent = cupy.empty((*input.shape[:-1], H), input.dtype), cupy.empty((B, 3 * H), input.dtype)
    hidden_n = cupy.empty_like(output)
    bias = cupy.zeros((3 * H,), input.dtype) if b_hh is None else b_hh
    step, h = kernel(cuda_source.GRU_FORWARD), h0
    for t in time_order(len(steps), reverse):
        at = steps[t]
        before, h = carry(h, h0, len(gates[at])), output[at]
        from_h = recurrent[: len(h)]
        cupy.matmul(before, w_hh.T, out=from_h)
        step(before, from_h, bias, H, h, hidden_n[at], gates[at])
    h_n = ends([output[at] for at in steps], h0, reverse)
    residuals = (input, h0, w_ih, w_hh, gates, hidden_n, output.copy(), batch_sizes, reverse) if keep else None
    return (output, h_n), residuals


def gru_backward(
    residuals: tuple, g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:  # fmt: skip
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, gates, hidden_n, output, batch_sizes, reverse = residuals
    H, steps = h0.shape[1], steps_of(input, batch_sizes)
    before = starts(output, h0, steps, reverse)
    d_gates, d_hidden = cupy.empty_like(gates), cupy.empty_like(gates)
    # A sequence's row of `through` waits for the next step that it takes part in: an addition less to launch a step.
    d_h, through = start(g_h_n, h0), cupy.zeros(h0.shape, h0.dtype)
    step = kernel(cuda_source.GRU_BACKWARD)
    for t in time_order(len(steps), not reverse):
        at = steps[t]
        g, h = 0 if g_output is None else g_output[at], d_h[: len(gates[at])]
        from_later = through[: len(h)]
        step(g, from_later, before[at], hidden_n[at], gates[at], H, h, d_gates[at], d_hidden[at])
        cupy.matmul(d_hidden[at], w_hh, out=from_later)
    d_h += through
    return (
        input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h if needs[1] else None,
        weight_gradient(d_gates, input) if needs[2] else None,
        weight_gradient(d_hidden, before) if needs[3] else None,
        flat(d_gates).sum(axis=0) if needs[4] else None,
        flat(d_hidden).sum(axis=0) if needs[5] else None,
    )


def rnn_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, nonlinearity: str, reverse: bool, keep: bool, batch_sizes: BatchSizes = None,
) -> tuple[tuple[Array, Array], tuple | None]:  # fmt: skip
    """A simple recurrent network over a sequence. Gives (output, h_n), residuals."""
    steps = steps_of(input, batch_sizes)
    projected = project(input, w_ih, b_ih, b_hh)
    output, recurrent = cupy.empty_like(projected), cupy.empty(h0.shape, input.dtype)
    step, h = kernel(cuda_source.RNN_FORWARD), h0
    for t in time_order(len(steps), reverse):
        at = steps[t]
        from_h = recurrent[: len(output[at])]
        cupy.matmul(carry(h, h0, len(from_h)), w_hh.T, out=from_h)
        h = output[at]
        step(projected[at], from_h, nonlinearity == "relu", h)
    h_n = ends([output[at] for at in steps], h0, reverse)
    residuals = (input, h0, w_ih, w_hh, output.copy(), nonlinearity, batch_sizes, reverse) if keep else None
    return (output, h_n), residuals


def rnn_backward(
    residuals: tuple, g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:  # fmt: skip
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, output, nonlinearity, batch_sizes, reverse = residuals
    steps = steps_of(input, batch_sizes)
    d_gates = cupy.empty_like(output)
    d_h, step = start(g_h_n, h0), kernel(cuda_source.RNN_BACKWARD)
    for t in time_order(len(steps), not reverse):
        at = steps[t]
        g, h = 0 if g_output is None else g_output[at], d_h[: len(output[at])]
        step(g, h, output[at], nonlinearity == "relu", d_gates[at])
        cupy.matmul(d_gates[at], w_hh, out=h)
    d_bias = flat(d_gates).sum(axis=0) if needs[4] or needs[5] else None
    return (
        input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h if needs[1] else None,
        weight_gradient(d_gates, input) if needs[2] else None,
        weight_gradient(d_gates, starts(output, h0, steps, reverse)) if needs[3] else None,
        d_bias if needs[4] else None,
        d_bias.copy() if needs[5] and d_bias is not None else None,
    )
