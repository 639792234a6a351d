"""One launch for many arrays: the same body over the arrays of all parameters of a model.

A launch takes the host longer than the card needs for a bias. So the addresses and sizes of up to MANY arrays go along
with one launch, in a table that is itself an argument (as in the "multi-tensor apply" of NVIDIA's Apex): nothing is
copied to the card first. The row of blocks `y` works on the y-th array.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import cupy
import numpy as np

from minigrad.backend import device_of, on
from minigrad.kernels.common import Array
from minigrad.kernels.cuda_source import MANY, Body, Sum, over_many, parameters

BLOCK = 256  # threads
BLOCKS = 1024  # blocks in a row at most: about eight on each of a large card's multiprocessors
REALS = {"f": "float", "d": "double"}
NUMBERS = {"bool": np.bool_, "int64": np.int64}


def grouped(calls: Sequence[tuple[Array, ...]]) -> tuple[list[list[tuple[Array, ...]]], list[tuple[Array, ...]]]:
    """Those that can share launches, by card and dtype, and those that cannot.

    A tuple's arrays, the raw ones aside, are of one size; to be a row of the table all must lie on one card, in float
    or double, one element after the other.
    """
    groups: dict[object, list[tuple[Array, ...]]] = {}
    alone = []
    for arrays in calls:
        kinds = {(device_of(array), array.dtype.char) for array in arrays}
        kind = kinds.pop()
        if not kinds and kind[1] in REALS and all(array.flags.c_contiguous for array in arrays):
            groups.setdefault(kind, []).append(arrays)
        else:
            alone.append(arrays)
    return list(groups.values()), alone


def run_many(body: Body, calls: Sequence[tuple[Array, ...]], numbers: Sequence[float]) -> None:
    """The body over every tuple of arrays in `calls`, a group, with the same numbers."""
    real = calls[0][-1].dtype.type
    kinds = [kind for _, kind, _ in parameters(body.numbers)]
    # Nothing converts what goes along with a launch: each number comes in the type that the text names.
    exact = [NUMBERS.get(kind, real)(number) for kind, number in zip(kinds, numbers, strict=True)]
    for rows in _parts(calls):
        _launch(body, rows, _width(rows, BLOCKS), exact)


def sum_many(sum: Sum, calls: Sequence[tuple[Array, ...]]) -> Array:
    """The sum over all elements of all the tuples in `calls`, a group: a 0-d array.

    Each thread leaves a sum of its own, and CuPy adds those up: in an order that never changes.
    """
    totals = []
    for rows in _parts(calls):
        width = _width(rows, BLOCKS // 8)
        with on(device_of(rows[0][0])):
            of_threads = cupy.empty((len(rows) * width * BLOCK,), rows[0][0].dtype)
        _launch(sum, rows, width, [of_threads])
        totals.append(of_threads.sum())
    return functools.reduce(cupy.add, totals)


def _parts(calls: Sequence[tuple[Array, ...]]) -> Iterator[Sequence[tuple[Array, ...]]]:
    for start in range(0, len(calls), MANY):
        yield calls[start : start + MANY]


def _width(rows: Sequence[tuple[Array, ...]], most: int) -> int:
    """How many blocks are in a row: a thread for each element of the largest array, as far as they go."""
    return max(1, min(most, -(-max(_size(row) for row in rows) // BLOCK)))


def _size(row: tuple[Array, ...]) -> int:
    return int(row[-1].size)  # what comes before may be raw, and of another size


def _launch(kernel: Body | Sum, rows: Sequence[tuple[Array, ...]], width: int, rest: Sequence[Any]) -> None:
    """One launch for up to MANY rows of the table."""
    table = np.zeros(1, [("size", np.int64, MANY), ("array", np.uint64, (len(rows[0]), MANY))])
    table["size"][0, : len(rows)] = [_size(row) for row in rows]
    table["array"][0, :, : len(rows)] = [[address(array) for array in kind] for kind in zip(*rows, strict=True)]
    with on(device_of(rows[0][0])):
        _compiled(kernel, REALS[rows[0][0].dtype.char])((width, len(rows)), (BLOCK,), (table, *rest))


def address(array: Array) -> int:
    """Where on the card the first element is."""
    return int(array.data.ptr)


@functools.cache
def _compiled(kernel: Body | Sum, real: str) -> Array:
    return cupy.RawKernel(over_many(kernel, real), f"{kernel.name}_many_{real}")
