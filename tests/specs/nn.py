"""Specs of the primitives that minigrad.nn brings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.testing import OpSpec
from minigrad.testing.strategies import arrays, shapes


@st.composite
def _probabilities(draw: st.DrawFn) -> tuple[list[Any], dict[str, Any]]:
    shape = draw(shapes())
    return [draw(arrays(shape, domain=(0.1, 0.9))) for _ in range(2)], {}


_cross_entropy = np.vectorize(lambda x, t: -(t * math.log(x) + (1 - t) * math.log(1 - x)), otypes=[np.float64])


@st.composite
def _places(draw: st.DrawFn, put: bool) -> tuple[list[Any], dict[str, Any]]:
    """Some of the places of a small array, in any order, no place twice."""
    sizes = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    trailing = draw(shapes(max_dims=1))
    chosen = draw(st.permutations(range(sizes[0] * sizes[1])))[: draw(st.integers(0, sizes[0] * sizes[1]))]
    places = tuple(np.divmod(np.array(chosen, dtype=np.int64), sizes[1]))
    if put:
        value = draw(st.sampled_from([0.0, -1.5]))
        return [draw(arrays((len(chosen), *trailing)))], {"places": places, "sizes": sizes, "value": value}
    return [draw(arrays((*sizes, *trailing)))], {"places": places}


def _taken(input: Any, places: Any) -> Any:
    rows = [input[t, b] for t, b in zip(*places, strict=True)]
    return np.array(rows).reshape(len(rows), *input.shape[2:])


def _put(src: Any, places: Any, sizes: Any, value: float) -> Any:
    result = np.zeros((*sizes, *src.shape[1:])) + value
    for row, t, b in zip(src, *places, strict=True):
        result[t, b] = row
    return result


SPECS = [
    OpSpec("binary_cross_entropy_of", _cross_entropy, _probabilities()),
    OpSpec("put_places", _put, _places(True)),
    OpSpec("take_places", _taken, _places(False)),
]
