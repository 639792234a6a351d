"""RNN, LSTM and GRU: one layer, one direction, over a whole sequence, in plain array functions.

Shapes: T steps, B sequences, I input features, H hidden features, K gates (1 for RNN, 4 for LSTM, 3 for GRU).
    input (T, B, I)   h0, c0 (B, H)   w_ih (K*H, I)   w_hh (K*H, H)   b_ih, b_hh (K*H) or None
    output (T, B, H)  h_n, c_n (B, H)

With `reverse` time runs from T-1 to 0, and output[t] still belongs to input[t]. Every forward gives `(results),
residuals`; residuals is None unless `keep`. They hold the forward's arguments themselves and never its results, so
writing into a result is safe, and writing into an argument before backward is the caller's to notice. A backward reads
them only: it can run again. In a backward a gradient flowing in may be None (that result was not used); `needs` and the
gradients that come out are in the order of the forward's array arguments, and what is not needed is None and costs
nothing.
"""

from minigrad.backend import namespace
from minigrad.kernels.common import Array, Needs, time_order


def sigmoid(x: Array) -> Array:
    """The logistic function by way of tanh, which cannot overflow."""
    return 0.5 * namespace(x).tanh(0.5 * x) + 0.5


def project(input: Array, weight: Array, *biases: Array | None) -> Array:
    """All the time steps through the input weights in one matrix product: (T, B, I) -> (T, B, K*H)."""
    T, B, features = input.shape
    projected = namespace(input).matmul(input.reshape(T * B, features), weight.T).reshape(T, B, weight.shape[0])
    for bias in biases:
        if bias is not None:
            projected = projected + bias
    return projected


def _gates(array: Array, count: int) -> list[Array]:
    """The `count` gates that lie side by side in the last axis."""
    H = array.shape[-1] // count
    return [array[..., k * H : (k + 1) * H] for k in range(count)]


def previous(output: Array, h0: Array, reverse: bool) -> Array:
    """The hidden state each step started from, (T, B, H): the output shifted by one step, with h0 at the start."""
    first = h0.reshape((1, *h0.shape))
    parts = [output[1:], first] if reverse else [first, output[:-1]]
    return namespace(output).concatenate(parts)[: output.shape[0]]


def start(g_state: Array | None, like: Array) -> Array:
    """The gradient of the last state, zeros where that state was not used."""
    return namespace(like).zeros_like(like) if g_state is None else g_state


def weight_gradient(d_gates: Array, source: Array) -> Array:
    """sum over t, b of d_gates[t, b] (outer) source[t, b], as one matrix product: (K*H, I or H)."""
    T, B, width = d_gates.shape
    return namespace(source).matmul(d_gates.reshape(T * B, width).T, source.reshape(T * B, source.shape[2]))


def input_gradient(d_gates: Array, weight: Array) -> Array:
    """The gradient of the input, from the gates' through the input weights: (T, B, K*H) -> (T, B, I)."""
    T, B, width = d_gates.shape
    return namespace(d_gates).matmul(d_gates.reshape(T * B, width), weight).reshape(T, B, weight.shape[1])


# ----------------------------------------------------------------------------------------------------------------- LSTM


