"""Specs of the rest of minigrad.nn.functional: distances, normalisation, lookup, products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad.nn.functional as F
from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, axis, broadcastable, integers, shapes

from .calls import Call
from .fused import _rows
from .reduction import over

Arguments = tuple[list[Any], dict[str, Any]]

AWAY_FROM_0 = (0.0, 1 / 16, -1 / 16)
_P = st.sampled_from([2.0, 1.0, 3.0])


def p_norm(p: float) -> Any:
    """The p-norm of a list of numbers."""
    return lambda lane: math.fsum(abs(one) ** p for one in lane) ** (1 / p)


# ---- distances ------------------------------------------------------------------------------------------------------


@st.composite
def _normalize(draw: st.DrawFn) -> Arguments:
    """Some vectors are shorter than eps, which then stands for their length."""
    x = draw(arrays(shapes(min_dims=1, min_side=1), kinks=AWAY_FROM_0))
    return [x], {"p": draw(_P), "dim": draw(axis(x.ndim)), "eps": draw(st.sampled_from([1e-12, 1.03]))}


def _normalized(x: Host, p: float, dim: int, eps: float) -> Host:
    return x / np.maximum(over(p_norm(p))(x, dim, True), eps)


@st.composite
def _vectors(draw: st.DrawFn) -> Arguments:
    one, other = draw(broadcastable(2, min_side=1))
    one, other = (*one, draw(st.sampled_from([1, 2]))), (*other, 2)  # a size of 1 is stretched first
    inputs = [draw(arrays(shape, kinks=AWAY_FROM_0)) for shape in (one, other)]
    return inputs, {"dim": -1, "eps": draw(st.sampled_from([1e-8, 1.03]))}


def _cosine(x: Host, y: Host, dim: int, eps: float) -> Host:
    x, y = np.broadcast_arrays(x, y)
    return (_normalized(x, 2, dim, eps) * _normalized(y, 2, dim, eps)).sum(dim)


@st.composite
def _points(draw: st.DrawFn) -> Arguments:
    """Points that differ in every coordinate, where the norm has no kink."""
    shape = draw(shapes(min_dims=1, min_side=1))
    x = draw(arrays(shape))
    apart = draw(arrays(shape, kinks=AWAY_FROM_0))
    return [x, np.asarray(x - apart)], {"p": draw(_P), "keepdim": draw(st.booleans())}


def distance(x: Host, y: Host, p: float = 2.0, keepdim: bool = False, eps: float = 1e-6) -> Host:
    """The p-norm of the difference along the last dimension, with PyTorch's eps in every coordinate."""
    return over(p_norm(p))(x - y + eps, -1, keepdim)


# ---- normalisation --------------------------------------------------------------------------------------------------


@st.composite
def _norm_arguments(draw: st.DrawFn, bias: bool) -> Arguments:
    # A row of equal numbers has no direction to normalise: its derivative is of the order 1 / sqrt(eps).
    shape = draw(shapes(min_dims=1, min_side=1).filter(lambda shape: shape[-1] > 1))
    sizes = shape[-draw(st.integers(1, len(shape))) :]
    affine = [draw(arrays(sizes)) if draw(st.booleans()) else None for _ in range(1 + bias)]
    return [draw(arrays(shape)), *affine], {"normalized_shape": sizes, "eps": 0.5}


def _scaled(x: Host, weight: Any, bias: Any) -> Host:
    result = x if weight is None else x * weight
    return result if bias is None else result + bias


def _layer_normed(x: Host, weight: Any, bias: Any, normalized_shape: Any, eps: float) -> Host:
    dims = tuple(range(-len(normalized_shape), 0))
    return _scaled((x - x.mean(dims, keepdims=True)) / np.sqrt(x.var(dims, keepdims=True) + eps), weight, bias)


def _rms_normed(x: Host, weight: Any, normalized_shape: Any, eps: float) -> Host:
    dims = tuple(range(-len(normalized_shape), 0))
    return _scaled(x / np.sqrt((x**2).mean(dims, keepdims=True) + eps), weight, None)


def _affine_behind(function: Any, x: Any, *affine: Any, normalized_shape: Any, eps: float) -> Any:
    return function(x, normalized_shape, *affine, eps=eps)


# ---- lookup, products -----------------------------------------------------------------------------------------------


@st.composite
def _lookup(draw: st.DrawFn) -> Arguments:
    V, D = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return [draw(integers(shapes(max_dims=2), 0, V)), draw(arrays((V, D)))], {"sparse": draw(st.booleans())}


@st.composite
def _classes(draw: st.DrawFn) -> Arguments:
    classes = draw(integers(shapes(), 0, 3))
    settings = [{"num_classes": 3}, {"num_classes": 5}, *([{}] if classes.size else [])]
    return [classes], draw(st.sampled_from(settings))


def _ones_at(classes: Host, num_classes: int = -1) -> Host:
    count = int(classes.max()) + 1 if num_classes == -1 else num_classes
    return np.array([[int(one == at) for at in range(count)] for one in classes.ravel()], np.int64).reshape(
        *classes.shape, count
    )


@st.composite
def _bilinear(draw: st.DrawFn) -> Arguments:
    first, second, outputs = (draw(st.integers(1, 3)) for _ in range(3))
    leading = draw(shapes(max_dims=2, max_side=2))
    bias = draw(arrays((outputs,))) if draw(st.booleans()) else None
    inputs = [draw(arrays((*leading, first))), draw(arrays((*leading, second)))]
    return [*inputs, draw(arrays((outputs, first, second))), bias], {}


def _products(x: Host, y: Host, weight: Host, bias: Any) -> Host:
    result = np.stack([((x @ matrix) * y).sum(-1) for matrix in weight], -1)
    return result if bias is None else result + bias


FUNCTIONAL = {
    "F.normalize": OpSpec(F.normalize, _normalized, _normalize()),
    "F.cosine_similarity": OpSpec(F.cosine_similarity, _cosine, _vectors()),
    "F.pairwise_distance": OpSpec(F.pairwise_distance, distance, _points()),
    "F.layer_norm": OpSpec(Call(F.layer_norm, _affine_behind), _layer_normed, _norm_arguments(True), exact=False),
    "F.rms_norm": OpSpec(Call(F.rms_norm, _affine_behind), _rms_normed, _norm_arguments(False)),
    "F.embedding": OpSpec(F.embedding, _rows, _lookup(), exact=False),
    "F.one_hot": OpSpec(F.one_hot, _ones_at, _classes(), smooth=0, waits=True),
    "F.bilinear": OpSpec(F.bilinear, _products, _bilinear(), exact=False),
    # With probability 0, and outside training, it is the input; what it draws is for tests/nn and tests/test_random.py.
    "F.dropout": OpSpec(
        F.dropout,
        lambda x, p, training: x,
        st.tuples(
            st.tuples(arrays(shapes())),
            st.sampled_from([{"p": 0.5, "training": False}, {"p": 0.0, "training": True}]),
        ),
        shares_memory=True,
    ),
}  # fmt: skip
