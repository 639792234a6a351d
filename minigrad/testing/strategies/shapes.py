"""Shapes, alone and in groups that broadcast."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

Shape = tuple[int, ...]


def shapes(*, min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 3) -> st.SearchStrategy[Shape]:
    """Shapes, among them 0-d, empty and size-1 ones unless the bounds exclude them."""
    return hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)


@st.composite
def broadcastable(
    draw: st.DrawFn, count: int, *, max_dims: int = 3, min_side: int = 0, max_side: int = 3
) -> tuple[Shape, ...]:
    """`count` shapes that broadcast together; a quarter of the groups are of one shape, which is a case of its own."""
    if count == 1 or draw(st.integers(0, 3)) == 3:
        return (draw(shapes(max_dims=max_dims, min_side=min_side, max_side=max_side)),) * count
    drawn = draw(
        hnp.mutually_broadcastable_shapes(
            num_shapes=count, min_dims=0, max_dims=max_dims, min_side=min_side, max_side=max_side
        )
    )
    return drawn.input_shapes
