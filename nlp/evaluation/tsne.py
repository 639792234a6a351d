"""t-SNE: points of many dimensions in two, so that near ones stay near; what is far tells little.

Van der Maaten and Hinton, "Visualizing data using t-SNE" (2008). Neighbourhoods are probabilities: p_ij, by Gaussians
around the points where they are; q_ij, by Student's t around their places on the map. The map is moved until the
Kullback-Leibler divergence sum p_ij log(p_ij / q_ij) is small.

Shapes: N points of D dimensions. Time and memory grow with N squared: there is a limit to N.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nlp.errors import NlpError

__all__ = ["MOST_POINTS", "joint_probabilities", "map_gradient", "squared_distances", "tsne"]

Values = NDArray[np.float64]

# As in the paper's section 3.4.
STEPS, LEARNING_RATE = 1000, 100.0
EXAGGERATED, EXAGGERATION = 50, 4.0  # steps at first in which every p is larger: clusters come to be, and can pass
CALM, MOMENTUM, LATER_MOMENTUM = 250, 0.5, 0.8  # steps with the first momentum, before the later one
MOST_POINTS = 2_000  # half a minute and 200 MB
SPREAD = 1e-4  # of the first places
LEAST = 1e-12  # of a probability, so that none is 0, and of a squared distance beside the largest
SMALLEST = float(np.finfo(np.float64).tiny)
HALVINGS = 60  # of the interval in which a Gaussian's width is looked for


def tsne(
    points: Values,
    start: Values,
    perplexity: float = 30.0,
    steps: int = STEPS,
    progress: Callable[[float], None] | None = None,
) -> Values:
    """Places (N, 2) for points (N, D), moved from `start` (N, 2), of which only directions and proportions count.

    Nothing is drawn at random: the same points and start give the same map. `perplexity` is about how many neighbours
    each point has, at least 1. For fewer than 3 times as many points it is lowered to a third of them. `progress`
    is told the share that is done, 0 to 1. Raises NlpError for a perplexity below 1 and for more than 2,000 points.
    """
    if not perplexity >= 1:
        raise NlpError(f"the perplexity of t-SNE is a number of neighbours, at least 1, not {perplexity}")
    if len(points) > MOST_POINTS:
        raise NlpError(
            f"t-SNE takes {MOST_POINTS:,} words at most, not {len(points):,}, as its time and memory grow with their "
            "square: name fewer, or take --method pca"
        )
    p = joint_probabilities(points, max(1.0, min(perplexity, (len(points) - 1) / 3)))
    places = SPREAD * start / max(float(start.std(axis=0).max()), SMALLEST)
    velocity, gains = np.zeros_like(places), np.ones_like(places)
    for step in range(steps):
        gradient = map_gradient(p * EXAGGERATION if step < EXAGGERATED else p, places)
        # Jacobs' rule (1988): a coordinate that keeps its direction goes faster, one that turns back slower.
        gains = np.maximum(np.where((gradient > 0) != (velocity > 0), gains + 0.2, gains * 0.8), 0.01)
        velocity = (MOMENTUM if step < CALM else LATER_MOMENTUM) * velocity - LEARNING_RATE * gains * gradient
        places = places + velocity
        places -= places.mean(axis=0)
        if progress is not None:
            progress((step + 1) / steps)
    return places


def joint_probabilities(points: Values, perplexity: float) -> Values:
    """p_ij (N, N), which sum to 1: the mean of p(j|i) and p(i|j), by N (equation 1 and section 3.1).

    Each Gaussian is as wide as gives p(.|i) the perplexity: found by halving, for all points at once.
    """
    N = len(points)
    centred = points - points.mean(axis=0)
    distances = squared_distances(centred / max(float(np.abs(centred).max()), SMALLEST))
    np.fill_diagonal(distances, np.inf)  # a point is no neighbour of its own
    nearest = distances.min(axis=1, keepdims=True)
    distances -= nearest  # p(.|i) is the same, and one exponent at least is 0
    scale = np.maximum(np.median(distances + nearest, axis=1, keepdims=True), LEAST)
    low, high = np.full((N, 1), -60.0), np.full((N, 1), 60.0)  # of the logarithm of 1 / (2 sigma^2), by the scale
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        wide = _entropy(_conditional(distances, np.exp(middle) / scale)) > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    conditional = _conditional(distances, np.exp(low) / scale)
    return np.maximum((conditional + conditional.T) / (2 * N), LEAST)


def map_gradient(p: Values, places: Values) -> Values:
    """The gradient (N, 2) of the divergence for the places y (N, 2): equation 5,

    4 sum_j (p_ij - q_ij) (y_i - y_j) / (1 + |y_i - y_j|^2).
    """
    closeness = 1 / (1 + squared_distances(places))  # N, N: Student's t with one degree of freedom
    np.fill_diagonal(closeness, 0)
    force = (p - closeness / closeness.sum()) * closeness
    return 4 * (force.sum(axis=1, keepdims=True) * places - force @ places)


def squared_distances(points: Values) -> Values:
    """The squared distance of each point (N, D) from each other: (N, N)."""
    length = np.einsum("nd,nd->n", points, points)
    return np.maximum(length[:, None] + length - 2 * points @ points.T, 0)


def _conditional(distances: Values, precision: Values) -> Values:
    """p(j|i) (N, N), the j along a row: softmax of -precision * distance, where each row's least distance is 0."""
    weights = np.exp(-precision * distances)
    return weights / weights.sum(axis=1, keepdims=True)


def _entropy(p: Values) -> Values:
    """The entropy of each row (N, 1), in nats."""
    return -(p * np.log(np.maximum(p, SMALLEST))).sum(axis=1, keepdims=True)
