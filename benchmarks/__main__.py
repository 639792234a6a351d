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
    parser.add_argument("groups", nargs="*", help="only these groups of rows, e.g. step fused layers small optim")
    parser.add_argument("--rounds", type=int, default=15, help="pairs of measurements for each row (15)")
    parser.add_argument("--threads", type=int, default=processors(), help="threads for both libraries")
    parser.add_argument("--memory", action="store_true", help="peak memory of the steps, in separate processes (Linux)")
    parser.add_argument("--separate", action="store_true", help="the steps once more, each side in its own process")
    parser.add_argument("--growth", action="store_true", help="how our cost grows with each size")
    parser.add_argument("--peers", action="store_true", help="MyGrad and autograd at the small work, where installed")
    parser.add_argument("--all", action="store_true", help="all four of these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the ratios there (.svg, .png)")
    parser.add_argument("--as-set", action="store_true", help="keep environment settings that tie one side's products")
    arguments = parser.parse_args()
    if not arguments.as_set:
        free_both_sides()
    try:
        from benchmarks import measure
    except ModuleNotFoundError as error:
        print(f'{error.name} is missing, which the benchmarks need: pip install "minigrad[bench]"', file=sys.stderr)
        return 2
    if unknown := [name for name in arguments.groups if name not in measure.GROUPS]:
        print(f"there is no group {', '.join(unknown)}: choose of {', '.join(measure.GROUPS)}", file=sys.stderr)
        return 2
    results = measure.begin(arguments.threads)
    rounds, everything = arguments.rounds, arguments.all
    parts: list[Callable[[Any], None]] = [
        partial(measure.group, name, rounds) for name in arguments.groups or measure.GROUPS
    ]
    parts += [measure.peaks] if arguments.memory or everything else []
    parts += [measure.separately] if arguments.separate or everything else []
    parts += [measure.growth] if arguments.growth or everything else []
    parts += [partial(measure.peers, rounds)] if arguments.peers or everything else []
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
