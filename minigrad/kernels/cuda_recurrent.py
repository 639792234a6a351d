"""RNN, LSTM and GRU for CuPy: see `reference_recurrent` for the shapes and what they compute.

A step is one matrix product and one kernel for all the gate arithmetic. Nothing waits for the card.
"""

import cupy

from minigrad.kernels import cuda_source
from minigrad.kernels.common import Array, Needs, time_order
from minigrad.kernels.cuda_launch import kernel
from minigrad.kernels.reference_recurrent import input_gradient, previous, project, start, weight_gradient


def lstm_forward(
    input: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool,
) -> tuple[tuple[Array, Array, Array], tuple | None]:  # fmt: skip
    """An LSTM over a sequence. Gives (output, h_n, c_n), residuals."""
    T, B, _ = input.shape
    H = h0.shape[1]
    gates = project(input, w_ih, b_ih, b_hh)
    output, recurrent = cupy.empty((T, B, H), input.dtype), cupy.empty((B, 4 * H), input.dtype)
    cells = cupy.empty((T if keep else 0, B, H), input.dtype)
    step, h, c = kernel(cuda_source.LSTM_FORWARD), h0, c0
    for t in time_order(T, reverse):
        cupy.matmul(h, w_hh.T, out=recurrent)
        before, h = c, output[t]
        c = cells[t] if keep else cupy.empty_like(before)
        step(before, recurrent, H, c, h, gates[t])
    residuals = (input, h0, c0, w_ih, w_hh, gates, cells, output.copy(), reverse) if keep else None
    return (output, h.copy(), c.copy()), residuals


def lstm_backward(
    residuals: tuple, g_output: Array | None, g_h_n: Array | None, g_c_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, c0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, c0, w_ih, w_hh, gates, cells, output, reverse = residuals
    before = previous(cells, c0, reverse)
    d_gates = cupy.empty_like(gates)
    d_h, d_c = start(g_h_n, h0).copy(), start(g_c_n, c0).copy()
    step = kernel(cuda_source.LSTM_BACKWARD)
    for t in time_order(input.shape[0], not reverse):
        step(0 if g_output is None else g_output[t], d_h, before[t], cells[t], gates[t], h0.shape[1], d_c, d_gates[t])
        cupy.matmul(d_gates[t], w_hh, out=d_h)
    d_bias = d_gates.sum(axis=(0, 1)) if needs[5] or needs[6] else None
    return (
        input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h if needs[1] else None,
        d_c if needs[2] else None,
        weight_gradient(d_gates, input) if needs[3] else None,
        weight_gradient(d_gates, previous(output, h0, reverse)) if needs[4] else None,
        d_bias if needs[5] else None,
        d_bias.copy() if needs[6] and d_bias is not None else None,
    )


def gru_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool,
) -> tuple[tuple[Array, Array], tuple | None]:  # fmt: skip
    """A GRU over a sequence. Gives (output, h_n), residuals."""
    T, B, _ = input.shape
    H = h0.shape[1]
    gates = project(input, w_ih, b_ih)
    output, recurrent = cupy.empty((T, B, H), input.dtype), cupy.empty((B, 3 * H), input.dtype)
    hidden_n = cupy.empty((T, B, H), input.dtype)
    step, h = kernel(cuda_source.GRU_FORWARD), h0
    for t in time_order(T, reverse):
        cupy.matmul(h, w_hh.T, out=recurrent)
        if b_hh is not None:
            recurrent += b_hh
        before, h = h, output[t]
        step(before, recurrent, H, h, hidden_n[t], gates[t])
    residuals = (input, h0, w_ih, w_hh, gates, hidden_n, output.copy(), reverse) if keep else None
    return (output, h.copy()), residuals


def gru_backward(
    residuals: tuple, g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:  # fmt: skip
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, gates, hidden_n, output, reverse = residuals
    H = h0.shape[1]
    before = previous(output, h0, reverse)
    d_gates, d_hidden = cupy.empty_like(gates), cupy.empty_like(gates)
    d_h, step = start(g_h_n, h0).copy(), kernel(cuda_source.GRU_BACKWARD)
    for t in time_order(input.shape[0], not reverse):
        g = 0 if g_output is None else g_output[t]
        step(g, before[t], hidden_n[t], gates[t], H, d_h, d_gates[t], d_hidden[t])
        d_h += cupy.matmul(d_hidden[t], w_hh)
    return (
        input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h if needs[1] else None,
        weight_gradient(d_gates, input) if needs[2] else None,
        weight_gradient(d_hidden, before) if needs[3] else None,
        d_gates.sum(axis=(0, 1)) if needs[4] else None,
        d_hidden.sum(axis=(0, 1)) if needs[5] else None,
    )


def rnn_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, nonlinearity: str, reverse: bool, keep: bool,
) -> tuple[tuple[Array, Array], tuple | None]:  # fmt: skip
    """A simple recurrent network over a sequence. Gives (output, h_n), residuals."""
    T, B, _ = input.shape
    projected = project(input, w_ih, b_ih, b_hh)
    output, recurrent = cupy.empty((T, B, h0.shape[1]), input.dtype), cupy.empty(h0.shape, input.dtype)
    step, h = kernel(cuda_source.RNN_FORWARD), h0
    for t in time_order(T, reverse):
        cupy.matmul(h, w_hh.T, out=recurrent)
        h = output[t]
        step(projected[t], recurrent, nonlinearity == "relu", h)
    residuals = (input, h0, w_ih, w_hh, output.copy(), nonlinearity, reverse) if keep else None
    return (output, h.copy()), residuals


def rnn_backward(
    residuals: tuple, g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:  # fmt: skip
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, output, nonlinearity, reverse = residuals
    d_gates = cupy.empty_like(output)
    d_h, step = start(g_h_n, h0).copy(), kernel(cuda_source.RNN_BACKWARD)
    for t in time_order(input.shape[0], not reverse):
        step(0 if g_output is None else g_output[t], d_h, output[t], nonlinearity == "relu", d_gates[t])
        cupy.matmul(d_gates[t], w_hh, out=d_h)
    d_bias = d_gates.sum(axis=(0, 1)) if needs[4] or needs[5] else None
    return (
        input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h if needs[1] else None,
        weight_gradient(d_gates, input) if needs[2] else None,
        weight_gradient(d_gates, previous(output, h0, reverse)) if needs[3] else None,
        d_bias if needs[4] else None,
        d_bias.copy() if needs[5] and d_bias is not None else None,
    )
