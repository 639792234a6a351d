"""Hashed n-gram features: the op by all properties of check_op, the scores from the definition, n-gram by n-gram."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.testing import check_op
from nlp.models.maxent import MaxEntLM, add_slices, sum_slices
from nlp.models.rnn_lm import RNNLM
from nlp.models.window_lm import WindowLM

Array = np.ndarray


def plain_sum_slices(weight: Array, starts: Array, *, width: int) -> Array:
    K, N = starts.shape
    return np.array(
        [[sum(weight[(starts[k, n] + w) % len(weight)] for k in range(K)) for w in range(width)] for n in range(N)],
        dtype=weight.dtype,
    ).reshape(N, width)


def plain_add_slices(values: Array, starts: Array, *, size: int) -> Array:
    result = np.zeros(size, dtype=values.dtype)
    for k, n in np.ndindex(*starts.shape):
        for w in range(values.shape[1]):
            result[(starts[k, n] + w) % size] += values[n, w]
    return result


@st.composite
def calls(draw: st.DrawFn, transposed: bool) -> tuple[tuple[Array, Array], dict[str, int]]:
    size = draw(st.integers(1, 9))
    width, K, N = draw(st.integers(1, size)), draw(st.integers(1, 3)), draw(st.integers(0, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    starts = rng.integers(0, size, (K, N))
    if transposed:
        return (rng.normal(size=(N, width)), starts), {"size": size}
    return (rng.normal(size=size), starts), {"width": width}


def test_sums_of_slices_are_right_with_all_their_derivatives() -> None:
    check_op(sum_slices, reference=plain_sum_slices, arguments=calls(False), max_examples=15, derandomize=True)


def test_so_is_their_transpose() -> None:
    check_op(add_slices, reference=plain_add_slices, arguments=calls(True), max_examples=15, derandomize=True)


@given(calls(False), st.integers(0, 100))
def test_the_two_are_each_other_s_transpose(call: tuple[tuple[Array, Array], dict[str, int]], seed: int) -> None:
    (weight, starts), settings = call
    other = np.random.default_rng(seed).normal(size=(starts.shape[1], settings["width"]))
    through = (sum_slices(weight, starts, **settings) * other).sum()
    np.testing.assert_allclose(through, (weight * add_slices(other, starts, size=len(weight))).sum(), atol=1e-12)


@given(st.integers(1, 4), st.integers(7, 60), st.integers(1, 5), st.integers(1, 2), st.integers(0, 99))
def test_a_score_is_the_sum_of_the_weights_of_the_n_grams(order: int, size: int, T: int, B: int, seed: int) -> None:
    V = 7
    rng = np.random.default_rng(seed)
    model = MaxEntLM(V, order, size)
    model.weight.data = minigrad.tensor(rng.normal(size=size))
    numbers, weight = model.multipliers.tolist(), model.weight.detach().numpy()
    text = rng.integers(0, V, (T, B))
    expected = np.zeros((T, B, V))
    for t, b, w in np.ndindex(T, B, V):
        past = [int(word) for word in text[: t + 1, b][::-1]] + [-1] * order  # the nearest first
        for k in range(order):
            hashed = numbers[k][0] + sum(numbers[k][1 + back] * (past[back] + 1) for back in range(k))
            expected[t, b, w] += weight[(hashed + w) % size]
    np.testing.assert_allclose(model(minigrad.tensor(text))[0].detach().numpy(), expected, rtol=1e-12, atol=1e-12)


def test_an_update_reaches_the_n_grams_that_came_and_no_others() -> None:
    model = MaxEntLM(5, order=2, size=4096)
    a, b = 1, 3
    model.loss(minigrad.tensor([[a]]), minigrad.tensor([[b]]))[0].backward()
    assert np.count_nonzero(model.weight.grad.numpy()) == 10  # V single tokens, and V that may follow a
    with minigrad.no_grad():
        model.weight -= model.weight.grad
    scores = model(minigrad.tensor([[a], [2]]))[0].detach().numpy()[:, 0]
    assert scores[0].argmax() == scores[1].argmax() == b
    assert scores[0, b] == pytest.approx(2 * scores[1, b])  # after another token only the single one knows of it


def test_trained_to_the_end_it_has_the_frequencies_of_pairs() -> None:
    """Without collisions a maximum-entropy model of pairs foretells their relative frequencies."""
    V = 4
    ids = np.random.default_rng(0).integers(0, V, 60)
    input, target = minigrad.tensor(ids[:-1, None]), minigrad.tensor(ids[1:, None])
    model = MaxEntLM(V, order=2, size=2**16)
    optimizer = minigrad.optim.LBFGS(model.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> minigrad.Tensor:
        optimizer.zero_grad()
        loss, _ = model.loss(input, target)
        loss.backward()
        return loss

    optimizer.step(closure)
    counts: dict[int, Array] = defaultdict(lambda: np.zeros(V))
    for before, after in pairwise(ids):
        counts[before][after] += 1
    for word, seen in counts.items():
        probabilities = model(minigrad.tensor([[word]]))[0].softmax(-1).detach().numpy()[0, 0]
        np.testing.assert_allclose(probabilities, seen / seen.sum(), atol=2e-3)


def test_beside_a_network_its_scores_are_added_and_both_are_saved() -> None:
    minigrad.manual_seed(0)
    inner = RNNLM(9, 4, 5, 1, 0.0)
    model = MaxEntLM(9, 3, 512, inner)
    alone = MaxEntLM(9, 3, 512)
    with minigrad.no_grad():
        model.weight.copy_(minigrad.randn(512))
        alone.weight.copy_(model.weight)
    words = minigrad.tensor(np.random.default_rng(1).integers(0, 9, (6, 2)))
    together = model(words)[0].detach().numpy()
    np.testing.assert_allclose(together, (inner(words)[0] + alone(words)[0]).detach().numpy(), atol=1e-6)
    names = set(model.state_dict())
    assert {"weight", "multipliers", "inner.embedding.weight", "inner.layers.0.weight_hh_l0"} <= names
    again = MaxEntLM(9, 3, 512, RNNLM(9, 4, 5, 1, 0.0))
    again.multipliers.zero_()  # whatever they are, the saved ones count
    again.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(again(words)[0].detach().numpy(), together)


def test_the_hash_never_changes() -> None:
    """So that a model says what it said; and times a token below 2**28 it stays within 64 bits, eight times over."""
    assert MaxEntLM(5, 2, 64).multipliers.tolist() == [[1835245099, 1426526541], [1241514025, 1451890235]]
    assert (MaxEntLM(5, 9, 64).multipliers.numpy() < 2**31).all()


def test_it_starts_at_the_frequencies_alone_or_by_its_inner_model() -> None:
    counts = np.array([5, 0, 3, 1])
    shares = (counts + 1) / (counts + 1).sum()
    alone = MaxEntLM(4, 2, 50)
    alone.start_at_frequencies(counts)
    with minigrad.no_grad():
        scores, _ = alone(minigrad.tensor([[1], [2]]))
    expected = np.log(shares)
    np.testing.assert_allclose(scores.softmax(-1).log().numpy()[:, 0], [expected, expected], rtol=1e-5)
    inner = WindowLM(4, 3, 3, order=2)
    beside = MaxEntLM(4, 2, 50, inner)
    beside.start_at_frequencies(counts)
    np.testing.assert_allclose(inner.decoder.bias.detach().numpy(), expected, rtol=1e-5)
    assert not beside.weight.detach().numpy().any()
