"""The engine's smaller promises: names, which part of a graph is run, hooks and retained gradients on both paths."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given

import minigrad
from minigrad import Tensor, grad, tensor
from minigrad.core import engine
from minigrad.core.errors import AnomalyError
from minigrad.core.modes import detect_anomaly
from minigrad.testing import standin
from minigrad.testing.strategies import broadcastable


def _leaf(*values: float, dtype: object = minigrad.float64) -> Tensor:
    return tensor(list(values), dtype=dtype, requires_grad=True)


# ---- names ----------------------------------------------------------------------------------------------------------


def test_nodes_are_named_as_in_pytorch() -> None:
    x = _leaf(1.0)
    squared, matched = x * x, x.log_softmax(0)
    assert squared.grad_fn.name() == "MulBackward0"
    assert repr(squared.grad_fn) == "<MulBackward0>"
    assert matched.grad_fn.name() == "LogSoftmaxBackward0"
    assert squared.grad_fn.next_functions[0][0].name() == "AccumulateGrad"


# ---- undoing a broadcast --------------------------------------------------------------------------------------------


@given(broadcastable(2, max_dims=4, min_side=1))
@example(((1, 1, 1), (1, 2, 1)))
@example(((1, 1), (3, 1, 2)))
def test_sum_to_is_the_transpose_of_broadcasting(sizes: tuple[tuple[int, ...], ...]) -> None:
    shape, whole = sizes[0], np.broadcast_shapes(*sizes)
    gradient = np.arange(1.0, 1.0 + np.prod(whole, dtype=int)).reshape(whole)
    expected = np.zeros(shape)
    places = np.broadcast_to(np.arange(expected.size).reshape(shape), whole)
    np.add.at(expected.reshape(-1), places.reshape(-1), gradient.reshape(-1))
    np.testing.assert_array_equal(engine.sum_to(gradient, shape), expected)


# ---- which part of the graph is run ---------------------------------------------------------------------------------


def test_no_inputs_give_no_gradients() -> None:
    assert grad((_leaf(1.0) * 2).sum(), []) == ()


def test_what_does_not_lead_to_the_inputs_is_not_run() -> None:
    x = _leaf(1.0, 2.0)
    old = x.exp()
    old.sum().backward()  # frees what `old` saved
    weight = _leaf(3.0, 4.0)  # younger than `old`
    (gradient,) = grad((old * weight).sum(), [weight])
    np.testing.assert_array_equal(gradient.numpy(), np.exp([1.0, 2.0]))


def test_a_path_beside_the_inputs_is_not_run() -> None:
    x, weight = _leaf(1.0), _leaf(3.0)
    first = weight * 2.0
    other = x.exp()
    other.sum().backward()
    (gradient,) = grad((first * other).sum(), [weight])
    np.testing.assert_array_equal(gradient.numpy(), 2 * np.exp([1.0]))


def test_several_outputs_need_no_grad_outputs() -> None:
    x = _leaf(3.0)
    (gradient,) = grad([(x * x).sum(), (x * 2).sum()], [x])
    np.testing.assert_array_equal(gradient.numpy(), [8.0])


def test_backward_into_a_result_keeps_its_gradient() -> None:
    x = _leaf(3.0)
    middle = x * 2
    (middle * middle).sum().backward(inputs=[middle])
    np.testing.assert_array_equal(middle.grad.numpy(), [12.0])
    assert x.grad is None


def test_backward_into_the_second_of_several_results() -> None:
    x = _leaf(1.0, 5.0, 3.0)
    values, _ = x.sort()
    first, second = minigrad.split(values * 1.0, [1, 2])
    (first.sum() + (second * 2).sum()).backward(inputs=[second])
    np.testing.assert_array_equal(second.grad.numpy(), [2.0, 2.0])
    assert first.grad is None


# ---- create_graph ---------------------------------------------------------------------------------------------------


def _backward(result: Tensor, *args: object, **options: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        result.backward(*args, create_graph=True, **options)


def test_backward_with_create_graph_keeps_the_graph() -> None:
    x = _leaf(3.0)
    result = (x * x * x).sum()
    _backward(result)
    _backward(result)
    np.testing.assert_array_equal(x.grad.detach().numpy(), [54.0])
    (second,) = grad(x.grad.sum(), [x])
    np.testing.assert_array_equal(second.numpy(), [36.0])  # both of the gradients added up lead on


def test_backward_with_create_graph_into_chosen_inputs() -> None:
    x, other = _leaf(3.0), _leaf(2.0)
    _backward((x * x * other).sum(), inputs=[x])
    assert other.grad is None
    (second,) = grad(x.grad.sum(), [x])
    np.testing.assert_array_equal(second.numpy(), [4.0])


def test_backward_into_chosen_inputs_adds_up_recorded_gradients() -> None:
    x = _leaf(3.0)
    result = (x * x * x).sum()
    _backward(result, inputs=[x])
    _backward(result, inputs=[x])
    np.testing.assert_array_equal(x.grad.detach().numpy(), [54.0])
    (second,) = grad(x.grad.sum(), [x])
    np.testing.assert_array_equal(second.numpy(), [36.0])


def test_backward_into_chosen_inputs_gives_memory_of_its_own() -> None:
    x, g = _leaf(1.0, 2.0), tensor([3.0, 4.0], dtype=minigrad.float64)
    (x + 1.0).backward(g, inputs=[x])
    assert not np.shares_memory(x.grad.numpy(), g.numpy())


def test_the_gradient_depends_on_what_flowed_in() -> None:
    x, g = _leaf(1.0, 2.0), _leaf(5.0, 7.0)
    _backward(-x, g)  # a rule that names nothing but g
    (through,) = grad(x.grad.sum(), [g])
    np.testing.assert_array_equal(through.numpy(), [-1.0, -1.0])


def test_the_warning_points_at_the_callers_line() -> None:
    x = _leaf(1.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (x * x).sum().backward(create_graph=True)
    assert [one.category for one in caught] == [UserWarning]
    assert caught[0].filename == __file__


def test_anomaly_detection_reads_recorded_gradients() -> None:
    x = _leaf(0.0)
    with detect_anomaly():
        result = x * 2.0
        (gradient,) = grad(result.sum(), [x], create_graph=True)  # finite, and so quiet
        with pytest.raises(AnomalyError, match="NaN flows into the gradient of 'mul'"):
            grad(result, [x], [tensor([float("nan")], dtype=minigrad.float64)], create_graph=True)
    np.testing.assert_array_equal(gradient.detach().numpy(), [2.0])


def test_owned_memory_can_be_written() -> None:
    frozen = np.ones(3)
    frozen.flags.writeable = False
    assert engine.own(frozen).flags.writeable


# ---- hooks and retained gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_hook_must_keep_the_dtype(create_graph: bool) -> None:
    x = _leaf(1.0, 2.0, dtype=minigrad.float32)
    middle = x * 1.0
    middle.register_hook(lambda gradient: gradient.double() * 3)
    with pytest.raises(RuntimeError, match="a hook returned float64 for a gradient of float32"):
        grad((middle * 2).sum(), [x], create_graph=create_graph)


def test_a_hook_of_an_unused_result_is_not_called() -> None:
    x = _leaf(1.0, 2.0)
    used, unused = minigrad.split(x * 1.0, 1)
    seen: list[Tensor] = []
    unused.register_hook(seen.append)
    unused.retain_grad()
    used.sum().backward()
    assert not seen
    assert unused.grad is None
    np.testing.assert_array_equal(x.grad.numpy(), [1.0, 0.0])


def test_a_hook_is_part_of_the_recorded_gradient() -> None:
    x = _leaf(2.0)
    middle = x * x
    handle = middle.register_hook(lambda gradient: gradient * gradient)
    (first,) = grad((middle * middle).sum(), [x], create_graph=True)  # (2 x²)² 2x = 8 x⁵
    handle.remove()  # else it would square the gradient of the gradient, too
    (second,) = grad(first.sum(), [x])
    np.testing.assert_array_equal(first.detach().numpy(), [8 * 2.0**5])
    np.testing.assert_array_equal(second.numpy(), [40 * 2.0**4])


def test_a_retained_gradient_adds_up_on_both_paths() -> None:
    x = _leaf(2.0)
    middle = x * x
    middle.retain_grad()
    result = (middle * middle).sum()
    for times in (1, 2):
        result.backward(retain_graph=True)
        np.testing.assert_array_equal(middle.grad.numpy(), [8.0 * times])
    _backward(result)
    np.testing.assert_array_equal(middle.grad.detach().numpy(), [24.0])


def test_retained_gradients_that_add_up_can_be_differentiated() -> None:
    x = _leaf(2.0)
    middle = x * x
    middle.retain_grad()
    result = (middle * middle).sum()
    _backward(result)
    _backward(result)
    (second,) = grad(middle.grad.sum(), [x])  # of 2 x², twice
    np.testing.assert_array_equal(second.numpy(), [16.0])


def test_a_hook_sees_the_gradient_on_its_device() -> None:
    standin.install()
    x = tensor([1.0, 2.0], device="standin").requires_grad_()
    seen: list[str] = []
    x.register_hook(lambda gradient: seen.append(gradient.device.type))
    (x * x).sum().backward()
    assert seen == ["standin"]
    assert x.grad.device.type == "standin"


# ---- a view keeps its node while its base stays ---------------------------------------------------------------------


def test_a_view_that_is_not_written_keeps_its_node() -> None:
    x = _leaf(1.0, 2.0)
    view = (x * 1.0)[:1]
    node = view.grad_fn
    view.register_hook(lambda gradient: gradient * 10)
    view.retain_grad()
    (view * 3).sum().backward()
    assert view.grad_fn is node
    np.testing.assert_array_equal(view.grad.numpy(), [30.0])
    np.testing.assert_array_equal(x.grad.numpy(), [30.0, 0.0])


def test_a_view_follows_its_base_once_and_stays_there() -> None:
    x = _leaf(1.0, 2.0)
    base = x * 1.0
    view = base[:1]
    base.mul_(5.0)
    node = view.grad_fn
    assert view.grad_fn is node
    view.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [5.0, 0.0])


def test_a_node_of_many_outputs_is_visited_once(monkeypatch: pytest.MonkeyPatch) -> None:
    visits: list[str] = []

    def counted(take: Any) -> Any:
        def taken(*args: Any) -> Any:
            found = take(*args)
            visits.append(found[1].name())
            return found

        return taken

    for name in ("heappop", "heappushpop"):
        monkeypatch.setattr(engine, name, counted(getattr(engine, name)))
    x = tensor(np.arange(20.0), requires_grad=True)
    parts = (x * 2).unbind()
    minigrad.stack(parts[::-1]).sum().backward()
    assert x.grad.tolist() == [2.0] * 20
    assert visits == ["SumBackward0", "StackedBackward0", "UnboundBackward0", "MulBackward0", "AccumulateGrad"]
