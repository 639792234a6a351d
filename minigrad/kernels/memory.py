"""Large arrays whose memory is used again.

A training step needs the same large arrays as the step before. Given back to the system and asked for again, their
pages are mapped and zeroed anew: in a step of a language model of 2 x 650 LSTM units and 10,000 words that is 3,100
page faults and about 15 ms of 600 (processor time, on a virtual machine). So the memory of large arrays stays here, and
is lent again once nothing else refers to it, which CPython's reference count tells. The caller sees an ordinary array.
"""

import math
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

SMALL = 1 << 18  # bytes; below, the C library keeps memory for reuse by itself
LIMIT = 1 << 28  # bytes kept at most; memory beyond it is let go, the longest unused first

_blocks: list[np.ndarray[Any, Any]] = []  # the least recently lent first
_lock = threading.Lock()


def _references(blocks: list[np.ndarray[Any, Any]], place: int) -> int:
    return sys.getrefcount(blocks[place])


_IDLE = _references([np.empty(0)], 0)  # what it says of a block to which nothing but the list refers


def empty(shape: Sequence[int], dtype: Any) -> np.ndarray[Any, Any]:
    """np.empty(shape, dtype), C-ordered, in memory that was used before where a fitting piece is free."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < SMALL:
        return np.empty(shape, dtype)
    with _lock:
        block = _take(size)
        _blocks.append(block)
    return block[:size].view(dtype).reshape(shape)  # a view: it holds on to the block


def is_alone(view: np.ndarray[Any, Any]) -> bool:
    """Whether `view`, which came from `empty`, is the only thing that looks at its block. False for other arrays."""
    with _lock:
        for place in range(len(_blocks)):
            if _blocks[place] is view.base:
                return _references(_blocks, place) == _IDLE + 1
    return False


def _take(size: int) -> np.ndarray[Any, Any]:
    """A free block of `size` bytes or a little more, out of the list or new."""
    for place in range(len(_blocks)):
        if size <= _blocks[place].nbytes <= size + size // 4 and _references(_blocks, place) == _IDLE:
            return _blocks.pop(place)
    spare = LIMIT - size
    for place in range(len(_blocks) - 1, -1, -1):  # the most recently lent may stay
        spare -= _blocks[place].nbytes
        if spare < 0:
            del _blocks[: place + 1]
            break
    return np.empty(size, np.uint8)
