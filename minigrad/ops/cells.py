"""One step of a recurrent network as one node: what an RNNCell, LSTMCell or GRUCell runs.

The arrays are small here and the number of calls is what costs, so a step is done in as few as it can be. The
composites are the steps of `recurrent`, where shapes and the order of the gates are told. A cell also takes one
sequence alone, (I) and (H).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from minigrad.backend import Array, Device, backend_for, device_of, namespace, on
from minigrad.core.fused import fused
from minigrad.core.tensor import Tensor
from minigrad.ops.linalg import as_rows
from minigrad.ops.recurrent import check_nonlinearity, check_recurrent, gru_step, lstm_step, rnn_step

# Numbers up to which factors are kept in the gates' own shape: a row beside rows takes NumPy three times as long.
SMALL = 1 << 13


@functools.lru_cache(maxsize=64)
def _lstm_affine(device: Device, shape: tuple[int, ...], dtype: Any) -> tuple[Array, Array]:
    """gate = factor * tanh(factor * z) + offset for four gates side by side, as sigmoid(z) = tanh(z / 2) / 2 + 1/2.
    Both of the shape of the gates (..., 4H), or just (4H)."""
    with on(device):
        factor = backend_for(device).namespace.full(shape, 0.5, dtype)
    offset, H = factor.copy(), shape[-1] // 4
    factor[..., 2 * H : 3 * H], offset[..., 2 * H : 3 * H] = 1, 0
    return factor, offset


def _projected(xp: Any, x: Array, weight: Array, bias: Array | None) -> Array:
    """x @ weight.T + bias in memory of its own."""
    z = xp.matmul(x, weight.T)
    if bias is not None:
        z += bias
    return z


def _planes(z: Array, gates: int) -> Array:
    """(..., gates * H) -> (gates, ..., H): each gate in memory of its own, where an operation on 8 x 32 takes 0.5
    microseconds and not 1.8, as on a part of wider rows. The copy takes 1."""
    return z.reshape(*z.shape[:-1], gates, z.shape[-1] // gates).swapaxes(0, -2).copy()


def _side_by_side(planes: Array) -> Array:
    """Back from `_planes`."""
    return planes.swapaxes(0, -2).reshape(*planes.shape[1:-1], planes.shape[0] * planes.shape[-1])


def _parameter_gradients(d_z: Array, source: Array, weight_needed: bool, bias_needed: bool) -> tuple[Any, Any]:
    """The gradients of the weight and the bias of `_projected` from that of its result."""
    rows = as_rows(d_z)
    return rows.T @ as_rows(source) if weight_needed else None, rows.sum(axis=0) if bias_needed else None


# ---- LSTM -----------------------------------------------------------------------------------------------------------


@fused(composite=lstm_step, outputs=("h", "c"))
def lstm_cell_fused(
    input: Array, h: Array, c: Array, w_ih: Array, w_hh: Array, b_ih: Array = None, b_hh: Array = None, *, keep: bool
) -> Any:
    """`lstm_cell` with its two states one after the other."""
    check_recurrent("lstm_cell", 4, 2, input, {"h": h, "c": c}, w_ih, w_hh, b_ih, b_hh)
    xp = namespace(input)
    gates = _projected(xp, input, w_ih, b_ih)
    gates += _projected(xp, h, w_hh, b_hh)
    factor, offset = _lstm_affine(
        device_of(input), gates.shape if gates.size <= SMALL else gates.shape[-1:], input.dtype
    )
    gates *= factor
    xp.tanh(gates, out=gates)
    gates *= factor
    gates += offset
    gates = _planes(gates, 4)
    i, f, g, o = gates[0], gates[1], gates[2], gates[3]
    next_c = f * c
    next_c += i * g
    squashed = xp.tanh(next_c)
    next_h = o * squashed
    return (next_h, next_c), (input, h, c, w_ih, w_hh, gates, squashed) if keep else None


@lstm_cell_fused.backward
def _lstm_cell_backward(residuals: Any, gs: Any, needs: tuple[bool, ...]) -> Sequence[Any]:
    input, h, c, w_ih, w_hh, gates, squashed = residuals
    xp = namespace(gates)
    i, f, g, o = gates[0], gates[1], gates[2], gates[3]
    g_h, g_c = gs
    d_gates = gates * gates
    xp.subtract(gates, d_gates, out=d_gates)  # s (1 - s), the sigmoid's derivative; the candidate's is written over it
    d_i, d_f, d_g, d_o = d_gates[0], d_gates[1], d_gates[2], d_gates[3]
    if g_h is None:
        d_c = g_c
        d_o[...] = 0
    else:
        d_squashed = o * g_h
        d_c = d_squashed * squashed
        d_c *= squashed
        xp.subtract(d_squashed, d_c, out=d_c)  # times 1 - squashed^2
        if g_c is not None:
            d_c += g_c
        d_o *= squashed * g_h
    d_i *= g * d_c
    d_f *= c * d_c
    d_candidate = i * d_c
    xp.multiply(d_candidate, g, out=d_g)
    d_g *= g
    xp.subtract(d_candidate, d_g, out=d_g)  # times 1 - g^2
    d_z = _side_by_side(d_gates)
    d_w_ih, d_b = _parameter_gradients(d_z, input, needs[3], needs[5] or needs[6])
    d_w_hh, _ = _parameter_gradients(d_z, h, needs[4], False)
    return (
        d_z @ w_ih if needs[0] else None,
        d_z @ w_hh if needs[1] else None,
        d_c * f if needs[2] else None,
        d_w_ih,
        d_w_hh,
        d_b if needs[5] else None,
        d_b if needs[6] else None,
    )


def lstm_cell(
    input: Tensor,
    hx: tuple[Tensor, Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The next (h, c) of an LSTM from `input` (B, I) and `hx = (h, c)`, each (B, H); see `lstm_step`."""
    h, c = hx
    return lstm_cell_fused(input, h, c, w_ih, w_hh, b_ih, b_hh)


