"""Gradients that travel as rows of a table: whatever they meet on the way, they equal the dense ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.core.errors import AnomalyError
from minigrad.core.rows import Rows

V, D = 5, 2  # rows of the table, and their width


def table() -> minigrad.Tensor:
    return minigrad.tensor(np.arange(1.0, V * D + 1).reshape(V, D), requires_grad=True)


def dense(gradient: Any) -> list[Any]:
    return (gradient.to_dense() if isinstance(gradient, Rows) else gradient).tolist()


# One use of the table in a loss; a list of them is a program.
USES: dict[str, Callable[[minigrad.Tensor, bool], minigrad.Tensor]] = {
    "looked up": lambda w, sparse: F.embedding(minigrad.tensor([1, 1, 3]), w, sparse=sparse).square().sum(),
    "looked up elsewhere": lambda w, sparse: F.embedding(minigrad.tensor([[0], [4]]), w, sparse=sparse).sum(),
    "looked up, and dense": lambda w, sparse: F.embedding(minigrad.tensor([2]), w).square().sum(),
    "nothing looked up": lambda w, sparse: F.embedding(minigrad.zeros(0).long(), w, sparse=sparse).sum(),
    "multiplied": lambda w, sparse: (w * w).sum(),
    "a result looked up": lambda w, sparse: F.embedding(minigrad.tensor([1, 4]), w * 2, sparse=sparse).square().sum(),
    "part of a result": lambda w, sparse: F.embedding(minigrad.tensor([1]), w.split(2)[1], sparse=sparse).sum(),
}
programs = st.lists(st.lists(st.sampled_from(list(USES)), min_size=1, max_size=3), min_size=1, max_size=3)


@given(programs, st.booleans(), st.booleans())
def test_any_sum_of_uses_gives_the_dense_gradient(program: list[list[str]], hooked: bool, again: bool) -> None:
    """Each inner list is one loss, gone back from at once: within it gradients meet on their way, after it in .grad."""
    answers = []
    for sparse in (True, False):
        w = table()
        if hooked:
            w.register_hook(lambda g: None)
        for uses in program:
            loss = minigrad.stack([USES[use](w, sparse) for use in uses]).sum()
            loss.backward(retain_graph=again)
            if again:
                loss.backward()
        answers.append(dense(w.grad))
    assert answers[0] == answers[1]


@given(st.lists(st.sampled_from(list(USES)), min_size=1, max_size=3))
def test_grad_gives_the_same_and_so_does_create_graph(uses: list[str]) -> None:
    answers = []
    for sparse, create_graph in ((True, False), (False, False), (True, True)):
        w = table()
        loss = minigrad.stack([USES[use](w, sparse) for use in uses]).sum()
        (gradient,) = minigrad.grad(loss, w, create_graph=create_graph)
        answers.append(dense(gradient))
    assert answers[0] == answers[1] == answers[2]


# ---- one lookup, with the numbers that come out ----------------------------------------------------------------------

INDEX = [2, 0, 2]
G = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
DENSE = np.array([[3, 4], [0, 0], [6, 8], [0, 0], [0, 0]])  # of the rows looked up, for `G`

sparse_or_not = pytest.mark.parametrize("sparse", [False, True])
in_either_order = pytest.mark.parametrize("rows_first", [False, True])


def looked_up(w: minigrad.Tensor, sparse: bool) -> minigrad.Tensor:
    return (F.embedding(minigrad.tensor(INDEX), w, sparse=sparse) * minigrad.tensor(G)).sum()


@sparse_or_not
def test_grad_gives_rows_only_where_asked(sparse: bool) -> None:
    w = table()
    (gradient,) = minigrad.grad(looked_up(w, sparse), w)
    assert type(gradient) is (Rows if sparse else minigrad.Tensor)
    assert dense(gradient) == DENSE.tolist()


@sparse_or_not
def test_backward_twice_adds_up(sparse: bool) -> None:
    w = table()
    for _ in range(2):
        looked_up(w, sparse).backward()
    assert type(w.grad) is (Rows if sparse else minigrad.Tensor)
    assert dense(w.grad) == (2 * DENSE).tolist()


@sparse_or_not
def test_backward_into_chosen_inputs(sparse: bool) -> None:
    w, other = table(), minigrad.ones(1, requires_grad=True)
    (looked_up(w, sparse) * other).sum().backward(inputs=[w])
    assert type(w.grad) is (Rows if sparse else minigrad.Tensor)
    assert dense(w.grad) == DENSE.tolist()
    assert other.grad is None


@in_either_order
@pytest.mark.parametrize("create_graph", [False, True])
def test_rows_and_a_dense_gradient_add_up_on_their_way(rows_first: bool, create_graph: bool) -> None:
    w = table()
    parts = [lambda: looked_up(w, True), lambda: (w * w).sum()]
    first, second = (part() for part in (parts if rows_first else parts[::-1]))
    (gradient,) = minigrad.grad(first + second, w, create_graph=create_graph)
    assert dense(gradient) == (DENSE + 2 * w.detach().numpy()).tolist()


@in_either_order
def test_rows_and_a_dense_gradient_add_up_in_dot_grad(rows_first: bool) -> None:
    w = table()
    parts = [lambda: looked_up(w, True), lambda: (w * 2.0).sum()]
    for part in parts if rows_first else parts[::-1]:
        part().backward()
    assert type(w.grad) is minigrad.Tensor
    assert dense(w.grad) == (DENSE + 2).tolist()


def test_a_hook_on_the_table_sees_a_dense_gradient() -> None:
    w, seen = table(), []
    w.register_hook(lambda gradient: seen.append(gradient.numpy().tolist()))
    looked_up(w, False).backward()
    assert seen == [DENSE.tolist()]


def test_a_computed_table_gets_a_dense_gradient() -> None:
    w = table()
    looked_up(w * 2.0, False).backward()
    assert dense(w.grad) == (2 * DENSE).tolist()


@sparse_or_not
@pytest.mark.parametrize(("value", "said"), [(np.nan, "NaN flows into"), (np.inf, "an infinity flows into")])
def test_anomaly_detection_reads_rows(sparse: bool, value: float, said: str) -> None:
    with minigrad.autograd.detect_anomaly():
        w = table()
        looked_up(w, sparse).backward()  # finite, and so quiet
        result = F.embedding(minigrad.tensor(INDEX), w, sparse=sparse)
        with pytest.raises(AnomalyError, match=f"{said} the gradient of 'embedding"):
            result.backward(minigrad.full((3, D), value, dtype=minigrad.float64))


# ---- rows and what they say ------------------------------------------------------------------------------------------


def test_they_stay_rows_where_that_was_asked_for() -> None:
    w = table()
    seen = []
    w.register_hook(lambda g: seen.append(type(g)))
    for sparse in (True, False):
        w.grad = None
        USES["looked up"](w, sparse).backward()
        assert (type(w.grad) is Rows) == sparse
    assert seen == [Rows, minigrad.Tensor]
    assert type(minigrad.grad(USES["looked up"](w, True), w)[0]) is Rows
    USES["looked up"](w, True).backward()
    assert type(w.grad) is minigrad.Tensor  # rows were added to a whole table


def test_what_rows_say_of_themselves() -> None:
    w = table()
    F.embedding(minigrad.tensor([3, 1, 3]), w, sparse=True).sum().backward()
    assert repr(w.grad) == "Rows(n=3, shape=(5, 2), dtype=float64)"
    assert w.grad.indices().tolist() == [3, 1, 3]
    assert w.grad.values().tolist() == [[1, 1]] * 3
    once = w.grad.coalesce()
    assert once.indices().tolist() == [1, 3]
    assert once.values().tolist() == [[1, 1], [2, 2]]
    assert dense(once) == dense(w.grad)


@pytest.mark.parametrize("by", ["backward", "grad"])
def test_they_are_in_memory_of_their_own(by: str) -> None:
    """What flowed in belongs to the caller; here it becomes the rows as it is."""
    w, flowing = table(), minigrad.ones(2, D, dtype=minigrad.float64)
    result = F.embedding(minigrad.tensor([1, 3]), w, sparse=True)
    if by == "backward":
        result.backward(flowing)
        gradient = w.grad
    else:
        (gradient,) = minigrad.grad(result, w, flowing)
    gradient.values().mul_(5)
    assert flowing.tolist() == [[1, 1], [1, 1]]


def test_a_copied_layer_has_its_own() -> None:
    layer = nn.Embedding(V, D, sparse=True)
    layer(minigrad.tensor([1, 1, 3])).sum().backward()
    copied = copy.deepcopy(layer)
    before = dense(copied.weight.grad)
    layer.weight.grad.values().zero_()
    assert dense(copied.weight.grad) == before
    assert before[1] == [2, 2]


@pytest.mark.filterwarnings("ignore:backward.create_graph=True.:UserWarning")
def test_a_recorded_gradient_meets_rows() -> None:
    w = table()
    USES["looked up"](w, True).backward()
    (w * w).sum().backward(create_graph=True)
    assert dense(w.grad) == [[2, 4], [18, 24], [10, 12], [28, 32], [18, 20]]
    (again,) = minigrad.grad(w.grad.sum(), w)
    assert dense(again) == [[2, 2]] * V  # rows are no part of the graph
