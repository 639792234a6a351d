"""How far back gradients reach: norms against numeric derivatives, closed forms and PyTorch; the radius of W_h."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from beside_torch import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from nlp.errors import NlpError
from nlp.models.rnn_lm import RNNLM
from nlp.studies.cliff import START, STEPS, WANTED, descend, error, study_cliff
from nlp.studies.gradients import Reach, gradient_norms, reach, unrolled
from nlp.studies.training import recurrent_weight, spectral_radius
from nlp.studies.vanishing import Vanishing, scale_to_radius

V, H, B, T = 5, 4, 2, 6
SEEDS = st.integers(0, 2**31)
Host = np.ndarray[Any, Any]


def model_of(cell: str, seed: int, hidden: int = H) -> RNNLM:
    """A small model with weights large enough that every step matters."""
    minigrad.manual_seed(seed)
    model = RNNLM(V, hidden, hidden, layers=1, dropout=0.5, cell=cell)
    with minigrad.no_grad():
        for parameter in model.parameters():
            parameter.add_(minigrad.randn(*parameter.shape) * 0.4)
    return model


def tokens(seed: int, length: int = T) -> tuple[Host, Host]:
    """Input and target, (T, B)."""
    ids = np.random.default_rng(seed).integers(0, V, (length + 1, B))
    return ids[:-1], ids[1:]


# ---- an independent recurrence, in NumPy, into whose states one may reach --------------------------------------------


def sigmoid(z: Host) -> Host:
    return 1 / (1 + np.exp(-z))


def losses(model: RNNLM, cell: str, input: Host, target: Host, push: Callable[[int, str, Host], Host]) -> Host:
    """The loss (T, B) of every step, where `push(t, "h" or "c", state)` may change a state as it comes to be."""
    weight = {name: one.detach().numpy().astype(np.float64) for name, one in model.named_parameters()}
    w_x, w_h, b_x, b_h = (weight[f"layers.0.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h = c = np.zeros((B, len(w_h[0])))
    found = []
    for t, (words, wanted) in enumerate(zip(input, target)):
        x, y = weight["embedding.weight"][words] @ w_x.T + b_x, h @ w_h.T + b_h
        if cell == "lstm":
            i, f, g, o = np.split(x + y, 4, axis=1)
            c = push(t, "c", sigmoid(f) * c + sigmoid(i) * np.tanh(g))
            h = sigmoid(o) * np.tanh(c)
        elif cell == "gru":
            (r, z, n), (r_h, z_h, n_h) = np.split(x, 3, axis=1), np.split(y, 3, axis=1)
            z = sigmoid(z + z_h)
            h = (1 - z) * np.tanh(n + sigmoid(r + r_h) * n_h) + z * h
        else:
            h = np.tanh(x + y) if cell == "rnn" else np.maximum(x + y, 0)
        h = push(t, "h", h)
        scores = h @ weight["decoder.weight"].T + weight["decoder.bias"]
        found.append(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(B), wanted])
    return np.array(found)


def numeric_norms(model: RNNLM, cell: str, part: str, input: Host, target: Host, lags: int) -> Host:
    """The norms (N, K + 1) by central differences of `losses`, in the order of `gradient_norms`."""
    width = recurrent_weight(model).shape[1]
    slopes = np.zeros((lags + 1, len(input), B, width))  # of the loss of step t by an element of the state k before
    for at in range(len(input)):
        for unit in range(width):
            for step in (1e-6, -1e-6):

                def push(t: int, of: str, state: Host, at: int = at, unit: int = unit, step: float = step) -> Host:
                    return state + step * (np.arange(width) == unit) if (t, of) == (at, part) else state

                moved = losses(model, cell, input, target, push) / (2 * step)  # T, B
                for k in range(min(lags + 1, len(input) - at)):
                    slopes[k, at + k, :, unit] += moved[at + k]
    norms = np.linalg.norm(slopes[:, lags:], axis=-1)  # K + 1, T - K, B
    return np.moveaxis(norms, 0, -1).reshape(-1, lags + 1)


@pytest.mark.parametrize("cell", ["rnn", "irnn", "gru", "lstm"])
@given(seed=SEEDS)
def test_the_norms_are_those_of_numeric_derivatives(cell: str, seed: int) -> None:
    model, (input, target), lags = model_of(cell, seed), tokens(seed), 3
    found = gradient_norms(model, input, target, lags)
    assert len(found) == (2 if cell == "lstm" else 1)
    for part, norms in zip("hc", found):
        assert norms.shape == ((T - lags) * B, lags + 1)
        np.testing.assert_allclose(norms, numeric_norms(model, cell, part, input, target, lags), rtol=1e-5, atol=1e-8)


@pytest.mark.oracle
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@given(seed=SEEDS)
def test_the_norms_are_those_that_pytorch_retains(cell: str, seed: int) -> None:
    library = torch()
    model, (input, target), lags = model_of(cell, seed), tokens(seed), 4
    kind = {"rnn": library.nn.RNNCell, "gru": library.nn.GRUCell, "lstm": library.nn.LSTMCell}[cell]
    step = kind(H, H).double()
    weights = {name: library.tensor(one.detach().numpy()).double() for name, one in model.named_parameters()}
    step.load_state_dict({name: weights[f"layers.0.{name}_l0"] for name in step.state_dict()})
    expected: list[list[Host]] = [[], []]
    for t in range(lags, T):
        states, state = [], None
        for words in library.tensor(input[: t + 1]):
            state = step(weights["embedding.weight"][words], state)
            parts = state if cell == "lstm" else (state,)
            for one in parts:
                one.retain_grad()
            states.append(parts)
        scores = library.nn.functional.linear(states[-1][0], weights["decoder.weight"], weights["decoder.bias"])
        library.nn.functional.cross_entropy(scores, library.tensor(target[t]), reduction="sum").backward()
        for place in range(len(states[0])):
            back = [one[place].grad.norm(dim=1).numpy() for one in states[t - lags : t + 1][::-1]]
            expected[place].append(np.stack(back, axis=1))
    for norms, theirs in zip(gradient_norms(model, input, target, lags), expected):
        np.testing.assert_allclose(norms, np.concatenate(theirs), rtol=1e-9)


@pytest.mark.parametrize("cell", ["rnn", "irnn", "gru", "lstm"])
def test_the_unrolled_states_are_the_layers_own(cell: str) -> None:
    model, (input, _) = model_of(cell, 3), tokens(3)
    output, last = model.layers[0](model.embedding(minigrad.tensor(input)))
    states = unrolled(model, minigrad.tensor(input))
    np.testing.assert_allclose([h.detach().numpy() for h, *_ in states], output.detach().numpy(), rtol=1e-5, atol=1e-6)
    if cell == "lstm":
        np.testing.assert_allclose(states[-1][1].detach().numpy(), last[1].detach().numpy()[0], rtol=1e-5, atol=1e-6)


def test_measuring_leaves_the_model_as_it_was() -> None:
    model, (input, target) = model_of("lstm", 1), tokens(1)
    before = {name: one.detach().numpy().copy() for name, one in model.state_dict().items()}
    gradient_norms(model, input, target, 2)
    assert model.training
    for name, one in model.named_parameters():
        assert one.grad is None
        assert one.dtype == minigrad.float32
        np.testing.assert_array_equal(one.detach().numpy(), before[name])


# ---- closed forms ---------------------------------------------------------------------------------------------------


def linear(seed: int, hidden: int = 6) -> RNNLM:
    """A tanh RNN whose state stays 0, where tanh is the identity to first order: h' = W_h h."""
    model = model_of("rnn", seed, hidden)
    with minigrad.no_grad():
        for name, one in model.named_parameters():
            if "embedding" in name or "bias_" in name:
                one.zero_()
    return model


