"""Dimensions, as reductions and shape ops take them."""

from __future__ import annotations

from hypothesis import strategies as st


def axis(ndim: int) -> st.SearchStrategy[int]:
    """One of `ndim` dimensions, counted from either end. 0-d arrays have 0 and -1, as in PyTorch."""
    reach = max(ndim, 1)
    return st.integers(-reach, reach - 1)


def axes(ndim: int, *, min_size: int = 1) -> st.SearchStrategy[tuple[int, ...]]:
    """Some different dimensions, in any order, counted from either end."""
    if not ndim:
        return st.just(())
    places = st.lists(st.integers(0, ndim - 1), unique=True, min_size=min(min_size, ndim), max_size=ndim)
    return st.builds(
        lambda chosen, from_end: tuple(place - ndim if from_end else place for place in chosen), places, st.booleans()
    )


def axis_or_axes(ndim: int) -> st.SearchStrategy[int | tuple[int, ...] | None]:
    """What a reduction takes for `dim`: None, one dimension or several."""
    return st.one_of(st.none(), axis(ndim), axes(ndim))
