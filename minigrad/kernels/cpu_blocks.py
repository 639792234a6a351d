"""Elementwise work on large arrays for NumPy: in blocks that stay in the cache, shared out over threads.

A block takes its arrays from the first pass to the last before the next block has its turn, and needs one scratch array
of its size, in place of temporaries of the arrays' size.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from minigrad.kernels import pool

Array: TypeAlias = np.ndarray[Any, Any]
Update: TypeAlias = Callable[..., None]  # update(*views, scratch) writes into the views
Blocks: TypeAlias = list[tuple[Update, list[Array | None]]]  # and the views of each block

# Elements of a block: 512 KiB of float32, so that what one pass leaves behind is near for the next. Adam over 5 million
# takes 6.4 ms of one thread; in blocks of 1 << 14, with eight times as many calls, 7.8. Half the size is as good on one
# thread, but each call asks for the interpreter lock, and two threads sometimes wait for each other there.
BLOCK = 1 << 17


class _Waiting(threading.local):
    """The blocks that wait for the end of `together`, in this thread; None outside of it."""

    blocks: Blocks | None = None
    written: Sequence[Array] = ()  # what they write


_waiting = _Waiting()


@contextmanager
def together() -> Iterator[None]:
    """Inside, updates of large arrays wait; at the end all their blocks are shared out over the threads at once.

    To wake a thread for each of a model's large parameters costs 50 to 100 microseconds every time.
    """
    _begin([])
    try:
        yield
    finally:
        _begin(None)


def _begin(waiting: Blocks | None) -> None:
    """Do what waited until now; from now on what comes waits in `waiting`, or does not."""
    blocks, _waiting.blocks, _waiting.written = _waiting.blocks, waiting, []
    if blocks:
        _run(blocks)


def in_blocks(update: Update, arrays: Sequence[Array | None]) -> None:
    """Call update(*views, scratch) on blocks of the arrays, which all have one shape (None stays None)."""
    first: Any = arrays[0]
    if first.ndim and first.size <= BLOCK:  # most parameters of a model: sharing out costs more than the update
        update(*arrays, np.empty_like(first))
        return
    if all(array is None or array.flags.c_contiguous for array in arrays):
        arrays = [None if array is None else array.reshape(-1) for array in arrays]  # views: writing reaches the arrays
        first = first.reshape(-1)  # a 0-d array, whose ufuncs would give scalars, has an element now
    # As many blocks for each thread, all of one size.
    threads = pool.get_num_threads()
    count = -(-first.size // (BLOCK * threads)) * threads
    rows = max(1, -(-len(first) // max(1, count)))
    blocks: Blocks = [
        (update, [None if array is None else array[block] for array in arrays])
        for block in pool.blocks(0, len(first), rows)
    ]
    if _waiting.blocks is None:
        _run(blocks)
        return
    if any(np.may_share_memory(first, other) for other in _waiting.written):  # then one comes after the other
        _begin([])
    _waiting.blocks += blocks
    _waiting.written = [*_waiting.written, first]


def _run(blocks: Blocks) -> None:
    """Each thread does as many of the blocks as any other, with the same scratch array for those of one kind."""

    def work(start: int, stop: int) -> None:
        scratch = np.empty(0)
        for update, arrays in blocks[start:stop]:
            like: Any = arrays[0]
            if scratch.size < like.size or scratch.dtype != like.dtype:
                scratch = np.empty(like.size, like.dtype)
            update(*arrays, scratch[: like.size].reshape(like.shape))

    pool.share(work, len(blocks), 1)
