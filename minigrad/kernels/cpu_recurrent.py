"""RNN, LSTM and GRU for NumPy: see `reference_recurrent` for the shapes and what they compute.

Three things make them fast. What does not depend on the step before is done for all steps at once: the input product,
the local derivatives, the weight gradients. A step writes into memory that is there already, in as few calls as it can.
And a sigmoid is a tanh, sigmoid(x) = tanh(x / 2) / 2 + 1/2: with the halves put into the weights, one tanh serves all
gates.
"""

from typing import Any, TypeAlias

import numpy as np

from minigrad.kernels import memory, pool
from minigrad.kernels.common import Needs, time_order

Array: TypeAlias = np.ndarray[Any, Any]

GRAIN = 1 << 15  # elements worth a thread of their own


def _share_steps(work: pool.Work, T: int, width: int) -> None:
    """Share out work(first step, last step) over threads; `width` is how many elements a step has."""
    pool.share(work, T, -(-GRAIN // max(1, width)))


def _project(input: Array, weight: Array, bias: Array | None, factor: Array | None) -> Array:
    """factor * (input @ weight.T + bias) for all steps in one matrix product: (T, B, I) -> (T, B, K*H)."""
    T, B, features = input.shape
    projected = memory.empty((T, B, weight.shape[0]), input.dtype)
    np.matmul(input.reshape(T * B, features), weight.T, out=projected.reshape(T * B, weight.shape[0]))

    def finish(start: int, stop: int) -> None:
        for t in range(start, stop):
            if bias is not None:
                projected[t] += bias
            if factor is not None:
                projected[t] *= factor

    if bias is not None or factor is not None:
        _share_steps(finish, T, B * weight.shape[0])
    return projected


def _pack(weight: Array, factor: Array | None) -> Array:
    """weight.T, its columns times `factor`, as contiguous memory (H, K*H): every step reads it.

    A step of B, H = 20, 650 multiplies in 0.53 ms by it and in 0.58 ms by weight.T (0.35 and 0.58 where OpenBLAS uses
    AVX-512); packing takes about 1 ms a sequence.
    """
    packed = memory.empty(weight.shape[::-1], weight.dtype)

    def copy(start: int, stop: int) -> None:
        if factor is None:
            packed[:, start:stop] = weight[start:stop].T
        else:
            np.multiply(weight[start:stop].T, factor[start:stop], out=packed[:, start:stop])

    pool.share(copy, weight.shape[0], -(-GRAIN // max(1, weight.shape[1])))
    return packed


def _copy(array: Array) -> Array:
    copy = memory.empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def _sum_biases(b_ih: Array | None, b_hh: Array | None) -> Array | None:
    if b_ih is None or b_hh is None:
        return b_hh if b_ih is None else b_ih
    return b_ih + b_hh


def _states(T: int, first: Array, reverse: bool) -> tuple[Array, Array]:
    """Memory for a state over time, (T+1, B, H) with `first` where the walk starts, and two views of it, (T, B, H):
    the state before each step and the state after it."""
    states = memory.empty((T + 1, *first.shape), first.dtype)
    states[T if reverse else 0] = first
    early, late = states[:T], states[1:]
    return (late, early) if reverse else (early, late)


def _start(g_state: Array | None, like: Array) -> Array:
    """The gradient of the last state in memory of its own, zeros where that state was not used."""
    return np.zeros_like(like, order="C") if g_state is None else np.array(g_state, order="C")


def _weight_gradient(d_gates: Array, source: Array) -> Array:
    """sum over t, b of d_gates[t, b] (outer) source[t, b], as one matrix product."""
    T, B, width = d_gates.shape
    gradient = memory.empty((width, source.shape[2]), source.dtype)
    return np.matmul(d_gates.reshape(T * B, width).T, source.reshape(T * B, source.shape[2]), out=gradient)


def _input_gradient(d_gates: Array, weight: Array) -> Array:
    """(T, B, K*H) through the input weights to (T, B, I)."""
    T, B, width = d_gates.shape
    gradient = memory.empty((T * B, weight.shape[1]), weight.dtype)
    return np.matmul(d_gates.reshape(T * B, width), weight, out=gradient).reshape(T, B, weight.shape[1])


def _bias_gradient(d_gates: Array) -> Array:
    T, B, width = d_gates.shape
    return d_gates.reshape(T * B, width).sum(axis=0)


# ----------------------------------------------------------------------------------------------------------------- LSTM


def _lstm_affine(H: int, dtype: Any) -> tuple[Array, Array]:
    """gate = tanh(factor * z) * factor + offset, four gates side by side: 1/2, 1/2 for a sigmoid, 1, 0 for a tanh."""
    factor = np.full((4 * H,), 0.5, dtype=dtype)
    offset = factor.copy()
    factor[2 * H : 3 * H], offset[2 * H : 3 * H] = 1, 0
    return factor, offset


def lstm_forward(
    input: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool,
) -> tuple[tuple[Array, Array, Array], tuple[Any, ...] | None]:  # fmt: skip
    """An LSTM over a sequence. Gives (output, h_n, c_n), residuals."""
    T, B, _ = input.shape
    H = h0.shape[1]
    factor, offset = _lstm_affine(H, input.dtype)
    gates = _project(input, w_ih, _sum_biases(b_ih, b_hh), factor)
    w_packed = _pack(w_hh, factor)
    h_before, h_after = _states(T, h0, reverse)
    c_before, c_after = _states(T if keep else 0, c0, reverse)
    recurrent, scratch, c = np.empty((B, 4 * H), input.dtype), np.empty((B, H), input.dtype), c0.copy()
    for t in time_order(T, reverse):
        z, h = gates[t], h_after[t]
        np.matmul(h_before[t], w_packed, out=recurrent)
        z += recurrent
        np.tanh(z, out=z)
        z *= factor
        z += offset
        np.multiply(z[:, :H], z[:, 2 * H : 3 * H], out=scratch)  # i g
        c *= z[:, H : 2 * H]  # f c
        c += scratch
        if keep:
            c_after[t] = c
        np.tanh(c, out=h)
        h *= z[:, 3 * H :]
    output = _copy(h_after) if keep else h_after  # the residuals share no memory with a result
    h_n = (h_after[0 if reverse else -1] if T else h0).copy()
    residuals = (input, h0, c0, w_ih, w_hh, gates, h_before, c_before, c_after, reverse) if keep else None
    return (output, h_n, c), residuals


def _lstm_local(gates: Array, c_before: Array, c_after: Array) -> tuple[Array, Array]:
    """The local derivatives of all steps at once: of the gates (T, B, 4H), which d_c (for i, f, g) or d_h (for o)
    multiplies into d_gates, and of the cell's way into h, o (1 - tanh(c)^2), (T, B, H)."""
    T, B, H = c_after.shape
    local, through_h = memory.empty(gates.shape, gates.dtype), memory.empty((T, B, H), gates.dtype)

    def fill(start: int, stop: int) -> None:
        for t in range(start, stop):
            i, _, g, o = (gates[t, :, k * H : (k + 1) * H] for k in range(4))
            d_i, d_f, d_g, d_o = (local[t, :, k * H : (k + 1) * H] for k in range(4))
            np.subtract(1, gates[t], out=local[t])
            local[t] *= gates[t]  # s (1 - s), the sigmoid's; for g it is overwritten
            d_i *= g
            d_f *= c_before[t]
            np.multiply(g, g, out=d_g)
            np.subtract(1, d_g, out=d_g)
            d_g *= i
            squashed = np.tanh(c_after[t])
            d_o *= squashed
            np.multiply(squashed, squashed, out=squashed)
            np.subtract(1, squashed, out=squashed)
            np.multiply(squashed, o, out=through_h[t])

    _share_steps(fill, T, B * 4 * H)
    return local, through_h


def lstm_backward(
    residuals: tuple[Any, ...], g_output: Array | None, g_h_n: Array | None, g_c_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, c0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, c0, w_ih, w_hh, gates, h_before, c_before, c_after, reverse = residuals
    T, B, _ = input.shape
    H = h0.shape[1]
    d_gates, through_h = _lstm_local(gates, c_before, c_after)
    forget, d_ifg = gates[:, :, H : 2 * H], d_gates.reshape(T, B, 4, H)[:, :, :3]
    d_o = d_gates[:, :, 3 * H :]
    d_h, d_c = _start(g_h_n, h0), _start(g_c_n, c0)
    d_c_wide = d_c[:, None]
    for t in time_order(T, not reverse):
        if g_output is not None:
            d_h += g_output[t]
        through_h[t] *= d_h
        d_c += through_h[t]
        d_ifg[t] *= d_c_wide
        d_o[t] *= d_h
        d_c *= forget[t]
        np.matmul(d_gates[t], w_hh, out=d_h)
    d_bias = _bias_gradient(d_gates) if needs[5] or needs[6] else None
    return (
        _input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h if needs[1] else None,
        d_c if needs[2] else None,
        _weight_gradient(d_gates, input) if needs[3] else None,
        _weight_gradient(d_gates, h_before) if needs[4] else None,
        d_bias if needs[5] else None,
        d_bias.copy() if needs[6] and d_bias is not None else None,
    )


# ------------------------------------------------------------------------------------------------------------------ GRU


def gru_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool,
) -> tuple[tuple[Array, Array], tuple[Any, ...] | None]:  # fmt: skip
    """A GRU over a sequence. Gives (output, h_n), residuals."""
    T, B, _ = input.shape
    H = h0.shape[1]
    factor = np.full((3 * H,), 0.5, dtype=input.dtype)
    factor[2 * H :] = 1
    gates = _project(input, w_ih, b_ih, factor)
    w_packed = _pack(w_hh, factor)
    b_packed = None if b_hh is None else b_hh * factor
    h_before, h_after = _states(T, h0, reverse)
    hidden_n = memory.empty((T if keep else 0, B, H), input.dtype)
    recurrent = np.empty((B, 3 * H), dtype=input.dtype)
    hn = recurrent[:, 2 * H :]
    for t in time_order(T, reverse):
        before, h = h_before[t], h_after[t]
        rz, n = gates[t, :, : 2 * H], gates[t, :, 2 * H :]
        np.matmul(before, w_packed, out=recurrent)
        if b_packed is not None:
            recurrent += b_packed
        rz += recurrent[:, : 2 * H]
        np.tanh(rz, out=rz)
        rz *= 0.5
        rz += 0.5
        if keep:
            hidden_n[t] = hn
        hn *= rz[:, :H]
        n += hn
        np.tanh(n, out=n)
        np.subtract(before, n, out=h)
        h *= rz[:, H:]
        h += n
    output = _copy(h_after) if keep else h_after  # the residuals share no memory with a result
    h_n = (h_after[0 if reverse else -1] if T else h0).copy()
    residuals = (input, h0, w_ih, w_hh, gates, hidden_n, h_before, reverse) if keep else None
    return (output, h_n), residuals


def _gru_local(gates: Array, hidden_n: Array, h_before: Array) -> tuple[Array, Array]:
    """What d_h of a step multiplies into d_gates and into d_hidden, each (T, B, 3H), for all steps at once."""
    T, B, H = hidden_n.shape
    local, local_hidden = (memory.empty(gates.shape, gates.dtype) for _ in range(2))

    def fill(start: int, stop: int) -> None:
        for t in range(start, stop):
            r, z, n = (gates[t, :, k * H : (k + 1) * H] for k in range(3))
            d_r, d_z, d_n = (local[t, :, k * H : (k + 1) * H] for k in range(3))
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
            local_hidden[t, :, : 2 * H] = local[t, :, : 2 * H]
            np.multiply(d_n, r, out=local_hidden[t, :, 2 * H :])

    _share_steps(fill, T, B * 3 * H)
    return local, local_hidden


def gru_backward(
    residuals: tuple[Any, ...], g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, gates, hidden_n, h_before, reverse = residuals
    T, B, _ = input.shape
    H = h0.shape[1]
    d_gates, d_hidden = _gru_local(gates, hidden_n, h_before)
    through_gates, through_hidden = d_gates.reshape(T, B, 3, H), d_hidden.reshape(T, B, 3, H)
    update = gates[:, :, H : 2 * H]
    d_h, recurrent = _start(g_h_n, h0), np.empty((B, H), dtype=input.dtype)
    d_h_wide = d_h[:, None]
    for t in time_order(T, not reverse):
        if g_output is not None:
            d_h += g_output[t]
        through_gates[t] *= d_h_wide
        through_hidden[t] *= d_h_wide
        np.matmul(d_hidden[t], w_hh, out=recurrent)
        d_h *= update[t]
        d_h += recurrent
    return (
        _input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h if needs[1] else None,
        _weight_gradient(d_gates, input) if needs[2] else None,
        _weight_gradient(d_hidden, h_before) if needs[3] else None,
        _bias_gradient(d_gates) if needs[4] else None,
        _bias_gradient(d_hidden) if needs[5] else None,
    )


# ------------------------------------------------------------------------------------------------------------------ RNN


def rnn_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, nonlinearity: str, reverse: bool, keep: bool,
) -> tuple[tuple[Array, Array], tuple[Any, ...] | None]:  # fmt: skip
    """A simple recurrent network over a sequence. Gives (output, h_n), residuals."""
    T = input.shape[0]
    projected = _project(input, w_ih, _sum_biases(b_ih, b_hh), None)
    w_packed = _pack(w_hh, None)
    h_before, h_after = _states(T, h0, reverse)
    for t in time_order(T, reverse):
        h = h_after[t]
        np.matmul(h_before[t], w_packed, out=h)
        h += projected[t]
        if nonlinearity == "tanh":
            np.tanh(h, out=h)
        else:
            np.maximum(h, 0, out=h)
    output = _copy(h_after) if keep else h_after  # the residuals share no memory with a result
    h_n = (h_after[0 if reverse else -1] if T else h0).copy()
    residuals = (input, h0, w_ih, w_hh, h_before, h_after, nonlinearity, reverse) if keep else None
    return (output, h_n), residuals


def rnn_backward(
    residuals: tuple[Any, ...], g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, h_before, h_after, nonlinearity, reverse = residuals
    if nonlinearity == "tanh":
        d_gates = np.multiply(h_after, h_after)
        np.subtract(1, d_gates, out=d_gates)
    else:
        d_gates = (h_after > 0).astype(h_after.dtype)
    d_h = _start(g_h_n, h0)
    for t in time_order(input.shape[0], not reverse):
        if g_output is not None:
            d_h += g_output[t]
        d_gates[t] *= d_h
        np.matmul(d_gates[t], w_hh, out=d_h)
    d_bias = _bias_gradient(d_gates) if needs[4] or needs[5] else None
    return (
        _input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h if needs[1] else None,
        _weight_gradient(d_gates, input) if needs[2] else None,
        _weight_gradient(d_gates, h_before) if needs[3] else None,
        d_bias if needs[4] else None,
        d_bias.copy() if needs[5] and d_bias is not None else None,
    )
