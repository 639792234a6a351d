"""CBOW beside word2vec's updates written out plainly in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import optim
from minigrad.testing import check_op, standin
from nlp.models import word2vec_outputs
from nlp.models.cbow import CBOW, window_spread, window_sums
from nlp.models.word2vec_outputs import NoiseOutput
from nlp.text.contexts import ContextWindows
from nlp.text.huffman import huffman_codes

V, D = 7, 4
COUNTS = np.array([50, 30, 12, 9, 5, 2, 1])


def plain_window_sums(input: np.ndarray, inside: np.ndarray) -> np.ndarray:
    M, w = len(input), inside.shape[1] // 2
    result = np.zeros(input.shape)
    for i, j in np.ndindex(*inside.shape):
        if 0 <= i + j - w < M:
            result[i] += inside[i, j] * input[i + j - w]
    return result


def plain_window_spread(input: np.ndarray, inside: np.ndarray) -> np.ndarray:
    M, w = len(input), inside.shape[1] // 2
    result = np.zeros(input.shape)
    for i, j in np.ndindex(*inside.shape):
        if 0 <= i + j - w < M:
            result[i + j - w] += inside[i, j] * input[i]
    return result


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, int]]:
    """Rows and windows over them; of more rows than a block, too, and of windows wider than one."""
    M, w = draw(st.sampled_from([0, 1, 2, 5, 15, 16, 17, 50])), draw(st.sampled_from([0, 1, 2, 5, 20]))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    return (rng.normal(size=(M, 2)), rng.integers(0, 2, (M, 2 * w + 1)).astype(bool)), {}


def test_sums_over_windows_are_right_with_all_their_derivatives() -> None:
    check_op(window_sums, reference=plain_window_sums, arguments=windows(), max_examples=15, derandomize=True)


def test_so_is_their_transpose() -> None:
    check_op(window_spread, reference=plain_window_spread, arguments=windows(), max_examples=15, derandomize=True)


@given(windows(), st.integers(0, 100))
def test_the_two_are_each_other_s_transpose(call: Any, seed: int) -> None:
    (rows, inside), _ = call
    other = np.random.default_rng(seed).normal(size=rows.shape)
    through = (window_sums(rows, inside) * other).sum()
    np.testing.assert_allclose(through, (rows * window_spread(other, inside)).sum(), atol=1e-9)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def make(seed: int, **options: int) -> CBOW:
    """A small model in float64 with weights of some size."""
    minigrad.manual_seed(seed)
    model = CBOW(COUNTS, D, **options).double()
    for weight in model.parameters():
        weight.data = minigrad.randn(*weight.shape, dtype=minigrad.float64)
    return model


def stretch(seed: int, M: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(seed).integers(0, V, M)
    return ContextWindows(ids, COUNTS, window=3, subsample=0.0, predict_centre=True).window(0, M)


def outputs_and_labels(model: CBOW, word: int, noise: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Which output vectors a word is told by, and what each should say."""
    if noise is not None:
        return np.array([word, *noise]), np.array([1] + [0] * len(noise))
    paths, codes, lengths = huffman_codes(COUNTS)
    return paths[word, : lengths[word]], 1 - codes[word, : lengths[word]]


@given(st.integers(0, 100), st.integers(2, 9), st.integers(0, 3))
def test_it_adds_up_word2vec_s_updates(seed: int, M: int, k: int) -> None:
    model = make(seed, negatives=k)
    inside, words = stretch(seed, M)
    minigrad.manual_seed(seed)
    objective, mean, _ = model.objective(minigrad.tensor(inside), minigrad.tensor(words))
    objective.backward()
    minigrad.manual_seed(seed)
    output: Any = model.output
    table = output.vectors if isinstance(output, NoiseOutput) else output.nodes
    noise = output.noise.draw((M, k)) if k else [None] * M
    v, u = (weight.detach().numpy() for weight in (model.embedding.weight, table.weight))
    loss, dv, du = 0.0, np.zeros_like(v), np.zeros_like(u)
    for place, entries in enumerate(inside):
        around = [words[place + away] for away, is_in in zip(range(-3, 4), entries, strict=True) if is_in]
        h, neu1e = v[around].mean(0), np.zeros(D)
        for row, label in zip(*outputs_and_labels(model, words[place], noise[place]), strict=True):
            f = u[row] @ h
            loss -= np.log(sigmoid(f) if label else sigmoid(-f))
            neu1e += (label - sigmoid(f)) * u[row]
            du[row] += (label - sigmoid(f)) * h
        np.add.at(dv, around, neu1e)  # whole for each of them, as the program does
    np.testing.assert_allclose(objective.item(), loss, rtol=1e-9)
    np.testing.assert_allclose(mean.item(), loss / M, rtol=1e-9)
    np.testing.assert_allclose(model.embedding.weight.grad.to_dense().numpy(), -dv, atol=1e-9)
    np.testing.assert_allclose(table.weight.grad.to_dense().numpy(), -du, atol=1e-9)


