"""The differentiable functions. Each file holds forwards and rules side by side, and puts its methods on Tensor.

Where a new one goes: `elementwise` (each element for itself), `arithmetic` (two numbers make one), `comparison` (and
choosing by a condition), `special` (functions that array libraries lack), `reduction` (fewer elements come out),
`extremum` (the largest, the middle one), `cumulative` (running sums), `shape` (the same elements, arranged otherwise),
`joining` (several tensors made one, or the reverse), `diagonals`, `indexing` (some elements, or writing to some),
`gathering` (a place for each element), `sorting`, `linalg` (products), `einsum`, `softmax` (its family),
`creation` (tensors from nothing), `drawing` (random ones), `filling` (writing all elements), `conversion` (dtype and
device), `fused` (hand-written pairs).
"""

from minigrad.ops import (
    arithmetic,
    comparison,
    conversion,
    creation,
    cumulative,
    diagonals,
    drawing,
    einsum,
    elementwise,
    extremum,
    filling,
    fused,
    gathering,
    indexing,
    joining,
    linalg,
    reduction,
    shape,
    softmax,
    sorting,
    special,
)
from minigrad.ops.method import TOP_LEVEL

__all__ = [
    "TOP_LEVEL", "arithmetic", "comparison", "conversion", "creation", "cumulative", "diagonals", "drawing", "einsum",
    "elementwise", "extremum", "filling", "fused", "gathering", "indexing", "joining", "linalg", "reduction", "shape",
    "softmax", "sorting", "special",
]  # fmt: skip
