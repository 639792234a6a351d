"""Losses with a margin: each is its definition, one example at a time, and PyTorch's also where the margin is just met.

Numbers are drawn as sixteenths, in which sums and differences are exact, so that kinks are met often.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from beside_torch import agree
from hypothesis import given
from hypothesis import strategies as st

import minigrad
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.testing import gradcheck, gradgradcheck
from minigrad.testing.strategies import arrays, shapes
from nn.oracle import array, close, runs_on_standin

Array = Any
sizes = st.integers(1, 4)
reductions = st.sampled_from(["mean", "sum", "none"])


def signs(shape: tuple[int, ...]) -> Any:
    return arrays(shape).map(lambda values: np.where(values > 0, 1.0, -1.0))


@st.composite
def scores_and_signs(draw: Any) -> list[Array]:
    shape = draw(shapes(min_side=1))
    return [draw(arrays(shape)), draw(signs(shape))]


@st.composite
def ranked_pairs(draw: Any) -> list[Array]:
    shape = draw(shapes(min_side=1))
    return [draw(arrays(shape)), draw(arrays(shape)), draw(signs(shape))]


@st.composite
def vector_pairs(draw: Any) -> list[Array]:
    leading = draw(st.sampled_from([(), (1,), (3,)]))
    shape = (*leading, draw(sizes))
    away_from_0 = arrays(shape, domain=(0.1, 3))
    return [draw(away_from_0) * draw(signs(shape)), draw(away_from_0), draw(signs(leading))]


@st.composite
def triplets(draw: Any) -> list[Array]:
    """The negative lies on either side of anchor and positive; equal vectors would have no clear distance."""
    shape = (*draw(st.sampled_from([(), (1,), (3,)])), draw(sizes))
    return [draw(arrays(shape)) + shift for shift in (0.0, 7.0, draw(st.sampled_from([-9.5, 13.5])))]


@st.composite
def scores_and_classes(draw: Any) -> list[Array]:
    leading, C = draw(st.sampled_from([(), (1,), (3,)])), draw(sizes)
    return [draw(arrays((*leading, C))), np.array(draw(st.integers(0, C - 1))) + np.zeros(leading, np.int64)]


@st.composite
def scores_and_lists(draw: Any) -> list[Array]:
    leading, C = draw(st.sampled_from([(), (1,), (3,)])), draw(sizes)
    rows = [draw(st.lists(st.integers(-1, C - 1), min_size=C, max_size=C)) for _ in range(int(np.prod(leading)))]
    return [draw(arrays((*leading, C))), np.array(rows, np.int64).reshape(*leading, C)]


@st.composite
def scores_and_labels(draw: Any) -> list[Array]:
    shape = draw(shapes(min_dims=1, min_side=1))
    return [draw(arrays(shape)), draw(signs(shape)).clip(0)]


# ---- the definitions ------------------------------------------------------------------------------------------------


def over_rows(one: Callable[..., float]) -> Callable[..., Array]:
    """A loss of vectors as the loss of each row."""
    return lambda first, *rest: np.array(
        [one(*row) for row in zip(first, *rest, strict=True)] if first.ndim > 1 else one(first, *rest), np.float64
    )


def multi_margin(p: int, margin: float) -> Callable[[Array, Array], float]:
    return lambda s, y: sum(max(0, margin - s[y] + s[c]) ** p for c in range(len(s)) if c != y) / len(s)


def multilabel(s: Array, listed: Array) -> float:
    right = list(listed[: list(listed).index(-1)] if -1 in listed else listed)
    return sum(max(0, 1 - s[y] + s[c]) for y in right for c in range(len(s)) if c not in right) / len(s)


def cosine(margin: float) -> Callable[[Array, Array, float], float]:
    def one(a: Array, b: Array, y: float) -> float:
        cos = (a @ b) / np.linalg.norm(a) / np.linalg.norm(b)
        return 1 - cos if y == 1 else max(0, cos - margin)

    return one


def triplet(margin: float, p: float, swap: bool) -> Callable[[Array, Array, Array], float]:
    def distance(a: Array, b: Array) -> float:
        return float((np.abs(a - b + 1e-6) ** p).sum() ** (1 / p))

    def one(a: Array, near: Array, far: Array) -> float:
        away = min(distance(a, far), distance(near, far)) if swap else distance(a, far)
        return max(0, margin + distance(a, near) - away)

    return one


def soft(x: Array, y: Array) -> Array:
    return np.logaddexp(0, -x * y)


@dataclass
class Case:
    make: Callable[..., Any]  # the module, of `nn`
    formula: Callable[..., Array]
    drawn: Any
    order: int = 2  # of the derivatives that PyTorch has


CASES = {
    "SoftMargin": Case(
        lambda nn, **k: nn.SoftMarginLoss(**k),
        soft,
        scores_and_signs().map(lambda drawn: [drawn[0], drawn[1].astype(np.int64)]),  # no gradient for PyTorch's target
    ),
    "HingeEmbedding": Case(
        lambda nn, **k: nn.HingeEmbeddingLoss(0.5, **k),
        lambda x, y: np.where(y == 1, x, np.maximum(0, 0.5 - x)),
        scores_and_signs(),
    ),
    "MarginRanking": Case(
        lambda nn, **k: nn.MarginRankingLoss(0.5, **k),
        lambda a, b, y: np.maximum(0, 0.5 - y * (a - b)),
        ranked_pairs(),
    ),
    "CosineEmbedding": Case(lambda nn, **k: nn.CosineEmbeddingLoss(0.25, **k), over_rows(cosine(0.25)), vector_pairs()),
    "TripletMargin": Case(
        lambda nn, **k: nn.TripletMarginLoss(14.0, **k), over_rows(triplet(14.0, 2, False)), triplets()
    ),
    "TripletMargin swap": Case(
        lambda nn, **k: nn.TripletMarginLoss(9.0, p=3, swap=True, **k), over_rows(triplet(9.0, 3, True)), triplets()
    ),
    "MultiMargin": Case(
        lambda nn, **k: nn.MultiMarginLoss(margin=0.5, **k), over_rows(multi_margin(1, 0.5)), scores_and_classes(), 1
    ),
    "MultiMargin squared": Case(
        lambda nn, **k: nn.MultiMarginLoss(2, **k), over_rows(multi_margin(2, 1.0)), scores_and_classes(), 1
    ),
    "MultiLabelMargin": Case(
        lambda nn, **k: nn.MultiLabelMarginLoss(**k),
        over_rows(multilabel),
        scores_and_lists(),
        1,
    ),
    "MultiLabelSoftMargin": Case(
        lambda nn, **k: nn.MultiLabelSoftMarginLoss(**k),
        lambda x, t: soft(x, 2 * t - 1).mean(-1),
        scores_and_labels(),
    ),
}
every = pytest.mark.parametrize("name", CASES)


@every
@given(data=st.data(), reduction=reductions)
def test_value_is_the_definitions(name: str, data: Any, reduction: str) -> None:
    case = CASES[name]
    drawn = data.draw(case.drawn)
    each = case.formula(*drawn)
    expected = {"mean": each.mean(), "sum": each.sum(), "none": each}[reduction]
    close(case.make(nn, reduction=reduction)(*map(minigrad.tensor, drawn)), expected, 1e-9)


@every
@pytest.mark.oracle
@given(data=st.data(), reduction=reductions)
def test_value_and_gradients_are_pytorchs(name: str, data: Any, reduction: str) -> None:
    case = CASES[name]
    agree(
        lambda library, *tensors: case.make(library.nn, reduction=reduction)(*tensors),
        *data.draw(case.drawn),
        order=case.order,
        rtol=1e-8,
        atol=1e-9,
    )


@every
def test_it_runs_on_the_standin_device(name: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 4)).astype(np.float32)
    rows = np.array([1, -1, 1], np.float32)
    inputs = {
        "HingeEmbedding": (x, np.sign(y)), "SoftMargin": (x, np.sign(y)), "MarginRanking": (x, y, np.sign(x)),
        "CosineEmbedding": (x, y, rows), "MultiMargin": (x, np.array([0, 3, 1])),
        "MultiLabelMargin": (x, np.array([[0, 2, -1, 1], [-1, 0, 0, 0], [3, 2, 1, 0]])),
        "MultiLabelSoftMargin": (x, np.sign(y).clip(0)), "TripletMargin": (x, y, x + y),
    }[name.split()[0]]  # fmt: skip
    runs_on_standin(CASES[name].make(nn), *inputs)


ON_THE_EDGE: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "margin_ranking_loss": (
        lambda F, a, b, y: F.margin_ranking_loss(a, b, y, 0.5),
        [[0.75, 1.0], [0.25, 1.5], [1, -1]],
    ),
    "hinge_embedding_loss": (lambda F, x, y: F.hinge_embedding_loss(x, y), [[1.0, 1.0, 2.0], [-1, 1, 0]]),
    "cosine_embedding_loss": (lambda F, a, b, y: F.cosine_embedding_loss(a, b, y), [[1.0, 1.0], [2.0, -2.0], -1]),
    "triplet_margin_loss": (lambda F, a, b, c: F.triplet_margin_loss(a, b, c, 2.0, eps=0), [[0.0], [1.0], [3.0]]),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", ON_THE_EDGE)
def test_where_the_margin_is_just_met_the_slope_is_pytorchs(name: str) -> None:
    """And with a target other than 1 and -1, of which the pairs' losses make a choice, too."""
    call, values = ON_THE_EDGE[name]
    inputs = [np.array(value, np.float64) for value in values]
    agree(lambda library, *tensors: call(library.nn.functional, *tensors), *inputs)


