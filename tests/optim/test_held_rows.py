"""A table's gradient is held as rows until somebody asks for `.grad`: looking changes nothing."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
from minigrad import nn, optim
from minigrad.core.rows import Rows
from minigrad.nn.parameter import held_gradient

Batches = list[list[int]]
batches = st.lists(st.lists(st.integers(0, 39), min_size=1, max_size=9), min_size=1, max_size=4)


def train(kind: str, settings: dict[str, Any], drawn: Batches, look: bool, norm: float | None) -> Any:
    minigrad.manual_seed(0)
    table = nn.Embedding(40, 3)
    optimizer = getattr(optim, kind)(table.parameters(), lr=0.1, **settings)
    for number, batch in enumerate(drawn):
        if number % 3:  # some gradients are added up
            optimizer.zero_grad()
        for _ in range(2):
            table(minigrad.tensor(batch)).square().sum().backward()
            if look:
                assert isinstance(table.weight.grad, minigrad.Tensor)
        if norm is not None:
            nn.utils.clip_grad_norm_(table.parameters(), norm)
        optimizer.step()
    return table.weight.detach().numpy()


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("SGD", {}),
        ("SGD", {"maximize": True}),
        ("SGD", {"momentum": 0.9}),
        ("SGD", {"weight_decay": 0.1}),
        ("Adam", {}),
        ("Adagrad", {"weight_decay": 0.1}),
    ],
)
@given(drawn=batches)
def test_looking_at_a_gradient_changes_no_bit(kind: str, settings: dict[str, Any], drawn: Batches) -> None:
    looked, unseen = (train(kind, settings, drawn, look, None) for look in (True, False))
    np.testing.assert_array_equal(unseen, looked)


@given(drawn=batches, norm=st.floats(0.01, 100))
def test_clipped_rows_are_the_clipped_table(drawn: Batches, norm: float) -> None:
    looked, unseen = (train("SGD", {}, drawn, look, norm) for look in (True, False))
    np.testing.assert_allclose(unseen, looked, rtol=1e-5, atol=1e-6)  # squares are added up in another order


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, float("inf"), float("-inf"), -1.0])
@given(batch=st.lists(st.integers(0, 39), min_size=1, max_size=9))
def test_norms_are_those_of_the_table(norm_type: float, batch: list[int]) -> None:
    table = nn.Embedding(40, 3, dtype=minigrad.float64)
    table(minigrad.tensor(batch)).sin().sum().backward()
    found = nn.utils.clip_grad_norm_(table.parameters(), 0.5, norm_type)
    again = nn.Embedding(40, 3, dtype=minigrad.float64)
    again.load_state_dict(table.state_dict())
    again(minigrad.tensor(batch)).sin().sum().backward()
    expected = nn.utils.get_total_norm([again.weight.grad], norm_type)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)


def test_a_step_makes_no_table() -> None:
    table = nn.Embedding(40, 3)
    optimizer = optim.SGD(table.parameters(), lr=0.1)
    table(minigrad.tensor([3, 5, 3])).sum().backward()
    nn.utils.clip_grad_norm_(table.parameters(), 0.1)
    nn.utils.clip_grad_value_(table.parameters(), 0.05)
    optimizer.step()
    held = held_gradient(table.weight)
    assert isinstance(held, Rows)
    np.testing.assert_array_equal(held.indices().numpy(), [3, 5])
    gradient = table.weight.grad
    assert gradient is table.weight.grad
    assert gradient.shape == (40, 3)
    assert held_gradient(table.weight) is gradient


def test_clipping_values_to_what_is_not_zero_takes_the_table() -> None:
    table = nn.Embedding(40, 3)
    table(minigrad.tensor([3])).sum().backward()
    nn.utils.clip_grad_value_(table.parameters(), -0.5)  # as PyTorch: all are below 0.5, and then above -0.5
    assert (table.weight.grad == -0.5).all()


def test_zeros_in_place_of_rows() -> None:
    table = nn.Embedding(40, 3)
    table(minigrad.tensor([3])).sum().backward()
    table.zero_grad(set_to_none=False)
    assert table.weight.grad.shape == (40, 3)
    assert not table.weight.grad.any()


def test_many_rows_are_a_table_at_once() -> None:
    table = nn.Embedding(40, 3)
    table(minigrad.arange(10)).sum().backward()
    assert isinstance(held_gradient(table.weight), minigrad.Tensor)


def test_rows_do_not_change_with_what_flowed_in() -> None:
    table = nn.Embedding(40, 3)
    g = minigrad.ones(2, 3)
    table(minigrad.tensor([4, 7])).backward(g)
    g.zero_()
    assert float(table.weight.grad.sum()) == 6


def test_rows_are_added_in_place_to_a_table_that_is_there() -> None:
    table = nn.Embedding(40, 3)
    table.weight.grad = buffer = minigrad.zeros(40, 3)
    table(minigrad.tensor([1, 2, 1])).sum().backward()
    assert table.weight.grad is buffer
    np.testing.assert_array_equal(buffer.sum(1).numpy()[:4], [0, 6, 3, 0])


def test_a_subclass_sees_every_gradient_as_it_was_written_for() -> None:
    class Counting(optim.SGD):
        seen = ()

        def _update(self, p: Any, g: Any, *rest: Any) -> None:
            self.seen = (*self.seen, g.shape)
            super()._update(p, g, *rest)

    table = nn.Embedding(40, 3)
    optimizer = Counting(table.parameters(), lr=0.1)
    table(minigrad.tensor([1])).sum().backward()
    optimizer.step()
    assert optimizer.seen == ((40, 3),)


def test_a_norm_that_is_nan_spoils_the_whole_table() -> None:
    table = nn.Embedding(40, 3)
    table(minigrad.tensor([1])).backward(minigrad.tensor([[float("nan"), 1.0, 1.0]]))
    nn.utils.clip_grad_norm_(table.parameters(), 1.0)
    assert table.weight.grad.isnan().all()


def test_a_norm_may_be_named() -> None:
    table = nn.Embedding(40, 3)
    table(minigrad.tensor([1, 1])).sum().backward()
    assert float(nn.utils.clip_grad_norm_(table.parameters(), 1.0, "inf")) == 2


def test_the_gradient_of_what_was_a_leaf_is_the_one_it_shows() -> None:
    x, w = minigrad.ones(3), minigrad.ones(3, requires_grad=True)
    x.grad = minigrad.ones(3)
    x.mul_(w)
    x.retain_grad()
    (x * 10).sum().backward()
    assert float(nn.utils.clip_grad_norm_([x], 1.0)) == pytest.approx(10 * 3**0.5)
