"""Losses over classes in every shape, and what they say of targets that do not fit."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.core.tensor import Tensor
from minigrad.ops import fused

seeds = st.integers(0, 2**32 - 1)
few = st.integers(1, 3)


def normal(rng: Any, *shape: int) -> Tensor:
    return minigrad.tensor(rng.standard_normal(shape))


CLASSES = 4
reductions = st.sampled_from(["mean", "sum", "none"])


@st.composite
def loss_shapes(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of scores and of class indices."""
    if draw(st.booleans()):
        return (CLASSES,), ()
    rest = tuple(draw(st.lists(few, max_size=2)))
    n = draw(few)
    return (n, CLASSES, *rest), (n, *rest)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss", "probabilities"])
@given(loss_shapes(), reductions, st.booleans(), st.sampled_from([0.0, 0.2]), seeds)
def test_losses_follow_torch(
    name: str, shapes: Any, reduction: str, weighted: bool, smoothing: float, seed: int
) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal(shapes[0])
    weight = rng.random(CLASSES) + 0.1 if weighted else None
    settings: dict[str, Any] = {"reduction": reduction}
    if name == "probabilities":
        target = rng.random(shapes[0])
    else:
        target = np.where(rng.random(shapes[1]) < 0.3, 1, rng.integers(0, CLASSES, shapes[1]))
        settings["ignore_index"] = 1
    if name != "nll_loss":
        settings["label_smoothing"] = smoothing
    function = "nll_loss" if name == "nll_loss" else "cross_entropy"
    x, y = minigrad.tensor(scores).requires_grad_(), torch.tensor(scores, requires_grad=True)
    w = None if weight is None else (minigrad.tensor(weight), torch.tensor(weight))
    found = getattr(fused, function)(x, minigrad.tensor(target), w and w[0], **settings)
    expected = getattr(torch.nn.functional, function)(y, torch.tensor(target), w and w[1], **settings)
    assert tuple(found.shape) == tuple(expected.shape)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    if np.isnan(expected.detach().numpy()).any():
        return  # a mean of no rows
    found.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-9, atol=1e-12)


@given(st.lists(few, max_size=3), reductions, st.booleans(), st.booleans(), seeds)
def test_linear_cross_entropy_is_linear_and_cross_entropy(
    rows: list[int], reduction: str, biased: bool, probabilities: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rows[:1] if probabilities else rows
    input, table = normal(rng, *rows, 3).requires_grad_(), normal(rng, CLASSES, 3).requires_grad_()
    bias = normal(rng, CLASSES).requires_grad_() if biased else None
    shape = (*rows, CLASSES) if probabilities else rows
    target = minigrad.tensor(rng.random(shape) if probabilities else rng.integers(0, CLASSES, shape))
    settings = {"reduction": reduction, "label_smoothing": 0.1}
    leaves = [input, table] if bias is None else [input, table, bias]
    found = fused.linear_cross_entropy(input, table, target, linear_bias=bias, **settings)
    logits = input @ table.mT if bias is None else input @ table.mT + bias
    if probabilities:
        expected = fused.cross_entropy(logits, target, **settings)
    else:
        expected = fused.cross_entropy(logits.reshape(-1, CLASSES), target.reshape(-1), **settings)
        expected = expected.reshape(shape) if reduction == "none" else expected
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    ours = minigrad.grad(found.sum(), leaves)
    for one, other in zip(ours, minigrad.grad(expected.sum(), leaves), strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.oracle
def test_linear_cross_entropy_has_torchs_signature() -> None:
    torch = pytest.importorskip("torch")
    if not hasattr(torch.nn.functional, "linear_cross_entropy"):
        pytest.skip("linear_cross_entropy came with PyTorch 2.13")
    ours = inspect.signature(fused.linear_cross_entropy).parameters
    theirs = inspect.signature(torch.nn.functional.linear_cross_entropy).parameters
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]


def test_an_ignored_row_passes_nothing_on() -> None:
    logits = minigrad.tensor([[1.0, 2.0], [float("nan"), 0.0]]).requires_grad_()
    fused.cross_entropy(logits, minigrad.tensor([0, -100])).backward()
    assert (logits.grad[1] == 0).all()
    assert (logits.grad[0] != 0).all()


@pytest.mark.parametrize(
    ("scores", "target", "settings", "error", "said"),
    [
        ((2, 4), [0, 4], {}, IndexError, r"target\[1\] is class 4, there are 4 classes, 0 to 3 \(ignore_index is -100"),
        ((2, 4), [-1, 0], {}, IndexError, r"target\[0\] is class -1"),
        ((4,), 5, {}, IndexError, "target is class 5"),
        ((2, 4), [0], {}, RuntimeError, r"target has shape \(1,\), for input \(2, 4\) it must be \(2,\)"),
        ((2, 4), [True, False], {}, RuntimeError, "must be of an integer dtype, it is bool"),
        ((2, 4), [[0.5, 0.5]], {}, RuntimeError, r"probabilities of shape \(1, 2\), the logits have shape \(2, 4\)"),
        ((2, 4), [0, 1], {"reduction": "avg"}, ValueError, "'mean', 'sum' or 'none', not 'avg'"),
        ((2, 4), [0, 1], {"label_smoothing": 1.5}, RuntimeError, "between 0 and 1"),
        ((2, 4), [0, 1], {"weight": minigrad.tensor([1.0] * 3)}, RuntimeError, r"weight is float32 of shape \(3,\)"),
    ],
)
def test_bad_targets_are_said(scores: Any, target: Any, settings: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        fused.cross_entropy(minigrad.ones(*scores), minigrad.tensor(target), **settings)


def test_the_output_layer_must_fit() -> None:
    x, table = minigrad.ones(2, 3), minigrad.ones(5, 3)
    good = minigrad.tensor([0, 1])
    with pytest.raises(RuntimeError, match=r"input \(2, 3\) and linear_weight \(3, 5\)"):
        fused.linear_cross_entropy(x, table.T, good)
    with pytest.raises(RuntimeError, match=r"target has shape \(1,\), for input \(2, 3\) it must be \(2,\)"):
        fused.linear_cross_entropy(x, table, good[:1])
    with pytest.raises(RuntimeError, match="input is float32 and linear_weight float64"):
        fused.linear_cross_entropy(x, table.double(), good)
    with pytest.raises(RuntimeError, match=r"linear_bias has shape \(4,\), it must be \(5,\)"):
        fused.linear_cross_entropy(x, table, good, linear_bias=minigrad.ones(4))
    with pytest.raises(IndexError, match=r"target\[0\] is class 5"):
        fused.linear_cross_entropy(x, table, good + 5)


def test_class_weights_get_no_gradient_and_say_so() -> None:
    weight = minigrad.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="class weights get no gradient"):
        fused.cross_entropy(minigrad.ones(1, 2), minigrad.tensor([0]), weight)
    with pytest.raises(RuntimeError, match="class weights get no gradient"):
        fused.linear_cross_entropy(minigrad.ones(1, 2), minigrad.ones(2, 2), minigrad.tensor([0]), weight=weight)
