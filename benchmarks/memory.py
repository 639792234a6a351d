"""Peak memory of a training step over the memory after import, each library in a process of its own (Linux).

`python -m benchmarks.memory minigrad 0 2` prints the bytes for the first of the step's sizes on two threads; `fused` as
a fourth word takes `F.linear_cross_entropy`; `python -m benchmarks.memory loss 4096 8000` is that loss alone, of
so many tokens and words. A tiny step comes before: what a library loads with its first step is no memory of the step's.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import libraries, lstm_lm
from benchmarks.libraries import Work

STEPS = 5
TINY = lstm_lm.Size(V=50, H=8, L=1, T=2, B=2)


def _status(field: str) -> int:
    """Of this process, in bytes: VmRSS is what it has now, VmHWM the most it has had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def measure(name: str, number: int, threads: int, fused: bool) -> int:
    """The most that `STEPS` steps in this process take besides what the import took, in bytes."""
    library = libraries.of_minigrad() if name == "minigrad" else libraries.of_torch()
    libraries.set_threads(name, threads)
    lstm_lm.step(library, TINY, fused)()
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts again from here
    before = _status("VmRSS")
    run = lstm_lm.step(library, lstm_lm.SIZES[number], fused)
    for _ in range(STEPS):
        run()
    return _status("VmHWM") - before


def fused_loss(tokens: int, vocabulary: int, features: int = 64) -> int:
    """The most that `F.linear_cross_entropy` and its gradients take besides its arguments, in bytes."""
    library = libraries.of_minigrad()
    lib, F = library.lib, library.F

    def loss_of(tokens: int, vocabulary: int) -> Work:
        rng = np.random.default_rng(0)
        hidden, weight = (
            lib.tensor(rng.standard_normal((rows, features), dtype=np.float32), requires_grad=True)
            for rows in (tokens, vocabulary)
        )
        target = lib.tensor(rng.integers(0, vocabulary, tokens))
        return lambda: F.linear_cross_entropy(hidden, weight, target).backward()

    loss_of(2, 2)()
    run = loss_of(tokens, vocabulary)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def in_a_process(name: str, number: int, fused: bool, threads: int) -> int:
    """`measure`, in a new process."""
    return _run(name, str(number), str(threads), *(["fused"] if fused else []))


def fused_loss_in_a_process(tokens: int, vocabulary: int) -> int:
    """`fused_loss`, in a new process."""
    return _run("loss", str(tokens), str(vocabulary))


def _run(*words: str) -> int:
    command = [sys.executable, "-m", "benchmarks.memory", *words]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    if sys.argv[1] == "loss":
        print(fused_loss(int(sys.argv[2]), int(sys.argv[3])))
    else:
        print(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:] == ["fused"]))
