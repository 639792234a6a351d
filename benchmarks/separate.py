"""One side of one row, in a process of its own: what the pairs in one process are checked against.

`python -m benchmarks.separate minigrad step 0 2` prints the median seconds of the first row of the group `step`, with
two threads.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks import libraries
from benchmarks.table import GROUPS
from benchmarks.timing import timed


def measure(name: str, group: str, number: int, threads: int) -> float:
    """Seconds of one repetition, the median of 15 after a warm-up."""
    libraries.set_threads(name, threads)
    library = libraries.of_minigrad() if name == "minigrad" else libraries.of_torch()
    run = GROUPS[group].rows[number].make(library)
    repeat = max(1, int(0.3 / max(timed(run, 2), 1e-7)))
    return statistics.median(timed(run, repeat) for _ in range(15))


def ratio(group: str, number: int, threads: int) -> float:
    """Ours over PyTorch's, each in a new process."""
    ours, theirs = (
        float(
            subprocess.run(
                [sys.executable, "-m", "benchmarks.separate", name, group, str(number), str(threads)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
        )
        for name in ("minigrad", "torch")
    )
    return ours / theirs


if __name__ == "__main__":
    print(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
