"""How far to go along a direction: a line search to the strong Wolfe conditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigrad.backend import Array


@dataclass(frozen=True)
class Point:
    """A place on the line x + t * direction that has been evaluated."""

    t: float
    loss: float
    gradient: Array  # (n)
    slope: float  # of the loss along the direction: gradient . direction


def strong_wolfe(
    evaluate: Callable[[float], Point],
    start: Point,
    t: float,
    reach: float,
    budget: int,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance_change: float = 1e-9,
) -> tuple[Point, int]:
    """A point where the loss has fallen enough and its slope is flat enough, and how often the loss was evaluated.

    Nocedal & Wright, Numerical Optimization (2006), algorithms 3.5 and 3.6, with the cubic steps of minFunc, which
    PyTorch's L-BFGS takes too. The two conditions: loss <= start.loss + c1 * t * start.slope, and
    |slope| <= c2 * |start.slope|.

    Args:
        start: the point t = 0, where the slope is negative.
        t: the first distance to try.
        reach: the largest element of the direction. A bracket in which no parameter can move by `tolerance_change` or
            more is left.
        budget: evaluations after the first; when they are used up, the lowest point so far is the answer.
    """

    def too_high(point: Point) -> bool:
        return point.loss > start.loss + c1 * point.t * start.slope

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -c2 * start.slope

    # Bracket: go further until a point in between must fulfil both conditions.
    before, now, used = start, evaluate(t), 1
    while used <= budget:
        if too_high(now) or (used > 2 and now.loss >= before.loss):
            break
        if flat(now):
            return now, used
        if now.slope >= 0:
            break
        t = _cubic_minimum(before, now, now.t + 0.01 * (now.t - before.t), 10 * now.t)
        before, now, used = now, evaluate(t), used + 1
    else:
        before = start

    # Zoom: `low` is the lowest point so far, and the one looked for lies between it and `high`.
    low, high = (before, now) if before.loss <= now.loss else (now, before)
    stalled = False
    while used <= budget and abs(high.t - low.t) * reach >= tolerance_change:
        t, stalled = _trial(low, high, stalled)
        new, used = evaluate(t), used + 1
        if too_high(new) or new.loss >= low.loss:
            low, high = (new, low) if new.loss < low.loss else (low, new)
            continue
        if flat(new):
            return new, used
        if new.slope * (high.t - low.t) >= 0:
            high = low
        low = new
    return low, used


def _trial(low: Point, high: Point, stalled: bool) -> tuple[float, bool]:
    """The next distance between two points, and whether it lies near an end: a second time it is moved inwards."""
    left, right = sorted((low.t, high.t))
    t, margin = _cubic_minimum(low, high, left, right), 0.1 * (right - left)
    if min(right - t, t - left) >= margin:
        return t, False
    if not stalled and left < t < right:
        return t, True
    return (right - margin if right - t < t - left else left + margin), False


def _cubic_minimum(one: Point, other: Point, lowest: float, highest: float) -> float:
    """Where the cubic through two points with their slopes is lowest, within bounds (Nocedal & Wright, eq. 3.59)."""
    left, right = (one, other) if one.t <= other.t else (other, one)
    with np.errstate(all="ignore"):  # a straight line divides by zero: its minimum is infinitely far, at a bound
        width = np.float64(right.t - left.t)
        d1 = left.slope + right.slope - 3 * (right.loss - left.loss) / width
        square = d1 * d1 - left.slope * right.slope
        t = right.t - width * ((right.slope + np.sqrt(square) - d1) / (right.slope - left.slope + 2 * np.sqrt(square)))
    if not square >= 0 or np.isnan(t):
        return (lowest + highest) / 2
    return float(min(max(t, lowest), highest))
