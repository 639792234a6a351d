"""Groups of shapes that go together as the inputs of one op, the widest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

from hypothesis import strategies as st

from minigrad.testing.strategies import Shape, broadcastable, shapes


class Family(NamedTuple):
    """Shapes that go together: what they are called, how they are drawn, those that are tried first, and large ones."""

    title: str
    drawn: st.SearchStrategy[Sequence[Shape]]
    tried: Sequence[Sequence[Shape]]
    large: Sequence[Sequence[Shape]]


_SHAPES: list[Shape] = [(2, 3), (2,), (1, 3), (2, 1, 3), (), (0,), (2, 0), (0, 3)]
_LARGE: list[Shape] = [(2, 1, 3, 2), (9,)]
_STRETCHED = [((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((2,), ()), ((0, 1), (2,))]


def families(count: int, whole: int | None = None) -> list[Family]:
    """Groups of `count` shapes, the widest first; `whole` is the place of an input of whole numbers."""
    same = [
        _alike(count, "one shape for all" if count > 1 else "any shape", {}),
        _alike(count, "one shape, not empty", {"min_side": 1}),
        _alike(count, "one shape of 1 dimension or more", {"min_dims": 1}),
        _alike(count, "one shape of 1 dimension or more, not empty", {"min_dims": 1, "min_side": 1}),
    ]
    stretched = [] if count == 1 else [_stretched(count, min_side) for min_side in (0, 1)]
    labels = [] if whole is None else [_labels(count, whole)]
    return [*stretched, *same, *labels, *_matrices(count)]


def _alike(count: int, title: str, bounds: dict[str, int]) -> Family:
    allowed = [shape for shape in _SHAPES if len(shape) >= bounds.get("min_dims", 0)]
    allowed = [shape for shape in allowed if not (bounds.get("min_side") and 0 in shape)]
    drawn = shapes(**bounds).map(lambda shape: [shape] * count)
    return Family(title, drawn, [[shape] * count for shape in allowed], [[shape] * count for shape in _LARGE])


def _stretched(count: int, min_side: int) -> Family:
    title = "shapes that broadcast, not empty" if min_side else "shapes that broadcast"
    tried = [[*pair, *[pair[1]] * (count - 2)] for pair in _STRETCHED if not (min_side and 0 in pair[0])]
    tried += [[shape] * count for shape in _SHAPES if not (min_side and 0 in shape)]
    large: list[list[Shape]] = [[(2, 1, 3, 2), *[(3, 1)] * (count - 1)], [(9,)] * count]
    return Family(title, broadcastable(count, min_side=min_side), tried, large)


def _labels(count: int, whole: int) -> Family:
    """A whole number for each row, as of an index or the right classes."""

    def make(n: int, m: int) -> list[Shape]:
        return [(n,) if place == whole else (n, m) for place in range(count)]

    drawn = st.builds(make, st.integers(1, 3), st.integers(1, 3))
    tried, large = [make(2, 3), make(1, 1), make(3, 2)], [make(2, 9), make(5, 2)]
    return Family("matrices and a number a row, (n, m), (n,)", drawn, tried, large)


def _matrices(count: int) -> list[Family]:
    n, k, m = st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)
    tried, large = [(2, 3, 2), (1, 1, 1), (1, 2, 3), (3, 1, 2)], [(5, 2, 2), (2, 9, 1), (1, 2, 5)]
    makers: list[tuple[str, Callable[[int, int, int], list[Shape]]]] = []
    if count in (2, 3):
        bias = ", (m,)" if count == 3 else ""
        makers.append((f"matrices that multiply, (n, k), (k, m){bias}", lambda n, k, m: [(n, k), (k, m), (m,)]))
        makers.append((f"rows and a weight, (n, k), (m, k){bias}", lambda n, k, m: [(n, k), (m, k), (m,)]))
    if count == 2:
        title = "batches of matrices that multiply, (2, n, k), (2, k, m)"
        makers.append((title, lambda n, k, m: [(2, n, k), (2, k, m)]))
    makers.append(("matrices of one shape, (n, m)", lambda n, k, m: [(n, m)] * count))
    makers.append(("square matrices, (n, n)", lambda n, k, m: [(n, n)] * count))
    makers.append(("batches of one shape, (n, k, m)", lambda n, k, m: [(n, k, m)] * count))
    return [
        Family(
            title,
            st.builds(make, n, k, m).map(itemgetter(slice(count))),
            [make(*one)[:count] for one in tried],
            [make(*one)[:count] for one in large],
        )
        for title, make in makers
    ]
