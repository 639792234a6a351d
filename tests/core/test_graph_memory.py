"""Deep graphs without recursion, and nothing left behind with the garbage collector off."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

import minigrad
from minigrad.core.engine import Node

DEPTH = 200_000


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def garbage() -> list[object]:
    """What only the collector would have freed: graph and arrays alone, for pytest leaves some of its own."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return [one for one in gc.garbage if type(one).__module__.startswith(("minigrad", "numpy"))]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def alive(kind: type) -> int:
    return sum(issubclass(type(one), kind) for one in gc.get_objects())  # isinstance() would run others' properties


def chain(x: minigrad.Tensor, depth: int) -> minigrad.Tensor:
    y = x
    for _ in range(depth):
        y = y + 1.0
    return y


def test_a_deep_chain_forward_backward_and_freed(no_collector: None) -> None:
    nodes = alive(Node)
    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    y = chain(x, DEPTH)
    y.backward(minigrad.tensor([1.0, 3.0]))
    assert x.grad.tolist() == [1, 3]
    del y
    assert alive(Node) == nodes + 1  # the leaf's
    del x
    assert alive(Node) == nodes
    assert garbage() == []


def test_a_deep_chain_freed_without_backward(no_collector: None) -> None:
    nodes = alive(Node)
    x = minigrad.tensor([1.0], requires_grad=True)
    y = chain(x, DEPTH)
    assert alive(Node) == nodes + DEPTH + 1
    del x, y
    assert alive(Node) == nodes
    assert garbage() == []


def test_a_deep_chain_of_products_keeps_right_values(no_collector: None) -> None:
    x = minigrad.tensor(1.0, dtype=minigrad.float64, requires_grad=True)
    y = x
    for _ in range(DEPTH // 4):
        y = y * 1.0
    y = y * x
    y.backward()
    assert x.grad.item() == 2.0
    del y
    assert garbage() == []


def test_a_deep_chain_in_place(no_collector: None) -> None:
    x = minigrad.tensor([1.0], requires_grad=True)
    y = x * 1.0
    for _ in range(5_000):
        y += 1.0
    y.sum().backward()
    assert x.grad.tolist() == [1]
    del x, y
    assert garbage() == []


def test_a_deep_chain_differentiated_through_create_graph(no_collector: None) -> None:
    x = minigrad.tensor(0.5, dtype=minigrad.float64, requires_grad=True)
    y = x * x
    for _ in range(20_000):
        y = y * 1.0
    (first,) = minigrad.grad(y, x, create_graph=True)
    (second,) = minigrad.grad(first, x)
    assert first.item() == 1.0
    assert second.item() == 2.0
    del x, y, first, second
    assert garbage() == []


def test_a_wide_fan_out(no_collector: None) -> None:
    x = minigrad.tensor([1.0], requires_grad=True)
    total = x * 0.0
    for _ in range(20_000):
        total = total + x
    total.sum().backward()
    assert x.grad.tolist() == [20_000]
    del x, total
    assert garbage() == []


def test_the_graph_of_a_diamond_is_walked_once_for_each_node() -> None:
    # Without a topological order 2**200 paths would be walked.
    x = minigrad.tensor(1.0, dtype=minigrad.float64, requires_grad=True)
    y = x
    for _ in range(200):
        y = y * 0.5 + y * 0.5
    y.backward()
    assert x.grad.item() == 1.0


def test_a_training_step_leaves_nothing_behind(no_collector: None) -> None:
    weight = minigrad.tensor(np.ones((3, 2)), requires_grad=True)
    data = minigrad.tensor(np.arange(6.0).reshape(2, 3))

    def step() -> list[weakref.ref[minigrad.Tensor]]:
        hidden = (data * weight.sum() + 1.0).tanh()
        hidden.register_hook(lambda g: g * 1.0)
        hidden.retain_grad()
        loss = (hidden * hidden).sum()
        loss.backward()
        with minigrad.no_grad():
            weight.sub_(weight.grad * 0.1)
        weight.grad = None
        return [weakref.ref(hidden), weakref.ref(loss)]

    step()
    gc.collect()
    nodes, tensors = alive(Node), alive(minigrad.Tensor)
    for _ in range(3):
        references = step()
        assert [one() for one in references] == [None, None]
    assert (alive(Node), alive(minigrad.Tensor)) == (nodes, tensors)
    assert garbage() == []


def test_second_order_leaves_nothing_behind(no_collector: None) -> None:
    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x * x).sum()
    (first,) = minigrad.grad(y, x, create_graph=True)
    (second,) = minigrad.grad(first.sum(), x)
    assert second.tolist() == [6, 12]
    del x, y, first, second
    assert garbage() == []


def test_views_and_writes_through_them_leave_nothing_behind(no_collector: None) -> None:
    x = minigrad.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x * 1.0
    row = y[0]
    row.mul_(2.0)
    y[1] = 0.0
    (y + row).sum().backward()
    reference = weakref.ref(y)
    del x, y, row
    assert reference() is None
    assert garbage() == []


def test_the_garbage_test_can_fail(no_collector: None) -> None:
    x = minigrad.tensor([1.0], requires_grad=True)
    y = x * x
    held = [y]
    y.register_hook(partial(held.__getitem__, 0))  # a cycle of the caller's own: y, its node, the hook, the list
    del y, held
    assert any(issubclass(type(one), Node) for one in garbage())


def test_a_failed_backward_leaves_nothing_behind(no_collector: None) -> None:
    x = minigrad.tensor([1.0], requires_grad=True)
    y = (x * x).sum()
    y.backward()
    reference = weakref.ref(y)
    try:
        y.backward()
    except RuntimeError as error:
        error.__traceback__ = None
    else:
        pytest.fail("the second backward must raise")
    del x, y
    assert reference() is None


def test_backward_frees_what_the_rules_saved() -> None:
    x = minigrad.tensor(np.ones(3), requires_grad=True)
    hidden = x * 2.0
    saved = weakref.ref(hidden._array)
    loss = (hidden * hidden).sum()
    del hidden
    assert saved() is not None
    loss.backward()
    assert saved() is None


def test_retain_graph_keeps_what_the_rules_saved() -> None:
    x = minigrad.tensor([3.0], requires_grad=True)
    loss = (x * x).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    assert x.grad.tolist() == [12]


def test_only_what_a_rule_names_is_kept() -> None:
    x, y = (minigrad.tensor(np.ones(3), requires_grad=True) for _ in range(2))
    hidden = x * 2.0
    kept = weakref.ref(hidden._array)
    total = (hidden + y).sum()  # the rules of add and sum name no array
    del hidden
    assert kept() is None
    total.backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_the_forward_line_is_kept_without_the_frame() -> None:
    class Local:
        pass

    def forward(x: minigrad.Tensor) -> tuple[minigrad.Tensor, weakref.ref[Local]]:
        local = Local()
        return x * 2.0, weakref.ref(local)

    y, reference = forward(minigrad.tensor([1.0], requires_grad=True))
    assert y.grad_fn is not None
    assert reference() is None
    assert "in forward: return x * 2.0, weakref.ref(local)" in y.grad_fn.line


def test_backward_with_create_graph_warns_of_its_cycle() -> None:
    x = minigrad.tensor(2.0, requires_grad=True)
    with pytest.warns(UserWarning, match=r"use minigrad\.grad\(\) instead"):
        (x * x).backward(create_graph=True)
    assert x.grad.requires_grad
    x.grad = None
