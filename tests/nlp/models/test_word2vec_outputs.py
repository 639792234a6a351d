"""The ops of word2vec's output layers: by all properties of check_op, beside loops in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

import minigrad
from minigrad import Tensor
from minigrad.testing import check_op
from nlp.models.word2vec_outputs import (
    PathOutput,
    products_in_runs,
    products_of_rows,
    scores_of_nodes,
    sums_in_runs,
    told_apart,
)

COUNTS = [50, 30, 12, 9, 5, 2, 1]
Array = np.ndarray
Call = tuple[tuple[Any, ...], dict[str, int]]


def normal(draw: st.DrawFn, *shape: int) -> Array:
    return np.random.default_rng(draw(st.integers(0, 2**20))).normal(size=shape)


@st.composite
def two_tables(draw: st.DrawFn) -> Call:
    M, D = draw(st.integers(0, 4)), draw(st.integers(1, 3))
    return (normal(draw, M, D), normal(draw, M, D)), {}


@st.composite
def scored(draw: st.DrawFn) -> Call:
    M, K, P = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 5))
    shape = draw(st.sampled_from([(M, 1), (K,), (M, K), ()]))  # of the weights: all ways in which they broadcast
    weight = np.abs(normal(draw, *shape)) + 0.1
    return (3 * normal(draw, P), 3 * normal(draw, M, K), weight), {}


@st.composite
def nodes_and_vectors(draw: st.DrawFn) -> Call:
    U, M, D = draw(st.integers(1, 4)), draw(st.integers(0, 4)), draw(st.integers(1, 3))
    return (normal(draw, U, D), normal(draw, M, D)), {}


@st.composite
def rows_in_runs(draw: st.DrawFn) -> Call:
    M, G, C, D = (draw(st.integers(*bounds)) for bounds in ((0, 7), (1, 3), (1, 3), (1, 3)))
    return (normal(draw, M, D), normal(draw, G, C, D)), {}


@st.composite
def two_tables_in_runs(draw: st.DrawFn) -> Call:
    M, G, C, D = (draw(st.integers(*bounds)) for bounds in ((0, 7), (1, 3), (1, 3), (1, 3)))
    return (normal(draw, M, C), normal(draw, M, D)), {"G": G}


def run_of(row: int, M: int, G: int) -> int:
    """The run that a row is in: the last one to begin at it or before."""
    return max(run for run in range(G) if M * run // G <= row)


def plain_told_apart(scores: Array, noise: Array, weight: Array) -> Array:
    weights = np.broadcast_to(weight, noise.shape)
    total = -sum(np.log(1 / (1 + np.exp(-score))) for score in scores)
    return np.array(total - sum(weights[i] * np.log(1 / (1 + np.exp(noise[i]))) for i in np.ndindex(*noise.shape)))


def test_products_of_rows() -> None:
    def plain(input: Array, other: Array) -> Array:
        return np.array([one @ two for one, two in zip(input, other, strict=True)])

    check_op(products_of_rows, reference=plain, arguments=two_tables(), max_examples=15, derandomize=True)


def test_products_in_runs() -> None:
    def plain(input: Array, weight: Array) -> Array:
        M, G = len(input), len(weight)
        return np.array([weight[run_of(m, M, G)] @ row for m, row in enumerate(input)]).reshape(M, weight.shape[1])

    check_op(products_in_runs, reference=plain, arguments=rows_in_runs(), max_examples=15, derandomize=True)


def test_sums_in_runs() -> None:
    def plain(input: Array, other: Array, G: int) -> Array:
        sums = np.zeros((G, input.shape[1], other.shape[1]))
        for m, (one, two) in enumerate(zip(input, other, strict=True)):
            sums[run_of(m, len(input), G)] += np.outer(one, two)
        return sums

    check_op(sums_in_runs, reference=plain, arguments=two_tables_in_runs(), max_examples=15, derandomize=True)


def test_the_loss_of_words_told_apart_from_noise() -> None:
    check_op(told_apart, reference=plain_told_apart, arguments=scored(), max_examples=15, derandomize=True)


def test_the_scores_of_nodes() -> None:
    def plain(nodes: Array, hidden: Array) -> Array:
        return np.array([[vector @ node for node in nodes] for vector in hidden]).reshape(len(hidden), len(nodes))

    def scores(nodes: Tensor, hidden: Tensor) -> Tensor:
        return scores_of_nodes(nodes, hidden, minigrad.ones(len(nodes)))  # all of the derivative

    check_op(scores, reference=plain, arguments=nodes_and_vectors(), max_examples=15, derandomize=True)


def test_nodes_get_a_share_of_their_gradient_and_vectors_all_of_it() -> None:
    rng = np.random.default_rng(0)
    grads = []
    for share in (np.ones(3), np.array([0.25, 1.0, 0.5])):
        nodes, hidden = (minigrad.tensor(rng.normal(size=(n, 2)), requires_grad=True) for n in (3, 4))
        rng = np.random.default_rng(0)
        weight = minigrad.tensor(np.random.default_rng(1).normal(size=(4, 3)))
        (scores_of_nodes(nodes, hidden, minigrad.tensor(share)) * weight).sum().backward()
        grads.append((nodes.grad.numpy(), hidden.grad.numpy()))
    np.testing.assert_allclose(grads[1][0], np.array([[0.25], [1.0], [0.5]]) * grads[0][0])
    np.testing.assert_array_equal(grads[1][1], grads[0][1])


@pytest.mark.parametrize("often", [1, 40])  # 40: more visits than inner nodes count one by one
def test_pairs_say_the_same_as_their_vectors_and_words_side_by_side(often: int) -> None:
    minigrad.manual_seed(0)
    rng = np.random.default_rng(0)
    layer = PathOutput(COUNTS, 3).double()
    layer.nodes.weight.data = minigrad.randn(len(COUNTS) - 1, 3, dtype=minigrad.float64)
    words, pairs = rng.integers(0, len(COUNTS), 5), np.tile(rng.permutation(25)[:9], often)
    found = []
    for together in (True, False):
        hidden = minigrad.tensor(np.random.default_rng(1).normal(size=(5, 3)), requires_grad=True)
        layer.zero_grad()
        if together:
            total = layer.objective(hidden, minigrad.tensor(words), minigrad.tensor(pairs))
        else:
            total = layer.objective(hidden[minigrad.tensor(pairs // 5)], minigrad.tensor(words[pairs % 5]), None)
        total.backward()
        found.append((total.item(), hidden.grad.numpy(), layer.nodes.weight.grad.to_dense().numpy()))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_scores_far_from_0_cost_what_they_should() -> None:
    far = minigrad.tensor([800.0, -800.0])
    assert told_apart(far, far.reshape(1, 2), 0.5).item() == 800 + 0.5 * 800