@given(seed=SEEDS)
def test_of_a_linear_network_it_is_the_power_of_the_weight(seed: int) -> None:
    model, (input, target), lags = linear(seed), tokens(seed, 12), 8
    (norms,) = gradient_norms(model, input, target, lags)
    bias, rows = model.decoder.bias.detach().numpy(), model.decoder.weight.detach().numpy().astype(np.float64)
    share = np.exp(bias.astype(np.float64)) / np.exp(bias.astype(np.float64)).sum()
    gradients = (share - np.eye(V)[target[lags:].reshape(-1)]) @ rows  # N, H
    weight = recurrent_weight(model).astype(np.float64)
    for k in range(lags + 1):
        expected = np.linalg.norm(gradients @ np.linalg.matrix_power(weight, k), axis=1)
        np.testing.assert_allclose(norms[:, k], expected, rtol=1e-8, atol=1e-12)


@given(seed=SEEDS, radius=st.floats(0.3, 1.6))
def test_of_a_linear_network_the_ratio_tends_to_the_spectral_radius(seed: int, radius: float) -> None:
    model, (input, target) = linear(seed, 4), tokens(seed, 42)
    draw = np.random.default_rng(seed)
    turned, _ = np.linalg.qr(draw.normal(size=(4, 4)))
    with minigrad.no_grad():  # symmetric, and its second eigenvalue half as large as its first
        model.layers[0].weight_hh_l0.copy_(minigrad.tensor((turned * [1.0, -0.5, 0.3, 0.1]) @ turned.T))
    scale_to_radius(model, radius)
    (norms,) = gradient_norms(model, input, target, 40)
    np.testing.assert_allclose(norms[:, 40] / norms[:, 39], radius, rtol=1e-4)
    assert np.all(np.diff(norms[:, 20:], axis=1) * (radius - 1) >= 0)  # below 1 it falls, above it grows


