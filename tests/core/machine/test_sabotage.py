"""The machine is checked: an engine broken on purpose is found out within few programs, without PyTorch's help."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from core.machine.programs import Programs
from core.machine.running import Mismatch
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

import minigrad
from minigrad.core import call, engine, inplace, plan, views
from minigrad.core.tensor import Tensor, VersionCounter, wrap

Patch = pytest.MonkeyPatch
PROGRAMS = 200  # what profile ci runs


class WithoutTorch(Programs):
    beside_torch = False


def versions_are_not_checked(patch: Patch) -> None:
    patch.setattr(engine, "unpack", lambda node: node.saved)


def writes_are_not_counted(patch: Patch) -> None:
    patch.setattr(views, "count_write", lambda tensor: None)


def a_freed_graph_is_not_noticed(patch: Patch) -> None:
    """Saved arrays are kept, and a second backward just goes through."""
    run = engine.run
    patch.setattr(engine, "run", lambda *args, retain_graph, **rest: run(*args, retain_graph=True, **rest))


def gradients_replace_each_other(patch: Patch) -> None:
    patch.setattr(engine, "_add", lambda first, second: second)


def a_leaf_forgets_its_earlier_gradient(patch: Patch) -> None:
    def accumulate(self: engine.Leaf, gradient: Any, create_graph: bool) -> None:
        if self.wanted:
            self.grad = gradient if isinstance(gradient, Tensor) else engine.as_tensor(gradient)

    patch.setattr(engine.Leaf, "accumulate", accumulate)


def a_leaf_shares_the_gradient_that_flows(patch: Patch) -> None:
    patch.setattr(engine, "own", lambda array: engine.np.asarray(array))


def a_path_is_counted_twice(patch: Patch) -> None:
    """What arrives at a tensor a second time is added once more."""
    add = engine._add
    patch.setattr(engine, "_add", lambda first, second: add(add(first, second), second))


def broadcasting_is_undone_by_taking_one(patch: Patch) -> None:
    def first_of(gradient: Any, shape: tuple[int, ...]) -> Any:
        extra = gradient.ndim - len(shape)
        return gradient[(*[0] * extra, *[slice(0, size) for size in shape])]

    patch.setattr(engine, "sum_to", first_of)


def hooks_are_ignored(patch: Patch) -> None:
    patch.setattr(engine, "add_hook", lambda edge, hook: engine.RemovableHandle({}))


def hooks_only_look(patch: Patch) -> None:
    """What a hook returns is thrown away."""
    add_hook = engine.add_hook

    def looking(edge: engine.Edge, hook: Callable[[Any], Any]) -> Any:
        return add_hook(edge, lambda g: hook(g) and None if g.numel() == 1 else [hook(g), None][1])

    patch.setattr(engine, "add_hook", looking)


def hooks_stay_when_removed(patch: Patch) -> None:
    patch.setattr(engine.RemovableHandle, "remove", lambda self: None)


def retained_gradients_do_not_move_with_a_write(patch: Patch) -> None:
    patch.setattr(engine, "move_retained", lambda old, new: None)


def retaining_is_ignored(patch: Patch) -> None:
    patch.setattr(Tensor, "retain_grad", lambda self: None)


def no_grad_is_ignored(patch: Patch) -> None:
    patch.setattr(minigrad, "no_grad", contextlib.nullcontext)


def detach_stays_in_the_graph(patch: Patch) -> None:
    def detach(self: Tensor) -> Tensor:
        result = wrap(self._array)
        result._edge, result._counter = self._edge, self._counter
        return result

    patch.setattr(Tensor, "numpy", lambda self: self._array)

    patch.setattr(Tensor, "detach", detach)


def detach_copies(patch: Patch) -> None:
    patch.setattr(Tensor, "detach", lambda self: wrap(self._array.copy()))


def detached_writes_are_not_counted(patch: Patch) -> None:
    patch.setattr(Tensor, "detach", lambda self: wrap(self._array))


def views_do_not_follow_their_base(patch: Patch) -> None:
    patch.setattr(views, "refresh", lambda tensor: None)


def views_do_not_share_the_version(patch: Patch) -> None:
    mark = call._mark_view

    def marked(op: Any, result: Tensor, *rest: Any) -> None:
        mark(op, result, *rest)
        result._counter = VersionCounter()

    patch.setattr(call, "_mark_view", marked)


def a_write_through_a_view_is_lost(patch: Patch) -> None:
    """The numbers change, and the base's place in the graph does not."""
    patch.setattr(inplace, "_record_view_write", lambda base, written, path: base._edge)


