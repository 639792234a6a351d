"""Adaptive softmax where the properties that every module is tried with do not look: all classes at once, mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
import minigrad.nn.functional as F
from minigrad import nn
from nn.oracle import array, torch

seeds = st.integers(0, 99)


@st.composite
def layers(draw: st.DrawFn) -> tuple[nn.AdaptiveLogSoftmaxWithLoss, dict[str, Any], np.ndarray]:
    """A layer in float64, its arguments, and features for it (N, D)."""
    C, seed = draw(st.integers(2, 12)), draw(seeds)
    cutoffs = sorted(draw(st.sets(st.integers(1, C - 1), min_size=1, max_size=3)))
    arguments = {"in_features": 6, "n_classes": C, "cutoffs": cutoffs, "div_value": 1.5, "head_bias": seed % 2 == 0}
    minigrad.manual_seed(seed)
    layer = nn.AdaptiveLogSoftmaxWithLoss(**arguments).double()
    return layer, arguments, np.random.default_rng(seed).normal(size=(4, 6)) * 3


@given(layers())
def test_all_log_probabilities_are_those_of_single_targets_and_sum_to_one(case: Any) -> None:
    layer, arguments, features = case
    input = minigrad.tensor(features)
    found = array(layer.log_prob(input))
    np.testing.assert_allclose(np.exp(found).sum(1), 1)
    for target in range(arguments["n_classes"]):
        output, loss = layer(input, minigrad.full((4,), target, dtype=minigrad.int64))
        np.testing.assert_allclose(array(output), found[:, target])
        np.testing.assert_allclose(loss.item(), -found[:, target].mean())


@given(layers())
def test_the_likeliest_class_is_the_one_of_the_highest_log_probability(case: Any) -> None:
    layer, _, features = case
    input = minigrad.tensor(features)
    np.testing.assert_array_equal(array(layer.predict(input)), array(layer.log_prob(input)).argmax(1))


@pytest.mark.oracle
@given(layers())
def test_log_prob_and_predict_are_pytorchs(case: Any) -> None:
    layer, arguments, features = case
    theirs = torch().nn.AdaptiveLogSoftmaxWithLoss(**arguments).double()
    theirs.load_state_dict({name: torch().tensor(array(one)) for name, one in layer.state_dict().items()})
    input = torch().tensor(features)
    np.testing.assert_allclose(array(layer.log_prob(minigrad.tensor(features))), theirs.log_prob(input).detach())
    np.testing.assert_array_equal(array(layer.predict(minigrad.tensor(features))), theirs.predict(input))


def test_with_clusters_as_wide_as_the_head_one_class_each_it_is_a_softmax() -> None:
    """A cluster of one class costs nothing beyond its place in the head."""
    minigrad.manual_seed(0)
    layer = nn.AdaptiveLogSoftmaxWithLoss(4, 3, [1, 2], div_value=1.0)
    input = minigrad.randn(5, 4)
    np.testing.assert_allclose(array(layer.log_prob(input)), array(F.log_softmax(layer.head(input), 1)), rtol=1e-6)


@pytest.mark.parametrize("cutoffs", [[], [0, 2], [2, 1], [2, 2], [5], [1.5]])
def test_cutoffs_that_do_not_divide_the_classes_are_refused(cutoffs: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"cutoffs must be whole numbers that rise, from 1 to n_classes - 1 = 4"):
        nn.AdaptiveLogSoftmaxWithLoss(3, 5, cutoffs)


def test_inputs_that_do_not_fit_are_refused() -> None:
    layer, input = nn.AdaptiveLogSoftmaxWithLoss(4, 5, [2]), minigrad.ones(3, 4)
    with pytest.raises(RuntimeError, match=r"input \(3, 4\) and target \(2,\): they must be \(N, 4\) and \(N\)"):
        layer(input, minigrad.tensor([0, 1]))
    with pytest.raises(RuntimeError, match="must be class indices, integers, got float32"):
        layer(input, minigrad.zeros(3))
    for wrong in (-1, 5):
        with pytest.raises(RuntimeError, match="they must be from 0 to 4"):
            layer(input, minigrad.tensor([0, wrong, 1]))
