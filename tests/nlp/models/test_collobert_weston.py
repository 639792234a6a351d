"""Ranking of windows: the hinge of the paper, its gradient, and words that are told apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import optim
from minigrad.testing import standin
from nlp.errors import NlpError
from nlp.models.collobert_weston import CollobertWeston
from nlp.text.contexts import CorruptedWindows

V, D, H = 6, 3, 5


def make(seed: int, window: int = 1, activation: str = "hardtanh") -> CollobertWeston:
    minigrad.manual_seed(seed)
    model = CollobertWeston(V, D, H, window=window, activation=activation).double()
    for weight in model.parameters():
        weight.data = minigrad.randn(*weight.shape, dtype=minigrad.float64)
    return model


def windows(seed: int, n: int, window: int = 1) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.integers(0, V, (n, 2 * window + 1)), draw.integers(0, V, n)


def score(model: CollobertWeston, words: np.ndarray, activation: str) -> float:
    embedding, W, b, U = (weight.detach().numpy() for weight in model.parameters())
    inside = W @ embedding[words].ravel() + b
    return float((U @ (np.tanh(inside) if activation == "tanh" else np.clip(inside, -1, 1)))[0])


@given(st.integers(0, 100), st.integers(1, 6), st.integers(1, 2), st.sampled_from(["tanh", "hardtanh"]))
def test_the_loss_is_the_hinge_of_the_paper(seed: int, n: int, window: int, activation: str) -> None:
    model = make(seed, window, activation)
    seen, instead = windows(seed, n, window)
    expected = 0.0
    for words, word in zip(seen, instead, strict=True):
        corrupted = words.copy()
        corrupted[window] = word
        expected += max(0.0, 1 - score(model, words, activation) + score(model, corrupted, activation))
    objective, mean, state = model.objective(minigrad.tensor(seen), minigrad.tensor(instead))
    np.testing.assert_allclose(objective.item(), expected, rtol=1e-9)
    np.testing.assert_allclose(mean.item(), expected / n, rtol=1e-9)
    assert model.loss(minigrad.tensor(seen), minigrad.tensor(instead))[0].item() == mean.item()
    assert state is None


def test_the_gradient_is_the_numeric_one() -> None:
    model = make(4, activation="tanh")
    seen, instead = (minigrad.tensor(array) for array in windows(4, 5))
    model.objective(seen, instead)[0].backward()
    for weight in model.parameters():
        grad = weight.grad.to_dense() if weight is model.embedding.weight else weight.grad
        direction = np.random.default_rng(0).standard_normal(weight.shape)
        array, values = weight.detach().numpy().copy(), []
        for sign in (1, -1):
            weight.data = minigrad.tensor(array + sign * 1e-6 * direction)
            values.append(model.objective(seen, instead)[0].item())
        weight.data = minigrad.tensor(array)
        assert (values[0] - values[1]) / 2e-6 == pytest.approx((grad.numpy() * direction).sum(), rel=1e-6, abs=1e-8)


def test_the_word_itself_in_its_place_costs_the_whole_margin() -> None:
    model = make(0)
    seen, _ = windows(0, 4)
    losses = model.loss(minigrad.tensor(seen), minigrad.tensor(seen[:, 1]), reduction="sum")[0]
    assert losses.item() == pytest.approx(4)


def test_it_learns_to_rank_the_text_above_other_windows() -> None:
    minigrad.manual_seed(0)
    ids = np.tile(np.arange(V), 100)
    model, data = CollobertWeston(V, D, 16, window=1), CorruptedWindows(ids, [1] * V, window=1)
    optimizer = optim.Adagrad(model.parameters(), lr=0.05)
    seen, instead = next(iter(data))
    others = instead != seen[:, 1]
    batch = minigrad.tensor(seen[others]), minigrad.tensor(instead[others])
    assert model.loss(*batch)[0].item() > 0.9
    for _ in range(15):
        for start in range(0, data.steps, 32):
            optimizer.zero_grad()
            model.objective(*map(minigrad.tensor, data.window(start, 32)))[0].backward()
            optimizer.step()
    assert model.loss(*batch)[0].item() < 0.05
    assert model.vectors().shape == (V, D)


def test_it_runs_the_same_on_the_stand_in_device() -> None:
    standin.install()
    seen, instead = (minigrad.tensor(array) for array in windows(1, 9))
    expected, _, _ = make(1).objective(seen, instead)
    model = make(1).to("standin")
    with standin.no_synchronisation():
        objective, _, _ = model.objective(seen.to("standin"), instead.to("standin"))
        objective.backward()
    assert objective.item() == pytest.approx(expected.item())


def test_another_activation_is_refused() -> None:
    with pytest.raises(NlpError, match="hardtanh or tanh, not 'relu'"):
        CollobertWeston(V, activation="relu")
