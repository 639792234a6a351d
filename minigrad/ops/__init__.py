"""The differentiable functions. Each file holds forwards and rules side by side, and puts its methods on Tensor.

Where a new one goes: `elementwise` (each element for itself), `reduction` (fewer elements come out), `shape` (the same
elements, arranged otherwise), `indexing` (some elements, or writing to some), `sorting`, `linalg` (products), `softmax` (its
family), `creation` (tensors from nothing), `conversion` (dtype and device), `fused` (hand-written pairs).
"""

from minigrad.ops import conversion, creation, elementwise, indexing, linalg, reduction, shape, softmax, sorting
from minigrad.ops.method import TOP_LEVEL

__all__ = ["TOP_LEVEL", "conversion", "creation", "elementwise", "indexing", "linalg", "reduction", "shape", "softmax", "sorting"]
