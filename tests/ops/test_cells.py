"""Cells in detail: what the few operations of a step depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.ops import cells


@given(st.integers(0, 3), st.integers(1, 3), st.sampled_from("fd"), st.integers(0, 2**32 - 1))
def test_many_sequences_are_stepped_as_few(B: int, H: int, kind: str, seed: int) -> None:
    """Beyond `SMALL` the factors of the gates are a row for all sequences, with the same results to the last bit."""
    rng = np.random.default_rng(seed)
    shapes: list[tuple[int, ...]] = [(B, 2), (B, H), (B, H), (4 * H, 2), (4 * H, H), (4 * H,), (4 * H,)]
    arrays: list[Any] = [rng.standard_normal(shape).astype(kind) for shape in shapes]
    few = cells.lstm_cell_fused(*arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "SMALL", -1)
        many = cells.lstm_cell_fused(*arrays)
    for one, other in zip(few, many, strict=True):
        assert one.dtype == other.dtype == kind
        np.testing.assert_array_equal(one, other)
