"""Writing in place: settings that are tensors, dtypes that differ, gradients that were to be retained, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, tensor


def _leaf(*values: float, dtype: object = minigrad.float64) -> Tensor:
    return tensor(list(values), dtype=dtype, requires_grad=True)


def test_the_tensor_itself_by_keyword() -> None:
    x = _leaf(2.0, 3.0)
    y = x * 1.0
    y.mul_(other=y)
    y.sum().backward()
    np.testing.assert_array_equal(y.detach().numpy(), [4.0, 9.0])
    np.testing.assert_array_equal(x.grad.numpy(), [4.0, 6.0])


def test_another_tensor_by_keyword() -> None:
    x, other = _leaf(2.0, 3.0), _leaf(5.0, 7.0)
    y = x * 1.0
    y.mul_(other=other)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [5.0, 7.0])
    np.testing.assert_array_equal(other.grad.numpy(), [2.0, 3.0])


def test_a_number_by_keyword() -> None:
    y = _leaf(2.0) * 1.0
    np.testing.assert_array_equal(y.add_(tensor([3.0], dtype=minigrad.float64), alpha=10).detach().numpy(), [32.0])


def test_a_wider_result_is_narrowed_to_the_tensor_it_is_put_into() -> None:
    x, other = _leaf(2.0, 3.0, dtype=minigrad.float32), _leaf(5.0, 7.0)
    y = x * 1.0
    y.mul_(other)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.detach().numpy(), [10.0, 21.0])
    y.sum().backward()
    assert x.grad.dtype == np.float32
    assert other.grad.dtype == np.float64
    np.testing.assert_array_equal(x.grad.numpy(), [5.0, 7.0])


def test_the_gradient_of_what_was_narrowed_keeps_its_own_dtype() -> None:
    x, other = _leaf(2.0, dtype=minigrad.float32), _leaf(5.0)
    y = x * 1.0
    y.add_(other)
    y.sum().backward()
    assert (x.grad.dtype, other.grad.dtype) == (np.float32, np.float64)


def test_unsigned_integers_fit_into_signed_ones() -> None:
    x = minigrad.zeros(2, dtype=minigrad.int64)
    x.copy_(tensor([3, 4], dtype=minigrad.uint8))
    assert x.tolist() == [3, 4]


def test_a_retained_gradient_follows_its_base_through_a_write_to_a_view() -> None:
    x = _leaf(1.0, 2.0)
    base = x * 1.0
    base.retain_grad()
    base[:1].mul_(5.0)
    (base * tensor([3.0, 4.0], dtype=minigrad.float64)).sum().backward()
    np.testing.assert_array_equal(base.grad.numpy(), [3.0, 4.0])
    np.testing.assert_array_equal(x.grad.numpy(), [15.0, 4.0])


@pytest.mark.parametrize("dtype", [minigrad.float32, minigrad.float64])
def test_the_second_derivative_through_a_write_to_a_view(dtype: object) -> None:
    x = _leaf(2.0, 3.0, dtype=dtype)
    base = x * x
    base[:1].mul_(x[1:])  # x₀² x₁, x₁²
    (first,) = grad(base.sum(), [x], create_graph=True)  # 2 x₀ x₁, x₀² + 2 x₁
    (second,) = grad(first.sum(), [x])  # 2 x₁ + 2 x₀, 2 x₀ + 2
    assert first.dtype == second.dtype == x.dtype
    np.testing.assert_array_equal(first.detach().numpy(), [12.0, 10.0])
    np.testing.assert_array_equal(second.numpy(), [10.0, 6.0])


# ---- refusals name the op -------------------------------------------------------------------------------------------


def test_a_leaf_refuses_by_the_ops_name() -> None:
    with pytest.raises(RuntimeError, match=r"^mul_: a leaf"):
        _leaf(1.0).mul_(2.0)


def test_a_result_of_a_wider_kind_is_refused_by_the_ops_name() -> None:
    with pytest.raises(RuntimeError, match=r"^add_: a float32 result"):
        minigrad.zeros(2, dtype=minigrad.int64).add_(1.5)


def test_memory_that_cannot_be_written_is_refused_by_the_ops_name() -> None:
    with pytest.raises(RuntimeError, match=r"^add_: this tensor's memory cannot be written"):
        minigrad.zeros(1).expand(3).add_(1.0)


@pytest.mark.parametrize("count", [2, 3])
def test_elements_that_share_one_place_are_refused(count: int) -> None:
    shared = np.lib.stride_tricks.as_strided(np.zeros(1), (count,), (0,))
    with pytest.raises(RuntimeError, match=r"^add_: several elements of this tensor share one place"):
        minigrad.from_numpy(shared).add_(1.0)


def test_a_single_element_with_a_stride_of_zero_can_be_written() -> None:
    single = np.lib.stride_tricks.as_strided(np.zeros(2), (1, 2), (0, 8))
    assert minigrad.from_numpy(single).add_(1.0).tolist() == [[1.0, 1.0]]


def test_what_was_a_leaf_keeps_the_gradient_it_is_asked_to_keep() -> None:
    """Its gradients as a leaf, of which there are none, do not hide it."""
    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    y = minigrad.zeros(2, requires_grad=True)
    y.requires_grad_(False)
    y[:] = x
    y.retain_grad()
    (y * minigrad.tensor([3.0, 4.0])).sum().backward()
    np.testing.assert_array_equal(y.grad.numpy(), [3, 4])
    np.testing.assert_array_equal(x.grad.numpy(), [3, 4])
