"""Depth within a step, beside the equations in NumPy, and beside the plain layer that it is at depth one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import nn
from minigrad.testing import gradcheck
from nlp.models.deep_transition_lm import DeepTransitionLM

V, E, H = 9, 4, 5


def make(input: int, transition: int, output: int, shortcut: bool) -> DeepTransitionLM:
    minigrad.manual_seed(transition)
    model = DeepTransitionLM(V, E, H, input, transition, output, shortcut).to(minigrad.float64)
    with minigrad.no_grad():
        for weight in model.parameters():
            weight.copy_(minigrad.randn_like(weight))
    return model


def affine(weights: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    return weights[f"{name}.weight"] @ x + weights.get(f"{name}.bias", 0)


def plainly(model: DeepTransitionLM, text: np.ndarray, depths: tuple[int, int, int], shortcut: bool) -> np.ndarray:
    """The scores (T, V) of one text (T), a step and a layer at a time."""
    w = {name: weight.detach().numpy() for name, weight in model.named_parameters()}
    h, scores = np.zeros(H), []
    for word in text:
        a = affine(w, "input.0", w["embedding.weight"][word])
        for layer in range(1, depths[0]):
            a = affine(w, f"input.{layer}", np.tanh(a))
        z = np.tanh(a + w["transition.0.weight"] @ h) if depths[1] > 1 else a + w["transition.0.weight"] @ h
        for layer in range(1, depths[1]):
            last = layer == depths[1] - 1
            z = affine(w, f"transition.{layer}", z)
            z = z if last else np.tanh(z)
        h = np.tanh(z + (w["shortcut.weight"] @ h if shortcut else 0))
        o = h
        for layer in range(depths[2] - 1):
            o = np.tanh(affine(w, f"output.{layer}", o))
        scores.append(affine(w, "decoder", o))
    return np.array(scores)


depth = st.integers(1, 3)


@given(depth, depth, depth, st.booleans(), st.integers(1, 5), st.integers(0, 99))
def test_the_scores_are_those_of_the_equations(
    input: int, transition: int, output: int, shortcut: bool, T: int, seed: int
) -> None:
    shortcut = shortcut and transition > 1
    model = make(input, transition, output, shortcut)
    text = np.random.default_rng(seed).integers(0, V, (T, 2))
    scores = model(minigrad.tensor(text))[0].detach().numpy()
    for b in range(2):
        expected = plainly(model, text[:, b], (input, transition, output), shortcut)
        np.testing.assert_allclose(scores[:, b], expected, rtol=1e-10, atol=1e-10)


def test_of_depth_one_it_is_the_plain_recurrent_layer() -> None:
    model = make(1, 1, 1, False)
    layer = nn.RNN(E, H, dtype=minigrad.float64)
    with minigrad.no_grad():
        layer.weight_ih_l0.copy_(model.input[0].weight)
        layer.bias_ih_l0.copy_(model.input[0].bias)
        layer.weight_hh_l0.copy_(model.transition[0].weight)
        layer.bias_hh_l0.zero_()
    text = minigrad.tensor(np.random.default_rng(0).integers(0, V, (6, 3)))
    output, last = layer(model.embedding(text))
    features, state = model.features(text)
    np.testing.assert_allclose(features.detach().numpy(), output.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(state[0].detach().numpy(), last.detach().numpy(), atol=1e-12)


@pytest.mark.parametrize("shortcut", [True, False])
def test_the_gradients_are_the_numeric_ones(shortcut: bool) -> None:
    model = make(2, 2, 2, shortcut)
    input, target = (minigrad.tensor(np.random.default_rng(seed).integers(0, V, (3, 2))) for seed in (0, 1))
    assert gradcheck(lambda *weights: model.loss(input, target)[0], tuple(model.parameters()))


def test_dropout_stands_outside_of_the_recurrence(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    monkeypatch.setattr(nn.Dropout, "forward", lambda self, input: shapes.append(tuple(input.shape)) or input)
    DeepTransitionLM(V, E, H, output_depth=2, dropout=0.5)(minigrad.tensor([[1], [2]]))
    assert shapes == [(2, 1, E), (2, 1, H)]
