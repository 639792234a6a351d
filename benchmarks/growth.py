"""How the cost of ours grows: each quantity doubled, the time beside the arithmetic.

An exponent is the slope of log time over log size, next to that of the multiplications and additions. Small sizes cost
more than their arithmetic, so a time may grow more slowly than that, and must not grow faster.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks import lstm_lm, small
from benchmarks.libraries import Library, Work
from benchmarks.timing import timed

BASE = lstm_lm.Size(V=8_000, H=256, L=1, T=32, B=32)


@dataclass(frozen=True)
class Growth:
    """`times` in seconds and `work` in any unit, for each of `sizes`."""

    name: str
    sizes: list[int]
    times: list[float]
    work: list[float]

    @property
    def exponent(self) -> float:
        """Of the time."""
        return _slope(self.sizes, self.times)

    @property
    def demanded(self) -> float:
        """Of the arithmetic."""
        return _slope(self.sizes, self.work)

    def row(self) -> str:
        """One line of the table."""
        shown = ", ".join(f"{time * 1e3:.3g}" for time in self.times)
        span = f"{self.sizes[0]:>9,} to {self.sizes[-1]:>10,}"
        return f"{self.name:24s} {span}   {self.exponent:5.2f}  {self.demanded:5.2f}   {shown} ms"


HEADER = f"{'what grows':24s} {'from':>9s}    {'to':>10s}   time   work"


def measure(library: Library) -> list[Growth]:
    """Every quantity in turn, the others as in `BASE`."""

    def step_of(letter: str) -> Callable[[int], tuple[Work, float]]:
        def make(value: int) -> tuple[Work, float]:
            size = replace(BASE, **{letter: value})
            return lstm_lm.step(library, size, fused=True), lstm_lm.flops(size)

        return make

    def optimizer(count: int) -> tuple[Work, float]:
        parameter = library.lib.zeros(count, requires_grad=True)
        parameter.grad = library.lib.ones(count)
        return library.optim.Adam([parameter]).step, count

    def graph(length: int) -> tuple[Work, float]:
        return small.chain(library, length), length

    return [
        _grow("hidden size", step_of("H"), [128, 256, 512, 1024]),
        _grow("vocabulary", step_of("V"), [4_000, 8_000, 16_000, 32_000]),
        _grow("sequence length", step_of("T"), [16, 32, 64, 128]),
        _grow("batch", step_of("B"), [16, 32, 64, 128]),
        _grow("parameters, Adam", optimizer, [10**5, 10**6, 10**7, 5 * 10**7]),
        _grow("graph length", graph, [100, 1_000, 10_000, 50_000]),
    ]


def _grow(name: str, make: Callable[[int], tuple[Work, float]], sizes: list[int]) -> Growth:
    times, work = [], []
    for size in sizes:
        run, amount = make(size)
        once = timed(run, 1)
        repeat = max(1, int(0.1 / max(once, 1e-6)))
        times.append(statistics.median(timed(run, repeat) for _ in range(7)))
        work.append(amount)
    return Growth(name, sizes, times, work)


def _slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    return float(np.polyfit([math.log(one) for one in sizes], [math.log(one) for one in values], 1)[0])