@given(seed=SEEDS, largest=st.floats(0.3, 1.2))
def test_each_step_back_multiplies_by_at_most_the_largest_singular_value(seed: int, largest: float) -> None:
    model, (input, target) = model_of("rnn", seed), tokens(seed, 12)
    with minigrad.no_grad():
        weight = model.layers[0].weight_hh_l0
        weight.mul_(largest / float(np.linalg.norm(recurrent_weight(model), 2)))
    (norms,) = gradient_norms(model, input, target, 8)
    assert np.all(norms[:, 1:] <= largest * norms[:, :-1] * (1 + 1e-5))


def test_a_spectral_radius_of_0_does_not_keep_a_gradient_from_growing() -> None:
    """W_h W_h = 0; but where the second unit is saturated, what is left of it is the first unit's own weight, 1.5."""
    model, (input, target), s = linear(0, 2), tokens(0, 12), 1.5
    rnn = model.layers[0]
    with minigrad.no_grad():
        rnn.weight_hh_l0.copy_(minigrad.tensor([[s, -s], [s, -s]]))
        rnn.weight_ih_l0.copy_(minigrad.eye(2))
        rnn.bias_ih_l0.copy_(minigrad.tensor([s, 30.0]))  # h = (0, 1) from h = (0, 1)
        model.embedding.weight[1].copy_(minigrad.tensor([-s, 0.0]))  # and from h = 0, where the text begins with it
    input = np.zeros_like(input)
    input[0] = 1
    assert spectral_radius(recurrent_weight(model)) < 1e-6
    (norms,) = gradient_norms(model, input, target, 10)
    np.testing.assert_allclose(norms[:, 2:] / norms[:, 1:-1], s, rtol=1e-9)


def test_an_irnn_that_is_active_everywhere_hands_the_gradient_on_as_it_is() -> None:
    minigrad.manual_seed(0)
    model = RNNLM(V, H, H, layers=1, cell="irnn")
    np.testing.assert_array_equal(recurrent_weight(model), np.eye(H))
    assert model.layers[0].weight_ih_l0.abs().max().item() < 0.01
    with minigrad.no_grad():
        model.layers[0].bias_ih_l0.fill_(1.0)
    (norms,) = gradient_norms(model, *tokens(0, 30), 25)
    np.testing.assert_allclose(norms, norms[:, :1] * np.ones(26), rtol=1e-12)


def test_of_dead_units_nothing_comes_back_and_the_means_leave_it_out() -> None:
    minigrad.manual_seed(0)
    model = RNNLM(V, H, H, layers=1, cell="irnn")
    with minigrad.no_grad():
        model.layers[0].bias_ih_l0.fill_(-1.0)
    (one,) = reach("irnn", model, *tokens(0), 2)
    assert one.zeros == [0.0, 1.0, 1.0]
    assert one.mean[1:] == one.low[1:] == one.high[1:] == [0.0, 0.0]
    assert one.factor == 0.0
    assert one.share(1) == 0.0


def test_where_gradients_are_zero_the_table_and_the_picture_say_so_and_give_no_factor() -> None:
    norms = [1.0] * 3
    some = Reach("irnn", "h", norms, norms, norms, zeros=[0.0, 0.25, 0.972])
    none = Reach("gru", "h", norms, norms, norms, zeros=[0.0] * 3)
    study = Vanishing(2, fresh=[some, none])
    headings, rows = study.table()
    assert headings == ("gradient of", "when", "left at 2", "factor a step", "valid ppl")
    assert rows == [("IRNN, by h", "fresh", "1 (97% are 0)", "", None), ("GRU, by h", "fresh", "1", "1.000", None)]
    labels = [text.get_text() for text in study.draw().axes[0].get_legend().get_texts()]
    assert labels == ["IRNN, by h (97% are 0)", "GRU, by h"]


