"""RNN, LSTM, GRU and their cells where the properties that every module is tried with do not look: carried states,
dropout between layers, how weights begin, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import nn
from nn.oracle import array, close

kinds = pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])


def parts(state: Any) -> list[Any]:
    """The state's tensors: two for an LSTM, one otherwise."""
    return list(state) if isinstance(state, tuple) else [state]


@kinds
def test_a_state_can_be_carried_over(kind: str) -> None:
    """Two halves of a sequence with the state carried over give what the whole gives."""
    module = getattr(nn, kind)(3, 4, num_layers=2).double()
    x = minigrad.randn(6, 2, 3, dtype=minigrad.float64)
    whole, last = module(x)
    first, state = module(x[:2])
    second, end = module(x[2:], state)
    close(minigrad.cat([first, second]), whole, 1e-12)
    for one, other in zip(parts(end), parts(last), strict=True):
        close(one, other, 1e-12)


@given(
    kind=st.sampled_from(["RNN", "LSTM", "GRU"]),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    batch_first=st.booleans(),
    batch=st.sampled_from([None, 0, 1, 3]),
    steps=st.integers(1, 3),
    switch=st.sampled_from([minigrad.no_grad, minigrad.inference_mode]),
)
def test_what_is_not_recorded_is_the_same(
    kind: str, layers: int, bidirectional: bool, batch_first: bool, batch: int | None, steps: int, switch: Any
) -> None:
    """Without a graph states take another way, into the layers and out; none of it reaches the states that came in."""
    settings = {"bidirectional": bidirectional, "batch_first": batch_first, "dtype": minigrad.float64}
    module = getattr(nn, kind)(3, 4, layers, **settings)
    places, rows = layers * (2 if bidirectional else 1), () if batch is None else (batch,)
    states = [minigrad.randn(places, *rows, 4, dtype=minigrad.float64) for _ in range(module.states)]
    x = minigrad.randn(*((*rows, steps) if batch_first else (steps, *rows)), 3, dtype=minigrad.float64)
    before = [state.clone() for state in states]
    hx = tuple(states) if kind == "LSTM" else states[0]
    output, last = module(x, hx)
    with switch():
        bare_output, bare_last = module(x, hx)
        for one, other in zip((bare_output, *parts(bare_last)), (output, *parts(last)), strict=True):
            assert one.shape == other.shape
            assert not one.requires_grad
            close(one, other, 1e-14)
            one.fill_(0)
    for one, other in zip(states, before, strict=True):
        close(one, other, 0)


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
    first_layers = [parts(one(x)[1])[0][0] for one in (certain, module)]
    close(*first_layers)  # nothing is dropped before the first layer
    with pytest.warns(UserWarning, match="num_layers=1") as caught:
        getattr(nn, kind)(3, 4, dropout=0.5)
    assert caught[0].filename == __file__


@kinds
def test_weights_start_inside_their_bound(kind: str) -> None:
    minigrad.manual_seed(0)
    module, cell = getattr(nn, kind)(20, 25, num_layers=2), getattr(nn, f"{kind}Cell")(20, 25)
    for parameter in (*module.parameters(), *cell.parameters()):
        assert -0.2 <= array(parameter).min() < -0.1
        assert 0.1 < array(parameter).max() <= 0.2
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
