"""Specs of minigrad/ops/linalg.py and einsum.py. The references are sums of products in loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, broadcastable

Arguments = tuple[list[Any], dict[str, Any]]

SIZES = st.integers(0, 3)


@st.composite
def _matmul(draw: st.DrawFn) -> Arguments:
    n, k, m = draw(SIZES), draw(SIZES), draw(SIZES)
    kind = draw(st.sampled_from(["matrices", "batches", "vector left", "vector right", "vectors"]))
    if kind == "vectors":
        return [draw(arrays((k,))), draw(arrays((k,)))], {}
    batch, other_batch = draw(broadcastable(2, max_dims=2)) if kind != "matrices" else ((), ())
    left = (k,) if kind == "vector left" else (*batch, n, k)
    right = (k,) if kind == "vector right" else (*other_batch, k, m)
    return [draw(arrays(left)), draw(arrays(right))], {}


def _product(x: Host, y: Host) -> Host:
    rows = x[None, :] if x.ndim == 1 else x
    columns = y[:, None] if y.ndim == 1 else y
    batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    result = np.zeros((*batch, rows.shape[-2], columns.shape[-1]))
    rows = rows + np.zeros((*batch, 1, 1))
    columns = columns + np.zeros((*batch, 1, 1))
    for *outer, i, j in np.ndindex(*result.shape):
        at = tuple(outer)
        result[(*at, i, j)] = sum(rows[(*at, i, k)] * columns[(*at, k, j)] for k in range(rows.shape[-1]))
    if x.ndim == 1:
        result = result[..., 0, :]
    return result[..., 0] if y.ndim == 1 else result


@st.composite
def _linear(draw: st.DrawFn) -> Arguments:
    features, out = draw(SIZES), draw(SIZES)
    leading = tuple(draw(st.lists(SIZES, max_size=2)))
    weight = draw(arrays((out, features) if draw(st.integers(0, 3)) else (features,)))
    bias = draw(arrays(weight.shape[:-1])) if draw(st.booleans()) else None
    return [draw(arrays((*leading, features))), weight, bias], {}


def _layer(x: Host, weight: Host, bias: Host | None) -> Host:
    rows = weight if weight.ndim == 2 else weight[None]
    out = np.stack([(x * row).sum(-1) for row in rows], -1) if len(rows) else np.zeros((*x.shape[:-1], 0))
    out = out if weight.ndim == 2 else out[..., 0]
    return out if bias is None else out + bias


@st.composite
def _rows(draw: st.DrawFn) -> Arguments:
    return [draw(arrays((draw(SIZES), draw(SIZES))))], {}


def _added_up(x: Host) -> Host:
    return np.array([sum(x[row, column] for row in range(len(x))) for column in range(x.shape[1])], x.dtype)


@st.composite
def _contract(draw: st.DrawFn) -> Arguments:
    """Each index is in two of the three places at least: input, other, result."""
    places: list[list[str]] = [[], [], []]
    sizes = {}
    for index in "abcd"[: draw(st.integers(1, 4))]:
        sizes[index] = draw(st.integers(1, 3))
        for place in draw(st.sampled_from([(0, 1), (0, 2), (1, 2), (0, 1, 2)])):
            places[place].append(index)
    terms = tuple("".join(draw(st.permutations(place))) for place in places)
    inputs = [draw(arrays(tuple(sizes[index] for index in term))) for term in terms[:2]]
    return inputs, {"indices": terms}


def _contracted(x: Host, y: Host, indices: tuple[str, str, str]) -> Host:
    first, second, result = indices
    sizes = dict(zip(first + second, x.shape + y.shape, strict=True))
    names = sorted(sizes)
    total = np.zeros([sizes[name] for name in result])
    for place in np.ndindex(*[sizes[name] for name in names]):
        at = dict(zip(names, place, strict=True))
        total[tuple(at[name] for name in result)] += (
            x[tuple(at[name] for name in first)] * y[tuple(at[name] for name in second)]
        )
    return total


SPECS = [
    OpSpec("matmul", _product, _matmul()),
    OpSpec("linear", _layer, _linear()),
    OpSpec("sum_of_rows", _added_up, _rows()),
    OpSpec("contract", _contracted, _contract()),
]
