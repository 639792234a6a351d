"""`python -m benchmarks`: a table of ratios minigrad / PyTorch on this machine. Below 1, minigrad is faster."""

from __future__ import annotations

import argparse
import os
import platform
import sys

# Settings that tie the matrix products of one side to an older processor and leave the other side free.
TIES = ("OPENBLAS_CORETYPE", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")


def free_both_sides() -> None:
    """Take such settings out, and say so. The libraries read them when they are loaded, so this comes first of all."""
    for name in TIES:
        if name in os.environ:
            print(f"{name}={os.environ.pop(name)} was set, and is not for these measurements (--as-set keeps it)")


def main() -> int:
    """Measure, print, and say what on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="pairs of measurements for each row (15)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads for both libraries")
    parser.add_argument("--as-set", action="store_true", help="keep environment settings that tie one side's products")
    arguments = parser.parse_args()
    if not arguments.as_set:
        free_both_sides()
    from benchmarks import lstm_lm, small
    from benchmarks.timing import HEADER, compare

    try:
        import torch
    except ImportError:
        print('the benchmarks compare with PyTorch: pip install "minigrad[bench]"', file=sys.stderr)
        return 2
    import numpy

    import minigrad

    torch.set_num_threads(arguments.threads)
    minigrad.set_num_threads(arguments.threads)
    print(
        f"minigrad {minigrad.__version__}, NumPy {numpy.__version__}, PyTorch {torch.__version__}, "
        f"Python {platform.python_version()}, {platform.machine()}, {arguments.threads} threads"
    )
    print(HEADER)
    for size in lstm_lm.SIZES:
        for fused in (False, True):
            name = f"LSTM-LM step {size}{' fused loss' if fused else ''}"
            ours, theirs = lstm_lm.minigrad_step(size, fused), lstm_lm.torch_step(size, fused)
            print(compare(name, ours, theirs, rounds=arguments.rounds).row(), flush=True)
    print(compare("chain of 300 small ops", small.chain(minigrad), small.chain(torch), rounds=arguments.rounds).row())
    return 0


if __name__ == "__main__":
    sys.exit(main())
