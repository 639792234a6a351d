"""The model: its two ways to a loss agree, and the state carries everything that was read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.testing import standin
from nlp.errors import NlpError
from nlp.models.recurrent_dropout import draw_mask, run_with_mask
from nlp.models.rnn_lm import CELLS, RNNLM
from nlp.models.token_model import detach, on_state

cells = st.sampled_from(sorted(CELLS))


def make(cell: str, tied: bool = False, layers: int = 2, dropout: float = 0.0) -> RNNLM:
    minigrad.manual_seed(0)
    return RNNLM(11, 6, 6, layers, dropout, cell, tied)


def words(seed: int, T: int, B: int) -> minigrad.Tensor:
    return minigrad.tensor(np.random.default_rng(seed).integers(0, 11, (T, B)))


@given(cells, st.booleans(), st.integers(1, 5), st.integers(1, 3), st.integers(0, 100))
def test_the_loss_is_the_cross_entropy_of_the_scores(cell: str, tied: bool, T: int, B: int, seed: int) -> None:
    model = make(cell, tied)
    input, target = words(seed, T, B), words(seed + 1, T, B)
    scores, _ = model(input)
    assert scores.shape == (T, B, 11)
    for reduction in ("mean", "sum"):
        loss, _ = model.loss(input, target, reduction=reduction)
        expected = F.cross_entropy(scores.reshape(-1, 11), target.reshape(-1), reduction=reduction)
        np.testing.assert_allclose(loss.item(), expected.item(), rtol=1e-5)


@given(cells, st.integers(1, 3), st.integers(2, 8), st.data())
def test_reading_in_pieces_is_reading_at_once(cell: str, layers: int, T: int, data: st.DataObject) -> None:
    model = make(cell, layers=layers)
    cut = data.draw(st.integers(1, T - 1))
    input = words(cut, T, 2)
    whole, _ = model(input)
    first, state = model(input[:cut])
    second, _ = model(input[cut:], detach(state))
    np.testing.assert_allclose(minigrad.cat([first, second]).detach().numpy(), whole.detach().numpy(), atol=1e-6)


@given(cells)
def test_a_detached_state_ends_the_gradient(cell: str) -> None:
    model = make(cell)
    _, state = model.loss(words(0, 3, 2), words(1, 3, 2))
    parts: list[minigrad.Tensor] = []
    on_state(state, lambda part: parts.append(part) or part)
    assert len(parts) == (4 if cell == "lstm" else 2)
    assert all(part.requires_grad and part.shape == (1, 2, 6) for part in parts)
    cut: list[minigrad.Tensor] = []
    on_state(detach(state), lambda part: cut.append(part) or part)
    assert not any(part.requires_grad for part in cut)


def test_tied_weights_are_one_parameter() -> None:
    model = make("lstm", tied=True)
    assert model.decoder.weight is model.embedding.weight
    names = [name for name, _ in model.named_parameters()]
    assert "embedding.weight" in names
    assert "decoder.weight" not in names
    model.loss(words(0, 3, 2), words(1, 3, 2))[0].backward()
    # 11 rows all get a gradient from the output layer, though few of the words occur
    assert (model.embedding.weight.grad.numpy() != 0).any(axis=1).all()


def test_dropout_acts_in_training_only() -> None:
    model = make("lstm", dropout=0.5)
    input = words(0, 4, 3)
    first, second = model(input)[0].detach().numpy(), model(input)[0].detach().numpy()
    assert not np.array_equal(first, second)
    model.eval()
    first, second = model(input)[0].detach().numpy(), model(input)[0].detach().numpy()
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("locked", [False, True])
def test_dropout_stands_around_and_between_the_layers(locked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[float, tuple[int, ...]]] = []
    kind = nn.LockedDropout if locked else nn.Dropout
    monkeypatch.setattr(kind, "forward", lambda self, input: shapes.append((self.p, tuple(input.shape))) or input)
    options = {"dropout_input": 0.1, "dropout_between": 0.2, "locked": locked}
    model = RNNLM(11, 5, 7, 3, 0.5, **options)  # type: ignore[arg-type]
    model(words(0, 3, 2))
    assert shapes == [(0.1, (3, 2, 5)), (0.2, (3, 2, 7)), (0.2, (3, 2, 7)), (0.5, (3, 2, 7))]
    shapes.clear()
    RNNLM(11, 5, 7, 2, 0.5, locked=locked).loss(words(0, 3, 2), words(1, 3, 2))
    assert [p for p, _ in shapes] == [0.5, 0.5, 0.5]


def test_tied_with_other_sizes_the_last_layer_has_the_embedding_s() -> None:
    model = RNNLM(11, 4, 7, 3, tied=True)
    assert [layer.weight_hh_l0.shape[1] for layer in model.layers] == [7, 7, 4]
    assert model(words(0, 3, 2))[0].shape == (3, 2, 11)


@given(st.floats(0, 3), st.floats(0, 3), st.integers(1, 4))
def test_the_objective_adds_the_penalties_to_the_loss(alpha: float, beta: float, T: int) -> None:
    minigrad.manual_seed(0)
    model = RNNLM(11, 6, 6, 2, 0.0, activation_penalty=alpha, change_penalty=beta)
    input, target = words(0, T, 3), words(1, T, 3)
    objective, loss, _ = model.objective(input, target)
    assert loss.item() == model.loss(input, target)[0].item()
    embedded = model.embedding(input)
    for layer in model.layers:
        embedded, _ = layer(embedded)
    output = embedded.detach().numpy().astype(np.float64)
    expected = alpha * (output**2).mean() + (beta * (np.diff(output, axis=0) ** 2).mean() if T > 1 else 0)
    np.testing.assert_allclose(objective.item() - loss.item(), expected, atol=1e-5)


def test_the_penalties_are_on_dropped_outputs_and_on_the_change_of_whole_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Dropout, "forward", lambda self, input: 3 * input if self.p == 0.5 else input)
    model = RNNLM(11, 6, 6, 1, 0.5, dropout_input=0.0, activation_penalty=2.0, change_penalty=5.0)
    input, target = words(0, 4, 3), words(1, 4, 3)
    objective, loss, _ = model.objective(input, target)
    output = model.layers[0](model.embedding(input))[0].detach().numpy().astype(np.float64)
    expected = 2 * ((3 * output) ** 2).mean() + 5 * (np.diff(output, axis=0) ** 2).mean()
    np.testing.assert_allclose(objective.item() - loss.item(), expected, rtol=1e-4)


def test_all_weights_start_in_the_range_that_is_asked_for() -> None:
    for name, weight in RNNLM(300, 20, 20, 2, initial_range=0.03).named_parameters():
        largest = abs(weight.detach().numpy()).max()
        assert largest == 0 if name == "decoder.bias" else 0.028 < largest <= 0.03


def test_dropped_words_and_weights_act_in_training_only() -> None:
    minigrad.manual_seed(0)
    for options in ({"dropout_words": 0.5}, {"weight_drop": 0.5}):
        model = RNNLM(11, 6, 6, 1, 0.0, **options)  # type: ignore[arg-type]
        plain = RNNLM(11, 6, 6, 1, 0.0)
        plain.load_state_dict(model.state_dict())  # the same names with and without
        input = words(0, 6, 3)
        assert not np.array_equal(model(input)[0].detach().numpy(), plain(input)[0].detach().numpy())
        model.eval()
        np.testing.assert_array_equal(model(input)[0].detach().numpy(), plain(input)[0].detach().numpy())


def test_an_untrained_model_thinks_all_words_about_equally_likely() -> None:
    loss, _ = make("lstm").loss(words(0, 30, 5), words(1, 30, 5))
    assert abs(loss.item() - np.log(11)) < 0.1


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_it_runs_the_same_on_the_stand_in_device(cell: str) -> None:
    standin.install()
    model = make(cell)
    expected, _ = model.loss(words(0, 5, 3), words(1, 5, 3))
    expected.backward()
    gradient = model.layers[0].weight_hh_l0.grad.numpy()
    elsewhere = make(cell).to("standin")
    loss, state = elsewhere.loss(words(0, 5, 3).to("standin"), words(1, 5, 3).to("standin"))
    with standin.no_synchronisation():
        loss.backward()
        detach(state)
    np.testing.assert_allclose(loss.item(), expected.item(), rtol=1e-5)
    np.testing.assert_allclose(elsewhere.layers[0].weight_hh_l0.grad.cpu().numpy(), gradient, atol=1e-6)


# ---- options of the recurrence --------------------------------------------------------------------------------------


def test_an_irnn_hands_its_state_on_at_first() -> None:
    for options in ({}, {"initial_range": 0.2}):
        model = RNNLM(11, 40, 60, 2, 0.0, "irnn", **options)  # type: ignore[arg-type]
        for layer in model.layers:
            np.testing.assert_array_equal(layer.weight_hh_l0.detach().numpy(), np.eye(60))
            assert not any(bias.detach().numpy().any() for bias in (layer.bias_ih_l0, layer.bias_hh_l0))
            assert 0.0009 < layer.weight_ih_l0.detach().numpy().std() < 0.0011
    layer = model.layers[0]
    state = abs(minigrad.randn(1, 2, 60))
    output, _ = layer(minigrad.zeros(5, 2, 40), state)
    np.testing.assert_allclose(output[-1].detach().numpy(), state[0].numpy(), rtol=1e-6)
    output, _ = layer(minigrad.zeros(1, 2, 40), -state)
    assert not output.detach().numpy().any()  # a ReLU


@given(cells, st.integers(1, 3), st.integers(1, 4))
def test_with_skip_the_input_goes_to_all_layers_and_all_go_to_the_scores(cell: str, layers: int, T: int) -> None:
    minigrad.manual_seed(0)
    model = RNNLM(11, 5, 7, layers, 0.0, cell, skip=True)
    input = words(T, T, 2)
    embedded = model.embedding(input)
    read = [model.layers[0](embedded)[0]]
    for layer in model.layers[1:]:
        read.append(layer(minigrad.cat([embedded, read[-1]], dim=-1))[0])
    expected = minigrad.cat(read, dim=-1) @ model.decoder.weight.T + model.decoder.bias
    assert model.decoder.weight.shape == (11, 7 * layers)
    np.testing.assert_allclose(model(input)[0].detach().numpy(), expected.detach().numpy(), atol=1e-6)


def layer_and_input(cell: str, seed: int = 0) -> tuple[nn.RNNBase, minigrad.Tensor, object]:
    """A layer from 4 to 6 units, its input (5, 3, 4) and a state, all with gradients."""
    minigrad.manual_seed(seed)
    layer = CELLS[cell](4, 6, dtype=minigrad.float64)
    state = [minigrad.randn(1, 3, 6, dtype=minigrad.float64, requires_grad=True) for _ in "hc"]
    return layer, minigrad.randn(5, 3, 4, dtype=minigrad.float64), tuple(state) if cell == "lstm" else state[0]


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("begun", [False, True])
def test_under_a_mask_of_ones_a_layer_is_what_it_is(cell: str, begun: bool) -> None:
    layer, input, state = layer_and_input(cell)
    state = state if begun else None
    results = []
    for run in (layer, lambda *given: run_with_mask(layer, *given, minigrad.ones(3, 6, dtype=minigrad.float64))):
        layer.zero_grad()
        output, last = run(input, state)
        (output * output).sum().backward()
        last = [one.detach().numpy() for one in (last if cell == "lstm" else [last])]
        results.append([output.detach().numpy(), *last, *[one.grad.numpy().copy() for one in layer.parameters()]])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def step(cell: str, w: dict[str, np.ndarray], x: np.ndarray, h: np.ndarray, c: np.ndarray, m: np.ndarray) -> tuple:
    """One step of Gal and Ghahramani's: the mask is on h where it meets the weights, nowhere else."""
    a, b = w["weight_ih_l0"] @ x + w["bias_ih_l0"], w["weight_hh_l0"] @ (m * h) + w["bias_hh_l0"]
    if cell == "gru":
        (ra, za, na), (rb, zb, nb) = np.split(a, 3), np.split(b, 3)
        z = sigmoid(za + zb)
        return (1 - z) * np.tanh(na + sigmoid(ra + rb) * nb) + z * h, c
    if cell == "lstm":
        i, f, g, o = np.split(a + b, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    return (np.tanh(a + b) if cell == "rnn" else np.maximum(a + b, 0)), c


@given(cells, st.floats(0.1, 0.9), st.integers(0, 99))
def test_the_mask_is_on_what_the_recurrent_weights_see(cell: str, p: float, seed: int) -> None:
    layer, input, state = layer_and_input(cell, seed)
    mask = draw_mask(layer, input, p)
    assert mask.shape == (3, 6)
    np.testing.assert_allclose(np.unique(mask.numpy() * (1 - p)).round(9), np.unique(mask.numpy() != 0))
    output, last = run_with_mask(layer, input, state, mask)
    weights = {name: weight.detach().numpy() for name, weight in layer.named_parameters()}
    begin = [part.detach().numpy()[0] for part in (state if cell == "lstm" else (state, state))]
    for b in range(3):
        h, c = begin[0][b], begin[1][b]
        for t in range(5):
            h, c = step(cell, weights, input.numpy()[t, b], h, c, mask.numpy()[b])
            np.testing.assert_allclose(output.detach().numpy()[t, b], h, rtol=1e-9, atol=1e-12)
        if cell == "lstm":
            np.testing.assert_allclose(last[1].detach().numpy()[0, b], c, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_recurrent_dropout_acts_in_training_only_by_one_mask_a_call(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    minigrad.manual_seed(0)
    model = RNNLM(11, 6, 6, 2, 0.0, cell, dropout_recurrent=0.5)
    plain = RNNLM(11, 6, 6, 2, 0.0, cell)
    plain.load_state_dict(model.state_dict())  # the same names with and without
    input = words(0, 6, 3)
    expected = plain(input)[0].detach().numpy()
    masks: list[minigrad.Tensor] = []

    def noted(*given: object) -> minigrad.Tensor:
        masks.append(draw_mask(*given))  # type: ignore[arg-type]
        return masks[-1]

    monkeypatch.setattr("nlp.models.rnn_lm.draw_mask", noted)
    assert not np.array_equal(model(input)[0].detach().numpy(), expected)
    assert [mask.shape for mask in masks] == [(3, 6), (3, 6)]  # one for each layer
    assert not np.array_equal(masks[0].numpy(), masks[1].numpy())
    model.eval()
    np.testing.assert_array_equal(model(input)[0].detach().numpy(), expected)


REFUSED: dict[str, dict[str, Any]] = {
    "vocabulary is 0, it must be at least 1": {"vocabulary": 0},
    "embedding is 0, it must": {"embedding": 0},
    "hidden is -3, it must": {"hidden": -3},
    "layers is 0, it must": {"layers": 0},
    r"a cell is one of lstm, gru, rnn, irnn, not 'foo'$": {"cell": "foo"},
    r"not 'ltsm' \(the nearest is 'lstm'\)": {"cell": "ltsm"},
    "initial_range is 0, it must be above 0, or None": {"initial_range": 0},
    "activation_penalty is 0 or more, not -1": {"activation_penalty": -1},
    "change_penalty is 0 or more, not nan": {"change_penalty": float("nan")},
    "need embedding and hidden of one size, not 4 and 6": {"embedding": 4, "layers": 1, "tied": True},
    "with skip .* leave one out": {"tied": True, "skip": True},
    "both act in the recurrence": {"weight_drop": 0.5, "dropout_recurrent": 0.5},
    **{
        f"{name} is a probability, from 0 to 1, not {p}": {name: p}
        for name in ("dropout", "dropout_input", "dropout_between", "dropout_words", "weight_drop", "dropout_recurrent")
        for p in (-0.1, 2, float("nan"))
    },
}


@pytest.mark.parametrize(("sentence", "options"), REFUSED.items())
def test_what_makes_no_model_is_refused_in_a_sentence(sentence: str, options: dict[str, Any]) -> None:
    with pytest.raises(NlpError, match=f"^RNNLM: .*{sentence}"):
        RNNLM(**{"vocabulary": 11, "embedding": 6, "hidden": 6, **options})
