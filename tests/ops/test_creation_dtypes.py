"""What decides the dtype and the numbers of a new tensor where there is more than one way to say it."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad


def test_new_takes_sizes_or_data() -> None:
    x = minigrad.zeros(1, dtype=minigrad.float64)
    for found, expected in ((x.new([1, 2]), [1, 2]), (x.new(2), [0, 0]), (x.new(1, 2), [[0, 0]])):
        assert found.tolist() == expected
        assert found.dtype == minigrad.float64


def test_like_another_tensor_but_of_another_dtype() -> None:
    x = minigrad.zeros(2, 3)
    for made in (
        minigrad.zeros_like(x, dtype=minigrad.int8), minigrad.full_like(x, 3, dtype=minigrad.int8),
        x.new_ones(2, 3, dtype=minigrad.int8), minigrad.randint_like(x, 5, dtype=minigrad.int8),
        minigrad.randint(5, (2, 3), dtype=minigrad.int8), minigrad.randperm(6, dtype=minigrad.int8).reshape(2, 3),
    ):  # fmt: skip
        assert made.dtype == minigrad.int8
        assert made.shape == x.shape
    assert minigrad.randperm(3).dtype == minigrad.randint(3, (2,)).dtype == minigrad.int64


def test_arange_counts_whole_numbers_as_such_and_takes_them_as_tensors() -> None:
    large = 2**53
    assert minigrad.arange(large, large + 3).tolist() == [large, large + 1, large + 2]
    for end in (minigrad.tensor(3), np.int32(3)):
        assert minigrad.arange(end).tolist() == [0, 1, 2]
        assert minigrad.arange(end).dtype == minigrad.int64


def test_randint_like_has_both_bounds() -> None:
    x = minigrad.zeros(200)
    assert set(minigrad.randint_like(x, 2).tolist()) == {0, 1}
    assert set(minigrad.randint_like(x, 5, 7).tolist()) == {5, 6}


def test_normal_takes_a_number_beside_a_tensor() -> None:
    mean = minigrad.full((2000,), 5.0, requires_grad=True)
    drawn = minigrad.normal(mean, 0.5)
    assert not drawn.requires_grad
    assert abs(drawn.mean().item() - 5) < 0.1
    assert abs(drawn.std().item() - 0.5) < 0.05


@pytest.mark.parametrize("wrong", [-0.5, 1.5, float("nan")])
def test_a_probability_lies_between_0_and_1(wrong: float) -> None:
    for refused in (
        lambda: minigrad.full((2,), wrong).bernoulli(),
        lambda: minigrad.zeros(2).bernoulli(wrong),
        lambda: minigrad.zeros(2).bernoulli_(minigrad.tensor([0.5, wrong])),
    ):
        with pytest.raises(RuntimeError, match="a probability lies between 0 and 1"):
            refused()
    assert minigrad.tensor([0.0, 1.0]).bernoulli().tolist() == [0.0, 1.0]
