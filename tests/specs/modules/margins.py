"""Specs of the losses with a margin over signs, pairs and triples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad import nn
from minigrad.testing.module_spec import ModuleSpec
from minigrad.testing.strategies import Host, Shape, arrays, shapes

from .reducing import Call, examples_apart, reduced, reductions, vectors_apart


@st.composite
def _signs(draw: st.DrawFn, shape: Shape) -> Host:
    drawn = draw(st.lists(st.sampled_from([1.0, -1.0]), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    return np.array(drawn, dtype=np.float64).reshape(shape)


@st.composite
def _scored(draw: st.DrawFn, inputs: int, margins: Sequence[float], kinks: Sequence[float]) -> Call:
    """Scores and signs of one shape; with two scores it is their difference that keeps away from the kinks."""
    shape = draw(shapes(min_side=1))
    settings = dict(draw(reductions)) | draw(st.sampled_from([{}, *({"margin": margin} for margin in margins)]))
    scores = [draw(arrays(shape, kinks=kinks))]
    if inputs == 2:
        second = draw(arrays(shape))
        scores = [np.asarray(scores[0] + second), second]  # NumPy makes scalars of 0-d sums
    return settings, [*scores, draw(_signs(shape))]


@st.composite
def _vectors(draw: st.DrawFn, count: int, settings: Sequence[dict[str, Any]], *, signs: bool) -> Call:
    """Vectors (D) or (N, D), none of them near zero or near another: there a norm has a kink."""
    before, D = draw(st.sampled_from([(), (1,), (3,)])), draw(st.integers(2, 3))
    seed = draw(st.integers(0, 99))
    vectors = [np.random.default_rng([seed, at]).uniform(0.5, 2.5, (*before, D)) + 3 * at for at in range(count)]
    turned = [one * np.where(np.arange(D) == at % D, -1, 1) for at, one in enumerate(vectors)]
    last = [draw(_signs(before))] if signs else []
    return dict(draw(reductions)) | draw(st.sampled_from(settings)), [*turned, *last]


def _ranking(state: Any, first: Host, second: Host, y: Host, margin: float = 0.0, reduction: str = "mean") -> Host:
    return reduced(np.maximum(0, margin - y * (first - second)), reduction)


def _hinge_embedding(state: Any, d: Host, y: Host, margin: float = 1.0, reduction: str = "mean") -> Host:
    return reduced(np.where(y == 1, d, np.maximum(0, margin - d)), reduction)


def _cosine(state: Any, a: Host, b: Host, y: Host, margin: float = 0.0, reduction: str = "mean") -> Host:
    cos = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return reduced(np.where(y == 1, 1 - cos, np.maximum(0, cos - margin)), reduction)


def _triplet(
    state: Any,
    anchor: Host,
    positive: Host,
    negative: Host,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Host:
    def distance(a: Host, b: Host) -> Host:
        return (np.abs(a - b + eps) ** p).sum(-1) ** (1 / p)

    far = distance(anchor, negative)
    if swap:
        far = np.minimum(far, distance(positive, negative))
    return reduced(np.maximum(0, margin + distance(anchor, positive) - far), reduction)


def _spec(module: Any, calls: Any, reference: Any, **more: Any) -> ModuleSpec:
    untold = ("reduction", "margin", "p", "eps", "swap")
    return ModuleSpec(
        module, calls, reference, untold=untold, **{"torch": module.__name__, "batch": examples_apart, **more}
    )


SPECS = [
    # PyTorch has no binary hinge. The kinks are where a score is 1 or -1.
    _spec(
        nn.HingeLoss, _scored(1, (), (-1, 1)),
        lambda state, s, y, reduction="mean": reduced(np.maximum(0, 1 - y * s), reduction),
        torch=None, differentiable=(0,),
    ),
    _spec(
        nn.SoftMarginLoss, _scored(1, (), ()),
        lambda state, s, y, reduction="mean": reduced(np.log1p(np.exp(-y * s)), reduction), differentiable=(0,),
    ),
    _spec(
        nn.MarginRankingLoss, _scored(2, (0.5, 2.0), (0, 0.5, -0.5, 2, -2)), _ranking, differentiable=(0, 1)
    ),
    _spec(nn.HingeEmbeddingLoss, _scored(1, (0.5, 2.0), (1, 0.5, 2)), _hinge_embedding, differentiable=(0,)),
    _spec(
        nn.CosineEmbeddingLoss, _vectors(2, [{}, {"margin": 0.5}, {"margin": -0.5}], signs=True), _cosine,
        differentiable=(0, 1), batch=vectors_apart,
    ),
    _spec(
        nn.TripletMarginLoss,
        _vectors(3, [{}, {"margin": 4.0}, {"p": 3.0}, {"swap": True, "margin": 8.0}, {"eps": 0.1}], signs=False),
        _triplet, batch=vectors_apart,
    ),
]  # fmt: skip
