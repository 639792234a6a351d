"""`.grad`: owned, writable, shared with nothing, and added up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.testing.strategies import arrays, shapes


def leaf(data: Any) -> minigrad.Tensor:
    return minigrad.tensor(np.asarray(data, dtype=np.float64), requires_grad=True)


def assert_own(*tensors: minigrad.Tensor) -> None:
    """Each `.grad` can be written, and no two look at the same memory, or at a tensor's own."""
    held = [one.grad._array for one in tensors] + [one._array for one in tensors]
    for at, array in enumerate(held):
        assert isinstance(array, np.ndarray)
        assert array.flags.writeable
        assert not any(step == 0 and size > 1 for step, size in zip(array.strides, array.shape, strict=True))
        assert not any(np.shares_memory(array, other) for other in held[at + 1 :])


@given(arrays(shapes(min_side=1)))
def test_gradients_of_a_sum_are_shared_with_nothing(values: np.ndarray) -> None:
    x, y = leaf(values), leaf(values)
    (x + y).sum().backward()
    assert_own(x, y)
    x.grad.mul_(0.0)
    np.testing.assert_array_equal(y.grad.numpy(), np.ones(values.shape))


def test_the_gradient_given_is_not_taken_over() -> None:
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    flowing = minigrad.tensor(np.array([1.0, 1.0]))
    (x + y).backward(flowing)
    assert_own(x, y)
    x.grad.add_(5.0)
    assert flowing.tolist() == [1, 1]
    flowing.add_(7.0)
    assert y.grad.tolist() == [1, 1]


def test_a_leafs_own_backward_owns_its_gradient() -> None:
    x = leaf([1.0, 2.0])
    flowing = minigrad.tensor(np.array([1.0, 1.0]))
    x.backward(flowing)
    x.grad.add_(1.0)
    assert flowing.tolist() == [1, 1]


def test_one_tensor_many_times() -> None:
    x = leaf([2.0, 3.0])
    (x + x + x * x + x).sum().backward()
    assert x.grad.tolist() == [7, 9]
    assert_own(x)


@given(arrays(shapes(min_side=1)), st.integers(1, 4))
def test_backwards_add_up(values: np.ndarray, times: int) -> None:
    x = leaf(values)
    for _ in range(times):
        (x * x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), times * 2 * values)


def test_accumulation_writes_into_grad_and_counts_it() -> None:
    x = leaf([1.0])
    (x * 2.0).sum().backward()
    held = x.grad
    version = held._version
    (x * 3.0).sum().backward()
    assert x.grad is held
    assert held.tolist() == [5]
    assert held._version == version + 1


def test_a_grad_kept_from_before_is_not_written_after_zeroing() -> None:
    x = leaf([1.0])
    (x * 2.0).sum().backward()
    first = x.grad
    x.grad = None
    (x * 3.0).sum().backward()
    assert first.tolist() == [2]
    assert x.grad.tolist() == [3]


def test_clipping_one_gradient_leaves_the_others() -> None:
    x, y, z = leaf([3.0, 4.0]), leaf([3.0, 4.0]), leaf([1.0])
    ((x + y) * 2.0 + z).sum().backward()
    norm = float((x.grad * x.grad).sum().item()) ** 0.5
    x.grad.mul_(1.0 / norm)
    assert y.grad.tolist() == [2, 2]
    assert z.grad.tolist() == [2]


def test_a_broadcast_gradient_is_materialised() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    x.sum().backward()
    assert_own(x)
    assert x.grad.is_contiguous()
    x.grad[0, 0] = 5.0
    assert x.grad.tolist() == [[5, 1], [1, 1]]


def test_a_view_of_a_leaf_gives_an_own_gradient() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    flowing = minigrad.tensor(np.ones((2, 2)))
    x.reshape(4).reshape(2, 2).backward(flowing)
    assert_own(x)
    x.grad.add_(1.0)
    assert flowing.tolist() == [[1, 1], [1, 1]]


def test_in_place_accumulation_does_not_touch_what_others_hold() -> None:
    # The gradient of `a` arrives three times: the second sum is the engine's own, the first arrivals are borrowed.
    x = leaf([1.0, 1.0])
    a = x * 1.0
    a.retain_grad()
    b, c, d = a + 0.0, a + 0.0, a + 0.0
    for one in (b, c, d):
        one.retain_grad()
    (b + c + d).sum().backward()
    assert a.grad.tolist() == [3, 3]
    assert [one.grad.tolist() for one in (b, c, d)] == [[1, 1]] * 3
    a.grad.mul_(0.0)
    assert x.grad.tolist() == [3, 3]


def test_retained_gradients_are_shared_with_nothing() -> None:
    x = leaf([1.0, 2.0])
    y = x + 0.0
    y.retain_grad()
    y.sum().backward()
    y.grad.mul_(9.0)
    assert x.grad.tolist() == [1, 1]


@pytest.mark.parametrize("gives", [False, True])
def test_what_a_hook_kept_or_gave_is_not_grad(gives: bool) -> None:
    """Also where a leaf is used twice, and the engine has added up in memory of its own."""
    x, held = leaf([1.0, 2.0]), [minigrad.tensor([5.0, 6.0], dtype=minigrad.float64)]

    def hook(gradient: minigrad.Tensor) -> Any:
        if gives:
            return held[0]
        held[0] = gradient
        return None

    x.register_hook(hook)
    (x * 2 + x * 3).sum().backward()
    before = held[0].tolist()
    x.grad.mul_(0.0)
    assert held[0].tolist() == before


def test_gradients_returned_are_shared_with_nothing() -> None:
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    first, second = minigrad.grad((x + y).sum(), [x, y])
    first.mul_(0.0)
    assert second.tolist() == [1, 1]
    (same, again) = minigrad.grad((x * 2.0).sum(), [x, x])
    same.mul_(0.0)
    assert again.tolist() == [2, 2]


def test_backward_of_only_some_inputs() -> None:
    x, y = leaf([1.0]), leaf([2.0])
    (x * y).sum().backward(inputs=[x])
    assert x.grad.tolist() == [2]
    assert y.grad is None


def test_several_roots() -> None:
    x = leaf([1.0, 2.0])
    from minigrad.core.engine import backward

    backward([(x * x).sum(), (x * 3.0).sum()])
    assert x.grad.tolist() == [5, 7]


def test_a_root_that_another_root_came_from() -> None:
    from minigrad.core.engine import backward

    x = leaf([2.0])
    y = (x * x).sum()
    backward([y * 3.0, y])
    assert x.grad.tolist() == [16]


def test_grad_must_fit() -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="must have the tensor's shape"):
        x.grad = minigrad.tensor([1.0])
    with pytest.raises(TypeError, match="must be a Tensor or None, got list"):
        x.grad = [1.0, 2.0]  # type: ignore[assignment]
    x.grad = minigrad.tensor(np.array([1.0, 1.0]))
    (x * 1.0).sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_an_empty_tensor_gets_an_empty_gradient() -> None:
    x = leaf(np.zeros((0, 3)))
    (x * x).sum().backward()
    assert tuple(x.grad.shape) == (0, 3)


def test_a_zero_dimensional_gradient_is_an_array() -> None:
    x = leaf(3.0)
    (x * x).backward()
    assert type(x.grad._array) is np.ndarray
    assert x.grad.shape == ()
    assert x.grad.item() == 6
