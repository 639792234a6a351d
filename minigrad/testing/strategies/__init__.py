"""Hypothesis strategies for the arguments of ops.

- `shapes`, and `broadcastable` groups of them;
- `arrays` of plain `numbers`, away from kinks and without ties if asked; `special_values` and `special_arrays`;
  `integers`, `masks`; the `layouts` that `relaid` gives an array in memory;
- `axis`, `axes`, `axis_or_axes`: dimensions;
- `indices` of arrays and slices, and `any_indices` in every form NumPy takes;
- `einsums`: equations with their operands; `sequences`: padded batches with lengths;
- `graphs`: whole computations.
"""

from minigrad.testing.strategies.arrays import (
    Host,
    Interval,
    arrays,
    integers,
    layouts,
    masks,
    numbers,
    relaid,
    special_arrays,
    special_values,
)
from minigrad.testing.strategies.axes import axes, axis, axis_or_axes
from minigrad.testing.strategies.einsum import Einsum, einsums
from minigrad.testing.strategies.graphs import Graph, graphs
from minigrad.testing.strategies.indices import any_indices, indices
from minigrad.testing.strategies.sequences import Sequences, sequences
from minigrad.testing.strategies.shapes import Shape, broadcastable, shapes

__all__ = [
    "Einsum", "Graph", "Host", "Interval", "Sequences", "Shape", "any_indices", "arrays", "axes", "axis",
    "axis_or_axes", "broadcastable", "einsums", "graphs", "indices", "integers", "layouts", "masks", "numbers",
    "relaid", "sequences", "shapes", "special_arrays", "special_values",
]  # fmt: skip
