"""Recurrent layers over a whole sequence, one node of the graph each: one layer, one direction.

Each comes twice. `lstm_steps` says in primitives what an LSTM computes: read it first. `lstm` is the same by the
hand-written kernels; where gradients are to be differentiated again, the engine goes through `lstm_steps`.

Shapes: T steps, B sequences, I input features, H hidden features, K gates (1 for RNN, 4 for LSTM, 3 for GRU).
    input (T, B, I)   h0, c0 (B, H)   w_ih (K*H, I)   w_hh (K*H, H)   b_ih, b_hh (K*H) or None
    output (T, B, H)  h_n, c_n (B, H)
With `reverse` time runs from the last step to the first, and output[t] still belongs to input[t].

Sequences of different lengths come packed, as `nn.utils.rnn.pack_padded_sequence` lays them out: input (N, I) has the
rows of step 0, then those of step 1, and so on, `batch_sizes[t]` of them, the longest sequence first. Then output is
(N, H), and h_n, c_n are the states after each sequence's own last step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from minigrad import kernels
from minigrad.backend import Array
from minigrad.core.fused import fused
from minigrad.core.tensor import Tensor
from minigrad.kernels.common import time_order
from minigrad.kernels.steps import BatchSizes
from minigrad.ops.joining import cat, chunk, split, stack
from minigrad.ops.linalg import linear

# ---- in primitives --------------------------------------------------------------------------------------------------


def lstm_step(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    w_hr: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000). Gives the next h and c.

    x (B, I), h and c (B, H). The gates lie in the weights in the order input, forget, candidate, output. With `w_hr`
    (P, H) the hidden state is projected (Sak et al. 2014): h (B, P), and w_hh (4H, P).
    """
    gates = linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)  # B, 4H
    i, f, g, o = chunk(gates, 4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()  # forget a part of the cell, write a part of the candidate
    h = o.sigmoid() * c.tanh()  # show a part of the cell
    return h if w_hr is None else linear(h, w_hr), c


def gru_step(
    x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """One step of a GRU (Cho et al. 2014), the reset gate after the matrix product as in cuDNN. Gives the next h.

    x (B, I), h (B, H). The gates lie in the weights in the order reset, update, candidate.
    """
    r, z, n = chunk(linear(x, w_ih, b_ih), 3, -1)  # B, H each
    h_r, h_z, h_n = chunk(linear(h, w_hh, b_hh), 3, -1)
    r, z = (r + h_r).sigmoid(), (z + h_z).sigmoid()
    n = (n + r * h_n).tanh()
    return n + z * (h - n)  # z keeps the old state, 1 - z takes the candidate


def rnn_step(
    x: Tensor,
    h: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    nonlinearity: str = "tanh",
) -> Tensor:
    """One step of a simple recurrent network (Elman 1990): tanh or relu of W_ih x + b_ih + W_hh h + b_hh."""
    z = linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)  # B, H
    return z.tanh() if nonlinearity == "tanh" else z.relu()


State: TypeAlias = tuple[Tensor, ...]


def _over_time(
    step: Callable[..., State], input: Tensor, state: State, reverse: bool, batch_sizes: BatchSizes
) -> tuple[Tensor, ...]:
    """Run `state = step(input[t], *state)` along time. Gives the states' first parts (T, B, H) and the last state."""
    if batch_sizes is not None:
        return _over_packed_time(step, input, state, reverse, batch_sizes)
    T = input.shape[0]
    output: list[Any] = [None] * T
    for t in time_order(T, reverse):
        state = step(input[t], *state)
        output[t] = state[0]
    return stack(output), *state


def _over_packed_time(
    step: Callable[..., State], input: Tensor, first: State, reverse: bool, batch_sizes: Sequence[int]
) -> tuple[Tensor, ...]:
    """The same for packed sequences: input (N, I), and the states' first parts (N, H)."""
    x = split(input, list(batch_sizes))
    after: list[State] = [()] * len(x)
    state = first
    for t in time_order(len(x), reverse):
        b = batch_sizes[t]
        # Forwards, sequences end, and their rows are left out; backwards, sequences begin, with rows of `first`.
        state = tuple([cat([part[:b], start[len(part) : b]]) for part, start in zip(state, first)])
        after[t] = state = step(x[t], *state)
    going_on = [*batch_sizes[1:], 0]
    last = after[0] if reverse else tuple(
        [cat([after[t][k][going_on[t] :] for t in reversed(range(len(x)))]) for k in range(len(first))]
    )  # fmt: skip
    return cat([state[0] for state in after]), *last


def lstm_steps(
    input: Tensor,
    h0: Tensor,
    c0: Tensor,
    *parameters: Tensor | None,
    reverse: bool = False,
    batch_sizes: BatchSizes = None,
) -> tuple[Tensor, ...]:
    """`lstm` in primitives; `parameters` are w_ih, w_hh, b_ih, b_hh, and w_hr or not. Gives output, h_n, c_n."""

    def step(x: Tensor, h: Tensor, c: Tensor) -> State:
        return lstm_step(x, h, c, *parameters)  # type: ignore[arg-type]

    return _over_time(step, input, (h0, c0), reverse, batch_sizes)


def gru_steps(
    input: Tensor, h0: Tensor, *parameters: Tensor | None, reverse: bool = False, batch_sizes: BatchSizes = None
) -> tuple[Tensor, ...]:
    """`gru` in primitives; `parameters` are w_ih, w_hh, b_ih, b_hh. Gives output, h_n."""

    def step(x: Tensor, h: Tensor) -> State:
        return (gru_step(x, h, *parameters),)  # type: ignore[arg-type]

    return _over_time(step, input, (h0,), reverse, batch_sizes)


def rnn_steps(
    input: Tensor,
    h0: Tensor,
    *parameters: Tensor | None,
    nonlinearity: str = "tanh",
    reverse: bool = False,
    batch_sizes: BatchSizes = None,
) -> tuple[Tensor, ...]:
    """`rnn` in primitives; `parameters` are w_ih, w_hh, b_ih, b_hh. Gives output, h_n."""

    def step(x: Tensor, h: Tensor) -> State:
        return (rnn_step(x, h, *parameters, nonlinearity=nonlinearity),)  # type: ignore[arg-type]

    return _over_time(step, input, (h0,), reverse, batch_sizes)


# ---- by the kernels -------------------------------------------------------------------------------------------------


@fused(composite=lstm_steps, outputs=("output", "h_n", "c_n"))
def lstm(
    input: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array = None, b_hh: Array = None,
    *, reverse: bool = False, batch_sizes: BatchSizes = None, keep: bool,
) -> Any:  # fmt: skip
    """A long short-term memory over a sequence: (output, h_n, c_n). Shapes at the top of this file; `lstm_step` says
    what a step computes. Raises RuntimeError where shapes or dtypes do not fit, naming both."""
    check_recurrent("lstm", 4, 3, input, {"h0": h0, "c0": c0}, w_ih, w_hh, b_ih, b_hh, batch_sizes)
    settings = {"reverse": reverse, "batch_sizes": batch_sizes, "keep": keep}
    return kernels.of(input).lstm_forward(input, h0, c0, w_ih, w_hh, b_ih, b_hh, **settings)


@lstm.backward
def _lstm_backward(residuals: Any, g: Any, needs: tuple[bool, ...]) -> Sequence[Any]:
    return kernels.of(_first(g)).lstm_backward(residuals, *g, needs)


@fused(composite=gru_steps, outputs=("output", "h_n"))
def gru(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array = None, b_hh: Array = None,
    *, reverse: bool = False, batch_sizes: BatchSizes = None, keep: bool,
) -> Any:  # fmt: skip
    """A gated recurrent unit over a sequence: (output, h_n). Shapes at the top of this file; `gru_step` says what a
    step computes. Raises RuntimeError where shapes or dtypes do not fit, naming both."""
    check_recurrent("gru", 3, 3, input, {"h0": h0}, w_ih, w_hh, b_ih, b_hh, batch_sizes)
    settings = {"reverse": reverse, "batch_sizes": batch_sizes, "keep": keep}
    return kernels.of(input).gru_forward(input, h0, w_ih, w_hh, b_ih, b_hh, **settings)


@gru.backward
def _gru_backward(residuals: Any, g: Any, needs: tuple[bool, ...]) -> Sequence[Any]:
    return kernels.of(_first(g)).gru_backward(residuals, *g, needs)


@fused(composite=rnn_steps, outputs=("output", "h_n"))
def rnn(
    input: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array = None, b_hh: Array = None,
    *, nonlinearity: str = "tanh", reverse: bool = False, batch_sizes: BatchSizes = None, keep: bool,
) -> Any:  # fmt: skip
    """A simple recurrent network over a sequence, "tanh" or "relu": (output, h_n). Shapes at the top of this file;
    `rnn_step` says what a step computes. Raises RuntimeError where shapes or dtypes do not fit, naming both."""
    check_nonlinearity("rnn", nonlinearity)
    check_recurrent("rnn", 1, 3, input, {"h0": h0}, w_ih, w_hh, b_ih, b_hh, batch_sizes)
    settings = {"nonlinearity": nonlinearity, "reverse": reverse, "batch_sizes": batch_sizes, "keep": keep}
    return kernels.of(input).rnn_forward(input, h0, w_ih, w_hh, b_ih, b_hh, **settings)


@rnn.backward
def _rnn_backward(residuals: Any, g: Any, needs: tuple[bool, ...]) -> Sequence[Any]:
    return kernels.of(_first(g)).rnn_backward(residuals, *g, needs)


def _first(gs: Sequence[Any]) -> Array:
    return next(g for g in gs if g is not None)


# ---- what does not fit ----------------------------------------------------------------------------------------------


def check_nonlinearity(name: str, nonlinearity: str) -> None:
    """ValueError for any but the two nonlinearities there are."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{name}: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")


def check_recurrent(
    name: str,
    gates: int,
    ndim: int,
    input: Array,
    states: dict[str, Array],
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    batch_sizes: BatchSizes = None,
) -> None:
    """RuntimeError, in one sentence, unless shapes and dtypes of a recurrent layer (ndim 3) or cell (ndim 2) fit."""
    shape = input.shape
    if batch_sizes is None:
        _check_input(name, ndim, shape)
        batch = shape[-2:-1]
    else:
        _check_packed(name, shape, batch_sizes)
        batch = tuple(batch_sizes[:1])
    first, state = next(iter(states.items()))
    hidden = state.shape[-1] if state.ndim else 0
    fitting = [(word, array, (*batch, hidden)) for word, array in states.items()]
    fitting += [("w_ih", w_ih, (gates * hidden, shape[-1])), ("w_hh", w_hh, (gates * hidden, hidden))]
    fitting += [("b_ih", b_ih, (gates * hidden,)), ("b_hh", b_hh, (gates * hidden,))]
    for word, array, expected in fitting:
        if array is None:
            continue
        if array.shape != expected:
            raise RuntimeError(
                f"{name}: {word} has shape {tuple(array.shape)}, with input {tuple(shape)} and hidden size {hidden} "
                f"(from {first}) it must be {expected}"
            )
        if array.dtype != input.dtype:
            raise RuntimeError(
                f"{name}: input is {input.dtype} and {word} {array.dtype}: they must be equal, so convert one of them "
                f"with .to(dtype)"
            )


def _check_input(name: str, ndim: int, shape: tuple[int, ...]) -> None:
    if len(shape) != ndim and (ndim == 3 or len(shape) != 1):
        meaning = "(T, B, I): steps, sequences, features" if ndim == 3 else "(B, I) or (I): sequences, features"
        raise RuntimeError(f"{name}: input must be {meaning}, got shape {tuple(shape)}")
    if ndim == 3 and not shape[0]:
        raise RuntimeError(f"{name}: input of shape {tuple(shape)} has no steps: it needs at least one")


def _check_packed(name: str, shape: tuple[int, ...], batch_sizes: Sequence[int]) -> None:
    if len(shape) != 2:
        raise RuntimeError(f"{name}: packed input must be (N, I): rows of all steps, features, got {tuple(shape)}")
    falling = all(earlier >= later for earlier, later in pairwise(batch_sizes))
    if not falling or not batch_sizes or batch_sizes[-1] < 1 or sum(batch_sizes) != shape[0]:
        raise RuntimeError(
            f"{name}: batch_sizes must be at least 1, never grow, and add up to the {shape[0]} rows of the packed "
            f"input, got {list(batch_sizes)}"
        )
