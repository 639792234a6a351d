"""Specs of the losses of two arrays of one shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad import nn
from minigrad.testing.module_spec import Batch, ModuleCase, ModuleSpec
from minigrad.testing.strategies import Host, arrays, masks, shapes

from .reducing import Call, examples_apart, reduced, reductions, vectors_apart


@st.composite
def _apart(draw: st.DrawFn, ways: Sequence[tuple[dict[str, Any], Sequence[float]]]) -> Call:
    """Settings, and inputs and targets whose difference is away from their kinks; never empty."""
    shape, (settings, kinks) = draw(shapes(min_side=1)), draw(st.sampled_from(ways))
    target, difference = draw(arrays(shape)), draw(arrays(shape, kinks=kinks))
    if 0 not in kinks and draw(st.booleans()):
        difference = difference * draw(masks(shape))  # perfect answers, among others
    return settings | draw(reductions), [np.asarray(target + difference), target]  # NumPy makes scalars of 0-d sums


def _of_difference(module: Any, loss: Callable[..., Host], *ways: tuple[dict[str, Any], Sequence[float]]) -> ModuleSpec:
    """`loss(|input - target|, **settings)` for each of some settings, with the differences that are kinks then."""

    def reference(state: Any, input: Host, target: Host, reduction: str = "mean", **given: Any) -> Host:
        return reduced(loss(np.abs(input - target), **given), reduction)

    return ModuleSpec(
        module, _apart(ways), reference, torch=module.__name__, batch=examples_apart,
        untold=("reduction", "beta", "delta"),
    )  # fmt: skip


def _smooth(d: Host, beta: float = 1.0) -> Host:
    return d if beta == 0 else np.where(d < beta, d * d / (2 * beta), d - beta / 2)


def _huber(d: Host, delta: float = 1.0) -> Host:
    return np.where(d <= delta, d * d / 2, delta * (d - delta / 2))


# ---- probabilities --------------------------------------------------------------------------------------------------


@st.composite
def _divergence(draw: st.DrawFn) -> Call:
    shape = draw(shapes(min_dims=1, min_side=1))
    log_target = draw(st.booleans())
    settings = draw(st.one_of(reductions, st.just({"reduction": "batchmean"})))
    target = draw(arrays(shape, domain=(-3, 0) if log_target else (0, 1)))
    return settings | ({"log_target": True} if log_target else {}), [draw(arrays(shape, domain=(-4, 0))), target]


def _kl_div(state: Any, input: Host, target: Host, reduction: str = "mean", log_target: bool = False) -> Host:
    logarithm = target if log_target else np.log(target)
    losses = np.exp(logarithm) * (logarithm - input)
    return losses.sum() / len(input) if reduction == "batchmean" else reduced(losses, reduction)


@st.composite
def _binary(draw: st.DrawFn, logits: bool) -> Call:
    shape = draw(shapes(min_side=1))
    settings = draw(reductions)
    if draw(st.booleans()):
        settings = settings | {"weight": draw(arrays(shape[-1:], domain=(0, 3)))}
    if logits and draw(st.booleans()):
        settings = settings | {"pos_weight": draw(arrays(shape[-1:], domain=(0, 3)))}
    input = draw(arrays(shape)) if logits else draw(arrays(shape, domain=(0, 1)))
    return settings, [input, draw(arrays(shape, domain=(0, 1)))]


def _bce(state: Any, x: Host, t: Host, reduction: str = "mean", weight: Any = 1.0) -> Host:
    return reduced(-weight * (t * np.log(x) + (1 - t) * np.log(1 - x)), reduction)


def _bce_with_logits(
    state: Any, x: Host, t: Host, reduction: str = "mean", weight: Any = 1.0, pos_weight: Any = 1.0
) -> Host:
    p = 1 / (1 + np.exp(-x))
    return reduced(-weight * (pos_weight * t * np.log(p) + (1 - t) * np.log(1 - p)), reduction)


def _weighted_apart(case: ModuleCase) -> Batch | None:
    """With a weight for each element of the last dimension, that one is none of the batch's."""
    weighted = {"weight", "pos_weight"} & case.arguments.keys()
    return vectors_apart(case) if weighted else examples_apart(case)


def _spec(module: Any, calls: Any, reference: Callable[..., Host]) -> ModuleSpec:
    return ModuleSpec(
        module, calls, reference, torch=module.__name__, batch=_weighted_apart,
        untold=("reduction", "log_target", "weight", "pos_weight"),
    )  # fmt: skip


SPECS = [
    _of_difference(nn.MSELoss, lambda d: d * d, ({}, ())),
    _of_difference(nn.L1Loss, lambda d: d, ({}, (0,))),
    _of_difference(nn.SmoothL1Loss, _smooth, ({}, (-1, 1)), ({"beta": 0.5}, (-0.5, 0.5)), ({"beta": 0}, (0,))),
    _of_difference(nn.HuberLoss, _huber, ({}, (-1, 1)), ({"delta": 0.5}, (-0.5, 0.5))),
    _spec(nn.KLDivLoss, _divergence(), _kl_div),
    _spec(nn.BCELoss, _binary(False), _bce),
    _spec(nn.BCEWithLogitsLoss, _binary(True), _bce_with_logits),
]
