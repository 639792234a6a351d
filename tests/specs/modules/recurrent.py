"""Specs of the recurrent layers and cells, in loops over single steps.

Shapes: T steps, B sequences, I input features, H hidden features, L layers, D directions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad import nn
from minigrad.testing.module_spec import Batch, Beside, ModuleCase, ModuleSpec
from minigrad.testing.strategies import Host, arrays

Call = tuple[dict[str, Any], list[Any]]
State = tuple[Host, ...]
# (gates' input part, gates' hidden part, state) -> next state; the parts are (B, K*H)
Step = Callable[..., State]


def _sigmoid(x: Host) -> Host:
    return 1 / (1 + np.exp(-x))


def _rnn_step(from_input: Host, from_hidden: Host, h: Host, nonlinearity: str = "tanh") -> State:
    total = from_input + from_hidden
    return (np.tanh(total) if nonlinearity == "tanh" else np.maximum(total, 0),)


def _lstm_step(from_input: Host, from_hidden: Host, h: Host, c: Host) -> State:
    i, f, g, o = np.split(from_input + from_hidden, 4, -1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def _gru_step(from_input: Host, from_hidden: Host, h: Host) -> State:
    (r, z, n), (hr, hz, hn) = np.split(from_input, 3, -1), np.split(from_hidden, 3, -1)
    r, z = _sigmoid(r + hr), _sigmoid(z + hz)
    return ((1 - z) * np.tanh(n + r * hn) + z * h,)


_STEPS: dict[str, tuple[Step, int]] = {"RNN": (_rnn_step, 1), "LSTM": (_lstm_step, 2), "GRU": (_gru_step, 1)}


# ---- cells ----------------------------------------------------------------------------------------------------------


@st.composite
def _cell_calls(draw: st.DrawFn, kind: str) -> Call:
    B, inside, hidden = draw(st.sampled_from([1, 2, 3, None])), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    settings: dict[str, Any] = {"input_size": inside, "hidden_size": hidden} | draw(
        st.sampled_from([{}, {"bias": False}])
    )
    if kind == "RNN":
        settings |= draw(st.sampled_from([{}, {"nonlinearity": "relu"}]))
    batch = () if B is None else (B,)
    # Away from 0: without biases the gates of zeros are at relu's kink.
    inputs: list[Any] = [draw(arrays((*batch, inside), kinks=(0,)))]
    if draw(st.booleans()):
        states = tuple(draw(arrays((*batch, hidden))) for _ in range(_STEPS[kind][1]))
        inputs.append(states if kind == "LSTM" else states[0])
    return settings, inputs


def _cell(kind: str) -> Callable[..., Any]:
    step, parts = _STEPS[kind]

    def reference(
        state: Any, x: Host, hx: Any = None, *, hidden_size: int, input_size: int, bias: bool = True, **settings: Any
    ) -> Any:
        h = (np.zeros((*x.shape[:-1], hidden_size)),) * parts if hx is None else hx if parts > 1 else (hx,)
        from_input = x @ state["weight_ih"].T + state.get("bias_ih", 0)
        from_hidden = h[0] @ state["weight_hh"].T + state.get("bias_hh", 0)
        return step(from_input, from_hidden, *h, **settings)

    return reference


def _cell_batch(kind: str) -> Callable[[ModuleCase], Batch | None]:
    def batch(case: ModuleCase) -> Batch | None:
        given = case.arrays()
        return Batch((0,) * len(given), (0,) * _STEPS[kind][1]) if given[0].ndim > 1 else None

    return batch


# ---- layers ---------------------------------------------------------------------------------------------------------


@st.composite
def _layer_calls(draw: st.DrawFn, kind: str) -> Call:
    T, B, inside, hidden = (draw(st.integers(1, 3)) for _ in range(4))
    settings: dict[str, Any] = {"input_size": inside, "hidden_size": hidden}
    options: dict[str, Any] = {"num_layers": 2, "bias": False, "bidirectional": True}
    if kind == "RNN":
        options["nonlinearity"] = "relu"
    if kind == "LSTM" and hidden > 1:
        options["proj_size"] = hidden - 1
    settings |= {name: value for name, value in options.items() if draw(st.integers(0, 2)) == 2}
    settings |= draw(st.sampled_from([{}, {"batch_first": True}]))
    if draw(st.integers(0, 4)) == 4:
        shape: tuple[int, ...] = (T, inside)
        batch: tuple[int, ...] = ()
    else:
        shape, batch = ((B, T, inside) if "batch_first" in settings else (T, B, inside)), (B,)
    inputs: list[Any] = [draw(arrays(shape, kinks=(0,)))]
    if draw(st.booleans()):
        places = settings.get("num_layers", 1) * (2 if "bidirectional" in settings else 1)
        sizes = (settings.get("proj_size", hidden), hidden)[: _STEPS[kind][1]]
        states = tuple(draw(arrays((places, *batch, size))) for size in sizes)
        inputs.append(states if kind == "LSTM" else states[0])
    return settings, inputs


def _layer(kind: str) -> Callable[..., Any]:
    step, parts = _STEPS[kind]

    def one_direction(weights: dict[str, Host], sequence: Host, state: State, settings: Any) -> tuple[Host, State]:
        outputs = []
        for x in sequence:  # B, I
            from_input = x @ weights["weight_ih"].T + weights.get("bias_ih", 0)
            from_hidden = state[0] @ weights["weight_hh"].T + weights.get("bias_hh", 0)
            h, *rest = step(from_input, from_hidden, *state, **settings)
            state = (h @ weights["weight_hr"].T if "weight_hr" in weights else h, *rest)
            outputs.append(state[0])
        return np.stack(outputs), state

    def reference(
        state: Any,
        x: Host,
        hx: Any = None,
        *,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        bidirectional: bool = False,
        proj_size: int = 0,
        **settings: Any,
    ) -> Any:
        sequence = x[:, None] if x.ndim == 2 else x.swapaxes(0, 1) if batch_first else x  # T, B, I
        first = None if hx is None else hx if parts > 1 else (hx,)
        if first is not None and x.ndim == 2:
            first = tuple(part[:, None] for part in first)
        last: list[State] = []
        for layer in range(num_layers):
            outputs = []
            for suffix in ("", "_reverse")[: 1 + bidirectional]:
                ending = f"_l{layer}{suffix}"
                weights = {name.removesuffix(ending): one for name, one in state.items() if name.endswith(ending)}
                B = sequence.shape[1]
                sizes = (proj_size or hidden_size, hidden_size)[:parts]
                begin = tuple(np.zeros((B, size)) for size in sizes)
                if first is not None:
                    begin = tuple(part[len(last)] for part in first)
                turned = sequence[::-1] if suffix else sequence
                output, end = one_direction(weights, turned, begin, settings)
                outputs.append(output[::-1] if suffix else output)
                last.append(end)
            sequence = np.concatenate(outputs, -1)
        states = tuple(np.stack(part) for part in zip(*last, strict=True))
        if x.ndim == 2:
            return sequence[:, 0], tuple(part[:, 0] for part in states)
        return sequence.swapaxes(0, 1) if batch_first else sequence, states

    return reference


def _layer_batch(kind: str) -> Callable[[ModuleCase], Batch | None]:
    def batch(case: ModuleCase) -> Batch | None:
        given = case.arrays()
        column = 0 if "batch_first" in case.arguments else 1
        states = (1,) * _STEPS[kind][1]
        return Batch((column,) + (1,) * (len(given) - 1), (column, *states)) if given[0].ndim > 2 else None

    return batch


def _spec(kind: str) -> ModuleSpec:
    return ModuleSpec(
        getattr(nn, kind), _layer_calls(kind), _layer(kind), torch=kind, packs=True, batch=_layer_batch(kind),
        untold=("nonlinearity",),
    )  # fmt: skip


def _cell_spec(kind: str) -> ModuleSpec:
    name = f"{kind}Cell"
    # Other ranks and dtypes crash the process in PyTorch's cells (2.13), which is no refusal to compare with.
    beside = Beside(name, flaws=("a longer last dimension",))
    return ModuleSpec(getattr(nn, name), _cell_calls(kind), _cell(kind), torch=beside, batch=_cell_batch(kind))


SPECS = [make(kind) for make in (_cell_spec, _spec) for kind in _STEPS]
