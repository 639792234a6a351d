"""`autograd.Function`, and what PyTorch offers under `autograd`."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import minigrad
from minigrad.autograd import Function, Variable
from minigrad.testing import gradcheck, gradgradcheck


class SumAndProduct(Function):
    """Two outputs, both inputs saved."""

    @staticmethod
    def forward(ctx, x, y, scale=1.0):
        ctx.save_for_backward(x, y)
        ctx.scale = scale
        return (x + y) * scale, x * y

    @staticmethod
    def backward(ctx, g_sum, g_product):
        x, y = ctx.saved_tensors
        return g_sum * ctx.scale + g_product * y, g_sum * ctx.scale + g_product * x, None


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx, x):
        result = x.exp()
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, g):
        (result,) = ctx.saved_tensors
        return g * result


def leaves(*shapes):
    rng = np.random.default_rng(0)
    return [minigrad.tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes]


def test_several_outputs_and_a_setting():
    x, y = leaves((2, 3), (2, 3))
    assert gradcheck(lambda x, y: SumAndProduct.apply(x, y, 3.0), (x, y))
    assert gradgradcheck(lambda x, y: SumAndProduct.apply(x, y, 3.0), (x, y))


@pytest.mark.parametrize("used", [0, 1])
def test_an_unused_output_gives_zeros(used):
    x, y = leaves((3,), (3,))
    SumAndProduct.apply(x, y)[used].sum().backward()
    expected = np.ones(3) if used == 0 else y.detach().numpy()
    np.testing.assert_allclose(x.grad.numpy(), expected)


def test_saved_output_is_in_the_graph():
    (x,) = leaves((3,))
    assert gradcheck(Exp.apply, (x,))
    assert gradgradcheck(Exp.apply, (x,))


def test_no_cycle():
    (x,) = leaves((3,))
    gc.collect()
    gc.disable()
    try:
        y = Exp.apply(x)
        node = weakref.ref(y.grad_fn)
        y.sum().backward()
        del y
        assert node() is None
    finally:
        gc.enable()


def test_a_saved_tensor_that_was_written_raises():
    (x,) = leaves((3,))
    y = x * 1
    z = SumAndProduct.apply(y, y)[1]
    y.mul_(2)
    with pytest.raises(RuntimeError, match=r"SumAndProduct.*saved_tensors\[0\].*version 1.*version 0"):
        z.sum().backward()


def test_needs_input_grad_and_non_differentiable():
    seen = []

    class Sign(Function):
        @staticmethod
        def forward(ctx, x, y):
            seen.append(ctx.needs_input_grad)
            sign = x.sign()
            ctx.mark_non_differentiable(sign)
            return sign, y * 2

        @staticmethod
        def backward(ctx, g_sign, g):
            return None, g * 2

    x, y = leaves((2,), (2,))
    sign, double = Sign.apply(x.detach(), y)
    assert seen == [(False, True)]
    assert not sign.requires_grad
    assert double.requires_grad
    double.sum().backward()
    np.testing.assert_array_equal(y.grad.numpy(), [2.0, 2.0])


def test_setup_context():
    class Square(Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 2 * x

    (x,) = leaves((4,))
    assert gradcheck(Square.apply, (x,))


def test_an_input_handed_through_stays_a_leaf():
    class Identity(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 3

    (x,) = leaves((2,))
    y = Identity.apply(x)
    assert x.is_leaf
    assert not y.is_leaf
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3.0, 3.0])


def test_wrong_number_of_gradients_is_said():
    class Lazy(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            return g

    x, y = leaves((2,), (2,))
    with pytest.raises(RuntimeError, match=r"Lazy.backward returned 1 gradients for 2 inputs"):
        Lazy.apply(x, y).sum().backward()


def test_variable():
    x = Variable(minigrad.tensor([1.0]), requires_grad=True)
    (x * 2).sum().backward()
    assert x.grad.item() == 2
