"""What the machine has found in the engine, each as the shortest program that shows it."""

from __future__ import annotations

import pytest

import minigrad
from minigrad import tensor


def test_a_leaf_that_stopped_asking_collects_nothing() -> None:
    x, w = tensor([2.0, 3.0], requires_grad=True), tensor([1.0, 2.0], requires_grad=True)
    y = x * w
    x.requires_grad_(False)
    y.sum().backward(retain_graph=True)
    assert x.grad is None
    x.requires_grad_(True)
    y.sum().backward()
    assert x.grad.tolist() == [1, 2]


def test_a_retained_gradient_outlives_a_write() -> None:
    x = tensor([2.0, 3.0], requires_grad=True)
    y = x * x
    y.retain_grad()
    y.sum().backward(retain_graph=True)
    y[0] = 0.5
    assert y.grad.tolist() == [1, 1]
    (y * 2.0).sum().backward()
    assert y.grad.tolist() == [3, 3]


def test_a_view_retains_its_gradient_after_its_base_was_written() -> None:
    y = tensor([2.0, 3.0], requires_grad=True) * 1.0
    v = y[:1]
    v.retain_grad()
    y.mul_(2.0)
    (v * 5.0).sum().backward()
    assert v.grad.tolist() == [5]


def test_a_retained_gradient_is_not_the_tensor_that_grad_returns() -> None:
    x = tensor([2.0, 3.0], requires_grad=True)
    y = x * 1.0
    y.retain_grad()
    (g,) = minigrad.grad((y * y).sum(), y, create_graph=True)
    g.zero_()
    assert y.grad.tolist() == [4, 6]


def test_one_of_several_views_of_a_constant_can_be_written() -> None:
    constant = tensor([1.0, 2.0])
    first, second = constant.split(1)
    first.mul_(10.0)
    assert constant.tolist() == [10, 2]
    with pytest.raises(RuntimeError, match="made at once"):
        second.mul_(tensor([3.0], requires_grad=True))


def test_a_view_taken_under_no_grad_takes_no_recorded_value() -> None:
    constant = tensor([1.0, 2.0])
    with minigrad.no_grad():
        view = constant[:1]
    with pytest.raises(RuntimeError, match="taken under no_grad"):
        view.mul_(tensor([3.0], requires_grad=True))
    assert constant.tolist() == [1, 2]


def test_an_expanded_tensor_without_elements_can_be_written() -> None:
    assert minigrad.zeros(0).expand(2, 0).zero_().shape == (2, 0)


def test_empty_vectors_joined_keep_their_place_in_the_graph() -> None:
    empty = minigrad.zeros(0, requires_grad=True)
    for others in ([minigrad.zeros(0)], [tensor([1.0])]):
        joined = minigrad.cat([*others, empty])
        assert joined.requires_grad
        joined.sum().backward()
    assert empty.grad.shape == (0,)
