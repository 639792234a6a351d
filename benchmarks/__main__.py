"""`python -m benchmarks`: a table of ratios minigrad / PyTorch on this machine. Below 1, minigrad is faster."""

from __future__ import annotations

import argparse
import os
import platform
import sys

from benchmarks import lstm_lm, small
from benchmarks.timing import HEADER, compare


def main() -> int:
    """Measure, print, and say what on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="pairs of measurements for each row (15)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads for both libraries")
    arguments = parser.parse_args()
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
