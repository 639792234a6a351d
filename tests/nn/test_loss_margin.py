"""Losses with a margin where the properties that every module is tried with do not look: where the margin is just met,
at scores that are no numbers, in mistakes; and what the hinge has to do with the other losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from beside_torch import agree
from hypothesis import given
from hypothesis import strategies as st

import minigrad
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.testing.strategies import arrays, shapes
from nn.oracle import array, close

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
def scores_and_classes(draw: Any) -> list[Array]:
    leading, C = draw(st.sampled_from([(), (1,), (3,)])), draw(sizes)
    return [draw(arrays((*leading, C))), np.array(draw(st.integers(0, C - 1))) + np.zeros(leading, np.int64)]


@st.composite
def scores_and_lists(draw: Any) -> list[Array]:
    leading, C = draw(st.sampled_from([(), (1,), (3,)])), draw(sizes)
    rows = [draw(st.lists(st.integers(-1, C - 1), min_size=C, max_size=C)) for _ in range(int(np.prod(leading)))]
    return [draw(arrays((*leading, C))), np.array(rows, np.int64).reshape(*leading, C)]


ON_THE_EDGE: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "margin_ranking_loss": (
        lambda F, a, b, y: F.margin_ranking_loss(a, b, y, 0.5),
        [[0.75, 1.0], [0.25, 1.5], [1, -1]],
    ),
    "hinge_embedding_loss": (lambda F, x, y: F.hinge_embedding_loss(x, y), [[1.0, 1.0, 2.0], [-1, 1, 0]]),
    "cosine_embedding_loss": (  # and where it is passed
        lambda F, a, b, y: F.cosine_embedding_loss(a, b, y), [[[1, 1], [1, 2]], [[2, -2], [2, 1.5]], [-1, -1]]
    ),
    "triplet_margin_loss": (lambda F, a, b, c: F.triplet_margin_loss(a, b, c, 2.0, eps=0), [[0.0], [1.0], [3.0]]),
}  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize("name", ON_THE_EDGE)
def test_where_the_margin_is_just_met_the_slope_is_pytorchs(name: str) -> None:
    """And with a target other than 1 and -1, of which the pairs' losses make a choice, too."""
    call, values = ON_THE_EDGE[name]
    inputs = [np.array(value, np.float64) for value in values]
    agree(lambda library, *tensors: call(library.nn.functional, *tensors), *inputs)


# ---- single ones ----------------------------------------------------------------------------------------------------


OVER_CLASSES: dict[str, tuple[Callable[..., Any], Any]] = {
    "MultiMargin": (lambda nn, **k: nn.MultiMarginLoss(margin=0.5, **k), scores_and_classes()),
    "MultiMargin squared": (lambda nn, **k: nn.MultiMarginLoss(2, **k), scores_and_classes()),
    "MultiLabelMargin": (lambda nn, **k: nn.MultiLabelMarginLoss(**k), scores_and_lists()),
}


@pytest.mark.oracle
@given(data=st.data(), reduction=reductions)
@pytest.mark.parametrize("name", OVER_CLASSES)
def test_scores_that_are_no_numbers_are_pytorchs(name: str, data: Any, reduction: str) -> None:
    """A masked class has the score -inf: pairs with it that do not count must not make nan of the others.

    The numbers are sixteenths, in which differences are exact, so that the margin is just met often; and a list may
    name a class twice.
    """
    make, drawn = OVER_CLASSES[name]
    x, target = data.draw(drawn)
    odd = st.sampled_from([np.nan, -np.inf, np.inf, None, None])
    for place in range(x.size):
        value = data.draw(odd)
        x.flat[place] = x.flat[place] if value is None else value
    agree(lambda library, *tensors: make(library.nn, reduction=reduction)(*tensors), x, target, order=1, rtol=1e-8)


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


def test_class_weights_are_a_buffer() -> None:
    assert list(nn.MultiMarginLoss(weight=minigrad.ones(2)).state_dict()) == ["weight"]


def test_a_mean_of_nothing_is_nan() -> None:
    assert np.isnan(F.multi_margin_loss(minigrad.zeros(0, 3), minigrad.zeros(0, dtype=minigrad.int64)).item())


# ---- the binary hinge, and what it stands for -----------------------------------------------------------------------


@given(drawn=scores_and_signs())
def test_the_hinge_is_the_multiclass_hinge_of_two(drawn: list[Array]) -> None:
    x, y = drawn
    each = F.hinge_loss(minigrad.tensor(x), minigrad.tensor(y), reduction="none")
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
