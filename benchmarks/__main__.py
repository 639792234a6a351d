"""`python -m benchmarks`: the same work on minigrad and PyTorch, in turn, on this machine. Below 1, ours is faster."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

# Settings that tie the matrix products of one side to an older processor and leave the other side free.
TIES = (
    "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY", "NPY_DISABLE_CPU_FEATURES",
)  # fmt: skip


def free_both_sides() -> None:
    """Take such settings out, and say so. The libraries read them when they are loaded, so this comes first of all."""
    for name in TIES:
        if name in os.environ:
            print(f"{name}={os.environ.pop(name)} was set, and is not for these measurements (--as-set keeps it)")


def main() -> int:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*",
        help="only these: step fused layers small generate optim dense sparse sparse-both, and beyond them memory "
        "(peaks of the steps, Linux), separate (the steps, each side in its own process), growth (of our cost), "
        "peers (MyGrad and autograd at the small work, where installed)",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="all groups, and memory, separate, growth, peers")
    parser.add_argument("--rounds", type=int, default=15, help="pairs of measurements for each row, at least 2 (15)")
    parser.add_argument("--threads", type=int, default=processors(), help="threads for both libraries")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the ratios there (.svg, .png)")
    parser.add_argument("--as-set", action="store_true", help="keep environment settings that tie one side's products")
    arguments = parser.parse_args()
    if not arguments.as_set:
        free_both_sides()
    try:
        import nlp  # noqa: F401  # before NumPy: BLAS's threads rest between products as where `nlp train` runs
        from benchmarks import measure
    except ModuleNotFoundError as error:
        print(f'{error.name} is missing, which the benchmarks need: pip install "minigrad[bench]"', file=sys.stderr)
        return 2
    if arguments.rounds < 2:
        parser.error("--rounds: quartiles need at least 2 rounds")
    beyond: dict[str, Callable[[Any], None]] = {
        "memory": measure.peaks, "separate": measure.separately, "growth": measure.growth,
        "peers": partial(measure.peers, arguments.rounds),
    }  # fmt: skip
    chosen = arguments.parts or [*measure.GROUPS, *(beyond if arguments.all else [])]
    if unknown := [name for name in chosen if name not in measure.GROUPS and name not in beyond]:
        parser.error(f"there is no part {', '.join(unknown)}: choose of {', '.join([*measure.GROUPS, *beyond])}")
    results = measure.begin(arguments.threads)
    parts = [beyond[name] if name in beyond else partial(measure.group, name, arguments.rounds) for name in chosen]
    for part in parts:
        part(results)
        if arguments.json:
            results.save(arguments.json)  # after each part: a later one may fail
        if arguments.picture and results.rows:
            results.draw(arguments.picture)
    print(results.text())
    return 0


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
