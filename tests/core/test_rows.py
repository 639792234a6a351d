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
    looked_up = F.embedding(minigrad.tensor([1, 3]), w, sparse=True)
    if by == "backward":
        looked_up.backward(flowing)
        gradient = w.grad
    else:
        (gradient,) = minigrad.grad(looked_up, w, flowing)
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
