"""Writing in place: what the graph saved and no longer has raises, with op, argument, versions and line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad


def leaf(data: Any) -> minigrad.Tensor:
    return minigrad.tensor(np.asarray(data, dtype=np.float64), requires_grad=True)


def test_the_message_names_op_argument_versions_and_line() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2.0
    z = y * x  # the line that is named
    y.add_(1.0)
    with pytest.raises(RuntimeError) as caught:
        z.sum().backward()
    message = str(caught.value)
    assert "'mul' saved 'input' for its gradient, and it was changed in place since" in message
    assert "it is at version 1, saved at version 0" in message
    assert "test_versions.py:" in message
    assert "z = y * x" in message
    assert "clone() it before writing" in message


def test_the_other_argument_is_named() -> None:
    x, y = leaf([1.0]), minigrad.tensor(np.array([2.0]))
    z = x * y
    y.mul_(3.0)
    with pytest.raises(RuntimeError, match="'mul' saved 'other'"):
        z.sum().backward()


def test_what_was_not_saved_may_be_written() -> None:
    x, y = leaf([1.0]), minigrad.tensor(np.array([2.0]))
    z = x + y
    y.mul_(3.0)
    z.sum().backward()
    assert x.grad.tolist() == [1]


def test_a_result_that_the_rule_saved_is_watched() -> None:
    x = leaf([0.5])
    y = x.tanh()  # its rule names `ans`
    y.mul_(2.0)
    with pytest.raises(
        RuntimeError, match=r"'tanh' saved 'ans'.*changed in place since: it is at version 1, saved at version 0"
    ):
        y.sum().backward()


def test_a_result_that_the_rule_saved_is_watched_through_its_views() -> None:
    x = leaf([0.5, 1.0])
    y = x.tanh()
    y[:1].mul_(2.0)
    with pytest.raises(RuntimeError, match="'tanh' saved 'ans'"):
        y.sum().backward()


def test_a_result_that_a_general_op_saved_is_watched() -> None:
    x = leaf([[0.5, 1.0]])
    y = x.softmax(-1)  # an op with settings, which takes the general way through the wrapper
    y.mul_(2.0)
    with pytest.raises(RuntimeError, match="changed in place since"):
        y.sum().backward()


def test_a_result_that_no_rule_saved_may_be_written() -> None:
    x = leaf([0.5])
    y = x.sin()  # its rule names `input`
    y.mul_(2.0)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.cos([0.5]))


def test_the_result_of_a_fused_op_is_watched() -> None:
    import minigrad.nn.functional as F

    logits = leaf([[0.5, 1.0, -1.0]])
    losses = F.cross_entropy(logits, minigrad.tensor([1]), reduction="none")
    losses.mul_(2.0)
    expected = 2 * (np.exp(logits.detach().numpy()) / np.exp(logits.detach().numpy()).sum() - [[0, 1, 0]])
    try:
        losses.sum().backward()
    except RuntimeError as error:
        assert "changed in place since" in str(error)  # noqa: PT017 - right is to raise, or a right gradient
    else:
        np.testing.assert_allclose(logits.grad.numpy(), expected)


def test_a_write_before_saving_is_fine() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2.0
    y.add_(1.0)
    (y * y).sum().backward()
    assert x.grad.tolist() == [12, 20]


def test_a_write_through_a_view_is_noticed() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2.0
    z = y * y
    y[0] = 5.0
    with pytest.raises(RuntimeError, match="changed in place since"):
        z.sum().backward()


def test_a_write_to_the_base_is_noticed_by_what_saved_a_view() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = x * 2.0
    row = y[0]
    z = row * row
    y.add_(1.0)
    with pytest.raises(RuntimeError, match="changed in place since"):
        z.sum().backward()


def test_writing_under_no_grad_is_noticed() -> None:
    x, w = leaf([1.0]), leaf([2.0])
    z = x * w
    with minigrad.no_grad():
        w.sub_(0.5)
    with pytest.raises(RuntimeError, match="it is at version 1, saved at version 0"):
        z.sum().backward()


def test_versions_count_writes_and_are_shared_by_views() -> None:
    x = minigrad.tensor([1.0, 2.0, 3.0])
    view = x[1:]
    assert x._version == 0
    x.add_(1.0)
    view.mul_(2.0)
    x[0] = 7.0
    x.zero_()
    assert x._version == view._version == 4
    assert x.clone()._version == 0


def test_a_write_that_restores_the_value_still_counts() -> None:
    x = leaf([1.0])
    y = x * 2.0
    z = y * y
    y.add_(0.0)
    with pytest.raises(RuntimeError, match="changed in place since"):
        z.sum().backward()


def test_under_create_graph_too() -> None:
    x = leaf([1.0])
    y = x * 2.0
    z = (y * y).sum()
    y.add_(1.0)
    with pytest.raises(RuntimeError, match="changed in place since"):
        minigrad.grad(z, x, create_graph=True)


def test_a_leaf_that_requires_grad_refuses() -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="a leaf that requires grad is used in an in-place operation"):
        x.mul_(2.0)
    with pytest.raises(RuntimeError, match="a leaf that requires grad"):
        x += 1.0
    with pytest.raises(RuntimeError, match="a view of a leaf that requires grad"):
        x[0] = 1.0
    with pytest.raises(RuntimeError, match="a view of a leaf that requires grad"):
        x[0].mul_(2.0)
    assert x.tolist() == [1, 2]
    with minigrad.no_grad():
        x.mul_(2.0)
        x[0] = 9.0
    assert x.tolist() == [9, 4]
    assert x.is_leaf
    assert x.requires_grad


def test_the_shape_must_stay() -> None:
    x = minigrad.tensor([1.0, 2.0])
    with pytest.raises(
        RuntimeError, match=r"mul_: the result has shape \(2, 2\), which does not fit in place of \(2,\)"
    ):
        x.mul_(minigrad.tensor([[1.0, 2.0], [3.0, 4.0]]))


def test_the_dtype_must_hold_the_result() -> None:
    x = minigrad.tensor([1, 2])
    with pytest.raises(RuntimeError, match="a float32 result cannot be put into a int64 tensor"):
        x.mul_(1.5)
    assert x.tolist() == [1, 2]
    y = minigrad.tensor([1.0, 2.0], dtype=minigrad.float32)
    y.mul_(minigrad.tensor([2.0, 2.0], dtype=minigrad.float64))
    assert y.dtype == minigrad.float32


def test_memory_that_several_elements_share_refuses() -> None:
    x = minigrad.tensor([1.0]).expand(3)
    with pytest.raises(RuntimeError, match=r"clone\(\) it first"):
        x.mul_(2.0)


class _Square(minigrad.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return 2 * g * ctx.saved_tensors[0]


@pytest.mark.parametrize(
    "function",
    [lambda x: x * x, lambda x: x.prod().expand(2), _Square.apply, lambda x: minigrad.cat([x * x])],
    ids=["a rule", "a fused op", "a Function", "several inputs"],
)
def test_a_recorded_gradient_notices_a_write_to_what_its_forward_saved(function: Any) -> None:
    x = minigrad.tensor([2.0, 3.0], requires_grad=True)
    v = minigrad.tensor([1.0, 1.0], requires_grad=True)
    (gradient,) = minigrad.grad([function(x)], [x], [v], create_graph=True)
    with minigrad.no_grad():
        x.mul_(100.0)
    with pytest.raises(RuntimeError, match="changed in place since"):
        minigrad.grad(gradient.sum(), [v])


def test_a_recorded_gradient_notices_a_write_to_its_forwards_result() -> None:
    x = minigrad.tensor([2.0, 3.0], requires_grad=True)
    v = minigrad.tensor([1.0, 1.0], requires_grad=True)
    result = x.exp()
    (gradient,) = minigrad.grad([result], [x], [v], create_graph=True)
    with minigrad.no_grad():
        result.mul_(100.0)
    with pytest.raises(RuntimeError, match="changed in place since"):
        minigrad.grad(gradient.sum(), [v])
