"""Bengio's window beside its equation, written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.testing import gradcheck
from nlp.models.window_lm import WindowLM

V, E, H = 9, 4, 6


def make(order: int, direct: bool) -> WindowLM:
    minigrad.manual_seed(order)
    model = WindowLM(V, E, H, order, direct).to(minigrad.float64)
    with minigrad.no_grad():
        for weight in model.parameters():
            weight.copy_(minigrad.randn_like(weight))
    return model


@given(st.integers(2, 6), st.booleans(), st.integers(1, 7), st.integers(1, 3), st.integers(0, 99))
def test_the_scores_are_those_of_the_equation(order: int, direct: bool, T: int, B: int, seed: int) -> None:
    model = make(order, direct)
    weights = {name: weight.detach().numpy() for name, weight in model.named_parameters()}
    U, W = weights["decoder.weight"][:, :H], weights["decoder.weight"][:, H:]
    text = np.random.default_rng(seed).integers(0, V, (T, B))
    expected = np.empty((T, B, V))
    for t, b in np.ndindex(T, B):
        window = [
            weights["embedding.weight"][text[t - back, b]] if t >= back else weights["beginning"]
            for back in range(order - 1)  # 0 is the nearest
        ]
        x = np.concatenate(window)
        hidden = np.tanh(weights["hidden.bias"] + weights["hidden.weight"] @ x)
        expected[t, b] = weights["decoder.bias"] + U @ hidden + (W @ x if direct else 0)
    np.testing.assert_allclose(model(minigrad.tensor(text))[0].detach().numpy(), expected, rtol=1e-10, atol=1e-10)


@given(st.integers(2, 5), st.data())
def test_what_is_before_the_window_does_not_count(order: int, data: st.DataObject) -> None:
    model = make(order, True)
    text = np.array(data.draw(st.lists(st.integers(0, V - 1), min_size=order, max_size=order + 4)))
    other = text.copy()
    other[: len(text) - (order - 1)] = (other[: len(text) - (order - 1)] + 1) % V
    ends = [model(minigrad.tensor(one[:, None]))[0][-1].detach().numpy() for one in (text, other)]
    np.testing.assert_array_equal(ends[0], ends[1])
    other[len(text) - (order - 1)] = (text[len(text) - (order - 1)] + 1) % V  # the farthest that it sees
    assert not np.array_equal(model(minigrad.tensor(other[:, None]))[0][-1].detach().numpy(), ends[0])


@pytest.mark.parametrize("direct", [True, False])
def test_the_gradients_are_the_numeric_ones(direct: bool) -> None:
    model = make(4, direct)
    input, target = (minigrad.tensor(np.random.default_rng(seed).integers(0, V, (3, 2))) for seed in (0, 1))
    assert gradcheck(lambda *weights: model.loss(input, target)[0], tuple(model.parameters()))


def test_dropout_falls_on_the_window_and_on_the_hidden_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    kind = minigrad.nn.Dropout
    monkeypatch.setattr(kind, "forward", lambda self, input: shapes.append(tuple(input.shape)) or input)
    WindowLM(V, E, H, 4, dropout=0.5)(minigrad.tensor([[1], [2]]))
    assert shapes == [(2, 1, 3 * E), (2, 1, H)]
