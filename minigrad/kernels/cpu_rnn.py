"""The simple recurrent network for NumPy: see `reference_recurrent` for the shapes and what it computes, `cpu_steps`
for how states lie in memory here.
"""

from typing import Any, TypeAlias

import numpy as np

from minigrad.kernels.common import Needs, time_order
from minigrad.kernels.cpu_steps import (
    Blocks,
    bias_gradient,
    blocks,
    carried,
    columns,
    ends,
    flat,
    gradient_of_last,
    input_gradient,
    project,
    recurrent_gradient,
    rows,
    spans_of,
    sum_biases,
    turned,
    weight_gradient,
    without_residuals,
)
from minigrad.kernels.steps import BatchSizes

Array: TypeAlias = np.ndarray[Any, Any]


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

        return (without_residuals(input, h, w_ih, w_hh, bias, spans, reverse, step), turned(h)), None
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
        recurrent_gradient(d_gates, h_after, h0, spans, reverse) if needs[3] else None,
        d_bias if needs[4] else None,
        d_bias.copy() if needs[5] and d_bias is not None else None,
    )
