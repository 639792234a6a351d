"""Where a right optimizer's steps go, and what they leave alone.

Every function is one property: `(spec, case, draw)`, with AssertionError where it does not hold.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np

import minigrad
from minigrad.backend import to_host
from minigrad.core.tensor import Tensor
from minigrad.testing import standin, strategies
from minigrad.testing.module_spec import tensor_on
from minigrad.testing.optimizer_running import Trial, assert_same, assert_same_bits, held_in, tensors_in
from minigrad.testing.optimizer_spec import OptimizerCase, OptimizerSpec
from minigrad.testing.running import on_host
from minigrad.testing.strategies import Host
from minigrad.testing.trying import Draw

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


# ---- where it goes --------------------------------------------------------------------------------------------------


def follows_the_paper(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """After every step the parameters are where the paper's update puts them, in float64 and in float32."""
    assert spec.update is not None
    expected = [case.start(place) for place in range(len(case.shapes))]
    memories: list[dict[str, Any]] = [{} for _ in expected]
    counts = [0] * len(expected)
    settings = {**spec.optimizer([minigrad.ones(1)]).defaults, **case.settings}
    trials = {1e-4: Trial(spec, case, np.float32), spec.rtol: Trial(spec, case)}
    for t in range(len(case.steps)):
        for place, p in enumerate(expected):
            g = case.gradient(t, place)
            if g is None:
                continue
            counts[place] += 1
            more = {}
            if spec.rows == "only":
                more["rows"] = case.rows(t, place)
                g = _summed(case.rows(t, place), g)
            expected[place] = spec.update(p, g, memories[place], settings, counts[place], **more)
        for rtol, trial in trials.items():
            trial.step(t)
            assert_same(spec, trial.positions(), expected, f"after step {t + 1}, by the paper", rtol)


def _summed(rows: Host, gradient: Host) -> Host:
    """The gradient of a table some of whose rows were looked up, each as often as it says."""
    total = np.zeros_like(gradient)
    np.add.at(total, rows, gradient[rows])
    return total


