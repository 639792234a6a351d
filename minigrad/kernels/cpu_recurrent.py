"""RNN, LSTM and GRU for NumPy: see `reference_recurrent` for the shapes and what they compute.

Three things make them fast. What does not depend on the step before is done for all steps at once: the input product,
the local derivatives, the weight gradients. A step writes into memory that is there already, in as few calls as it can.
And a sigmoid is a tanh, sigmoid(x) = tanh(x / 2) / 2 + 1/2: with the halves put into the weights, one tanh serves all
gates.
"""

from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from minigrad.kernels import memory, pool
from minigrad.kernels.common import Needs, time_order
from minigrad.kernels.steps import BatchSizes, Steps, ends, steps_of

Array: TypeAlias = np.ndarray[Any, Any]

# Elements worth a thread of their own. After a product the threads of BLAS go on spinning for a while, and one of ours
# has to share its core with them: 400 x 800 gates are done sooner by one alone.
GRAIN = 1 << 20
# Rows of a weight turned at a time, so that they stay in the cache while all their columns are read: (4096, 1024) takes
# 11 ms so, and 27 in one go.
PACKED_ROWS = 128


def _share_steps(work: pool.Work, steps: Steps, over_time: Array) -> None:
    """Share out work(first step, last step) over threads, where each step has its part of `over_time`."""
    width = over_time.size // max(1, len(steps))
    pool.share(work, len(steps), -(-GRAIN // max(1, width)))


def _flat(array: Array) -> Array:
    """All rows of all steps below each other: (T, B, F) -> (T*B, F), and what is packed as it is."""
    return array.reshape(-1, array.shape[-1])


def _project(input: Array, weight: Array, bias: Array | None, factor: Array | None, steps: Steps) -> Array:
    """factor * (input @ weight.T + bias) for all steps in one matrix product: (T, B, I) -> (T, B, K*H)."""
    projected = memory.empty((*input.shape[:-1], weight.shape[0]), input.dtype)
    np.matmul(_flat(input), weight.T, out=_flat(projected))

    def finish(start: int, stop: int) -> None:
        for at in steps[start:stop]:
            if bias is not None:
                projected[at] += bias
            if factor is not None:
                projected[at] *= factor

    if bias is not None or factor is not None:
        _share_steps(finish, steps, projected)
    return projected


def _pack(weight: Array, factor: Array | None) -> Array:
    """weight.T, its columns times `factor`, as contiguous memory (H, K*H): every step reads it.

    A step of B, H = 20, 650 multiplies in 0.53 ms by it and in 0.58 ms by weight.T (0.35 and 0.58 where OpenBLAS uses
    AVX-512); packing takes about 2 ms a sequence.
    """
    packed = memory.empty(weight.shape[::-1], weight.dtype)
    for rows in pool.blocks(0, weight.shape[0], PACKED_ROWS):
        if factor is None:
            packed[:, rows] = weight[rows].T
        else:
            np.multiply(weight[rows].T, factor[rows], out=packed[:, rows])
    return packed


def _recurrent_weight(w_hh: Array, factor: Array | None, steps: Steps) -> tuple[Array, Array | None]:
    """What each step multiplies h by, (H, K*H), and the factor that the product still lacks: a single step, as when
    text is generated, would spend far more on packing than on its product."""
    return (w_hh.T, factor) if len(steps) == 1 else (_pack(w_hh, factor), None)


def _copy(array: Array) -> Array:
    copy = memory.empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def _sum_biases(b_ih: Array | None, b_hh: Array | None) -> Array | None:
    if b_ih is None or b_hh is None:
        return b_hh if b_ih is None else b_ih
    return b_ih + b_hh


def _states(steps: Steps, first: Array, reverse: bool) -> tuple[Any, Any]:
    """Memory for a state over time, with `first` (B, H) where the walk starts, and two views of it, (T, B, H): the
    state before each step and the state after it. For packed sequences each of the two is a list of T views (b, H)."""
    if steps and isinstance(steps[0], slice):
        return _packed_states(steps, first, reverse)
    T = len(steps)
    states = memory.empty((T + 1, *first.shape), first.dtype)
    states[T if reverse else 0] = first
    early, late = states[:T], states[1:]
    return (late, early) if reverse else (early, late)


def _packed_states(steps: list[slice], first: Array, reverse: bool) -> tuple[list[Array], list[Array]]:
    """A block of B rows, then for each step a block of its b rows. Forwards, a step writes its own block and begins
    with the rows of the block before it that go on. Backwards it begins with its own block, and writes the rows of the
    block before it that it has; the other rows there are `first`, of the sequences that begin there."""
    B, H = first.shape
    states = memory.empty((B + steps[-1].stop, H), first.dtype)
    blocks = [states[:B], *(states[B:][at] for at in steps)]
    own, shared = blocks[1:], [before[: len(block)] for before, block in pairwise(blocks)]
    if not reverse:
        blocks[0][...] = first
        return shared, own
    for block, going_on in zip(own, [*shared[1:], first[:0]]):
        block[len(going_on) :] = first[len(going_on) : len(block)]
    return own, shared


def _joined(states: Any) -> Array:
    """One of the two of `_states` as an array over time; a copy of packed ones."""
    return np.concatenate(states) if isinstance(states, list) else states


def _result(states: Any, keep: bool) -> Array:
    """The states as a result, in memory of its own if the residuals keep them."""
    return _copy(states) if keep and not isinstance(states, list) else _joined(states)


def _start(g_state: Array | None, like: Array) -> Array:
    """The gradient of the last state in memory of its own, zeros where that state was not used."""
    return np.zeros_like(like, order="C") if g_state is None else np.array(g_state, order="C")


def _weight_gradient(d_gates: Array, source: Array) -> Array:
    """sum over t, b of d_gates[t, b] (outer) source[t, b], as one matrix product."""
    gradient = memory.empty((d_gates.shape[-1], source.shape[-1]), source.dtype)
    return np.matmul(_flat(d_gates).T, _flat(source), out=gradient)


def _input_gradient(d_gates: Array, weight: Array) -> Array:
    """(T, B, K*H) through the input weights to (T, B, I)."""
    gradient = memory.empty((*d_gates.shape[:-1], weight.shape[1]), weight.dtype)
    np.matmul(_flat(d_gates), weight, out=_flat(gradient))
    return gradient


def _bias_gradient(d_gates: Array) -> Array:
    return np.ones(_flat(d_gates).shape[0], d_gates.dtype) @ _flat(d_gates)  # half the time of sum(axis=0)


# ----------------------------------------------------------------------------------------------------------------- LSTM


def _lstm_affine(H: int, dtype: Any) -> tuple[Array, Array]:
    """gate = tanh(factor * z) * factor + offset, four gates side by side: 1/2, 1/2 for a sigmoid, 1, 0 for a tanh."""
    factor = np.full((4 * H,), 0.5, dtype=dtype)
    offset = factor.copy()
    factor[2 * H : 3 * H], offset[2 * H : 3 * H] = 1, 0
    return factor, offset


def lstm_forward(
    input: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool, batch_sizes: BatchSizes = None,
) -> tuple[tuple[Array, Array, Array], tuple[Any, ...] | None]:  # fmt: skip
    """An LSTM over a sequence. Gives (output, h_n, c_n), residuals."""
    (B, H), steps = h0.shape, steps_of(input, batch_sizes)
    factor, offset = _lstm_affine(H, input.dtype)
    gates = _project(input, w_ih, _sum_biases(b_ih, b_hh), factor, steps)
    w_h, late_factor = _recurrent_weight(w_hh, factor, steps)
    h_before, h_after = _states(steps, h0, reverse)
    c_before, c_after = _states(steps, c0, reverse) if keep else (None, None)
    recurrent, scratch, c_n = np.empty((B, 4 * H), input.dtype), np.empty((B, H), input.dtype), c0.copy()
    for t in time_order(len(steps), reverse):
        z, h = gates[steps[t]], h_after[t]
        b = len(h)  # the sequences this step has
        c, from_h, written = c_n[:b], recurrent[:b], scratch[:b]
        np.matmul(h_before[t], w_h, out=from_h)
        if late_factor is not None:
            from_h *= late_factor
        z += from_h
        np.tanh(z, out=z)
        z *= factor
        z += offset
        np.multiply(z[:, :H], z[:, 2 * H : 3 * H], out=written)  # i g
        c *= z[:, H : 2 * H]  # f c
        c += written
        if c_after is not None:
            c_after[t][...] = c
        np.tanh(c, out=h)
        h *= z[:, 3 * H :]
    output, h_n = _result(h_after, keep), ends(h_after, h0, reverse)
    residuals = (input, h0, c0, w_ih, w_hh, gates, h_before, c_before, c_after, batch_sizes, reverse) if keep else None
    return (output, h_n, c_n), residuals


def _gates(over_time: Array, at: int | slice, count: int) -> list[Array]:
    """Views of the `count` gates of one step, each (b, H)."""
    H = over_time.shape[-1] // count
    return [over_time[at][:, k * H : (k + 1) * H] for k in range(count)]


def _lstm_local(gates: Array, c_before: Any, c_after: Any, steps: Steps) -> tuple[Array, Array]:
    """The local derivatives of all steps at once: of the gates (T, B, 4H), which d_c (for i, f, g) or d_h (for o)
    multiplies into d_gates, and of the cell's way into h, o (1 - tanh(c)^2), (T, B, H)."""
    local = memory.empty(gates.shape, gates.dtype)
    through_h = memory.empty((*gates.shape[:-1], gates.shape[-1] // 4), gates.dtype)

    def fill(start: int, stop: int) -> None:
        for t in range(start, stop):
            at = steps[t]
            i, _, g, o = _gates(gates, at, 4)
            d_i, d_f, d_g, d_o = _gates(local, at, 4)
            np.subtract(1, gates[at], out=local[at])
            local[at] *= gates[at]  # s (1 - s), the sigmoid's; for g it is overwritten
            d_i *= g
            d_f *= c_before[t]
            np.multiply(g, g, out=d_g)
            np.subtract(1, d_g, out=d_g)
            d_g *= i
            squashed = np.tanh(c_after[t])
            d_o *= squashed
            np.multiply(squashed, squashed, out=squashed)
            np.subtract(1, squashed, out=squashed)
            np.multiply(squashed, o, out=through_h[at])

    _share_steps(fill, steps, gates)
    return local, through_h


def lstm_backward(
    residuals: tuple[Any, ...], g_output: Array | None, g_h_n: Array | None, g_c_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, c0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, c0, w_ih, w_hh, gates, h_before, c_before, c_after, batch_sizes, reverse = residuals
    H, steps = h0.shape[1], steps_of(input, batch_sizes)
    d_gates, through_h = _lstm_local(gates, c_before, c_after, steps)
    forget, d_ifg = gates[..., H : 2 * H], d_gates.reshape(*gates.shape[:-1], 4, H)[..., :3, :]
    d_o = d_gates[..., 3 * H :]
    d_h_n, d_c_n = _start(g_h_n, h0), _start(g_c_n, c0)
    for t in time_order(len(steps), not reverse):
        at, b = steps[t], len(h_before[t])
        d_h, d_c, through = d_h_n[:b], d_c_n[:b], through_h[at]
        if g_output is not None:
            d_h += g_output[at]
        through *= d_h
        d_c += through
        d_ifg[at] *= d_c[:, None]
        d_o[at] *= d_h
        d_c *= forget[at]
        np.matmul(d_gates[at], w_hh, out=d_h)
    d_bias = _bias_gradient(d_gates) if needs[5] or needs[6] else None
    return (
        _input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h_n if needs[1] else None,
        d_c_n if needs[2] else None,
        _weight_gradient(d_gates, input) if needs[3] else None,
        _weight_gradient(d_gates, _joined(h_before)) if needs[4] else None,
        d_bias if needs[5] else None,
        d_bias.copy() if needs[6] and d_bias is not None else None,
    )


# ------------------------------------------------------------------------------------------------------------------ GRU


def gru_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, reverse: bool, keep: bool, batch_sizes: BatchSizes = None,
) -> tuple[tuple[Array, Array], tuple[Any, ...] | None]:  # fmt: skip
    """A GRU over a sequence. Gives (output, h_n), residuals."""
    (B, H), steps = h0.shape, steps_of(input, batch_sizes)
    factor = np.full((3 * H,), 0.5, dtype=input.dtype)
    factor[2 * H :] = 1
    gates = _project(input, w_ih, b_ih, factor, steps)
    w_h, late_factor = _recurrent_weight(w_hh, factor, steps)
    b_h = None if b_hh is None else b_hh * factor
    h_before, h_after = _states(steps, h0, reverse)
    hidden_n = memory.empty((*input.shape[:-1], H), input.dtype) if keep else None
    recurrent = np.empty((B, 3 * H), dtype=input.dtype)
    for t in time_order(len(steps), reverse):
        at, before, h = steps[t], h_before[t], h_after[t]
        rz, n = gates[at][:, : 2 * H], gates[at][:, 2 * H :]
        from_h = recurrent[: len(h)]
        hn = from_h[:, 2 * H :]
        np.matmul(before, w_h, out=from_h)
        if late_factor is not None:
            from_h *= late_factor
        if b_h is not None:
            from_h += b_h
        rz += from_h[:, : 2 * H]
        np.tanh(rz, out=rz)
        rz *= 0.5
        rz += 0.5
        if hidden_n is not None:
            hidden_n[at] = hn
        hn *= rz[:, :H]
        n += hn
        np.tanh(n, out=n)
        np.subtract(before, n, out=h)
        h *= rz[:, H:]
        h += n
    output, h_n = _result(h_after, keep), ends(h_after, h0, reverse)
    residuals = (input, h0, w_ih, w_hh, gates, hidden_n, h_before, batch_sizes, reverse) if keep else None
    return (output, h_n), residuals


def _gru_local(gates: Array, hidden_n: Array, h_before: Any, steps: Steps) -> tuple[Array, Array]:
    """What d_h of a step multiplies into d_gates and into d_hidden, each (T, B, 3H), for all steps at once."""
    local, local_hidden = (memory.empty(gates.shape, gates.dtype) for _ in range(2))

    def fill(start: int, stop: int) -> None:
        for t in range(start, stop):
            at = steps[t]
            r, z, n = _gates(gates, at, 3)
            d_r, d_z, d_n = _gates(local, at, 3)
            np.multiply(n, n, out=d_r)
            np.subtract(1, d_r, out=d_r)
            np.subtract(1, z, out=d_z)
            np.multiply(d_z, d_r, out=d_n)  # (1 - z) (1 - n^2)
            d_z *= z
            d_z *= h_before[t] - n
            np.subtract(1, r, out=d_r)
            d_r *= r
            d_r *= hidden_n[at]
            d_r *= d_n
            local_hidden[at] = local[at]
            _gates(local_hidden, at, 3)[2] *= r

    _share_steps(fill, steps, gates)
    return local, local_hidden


def gru_backward(
    residuals: tuple[Any, ...], g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, gates, hidden_n, h_before, batch_sizes, reverse = residuals
    H, steps = h0.shape[1], steps_of(input, batch_sizes)
    d_gates, d_hidden = _gru_local(gates, hidden_n, h_before, steps)
    through_gates, through_hidden = (each.reshape(*each.shape[:-1], 3, H) for each in (d_gates, d_hidden))
    update = gates[..., H : 2 * H]
    d_h_n, recurrent = _start(g_h_n, h0), np.empty(h0.shape, dtype=input.dtype)
    for t in time_order(len(steps), not reverse):
        at, b = steps[t], len(h_before[t])
        d_h, from_h = d_h_n[:b], recurrent[:b]
        if g_output is not None:
            d_h += g_output[at]
        through_gates[at] *= d_h[:, None]
        through_hidden[at] *= d_h[:, None]
        np.matmul(d_hidden[at], w_hh, out=from_h)
        d_h *= update[at]
        d_h += from_h
    return (
        _input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h_n if needs[1] else None,
        _weight_gradient(d_gates, input) if needs[2] else None,
        _weight_gradient(d_hidden, _joined(h_before)) if needs[3] else None,
        _bias_gradient(d_gates) if needs[4] else None,
        _bias_gradient(d_hidden) if needs[5] else None,
    )


# ------------------------------------------------------------------------------------------------------------------ RNN


def rnn_forward(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    *, nonlinearity: str, reverse: bool, keep: bool, batch_sizes: BatchSizes = None,
) -> tuple[tuple[Array, Array], tuple[Any, ...] | None]:  # fmt: skip
    """A simple recurrent network over a sequence. Gives (output, h_n), residuals."""
    steps = steps_of(input, batch_sizes)
    projected = _project(input, w_ih, _sum_biases(b_ih, b_hh), None, steps)
    w_h, _ = _recurrent_weight(w_hh, None, steps)
    h_before, h_after = _states(steps, h0, reverse)
    for t in time_order(len(steps), reverse):
        h = h_after[t]
        np.matmul(h_before[t], w_h, out=h)
        h += projected[steps[t]]
        if nonlinearity == "tanh":
            np.tanh(h, out=h)
        else:
            np.maximum(h, 0, out=h)
    output, h_n = _result(h_after, keep), ends(h_after, h0, reverse)
    residuals = (input, h0, w_ih, w_hh, h_before, h_after, nonlinearity, batch_sizes, reverse) if keep else None
    return (output, h_n), residuals


def rnn_backward(
    residuals: tuple[Any, ...], g_output: Array | None, g_h_n: Array | None, needs: Needs
) -> tuple[Array | None, ...]:
    """The gradients of (input, h0, w_ih, w_hh, b_ih, b_hh)."""
    input, h0, w_ih, w_hh, h_before, h_after, nonlinearity, batch_sizes, reverse = residuals
    steps = steps_of(input, batch_sizes)
    states = _joined(h_after)
    if nonlinearity == "tanh":
        d_gates = np.multiply(states, states)
        np.subtract(1, d_gates, out=d_gates)
    else:
        d_gates = (states > 0).astype(states.dtype)
    d_h_n = _start(g_h_n, h0)
    for t in time_order(len(steps), not reverse):
        d, d_h = d_gates[steps[t]], d_h_n[: len(h_before[t])]
        if g_output is not None:
            d_h += g_output[steps[t]]
        d *= d_h
        np.matmul(d, w_hh, out=d_h)
    d_bias = _bias_gradient(d_gates) if needs[4] or needs[5] else None
    return (
        _input_gradient(d_gates, w_ih) if needs[0] else None,
        d_h_n if needs[1] else None,
        _weight_gradient(d_gates, input) if needs[2] else None,
        _weight_gradient(d_gates, _joined(h_before)) if needs[3] else None,
        d_bias if needs[4] else None,
        d_bias.copy() if needs[5] and d_bias is not None else None,
    )
