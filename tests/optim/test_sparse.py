"""Sparse gradients, which only some optimizers take."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from nn.oracle import array, close, torch

import minigrad
from minigrad import nn, optim
from minigrad.testing import standin

Settings = dict[str, Any]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("SGD", {}),
        ("SGD", {"maximize": True}),
        ("SGD", {"momentum": 0.9}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("Adagrad", {}),
        ("Adagrad", {"lr_decay": 0.1, "maximize": True, "initial_accumulator_value": 0.1}),
    ],
)
@given(batches=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=1, max_size=4))
def test_sparse_steps_are_the_dense_ones(name: str, settings: Settings, batches: list[list[int]]) -> None:
    tables = []
    for sparse in (True, False):
        minigrad.manual_seed(0)
        table = nn.Embedding(5, 2, sparse=sparse, dtype=minigrad.float64)
        optimizer = getattr(optim, name)(table.parameters(), lr=0.1, **settings)
        for batch in batches:
            optimizer.zero_grad()
            table(minigrad.tensor(batch)).square().sum().backward()
            assert getattr(table.weight.grad, "is_sparse", False) == sparse
            optimizer.step()
        tables.append(table.weight)
    close(tables[0], tables[1], 1e-12)


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@pytest.mark.parametrize(("name", "settings"), [("SGD", {}), ("SGD", {"momentum": 0.5}), ("Adagrad", {})])
def test_sparse_steps_are_pytorchs(name: str, settings: Settings) -> None:
    tables = []
    for library, modules, optimizers in ((minigrad, nn, optim), (torch(), torch().nn, torch().optim)):
        table = modules.Embedding(5, 2, sparse=True)
        weights = np.arange(10, dtype=np.float32).reshape(5, 2) / 7
        table.load_state_dict({"weight": library.tensor(weights)})
        optimizer = getattr(optimizers, name)(table.parameters(), lr=0.1, **settings)
        for batch in ([1, 1, 3], [0, 1], [4, 4, 4]):
            optimizer.zero_grad()
            (table(library.tensor(batch)) ** 2).sum().backward()
            optimizer.step()
        tables.append(table.weight)
    close(tables[0], tables[1], 1e-6)


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("Adam", {}, "Adam does not support sparse gradients"),
        ("AdamW", {}, "AdamW does not support sparse gradients"),
        ("RMSprop", {}, "RMSprop does not support sparse gradients"),
        ("Adadelta", {}, "use Embedding.sparse=False., or SGD, Adagrad or SparseAdam for it"),
        ("SGD", {"weight_decay": 0.1}, "SGD: weight_decay moves every row"),
        ("Adagrad", {"weight_decay": 0.1}, "Adagrad: weight_decay moves every row"),
    ],
)
def test_who_cannot_take_sparse_gradients_says_so(name: str, settings: Settings, sentence: str) -> None:
    table = nn.Embedding(5, 2, sparse=True)
    optimizer = getattr(optim, name)(table.parameters(), lr=0.1, **settings)
    table(minigrad.tensor([1])).sum().backward()
    before = array(table.weight)
    with pytest.raises(RuntimeError, match=sentence):
        optimizer.step()
    np.testing.assert_array_equal(array(table.weight), before)


@pytest.mark.parametrize(("name", "settings"), [("SGD", {"weight_decay": 0.1}), ("Adam", {}), ("SparseAdam", {})])
def test_a_refused_gradient_moves_nothing_and_is_no_step(name: str, settings: Settings) -> None:
    """Of the two tables the second's gradient is of a kind that cannot be taken, the first's can."""
    takes = name == "SparseAdam"
    tables = [nn.Embedding(3, 2, sparse=takes), nn.Embedding(3, 2, sparse=not takes)]
    optimizer = getattr(optim, name)([table.weight for table in tables], lr=0.1, **settings)
    for table in tables:
        table(minigrad.tensor([1])).sum().backward()
    before = [array(table.weight) for table in tables]
    with pytest.raises(RuntimeError, match=r"sparse|weight_decay"):
        optimizer.step()
    for table, held in zip(tables, before, strict=True):
        np.testing.assert_array_equal(array(table.weight), held)
    assert not optimizer.state_dict()["state"]
    assert optimizer.steps_taken == 0


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@given(
    batches=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=1, max_size=6),
    betas=st.sampled_from([(0.9, 0.999), (0.5, 0.7)]),
    maximize=st.booleans(),
)
def test_sparse_adam_is_pytorchs(batches: list[list[int]], betas: tuple[float, float], maximize: bool) -> None:
    results = []
    for library, modules, optimizers in ((minigrad, nn, optim), (torch(), torch().nn, torch().optim)):
        table = modules.Embedding(5, 2, sparse=True, dtype=library.float64)
        table.load_state_dict({"weight": library.tensor(np.arange(10).reshape(5, 2) / 7)})
        optimizer = optimizers.SparseAdam(table.parameters(), lr=0.1, betas=betas, maximize=maximize)
        for batch in batches:
            optimizer.zero_grad()
            (table(library.tensor(batch)) ** 2).sum().backward()
            optimizer.step()
        state = optimizer.state_dict()["state"][0]
        assert state["step"] == len(batches)
        results.append([table.weight, state["exp_avg"], state["exp_avg_sq"]])
    for found, expected in zip(*results, strict=True):
        close(found, expected, 1e-12)


def test_sparse_adam_moves_the_rows_that_adam_would_and_leaves_the_others() -> None:
    """On the first step, and on all rows, both are the same method."""
    tables = []
    for sparse in (True, False):
        minigrad.manual_seed(0)
        table = nn.Embedding(4, 3, sparse=sparse)
        optimizer = (optim.SparseAdam if sparse else optim.Adam)(table.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            table(minigrad.arange(4)).square().sum().backward()
            optimizer.step()
        tables.append(table.weight)
    close(tables[0], tables[1], 1e-5)
    alone = nn.Embedding(4, 3, sparse=True)
    before = array(alone.weight)
    optimizer = optim.SparseAdam(alone.parameters())
    alone(minigrad.tensor([2, 2])).sum().backward()
    optimizer.step()
    assert (array(alone.weight) != before).any(axis=1).tolist() == [False, False, True, False]
    alone.weight.grad = minigrad.ones(4, 3)
    with pytest.raises(RuntimeError, match=r"SparseAdam takes sparse gradients alone.*shape \(4, 3\) has a dense one"):
        optimizer.step()


def test_sparse_adam_runs_on_the_standin_device() -> None:
    standin.install()
    results = []
    for device in ("cpu", "standin"):
        minigrad.manual_seed(0)
        table = nn.Embedding(5, 2, sparse=True).to(device)
        optimizer = optim.SparseAdam(table.parameters(), lr=0.1)
        for batch in ([1, 1, 3], [0, 1]):
            optimizer.zero_grad()
            table(minigrad.tensor(batch, device=device)).square().sum().backward()
            optimizer.step()  # coalescing waits: how many rows there are is something only the device knows
        results.append(table.weight)
    close(results[1], results[0], 1e-6)
