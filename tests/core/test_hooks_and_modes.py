"""Hooks, retained gradients, detach and `.data`; no_grad and its kin, each for its own thread."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.core.modes import _Switch


def leaf(data: Any) -> minigrad.Tensor:
    return minigrad.tensor(np.asarray(data, dtype=np.float64), requires_grad=True)


# ---- hooks ----------------------------------------------------------------------------------------------------------


def test_a_hook_sees_the_complete_gradient_once() -> None:
    x = leaf([1.0, 2.0])
    y = x * 1.0
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y * 2.0 + y * y + y).sum().backward()
    assert seen == [[5, 7]]


def test_a_hook_replaces_the_gradient() -> None:
    x = leaf([1.0])
    y = x * 3.0
    y.register_hook(lambda g: g * 10.0)
    y.register_hook(lambda g: g + 1.0)  # hooks run in the order they were registered
    y.retain_grad()
    y.sum().backward()
    assert y.grad.tolist() == [11]
    assert x.grad.tolist() == [33]


def test_a_hook_on_a_leaf_runs_before_accumulation() -> None:
    x = leaf([1.0])
    x.register_hook(lambda g: g * 2.0)
    for _ in range(2):
        (x * 3.0).sum().backward()
    assert x.grad.tolist() == [12]


def test_a_hook_can_be_taken_back() -> None:
    x = leaf([1.0])
    handle = x.register_hook(lambda g: g * 100.0)
    handle.remove()
    handle.remove()
    (x * 3.0).sum().backward()
    assert x.grad.tolist() == [3]


def test_a_hook_must_keep_the_shape() -> None:
    x = leaf([1.0, 2.0])
    x.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match=r"a hook returned shape \(\) for a gradient of \(2,\)"):
        (x * 1.0).sum().backward()


def test_a_hook_under_create_graph_is_differentiated() -> None:
    x = leaf([2.0])
    y = x * x
    y.register_hook(lambda g: g * g)
    (first,) = minigrad.grad((y * 3.0).sum(), x, create_graph=True)
    (second,) = minigrad.grad(first.sum(), x)
    assert first.tolist() == [9 * 4]
    assert second.tolist() == [9 * 2]


def test_a_hook_works_with_grad() -> None:
    x = leaf([2.0])
    y = x * 1.0
    y.register_hook(lambda g: g * 5.0)
    at_y, at_x = minigrad.grad((y * 2.0).sum(), [y, x])
    assert at_y.tolist() == [10]
    assert at_x.tolist() == [10]


def test_hooks_need_a_gradient_to_come() -> None:
    with pytest.raises(RuntimeError, match="needs a tensor that requires grad"):
        minigrad.tensor([1.0]).register_hook(print)
    with pytest.raises(RuntimeError, match="needs a tensor that requires grad"):
        minigrad.tensor([1.0]).retain_grad()


def test_retain_grad() -> None:
    x = leaf([2.0])
    y = x * x
    assert y.grad is None
    assert not y.retains_grad
    y.retain_grad()
    assert y.retains_grad
    (y * 3.0).sum().backward()
    assert y.grad.tolist() == [3]
    assert not x.retains_grad


def test_retain_grad_adds_up() -> None:
    """As PyTorch: a second backward adds to a retained gradient."""
    torch = pytest.importorskip("torch")
    kept = []
    for module in (minigrad, torch):
        x = module.tensor([2.0], requires_grad=True)
        y = x * x
        y.retain_grad()
        z = (y * 3.0).sum()
        z.backward(retain_graph=True)
        z.backward()
        kept.append(y.grad.tolist())
    assert kept[0] == kept[1]


def test_retain_grad_of_a_leaf_changes_nothing() -> None:
    x = leaf([2.0])
    x.retain_grad()
    (x * 3.0).sum().backward()
    assert x.grad.tolist() == [3]


# ---- out of the graph -----------------------------------------------------------------------------------------------


def test_detach_shares_memory_and_version() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2.0
    d = y.detach()
    assert not d.requires_grad
    assert np.shares_memory(d._array, y._array)
    d.add_(1.0)
    assert y.tolist() == [3, 5]
    assert y._version == d._version == 1


def test_a_write_through_detach_is_noticed() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2.0
    z = y * y
    y.detach().add_(1.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()


def test_a_write_through_data_is_not_noticed() -> None:
    x = leaf([1.0, 2.0])
    z = x * x
    x.data.mul_(10.0)
    assert x.tolist() == [10, 20]
    assert x._version == 0
    z.sum().backward()
    assert x.grad.tolist() == [20, 40]  # as in PyTorch: the caller asked for it


def test_data_can_be_set() -> None:
    x = leaf([1.0, 2.0])
    x.data = minigrad.tensor(np.array([5.0, 6.0]))
    (x * x).sum().backward()
    assert x.grad.tolist() == [10, 12]
    x.data -= 0.5 * x.grad
    assert x.tolist() == [0, 0]
    assert x.requires_grad
    assert x.is_leaf


def test_detach_stops_the_gradient() -> None:
    x = leaf([3.0])
    (x * x.detach()).sum().backward()
    assert x.grad.tolist() == [3]


def test_detach_in_place() -> None:
    x = leaf([3.0])
    y = x * 2.0
    y.detach_()
    assert y.is_leaf
    assert not y.requires_grad


# ---- modes ----------------------------------------------------------------------------------------------------------


def test_no_grad_records_nothing() -> None:
    x = leaf([1.0])
    with minigrad.no_grad():
        assert not minigrad.is_grad_enabled()
        y = x * 2.0
        assert not y.requires_grad
        with minigrad.enable_grad():
            assert (x * 2.0).requires_grad
        assert not (x * 2.0).requires_grad
    assert minigrad.is_grad_enabled()
    assert (x * 2.0).requires_grad


def test_a_leaf_made_under_no_grad_requires_grad() -> None:
    with minigrad.no_grad():
        x = leaf([1.0])
    (x * 2.0).sum().backward()
    assert x.grad.tolist() == [2]


@pytest.mark.parametrize("decorate", [minigrad.no_grad(), minigrad.no_grad])
def test_no_grad_decorates(decorate: Any) -> None:
    x = leaf([1.0])

    @decorate
    def evaluate(depth: int) -> minigrad.Tensor:
        return evaluate(depth - 1) if depth else x * 2.0

    assert not evaluate(3).requires_grad
    assert minigrad.is_grad_enabled()


def test_modes_end_with_an_exception() -> None:
    with pytest.raises(ValueError, match="on purpose"), minigrad.no_grad():
        raise ValueError("on purpose")
    assert minigrad.is_grad_enabled()


def test_set_grad_enabled_as_function_and_context() -> None:
    with minigrad.set_grad_enabled(False):
        assert not minigrad.is_grad_enabled()
    assert minigrad.is_grad_enabled()
    minigrad.set_grad_enabled(False)
    try:
        assert not minigrad.is_grad_enabled()
    finally:
        minigrad.set_grad_enabled(True)
    assert minigrad.is_grad_enabled()


def test_set_grad_enabled_as_a_decorator_switches_nothing_outside() -> None:
    @minigrad.set_grad_enabled(False)
    def evaluate() -> bool:
        return minigrad.is_grad_enabled()

    assert minigrad.is_grad_enabled()
    assert not evaluate()
    assert minigrad.is_grad_enabled()


def test_inference_mode_as_a_decorator_and_switched_off() -> None:
    @minigrad.inference_mode
    def evaluate() -> bool:
        with minigrad.inference_mode(False):  # what is made here may take part again
            assert (leaf([1.0]) * 2.0).requires_grad
            assert not minigrad.is_inference_mode_enabled()
        return minigrad.is_inference_mode_enabled()

    assert evaluate()
    assert not minigrad.is_inference_mode_enabled()


def test_inference_tensors_stay_out_of_graphs() -> None:
    x, w = leaf([1.0]), leaf([2.0])
    with minigrad.inference_mode():
        assert minigrad.is_inference_mode_enabled()
        y = x * 2.0
        assert not y.requires_grad
    assert not minigrad.is_inference_mode_enabled()
    with pytest.raises(RuntimeError, match="an inference tensor cannot be saved for backward"):
        y * w
    (y + w).sum().backward()  # add saves nothing
    assert w.grad.tolist() == [1]
    with pytest.raises(RuntimeError, match="inference tensor"):
        y._version  # noqa: B018


def test_modes_belong_to_their_thread() -> None:
    inside, go_on = threading.Event(), threading.Event()
    seen: list[bool] = []

    def other() -> None:
        seen.append(minigrad.is_grad_enabled())
        with minigrad.no_grad():
            inside.set()
            go_on.wait(5)
            seen.append(minigrad.is_grad_enabled())

    thread = threading.Thread(target=other)
    with minigrad.no_grad():
        thread.start()
        inside.wait(5)
    seen.append(minigrad.is_grad_enabled())
    go_on.set()
    thread.join()
    assert seen == [True, True, False]


def test_threads_build_and_walk_graphs_of_their_own() -> None:
    weights = leaf(np.ones(50))
    results: dict[int, list[float]] = {}

    def work(number: int) -> None:
        x = leaf(np.full(50, float(number)))
        for _ in range(100):
            y = (x * weights.detach() + x * x).sum()
            x.grad = None
            y.backward()
        results[number] = x.grad.tolist()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [1.0 + 2 * number] * 50 for number in range(8)}


def test_threads_share_a_retained_graph() -> None:
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    found: list[Any] = []

    def work() -> None:
        for _ in range(50):
            found.append(minigrad.grad(y, x, retain_graph=True)[0].tolist())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[2, 4]] * 200


def test_switches_nest_and_can_be_used_again() -> None:
    switch = _Switch(grad=False)
    with switch:
        with switch:
            assert not minigrad.is_grad_enabled()
        assert not minigrad.is_grad_enabled()
    assert minigrad.is_grad_enabled()
