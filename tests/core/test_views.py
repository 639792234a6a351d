"""Views of recorded tensors: writing through them, through their views, and after their base has moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad


def leaf(data: Any) -> minigrad.Tensor:
    return minigrad.tensor(np.asarray(data, dtype=np.float64), requires_grad=True)


def test_writing_through_a_row_reaches_the_base() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = x * 2.0
    v = y[0]
    v.mul_(2.0)
    assert y.tolist() == [[4, 8], [6, 8]]
    y.sum().backward()
    assert x.grad.tolist() == [[4, 4], [2, 2]]


def test_the_view_itself_has_the_right_gradient_too() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = x * 2.0
    v = y[0]
    v.mul_(v)
    v.sum().backward()
    assert x.grad.tolist() == [[8, 16], [0, 0]]


def test_a_view_of_a_view() -> None:
    x = leaf(np.arange(6.0).reshape(2, 3))
    y = x * 1.0
    y[1][1:].mul_(10.0)
    (y * y).sum().backward()
    factor = np.array([[1, 1, 1], [1, 10, 10]])
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.detach().numpy() * factor**2)


def test_a_transposed_view() -> None:
    x = leaf(np.arange(6.0).reshape(2, 3))
    y = x * 1.0
    y.T[0].mul_(3.0)
    y.sum().backward()
    assert x.grad.tolist() == [[3, 1, 1], [3, 1, 1]]


def test_a_reshaped_view() -> None:
    x = leaf(np.arange(6.0).reshape(2, 3))
    y = x * 1.0
    y.view(-1)[::2].mul_(5.0)
    y.sum().backward()
    assert x.grad.tolist() == [[5, 1, 5], [1, 5, 1]]


def test_a_view_follows_its_base() -> None:
    x = leaf([1.0, 2.0])
    y = x * 1.0
    v = y[:1]
    y.mul_(3.0)
    assert v.tolist() == [3]
    v.sum().backward()
    assert x.grad.tolist() == [3, 0]


def test_a_view_follows_a_write_through_another_view() -> None:
    x = leaf([1.0, 2.0, 3.0])
    y = x * 1.0
    first, last = y[:2], y[1:]
    last.mul_(4.0)
    first.sum().backward()
    assert x.grad.tolist() == [1, 4, 0]


def test_many_views_and_writes_in_turn() -> None:
    x = leaf([1.0, 2.0, 3.0])
    y = x * 1.0
    first, last, whole = y[:2], y[1:], y.view(3)
    first.mul_(2.0)
    last.add_(first)
    whole.mul_(whole)
    y[1] = 0.0
    total = (y * minigrad.tensor(np.array([1.0, 10.0, 100.0]))).sum() + first.sum() + last.sum()
    total.backward()
    # y = [(2a)^2, 0, (c + 2b)^2]
    a, b, c = 1.0, 2.0, 3.0
    outer = c + (2 * b)
    expected = [(1 + 1) * 8 * a, (100 + 1) * 2 * outer * 2, (100 + 1) * 2 * outer]
    assert x.grad.tolist() == expected


def test_a_value_computed_before_a_write_keeps_its_gradient() -> None:
    x = leaf([1.0, 2.0])
    y = x * 1.0
    before = y + 0.0
    y[0] = 100.0
    (before + y).sum().backward()
    assert x.grad.tolist() == [1, 2]


def test_writing_a_recorded_value_into_a_constant() -> None:
    x = leaf([1.0, 2.0])
    y = minigrad.tensor(np.zeros((2, 2)))
    assert not y.requires_grad
    y[0] = x * 3.0
    assert y.requires_grad
    assert y.tolist() == [[3, 6], [0, 0]]
    (y * y).sum().backward()
    assert x.grad.tolist() == [18, 36]


def test_filling_a_table_row_by_row() -> None:
    x = leaf([1.0, 2.0, 3.0])
    rows = minigrad.tensor(np.zeros((3, 3)))
    for at in range(3):
        rows[at] = x * float(at)
    rows[:, 0] = 0.0
    rows.sum().backward()
    assert x.grad.tolist() == [0, 3, 3]


def test_an_index_with_an_array_writes() -> None:
    x = leaf([1.0, 2.0, 3.0])
    y = x * 1.0
    y[[0, 2]] = minigrad.tensor(np.array([10.0, 20.0]))
    assert y.tolist() == [10, 2, 20]
    (y * y).sum().backward()
    assert x.grad.tolist() == [0, 4, 0]


def test_a_mask_writes() -> None:
    x = leaf([1.0, -2.0, 3.0])
    y = x * 2.0
    y[y < 0] = 0.0
    y.sum().backward()
    assert x.grad.tolist() == [2, 0, 2]


def test_an_array_index_is_no_view() -> None:
    x = leaf([1.0, 2.0])
    y = x * 1.0
    y[[0]].mul_(100.0)
    assert y.tolist() == [1, 2]


def test_augmented_assignment() -> None:
    x = leaf([1.0, 2.0])
    y = x * 1.0
    same = y
    y += x
    y *= 3.0
    y -= 1.0
    assert y is same
    y.sum().backward()
    assert x.grad.tolist() == [6, 6]


def test_augmented_assignment_to_an_element() -> None:
    x = leaf([1.0, 2.0])
    y = x * 1.0
    y[0] += 5.0
    y[1] *= x[0]
    assert y.tolist() == [6, 2]
    y[1].backward()
    assert x.grad.tolist() == [2, 1]


def test_an_element_multiplied_by_its_neighbour_refuses_as_in_pytorch() -> None:
    # The neighbour is saved, and the write moves the version that both share.
    x = leaf([1.0, 2.0])
    y = x * 1.0
    y[1] *= y[0]
    with pytest.raises(RuntimeError, match="changed in place since"):
        y.sum().backward()


def test_an_in_place_op_with_itself() -> None:
    x = leaf([2.0, 3.0])
    y = x * 1.0
    y.mul_(y)
    y.sum().backward()
    assert x.grad.tolist() == [4, 6]


def test_copy_is_recorded() -> None:
    x, z = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = x * 2.0
    y.copy_(z * 5.0)
    assert y.tolist() == [15, 20]
    y.sum().backward()
    assert z.grad.tolist() == [5, 5]
    assert x.grad is None or x.grad.tolist() == [0, 0]


def test_copy_stretches_and_converts() -> None:
    x = minigrad.tensor(np.zeros((2, 2)))
    z = minigrad.tensor([1.0], dtype=minigrad.float32, requires_grad=True)
    x.copy_(z)
    (x * x).sum().backward()
    assert x.dtype == minigrad.float64
    assert z.grad.tolist() == [8]
    assert z.grad.dtype == minigrad.float32


def test_zero_and_fill_are_recorded() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2.0
    y[0].zero_()
    y[1:].fill_(7.0)
    assert y.tolist() == [0, 7]
    y.sum().backward()
    assert x.grad is None or x.grad.tolist() == [0, 0]


def test_a_view_of_a_constant_can_be_written_without_a_graph() -> None:
    x = minigrad.tensor([[1.0, 2.0], [3.0, 4.0]])
    x[0].mul_(2.0)
    assert x.tolist() == [[2, 4], [3, 4]]
    assert not x.requires_grad


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_pieces_of_a_split_refuse() -> None:
    y = leaf([1.0, 2.0, 3.0, 4.0]) * 1.0
    first, _ = y.split(2)
    with pytest.raises(RuntimeError, match="one of several views that split_with_sizes\\(\\) made at once"):
        first.mul_(2.0)
    with pytest.raises(RuntimeError, match="made at once"):
        first[0].mul_(2.0)
    assert y.tolist() == [1, 2, 3, 4]


def test_pieces_of_a_split_follow_their_base() -> None:
    x = leaf([1.0, 2.0, 3.0, 4.0])
    y = x * 1.0
    first, second = y.split(2)
    y.mul_(3.0)
    (first.sum() + second.sum() * 2.0).backward()
    assert x.grad.tolist() == [3, 3, 6, 6]


def test_a_view_taken_under_no_grad_refuses() -> None:
    y = leaf([1.0, 2.0]) * 1.0
    with minigrad.no_grad():
        v = y[:1]
    with pytest.raises(RuntimeError, match="taken under no_grad"):
        v.mul_(2.0)


def test_a_view_taken_under_no_grad_may_be_written_under_it() -> None:
    x = leaf([1.0, 2.0])
    with minigrad.no_grad():
        x[:1].mul_(5.0)
    assert x.tolist() == [5, 2]
    (x * x).sum().backward()
    assert x.grad.tolist() == [10, 4]


def test_detaching_a_view_in_place_refuses() -> None:
    y = leaf([1.0, 2.0]) * 1.0
    with pytest.raises(RuntimeError, match=r"use detach\(\)"):
        y[:1].detach_()


# ---- hooks, retained gradients and higher orders --------------------------------------------------------------------


def test_a_retained_gradient_moves_with_the_tensor() -> None:
    x = leaf([1.0, 2.0])
    y = x * 1.0
    y.retain_grad()
    y.mul_(3.0)
    (y * 2.0).sum().backward()
    assert y.grad.tolist() == [2, 2]
    assert x.grad.tolist() == [6, 6]


def test_second_derivatives_through_a_write() -> None:
    x = leaf([1.0, 2.0])
    y = x * x
    y[0] = y[1].clone() * x[0]
    (first,) = minigrad.grad((y * y).sum(), x, create_graph=True)
    (second,) = minigrad.grad(first.sum(), x)
    # f = (b^2 a)^2 + b^4 = a^2 b^4 + b^4
    a, b = 1.0, 2.0
    np.testing.assert_allclose(first.detach().numpy(), [2 * a * b**4, 4 * a**2 * b**3 + 4 * b**3])
    np.testing.assert_allclose(second.numpy(), [2 * b**4 + 8 * a * b**3, 8 * a * b**3 + 12 * a**2 * b**2 + 12 * b**2])


def test_memory_is_shared_both_ways() -> None:
    x = minigrad.tensor(np.arange(6.0).reshape(2, 3))
    view = x.T[1]
    x[0, 1] = 50.0
    assert view.tolist() == [50, 4]
    view.mul_(2.0)
    assert x.tolist() == [[0, 100, 2], [3, 8, 5]]
