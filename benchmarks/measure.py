"""Each part of the measurements; the rows of a group are printed as soon as they are known."""

from __future__ import annotations

import torch  # noqa: F401  # what all this is beside: missing, it fails here and not after minutes

from benchmarks import growth as growing
from benchmarks import libraries, lstm_lm, memory, separate
from benchmarks import peers as other_engines
from benchmarks.results import HEADER, Measured, Results, setting
from benchmarks.small import chain
from benchmarks.table import GROUPS
from benchmarks.timing import compare


def begin(threads: int) -> Results:
    """Set the threads, and say on what is measured."""
    for name in ("torch", "minigrad"):
        libraries.set_threads(name, threads)
    print(", ".join(f"{name} {value}" for name, value in setting(threads).items()))
    print(HEADER, flush=True)
    return Results(threads)


def group(name: str, rounds: int, results: Results) -> None:
    """Each row of a group, beside PyTorch and beside its floor."""
    for row in GROUPS[name].rows:
        ours, theirs = row.make(libraries.of_minigrad()), row.make(libraries.of_torch())
        found = Measured(name, compare(row.name, ours, theirs, rounds=rounds), row.flops)
        del theirs
        if row.floor is not None:
            found.beside_floor = compare(row.name, ours, row.floor(), rounds=rounds)
        results.rows.append(found)
        print(found.line(), flush=True)


def peaks(results: Results) -> None:
    """Peak memory of the training steps."""
    for fused in (False, True):
        for number, size in enumerate(lstm_lm.SIZES):
            ours, theirs = (memory.in_a_process(name, number, fused, results.threads) for name in ("minigrad", "torch"))
            results.memory[f"LSTM-LM {size}{' fused loss' if fused else ''}"] = (ours, theirs)


def separately(results: Results) -> None:
    """The training steps once more, no other library in the process."""
    for name in ("step", "fused"):
        for number, row in enumerate(GROUPS[name].rows):
            results.separate[row.name] = separate.ratio(name, number, results.threads)


def growth(results: Results) -> None:
    """How our cost grows."""
    results.growth = growing.measure(libraries.of_minigrad())


def peers(rounds: int, results: Results) -> None:
    """Ours beside other engines at the small work."""
    for name in other_engines.installed():
        ours = chain(libraries.of_minigrad())
        results.peers.append(compare(f"300 ops on 8 x 8, {name}", ours, other_engines.CHAINS[name](), rounds=rounds))