# ---- single ones ----------------------------------------------------------------------------------------------------


@pytest.mark.oracle
@given(drawn=scores_and_classes(), p=st.sampled_from([1, 2]), reduction=reductions)
def test_class_weights_are_pytorchs(drawn: list[Array], p: int, reduction: str) -> None:
    weight = np.linspace(0.5, 2, drawn[0].shape[-1])
    for loss in ("MultiMarginLoss", "MultiLabelSoftMarginLoss"):
        settings = {"p": p} if loss == "MultiMarginLoss" else {}
        target = drawn[1] if settings else (drawn[0] > 0.5) * 1.0
        agree(
            lambda library, x, y, loss=loss, settings=settings: getattr(library.nn, loss)(
                weight=library.tensor(weight), reduction=reduction, **settings
            )(x, y),
            drawn[0],
            target,
        )
    assert list(nn.MultiMarginLoss(weight=minigrad.ones(2)).state_dict()) == ["weight"]


@pytest.mark.oracle
@given(data=st.data(), reduction=reductions)
@pytest.mark.parametrize("name", ["MultiMargin", "MultiMargin squared", "MultiLabelMargin"])
def test_scores_that_are_no_numbers_are_pytorchs(name: str, data: Any, reduction: str) -> None:
    """A masked class has the score -inf: pairs with it that do not count must not make nan of the others."""
    case = CASES[name]
    x, target = data.draw(case.drawn)
    odd = st.sampled_from([np.nan, -np.inf, np.inf, None, None])
    for place in range(x.size):
        value = data.draw(odd)
        x.flat[place] = x.flat[place] if value is None else value
    agree(lambda library, *tensors: case.make(library.nn, reduction=reduction)(*tensors), x, target, order=1, rtol=1e-8)


