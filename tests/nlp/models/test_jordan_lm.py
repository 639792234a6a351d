"""Output recurrence: the model is free-running, its probabilities are a text's; what teacher forcing changes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.testing import gradcheck
from nlp.models.jordan_lm import JordanLM

V, E, H = 7, 4, 5


def make(teacher_forcing: float = 0.0) -> JordanLM:
    minigrad.manual_seed(3)
    model = JordanLM(V, E, H, teacher_forcing).to(minigrad.float64)
    with minigrad.no_grad():
        for weight in model.parameters():
            weight.copy_(minigrad.randn_like(weight))
    return model


def softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def plainly(model: JordanLM, text: np.ndarray, forced: np.ndarray) -> np.ndarray:
    """The scores (T, V) of one text (T), where the steps `forced` (T) are given the token that came."""
    w = {name: weight.detach().numpy() for name, weight in model.named_parameters()}
    y, scores = np.zeros(V), []
    for word, is_forced in zip(text, forced, strict=True):
        y = np.eye(V)[word] if is_forced else y
        driven = w["input.weight"] @ w["embedding.weight"][word] + w["input.bias"]
        h = np.tanh(driven + w["feedback.weight"].T @ y)
        scores.append(w["decoder.weight"] @ h + w["decoder.bias"])
        y = softmax(scores[-1])
    return np.array(scores)


def texts(seed: int, T: int, B: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, V, (T, B))


@given(st.integers(1, 6), st.integers(1, 3), st.booleans(), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 99))
def test_judged_it_runs_on_its_own_output(T: int, B: int, training: bool, forcing: float, seed: int) -> None:
    model = make(forcing).train(training and forcing == 0)
    text = texts(seed, T, B)
    scores = model(minigrad.tensor(text))[0].detach().numpy()
    for b in range(B):
        expected = plainly(model, text[:, b], np.zeros(T, bool))
        np.testing.assert_allclose(scores[:, b], expected, rtol=1e-9, atol=1e-10)


@given(st.integers(1, 6), st.integers(1, 3), st.integers(0, 99))
def test_forced_everywhere_it_knows_one_token_alone(T: int, B: int, seed: int) -> None:
    model = make(1.0)
    text = texts(seed, T, B)
    scores, state = model(minigrad.tensor(text))
    for b in range(B):
        expected = plainly(model, text[:, b], np.ones(T, bool))
        np.testing.assert_allclose(scores[:, b].detach().numpy(), expected, rtol=1e-9, atol=1e-10)
    last = model(minigrad.tensor(text[-1:]), state)[0]  # the same again, whatever came before
    np.testing.assert_allclose(last.detach().numpy(), scores[-1:].detach().numpy(), atol=1e-10)


@given(st.floats(0.05, 0.95), st.integers(0, 2**20))
def test_forced_at_times_each_step_of_each_text_is_one_or_the_other(forcing: float, seed: int) -> None:
    model = make(forcing)
    text = texts(seed, 5, 2)
    minigrad.manual_seed(seed)
    scores = model(minigrad.tensor(text))[0].detach().numpy()
    minigrad.manual_seed(seed)
    drawn = minigrad.rand(5, 2, 1).numpy()[..., 0] < forcing
    for b in range(2):
        np.testing.assert_allclose(scores[:, b], plainly(model, text[:, b], drawn[:, b]), rtol=1e-9, atol=1e-10)


def test_how_often_a_step_is_forced() -> None:
    model = JordanLM(V, E, H, teacher_forcing=0.25)
    with minigrad.no_grad():
        model.feedback.weight.fill_(40.0)  # forced: h is 1; not forced, at the first step: U y is 0
        model.input.weight.zero_()
        model.input.bias.fill_(-20.0)
    features, _ = model.features(minigrad.tensor(np.zeros((1, 4000), np.int64)))
    assert (features.detach().numpy() > 0).mean() == pytest.approx(0.25, abs=0.03)


def test_the_probabilities_of_all_texts_of_a_length_sum_to_one() -> None:
    model = make().eval()
    every = np.array(list(itertools.product(range(V), repeat=3))).T  # after a first token: 3, V**3
    text = minigrad.tensor(np.concatenate([np.full((1, every.shape[1]), 2), every]))
    losses, _ = model.loss(text[:-1], text[1:], reduction="none")
    total = np.exp(-losses.detach().numpy().reshape(3, -1).sum(axis=0)).sum()
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("forcing", [0.0, 1.0])
def test_the_gradients_are_the_numeric_ones(forcing: float) -> None:
    model = make(forcing)
    input, target = (minigrad.tensor(texts(seed, 3, 2)) for seed in (0, 1))
    assert gradcheck(lambda *weights: model.loss(input, target)[0], tuple(model.parameters()))
