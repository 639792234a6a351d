"""Specs of the losses in minigrad.nn.functional. The references go example by example in Python's `math`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad.nn.functional as F
from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, integers, masks, shapes

from .calls import Call
from .functional import AWAY_FROM_0, p_norm
from .fused import _affine, _loss, _targets

Arguments = tuple[list[Any], dict[str, Any]]

REDUCTIONS = st.sampled_from(["mean", "sum", "none"])


def reduced(losses: Any, reduction: str) -> Host:
    """The losses after their reduction."""
    numbers = np.asarray(losses, np.float64)
    if reduction == "none":
        return numbers
    total = math.fsum(numbers.ravel().tolist())
    return np.array(total if reduction == "sum" else total / numbers.size)


def each(function: Callable[..., float]) -> Callable[..., Host]:
    """A loss of numbers, on every element of arrays that broadcast, and its reduction."""

    def reference(*inputs: Any, reduction: str, **settings: Any) -> Host:
        losses = np.vectorize(lambda *numbers: function(*numbers, **settings), otypes=[np.float64])
        return reduced(losses(*inputs), reduction)

    return reference


@st.composite
def _two(draw: st.DrawFn, kinks: tuple[float, ...] = (), kind: str = "numbers", **choices: Any) -> Arguments:
    """An input, and a target of its shape: numbers that differ from it by none of the kinks, or signs of a dtype."""
    shape = draw(shapes(min_side=1))
    if kind != "numbers":
        x = draw(arrays(shape, kinks=kinks))
        target = np.asarray(np.where(draw(masks(shape)), 1, -1), np.int64 if kind == "whole signs" else np.float64)
    else:
        target = draw(arrays(shape))
        x = np.asarray(target + draw(arrays(shape, kinks=kinks)))
    settings = {"reduction": draw(REDUCTIONS)}
    return [x, target], {**settings, **{name: draw(strategy) for name, strategy in choices.items()}}


@st.composite
def _probabilities(draw: st.DrawFn, first: tuple[float, float], weights: int) -> Arguments:
    """Probabilities or scores, targets between 0 and 1, and weights that may be left out."""
    shape = draw(shapes(min_side=1))
    extra = [draw(arrays(shape, domain=(0.2, 2))) if draw(st.booleans()) else None for _ in range(weights)]
    target = draw(arrays(shape, domain=(0.05, 0.95)))
    return [draw(arrays(shape, domain=first)), target, *extra], {"reduction": draw(REDUCTIONS)}


def _surprise(x: float, t: float) -> float:
    return -(t * math.log(x) + (1 - t) * math.log(1 - x))


def _weighted_surprise(x: float, t: float, weight: float | None) -> float:
    return (1.0 if weight is None else weight) * _surprise(x, t)


def _surprise_of_score(x: float, t: float, weight: float | None, pos_weight: float | None) -> float:
    p = 1 / (1 + math.exp(-x))
    positive = 1.0 if pos_weight is None else pos_weight
    return (1.0 if weight is None else weight) * -(positive * t * math.log(p) + (1 - t) * math.log(1 - p))


def _in_order(*names: str) -> Callable[..., Any]:
    """The optional tensors by their names."""

    def arrange(function: Any, x: Any, target: Any, *extra: Any, **settings: Any) -> Any:
        return function(x, target, **dict(zip(names, extra, strict=True)), **settings)

    return arrange


@st.composite
def _divergence(draw: st.DrawFn) -> Arguments:
    (log_p, target), settings = draw(_two(log_target=st.booleans()))
    target = target if settings["log_target"] else draw(arrays(target.shape, domain=(0.1, 0.95)))
    if log_p.ndim and draw(st.booleans()):
        settings["reduction"] = "batchmean"
    return [log_p, target], settings


def _divergence_of(log_p: Host, target: Host, reduction: str, log_target: bool) -> Host:
    def of(x: float, t: float) -> float:
        return math.exp(t) * (t - x) if log_target else t * (math.log(t) - x)

    if reduction == "batchmean":
        return np.array(each(of)(log_p, target, reduction="sum") / len(log_p))
    return each(of)(log_p, target, reduction=reduction)


def _huber(x: float, y: float, delta: float) -> float:
    d = abs(x - y)
    return d * d / 2 if d <= delta else delta * (d - delta / 2)


def _smooth(x: float, y: float, beta: float) -> float:
    d = abs(x - y)
    return d * d / (2 * beta) if d < beta else d - beta / 2


# ---- classes --------------------------------------------------------------------------------------------------------


@st.composite
def _classes(draw: st.DrawFn, **choices: Any) -> Arguments:
    """Scores (C), (N, C) or (N, C, d), the class of each row, and perhaps a weight for each class."""
    N, C = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    settings = {name: draw(strategy) for name, strategy in choices.items()}
    target = draw(_targets(N, C, settings.get("ignore_index", -100)))
    kind = draw(st.sampled_from(["one", "rows", "places"]))
    if kind == "one":
        target = target[np.flatnonzero(target != settings.get("ignore_index", -100))[0]]
    shape = {"one": (C,), "rows": (N, C), "places": (1, C, N)}[kind]
    target = np.asarray(target if kind != "places" else target[None])
    weight = draw(arrays((C,), domain=(0.2, 2))) if draw(st.booleans()) else None
    return [draw(arrays(shape)), target, weight], {**settings, "reduction": draw(REDUCTIONS)}


def _as_rows(x: Host, target: Host) -> tuple[Host, Host]:
    """Scores (N, C) and classes (N)."""
    return np.moveaxis(x[None] if x.ndim == 1 else x, 1, -1).reshape(-1, x.shape[min(x.ndim - 1, 1)]), target.reshape(
        -1
    )


def _class_loss(x: Host, target: Host, weight: Any, reduction: str, **settings: Any) -> Host:
    losses = _loss(*_as_rows(x, target), weight, reduction=reduction, **settings)
    return losses.reshape(target.shape) if reduction == "none" else losses


def _likelihood(x: Host, target: Host, weight: Any, ignore_index: int, reduction: str) -> Host:
    rows, classes = _as_rows(x, target)
    weights = [0.0 if c == ignore_index else 1.0 if weight is None else weight[c] for c in classes]
    losses = np.array([-w * row[c] if w else 0.0 for row, c, w in zip(rows, classes, weights, strict=True)])
    if reduction == "none":
        return losses.reshape(target.shape)
    return np.array(losses.sum() / (sum(weights) if reduction == "mean" else 1.0))


@st.composite
def _distributions(draw: st.DrawFn) -> Arguments:
    shape = (draw(st.integers(1, 3)), draw(st.integers(2, 4)))
    weight = draw(arrays(shape[1:], domain=(0.2, 2))) if draw(st.booleans()) else None
    settings = {"reduction": draw(REDUCTIONS), "label_smoothing": draw(st.sampled_from([0.0, 0.25]))}
    return [draw(arrays(shape)), draw(arrays(shape, domain=(0, 1))), weight], settings


def _soft_loss(x: Host, target: Host, weight: Any, reduction: str, label_smoothing: float) -> Host:
    C = x.shape[1]
    wanted = (1 - label_smoothing) * target + label_smoothing / C
    surprise = np.log(np.exp(x).sum(1, keepdims=True)) - x
    losses = (wanted * surprise * (1.0 if weight is None else weight)).sum(1)
    return reduced(losses, reduction)


@st.composite
def _projected(draw: st.DrawFn) -> Arguments:
    smoothing, ignored = st.sampled_from([0.0, 0.25]), st.sampled_from([-100, 1])
    (logits, target, weight), settings = draw(_classes(label_smoothing=smoothing, ignore_index=ignored))
    C, D = logits.shape[min(logits.ndim - 1, 1)], draw(st.integers(1, 3))
    bias = draw(arrays((C,))) if draw(st.booleans()) else None
    return [draw(arrays((*target.shape, D))), draw(arrays((C, D))), target, bias, weight], settings


def _projected_loss(
    x: Host, table: Host, target: Host, bias: Any, weight: Any, reduction: str, **settings: Any
) -> Host:
    logits = _affine(x.reshape(-1, x.shape[-1]), table, bias)
    losses = _loss(logits, target.reshape(-1), weight, reduction=reduction, **settings)
    return losses.reshape(target.shape) if reduction == "none" else losses


def _linear_in_order(function: Any, x: Any, table: Any, target: Any, bias: Any, weight: Any, **settings: Any) -> Any:
    return function(x, table, target, linear_bias=bias, weight=weight, **settings)


@st.composite
def _margins(draw: st.DrawFn) -> Arguments:
    """Scores that no two differences bring to the margin: thirds of sixteenths."""
    p = draw(st.sampled_from([1, 2]))
    margin = draw(st.sampled_from([1.0, 0.5])) + 1 / 48
    shape = draw(st.sampled_from([(3,), (2, 3), (1, 2)]))
    target = np.asarray(draw(integers(shape[:-1], 0, shape[-1])))
    weight = draw(arrays(shape[-1:], domain=(0.2, 2))) if draw(st.booleans()) else None
    return [draw(arrays(shape)), target, weight], {"p": p, "margin": margin, "reduction": draw(REDUCTIONS)}


def _margin_loss(x: Host, target: Host, weight: Any, p: int, margin: float, reduction: str) -> Host:
    rows, classes = x.reshape(-1, x.shape[-1]), target.reshape(-1)
    losses = []
    for row, right in zip(rows, classes, strict=True):
        behind = [max(0.0, margin - row[right] + s) ** p for c, s in enumerate(row) if c != right]
        losses.append((1.0 if weight is None else weight[right]) * math.fsum(behind) / len(row))
    return reduced(np.reshape(losses, target.shape), reduction)


def _weight_behind(function: Any, x: Any, target: Any, weight: Any, **settings: Any) -> Any:
    return function(x, target, weight=weight, **settings)


@st.composite
def _label_lists(draw: st.DrawFn) -> Arguments:
    """Each row lists its classes and ends with -1."""
    shape = draw(st.sampled_from([(3,), (2, 3), (1, 2)]))
    x = np.asarray(draw(arrays(shape, distinct=True)) * (1 + 1 / 48))  # no difference is 1
    target = np.full(shape, -1, np.int64)
    for row in target.reshape(-1, shape[-1]):
        named = draw(st.permutations(range(shape[-1])))[: draw(st.integers(0, shape[-1]))]
        row[: len(named)] = named
    return [x, target], {"reduction": draw(REDUCTIONS)}


def _listed_loss(x: Host, target: Host, reduction: str) -> Host:
    losses = []
    for row, listed in zip(x.reshape(-1, x.shape[-1]), target.reshape(-1, x.shape[-1]), strict=True):
        named = [int(one) for one in listed]
        right = named[: named.index(-1)] if -1 in named else named
        wrong = [c for c in range(len(row)) if c not in right]
        losses.append(sum(max(0.0, 1 - row[y] + row[c]) for y in right for c in wrong) / len(row))
    return reduced(np.reshape(losses, x.shape[:-1]), reduction)


@st.composite
def _several_labels(draw: st.DrawFn) -> Arguments:
    shape = draw(shapes(min_dims=1, max_dims=2, min_side=1))
    weight = draw(arrays(shape[-1:], domain=(0.2, 2))) if draw(st.booleans()) else None
    return [draw(arrays(shape)), draw(masks(shape)).astype(float), weight], {"reduction": draw(REDUCTIONS)}


def _several_labels_of(x: Host, target: Host, weight: Any, reduction: str) -> Host:
    each_class = np.vectorize(
        lambda x, t: _surprise(1 / (1 + math.exp(-x)), t) if t not in (0, 1) else math.log1p(math.exp(-x if t else x)),
        otypes=[np.float64],
    )
    return reduced((each_class(x, target) * (1.0 if weight is None else weight)).mean(-1), reduction)


# ---- pairs and triples ----------------------------------------------------------------------------------------------


@st.composite
def _ranking(draw: st.DrawFn) -> Arguments:
    shape = draw(shapes(min_side=1))
    inputs = [draw(arrays(shape)), draw(arrays(shape)), np.where(draw(masks(shape)), 1.0, -1.0)]
    return inputs, {"margin": draw(st.sampled_from([1 / 48, 1 + 1 / 48])), "reduction": draw(REDUCTIONS)}


@st.composite
def _directions(draw: st.DrawFn) -> Arguments:
    """Vectors (D) with a sign (), or (N, D) with signs (N); the margin is where no cosine of theirs lies."""
    shape = draw(st.sampled_from([(2,), (3, 2), (1, 3)]))
    target = np.where(draw(masks(shape[:-1])), 1.0, -1.0)
    vectors = [draw(arrays(shape, kinks=AWAY_FROM_0)) for _ in range(2)]
    cosines = [_cosine(*pair) for pair in zip(*[one.reshape(-1, shape[-1]) for one in vectors], strict=True)]
    margin = draw(st.sampled_from([0.0, 0.5]))
    while any(abs(cosine - margin) < 1e-3 for cosine in cosines):
        margin += 0.01
    return [*vectors, np.asarray(target)], {"margin": margin, "reduction": draw(REDUCTIONS)}


def _cosine(x: Host, y: Host) -> float:
    return float(x @ y) / (math.hypot(*x) * math.hypot(*y))


def _direction_loss(x: Host, y: Host, target: Host, margin: float, reduction: str) -> Host:
    rows = zip(x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1]), target.reshape(-1), strict=True)
    losses = [1 - _cosine(a, b) if t == 1 else max(0.0, _cosine(a, b) - margin) for a, b, t in rows]
    return reduced(np.reshape(losses, target.shape), reduction)


@st.composite
def _triplet(draw: st.DrawFn) -> Arguments:
    """Points that differ in every coordinate, so that no distance has a kink."""
    shape = draw(st.sampled_from([(2,), (3, 2), (1, 1)]))
    anchor = draw(arrays(shape))
    positive = np.asarray(anchor - draw(arrays(shape, kinks=AWAY_FROM_0)) - 1 / 64)
    negative = np.asarray(anchor + draw(arrays(shape, kinks=AWAY_FROM_0)) + 1 / 48)
    settings = {"margin": draw(st.sampled_from([1.0, 0.3])), "p": draw(st.sampled_from([2.0, 1.0, 3.0]))}
    return [anchor, positive, negative], {**settings, "swap": draw(st.booleans()), "reduction": draw(REDUCTIONS)}


def _triplet_loss(
    anchor: Host, positive: Host, negative: Host, margin: float, p: float, swap: bool, reduction: str
) -> Host:
    def between(x: Host, y: Host) -> float:
        return p_norm(p)((x - y + 1e-6).tolist())

    losses = []
    for a, b, c in zip(*[one.reshape(-1, one.shape[-1]) for one in (anchor, positive, negative)], strict=True):
        far = min(between(a, c), between(b, c)) if swap else between(a, c)
        losses.append(max(0.0, margin + between(a, b) - far))
    return reduced(np.reshape(losses, anchor.shape[:-1]), reduction)


_FIRST = {"differentiable": (0,)}
_SMOOTHING = {"label_smoothing": st.sampled_from([0.0, 0.25])}
_IGNORED = {"ignore_index": st.sampled_from([-100, 1])}

LOSSES = {
    "F.mse_loss": OpSpec(F.mse_loss, each(lambda x, y: (x - y) ** 2), _two()),
    "F.l1_loss": OpSpec(F.l1_loss, each(lambda x, y: abs(x - y)), _two(kinks=(0,))),
    "F.smooth_l1_loss": OpSpec(
        F.smooth_l1_loss, each(_smooth), _two(kinks=(0, 1, -1, 0.5, -0.5), beta=st.sampled_from([1.0, 0.5]))
    ),
    "F.huber_loss": OpSpec(
        F.huber_loss, each(_huber), _two(kinks=(0, 1, -1, 0.5, -0.5), delta=st.sampled_from([1.0, 0.5]))
    ),
    "F.kl_div": OpSpec(F.kl_div, _divergence_of, _divergence()),
    "F.binary_cross_entropy": OpSpec(
        Call(F.binary_cross_entropy, _in_order("weight")),
        each(_weighted_surprise),
        _probabilities((0.1, 0.9), 1),
        differentiable=(0, 1),
    ),
    "F.binary_cross_entropy_with_logits": OpSpec(
        Call(F.binary_cross_entropy_with_logits, _in_order("weight", "pos_weight")),
        each(_surprise_of_score),
        _probabilities((-4, 4), 2),
        differentiable=(0, 1),
    ),
    "F.cross_entropy": OpSpec(
        Call(F.cross_entropy, _in_order("weight")),
        _class_loss,
        _classes(**_SMOOTHING, **_IGNORED),
        exact=False,
        **_FIRST,
    ),
    "F.cross_entropy/distributions": OpSpec(
        Call(F.cross_entropy, _in_order("weight")), _soft_loss, _distributions(), differentiable=(0, 1), exact=False
    ),
    "F.nll_loss": OpSpec(Call(F.nll_loss, _in_order("weight")), _likelihood, _classes(**_IGNORED), **_FIRST),
    "F.linear_cross_entropy": OpSpec(
        Call(F.linear_cross_entropy, _linear_in_order),
        _projected_loss,
        _projected(),
        differentiable=(0, 1, 3),
        exact=False,
    ),
    "F.multi_margin_loss": OpSpec(Call(F.multi_margin_loss, _weight_behind), _margin_loss, _margins(), **_FIRST),
    "F.multilabel_margin_loss": OpSpec(F.multilabel_margin_loss, _listed_loss, _label_lists()),
    "F.multilabel_soft_margin_loss": OpSpec(
        F.multilabel_soft_margin_loss, _several_labels_of, _several_labels(), **_FIRST
    ),
    "F.soft_margin_loss": OpSpec(
        F.soft_margin_loss, each(lambda s, y: math.log1p(math.exp(-y * s))), _two((0,), "signs"), **_FIRST
    ),
    "F.hinge_loss": OpSpec(
        F.hinge_loss, each(lambda s, y: max(0.0, 1 - y * s)), _two((1, -1), "whole signs"), **_FIRST
    ),
    "F.hinge_embedding_loss": OpSpec(
        F.hinge_embedding_loss,
        each(lambda d, y, margin: d if y == 1 else max(0.0, margin - d)),
        _two((1, 0.5), "signs", margin=st.sampled_from([1.0, 0.5])),
        **_FIRST,
    ),
    "F.margin_ranking_loss": OpSpec(
        F.margin_ranking_loss, each(lambda a, b, y, margin: max(0.0, margin - y * (a - b))), _ranking(),
        differentiable=(0, 1),
    ),
    "F.cosine_embedding_loss": OpSpec(
        F.cosine_embedding_loss, _direction_loss, _directions(), differentiable=(0, 1), rtol=1e-9
    ),
    "F.triplet_margin_loss": OpSpec(F.triplet_margin_loss, _triplet_loss, _triplet()),
    "F.zero_one_loss": OpSpec(
        F.zero_one_loss, each(lambda s, y: float(math.copysign(1, s) != y if s else True)), _two((), "signs"), smooth=0
    ),
}  # fmt: skip