@pytest.mark.parametrize(
    ("loss", "scores", "expected", "slope"),
    [
        # What follows the end of a list is no class, though it may name the masked one.
        (lambda x: 3 * F.multilabel_margin_loss(x, minigrad.tensor([1, -1, 0])), [-np.inf, 1, 2], 2, [0, -1, 1]),
        (lambda x: F.multi_margin_loss(x, minigrad.tensor(0), p=2), [1, -np.inf, 2], 4 / 3, [-4 / 3, 0, 4 / 3]),
        (lambda x: F.multi_margin_loss(x, minigrad.tensor(0), p=2), [np.inf, 1, 2], 0, [0, 0, 0]),
    ],
)  # fmt: skip
def test_a_masked_or_certain_class_costs_nothing(loss: Any, scores: Any, expected: float, slope: Any) -> None:
    x = minigrad.tensor(np.array(scores, np.float64), requires_grad=True)
    found = loss(x)
    found.backward()
    close(found, np.array(expected, np.float64), 1e-12)
    close(x.grad, np.array(slope, np.float64), 1e-12)


@given(seed=st.integers(0, 99))
def test_the_squared_multiclass_hinge_has_second_derivatives(seed: int) -> None:
    x = minigrad.tensor(np.random.default_rng(seed).normal(size=(3, 4)), requires_grad=True)
    assert gradgradcheck(lambda s: F.multi_margin_loss(s, minigrad.tensor([0, 3, 1]), p=2), (x,))


