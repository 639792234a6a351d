"""Specs of Linear, Bilinear, Identity, Flatten, Embedding and the norms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad import nn
from minigrad.testing.module_spec import Batch, Beside, ModuleCase, ModuleSpec
from minigrad.testing.strategies import Host, arrays, integers, shapes

Call = tuple[dict[str, Any], list[Any]]


def _leading(case: ModuleCase) -> Batch | None:
    """All inputs and the output have their examples first, if there is a dimension besides the features."""
    arrays = case.arrays()
    return Batch((0,) * len(arrays), (0,)) if arrays[0].ndim > 1 else None


@st.composite
def _linear(draw: st.DrawFn) -> Call:
    before, inside, out = draw(shapes(max_dims=2)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    more = draw(st.sampled_from([{}, {"bias": False}]))
    return {"in_features": inside, "out_features": out, **more}, [draw(arrays((*before, inside)))]


@st.composite
def _bilinear(draw: st.DrawFn) -> Call:
    before, sizes = draw(shapes(max_dims=2)), draw(st.tuples(*[st.integers(1, 3)] * 3))
    names = ("in1_features", "in2_features", "out_features")
    more = draw(st.sampled_from([{}, {"bias": False}]))
    return dict(zip(names, sizes)) | more, [draw(arrays((*before, size))) for size in sizes[:2]]


def _bilinear_form(state: Any, first: Host, second: Host, **sizes: Any) -> Host:
    return np.einsum("...i,oij,...j->...o", first, state["weight"], second) + state.get("bias", 0)


@st.composite
def _flatten(draw: st.DrawFn) -> Call:
    shape = draw(shapes(min_dims=1, max_dims=4))
    first = draw(st.integers(0, len(shape) - 1))
    last = draw(st.integers(first, len(shape) - 1))
    settings = {"start_dim": first, "end_dim": last - draw(st.sampled_from([0, len(shape)]))}
    return settings, [draw(arrays(shape))]


def _flattened(state: Any, x: Host, start_dim: int, end_dim: int) -> Host:
    end_dim %= x.ndim
    return x.reshape(*x.shape[:start_dim], math.prod(x.shape[start_dim : end_dim + 1]), *x.shape[end_dim + 1 :])


@st.composite
def _lookup(draw: st.DrawFn) -> Call:
    """`max_norm` is left out: it writes into the table, on purpose, which tests/nn/test_layers.py looks at."""
    rows, width = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    settings: dict[str, Any] = {"num_embeddings": rows, "embedding_dim": width}
    settings |= draw(st.sampled_from([{}, {"padding_idx": 0}, {"padding_idx": -1}]))
    settings |= draw(st.sampled_from([{}, {"scale_grad_by_freq": True}, {"sparse": True}]))
    return settings, [draw(integers(shapes(max_dims=2), 0, rows))]


@st.composite
def _normalised(draw: st.DrawFn, *settings: str) -> Call:
    shape = draw(shapes(min_dims=1, max_dims=2, min_side=2))
    before = draw(shapes(max_dims=1))
    given = shape[0] if len(shape) == 1 and draw(st.booleans()) else shape
    more = draw(st.fixed_dictionaries({}, optional={name: st.just(False) for name in settings}))
    eps = draw(st.sampled_from([{}, {"eps": 0.25}]))
    # Without ties: where all numbers are equal the variance is 0, and the slope 1/sqrt(eps) is too steep to compare.
    return {"normalized_shape": given, **more, **eps}, [draw(arrays((*before, *shape), distinct=True, domain=(-4, 4)))]


def _axes(x: Host, normalized_shape: Any) -> tuple[int, ...]:
    count = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    return tuple(range(x.ndim - count, x.ndim))


def _layer_norm(state: Any, x: Host, normalized_shape: Any, eps: float = 1e-5, **settings: Any) -> Host:
    axes = _axes(x, normalized_shape)
    scaled = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)
    return scaled * state.get("weight", 1) + state.get("bias", 0)


def _rms_norm(state: Any, x: Host, normalized_shape: Any, eps: float = 2.0**-52, **settings: Any) -> Host:
    mean_square = (x * x).mean(_axes(x, normalized_shape), keepdims=True)
    return x / np.sqrt(mean_square + eps) * state.get("weight", 1)


def _rows_before(case: ModuleCase) -> Batch | None:
    """A batch, if there is a dimension before the normalized ones."""
    (x,), shape = case.arrays(), case.arguments["normalized_shape"]
    return Batch((0,), (0,)) if x.ndim > (1 if isinstance(shape, int) else len(shape)) else None


SPECS = [
    ModuleSpec(
        nn.Linear, _linear(), lambda state, x, **sizes: x @ state["weight"].T + state.get("bias", 0), torch="Linear",
        batch=_leading,
    ),
    ModuleSpec(nn.Bilinear, _bilinear(), _bilinear_form, torch="Bilinear", batch=_leading),
    ModuleSpec(
        nn.Identity, st.tuples(st.just({}), st.tuples(arrays(shapes()))), lambda state, x: x, torch="Identity"
    ),
    ModuleSpec(nn.Flatten, _flatten(), _flattened, torch="Flatten"),
    ModuleSpec(
        nn.Embedding, _lookup(), lambda state, index, **settings: state["weight"][index],
        # PyTorch cannot make a sparse gradient of a single index dense.
        torch=Beside("Embedding", takes=lambda case: bool(case.arrays()[0].ndim) or "sparse" not in case.arguments),
        own_gradient=lambda case: bool({"padding_idx", "scale_grad_by_freq"} & case.arguments.keys()),
        # Counting how often a row occurs goes over the whole batch.
        batch=lambda case: (
            Batch((0,), (0,)) if case.arrays()[0].ndim and "scale_grad_by_freq" not in case.arguments else None
        ),
    ),
    ModuleSpec(
        nn.LayerNorm, _normalised("elementwise_affine", "bias"), _layer_norm, torch="LayerNorm", batch=_rows_before
    ),
    ModuleSpec(nn.RMSNorm, _normalised("elementwise_affine"), _rms_norm, torch="RMSNorm", batch=_rows_before),
]  # fmt: skip
