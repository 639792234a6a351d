"""What once went wrong and no drawn test had found: each with the answer PyTorch gives."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import minigrad
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.autograd import Function


def test_two_spellings_of_one_path_in_a_file(tmp_path):
    pytest.importorskip("safetensors")
    minigrad.save({"a.b": minigrad.ones(2), "a": {"b": minigrad.zeros(3)}}, tmp_path / "f")
    loaded = minigrad.load(tmp_path / "f")
    assert loaded["a.b"].tolist() == [1, 1]
    assert loaded["a"]["b"].tolist() == [0, 0, 0]


def test_a_replaced_element_passes_no_infinity_on():
    for replace in (
        lambda y: y.index_fill(0, minigrad.tensor([0]), 0.0),
        lambda y: y.scatter(0, minigrad.tensor([0]), 0.0),
        lambda y: y.index_put((minigrad.tensor([0]),), minigrad.tensor([0.0])),
    ):
        x = minigrad.tensor([1.0, 4.0], requires_grad=True)
        replace(x.clone()).sqrt().sum().backward()
        assert x.grad.tolist() == [0, 0.25]


def test_recorded_gradients_are_not_shared():
    y, z = minigrad.ones(2, requires_grad=True), minigrad.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="create_graph"):
        (y + z).sum().backward(create_graph=True)
    with minigrad.no_grad():
        y.grad.mul_(10)
    assert z.grad.tolist() == [1, 1]
    y.grad = z.grad = None


@pytest.mark.parametrize("place", [1, -1])
def test_a_0d_tensor_as_index_gives_a_view(place):
    x = minigrad.zeros(3, 2)
    x[minigrad.tensor(place)].add_(1)
    assert x[place].tolist() == [1, 1]


def test_diagonal_is_a_view():
    x = minigrad.zeros(3, 3)
    x.diagonal().fill_(1.0)
    np.testing.assert_array_equal(x.numpy(), np.eye(3))


def test_inputs_adds_to_a_result_as_well():
    x = minigrad.ones(2, requires_grad=True)
    y = x * 2
    loss = y.sum()
    loss.backward(retain_graph=True, inputs=[y])
    loss.backward(inputs=[y])
    assert y.grad.tolist() == [2, 2]
    assert x.grad is None


def test_a_users_op_that_returns_a_view_is_watched():
    @minigrad.primitive
    def half(input):
        return input[:2]

    half.vjp(input=lambda g: minigrad.cat([g, g * 0]))
    x = minigrad.ones(4)
    y = half(x)
    w = minigrad.ones(2, requires_grad=True)
    z = (y * w).sum()
    x.mul_(5)
    with pytest.raises(RuntimeError, match="changed in place since"):
        z.backward()


def test_one_switch_in_two_threads():
    switch = minigrad.no_grad()
    entered, left = threading.Event(), threading.Event()
    seen = []

    def other():
        with switch:
            entered.set()
            left.wait()
            seen.append(minigrad.is_grad_enabled())
        seen.append(minigrad.is_grad_enabled())

    thread = threading.Thread(target=other)
    with switch:
        thread.start()
        entered.wait()
    assert minigrad.is_grad_enabled()
    left.set()
    thread.join()
    assert seen == [False, True]


def test_set_grad_enabled_as_a_decorator_switches_nothing_outside():
    @minigrad.set_grad_enabled(False)
    def inside():
        return minigrad.is_grad_enabled()

    assert minigrad.is_grad_enabled()
    assert not inside()
    assert minigrad.is_grad_enabled()
    with minigrad.set_grad_enabled(False):
        assert not minigrad.is_grad_enabled()
    assert minigrad.is_grad_enabled()


def test_inference_mode_without_parentheses():
    @minigrad.inference_mode
    def double(x):
        return x * 2

    assert not double(minigrad.ones(2, requires_grad=True)).requires_grad
    with minigrad.inference_mode(mode=False):
        assert minigrad.is_grad_enabled()


def test_a_misspelt_word_in_to_is_said():
    with pytest.raises(TypeError, match="dtpye"):
        minigrad.ones(2).to("cpu", dtpye=minigrad.float64)


def test_gradients_keep_their_tensors_dtype():
    x = minigrad.ones(2, requires_grad=True)
    x.register_hook(lambda g: g.double())
    with pytest.raises(RuntimeError, match="a hook returned float64 for a gradient of float32"):
        (x * 1).sum().backward()
    with pytest.raises(RuntimeError, match="dtype float32, got float64"):
        x.grad = minigrad.ones(2, dtype=minigrad.float64)

    class Wide(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g.double()

    x = minigrad.ones(2, requires_grad=True)
    Wide.apply(x).sum().backward()
    assert x.grad.dtype == minigrad.float32


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w * 2,
        lambda w: w[:3],
        lambda w: w.double(),
        lambda w: w * w,
        lambda w: (w.t() * 1).t(),
    ],
)
def test_looking_up_rows_of_a_computed_table(change):
    """The row gradient of the lookup meets rules that know dense gradients."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 2)).astype(np.float32)
    index = minigrad.tensor([0, 2, 2])
    w, other = (minigrad.tensor(values, requires_grad=True) for _ in range(2))
    (F.embedding(index, change(w)) ** 2).sum().backward()
    (change(other)[index] ** 2).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), other.grad.numpy(), rtol=1e-5)


def test_a_hook_on_an_embedding_gets_a_dense_gradient():
    table = nn.Embedding(3, 2)
    table.weight.register_hook(lambda g: g * 2)
    table(minigrad.tensor([1, 1])).sum().backward()
    assert table.weight.grad.tolist() == [[0, 0], [4, 4], [0, 0]]


def test_a_loss_may_be_changed_in_place():
    x = minigrad.randn(3, 4, requires_grad=True)
    for loss_of in (
        lambda: F.cross_entropy(x * 1, minigrad.tensor([0, 1, 2])),
        lambda: F.linear_cross_entropy(x * 1, minigrad.ones(5, 4), minigrad.tensor([0, 1, 2])),
    ):
        loss = loss_of()
        loss /= 2
        (expected,) = minigrad.grad(loss_of() / 2, x)
        (found,) = minigrad.grad(loss, x)
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)


def test_what_a_fused_op_saved_is_named_rightly():
    weight = minigrad.randn(3, 4, requires_grad=True) * 1
    loss = F.cross_entropy(weight, minigrad.tensor([0, 1, 2]))
    weight.mul_(2)
    with pytest.raises(RuntimeError, match="saved 'input'"):
        loss.backward()


def test_a_number_formats_itself():
    assert f"{minigrad.tensor(1.23456):.3f}" == "1.235"
    assert f"{minigrad.tensor([1.0])}" == "tensor([1.])"


def test_an_array_before_the_ellipsis():
    x = minigrad.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(x[np.array([0, 1]), ..., 1].numpy(), x.numpy()[np.array([0, 1]), ..., 1])


def test_in_place_by_keyword():
    x, w = (minigrad.ones(2, requires_grad=True) for _ in range(2))
    y = x * 3
    y.mul_(other=w)
    y.sum().backward()
    assert (x.grad.tolist(), w.grad.tolist()) == ([3, 3], [3, 3])


def test_wrong_answers_from_user_code_are_said():
    class Short(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g[:1]

    x = minigrad.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"Short.backward returned shape \(1,\) for input 0 of shape \(3,\)"):
        Short.apply(x).sum().backward()
    x.register_hook(lambda g: 3.0)
    with pytest.raises(TypeError, match="a hook must return a Tensor or None, this one returned float"):
        (x * 1).sum().backward()