def lstm_forward(
    input: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool,
) -> tuple[tuple[Array, Array, Array], tuple | None]:  # fmt: skip
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    i, f, o = sigmoid(...), g = tanh(...) of W_ih x + b_ih + W_hh h + b_hh;   c = f c + i g;   h = o tanh(c)
    The gates lie in the weights in the order i, f, g, o. Gives (output, h_n, c_n), residuals.
    """
    xp = namespace(input)
    T, B, _ = input.shape
    H = h0.shape[1]
    gates = project(input, w_ih, b_ih, b_hh)  # T, B, 4H: first before, then after the nonlinearity
    output = xp.empty((T, B, H), dtype=input.dtype)
    cells = xp.empty((T, B, H), dtype=input.dtype)
    h, c = h0, c0
    for t in time_order(T, reverse):
        i, f, g, o = _gates(gates[t] + xp.matmul(h, w_hh.T), 4)
        i, f, g, o = sigmoid(i), sigmoid(f), xp.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * xp.tanh(c)
        gates[t] = xp.concatenate([i, f, g, o], axis=1)
        output[t], cells[t] = h, c
    residuals = (input, h0, c0, w_ih, w_hh, gates, cells, output.copy(), reverse) if keep else None
    return (output, h.copy(), c.copy()), residuals


def lstm_backward(
    residuals: tuple, g_output: Array | None, g_h_n: Array | None, g_c_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, c0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, c0, w_ih, w_hh, gates, cells, output, reverse = residuals
    xp = namespace(input)
    before = previous(cells, c0, reverse)
    d_gates = xp.empty_like(gates)
    d_h, d_c = start(g_h_n, h0), start(g_c_n, c0)
    for t in time_order(input.shape[0], not reverse):
        if g_output is not None:
            d_h = d_h + g_output[t]
        i, f, g, o = _gates(gates[t], 4)
        squashed = xp.tanh(cells[t])
        d_c = d_c + d_h * o * (1 - squashed * squashed)
        through_i, through_f = d_c * g * i * (1 - i), d_c * before[t] * f * (1 - f)
        through_g, through_o = d_c * i * (1 - g * g), d_h * squashed * o * (1 - o)
        d_gates[t] = xp.concatenate([through_i, through_f, through_g, through_o], axis=1)
        d_h = xp.matmul(d_gates[t], w_hh)
        d_c = d_c * f
    d_bias = d_gates.sum(axis=(0, 1))
    return (
        input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h.copy() if needs[1] else None,
        d_c.copy() if needs[2] else None,
        weight_gradient(d_gates, input) if needs[3] else None,
        weight_gradient(d_gates, previous(output, h0, reverse)) if needs[4] else None,
        d_bias if needs[5] else None,
        d_bias.copy() if needs[6] else None,
    )


# ------------------------------------------------------------------------------------------------------------------ GRU


def gru_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool,
) -> tuple[tuple[Array, Array], tuple | None]:  # fmt: skip
    """Gated recurrent unit (Cho et al. 2014), the reset gate after the matrix product, as cuDNN and PyTorch have it.

    r, z = sigmoid(...) of W_ih x + b_ih + W_hh h + b_hh
    n = tanh(W_in x + b_in + r (W_hn h + b_hn));   h = n + z (h - n)
    The gates lie in the weights in the order r, z, n. Gives (output, h_n), residuals.
    """
    xp = namespace(input)
    T, B, _ = input.shape
    H = h0.shape[1]
    gates = project(input, w_ih, b_ih)  # T, B, 3H: first before, then after the nonlinearity
    output = xp.empty((T, B, H), dtype=input.dtype)
    hidden_n = xp.empty((T, B, H), dtype=input.dtype)  # W_hn h + b_hn, what the reset gate scales
    h = h0
    for t in time_order(T, reverse):
        hidden = xp.matmul(h, w_hh.T)
        if b_hh is not None:
            hidden = hidden + b_hh
        (r, z, n), (hr, hz, hn) = _gates(gates[t], 3), _gates(hidden, 3)
        r, z = sigmoid(r + hr), sigmoid(z + hz)
        n = xp.tanh(n + r * hn)
        h = n + z * (h - n)
        gates[t] = xp.concatenate([r, z, n], axis=1)
        output[t], hidden_n[t] = h, hn
    residuals = (input, h0, w_ih, w_hh, gates, hidden_n, output.copy(), reverse) if keep else None
    return (output, h.copy()), residuals


def gru_backward(
    residuals: tuple, g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, gates, hidden_n, output, reverse = residuals
    xp = namespace(input)
    before = previous(output, h0, reverse)
    d_gates = xp.empty_like(gates)  # the gradient of W_ih x + b_ih
    d_hidden = xp.empty_like(gates)  # and of W_hh h + b_hh: the same but for n, which passed the reset gate
    d_h = start(g_h_n, h0)
    for t in time_order(input.shape[0], not reverse):
        if g_output is not None:
            d_h = d_h + g_output[t]
        r, z, n = _gates(gates[t], 3)
        through_n = d_h * (1 - z) * (1 - n * n)
        through_r = through_n * hidden_n[t] * r * (1 - r)
        through_z = d_h * (before[t] - n) * z * (1 - z)
        d_gates[t] = xp.concatenate([through_r, through_z, through_n], axis=1)
        d_hidden[t] = xp.concatenate([through_r, through_z, through_n * r], axis=1)
        d_h = d_h * z + xp.matmul(d_hidden[t], w_hh)
    return (
        input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h.copy() if needs[1] else None,
        weight_gradient(d_gates, input) if needs[2] else None,
        weight_gradient(d_hidden, before) if needs[3] else None,
        d_gates.sum(axis=(0, 1)) if needs[4] else None,
        d_hidden.sum(axis=(0, 1)) if needs[5] else None,
    )


# ------------------------------------------------------------------------------------------------------------------ RNN


def rnn_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, nonlinearity: str, reverse: bool, keep: bool,
) -> tuple[tuple[Array, Array], tuple | None]:  # fmt: skip
    """The simple recurrent network (Elman 1990): h = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu.

    Gives (output, h_n), residuals.
    """
    xp = namespace(input)
    T, B, _ = input.shape
    projected = project(input, w_ih, b_ih, b_hh)
    output = xp.empty((T, B, h0.shape[1]), dtype=input.dtype)
    h = h0
    for t in time_order(T, reverse):
        z = projected[t] + xp.matmul(h, w_hh.T)
        h = xp.tanh(z) if nonlinearity == "tanh" else xp.maximum(z, 0)
        output[t] = h
    residuals = (input, h0, w_ih, w_hh, output.copy(), nonlinearity, reverse) if keep else None
    return (output, h.copy()), residuals


def rnn_backward(
    residuals: tuple, g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, output, nonlinearity, reverse = residuals
    xp = namespace(input)
    slope = 1 - output * output if nonlinearity == "tanh" else (output > 0).astype(output.dtype)
    d_gates = xp.empty_like(output)
    d_h = start(g_h_n, h0)
    for t in time_order(input.shape[0], not reverse):
        if g_output is not None:
            d_h = d_h + g_output[t]
        d_gates[t] = d_h * slope[t]
        d_h = xp.matmul(d_gates[t], w_hh)
    d_bias = d_gates.sum(axis=(0, 1))
    return (
        input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h.copy() if needs[1] else None,
        weight_gradient(d_gates, input) if needs[2] else None,
        weight_gradient(d_gates, previous(output, h0, reverse)) if needs[3] else None,
        d_bias if needs[4] else None,
        d_bias.copy() if needs[5] else None,
    )