@pytest.mark.oracle
@given(drawn=triplets(), p=st.sampled_from([1.0, 2.0, 3.5, float("inf")]), keepdim=st.booleans())
def test_pairwise_distance_is_pytorchs(drawn: list[Array], p: float, keepdim: bool) -> None:
    agree(
        lambda library, a, b: library.nn.functional.pairwise_distance(a, b, p, keepdim=keepdim), *drawn[:2], rtol=1e-8
    )


def test_the_soft_margin_never_overflows() -> None:
    x = minigrad.tensor([1e4, -1e4], requires_grad=True)
    loss = F.soft_margin_loss(x, minigrad.tensor([-1.0, 1.0]), reduction="none")
    loss.sum().backward()
    close(loss, np.array([1e4, 1e4], np.float32))
    close(x.grad, np.array([1, -1], np.float32))


@pytest.mark.parametrize("dtype", [np.int32, np.uint8])
def test_class_indices_may_be_of_any_integer_dtype(dtype: Any) -> None:
    x, y = minigrad.tensor([[0.5, 1.0, 0.25], [2.0, 0.0, 1.0]]), np.array([2, 0])
    for loss in (F.multi_margin_loss, F.zero_one_loss, F.cross_entropy):
        close(loss(x, minigrad.tensor(y.astype(dtype))), loss(x, minigrad.tensor(y)))
    lists = np.array([[2, 0, -1], [1, -1, -1]])
    found = F.multilabel_margin_loss(x, minigrad.tensor(lists.astype(np.int32)))
    close(found, F.multilabel_margin_loss(x, minigrad.tensor(lists)))


def test_a_mean_of_nothing_is_nan() -> None:
    assert np.isnan(F.multi_margin_loss(minigrad.zeros(0, 3), minigrad.zeros(0, dtype=minigrad.int64)).item())


# ---- the binary hinge, and what it stands for -----------------------------------------------------------------------


@given(drawn=scores_and_signs(), reduction=reductions)
def test_hinge_is_its_definition_and_the_multiclass_hinge_of_two(drawn: list[Array], reduction: str) -> None:
    x, y = drawn
    each = np.array([max(0.0, 1 - a * b) for a, b in zip(x.flat, y.flat, strict=True)]).reshape(x.shape)
    expected = {"mean": each.mean(), "sum": each.sum(), "none": each}[reduction]
    close(nn.HingeLoss(reduction=reduction)(minigrad.tensor(x), minigrad.tensor(y)), expected, 1e-12)
    two = np.stack([-x, x], -1).reshape(-1, 2) / 2
    classes = minigrad.tensor((y.reshape(-1) > 0).astype(np.int64))
    both = F.multi_margin_loss(minigrad.tensor(two), classes, reduction="none")
    close(2 * both, each.reshape(-1), 1e-12)


@given(drawn=scores_and_signs())
def test_the_slope_of_the_hinge_is_minus_the_sign_until_the_margin_is_met(drawn: list[Array]) -> None:
    x, y = drawn
    leaf = minigrad.tensor(x, requires_grad=True)
    nn.HingeLoss(reduction="sum")(leaf, minigrad.tensor(y)).backward()
    close(leaf.grad, np.where(x * y < 1, -y, 0.0))
    away = minigrad.tensor(np.where(np.abs(x * y - 1) < 1e-3, 0.5, x), requires_grad=True)
    assert gradcheck(lambda s: F.hinge_loss(s, minigrad.tensor(y)), (away,))


def test_the_hinge_runs_on_the_standin_device() -> None:
    runs_on_standin(nn.HingeLoss(), np.array([0.5, -2], np.float32), np.array([1, 1], np.float32))


@given(drawn=scores_and_signs())
def test_zero_one_counts_the_wrong_signs_and_lies_below_the_hinge(drawn: list[Array]) -> None:
    x, y = minigrad.tensor(drawn[0], requires_grad=True), minigrad.tensor(drawn[1])
    wrong = F.zero_one_loss(x, y, reduction="none")
    close(wrong, np.array(drawn[0] * drawn[1] <= 0, np.float64))
    assert not wrong.requires_grad
    assert (wrong <= F.hinge_loss(x, y, reduction="none")).all()
    assert F.zero_one_loss(x, y).item() == pytest.approx(array(wrong).mean())


