"""RNN, LSTM and GRU: one layer, one direction, over a whole sequence, in plain array functions.

Shapes: T steps, B sequences, I input features, H hidden features, K gates (1 for RNN, 4 for LSTM, 3 for GRU).
    input (T, B, I)   h0, c0 (B, H)   w_ih (K*H, I)   w_hh (K*H, H)   b_ih, b_hh (K*H) or None
    output (T, B, H)  h_n, c_n (B, H)

With `batch_sizes` the sequences have different lengths and are packed, see `steps`: input (N, I), output (N, H), and
h_n, c_n are those after each sequence's own last step.

With `reverse` time runs from T-1 to 0, and output[t] still belongs to input[t]. Every forward gives `(results),
residuals`; residuals is None unless `keep`. They hold the forward's arguments themselves and never its results, so
writing into a result is safe, and writing into an argument before backward is the caller's to notice. A backward reads
them only: it can run again. In a backward a gradient flowing in may be None (that result was not used); `needs` and the
gradients that come out are in the order of the forward's array arguments, and what is not needed is None and costs
nothing.
"""

from minigrad.backend import namespace
from minigrad.kernels.common import Array, Needs, time_order
from minigrad.kernels.steps import BatchSizes, carry, ends, starts, steps_of


def sigmoid(x: Array) -> Array:
    """The logistic function by way of tanh, which cannot overflow."""
    return 0.5 * namespace(x).tanh(0.5 * x) + 0.5


def flat(array: Array) -> Array:
    """All rows of all steps below each other: (T, B, F) -> (T*B, F), and what is packed as it is."""
    return array.reshape(-1, array.shape[-1])


def project(input: Array, weight: Array, *biases: Array | None) -> Array:
    """All the time steps through the input weights in one matrix product: (T, B, I) -> (T, B, K*H)."""
    projected = namespace(input).matmul(flat(input), weight.T).reshape(*input.shape[:-1], weight.shape[0])
    for bias in biases:
        if bias is not None:
            projected = projected + bias
    return projected


def _gates(array: Array, count: int) -> list[Array]:
    """The `count` gates that lie side by side in the last axis."""
    H = array.shape[-1] // count
    return [array[..., k * H : (k + 1) * H] for k in range(count)]


def start(g_state: Array | None, like: Array) -> Array:
    """The gradient of the last state in memory of its own, zeros where that state was not used."""
    return namespace(like).zeros_like(like) if g_state is None else g_state.copy()


def weight_gradient(d_gates: Array, source: Array) -> Array:
    """sum over t, b of d_gates[t, b] (outer) source[t, b], as one matrix product: (K*H, I or H)."""
    return namespace(source).matmul(flat(d_gates).T, flat(source))


def input_gradient(d_gates: Array, weight: Array) -> Array:
    """The gradient of the input, from the gates' through the input weights: (T, B, K*H) -> (T, B, I)."""
    return namespace(d_gates).matmul(flat(d_gates), weight).reshape(*d_gates.shape[:-1], weight.shape[1])


# ----------------------------------------------------------------------------------------------------------------- LSTM


