"""Timing two ways of doing the same work so that the answer can be trusted on a noisy machine.

The two take turns, with a pause before each so that one library's spinning threads are asleep when the other
starts. After a pause Linux wakes the threads of a program on one core and spreads them again in a tenth of a second or
so, so that each works as long before the clock starts. What counts is the ratio of neighbours in time; its median is
quoted, with the quartiles as the spread.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from benchmarks.libraries import Work


@dataclass(frozen=True)
class Comparison:
    """What `compare` measured: seconds are medians for one repetition, `ratio` is ours over theirs."""

    name: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    rounds: int


def timed(work: Work, repeat: int) -> float:
    """Seconds for one of `repeat` repetitions."""
    start = time.perf_counter()
    for _ in range(repeat):
        work()
    return (time.perf_counter() - start) / repeat


def compare(
    name: str,
    ours: Work,
    theirs: Work,
    *,
    rounds: int = 15,
    seconds: float = 0.3,
    pause: float = 0.15,
    warm: float = 0.15,
) -> Comparison:
    """Time both in turn for `rounds` rounds of about `seconds` a side, after `pause` seconds of rest and about `warm`
    of the same work."""
    for work in (ours, theirs):
        timed(work, 2)  # what only the first calls do
    one = max(timed(ours, 2), 1e-7)
    repeat, before = max(1, int(seconds / one)), max(1, int(warm / one))
    pairs = []
    for position in range(rounds):
        sides = [(ours, 0), (theirs, 1)]
        times = [0.0, 0.0]
        for work, side in sides if position % 2 == 0 else reversed(sides):
            time.sleep(pause)
            timed(work, before)
            times[side] = timed(work, repeat)
        pairs.append(times)
    ratios = sorted(a / b for a, b in pairs)
    quartiles = statistics.quantiles(ratios, n=4)
    return Comparison(
        name,
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(ratios),
        quartiles[0],
        quartiles[2],
        rounds,
    )
