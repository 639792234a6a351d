"""`backward()` and `grad()`: what they take, what they refuse, and every order of derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.testing import gradcheck, gradgradcheck


def leaf(data: Any) -> minigrad.Tensor:
    return minigrad.tensor(np.asarray(data, dtype=np.float64), requires_grad=True)


# ---- what they refuse -----------------------------------------------------------------------------------------------


def test_nothing_requires_grad() -> None:
    with pytest.raises(RuntimeError, match="needs no gradient, so there is nothing to go back through"):
        minigrad.tensor([1.0]).backward()


def test_several_elements_need_a_gradient() -> None:
    with pytest.raises(RuntimeError, match=r"backward starts from a single number.*shape \(2,\)"):
        (leaf([1.0, 2.0]) * 2.0).backward()


def test_the_gradient_must_fit() -> None:
    y = leaf([1.0, 2.0]) * 2.0
    with pytest.raises(RuntimeError, match=r"gradient has shape \(3,\), the tensor \(2,\)"):
        y.backward(minigrad.tensor([1.0, 1.0, 1.0]))
    with pytest.raises(TypeError, match="gradient must be a Tensor, got list"):
        y.backward([1.0, 1.0])


def test_a_second_backward_names_the_op_and_the_line() -> None:
    x = leaf([1.0])
    y = (x * x).sum()
    y.backward()
    with pytest.raises(
        RuntimeError, match=r"a second backward through 'mul'.*recorded at .*test_backward\.py:\d+.*y = \(x \* x\)"
    ) as caught:
        y.backward()
    assert "retain_graph=True" in str(caught.value)


def test_what_saved_nothing_can_be_walked_again() -> None:
    # As in PyTorch: only a freed saved array makes a second backward impossible.
    x = leaf([1.0])
    for y in (x + 1.0, (x + 1.0).sum(), (-x).reshape(1, 1)[0] * 2.0):
        x.grad = None
        y.backward()
        first = x.grad.item()
        y.backward()
        assert x.grad.item() == 2 * first


def test_an_input_that_requires_no_grad() -> None:
    x, y = leaf([1.0]), minigrad.tensor([1.0])
    with pytest.raises(RuntimeError, match="one of the inputs does not require grad"):
        minigrad.grad((x * 2.0).sum(), [x, y])


def test_an_input_that_was_not_used() -> None:
    x, y = leaf([1.0, 2.0]), leaf([[3.0]])
    with pytest.raises(RuntimeError, match="the outputs do not depend on input 1: pass allow_unused=True"):
        minigrad.grad((x * 2.0).sum(), [x, y])
    first, none = minigrad.grad((x * 2.0).sum(), [x, y], allow_unused=True)
    assert first.tolist() == [2, 2]
    assert none is None
    _, zeros = minigrad.grad((x * 2.0).sum(), [x, y], materialize_grads=True)
    assert zeros.tolist() == [[0]]
    assert zeros.dtype == y.dtype


def test_only_floating_point_can_require_grad() -> None:
    with pytest.raises(RuntimeError, match=r"only floating point tensors can require grad, this one is int64"):
        minigrad.tensor([1, 2], requires_grad=True)
    with pytest.raises(RuntimeError, match="this one is bool"):
        minigrad.tensor([True]).requires_grad_()


def test_only_a_leaf_can_stop_requiring_grad() -> None:
    x = leaf([1.0])
    y = x * 2.0
    with pytest.raises(RuntimeError, match="only a leaf can stop requiring grad"):
        y.requires_grad_(False)
    assert not x.requires_grad_(False).requires_grad


# ---- grad() ---------------------------------------------------------------------------------------------------------


def test_grad_touches_no_grad_attribute() -> None:
    x = leaf([1.0, 2.0])
    y = x * x
    (first,) = minigrad.grad(y.sum(), x)
    assert first.tolist() == [2, 4]
    assert x.grad is None


def test_grad_of_an_intermediate_result() -> None:
    x = leaf([2.0])
    y = x * x
    z = (y * y).sum()
    (at_y, at_x) = minigrad.grad(z, [y, x])
    assert at_y.tolist() == [8]
    assert at_x.tolist() == [32]


def test_grad_of_an_output_itself() -> None:
    x = leaf([2.0])
    y = (x * x).sum()
    (one,) = minigrad.grad(y, y)
    assert one.item() == 1


def test_grad_of_one_input_twice() -> None:
    x = leaf([2.0])
    first, second = minigrad.grad((x * x).sum(), [x, x])
    assert first.tolist() == second.tolist() == [4]


def test_grad_with_several_outputs_and_cotangents() -> None:
    x = leaf([1.0, 2.0])
    cotangents = [minigrad.tensor(np.array([1.0, 10.0])), minigrad.tensor(np.array([100.0, 1000.0]))]
    (total,) = minigrad.grad([x * 2.0, x * x], x, cotangents)
    assert total.tolist() == [2 + 200, 20 + 4000]


def test_grad_of_an_input_frees_only_what_it_walked() -> None:
    x, w = leaf([2.0]), leaf([3.0])
    y = (x * x) * w
    (at_w,) = minigrad.grad(y.sum(), w)
    assert at_w.tolist() == [4]


def test_the_cotangent_is_brought_to_the_tensors_dtype() -> None:
    x = leaf([1.0])
    (x * 2.0).backward(minigrad.tensor([1.0], dtype=minigrad.float32))
    assert x.grad.dtype == minigrad.float64


# ---- higher orders --------------------------------------------------------------------------------------------------


def test_three_orders_of_a_power() -> None:
    x = leaf([1.0, 2.0, -3.0])
    y = (x * x * x * x).sum()
    derivative: Any = y
    for expected in (4 * x.detach().numpy() ** 3, 12 * x.detach().numpy() ** 2, 24 * x.detach().numpy()):
        (derivative,) = minigrad.grad(derivative.sum(), x, create_graph=True)
        np.testing.assert_allclose(derivative.detach().numpy(), expected)


def test_three_orders_of_tanh() -> None:
    x = leaf([0.3, -0.7])
    t = np.tanh(x.detach().numpy())
    derivative: Any = x.tanh()
    for expected in (1 - t**2, -2 * t * (1 - t**2), (1 - t**2) * (6 * t**2 - 2)):
        (derivative,) = minigrad.grad(derivative.sum(), x, create_graph=True)
        np.testing.assert_allclose(derivative.detach().numpy(), expected)


def test_gradient_penalty() -> None:
    """d/dw of |d loss / dx|^2: the gradient is part of the loss."""
    x, w = leaf([[0.5, -1.0]]), leaf([[0.3, 0.8]])

    def penalty(x: minigrad.Tensor, w: minigrad.Tensor) -> minigrad.Tensor:
        loss = (x * w).tanh().sum()
        (gradient,) = minigrad.grad(loss, x, create_graph=True)
        return (gradient * gradient).sum()

    assert gradcheck(penalty, (x, w))
    assert gradgradcheck(penalty, (x, w))


def test_mixed_derivatives_commute() -> None:
    x, y = leaf([0.4, 1.2]), leaf([0.9, -0.3])
    z = ((x * y).tanh() * x).sum()
    dx, dy = minigrad.grad(z, [x, y], create_graph=True)
    (dxdy,) = minigrad.grad(dx.sum(), y, retain_graph=True)
    (dydx,) = minigrad.grad(dy.sum(), x)
    np.testing.assert_allclose(dxdy.numpy(), dydx.numpy())


def test_create_graph_keeps_the_graph() -> None:
    x = leaf([2.0])
    y = (x * x).sum()
    minigrad.grad(y, x, create_graph=True)
    (again,) = minigrad.grad(y, x)
    assert again.tolist() == [4]


def test_gradients_without_create_graph_are_constants() -> None:
    x = leaf([2.0])
    (first,) = minigrad.grad((x * x).sum(), x)
    assert not first.requires_grad


def test_create_graph_records_inside_no_grad() -> None:
    x = leaf([2.0])
    y = (x * x * x).sum()
    with minigrad.no_grad():
        (first,) = minigrad.grad(y, x, create_graph=True)
    (second,) = minigrad.grad(first.sum(), x)
    assert second.tolist() == [12]


def test_cotangents_can_be_differentiated() -> None:
    x, g = leaf([2.0, 3.0]), leaf([1.0, 1.0])
    (first,) = minigrad.grad(x * x, x, g, create_graph=True)
    (at_g,) = minigrad.grad(first.sum(), g)
    assert at_g.tolist() == [4, 6]


def test_hessian_vector_product() -> None:
    x, v = leaf([0.2, -0.5, 1.0]), minigrad.tensor(np.array([1.0, 2.0, -1.0]))
    y = (x * x * x).sum() + (x[0] * x[1] * x[2])
    (first,) = minigrad.grad(y, x, create_graph=True)
    (product,) = minigrad.grad((first * v).sum(), x)
    a, b, c = x.detach().numpy()
    hessian = np.diag(6 * np.array([a, b, c])) + np.array([[0, c, b], [c, 0, a], [b, a, 0]])
    np.testing.assert_allclose(product.numpy(), hessian @ v.numpy())
