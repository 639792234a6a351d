"""Specs of the hand-written pairs: recurrent, cells, losses, normalisation, embedding. References in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, integers, shapes

Arguments = tuple[list[Any], dict[str, Any]]

SIZES = st.integers(1, 3)


def _sigmoid(x: Host) -> Host:
    return 1 / (1 + np.exp(-x))


def _affine(x: Host, weight: Host, bias: Host | None) -> Host:
    return np.einsum("...i,oi->...o", x, weight) + (0 if bias is None else bias)


# ---- recurrent ------------------------------------------------------------------------------------------------------


@st.composite
def _recurrent(draw: st.DrawFn, gates: int, states: int, sequence: bool, **choices: Any) -> Arguments:
    """input (T, B, I) or (B, I), the states (B, H), w_ih, w_hh, and the biases or None."""
    B, features, H = draw(SIZES), draw(SIZES), draw(st.integers(1, 2))
    leading = (draw(SIZES), B) if sequence else draw(st.sampled_from([(B,), ()]))
    batch = leading[-1:]
    if sequence and draw(st.booleans()):
        sizes = sorted([draw(st.integers(1, B)) for _ in range(leading[0])], reverse=True)
        leading, batch, choices = (sum(sizes),), (sizes[0],), {**choices, "batch_sizes": st.just(sizes)}
    small = {"domain": (-1.5, 1.5)}
    bias = draw(st.booleans())
    inputs = [draw(arrays((*leading, features), **small)), *(draw(arrays((*batch, H), **small)) for _ in range(states))]
    inputs += [draw(arrays((gates * H, features), **small)), draw(arrays((gates * H, H), **small))]
    inputs += [draw(arrays((gates * H,), **small)) if bias else None for _ in range(2)]
    return inputs, {name: draw(strategy) for name, strategy in choices.items()}


def _lstm_step(x: Host, h: Host, c: Host, w_ih: Host, w_hh: Host, b_ih: Any, b_hh: Any) -> tuple[Host, Host]:
    i, f, g, o = np.split(_affine(x, w_ih, b_ih) + _affine(h, w_hh, b_hh), 4, axis=-1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def _gru_step(x: Host, h: Host, w_ih: Host, w_hh: Host, b_ih: Any, b_hh: Any) -> Host:
    (xr, xz, xn), (hr, hz, hn) = (
        np.split(part, 3, axis=-1) for part in (_affine(x, w_ih, b_ih), _affine(h, w_hh, b_hh))
    )
    z = _sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + _sigmoid(xr + hr) * hn) + z * h


def _rnn_step(x: Host, h: Host, w_ih: Host, w_hh: Host, b_ih: Any, b_hh: Any, nonlinearity: str) -> Host:
    total = _affine(x, w_ih, b_ih) + _affine(h, w_hh, b_hh)
    return np.tanh(total) if nonlinearity == "tanh" else np.where(total > 0, total, 0.0)


def _over_time(step: Any, input: Host, first: list[Host], reverse: bool, sizes: Any) -> tuple[Host, ...]:
    """One sequence at a time: (T, B, I), or packed (N, I) with `sizes[t]` sequences at step t."""
    packed = sizes is not None
    if not packed:
        sizes = [input.shape[1]] * len(input)
    rows = input.reshape(-1, input.shape[-1])
    places = np.split(np.arange(len(rows)), np.cumsum(sizes)[:-1])  # of the steps in the rows
    output, last = np.zeros((len(rows), first[0].shape[-1])), [np.zeros_like(part) for part in first]
    for b in range(sizes[0]):
        own = [place[b] for place, size in zip(places, sizes, strict=True) if b < size]
        state = tuple(part[b] for part in first)
        for row in own[:: -1 if reverse else 1]:
            state = step(rows[row], *state)
            output[row] = state[0]
        for part, value in zip(last, state, strict=True):
            part[b] = value
    return output if packed else output.reshape(*input.shape[:2], -1), *last


def _lstm(input: Host, h: Host, c: Host, *w: Any, reverse: bool, batch_sizes: Any = None) -> tuple[Host, ...]:
    return _over_time(lambda x, h, c: _lstm_step(x, h, c, *w), input, [h, c], reverse, batch_sizes)


def _gru(input: Host, h: Host, *w: Any, reverse: bool, batch_sizes: Any = None) -> tuple[Host, ...]:
    return _over_time(lambda x, h: (_gru_step(x, h, *w),), input, [h], reverse, batch_sizes)


def _rnn(input: Host, h: Host, *w: Any, nonlinearity: str, reverse: bool, batch_sizes: Any = None) -> tuple[Host, ...]:
    return _over_time(lambda x, h: (_rnn_step(x, h, *w, nonlinearity),), input, [h], reverse, batch_sizes)


# ---- losses ---------------------------------------------------------------------------------------------------------


@st.composite
def _cross_entropy(draw: st.DrawFn) -> Arguments:
    N, C = draw(SIZES), draw(st.integers(2, 4))
    settings = _loss_settings(draw)
    target = draw(_targets(N, C, settings["ignore_index"]))
    weight = draw(arrays((C,), domain=(0.2, 2))) if draw(st.booleans()) else None
    return [draw(arrays((N, C))), target, weight], settings


@st.composite
def _linear_cross_entropy(draw: st.DrawFn) -> Arguments:
    (logits, target, weight), settings = draw(_cross_entropy())
    D = draw(SIZES)
    bias = draw(arrays(logits.shape[1:])) if draw(st.booleans()) else None
    return [draw(arrays((len(logits), D))), draw(arrays((logits.shape[1], D))), target, bias, weight], settings


def _loss_settings(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "ignore_index": draw(st.sampled_from([-100, 1])),
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.25])),
    }


@st.composite
def _targets(draw: st.DrawFn, N: int, C: int, ignore_index: int) -> Host:
    target = draw(integers((N,), 0, C))
    target[draw(st.integers(0, N - 1))] = (ignore_index + 1) % C  # one row at least counts, or the mean is 0/0
    if N > 1 and draw(st.booleans()):
        target[np.flatnonzero(target != ignore_index)[1:][:1]] = ignore_index
    return target


def _loss(logits: Host, target: Host, weight: Any, ignore_index: int, reduction: str, label_smoothing: float) -> Any:
    C = logits.shape[1]
    weights = np.ones(C) if weight is None else weight
    losses, total = [], 0.0
    for row, label in zip(logits, target, strict=True):
        if label == ignore_index:
            losses.append(0.0)
            continue
        surprise = np.log(np.exp(row).sum()) - row
        spread = (weights * surprise).sum() * label_smoothing / C
        losses.append((1 - label_smoothing) * weights[label] * surprise[label] + spread)
        total += weights[label]
    if reduction == "none":
        return np.array(losses)
    return np.array(sum(losses) / (total if reduction == "mean" else 1.0))


def _linear_loss(input: Host, table: Host, target: Host, bias: Any, weight: Any, **settings: Any) -> Any:
    return _loss(_affine(input, table, bias), target, weight, **settings)


# ---- normalisation, embedding ---------------------------------------------------------------------------------------


@st.composite
def _layer_norm(draw: st.DrawFn) -> Arguments:
    # A row of equal numbers has no direction to normalise: its derivative is of the order 1 / sqrt(eps).
    shape = draw(shapes(min_dims=1, min_side=1, max_side=3).filter(lambda shape: shape[-1] > 1))
    dims = draw(st.integers(1, len(shape)))
    weight, bias = (draw(arrays(shape[-dims:])) if draw(st.booleans()) else None for _ in range(2))
    return [draw(arrays(shape)), weight, bias], {"dims": dims, "eps": 0.5}


def _normalised(x: Host, weight: Any, bias: Any, dims: int, eps: float) -> Host:
    over = tuple(range(x.ndim - dims, x.ndim))
    result = (x - x.mean(over, keepdims=True)) / np.sqrt(x.var(over, keepdims=True) + eps)
    result = result if weight is None else result * weight
    return result if bias is None else result + bias


@st.composite
def _embedding(draw: st.DrawFn) -> Arguments:
    V, D = draw(SIZES), draw(SIZES)
    return [draw(integers(shapes(max_dims=2), 0, V)), draw(arrays((V, D)))], {"sparse": draw(st.booleans())}


def _rows(index: Host, table: Host, sparse: bool) -> Host:
    return np.array([table[row] for row in index.reshape(-1)]).reshape(*index.shape, table.shape[1])


_REVERSE = {"reverse": st.booleans()}
_KIND = {"nonlinearity": st.just("tanh")}

SPECS = [
    OpSpec("lstm", _lstm, _recurrent(4, 2, True, **_REVERSE), exact=False),
    OpSpec("gru", _gru, _recurrent(3, 1, True, **_REVERSE), exact=False),
    OpSpec("rnn", _rnn, _recurrent(1, 1, True, **_KIND, **_REVERSE), exact=False),
    OpSpec("lstm_cell_fused", _lstm_step, _recurrent(4, 2, False), exact=False),
    OpSpec("gru_cell", _gru_step, _recurrent(3, 1, False), exact=False),
    OpSpec("rnn_cell", _rnn_step, _recurrent(1, 1, False, **_KIND), exact=False),
    OpSpec("cross_entropy_rows", _loss, _cross_entropy(), differentiable=(0,), exact=False),
    OpSpec("linear_cross_entropy_rows", _linear_loss, _linear_cross_entropy(), differentiable=(0, 1, 3), exact=False),
    OpSpec("layer_norm_last", _normalised, _layer_norm(), exact=False),
    OpSpec("embedding_rows", _rows, _embedding(), exact=False),
]
