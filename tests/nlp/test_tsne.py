"""t-SNE: its gradient is that which minigrad finds, its neighbourhoods have the perplexity asked for, clusters stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from nlp.errors import NlpError
from nlp.evaluation.tsne import joint_probabilities, map_gradient, squared_distances, tsne


def cloud(seed: int, count: int, size: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, size))


@given(st.integers(0, 1000), st.integers(3, 12))
def test_the_gradient_is_that_of_the_divergence(seed: int, count: int) -> None:
    p = joint_probabilities(cloud(seed, count), 2.0)
    start = cloud(seed + 1, count, 2)
    places = minigrad.tensor(start, requires_grad=True)
    apart = ((places[:, None] - places) ** 2).sum(2)
    closeness = (1 - minigrad.eye(count, dtype=minigrad.float64)) / (1 + apart)
    q = closeness / closeness.sum()
    other = minigrad.tensor(~np.eye(count, dtype=bool))
    probabilities = minigrad.tensor(p)[other]
    (probabilities * (probabilities / q[other]).log()).sum().backward()
    # p is not quite 1 in all: the least probabilities are not 0.
    np.testing.assert_allclose(map_gradient(p, start), places.grad.numpy(), rtol=1e-6, atol=1e-9)


@given(st.integers(0, 1000), st.integers(6, 30), st.floats(-6, 6), st.floats(1.2, 4))
def test_neighbourhoods_have_the_perplexity_asked_for(seed: int, count: int, size: float, perplexity: float) -> None:
    points = cloud(seed, count) * 10**size
    p = joint_probabilities(points, perplexity)
    np.testing.assert_allclose(p, p.T)
    assert p.sum() == pytest.approx(1, abs=1e-6)
    distances = ((points[:, None] - points) ** 2).sum(2)
    expected = np.zeros((count, count))
    for i in range(count):  # plainly: each Gaussian's precision by halving
        others = np.arange(count) != i
        low, high = 0.0, 1e4 / np.median(distances[i])
        for _ in range(200):
            beta = (low + high) / 2
            row = np.exp(-beta * (distances[i][others] - distances[i][others].min()))
            row /= row.sum()
            entropy = -(row[row > 0] * np.log(row[row > 0])).sum()
            low, high = (beta, high) if entropy > np.log(perplexity) else (low, beta)
        expected[i, others] = row
    np.testing.assert_allclose(p, np.maximum((expected + expected.T) / (2 * count), 1e-12), rtol=1e-4, atol=1e-9)


@given(st.integers(0, 1000))
def test_squared_distances_are_those_of_a_plain_loop(seed: int) -> None:
    points = cloud(seed, 6)
    plain = [[sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) for b in points] for a in points]
    np.testing.assert_allclose(squared_distances(points), plain, atol=1e-12)


def test_the_first_step_goes_down_the_gradient_for_a_p_four_times_as_large() -> None:
    points, start = cloud(0, 12), cloud(1, 12, 2)
    first = 1e-4 * start / start.std(axis=0).max()
    gradient = map_gradient(4 * joint_probabilities(points, 3.0), first)
    expected = first - 100 * np.where(gradient > 0, 1.2, 0.8) * gradient
    np.testing.assert_allclose(tsne(points, start, perplexity=3.0, steps=1), expected - expected.mean(axis=0))


def test_momentum_and_exaggeration_change_when_the_paper_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 3.4. The force is always the same here, so that every coordinate goes 0.2 times faster with each step."""
    points, start, force = cloud(0, 6), cloud(1, 6, 2), cloud(2, 6, 2)
    totals: list[float] = []  # of p, in every step

    def constant(p: np.ndarray, places: np.ndarray) -> np.ndarray:
        totals.append(float(p.sum()))
        return force

    def moved(step: int) -> np.ndarray:
        return tsne(points, start, 2.0, steps=step + 1) - tsne(points, start, 2.0, steps=step)

    monkeypatch.setattr("nlp.evaluation.tsne.map_gradient", constant)
    for step, momentum in ((2, 0.5), (249, 0.5), (250, 0.8), (251, 0.8)):
        pull = 100 * (np.where(force > 0, 1.2, 0.8) + 0.2 * step) * force
        expected = momentum * moved(step - 1) - (pull - pull.mean(axis=0))
        np.testing.assert_allclose(moved(step), expected)
    tsne(points, start, 2.0, steps=60)
    np.testing.assert_allclose(totals[-60:], [4.0] * 50 + [1.0] * 10)


def test_in_the_end_the_places_are_in_the_middle_and_at_rest() -> None:
    points = cloud(0, 25)
    places = tsne(points, cloud(1, 25, 2), perplexity=5.0)
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-9)
    assert np.abs(map_gradient(joint_probabilities(points, 5.0), places)).max() < 1e-4
    assert places.std() > 1


def test_clusters_stay_together_and_come_apart() -> None:
    """Of three clusters that a shadow would lay over each other, each word's nearest on the map is of its own."""
    cluster = np.repeat(np.arange(3), 12)
    points = 4 * np.eye(40)[cluster + 10] + 0.6 * cloud(0, 36, 40)
    places = tsne(points, cloud(1, 36, 2), perplexity=8.0)
    apart = squared_distances(places)
    np.fill_diagonal(apart, np.inf)
    assert (cluster[apart.argmin(axis=1)] == cluster).all()
    inside = [np.sqrt(apart[np.ix_(cluster == k, cluster == k)][np.triu_indices(12, 1)]).max() for k in range(3)]
    between = np.sqrt(apart[cluster[:, None] != cluster]).min()
    assert between > 0.5 * max(inside)
    np.testing.assert_array_equal(tsne(points, cloud(1, 36, 2), perplexity=8.0), places)
    # Nor does it depend on how large the first places are.
    np.testing.assert_allclose(
        tsne(points, 2 * cloud(1, 36, 2), perplexity=8.0, steps=20),
        tsne(points, cloud(1, 36, 2), perplexity=8.0, steps=20),
    )


@pytest.mark.parametrize("points", [np.zeros((4, 3)), np.repeat(cloud(0, 2), 3, axis=0), cloud(0, 3) * 1e-150])
def test_points_in_one_place_are_no_trouble(points: np.ndarray) -> None:
    with np.errstate(all="raise", under="ignore"):
        places = tsne(points, points[:, :2], perplexity=50.0, steps=60)
    assert np.isfinite(places).all()


def test_a_perplexity_below_1_is_told() -> None:
    with pytest.raises(NlpError, match=r"perplexity of t-SNE is a number of neighbours, at least 1, not 0\.5"):
        tsne(cloud(0, 5), cloud(0, 5, 2), perplexity=0.5)