# ---- GRU ------------------------------------------------------------------------------------------------------------


@fused(composite=gru_step)
def gru_cell(
    input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array = None, b_hh: Array = None, *, keep: bool
) -> Any:
    """The next h (B, H) of a GRU from `input` (B, I) and `hx` (B, H); see `gru_step`."""
    check_recurrent("gru_cell", 3, 2, input, {"hx": hx}, w_ih, w_hh, b_ih, b_hh)
    xp, H = namespace(input), hx.shape[-1]
    gates = _projected(xp, input, w_ih, b_ih)  # B, 3H: first before, then after the nonlinearity
    hidden = _projected(xp, hx, w_hh, b_hh)
    rz, n, hidden_n = gates[..., : 2 * H], gates[..., 2 * H :], hidden[..., 2 * H :]
    rz += hidden[..., : 2 * H]
    rz *= 0.5
    xp.tanh(rz, out=rz)
    rz *= 0.5
    rz += 0.5
    n += rz[..., :H] * hidden_n
    xp.tanh(n, out=n)
    next_h = hx - n
    next_h *= rz[..., H:]
    next_h += n
    return next_h, (input, hx, w_ih, w_hh, gates, hidden_n) if keep else None


@gru_cell.backward
def _gru_cell_backward(residuals: Any, g: Array, needs: tuple[bool, ...]) -> Sequence[Any]:
    input, h, w_ih, w_hh, gates, hidden_n = residuals
    H = h.shape[-1]
    r, z, n = (gates[..., k * H : (k + 1) * H] for k in range(3))
    d_gates = 1 - gates
    d_gates *= gates  # r (1 - r) and z (1 - z); the candidate's is written over it
    d_n = (1 - n * n) * (1 - z)
    d_n *= g
    d_gates[..., :H] *= d_n * hidden_n
    d_gates[..., H : 2 * H] *= g * (h - n)
    d_gates[..., 2 * H :] = d_n
    d_hidden = d_gates.copy()  # the same but for the candidate's, which passed the reset gate
    d_hidden[..., 2 * H :] *= r
    d_w_ih, d_b_ih = _parameter_gradients(d_gates, input, needs[2], needs[4])
    d_w_hh, d_b_hh = _parameter_gradients(d_hidden, h, needs[3], needs[5])
    return (
        d_gates @ w_ih if needs[0] else None,
        d_hidden @ w_hh + g * z if needs[1] else None,
        d_w_ih,
        d_w_hh,
        d_b_ih,
        d_b_hh,
    )


# ---- RNN ------------------------------------------------------------------------------------------------------------


@fused(composite=rnn_step)
def rnn_cell(
    input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array = None, b_hh: Array = None,
    *, nonlinearity: str = "tanh", keep: bool,
) -> Any:  # fmt: skip
    """The next h (B, H) of a simple recurrent network, "tanh" or "relu", from `input` (B, I) and `hx` (B, H)."""
    check_nonlinearity("rnn_cell", nonlinearity)
    check_recurrent("rnn_cell", 1, 2, input, {"hx": hx}, w_ih, w_hh, b_ih, b_hh)
    xp = namespace(input)
    next_h = _projected(xp, input, w_ih, b_ih)
    next_h += _projected(xp, hx, w_hh, b_hh)
    if nonlinearity == "tanh":
        xp.tanh(next_h, out=next_h)
        slope = 1 - next_h * next_h if keep else None
    else:
        slope = (next_h > 0).astype(next_h.dtype) if keep else None
        xp.maximum(next_h, 0, out=next_h)
    return next_h, (input, hx, w_ih, w_hh, slope) if keep else None


@rnn_cell.backward
def _rnn_cell_backward(residuals: Any, g: Array, needs: tuple[bool, ...]) -> Sequence[Any]:
    input, h, w_ih, w_hh, slope = residuals
    d_z = g * slope
    d_w_ih, d_b = _parameter_gradients(d_z, input, needs[2], needs[4] or needs[5])
    d_w_hh, _ = _parameter_gradients(d_z, h, needs[3], False)
    return (
        d_z @ w_ih if needs[0] else None,
        d_z @ w_hh if needs[1] else None,
        d_w_ih,
        d_w_hh,
        d_b if needs[4] else None,
        d_b if needs[5] else None,
    )
