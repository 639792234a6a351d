"""How the cost of ours grows: each quantity doubled, the time beside the arithmetic.

An exponent is the slope of log time over log size, next to that of the multiplications and additions. Small sizes cost
more than their arithmetic, so a time may grow more slowly than that, and must not grow faster. Where it does, for a
graph of thousands of nodes, it is Python's search for reference cycles, which goes through all that is alive time and
again: the row without it tells. For memory, the arithmetic is the number of logits, tokens times vocabulary.
"""

from __future__ import annotations

import gc
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks import lstm_lm, memory, small
from benchmarks.libraries import Library, Work
from benchmarks.timing import timed

BASE = lstm_lm.Size(V=8_000, H=256, L=1, T=32, B=32)


@dataclass(frozen=True)
class Growth:
    """What it took for each of `sizes`, in ms of time or MB of memory, and the arithmetic of it, in any unit."""

    name: str
    sizes: list[int]
    took: list[float]
    work: list[float]
    unit: str = "ms"

    @property
    def exponent(self) -> float:
        """Of what it took."""
        return _slope(self.sizes, self.took)

    @property
    def demanded(self) -> float:
        """Of the arithmetic."""
        return _slope(self.sizes, self.work)

    def row(self) -> str:
        """One line of the table."""
        shown = ", ".join(f"{one:.3g}" for one in self.took)
        span = f"{self.sizes[0]:>9,} to {self.sizes[-1]:>10,}"
        return f"{self.name:24s} {span}   {self.exponent:5.2f}  {self.demanded:5.2f}   {shown} {self.unit}"


HEADER = f"{'what grows':24s} {'from':>9s}    {'to':>10s}   took   work"


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

    def graph_alone(length: int) -> tuple[Work, float]:
        return _uncollected(small.chain(library, length)), length

    return [
        _grow("hidden size", step_of("H"), [128, 256, 512, 1024]),
        _grow("vocabulary", step_of("V"), [4_000, 8_000, 16_000, 32_000]),
        _grow("sequence length", step_of("T"), [16, 32, 64, 128]),
        _grow("batch", step_of("B"), [16, 32, 64, 128]),
        _grow("parameters, Adam", optimizer, [10**5, 10**6, 10**7, 5 * 10**7]),
        _grow("graph length", graph, [100, 1_000, 10_000, 50_000]),
        _grow("graph length, no gc", graph_alone, [100, 1_000, 10_000, 50_000]),
        _fused_loss([4_096, 8_192, 16_384, 32_768], BASE.V),
    ]


def _uncollected(work: Work) -> Work:
    """`work` while Python does not look for reference cycles, of which a graph has none."""

    def run() -> object:
        collects = gc.isenabled()
        gc.disable()
        try:
            return work()
        finally:
            if collects:
                gc.enable()

    return run


def _fused_loss(tokens: list[int], vocabulary: int) -> Growth:
    peaks = [memory.fused_loss_in_a_process(count, vocabulary) / 1e6 for count in tokens]
    return Growth("fused loss, tokens", tokens, peaks, [float(count) * vocabulary for count in tokens], "MB")


def _grow(name: str, make: Callable[[int], tuple[Work, float]], sizes: list[int]) -> Growth:
    times, work = [], []
    for size in sizes:
        run, amount = make(size)
        once = timed(run, 1)
        repeat = max(1, int(0.1 / max(once, 1e-6)))
        times.append(1e3 * statistics.median(timed(run, repeat) for _ in range(7)))
        work.append(amount)
    return Growth(name, sizes, times, work)


def _slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    return float(np.polyfit([math.log(one) for one in sizes], [math.log(one) for one in values], 1)[0])
