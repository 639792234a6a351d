"""Every loss against its formula in plain NumPy, PyTorch, and the stand-in device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
import minigrad.nn.functional as F
from minigrad import nn
from nn.oracle import array, close, runs_on_standin, same_weights, tensor_in, torch

Array = Any


def huber(distance: Array, delta: float) -> Array:
    return np.where(distance <= delta, distance**2 / 2, delta * (distance - delta / 2))


# How to make it of `nn`, and its formula before the reduction.
PAIRS: dict[str, tuple[Callable[..., Any], Callable[[Array, Array], Array]]] = {
    "MSELoss": (lambda nn, **k: nn.MSELoss(**k), lambda x, t: (x - t) ** 2),
    "L1Loss": (lambda nn, **k: nn.L1Loss(**k), lambda x, t: np.abs(x - t)),
    "SmoothL1Loss": (lambda nn, **k: nn.SmoothL1Loss(beta=0.5, **k), lambda x, t: huber(np.abs(x - t), 0.5) / 0.5),
    "SmoothL1Loss 0": (lambda nn, **k: nn.SmoothL1Loss(beta=0.0, **k), lambda x, t: np.abs(x - t)),
    "HuberLoss": (lambda nn, **k: nn.HuberLoss(delta=0.4, **k), lambda x, t: huber(np.abs(x - t), 0.4)),
    "KLDivLoss": (lambda nn, **k: nn.KLDivLoss(**k), lambda x, t: t * (np.log(np.where(t > 0, t, 1)) - x)),
    "KLDivLoss log": (lambda nn, **k: nn.KLDivLoss(log_target=True, **k), lambda x, t: np.exp(t) * (t - x)),
    "BCELoss": (lambda nn, **k: nn.BCELoss(**k), lambda x, t: -(t * np.log(x) + (1 - t) * np.log1p(-x))),
    "BCEWithLogitsLoss": (
        lambda nn, **k: nn.BCEWithLogitsLoss(**k),
        lambda x, t: t * np.logaddexp(0, -x) + (1 - t) * np.logaddexp(0, x),
    ),
}
every = pytest.mark.parametrize("name", PAIRS)
reductions = st.sampled_from(["mean", "sum", "none"])


@st.composite
def pairs(draw: Any) -> tuple[Array, Array]:
    """An input and a target, both inside (0, 1), where every loss is defined, and nowhere equal."""
    shape = draw(hnp.array_shapes(max_dims=3, max_side=4))
    inside = st.floats(0.05, 0.95)
    x, t = draw(hnp.arrays(np.float64, shape, elements=inside)), draw(hnp.arrays(np.float64, shape, elements=inside))
    return np.where(np.abs(x - t) < 1e-3, x * 0.9, x), t


@every
@given(pair=pairs(), reduction=reductions)
def test_value_is_the_formulas(name: str, pair: tuple[Array, Array], reduction: str) -> None:
    x, t = pair
    make, formula = PAIRS[name]
    each = formula(x, t)
    expected = {"mean": each.mean(), "sum": each.sum(), "none": each}[reduction]
    close(make(nn, reduction=reduction)(minigrad.tensor(x), minigrad.tensor(t)), expected, 1e-12)


@every
@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")  # PyTorch's on kl_div, whose "mean" is not the divergence
@given(pair=pairs(), reduction=reductions)
def test_value_and_gradients_are_pytorchs(name: str, pair: tuple[Array, Array], reduction: str) -> None:
    make, _ = PAIRS[name]
    results = []
    for library, modules in ((minigrad, nn), (torch(), torch().nn)):
        x, t = (tensor_in(library, values, True) for values in pair)
        loss = make(modules, reduction=reduction)(x, t)
        (loss * loss).sum().backward()
        results.append([loss, x.grad, t.grad])
    for found, expected in zip(*results, strict=True):
        close(found, expected, 1e-10)


@every
def test_it_runs_on_the_standin_device(name: str) -> None:
    rng = np.random.default_rng(0)
    x, t = (rng.uniform(0.1, 0.9, (3, 4)).astype(np.float32) for _ in range(2))
    runs_on_standin(PAIRS[name][0](nn), x, t)


@pytest.mark.oracle
def test_kl_divergence_is_batchmean() -> None:
    p = np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])
    q = np.array([[0.6, 0.4], [0.1, 0.9], [0.5, 0.5]])
    expected = np.mean(
        [sum(a * np.log(a / b) for a, b in zip(u, v, strict=True) if a) for u, v in zip(p, q, strict=True)]
    )
    found = nn.KLDivLoss(reduction="batchmean")(minigrad.tensor(np.log(q)), minigrad.tensor(p))
    assert found.item() == pytest.approx(expected)


# ---- at the edges ---------------------------------------------------------------------------------------------------


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


@pytest.mark.oracle
def test_bce_takes_a_weight() -> None:
    rng = np.random.default_rng(4)
    x, t, weight = (rng.uniform(0.1, 0.9, size=(2, 3)) for _ in range(3))
    found = nn.BCELoss(minigrad.tensor(weight))(minigrad.tensor(x), minigrad.tensor(t))
    expected = torch().nn.BCELoss(torch().tensor(weight))(torch().tensor(x), torch().tensor(t))
    close(found, expected, 1e-12)


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


@st.composite
def class_problems(draw: Any) -> dict[str, Any]:
    N, C = draw(st.integers(1, 5)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    target = rng.integers(0, C, N)
    target[1:][rng.random(N - 1) < 0.3] = 1  # likely to be ignored, but never all
    target[0] = 0
    return {
        "logits": rng.normal(size=(N, C)),
        "features": rng.normal(size=(N, 3)),
        "target": target,
        "weight": rng.uniform(0.5, 2, C) if draw(st.booleans()) else None,
        "ignore_index": draw(st.sampled_from([-100, 1])),
        "reduction": draw(reductions),
        "label_smoothing": draw(st.sampled_from([0.0, 0.1])),
    }


def plain_cross_entropy(logits: Array, problem: dict[str, Any], smoothing: float) -> Array:
    """The definition, one example at a time."""
    weight = np.ones(logits.shape[1]) if problem["weight"] is None else problem["weight"]
    losses, total = [], 0.0
    for row, wanted in zip(logits, problem["target"], strict=True):
        log_p = row - np.logaddexp.reduce(row)
        if wanted == problem["ignore_index"]:
            losses.append(0.0)
            continue
        smooth = -(weight * log_p).sum() / len(row)
        losses.append((1 - smoothing) * -weight[wanted] * log_p[wanted] + smoothing * smooth)
        total += weight[wanted]
    return {"none": np.array(losses), "sum": np.sum(losses), "mean": np.sum(losses) / total}[problem["reduction"]]


@given(class_problems())
def test_cross_entropy_is_its_definition(problem: dict[str, Any]) -> None:
    weight = None if problem["weight"] is None else minigrad.tensor(problem["weight"])
    settings = {"ignore_index": problem["ignore_index"], "reduction": problem["reduction"]}
    logits, target = minigrad.tensor(problem["logits"]), minigrad.tensor(problem["target"])
    smoothing = problem["label_smoothing"]
    found = nn.CrossEntropyLoss(weight, label_smoothing=smoothing, **settings)(logits, target)
    close(found, plain_cross_entropy(problem["logits"], problem, smoothing), 1e-10)
    found = nn.NLLLoss(weight, **settings)(nn.LogSoftmax(1)(logits), target)
    close(found, plain_cross_entropy(problem["logits"], problem, 0.0), 1e-10)
    layer = nn.LinearCrossEntropyLoss(
        3, logits.shape[1], bias=True, weight=weight, label_smoothing=smoothing, **settings
    )
    layer.double()
    scores = problem["features"] @ array(layer.linear.weight).T + array(layer.linear.bias)
    found = layer(minigrad.tensor(problem["features"]), target)
    close(found, plain_cross_entropy(scores, problem, smoothing), 1e-10)


@pytest.mark.oracle
@given(problem=class_problems(), bias=st.booleans())
def test_linear_cross_entropy_is_pytorchs(problem: dict[str, Any], bias: bool) -> None:
    settings = {name: problem[name] for name in ("ignore_index", "reduction", "label_smoothing")}
    C = problem["logits"].shape[1]
    ours = nn.LinearCrossEntropyLoss(3, C, bias=bias, **settings).double()
    theirs = torch().nn.LinearCrossEntropyLoss(3, C, bias=bias, **settings).double()
    same_weights(ours, theirs)
    results = []
    for library, module in ((minigrad, ours), (torch(), theirs)):
        x = tensor_in(library, problem["features"], True)
        loss = module(x, tensor_in(library, problem["target"]))
        loss.sum().backward()
        results.append([loss, x.grad, *(parameter.grad for parameter in module.parameters())])
    for found, expected in zip(*results, strict=True):
        close(found, expected, 1e-10)


@pytest.mark.oracle
@given(problem=class_problems(), ignored=st.sampled_from([-100, 1]), weighted=st.booleans())
def test_where_all_rows_are_ignored_losses_are_pytorchs(problem: dict[str, Any], ignored: int, weighted: bool) -> None:
    """The mean of no rows is nan, and so is its gradient; a sum is 0."""
    N, C = problem["logits"].shape
    settings = {"ignore_index": ignored, "reduction": problem["reduction"]}
    results = []
    for library, functional in ((minigrad, F), (torch(), torch().nn.functional)):
        x = tensor_in(library, problem["logits"], True)
        y = tensor_in(library, np.full(N, ignored))
        w = tensor_in(library, np.linspace(0.5, 1, C)) if weighted else None
        losses = [
            functional.cross_entropy(x, y, w, label_smoothing=problem["label_smoothing"], **settings),
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


def test_losses_over_classes_run_on_the_standin_device() -> None:
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(4, 3)).astype(np.float32), rng.integers(0, 3, 4)
    runs_on_standin(nn.CrossEntropyLoss(minigrad.ones(3)), logits, target)
    runs_on_standin(nn.LinearCrossEntropyLoss(3, 5, bias=True), logits, target)
    runs_on_standin(nn.Sequential(nn.LogSoftmax(1)), logits)