def lstm_forward(
    input: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool, batch_sizes: BatchSizes = None,
) -> tuple[tuple[Array, Array, Array], tuple | None]:  # fmt: skip
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    i, f, o = sigmoid(...), g = tanh(...) of W_ih x + b_ih + W_hh h + b_hh;   c = f c + i g;   h = o tanh(c)
    The gates lie in the weights in the order i, f, g, o. Gives (output, h_n, c_n), residuals.
    """
    xp, steps = namespace(input), steps_of(input, batch_sizes)
    gates = project(input, w_ih, b_ih, b_hh)  # T, B, 4H: first before, then after the nonlinearity
    output = xp.empty((*input.shape[:-1], h0.shape[1]), dtype=input.dtype)  # T, B, H
    cells = xp.empty_like(output)
    h, c = h0, c0
    for t in time_order(len(steps), reverse):
        z = gates[steps[t]]
        h, c = carry(h, h0, len(z)), carry(c, c0, len(z))
        i, f, g, o = _gates(z + xp.matmul(h, w_hh.T), 4)
        i, f, g, o = sigmoid(i), sigmoid(f), xp.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * xp.tanh(c)
        gates[steps[t]] = xp.concatenate([i, f, g, o], axis=1)
        output[steps[t]], cells[steps[t]] = h, c
    h_n, c_n = (ends([states[at] for at in steps], first, reverse) for states, first in ((output, h0), (cells, c0)))
    residuals = (input, h0, c0, w_ih, w_hh, gates, cells, output.copy(), batch_sizes, reverse) if keep else None
    return (output, h_n, c_n), residuals


def lstm_backward(
    residuals: tuple, g_output: Array | None, g_h_n: Array | None, g_c_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, c0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, c0, w_ih, w_hh, gates, cells, output, batch_sizes, reverse = residuals
    xp, steps = namespace(input), steps_of(input, batch_sizes)
    before = starts(cells, c0, steps, reverse)
    d_gates = xp.empty_like(gates)
    d_h, d_c = start(g_h_n, h0), start(g_c_n, c0)
    for t in time_order(len(steps), not reverse):
        at = steps[t]
        i, f, g, o = _gates(gates[at], 4)
        h, c = d_h[: len(i)], d_c[: len(i)]
        if g_output is not None:
            h += g_output[at]
        squashed = xp.tanh(cells[at])
        c += h * o * (1 - squashed * squashed)
        through_i, through_f = c * g * i * (1 - i), c * before[at] * f * (1 - f)
        through_g, through_o = c * i * (1 - g * g), h * squashed * o * (1 - o)
        d_gates[at] = xp.concatenate([through_i, through_f, through_g, through_o], axis=1)
        h[...] = xp.matmul(d_gates[at], w_hh)
        c *= f
    d_bias = flat(d_gates).sum(axis=0)
    return (
        input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h if needs[1] else None,
        d_c if needs[2] else None,
        weight_gradient(d_gates, input) if needs[3] else None,
        weight_gradient(d_gates, starts(output, h0, steps, reverse)) if needs[4] else None,
        d_bias if needs[5] else None,
        d_bias.copy() if needs[6] else None,
    )


# ------------------------------------------------------------------------------------------------------------------ GRU


def gru_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool, batch_sizes: BatchSizes = None,
) -> tuple[tuple[Array, Array], tuple | None]:  # fmt: skip
    """Gated recurrent unit (Cho et al. 2014), the reset gate after the matrix product, as cuDNN and PyTorch have it.

    r, z = sigmoid(...) of W_ih x + b_ih + W_hh h + b_hh
    n = tanh(W_in x + b_in + r (W_hn h + b_hn));   h = n + z (h - n)
    The gates lie in the weights in the order r, z, n. Gives (output, h_n), residuals.
    """
    xp, steps = namespace(input), steps_of(input, batch_sizes)
    gates = project(input, w_ih, b_ih)  # T, B, 3H: first before, then after the nonlinearity
    output = xp.empty((*input.shape[:-1], h0.shape[1]), dtype=input.dtype)  # T, B, H
    hidden_n = xp.empty_like(output)  # W_hn h + b_hn, what the reset gate scales
    h = h0
    for t in time_order(len(steps), reverse):
        at = steps[t]
        r, z, n = _gates(gates[at], 3)
        h = carry(h, h0, len(r))
        hidden = xp.matmul(h, w_hh.T)
        if b_hh is not None:
            hidden = hidden + b_hh
        hr, hz, hn = _gates(hidden, 3)
        r, z = sigmoid(r + hr), sigmoid(z + hz)
        n = xp.tanh(n + r * hn)
        h = n + z * (h - n)
        gates[at] = xp.concatenate([r, z, n], axis=1)
        output[at], hidden_n[at] = h, hn
    h_n = ends([output[at] for at in steps], h0, reverse)
    residuals = (input, h0, w_ih, w_hh, gates, hidden_n, output.copy(), batch_sizes, reverse) if keep else None
    return (output, h_n), residuals


def gru_backward(
    residuals: tuple, g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, gates, hidden_n, output, batch_sizes, reverse = residuals
    xp, steps = namespace(input), steps_of(input, batch_sizes)
    before = starts(output, h0, steps, reverse)
    d_gates = xp.empty_like(gates)  # the gradient of W_ih x + b_ih
    d_hidden = xp.empty_like(gates)  # and of W_hh h + b_hh: the same but for n, which passed the reset gate
    d_h = start(g_h_n, h0)
    for t in time_order(len(steps), not reverse):
        at = steps[t]
        r, z, n = _gates(gates[at], 3)
        h = d_h[: len(r)]
        if g_output is not None:
            h += g_output[at]
        through_n = h * (1 - z) * (1 - n * n)
        through_r = through_n * hidden_n[at] * r * (1 - r)
        through_z = h * (before[at] - n) * z * (1 - z)
        d_gates[at] = xp.concatenate([through_r, through_z, through_n], axis=1)
        d_hidden[at] = xp.concatenate([through_r, through_z, through_n * r], axis=1)
        h *= z
        h += xp.matmul(d_hidden[at], w_hh)
    return (
        input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h if needs[1] else None,
        weight_gradient(d_gates, input) if needs[2] else None,
        weight_gradient(d_hidden, before) if needs[3] else None,
        flat(d_gates).sum(axis=0) if needs[4] else None,
        flat(d_hidden).sum(axis=0) if needs[5] else None,
    )


# ------------------------------------------------------------------------------------------------------------------ RNN


def rnn_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, nonlinearity: str, reverse: bool, keep: bool, batch_sizes: BatchSizes = None,
) -> tuple[tuple[Array, Array], tuple | None]:  # fmt: skip
    """The simple recurrent network (Elman 1990): h = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu.

    Gives (output, h_n), residuals.
    """
    xp, steps = namespace(input), steps_of(input, batch_sizes)
    projected = project(input, w_ih, b_ih, b_hh)
    output = xp.empty_like(projected)  # T, B, H
    h = h0
    for t in time_order(len(steps), reverse):
        z = projected[steps[t]]
        z = z + xp.matmul(carry(h, h0, len(z)), w_hh.T)
        h = xp.tanh(z) if nonlinearity == "tanh" else xp.maximum(z, 0)
        output[steps[t]] = h
    h_n = ends([output[at] for at in steps], h0, reverse)
    residuals = (input, h0, w_ih, w_hh, output.copy(), nonlinearity, batch_sizes, reverse) if keep else None
    return (output, h_n), residuals


def rnn_backward(
    residuals: tuple, g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, output, nonlinearity, batch_sizes, reverse = residuals
    xp, steps = namespace(input), steps_of(input, batch_sizes)
    slope = 1 - output * output if nonlinearity == "tanh" else (output > 0).astype(output.dtype)
    d_gates = xp.empty_like(output)
    d_h = start(g_h_n, h0)
    for t in time_order(len(steps), not reverse):
        at = steps[t]
        h = d_h[: len(slope[at])]
        if g_output is not None:
            h += g_output[at]
        d_gates[at] = h * slope[at]
        h[...] = xp.matmul(d_gates[at], w_hh)
    d_bias = flat(d_gates).sum(axis=0)
    return (
        input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h if needs[1] else None,
        weight_gradient(d_gates, input) if needs[2] else None,
        weight_gradient(d_gates, starts(output, h0, steps, reverse)) if needs[3] else None,
        d_bias if needs[4] else None,
        d_bias.copy() if needs[5] else None,
    )
