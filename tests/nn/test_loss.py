"""Losses where the properties that every module is tried with do not look: at edges, in mistakes, with all ignored."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
import minigrad.nn.functional as F
from minigrad import nn
from nn.oracle import array, close, tensor_in, torch

Array = Any
reductions = st.sampled_from(["mean", "sum", "none"])


# ---- at the edges ---------------------------------------------------------------------------------------------------


def test_kl_divergence_is_batchmean() -> None:
    p = np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])
    q = np.array([[0.6, 0.4], [0.1, 0.9], [0.5, 0.5]])
    expected = np.mean(
        [sum(a * np.log(a / b) for a, b in zip(u, v, strict=True) if a) for u, v in zip(p, q, strict=True)]
    )
    found = nn.KLDivLoss(reduction="batchmean")(minigrad.tensor(np.log(q)), minigrad.tensor(p))
    assert found.item() == pytest.approx(expected)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_at_0_and_1_is_pytorchs(dtype: Any) -> None:
    x = np.array([0, 1, 0, 1, 1e-30, 1 - 1e-7, 0.5], dtype)
    t = np.array([0, 1, 1, 0, 1, 0, 0.3], dtype)
    results = []
    for library, functional in ((minigrad, F), (torch(), torch().nn.functional)):
        a, b = tensor_in(library, x, True), tensor_in(library, t, True)
        loss = functional.binary_cross_entropy(a, b, reduction="none")
        loss.sum().backward()
        results.append([loss, a.grad, b.grad])
    for found, expected in zip(*results, strict=True):
        close(found, expected, 1e-5)


def test_a_saturated_sigmoid_still_has_a_finite_gradient() -> None:
    leaf = minigrad.tensor([200.0, -200.0], requires_grad=True)
    nn.BCELoss()(nn.Sigmoid()(leaf), minigrad.tensor([0.0, 1.0])).backward()
    assert np.isfinite(array(leaf.grad)).all()


@pytest.mark.oracle
@given(x=hnp.arrays(np.float64, (3, 4), elements=st.floats(-800, 800)), reduction=reductions)
def test_bce_with_logits_and_weights_is_pytorchs(x: Array, reduction: str) -> None:
    rng = np.random.default_rng(3)
    t, weight, pos_weight = rng.uniform(size=(3, 4)), rng.uniform(size=(3, 4)), rng.uniform(0.5, 3, size=4)
    results = []
    for library, modules in ((minigrad, nn), (torch(), torch().nn)):
        a = tensor_in(library, x, True)
        loss = modules.BCEWithLogitsLoss(
            tensor_in(library, weight), pos_weight=tensor_in(library, pos_weight), reduction=reduction
        )(a, tensor_in(library, t))
        loss.sum().backward()
        results.append([loss, a.grad])
    for found, expected in zip(*results, strict=True):
        assert np.isfinite(array(found)).all()
        close(found, expected, 1e-10)


# ---- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss()])
def test_shapes_that_broadcast_are_warned_about(loss: nn.Module) -> None:
    with pytest.warns(UserWarning, match=r"\(3,\).*\(3, 1\).*broadcast"):
        loss(minigrad.ones(3), minigrad.zeros(3, 1))


@pytest.mark.parametrize("loss", [nn.BCELoss(), nn.BCEWithLogitsLoss()])
def test_shapes_that_differ_are_refused(loss: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"\(3, 1\).*\(3,\).*must be equal"):
        loss(minigrad.ones(3, 1), minigrad.zeros(3))


def test_bad_settings_are_refused() -> None:
    for make in (nn.MSELoss, nn.CrossEntropyLoss, nn.MultiMarginLoss):
        for unknown in ("average", "batchmean"):
            with pytest.raises(ValueError, match=f"reduction is 'mean', 'sum' or 'none', not '{unknown}'"):
                make(reduction=unknown)
    with pytest.raises(ValueError, match="KLDivLoss: reduction is 'mean', 'sum', 'none' or 'batchmean', not 'average'"):
        nn.KLDivLoss(reduction="average")
    with pytest.raises(ValueError, match=r"kl_div: .* or 'batchmean', not 'average'"):
        F.kl_div(minigrad.ones(1), minigrad.ones(1), reduction="average")
    with pytest.raises(ValueError, match="not 'average'"):
        F.mse_loss(minigrad.ones(1), minigrad.ones(1), reduction="average")
    with pytest.raises(RuntimeError, match="beta must be at least 0"):
        F.smooth_l1_loss(minigrad.ones(1), minigrad.ones(1), beta=-1)
    with pytest.raises(RuntimeError, match="delta must be above 0"):
        F.huber_loss(minigrad.ones(1), minigrad.ones(1), delta=0)


# ---- losses over classes --------------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [-100, 1])
def test_where_all_rows_are_ignored_losses_are_pytorchs(reduction: str, weighted: bool, ignored: int) -> None:
    """The mean of no rows is nan, and so is its gradient; a sum is 0."""
    scores = np.random.default_rng(0).normal(size=(3, 4))
    settings = {"ignore_index": ignored, "reduction": reduction}
    results = []
    for library, functional in ((minigrad, F), (torch(), torch().nn.functional)):
        x = tensor_in(library, scores, True)
        y = tensor_in(library, np.full(3, ignored))
        w = tensor_in(library, np.linspace(0.5, 1, 4)) if weighted else None
        losses = [
            functional.cross_entropy(x, y, w, **settings),
            functional.cross_entropy(x, y, w, label_smoothing=0.1, **settings),
            functional.nll_loss(x, y, weight=w, **settings),
            functional.linear_cross_entropy(x, x, y, **settings),
        ]
        sum(loss.sum() for loss in losses).backward()
        results.append([*losses, x.grad])
    for found, expected in zip(*results, strict=True):
        close(found, expected, 1e-12)


@pytest.mark.parametrize("function", ["cross_entropy", "linear_cross_entropy"])
def test_no_class_is_ignored_among_probabilities(function: str) -> None:
    x, p = minigrad.ones(2, 2), minigrad.ones(2, 2) / 2
    inputs = (x, p) if function == "cross_entropy" else (x, x, p)
    with pytest.raises(RuntimeError, match=f"{function}: ignore_index is 1, but target holds probabilities"):
        getattr(F, function)(*inputs, ignore_index=1)
    assert getattr(F, function)(*inputs, ignore_index=-1).item() == pytest.approx(np.log(2))


@given(leading=st.lists(st.integers(1, 3), max_size=3), reduction=reductions, smoothing=st.sampled_from([0.0, 0.2]))
def test_linear_cross_entropy_takes_probabilities_for_every_row(
    leading: list[int], reduction: str, smoothing: float
) -> None:
    rng = np.random.default_rng(0)
    x, table = minigrad.tensor(rng.normal(size=(*leading, 3))), minigrad.tensor(rng.normal(size=(4, 3)))
    p, weight = minigrad.tensor(rng.dirichlet(np.ones(4), leading)), minigrad.tensor(rng.uniform(size=4))
    settings = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    found = F.linear_cross_entropy(x, table, p, **settings)
    rows = F.cross_entropy((x @ table.T).reshape(-1, 4), p.reshape(-1, 4), **settings)
    close(found, array(rows).reshape(leading if reduction == "none" else ()), 1e-12)


def test_a_class_weight_is_a_buffer() -> None:
    loss = nn.CrossEntropyLoss(minigrad.ones(3))
    assert list(loss.state_dict()) == ["weight"]
    assert loss.double().weight.dtype == minigrad.float64
    assert list(nn.CrossEntropyLoss().state_dict()) == []
