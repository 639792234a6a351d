"""Batches of sequences of different lengths."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from minigrad.testing.strategies.arrays import Host, Interval, arrays


class Sequences(NamedTuple):
    """A padded batch, (T, B, H) or with `batch_first` (B, T, H), and how many steps of each sequence count, (B,)."""

    padded: Host
    lengths: Host

    def sequence(self, number: int, *, batch_first: bool = False) -> Host:
        """One sequence without its padding, (length, H)."""
        whole = self.padded[number] if batch_first else self.padded[:, number]
        return whole[: int(self.lengths[number])]


@st.composite
def sequences(
    draw: st.DrawFn,
    *,
    max_time: int = 4,
    max_batch: int = 3,
    features: int | None = None,
    min_length: int = 1,
    in_order: bool | None = None,
    batch_first: bool = False,
    domain: Interval = (-3, 3),
) -> Sequences:
    """Padded batches whose longest sequence fills them, lengths sorted from long to short, or not.

    The padding holds numbers like any others, never just zeros: what looks at it computes something else.

    Args:
        max_time, max_batch: the largest T and B.
        features: H; drawn from 1 to 3 if not given.
        min_length: of a sequence; 0 allows empty ones.
        in_order: True for lengths that never grow, as packing wants them; None for either.
        batch_first: (B, T, H) instead of (T, B, H).
        domain: the open interval the numbers lie in.
    """
    B = draw(st.integers(1, max_batch))
    H = draw(st.integers(1, 3)) if features is None else features
    lengths = draw(st.lists(st.integers(min_length, max_time), min_size=B, max_size=B))
    if in_order or (in_order is None and draw(st.booleans())):
        lengths.sort(reverse=True)
    T = max(*lengths, 1)
    padded = draw(arrays((B, T, H) if batch_first else (T, B, H), domain=domain))
    return Sequences(padded, np.array(lengths, np.int64))