def maximize_is_descent_on_the_negative(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """`maximize=True` takes the very steps that the negative gradients give without it."""
    up, down = Trial(spec, case, maximize=True), Trial(spec, case, maximize=False)
    for t in range(len(case.steps)):
        up.put_gradients(t)
        down.put_gradients(t, sign=-1.0)
        up.optimizer.step()
        down.optimizer.step()
        assert_same_bits(spec, up.positions(), down.positions(), f"maximized, after step {t + 1}")


def parameters_move_alone(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """Together, in groups with settings of their own, parameters go where each goes by itself."""
    own = [draw(spec.settings) for _ in case.shapes]

    def groups(parameters: list[Tensor]) -> list[Any]:
        return [{"params": [one], **settings} for one, settings in zip(parameters, own, strict=True)]

    together = Trial(spec, case, groups=groups).run()
    alone = [Trial(spec, case, places=[at], **settings).run()[0] for at, settings in enumerate(own)]
    assert_same_bits(spec, together, alone, "in a group and by itself")


def layout_does_not_matter(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """Parameters whose memory is transposed, strided, reversed or offset go the same way."""
    parameters = [
        tensor_on(strategies.relaid(case.start(at), draw(strategies.layouts())), "cpu", needs=True)
        for at in range(len(case.shapes))
    ]
    found = Trial(spec, case, parameters=parameters).run()
    assert_same(spec, found, Trial(spec, case).run(), "with another memory layout", 1e-11)


def keeps_the_dtype(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """Of float32 parameters, parameters and state stay float32."""
    trial = Trial(spec, case, np.float32)
    trial.run()
    for one in [*trial.parameters, *tensors_in(dict(trial.optimizer.state))]:
        assert one.dtype == np.float32, f"{spec.name}: a tensor of shape {tuple(one.shape)} became {one.dtype}"


def runs_on_another_device(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """On the stand-in device, which has CuPy's manners, the steps are equal, and nothing waits for the device."""
    standin.install()
    trial = Trial(spec, case, device="standin")
    with nullcontext() if spec.waits else standin.no_synchronisation():
        for t in range(len(case.steps)):
            trial.step(t)
    for one in [*trial.parameters, *tensors_in(dict(trial.optimizer.state))]:
        assert one.device.type == "standin", f"{spec.name}: a tensor of shape {tuple(one.shape)} left the device"
    assert_same(spec, trial.positions(), Trial(spec, case).run(), "on the stand-in device", 1e-9)


# ---- what it leaves alone -------------------------------------------------------------------------------------------


def writes_in_place(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """A step writes into the parameters' own memory, so that views see it, and counts as a write; gradients are only
    read, and no state shares memory with either."""
    trial = Trial(spec, case)
    arrays = [one._array for one in trial.parameters]
    views = [one.detach().reshape(-1) for one in trial.parameters]
    for t in range(len(case.steps)):
        versions = [one._version for one in trial.parameters]
        trial.step(t)
        for kind, one, version in zip(case.steps[t], trial.parameters, versions, strict=True):
            moved = kind != "missing" and not spec.closure  # at the bottom a line search stands still
            assert not moved or one._version > version, f"{spec.name}: a graph would not notice the step"
        for one, array, view in zip(trial.parameters, arrays, views, strict=True):
            assert one._array is array, f"{spec.name} gave a parameter other memory"
            assert one.is_leaf and one.requires_grad, f"{spec.name} left a graph"  # noqa: PT018
            np.testing.assert_array_equal(to_host(view._array), array.reshape(-1))
    held = [*arrays, *(one.grad._array for one in trial.parameters if isinstance(one.grad, Tensor))]
    for state in tensors_in(dict(trial.optimizer.state)):
        for array in held:
            assert not np.shares_memory(state._array, array), f"{spec.name}: a state shares memory with a parameter"


def gradients_are_only_read(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """A step leaves the gradients as they are, and their tensors where they are."""
    trial = Trial(spec, case)
    for t in range(len(case.steps)):
        trial.put_gradients(t)
        held = [one.grad for one in trial.parameters]
        before = [None if one is None else on_host(one).copy() for one in held]
        trial.optimizer.step()
        for parameter, gradient, values in zip(trial.parameters, held, before, strict=True):
            assert parameter.grad is gradient, f"{spec.name} replaced a gradient"
            if gradient is not None:
                np.testing.assert_array_equal(on_host(gradient), values, f"{spec.name} wrote to a gradient")


def without_gradient_nothing_moves(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """A parameter that has no gradient stays where it is, to the bit, and its state, too, or has none."""
    trial = Trial(spec, case)
    begun = held_in(trial.optimizer.state_dict()["state"])
    trial.run()
    positions, state = trial.positions(), held_in(trial.optimizer.state_dict()["state"])
    never = [all(kinds[place] == "missing" for kinds in case.steps) for place in range(len(case.shapes))]
    for place, unmoved in enumerate(never):
        if unmoved:
            np.testing.assert_array_equal(positions[place], case.start(place), f"{spec.name}: parameter {place} moved")
            same = state.get(place) == begun.get(place)
            assert spec.closure or same, f"{spec.name}: parameter {place} never moved, and its state has changed"
    if not spec.closure:
        trial.optimizer.zero_grad()
        trial.optimizer.step()
        assert_same_bits(spec, trial.positions(), positions, "in a step without any gradient")
        assert held_in(trial.optimizer.state_dict()["state"]) == state, (
            f"{spec.name}: its state changed without a gradient"
        )


def zero_grad_forgets(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """`zero_grad()` takes the gradients away; with `set_to_none=False` it fills dense ones with zeros, in place."""
    trial = Trial(spec, case)
    trial.put_gradients(0)
    held = [one.grad for one in trial.parameters]
    trial.optimizer.zero_grad(set_to_none=False)
    for one, gradient in zip(trial.parameters, held, strict=True):
        if isinstance(gradient, Tensor):
            assert one.grad is gradient, f"{spec.name}.zero_grad(set_to_none=False) replaced a gradient"
            assert not to_host(gradient._array).any()
    trial.optimizer.zero_grad()
    assert all(one.grad is None for one in trial.parameters)
