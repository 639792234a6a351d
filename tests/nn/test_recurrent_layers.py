"""RNN, LSTM, GRU and their cells: against plain loops, PyTorch, and the stand-in device."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
from minigrad import nn
from minigrad.testing import standin
from nn.oracle import array, close, runs_on_standin, same_weights, tensor_in, torch

Array = Any
kinds = pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])


@st.composite
def layers(draw: Any) -> dict[str, Any]:
    """The settings of a layer and the sizes of its input."""
    return {
        "settings": {
            "num_layers": draw(st.integers(1, 3)),
            "bias": draw(st.booleans()),
            "batch_first": draw(st.booleans()),
            "bidirectional": draw(st.booleans()),
        },
        "nonlinearity": draw(st.sampled_from(["tanh", "relu"])),
        "T": draw(st.integers(1, 4)),
        "B": draw(st.integers(1, 3)),
        "I": draw(st.integers(1, 3)),
        "H": draw(st.integers(1, 3)),
        "batched": draw(st.booleans()),
        "stateful": draw(st.booleans()),
        "seed": draw(st.integers(0, 99)),
    }


def make(library: Any, kind: str, case: dict[str, Any]) -> Any:
    settings = dict(case["settings"])
    if kind == "RNN":
        settings["nonlinearity"] = case["nonlinearity"]
    return getattr(library, kind)(case["I"], case["H"], **settings).double()


def inputs(kind: str, case: dict[str, Any]) -> list[Array]:
    """The input, and the first states if the case has some."""
    rng = np.random.default_rng(case["seed"])
    settings = case["settings"]
    T, B, features, H = (case[name] for name in "TBIH")
    shape = ((B, T) if settings["batch_first"] else (T, B)) if case["batched"] else (T,)
    places = settings["num_layers"] * (2 if settings["bidirectional"] else 1)
    state = (places, B, H) if case["batched"] else (places, H)
    count = (2 if kind == "LSTM" else 1) if case["stateful"] else 0
    return [rng.normal(size=(*shape, features)), *(rng.normal(size=state) for _ in range(count))]


def call(kind: str, module: Any, tensors: list[Any]) -> list[Any]:
    """(output, every last state)."""
    first, *states = tensors
    state = None if not states else tuple(states) if kind == "LSTM" else states[0]
    output, last = module(first, state)
    return [output, *(last if kind == "LSTM" else [last])]


def everything(library: Any, kind: str, module: Any, arrays: list[Array]) -> list[Any]:
    """All results, and all gradients of a sum in which every element counts differently."""
    tensors = [tensor_in(library, values, True) for values in arrays]
    results = call(kind, module, tensors)
    total = 0
    for position, result in enumerate(results):
        weights = np.cos(np.arange(np.prod(tuple(result.shape)), dtype=float) + position).reshape(tuple(result.shape))
        total = total + (result * tensor_in(library, weights)).sum()
    total.backward()
    return [*results, *(tensor.grad for tensor in tensors), *(parameter.grad for parameter in module.parameters())]


# ---- against loops that say what the papers say ---------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def step(kind: str, case: dict[str, Any], x: Array, state: list[Array], w: dict[str, Array]) -> list[Array]:
    """One step of one layer for one sequence, from the definition."""
    zero = np.zeros(w["weight_ih"].shape[0])
    ih = w["weight_ih"] @ x + w.get("bias_ih", zero)
    hh = w["weight_hh"] @ state[0] + w.get("bias_hh", zero)
    if kind == "RNN":
        return [np.tanh(ih + hh) if case["nonlinearity"] == "tanh" else np.maximum(ih + hh, 0)]
    if kind == "LSTM":
        i, f, g, o = np.split(ih + hh, 4)
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]
    (ir, iz, i_n), (hr, hz, hn) = np.split(ih, 3), np.split(hh, 3)
    z = sigmoid(iz + hz)
    return [(1 - z) * np.tanh(i_n + sigmoid(ir + hr) * hn) + z * state[0]]


def plain(kind: str, case: dict[str, Any], module: nn.Module, arrays: list[Array]) -> list[Array]:
    """(output, last states) by a loop over sequences, layers, directions and steps."""
    weights = {name: array(value) for name, value in module.state_dict().items()}
    input, *states = arrays
    settings, H = case["settings"], case["H"]
    if not case["batched"]:
        input, states = input[:, None], [state[:, None] for state in states]
    elif settings["batch_first"]:
        input = input.swapaxes(0, 1)
    T, B, _ = input.shape
    suffixes = ["", "_reverse"] if settings["bidirectional"] else [""]
    places = settings["num_layers"] * len(suffixes)
    states = states or [np.zeros((places, B, H))] * (2 if kind == "LSTM" else 1)
    last = [np.zeros((places, B, H)) for _ in states]
    output = np.zeros((T, B, H * len(suffixes)))
    for b in range(B):
        sequence = list(input[:, b])
        for layer in range(settings["num_layers"]):
            columns = []
            for direction, suffix in enumerate(suffixes):
                place = layer * len(suffixes) + direction
                tail = f"_l{layer}{suffix}"
                own = {name.removesuffix(tail): value for name, value in weights.items() if name.endswith(tail)}
                state = [part[place, b] for part in states]
                column: list[Any] = [None] * T
                for t in reversed(range(T)) if direction else range(T):
                    state = step(kind, case, sequence[t], state, own)
                    column[t] = state[0]
                columns.append(column)
                for part, value in zip(last, state, strict=True):
                    part[place, b] = value
            sequence = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
        output[:, b] = sequence
    if not case["batched"]:
        return [output[:, 0], *(part[:, 0] for part in last)]
    return [output.swapaxes(0, 1) if settings["batch_first"] else output, *last]


@kinds
@given(case=layers())
def test_a_layer_is_its_definition(kind: str, case: dict[str, Any]) -> None:
    minigrad.manual_seed(case["seed"])
    module, arrays = make(nn, kind, case), inputs(kind, case)
    found = call(kind, module, [minigrad.tensor(values) for values in arrays])
    for result, expected in zip(found, plain(kind, case, module, arrays), strict=True):
        close(result, expected, 1e-12)


@kinds
@pytest.mark.oracle
@given(case=layers())
def test_results_and_gradients_are_pytorchs(kind: str, case: dict[str, Any]) -> None:
    ours, theirs, arrays = make(nn, kind, case), make(torch().nn, kind, case), inputs(kind, case)
    same_weights(ours, theirs)
    assert repr(ours).replace(", nonlinearity=relu", "") == repr(theirs)
    found, expected = everything(minigrad, kind, ours, arrays), everything(torch(), kind, theirs, arrays)
    for one, other in zip(found, expected, strict=True):
        close(one, other, 1e-9)


@kinds
@given(case=layers())
def test_it_runs_on_the_standin_device(kind: str, case: dict[str, Any]) -> None:
    module = make(nn, kind, case).float()
    arrays = [values.astype(np.float32) for values in inputs(kind, case)]

    def total(there: nn.Module, *tensors: Any) -> Any:
        results = call(kind, there, list(tensors))
        return sum((result * result).sum() for result in results)

    runs_on_standin(module, *arrays, call=total)


@kinds
def test_the_first_state_can_be_learned_and_carried(kind: str) -> None:
    """Two halves of a sequence with the state carried over give what the whole gives."""
    case = {"settings": {"num_layers": 2, "bidirectional": False, "bias": True, "batch_first": False},
            "nonlinearity": "tanh", "T": 6, "B": 2, "I": 3, "H": 4, "batched": True, "stateful": False,
            "seed": 0}  # fmt: skip
    module = make(nn, kind, case)
    x = minigrad.tensor(inputs(kind, case)[0])
    whole, last = module(x)
    first, state = module(x[:2])
    second, end = module(x[2:], state)
    close(minigrad.cat([first, second]), whole, 1e-12)
    for one, other in zip(*(value if kind == "LSTM" else [value] for value in (end, last)), strict=True):
        close(one, other, 1e-12)


@kinds
def test_dropout_is_between_the_layers_and_only_in_training(kind: str) -> None:
    module = getattr(nn, kind)(3, 4, num_layers=2, dropout=0.5)
    x = minigrad.randn(5, 2, 3)
    assert (array(module(x)[0]) != array(module(x)[0])).any()
    module.eval()
    close(module(x)[0], module(x)[0])
    certain = getattr(nn, kind)(3, 4, num_layers=2, dropout=1.0)
    certain.load_state_dict(module.state_dict())
    zeroed = getattr(nn, kind)(4, 4)
    zeroed.load_state_dict(
        {name.replace("_l1", "_l0"): value for name, value in module.state_dict().items() if "_l1" in name}
    )
    close(certain(x)[0], zeroed(minigrad.zeros(5, 2, 4))[0])
    first_layers = [call(kind, one, [x])[1][0] for one in (certain, module)]
    close(*first_layers)  # nothing is dropped before the first layer
    with pytest.warns(UserWarning, match="num_layers=1") as caught:
        getattr(nn, kind)(3, 4, dropout=0.5)
    assert caught[0].filename == __file__


@kinds
def test_weights_start_inside_their_bound(kind: str) -> None:
    minigrad.manual_seed(0)
    module = getattr(nn, kind)(20, 25, num_layers=2)
    for parameter in module.parameters():
        values = array(parameter)
        assert np.abs(values).max() <= 0.2
        assert np.abs(values).max() > 0.15
    assert [len(weights) for weights in module.all_weights] == [4, 4]
    assert module.flatten_parameters() is None


@kinds
@pytest.mark.parametrize(
    ("shape", "error", "sentence"),
    [
        ((5,), ValueError, r"must be \(T, B, I\), or \(T, I\) for one sequence, got shape \(5,\)"),
        ((2, 2, 2, 5), ValueError, r"got shape \(2, 2, 2, 5\)"),
        ((2, 2, 4), RuntimeError, r"input_size=5, got shape \(2, 2, 4\): build the layer with input_size=4"),
        ((5, 2, 4), RuntimeError, r"input_size=5, got shape \(5, 2, 4\): dimension 0 has that size, so transpose"),
        ((0, 2, 5), RuntimeError, r"shape \(0, 2, 5\) has no time steps"),
    ],
)
def test_an_input_that_does_not_fit(kind: str, shape: Any, error: Any, sentence: str) -> None:
    with pytest.raises(error, match=f"{kind}: .*{sentence}"):
        getattr(nn, kind)(5, 3)(minigrad.zeros(*shape))


@kinds
def test_a_state_that_does_not_fit(kind: str) -> None:
    module, x = getattr(nn, kind)(5, 3, num_layers=2), minigrad.zeros(4, 2, 5)

    def given(*shape: int) -> Any:
        h0 = minigrad.zeros(*shape)
        return (h0, h0) if kind == "LSTM" else h0

    with pytest.raises(RuntimeError, match=rf"{kind}: h0 must have shape \(2, 2, 3\), .*got \(2, 1, 3\)"):
        module(x, given(2, 1, 3))
    with pytest.raises(RuntimeError, match=r"\(2, 3\), .*no batch dimension, got \(2, 2, 3\)"):
        module(minigrad.zeros(4, 5), given(2, 2, 3))
    with pytest.raises(TypeError, match=f"{kind}: the state must be"):
        module(x, minigrad.zeros(2, 2, 3) if kind == "LSTM" else (minigrad.zeros(2, 2, 3),))
    with pytest.raises(TypeError, match="must be a Tensor, got list"):
        module([[1.0]])
    with pytest.raises(RuntimeError, match=r"float64.*float32"):
        module(x.double())


@pytest.mark.oracle
@given(case=layers(), P=st.integers(1, 2))
def test_a_projected_lstm_is_pytorchs(case: dict[str, Any], P: int) -> None:
    case["H"] += P
    case["settings"]["proj_size"] = P
    ours, theirs, arrays = make(nn, "LSTM", case), make(torch().nn, "LSTM", case), inputs("LSTM", case)
    arrays[1:2] = [h0[..., :P] for h0 in arrays[1:2]]
    same_weights(ours, theirs)
    assert repr(ours) == repr(theirs)
    found, expected = everything(minigrad, "LSTM", ours, arrays), everything(torch(), "LSTM", theirs, arrays)
    for one, other in zip(found, expected, strict=True):
        close(one, other, 1e-9)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="RNN: only an LSTM has a projection"):
        nn.RNN(2, 3, proj_size=1)
    with pytest.raises(ValueError, match="LSTM: proj_size must be less than hidden_size=3, or 0 for none, got 3"):
        nn.LSTM(2, 3, proj_size=3)
    with pytest.raises(ValueError, match="nonlinearity must be 'tanh' or 'relu'"):
        nn.RNN(2, 2, nonlinearity="sigmoid")
    for wrong in (True, False, "0.5", None):
        with pytest.raises(ValueError, match=f"GRU: dropout must be a probability, .* got {wrong!r}$"):
            nn.GRU(2, 2, num_layers=2, dropout=wrong)
    with pytest.raises(ValueError, match="hidden_size must be a positive whole number, got 0"):
        nn.LSTM(2, 0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.GRU(2, 2, num_layers=2, dropout=1.5)
    with pytest.raises(ValueError, match="nonlinearity must be 'tanh' or 'relu'"):
        nn.RNNCell(2, 2, nonlinearity="sigmoid")


# ---- cells ----------------------------------------------------------------------------------------------------------


@kinds
@given(
    B=st.sampled_from([None, 1, 3]), features=st.integers(1, 3), H=st.integers(1, 3), bias=st.booleans(),
    stateful=st.booleans(), nonlinearity=st.sampled_from(["tanh", "relu"]),
)  # fmt: skip
def test_a_cell_unrolled_is_the_layer(
    kind: str, B: int | None, features: int, H: int, bias: bool, stateful: bool, nonlinearity: str
) -> None:
    extra = {"nonlinearity": nonlinearity} if kind == "RNN" else {}
    layer = getattr(nn, kind)(features, H, bias=bias, **extra).double()
    cell = getattr(nn, f"{kind}Cell")(features, H, bias=bias, **extra).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    rng = np.random.default_rng(0)
    batch = () if B is None else (B,)
    x = minigrad.tensor(rng.normal(size=(4, *batch, features)), requires_grad=True)
    states = [minigrad.tensor(rng.normal(size=(*batch, H))) for _ in range((2 if kind == "LSTM" else 1) * stateful)]
    state: Any = (tuple(states) if kind == "LSTM" else states[0]) if stateful else None
    steps = []
    for t in range(4):
        state = cell(x[t], state)
        steps.append(state[0] if kind == "LSTM" else state)
    unrolled = minigrad.stack(steps)
    whole, _ = call(kind, layer, [x, *(part.unsqueeze(0) for part in states)])[:2]
    close(unrolled, whole, 1e-12)
    gradients = []
    for result, module in ((unrolled, cell), (whole, layer)):
        x.grad = None
        (result * result).sum().backward()
        gradients.append([x.grad, *(parameter.grad for parameter in module.parameters())])
    for one, other in zip(*gradients, strict=True):
        close(one, other, 1e-10)


@kinds
@pytest.mark.oracle
@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_has_pytorchs_state_dict(kind: str, bias: bool) -> None:
    ours, theirs = (getattr(library, f"{kind}Cell")(2, 3, bias=bias) for library in (nn, torch().nn))
    same_weights(ours, theirs)
    assert repr(ours) == repr(theirs)


@kinds
def test_a_cell_runs_on_the_standin_device(kind: str) -> None:
    standin.install()
    cell = getattr(nn, f"{kind}Cell")(3, 2)
    x = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)

    def unrolled(there: nn.Module, input: Any) -> Any:
        state = None
        for t in range(4):
            state = there(input[t], state)
        return state[0] if kind == "LSTM" else state

    runs_on_standin(cell, x, call=unrolled)


@kinds
def test_a_cell_refuses_what_does_not_fit(kind: str) -> None:
    cell = getattr(nn, f"{kind}Cell")(3, 2)
    with pytest.raises(ValueError, match=rf"{kind}Cell: the input must be \(B, I\)"):
        cell(minigrad.zeros(1, 1, 3))
    with pytest.raises(RuntimeError, match=rf"{kind}Cell: .*input_size=3, got \(1, 4\)"):
        cell(minigrad.zeros(1, 4))
    wrong = minigrad.zeros(2, 2)
    with pytest.raises(RuntimeError, match=r"\(2, 2\)"):
        cell(minigrad.zeros(1, 3), (wrong, wrong) if kind == "LSTM" else wrong)
    if kind == "LSTM":
        with pytest.raises(TypeError, match="pair of Tensors"):
            cell(minigrad.zeros(1, 3), minigrad.zeros(1, 2))