@pytest.mark.parametrize("shared", [0, 3, 40])
def test_the_loss_is_what_the_objective_is_on_average(shared: int) -> None:
    model = make(3, negatives=2, shared=shared)
    inside, words = (minigrad.tensor(array) for array in stretch(3, 6))
    draws = [model.objective(inside, words)[0].item() for _ in range(600)]
    loss = model.loss(inside, words, reduction="sum")[0].item()
    assert abs(np.mean(draws) - loss) < 4 * np.std(draws) / np.sqrt(len(draws))
    assert model.loss(inside, words)[0].item() == pytest.approx(loss / 6)


def test_each_run_of_windows_has_noise_words_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word2vec_outputs, "RUN", 3)
    model = make(3, negatives=2, shared=4)
    inside, words = stretch(3, 8)  # runs of 4 and 4
    minigrad.manual_seed(5)
    objective, _, _ = model.objective(minigrad.tensor(inside), minigrad.tensor(words))
    minigrad.manual_seed(5)
    noise = model.output.noise.draw((2, 4))
    u = model.output.vectors.weight.detach().numpy()
    around = plain_window_sums(model.embedding.weight.detach().numpy()[words], inside)
    h = around / inside.sum(1, keepdims=True)
    loss = -sum(np.log(sigmoid(h[m] @ u[words[m]])) for m in range(8))
    loss -= sum(2 / 4 * np.log(sigmoid(-h[m] @ u[n])) for m in range(8) for n in noise[m // 4])
    np.testing.assert_allclose(objective.item(), loss, rtol=1e-9)


@pytest.mark.parametrize("options", [{}, {"shared": 4}, {"negatives": 0}])
def test_a_stretch_without_words_trains_nothing(options: dict[str, int]) -> None:
    model = make(0, **options)
    nothing, words = minigrad.zeros(0, 7, dtype=minigrad.bool), minigrad.zeros(0, dtype=minigrad.int64)
    objective, mean, _ = model.objective(nothing, words)
    objective.backward()
    assert objective.item() == mean.item() == model.loss(nothing, words)[0].item() == 0
    optim.SGD(model.parameters(), lr=1.0).step()


@pytest.mark.parametrize("options", [{}, {"shared": 16}, {"negatives": 0}])
def test_it_learns_which_word_follows_which(options: dict[str, int]) -> None:
    minigrad.manual_seed(0)
    ids = np.tile([0, 1, 2, 3, 4, 5], 100)
    model = CBOW(np.bincount(ids), 8, **options)
    data = ContextWindows(ids, [1] * 6, window=1, subsample=0.0, bptt=24, predict_centre=True)
    batch = [minigrad.tensor(array) for array in next(iter(data))]
    first = model.loss(*batch)[0].item()
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    for _ in range(12):
        for start in range(0, data.steps, 24):
            optimizer.zero_grad()
            model.objective(*map(minigrad.tensor, data.window(start, 24)))[0].backward()
            optimizer.step()
    assert model.loss(*batch)[0].item() < 0.6 * first
    assert model.vectors().shape == (6, 8)


def test_it_runs_the_same_on_the_stand_in_device() -> None:
    standin.install()
    inside, words = (minigrad.tensor(array) for array in stretch(2, 8))
    results = []
    for device in ("cpu", "standin"):
        model = make(2, shared=5).to(device)
        minigrad.manual_seed(5)
        objective, _, _ = model.objective(inside.to(device), words.to(device))
        if device == "standin":
            with standin.no_synchronisation():
                model.objective(inside.to(device), words.to(device))[0].backward()
            model.zero_grad()
        objective.backward()
        results.append((objective.item(), *(weight.grad.to_dense().cpu().numpy() for weight in model.parameters())))
    for here, there in zip(*results, strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-9, atol=1e-12)