def test_the_means_are_geometric_and_lie_between_the_quantiles() -> None:
    model, (input, target) = model_of("gru", 5), tokens(5, 20)
    (one,) = reach("gru", model, input, target, 6)
    (norms,) = gradient_norms(model, input, target, 6)
    np.testing.assert_allclose(one.mean, np.prod(norms ** (1 / len(norms)), axis=0), rtol=1e-9)
    assert all(low < mean < high for low, mean, high in zip(one.low, one.mean, one.high))
    inside = (norms >= one.low) & (norms <= one.high)
    np.testing.assert_allclose(inside.mean(axis=0), 0.8, atol=0.08)
    assert one.factor == pytest.approx(math.exp((math.log(one.mean[6]) - math.log(one.mean[0])) / 6))
    assert one.share(6) == pytest.approx(one.factor**6)


# ---- the spectral radius --------------------------------------------------------------------------------------------


@given(seed=SEEDS, radius=st.floats(0.05, 20))
def test_scaling_gives_the_radius_and_changes_nothing_else(seed: int, radius: float) -> None:
    model = model_of("rnn", seed)
    before = {name: one.detach().numpy().copy() for name, one in model.named_parameters()}
    scale_to_radius(model, radius)
    weight = recurrent_weight(model)
    assert spectral_radius(weight) == pytest.approx(radius, rel=1e-5)
    old = before.pop("layers.0.weight_hh_l0")
    np.testing.assert_allclose(weight / np.linalg.norm(weight), old / np.linalg.norm(old), rtol=1e-5, atol=1e-7)
    for name, one in before.items():
        np.testing.assert_array_equal(dict(model.named_parameters())[name].detach().numpy(), one)


@given(angle=st.floats(0, 3.1), length=st.floats(0.01, 5))
def test_the_radius_of_a_rotation_is_its_length_and_of_a_triangle_its_largest_diagonal(
    angle: float, length: float
) -> None:
    rotation = length * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert spectral_radius(rotation) == pytest.approx(length, rel=1e-9)
    assert spectral_radius(np.array([[0.1, 100.0], [0.0, -length]])) == pytest.approx(max(length, 0.1))
    assert spectral_radius(np.array([[np.inf, 0.0], [0.0, 1.0]])) == math.inf


@pytest.mark.parametrize("radius", [0.0, -1.0, math.inf, math.nan])
def test_a_radius_that_is_no_positive_number_is_refused(radius: float) -> None:
    with pytest.raises(NlpError, match="positive number"):
        scale_to_radius(model_of("rnn", 0), radius)


# ---- the cliff ------------------------------------------------------------------------------------------------------


def plain_error(w: float, b: float) -> float:
    x = START
    for _ in range(STEPS):
        x = w / (1 + math.exp(-x)) + b
    return (1 / (1 + math.exp(-x)) - WANTED) ** 2


@given(w=st.floats(4, 7), b=st.floats(-3.4, -1.8))
def test_the_error_is_that_of_fifty_steps(w: float, b: float) -> None:
    found = error(*(minigrad.tensor([value], dtype=minigrad.float64) for value in (w, b)))
    assert found.item() == pytest.approx(plain_error(w, b), rel=1e-6, abs=1e-12)


def test_a_step_of_the_descent_goes_down_the_numeric_slope() -> None:
    (w, b), (after_w, after_b) = descend(5.4, -2.35, lr=0.1, steps=1)
    tiny = 1e-6
    assert (w - after_w) / 0.1 == pytest.approx(
        (plain_error(w + tiny, b) - plain_error(w - tiny, b)) / (2 * tiny), 1e-4
    )
    assert (b - after_b) / 0.1 == pytest.approx(
        (plain_error(w, b + tiny) - plain_error(w, b - tiny)) / (2 * tiny), 1e-4
    )


def test_without_clipping_the_wall_throws_the_descent_away_and_with_it_no_step_is_long() -> None:
    cliff = study_cliff()
    jumps, steps = (np.hypot(*np.diff(np.array(path), axis=0).T) for path in (cliff.plain, cliff.clipped))
    assert jumps.max() > 1
    assert steps.max() <= 0.2 * 0.2 * (1 + 1e-6)  # the rate times the norm
    short = int(np.argmax(steps > 0.0399))  # up to there nothing was clipped
    assert short > 3
    np.testing.assert_allclose(cliff.plain[:short], cliff.clipped[:short], rtol=1e-6)
    row, column = 30, 200
    there = plain_error(cliff.weights[column], cliff.biases[row])
    assert cliff.errors[row][column] == pytest.approx(there, rel=1e-6)
