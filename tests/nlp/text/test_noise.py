"""Noise words come as often as they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import Generator
from nlp.errors import NlpError
from nlp.text.noise import Noise

counts = st.lists(st.integers(0, 10**6), min_size=1, max_size=60).filter(any)


@given(counts, st.sampled_from([0.0, 0.75, 1.0]))
def test_the_columns_of_the_alias_table_add_up_to_the_distribution(counts: list[int], power: float) -> None:
    noise = Noise(counts, power)
    weights = np.array([count**power if count else 0.0 for count in counts])
    np.testing.assert_allclose(noise.probabilities, weights / weights.sum(), rtol=1e-12)
    share, alias = noise.share, noise.alias
    assert ((share >= 0) & (share <= 1)).all()
    drawn = (share + np.bincount(alias, 1 - share, minlength=len(share))) / len(share)
    np.testing.assert_allclose(drawn, noise.probabilities, atol=1e-12)


def test_draws_have_the_distribution() -> None:
    stats = pytest.importorskip("scipy.stats")
    noise = Noise(np.arange(40) ** 2)  # word 0 never
    drawn = np.bincount(noise.draw((300, 400), Generator(7)).ravel(), minlength=40)
    assert drawn[0] == 0
    assert stats.chisquare(drawn[1:], noise.probabilities[1:] * drawn.sum()).pvalue > 0.001


def test_draws_come_from_the_generator_that_is_named() -> None:
    noise = Noise([3, 1, 2])
    minigrad.manual_seed(5)
    first = noise.draw((50,))
    np.testing.assert_array_equal(first, noise.draw((50,), Generator(5)))
    assert not np.array_equal(first, noise.draw((50,)))


@pytest.mark.parametrize("counts", [[], [0, 0], [-1, 2], [[1, 2]]])
def test_counts_that_give_no_distribution_are_refused(counts: list[int]) -> None:
    with pytest.raises(NlpError, match="give one count a word"):
        Noise(counts)