def a_write_drops_what_was_there(patch: Patch) -> None:
    """The gradient of the region that was replaced still flows to what it held before."""
    record = inplace._record_view_write

    def wrong(base: Tensor, written: Tensor, path: Any) -> engine.Edge:
        return base._edge if base._edge is not None else record(base, written, path)

    patch.setattr(inplace, "_record_view_write", wrong)


def in_place_ops_save_what_they_overwrite(patch: Patch) -> None:
    patch.setattr(inplace, "_snapshot", lambda tensor: tensor)


def leaves_can_be_written(patch: Patch) -> None:
    patch.setattr(inplace, "check_writable", lambda tensor, op, recorded=False: None)


def create_graph_records_nothing(patch: Patch) -> None:
    run = engine.run

    def unrecorded(edges: Any, gradients: Any, targets: Any, *, retain_graph: bool, create_graph: bool) -> Any:
        raw = [getattr(one, "_array", one) for one in gradients]
        return run(edges, raw, targets, retain_graph=retain_graph, create_graph=False)

    patch.setattr(engine, "run", unrecorded)


def saved_tensors_come_back_as_constants(patch: Patch) -> None:
    """The second derivative misses what flows through what a rule had saved."""
    patch.setattr(plan, "attach", lambda array, edge, counter: wrap(array) if plan.is_array(array) else array)


def a_leaf_collects_though_it_stopped_asking(patch: Patch) -> None:
    accumulate = engine.Leaf.accumulate

    def always(self: engine.Leaf, gradient: Any, create_graph: bool) -> None:
        self.wanted = True
        accumulate(self, gradient, create_graph)

    patch.setattr(engine.Leaf, "accumulate", always)


def grad_touches_the_leaves(patch: Patch) -> None:
    run = engine.run

    def both(edges: Any, gradients: Any, targets: Any, **settings: bool) -> Any:
        found = run(edges, gradients, targets, **settings)
        for (node, _), gradient in found.items():
            if isinstance(node, engine.Leaf) and gradient is not None and not settings["create_graph"]:
                node.accumulate(engine.own(gradient), False)
        return found

    patch.setattr(engine, "run", both)


SABOTAGES = [
    versions_are_not_checked,
    writes_are_not_counted,
    a_freed_graph_is_not_noticed,
    gradients_replace_each_other,
    a_leaf_forgets_its_earlier_gradient,
    a_leaf_shares_the_gradient_that_flows,
    a_path_is_counted_twice,
    broadcasting_is_undone_by_taking_one,
    hooks_are_ignored,
    hooks_only_look,
    hooks_stay_when_removed,
    retained_gradients_do_not_move_with_a_write,
    retaining_is_ignored,
    no_grad_is_ignored,
    detach_stays_in_the_graph,
    detach_copies,
    detached_writes_are_not_counted,
    views_do_not_follow_their_base,
    views_do_not_share_the_version,
    a_write_through_a_view_is_lost,
    a_write_drops_what_was_there,
    in_place_ops_save_what_they_overwrite,
    leaves_can_be_written,
    create_graph_records_nothing,
    saved_tensors_come_back_as_constants,
    a_leaf_collects_though_it_stopped_asking,
    grad_touches_the_leaves,
]


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda one: one.__name__)
def test_the_machine_catches(sabotage: Callable[[Patch], None], monkeypatch: Patch) -> None:
    sabotage(monkeypatch)
    quick = settings(
        max_examples=PROGRAMS,
        stateful_step_count=25,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    with pytest.raises(Mismatch):
        run_state_machine_as_test(WithoutTorch, settings=quick)
