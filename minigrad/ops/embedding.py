"""Rows of a table by number: the first layer of every language model.

The gradient of the table is zero but for the rows that were looked up. It stays rows inside the engine (`Rows`), which
for a large vocabulary is most of the speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.backend import Array, namespace
from minigrad.core import dtypes
from minigrad.core.fused import fused
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor, wrap
from minigrad.core.views import count_write
from minigrad.ops.bounds import first_outside
from minigrad.ops.comparison import eq, where
from minigrad.ops.reduction import norm


def embedding_in_primitives(
    input: Tensor,
    weight: Tensor,
    *,
    padding_idx: int | None = None,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of `weight` (V, D) at the places in `input` (...): (..., D)."""
    rows = weight[input.to(dtypes.int64)]  # as an index, a tensor of uint8 would be a mask
    if padding_idx is not None:
        is_padding = eq(input, padding_idx).unsqueeze(-1)
        rows = where(is_padding, rows.detach(), rows)  # the value without its gradient
    if scale_grad_by_freq:
        share = wrap(_shares(input._array, weight.shape[0], rows.dtype)).unsqueeze(-1)
        rows = rows * share + (rows * (1 - share)).detach()  # the value, with a part of its gradient
    return rows


def _shares(index: Array, V: int, dtype: Any) -> Array:
    """1 over how often each place's row number occurs in `index`, in its shape."""
    xp = namespace(index)
    counts = xp.zeros((V,), dtype)
    xp.add.at(counts, index.reshape(-1), 1)
    return 1 / counts[index]


@fused(composite=embedding_in_primitives)
def embedding_rows(
    input: Array, weight: Array,
    *, padding_idx: int | None = None, scale_grad_by_freq: bool = False, sparse: bool = False, keep: bool,
) -> Any:  # fmt: skip
    """Rows of `weight` (V, D) at the places in `input` (...): (..., D)."""
    # For 700 rows take() needs half the time of weight[input]; but it would copy a table of other strides.
    rows = namespace(weight).take(weight, input, axis=0) if weight.flags.c_contiguous else weight[input]
    return rows, (input, weight.shape, padding_idx, scale_grad_by_freq, sparse) if keep else None


@embedding_rows.backward
def _embedding_backward(residuals: Any, g: Array, needs: tuple[bool, ...]) -> Sequence[Any]:
    input, shape, padding_idx, scale_grad_by_freq, sparse = residuals
    index, rows = input.reshape(-1), g.reshape(input.size, shape[1])
    if scale_grad_by_freq:
        rows = rows * _shares(index, shape[0], rows.dtype)[:, None]
    if padding_idx is not None:
        # Weighed by 0 rather than left out: how many there are is only known on the device.
        rows = rows * (index != padding_idx).astype(rows.dtype)[:, None]
    return None, Rows(index, rows, shape, keep=sparse)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of a table by number, as `torch.nn.functional.embedding`.

    Args:
        input: row numbers (...), integers from 0 to V - 1.
        weight: the table (V, D). The result is (..., D).
        padding_idx: the row that gets no gradient; negative ones count from the end.
        max_norm: rows that are looked up and whose `norm_type`-norm is larger are first scaled down to it, in place.
        scale_grad_by_freq: divide the gradient of a row by how often it was looked up here.
        sparse: let `weight.grad` stay rows rather than a whole table.

    Raises IndexError for a row number that does not exist (on a GPU nothing looks: that would wait for the device),
    RuntimeError for a table that is no matrix or numbers that are no integers.
    """
    if weight.ndim != 2:
        raise RuntimeError(f"embedding: weight must be a table (V, D), got shape {tuple(weight.shape)}")
    if not isinstance(input, Tensor) or input.dtype.kind not in "iu":
        found = input.dtype if isinstance(input, Tensor) else type(input).__name__
        raise RuntimeError(f"embedding: input must be a tensor of integers, the row numbers, got {found}")
    V = weight.shape[0]
    if padding_idx is not None:
        if not -V <= padding_idx < V:
            raise IndexError(f"embedding: padding_idx is {padding_idx}, the table has {V} rows")
        padding_idx %= V
    place = first_outside(input._array, V)
    if place is not None:
        raise IndexError(
            f"embedding: input{list(place) if place else ''} is row {input._array[place]}, the table has {V} rows, "
            f"0 to {V - 1}"
        )
    if max_norm is not None:
        _limit_norms(weight, input._array, max_norm, norm_type)
    return embedding_rows(input, weight, padding_idx=padding_idx, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)


def _limit_norms(weight: Tensor, index: Array, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are looked up down to `max_norm`, as PyTorch does before it reads them; not recorded."""
    table = weight._array
    xp = namespace(table)
    rows = table[index]
    norms = norm(wrap(rows), norm_type, -1, keepdim=True)._array
    scale = xp.where(norms > max_norm, max_norm / (norms + 1e-7), xp.ones_like(norms))
    table[index] = rows * scale  # a row looked up twice is written twice, with the same values
    count_write(weight)
