"""The linear layer in plain array functions: N rows, D features in, C out."""

from minigrad.backend import namespace
from minigrad.kernels.common import Array


def linear(input: Array, weight: Array, bias: Array | None) -> Array:
    """input (N, D) @ weight (C, D) transposed + bias (C) or None: (N, C)."""
    out = namespace(input).matmul(input, weight.T)
    if bias is not None:
        out += bias
    return out


def sum_of_rows(input: Array) -> Array:
    """The rows (N, C) added up: (C,)."""
    precise = "f" if input.dtype.char == "e" else None  # half precision stops counting at 2048
    return input.sum(axis=0, dtype=precise).astype(input.dtype, copy=False)
