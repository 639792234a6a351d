"""Initial weights: where they lie, how they spread, and that a seed decides them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
from minigrad import nn
from minigrad.nn import init
from minigrad.testing import standin
from nn.oracle import array, torch

Fill = Callable[..., Any]
BOUNDS: dict[str, tuple[Fill, Callable[[int, int], float]]] = {
    "uniform": (lambda t: init.uniform_(t, -0.3, 0.3), lambda i, o: 0.3),
    "xavier": (lambda t: init.xavier_uniform_(t, gain=2.0), lambda i, o: 2 * math.sqrt(6 / (i + o))),
    "kaiming in": (lambda t: init.kaiming_uniform_(t, nonlinearity="relu"), lambda i, o: math.sqrt(6 / i)),
    "kaiming out": (lambda t: init.kaiming_uniform_(t, a=1, mode="fan_out"), lambda i, o: math.sqrt(3 / o)),
}
SPREADS: dict[str, tuple[Fill, Callable[[int, int], float]]] = {
    "normal": (lambda t: init.normal_(t, 0, 0.3), lambda i, o: 0.3),
    "xavier": (lambda t: init.xavier_normal_(t, gain=2.0), lambda i, o: 2 * math.sqrt(2 / (i + o))),
    "kaiming in": (lambda t: init.kaiming_normal_(t, nonlinearity="relu"), lambda i, o: math.sqrt(2 / i)),
    "kaiming out": (lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="linear"), lambda i, o: o**-0.5),
}


@pytest.mark.parametrize("name", BOUNDS)
@given(out=st.integers(30, 60), inside=st.integers(10, 20), window=st.integers(1, 3))
def test_uniform_fills_its_interval(name: str, out: int, inside: int, window: int) -> None:
    minigrad.manual_seed(out)
    fill, bound = BOUNDS[name]
    values = array(fill(minigrad.zeros(out, inside, window)))
    limit = bound(inside * window, out * window)
    assert np.abs(values).max() <= limit
    assert np.abs(values).max() > 0.9 * limit
    assert values.std() == pytest.approx(limit / math.sqrt(3), rel=0.15)
    assert abs(values.mean()) < 0.15 * limit


@pytest.mark.parametrize("name", SPREADS)
@given(out=st.integers(30, 60), inside=st.integers(10, 20), window=st.integers(1, 3))
def test_normal_has_its_deviation(name: str, out: int, inside: int, window: int) -> None:
    minigrad.manual_seed(out)
    fill, deviation = SPREADS[name]
    values = array(fill(minigrad.zeros(out, inside, window)))
    wanted = deviation(inside * window, out * window)
    assert values.std() == pytest.approx(wanted, rel=0.2)
    assert abs(values.mean()) < 0.2 * wanted


def test_constants() -> None:
    tensor = minigrad.zeros(2, 3)
    assert init.ones_(tensor) is tensor
    np.testing.assert_array_equal(array(tensor), np.ones((2, 3)))
    np.testing.assert_array_equal(array(init.constant_(tensor, 7)), np.full((2, 3), 7))
    np.testing.assert_array_equal(array(init.zeros_(tensor)), np.zeros((2, 3)))
    np.testing.assert_array_equal(array(init.eye_(tensor)), np.eye(2, 3))


# ---- the truncated normal distribution ------------------------------------------------------------------------------

INTERVALS = [(-2, 2), (0.5, 1), (-6, -4.5), (3, math.inf), (-math.inf, 1), (-math.inf, math.inf), (40, 41)]


def normal_moments(low: float, high: float) -> tuple[float, float]:
    """Mean and deviation of the standard normal distribution between two bounds, by sums over a fine grid."""
    x = np.linspace(max(low, -9), min(high, max(low, 0) + 9), 200_001)
    weight = np.exp(-(x**2 - np.min(x**2)) / 2)
    mean = (weight * x).sum() / weight.sum()
    return mean, math.sqrt((weight * (x - mean) ** 2).sum() / weight.sum())


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (3.0, 0.02)])
def test_truncated_normal_stays_inside_and_has_its_moments(
    interval: tuple[float, float], mean: float, std: float
) -> None:
    minigrad.manual_seed(1)
    low, high = (mean + std * bound for bound in interval)
    values = array(init.trunc_normal_(minigrad.zeros(50, 80), mean, std, low, high)).astype(np.float64)
    assert np.float32(low) <= values.min()
    assert values.max() <= np.float32(high)
    standard = (values - mean) / std
    centre, spread = normal_moments(*interval)
    assert standard.mean() == pytest.approx(centre, abs=5 * spread / math.sqrt(values.size) + 1e-4)
    assert standard.std() == pytest.approx(spread, rel=0.08)


def test_truncated_normal_refuses_what_is_no_interval() -> None:
    for settings in ({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"std": 0}, {"std": -1}):
        with pytest.raises(ValueError, match="needs a < b and std above 0"):
            init.trunc_normal_(minigrad.zeros(2), **settings)  # type: ignore[arg-type]
    for settings in ({"mean": math.nan}, {"mean": math.inf}, {"mean": -math.inf}, {"std": math.inf}):
        with pytest.raises(ValueError, match="needs a finite mean and std, got mean="):
            init.trunc_normal_(minigrad.zeros(2), **settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"std above 0, got .* std=nan"):
        init.trunc_normal_(minigrad.zeros(2), std=math.nan)
    assert init.trunc_normal_(minigrad.zeros(0, 3)).shape == (0, 3)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"mean": 1e9}, 2),  # the density falls by a factor of e in 1e-9
        ({"mean": 3.0, "std": 1e-320}, 2),  # no number says how many deviations that is
        ({"mean": 1.0, "std": 1e-320}, 1),
        ({"mean": 1e308, "a": -1e308, "b": 0.5}, 0.5),
    ],
)
def test_truncated_normal_far_from_its_mean_is_all_at_one_end(settings: dict[str, float], expected: float) -> None:
    values = array(init.trunc_normal_(minigrad.zeros(50, dtype=minigrad.float64), **settings))
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    # Beside a number whose square is none, the interval vanishes: the values are somewhere in it.
    assert (np.abs(array(init.trunc_normal_(minigrad.zeros(50), mean=-1e200))) <= 2).all()


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_what_is_drawn_is_not_cut_down_to_whole_numbers(dtype: str) -> None:
    tensor = minigrad.ones(2, 3, dtype=dtype)
    for fill in (
        init.uniform_, init.normal_, init.trunc_normal_, init.xavier_uniform_, init.kaiming_normal_, init.orthogonal_,
        lambda tensor: init.log_prior_(tensor[0], [1, 2, 3]),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=rf"float16, float32 or float64, (not|and this tensor is) {dtype}$"):
            fill(tensor)  # type: ignore[operator]
    assert (array(tensor) == 1).all()


# ---- the bias that knows the frequencies ----------------------------------------------------------------------------

positive_counts = st.lists(st.integers(0, 50), min_size=2, max_size=8)


@given(counts=positive_counts)
def test_log_prior_is_the_smoothed_frequency(counts: list[int]) -> None:
    total = sum(counts) + len(counts)
    expected = [math.log((count + 1) / total) for count in counts]
    for given_as in (counts, np.array(counts), minigrad.tensor(counts)):
        bias = minigrad.zeros(len(counts), dtype=minigrad.float64)
        assert init.log_prior_(bias, given_as) is bias
        np.testing.assert_allclose(array(bias), expected)
        assert np.exp(array(bias)).sum() == pytest.approx(1)


@given(counts=positive_counts, seed=st.integers(0, 99))
def test_log_prior_is_the_optimum_of_a_layer_without_weights(counts: list[int], seed: int) -> None:
    """With each class seen once more than counted, the loss is the entropy of the frequencies, and its slope is 0."""
    layer = nn.Linear(3, len(counts), dtype=minigrad.float64)
    init.zeros_(layer.weight)
    init.log_prior_(layer.bias, counts)
    classes = np.repeat(np.arange(len(counts)), np.array(counts) + 1)
    features = minigrad.tensor(np.random.default_rng(seed).normal(size=(len(classes), 3)))
    loss = nn.CrossEntropyLoss()(layer(features), minigrad.tensor(classes))
    loss.backward()
    p = (np.array(counts) + 1) / len(classes)
    assert loss.item() == pytest.approx(-(p * np.log(p)).sum())
    np.testing.assert_allclose(array(layer.bias.grad), 0, atol=1e-12)


def test_log_prior_refuses_what_are_no_counts() -> None:
    for counts in ([1, 2], [[1, 2, 3]], 3):
        with pytest.raises(ValueError, match=r"the bias has shape \(3,\), the counts have"):
            init.log_prior_(minigrad.zeros(3), counts)
    for counts in ([1, -2, 3], [1.0, math.nan, 2.0]):
        with pytest.raises(ValueError, match="a count is at least 0"):
            init.log_prior_(minigrad.zeros(3), counts)


def test_the_identity_fits_into_a_slice_of_recurrent_weights() -> None:
    layer = nn.GRU(2, 3)
    before = array(layer.weight_hh_l0)
    init.eye_(layer.weight_hh_l0[6:])
    np.testing.assert_array_equal(array(layer.weight_hh_l0), np.concatenate([before[:6], np.eye(3)]))
    assert layer.weight_hh_l0.is_leaf


# ---- orthogonal -----------------------------------------------------------------------------------------------------


@given(rows=st.integers(1, 6), columns=st.integers(1, 6), gain=st.sampled_from([1.0, 2.5]))
def test_orthogonal(rows: int, columns: int, gain: float) -> None:
    tensor = minigrad.zeros(rows, columns, dtype=minigrad.float64)
    matrix = array(init.orthogonal_(tensor, gain)) / gain
    product = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    np.testing.assert_allclose(product, np.eye(min(rows, columns)), atol=1e-12)


def test_orthogonal_is_not_partial_to_a_sign() -> None:
    minigrad.manual_seed(0)
    corners = [array(init.orthogonal_(minigrad.zeros(2, 2)))[0, 0] for _ in range(200)]
    assert 70 < sum(corner > 0 for corner in corners) < 130


def test_a_seed_decides() -> None:
    def drawn() -> list[np.ndarray]:
        return [
            array(value) for value in nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 2), nn.Embedding(3, 2)).parameters()
        ]

    minigrad.manual_seed(5)
    first = drawn()
    second = drawn()
    minigrad.manual_seed(5)
    for one, again, other in zip(first, drawn(), second, strict=True):
        np.testing.assert_array_equal(one, again)
        assert (one != other).any()


def test_a_generator_may_be_given() -> None:
    before = minigrad.default_generator.get_state()
    one, two = minigrad.Generator(3), minigrad.Generator(3)
    for fill in (
        init.uniform_,
        init.normal_,
        init.xavier_uniform_,
        init.kaiming_normal_,
        init.orthogonal_,
        init.trunc_normal_,
    ):
        first, second = minigrad.zeros(3, 4), minigrad.zeros(3, 4)
        fill(first, generator=one)  # type: ignore[operator]
        fill(second, generator=two)  # type: ignore[operator]
        np.testing.assert_array_equal(array(first), array(second))
    assert minigrad.default_generator.get_state() == before


def test_a_write_is_counted_and_not_recorded() -> None:
    parameter = nn.Parameter(minigrad.ones(2, 2))
    loss = (parameter * parameter).sum()
    init.normal_(parameter)
    assert parameter.is_leaf
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


@pytest.mark.parametrize(
    "fill",
    [
        init.uniform_,
        init.normal_,
        init.ones_,
        init.eye_,
        init.orthogonal_,
        init.xavier_normal_,
        init.kaiming_uniform_,
        init.trunc_normal_,
        lambda bias: init.log_prior_(bias[0], [3, 0, 1, 7]),
    ],
)
def test_on_the_standin_device(fill: Fill) -> None:
    standin.install()
    here, there = minigrad.zeros(3, 4), minigrad.zeros(3, 4, device="standin")
    for tensor in (here, there):
        minigrad.manual_seed(1)
        with standin.no_synchronisation():
            fill(tensor)
    np.testing.assert_array_equal(array(here), array(there))


def test_what_has_no_fans_is_refused() -> None:
    vector = minigrad.zeros(3)
    for fill in (
        init.xavier_uniform_,
        init.xavier_normal_,
        init.kaiming_uniform_,
        init.kaiming_normal_,
        init.orthogonal_,
    ):
        with pytest.raises(ValueError, match="at least two dimensions"):
            fill(vector)  # type: ignore[operator]
    with pytest.raises(ValueError, match="two dimensions, this one has 1"):
        init.eye_(vector)
    with pytest.raises(ValueError, match="'fan_in' or 'fan_out'"):
        init.kaiming_uniform_(minigrad.zeros(2, 2), mode="fan")
    with pytest.raises(ValueError, match="no gain is known for 'swish'"):
        init.calculate_gain("swish")


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "selu", "conv2d"])
def test_gains_are_pytorchs(name: str) -> None:
    assert init.calculate_gain(name) == pytest.approx(torch().nn.init.calculate_gain(name))
    for slope in (None, 0.3):
        expected = torch().nn.init.calculate_gain("leaky_relu", slope)
        assert init.calculate_gain("leaky_relu", slope) == pytest.approx(expected)
