"""The linear layer for NumPy: see `reference_linear` for what it computes."""

from typing import Any, TypeAlias

import numpy as np

from minigrad.kernels import memory, pool, reference_linear

Array: TypeAlias = np.ndarray[Any, Any]

GRAIN = 1 << 16  # elements whose memory is worth asking for, and a thread of its own to add the bias to them


def linear(input: Array, weight: Array, bias: Array | None) -> Array:
    """input (N, D) @ weight (C, D) transposed + bias (C) or None: (N, C).

    700 rows of 33,278 words are 93 MB: in fresh pages the product takes 5 ms more of 84.
    """
    if len(input) * len(weight) < GRAIN:
        return reference_linear.linear(input, weight, bias)
    out = np.matmul(input, weight.T, out=memory.empty((len(input), len(weight)), input.dtype))
    if bias is not None:

        def add(start: int, stop: int) -> None:
            rows = out[start:stop]
            np.add(rows, bias, rows)

        pool.share(add, len(out), GRAIN // max(1, len(bias)))
    return out


def sum_of_rows(input: Array) -> Array:
    """The rows (N, C) added up: (C,). As a product this takes a quarter to a half of the time of a sum."""
    if input.dtype.char in "fd":
        return np.ones(len(input), input.dtype) @ input
    return reference_linear.sum_of_rows(input)
