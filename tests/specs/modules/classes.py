"""Specs of the losses over classes, row by row in loops.

Shapes: N rows, C classes, D features.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad import nn
from minigrad.testing.module_spec import Beside, ModuleSpec
from minigrad.testing.strategies import Host, arrays, integers, masks, shapes

from .reducing import Call, reduced, reductions, vectors_apart


def _log_softmax(x: Host) -> Host:
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


@st.composite
def _class_settings(draw: st.DrawFn, C: int, *, smoothing: bool = True) -> dict[str, Any]:
    settings: dict[str, Any] = dict(draw(reductions))
    if draw(st.booleans()):
        settings["weight"] = draw(arrays((C,), domain=(0, 3)))
    if smoothing and draw(st.booleans()):
        settings["label_smoothing"] = draw(st.sampled_from([0.1, 0.5]))
    return settings


@st.composite
def _scores(draw: st.DrawFn, probabilities: bool) -> Call:
    """(C), (N, C) or (N, C, d1); at least one row counts, for the mean of none is nan."""
    C, before, after = draw(st.integers(1, 4)), draw(st.sampled_from([(), (1,), (3,)])), ()
    if before:
        after = draw(st.sampled_from([(), (2,)]))
    settings = draw(_class_settings(C, smoothing=probabilities))
    input = draw(arrays((*before, C, *after)))
    if probabilities and draw(st.integers(0, 3)) == 3:
        return settings, [input, draw(arrays(input.shape, domain=(0, 1)))]
    target = draw(integers((*before, *after), 0, C))
    if target.size > 1 and draw(st.booleans()):
        settings["ignore_index"] = draw(st.sampled_from([-100, 0]))
        target.flat[1:][draw(masks((target.size - 1,)))] = settings["ignore_index"]
        if target.flat[0] == settings["ignore_index"]:
            del settings["ignore_index"]
            target %= C
    return settings, [input, target]


def _rows(x: Host) -> Host:
    return np.moveaxis(x, 1, -1) if x.ndim > 1 else x


def _nll(
    state: Any, log_p: Host, target: Host, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
) -> Host:
    log_p = _rows(log_p)
    weight = np.ones(log_p.shape[-1]) if weight is None else weight
    losses, total = np.zeros(target.shape), 0.0
    for at in np.ndindex(target.shape):
        if target[at] != ignore_index:
            losses[at] = -weight[target[at]] * log_p[at][target[at]]
            total += weight[target[at]]
    return losses.sum() / total if reduction == "mean" else reduced(losses, reduction)


def _cross_entropy(
    state: Any,
    logits: Host,
    target: Host,
    weight: Any = None,
    ignore_index: int | None = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Host:
    log_p = _log_softmax(_rows(logits))
    C = log_p.shape[-1]
    weight = np.ones(C) if weight is None else weight
    rows, total = np.zeros(log_p.shape[:-1]), 0.0
    for at in np.ndindex(rows.shape):
        if target.dtype.kind == "f":
            wanted, counts = _rows(target)[at], 1.0
        elif target[at] == ignore_index:
            continue
        else:
            wanted, counts = np.eye(C)[target[at]], weight[target[at]]
        wanted = (1 - label_smoothing) * wanted + label_smoothing / C
        rows[at] = -(weight * wanted * log_p[at]).sum()
        total += counts
    return rows.sum() / total if reduction == "mean" else reduced(rows, reduction)


@st.composite
def _features(draw: st.DrawFn) -> Call:
    D, C, before = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(shapes(max_dims=2, min_side=1))
    settings = draw(_class_settings(C)) | {"in_features": D, "num_classes": C}
    if draw(st.booleans()):
        settings["bias"] = True
    target = draw(integers(before, 0, C))
    if draw(st.booleans()) and target.size > 1 and target.flat[0] != 0:
        settings["ignore_index"] = 0
    return settings, [draw(arrays((*before, D))), target]


def _linear_cross_entropy(
    state: Any, x: Host, target: Host, in_features: int, num_classes: int, bias: bool = False, **settings: Any
) -> Host:
    logits = x @ state["linear.weight"].T + state.get("linear.bias", 0)
    return _cross_entropy(state, logits.reshape(-1, num_classes), target.reshape(-1), **settings).reshape(
        target.shape if settings.get("reduction") == "none" else ()
    )


# ---- margins between classes ----------------------------------------------------------------------------------------


@st.composite
def _one_class(draw: st.DrawFn) -> Call:
    """Scores that differ by no multiple of 1/16 plus a margin: 1/32 keeps them away from the kinks."""
    C, before = draw(st.integers(1, 4)), draw(st.sampled_from([(), (1,), (3,)]))
    settings = dict(draw(reductions)) | draw(st.sampled_from([{}, {"p": 2}, {"margin": 0.5}, {"p": 2, "margin": 1.5}]))
    if draw(st.booleans()):
        settings["weight"] = draw(arrays((C,), domain=(0, 3)))
    scores = draw(arrays((*before, C))) + np.arange(C) / 37
    return settings, [scores, draw(integers(before, 0, C))]


def _multi_margin(
    state: Any,
    scores: Host,
    target: Host,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    reduction: str = "mean",
) -> Host:
    losses = np.zeros(target.shape)
    for at in np.ndindex(target.shape):
        s, y = scores[at], target[at]
        missing = [max(0, margin - s[y] + s[c]) ** p for c in range(len(s)) if c != y]
        losses[at] = sum(missing) / len(s) * (1 if weight is None else weight[y])
    return reduced(losses, reduction)


@st.composite
def _lists_of_classes(draw: st.DrawFn) -> Call:
    C, before = draw(st.integers(1, 4)), draw(st.sampled_from([(), (1,), (3,)]))
    target = draw(integers((*before, C), -1, C))
    for row in target.reshape(-1, C):  # no class twice
        for at in range(C):
            if row[at] in row[:at]:
                row[at:] = -1
    return dict(draw(reductions)), [draw(arrays((*before, C))) + np.arange(C) / 37, target]


def _multilabel_margin(state: Any, scores: Host, target: Host, reduction: str = "mean") -> Host:
    losses = np.zeros(target.shape[:-1])
    for at in np.ndindex(losses.shape):
        s = scores[at]
        right = list(itertools.takewhile(lambda y: y >= 0, target[at].tolist()))
        wrong = [c for c in range(len(s)) if c not in right]
        losses[at] = sum(max(0, 1 - s[y] + s[c]) for y in right for c in wrong) / len(s)
    return reduced(losses, reduction)


@st.composite
def _yes_or_no(draw: st.DrawFn) -> Call:
    shape = draw(shapes(min_dims=1, min_side=1))
    settings = dict(draw(reductions))
    if draw(st.booleans()):
        settings["weight"] = draw(arrays(shape[-1:], domain=(0, 3)))
    return settings, [draw(arrays(shape)), draw(masks(shape)).astype(np.float64)]


def _multilabel_soft_margin(state: Any, x: Host, t: Host, weight: Any = 1.0, reduction: str = "mean") -> Host:
    p = 1 / (1 + np.exp(-x))
    return reduced(-(weight * (t * np.log(p) + (1 - t) * np.log(1 - p))).mean(-1), reduction)


@st.composite
def _rare_classes(draw: st.DrawFn) -> Call:
    C, D, before = draw(st.integers(2, 9)), draw(st.integers(4, 8)), draw(st.sampled_from([(), (1,), (4,), (7,)]))
    cutoffs = sorted(draw(st.sets(st.integers(1, C - 1), min_size=1, max_size=3)))
    settings = {"in_features": D, "n_classes": C, "cutoffs": cutoffs, "div_value": draw(st.sampled_from([1.0, 1.5]))}
    if draw(st.booleans()):
        settings["head_bias"] = True
    return settings, [draw(arrays((*before, D))), draw(integers(before, 0, C))]


def _adaptive_log_likelihood(state: Any, x: Host, target: Host, cutoffs: list[int], **settings: Any) -> list[Host]:
    output, low = np.zeros(target.shape), cutoffs[0]
    for at in np.ndindex(target.shape):
        y, head = target[at], _log_softmax(state["head.weight"] @ x[at] + state.get("head.bias", 0))
        if y < low:
            output[at] = head[y]
            continue
        i = sum(y >= cutoff for cutoff in cutoffs) - 1
        tail = _log_softmax(state[f"tail.{i}.1.weight"] @ (state[f"tail.{i}.0.weight"] @ x[at]))
        output[at] = head[low + i] + tail[y - cutoffs[i]]
    return [output, np.asarray(-output.mean())]


_UNTOLD = ("weight", "ignore_index", "reduction", "label_smoothing", "p", "margin")


# To the scores of a single row PyTorch also takes a target of one element in any shape, and refuses it elsewhere.
_FLAWS = ("a longer last dimension", "a longer first dimension", "another kind")


def _spec(module: Any, calls: Any, reference: Any, differentiable: tuple[int, ...] = (0,), **beside: Any) -> ModuleSpec:
    torch = Beside(module.__name__, **{"flaws": _FLAWS, **beside})
    return ModuleSpec(
        module, calls, reference, differentiable=differentiable, torch=torch, batch=vectors_apart, untold=_UNTOLD
    )


SPECS = [
    _spec(nn.CrossEntropyLoss, _scores(True), _cross_entropy, (0, 1)),
    _spec(nn.NLLLoss, _scores(False), _nll),
    # PyTorch's shows all its settings, some of which are not here, and takes no more than (N, D).
    _spec(
        nn.LinearCrossEntropyLoss, _features(), _linear_cross_entropy, same_repr=False,
        takes=lambda case: case.arrays()[0].ndim < 3,
    ),
    ModuleSpec(
        nn.AdaptiveLogSoftmaxWithLoss, _rare_classes(), _adaptive_log_likelihood,
        torch=Beside("AdaptiveLogSoftmaxWithLoss"),
        untold=("in_features", "n_classes", "cutoffs", "div_value", "head_bias"),
    ),
    _spec(nn.MultiMarginLoss, _one_class(), _multi_margin),
    _spec(nn.MultiLabelMarginLoss, _lists_of_classes(), _multilabel_margin),
    _spec(nn.MultiLabelSoftMarginLoss, _yes_or_no(), _multilabel_soft_margin, (0, 1), flaws=()),  # PyTorch's broadcasts
]  # fmt: skip
