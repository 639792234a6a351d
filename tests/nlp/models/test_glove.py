"""GloVe's loss is the paper's formula, its gradient the numeric one, and it recovers a matrix of low rank."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import optim
from minigrad.testing import standin
from nlp.errors import NlpError
from nlp.models.glove import GloVe
from nlp.text.cooccurrence import CooccurrenceBatches, count_cooccurrences

V, D = 6, 3


def make(seed: int, **options: float) -> GloVe:
    minigrad.manual_seed(seed)
    model = GloVe(V, D, **options).double()
    for weight in model.parameters():
        weight.data = minigrad.randn(*weight.shape, dtype=minigrad.float64)
    return model


def entries(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.integers(0, V, (n, 2)), draw.uniform(0.1, 30.0, n)


@given(st.integers(0, 100), st.integers(1, 8), st.floats(1, 20), st.floats(0.1, 1.0))
def test_the_loss_and_its_gradient_are_the_paper_s(seed: int, n: int, x_max: float, alpha: float) -> None:
    model = make(seed, x_max=x_max, alpha=alpha)
    pairs, counts = entries(seed, n)
    objective, mean, state = model.objective(minigrad.tensor(pairs), minigrad.tensor(counts))
    objective.backward()
    w, w_tilde, b, b_tilde = (weight.detach().numpy() for weight in model.parameters())
    J, gradients = 0.0, [np.zeros_like(weight) for weight in (w, w_tilde, b, b_tilde)]
    for (i, j), x in zip(pairs, counts, strict=True):
        f = (x / x_max) ** alpha if x < x_max else 1.0
        inside = w[i] @ w_tilde[j] + b[i, 0] + b_tilde[j, 0] - np.log(x)
        J += f * inside**2
        for gradient, row, moved in zip(gradients, (i, j, i, j), (w_tilde[j], w[i], 1.0, 1.0), strict=True):
            gradient[row] += 2 * f * inside * moved
    np.testing.assert_allclose(objective.item(), J, rtol=1e-9)
    np.testing.assert_allclose(mean.item(), J / n, rtol=1e-9)
    assert model.loss(minigrad.tensor(pairs), minigrad.tensor(counts))[0].item() == mean.item()
    assert state is None
    for weight, expected in zip(model.parameters(), gradients, strict=True):
        assert weight.grad.is_sparse
        np.testing.assert_allclose(weight.grad.to_dense().numpy(), expected, atol=1e-9)


def test_the_vectors_are_the_sum_of_both() -> None:
    model = make(0)
    expected = model.embedding.weight.detach().numpy() + model.context_embedding.weight.detach().numpy()
    np.testing.assert_allclose(model.vectors(), expected, rtol=1e-5, atol=1e-6)
    assert model.vectors().dtype == np.float32


def test_adagrad_fits_the_counts_of_a_text() -> None:
    minigrad.manual_seed(0)
    ids = np.random.default_rng(0).integers(0, 12, 600)
    data = CooccurrenceBatches(count_cooccurrences(ids, 12, window=4), bptt=16)
    model = GloVe(12, 12, x_max=10.0)
    optimizer = optim.Adagrad(model.parameters(), lr=0.05)
    first = model.loss(*map(minigrad.tensor, next(iter(data))))[0].item()
    for _ in range(60):
        for start in range(0, data.steps, 16):
            optimizer.zero_grad()
            model.objective(*map(minigrad.tensor, data.window(start, 16)))[0].backward()
            optimizer.step()
    assert model.loss(*map(minigrad.tensor, next(iter(data))))[0].item() < 0.005 * first


def test_it_runs_the_same_on_the_stand_in_device() -> None:
    standin.install()
    pairs, counts = (minigrad.tensor(array) for array in entries(1, 9))
    expected, _, _ = make(1).objective(pairs, counts)
    model = make(1).to("standin")
    with standin.no_synchronisation():
        objective, _, _ = model.objective(pairs.to("standin"), counts.to("standin"))
        objective.backward()
    assert objective.item() == pytest.approx(expected.item())
    assert isinstance(model.vectors(), np.ndarray)


def test_vectors_of_no_numbers_are_refused() -> None:
    with pytest.raises(NlpError, match="GloVe: size is 0, it must be at least 1"):
        GloVe(4, 0)
