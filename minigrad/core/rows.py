"""Row-sparse gradients: what looking rows up in a table gives, carried through the engine without a dense table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.backend import Array, namespace

if TYPE_CHECKING:
    from minigrad.core.tensor import Tensor


class Rows:
    """A gradient that is zero but for some rows of a table: what looking rows up in an embedding gives.

    `index` (n,) and `values` (n, *table.shape[1:]); a row may occur several times, its values then add up.
    """

    __slots__ = ("_index", "_values", "keep", "shape")
    is_sparse = True
    requires_grad = False

    def __init__(self, index: Array, values: Array, shape: tuple[int, ...], keep: bool = False) -> None:
        self._index, self._values, self.shape = index, values, shape
        self.keep = keep  # whether `.grad` stays sparse (`Embedding(sparse=True)`)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type of the values."""
        return self._values.dtype

    def indices(self) -> Tensor:
        """The row numbers (n,)."""
        from minigrad.core.tensor import wrap

        return wrap(self._index)

    def values(self) -> Tensor:
        """The rows (n, *rest)."""
        from minigrad.core.tensor import wrap

        return wrap(self._values)

    def is_thin(self) -> bool:
        """Whether it is worth while to stay rows: they are few, and on the host. A device would have to be waited for
        to find out which of them are the same."""
        return isinstance(self._values, np.ndarray) and 4 * len(self._index) < self.shape[0]

    def coalesce(self) -> Rows:
        """The same gradient with each row number once, in order."""
        from minigrad import kernels

        index, values = kernels.of(self._values).sum_rows(self._index, self._values)
        return Rows(index, values, self.shape, self.keep)

    def clone(self) -> Rows:
        """The same gradient in memory of its own."""
        return Rows(self._index.copy(), self._values.copy(), self.shape, self.keep)

    def to_dense(self) -> Tensor:
        """The whole table."""
        from minigrad.core.tensor import wrap

        return wrap(self.add_to(namespace(self._values).zeros(self.shape, self._values.dtype)))

    def add_to(self, table: Array) -> Array:
        """Add the rows to `table`, in place."""
        from minigrad import kernels

        kernels.of(table).add_rows(table, self._index, self._values)
        return table

    def __add__(self, other: Rows) -> Rows:
        xp = namespace(self._values)
        return Rows(
            xp.concatenate([self._index, other._index]),
            xp.concatenate([self._values, other._values]),
            self.shape,
            self.keep and other.keep,
        )

    def __repr__(self) -> str:
        return f"Rows(n={len(self._index)}, shape={self.shape}, dtype={self.dtype})"
