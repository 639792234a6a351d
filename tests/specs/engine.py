"""Specs of the primitives that the engine itself is made of (minigrad/core/primitive.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.ops import indexing, shape
from minigrad.testing import OpSpec
from minigrad.testing.strategies import arrays, shapes


@st.composite
def _view_scatter(draw: st.DrawFn) -> tuple[list[Any], dict[str, Any]]:
    base = draw(arrays(shapes(min_dims=1, min_side=1)))
    path: list[Any] = [(indexing.basic_index, {"index": (slice(0, None, draw(st.integers(1, 2))), Ellipsis)})]
    if draw(st.booleans()):
        path.append((shape.permuted, {"dims": tuple(draw(st.permutations(range(base.ndim))))}))
    region = base[path[0][1]["index"]].transpose(path[1][1]["dims"] if len(path) > 1 else None or range(base.ndim))
    return [base, draw(arrays(region.shape))], {"path": tuple(path)}


def _scattered_view(base: np.ndarray, src: np.ndarray, path: Any) -> np.ndarray:
    result = base.copy()
    view = result[path[0][1]["index"]]
    if len(path) > 1:
        view = view.transpose(path[1][1]["dims"])
    view[...] = src
    return result


SPECS = [
    OpSpec("alias", lambda x: x, shares_memory=True),
    OpSpec("view_scatter", _scattered_view, _view_scatter()),
]
