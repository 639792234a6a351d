"""The cross-entropy of few rows, where the number of calls is what costs and not the arithmetic.

`cpu_loss` goes through rows in blocks, shares them out over threads and serves every setting. On 16 x 4 logits that
takes 21 microseconds forward and 20 back; the plain loss, of targets none of which is ignored, takes 7 and 4 here.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]

FEW = 1 << 12  # logits; from there on blocks are as fast


class Few(NamedTuple):
    """What backward needs; N rows, V classes."""

    exponentials: Array  # N, V: exp(z - max z)
    total: Array  # N, 1: their sums
    target: Array  # N
    divisor: int  # what the sum of the losses was divided by


def fits(logits: Array, target: Array, ignore_index: int, reduction: str) -> bool:
    """Whether this is a plain loss of few rows. Each index exists or is ignored."""
    return (
        0 < logits.size <= FEW
        and logits.dtype.char in "fd"
        and reduction != "none"
        and ignore_index < 0
        and bool(np.minimum.reduce(target) >= 0)
    )


def forward(logits: Array, target: Array, reduction: str) -> tuple[Array, Few]:
    """The sum or mean over the rows of log sum_c exp(z[c]) - z[y]."""
    N = len(logits)
    z = logits - np.maximum.reduce(logits, axis=1, keepdims=True)
    exponentials = np.exp(z)
    total = np.add.reduce(exponentials, axis=1, keepdims=True)
    loss = np.add.reduce(np.log(total[:, 0]) - z[np.arange(N), target])
    divisor = N if reduction == "mean" else 1
    return loss / divisor, Few(exponentials, total, target, divisor)


def backward(few: Few, g: Array) -> Array:
    """g (p - [c = y]) / divisor."""
    scale = g / few.divisor
    d_logits = few.exponentials * (scale / few.total)
    d_logits[np.arange(len(d_logits)), few.target] -= scale
    return d_logits