@st.composite
def classified(draw: Any) -> tuple[Array, Array, int]:
    C, rest = draw(sizes), draw(st.lists(st.integers(0, 3), max_size=2))
    leading = draw(st.booleans())
    shape = (draw(sizes), C, *rest) if leading else (C,)
    target = draw(arrays((shape[0], *rest) if leading else (), domain=(-0.9, C)))
    return draw(arrays(shape)), np.floor(target.clip(0)).astype(np.int64), draw(st.sampled_from([-100, 0]))


@given(drawn=classified(), reduction=reductions)
def test_zero_one_counts_the_wrong_classes(drawn: tuple[Array, Array, int], reduction: str) -> None:
    x, target, ignored = drawn
    decided = x.argmax(0 if x.ndim == 1 else 1)
    each = np.array((decided != target) & (target != ignored), np.float64)
    with np.errstate(all="ignore"):
        mean = each.sum() / np.array((target != ignored).sum())
    found = F.zero_one_loss(minigrad.tensor(x), minigrad.tensor(target), ignore_index=ignored, reduction=reduction)
    close(found, {"mean": mean, "sum": each.sum(), "none": each}[reduction], 1e-12)


def test_zero_one_takes_the_hosts_word_for_nothing() -> None:
    """On the stand-in device, it waits for nothing and says the same."""
    from minigrad.testing import standin

    standin.install()
    x, target = minigrad.tensor([[1.0, 2.0], [4.0, 3.0], [0.0, 1.0]]), minigrad.tensor([1, 1, -100])
    with standin.no_synchronisation():
        found = F.zero_one_loss(x.to("standin"), target.to("standin"))
        signs_found = F.zero_one_loss(x.to("standin")[0], target.to("standin")[:2])
    close(found, np.array(0.5, np.float32))
    close(signs_found, np.array(0.0, np.float32))


# ---- mistakes -------------------------------------------------------------------------------------------------------

two, square = minigrad.ones(2), minigrad.ones(2, 2)
indices = minigrad.tensor([0, 1])


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: F.hinge_loss(two, square), ValueError, r"\(2,\) and the target \(2, 2\).*must be equal"),
        (lambda: F.hinge_loss(two, indices), RuntimeError, "the signs 1 and -1 alone.*2 \\* target - 1"),
        (lambda: F.zero_one_loss(two, indices), RuntimeError, "the signs 1 and -1 alone"),
        (lambda: F.zero_one_loss(square, indices + 1), IndexError, r"target\[1\] is class 2, there are 2 classes"),
        (lambda: F.zero_one_loss(square, minigrad.ones(3)), RuntimeError, r"for input \(2, 2\) it must be \(2,\)"),
        (lambda: F.zero_one_loss(square, indices, reduction="avg"), ValueError, "not 'avg'"),
        (lambda: F.multi_margin_loss(square, indices, p=3), ValueError, "p is 1 or 2, not 3"),
        (lambda: nn.MultiMarginLoss(p=3), ValueError, "p is 1 or 2, not 3"),
        (lambda: F.multi_margin_loss(square[None], indices), RuntimeError, r"must be \(C\) or \(N, C\)"),
        (lambda: F.multi_margin_loss(square, indices + 1), IndexError, r"is class 2, .* 0 to 1$"),
        (lambda: F.multi_margin_loss(square, two), RuntimeError, "integer dtype, it is float32"),
        (lambda: F.multi_margin_loss(square, indices, weight=square), RuntimeError, "one weight for each class"),
        (lambda: F.multilabel_margin_loss(square, indices), RuntimeError, r"must both be \(C\) or \(N, C\)"),
        (lambda: F.multilabel_margin_loss(two, indices * -2), IndexError, r"target\[1\] is class -2"),
        (lambda: F.margin_ranking_loss(two, two, square), RuntimeError, r"target \(2, 2\): .*same number of dimens"),
        (lambda: F.cosine_embedding_loss(two, two, two), RuntimeError, r"they must be \(D\) and \(\)"),
        (lambda: F.cosine_embedding_loss(two, square, two), RuntimeError, r"input1 \(2,\), input2 \(2, 2\)"),
        (lambda: F.triplet_margin_loss(two, square, two), RuntimeError, "same number of dimensions"),
        (lambda: F.triplet_margin_loss(two, two, two, margin=0), ValueError, "margin must be above 0, got 0"),
        (lambda: nn.TripletMarginLoss(-1.0), ValueError, r"margin must be above 0, got -1\.0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call: Callable[[], Any], error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        call()
