"""What is true of every right optimizer, each property written once, and `check_optimizer`, which tries them on yours.

    check_optimizer(MyOptimizer)                                                  # with its own settings
    check_optimizer(MyOptimizer, settings=settings, update=in_numpy, torch="SGD")

A property takes the spec, one case and a source of further draws, and raises AssertionError where it does not hold.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

import minigrad
from minigrad.backend import to_host
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor
from minigrad.optim.optimizer import Optimizer
from minigrad.testing import optimizer_torch, standin, strategies
from minigrad.testing.catalogue import Catalogue
from minigrad.testing.module_spec import tensor_on
from minigrad.testing.module_torch import installed
from minigrad.testing.optimizer_spec import OptimizerCase, OptimizerSpec, Trial
from minigrad.testing.report import Report
from minigrad.testing.strategies import Host
from minigrad.testing.trying import Draw, Property, simplest

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


def _assert_close(spec: OptimizerSpec, found: Sequence[Host], expected: Sequence[Host], what: str, rtol: float) -> None:
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.shape == other.shape, f"{spec.name}: parameter {place} became {one.shape}, {what}"
        scale = max(1.0, float(np.abs(other).max(initial=0)))
        np.testing.assert_allclose(one, other, rtol, rtol * scale, err_msg=f"{spec.name}: parameter {place}, {what}")


def _assert_bits(spec: OptimizerSpec, found: Sequence[Host], expected: Sequence[Host], what: str) -> None:
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_array_equal(one, other, f"{spec.name}: parameter {place}, {what}", strict=True)


def _tensors_in(value: Any) -> list[Tensor]:
    """The tensors anywhere in a state."""
    if isinstance(value, dict):
        return [one for part in value.values() for one in _tensors_in(part)]
    if isinstance(value, (list, tuple)):
        return [one for part in value for one in _tensors_in(part)]
    return [value] if isinstance(value, Tensor) else []


def _host(state: Any) -> Any:
    """A state with arrays of its own in the place of tensors, to be compared with later."""
    if isinstance(state, dict):
        return {name: _host(one) for name, one in state.items()}
    if isinstance(state, (list, tuple)):
        return [_host(one) for one in state]
    return to_host(state._array).tolist() if isinstance(state, Tensor) else state


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
            _assert_close(spec, trial.positions(), expected, f"after step {t + 1}, by the paper", rtol)


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
        _assert_bits(spec, up.positions(), down.positions(), f"maximized, after step {t + 1}")


def parameters_move_alone(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """Together, in groups with settings of their own, parameters go where each goes by itself."""
    own = [draw(spec.settings) for _ in case.shapes]

    def groups(parameters: list[Tensor]) -> list[Any]:
        return [{"params": [one], **settings} for one, settings in zip(parameters, own, strict=True)]

    together = Trial(spec, case, groups=groups).run()
    alone = [Trial(spec, case, places=[at], **settings).run()[0] for at, settings in enumerate(own)]
    _assert_bits(spec, together, alone, "in a group and by itself")


def layout_does_not_matter(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """Parameters whose memory is transposed, strided, reversed or offset go the same way."""
    parameters = [
        tensor_on(strategies.relaid(case.start(at), draw(strategies.layouts())), "cpu", needs=True)
        for at in range(len(case.shapes))
    ]
    found = Trial(spec, case, parameters=parameters).run()
    _assert_close(spec, found, Trial(spec, case).run(), "with another memory layout", 1e-11)


def keeps_the_dtype(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """Of float32 parameters, parameters and state stay float32."""
    trial = Trial(spec, case, np.float32)
    trial.run()
    for one in [*trial.parameters, *_tensors_in(dict(trial.optimizer.state))]:
        assert one.dtype == np.float32, f"{spec.name}: a tensor of shape {tuple(one.shape)} became {one.dtype}"


def runs_on_another_device(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """On the stand-in device, which has CuPy's manners, the steps are equal, and nothing waits for the device."""
    standin.install()
    trial = Trial(spec, case, device="standin")
    with nullcontext() if spec.waits else standin.no_synchronisation():
        for t in range(len(case.steps)):
            trial.step(t)
    for one in [*trial.parameters, *_tensors_in(dict(trial.optimizer.state))]:
        assert one.device.type == "standin", f"{spec.name}: a tensor of shape {tuple(one.shape)} left the device"
    _assert_close(spec, trial.positions(), Trial(spec, case).run(), "on the stand-in device", 1e-9)


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
    for state in _tensors_in(dict(trial.optimizer.state)):
        for array in held:
            assert not np.shares_memory(state._array, array), f"{spec.name}: a state shares memory with a parameter"


def gradients_are_only_read(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """A step leaves the gradients as they are, and their tensors where they are."""
    trial = Trial(spec, case)
    for t in range(len(case.steps)):
        trial.put_gradients(t)
        held = [one.grad for one in trial.parameters]
        before = [None if one is None else _values(one) for one in held]
        trial.optimizer.step()
        for parameter, gradient, values in zip(trial.parameters, held, before, strict=True):
            assert parameter.grad is gradient, f"{spec.name} replaced a gradient"
            if gradient is not None:
                np.testing.assert_array_equal(_values(gradient), values, f"{spec.name} wrote to a gradient")


def _values(gradient: Any) -> Host:
    return to_host((gradient.to_dense() if isinstance(gradient, Rows) else gradient)._array).copy()


def without_gradient_nothing_moves(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """A parameter that has no gradient stays where it is, to the bit, and its state, too, or has none."""
    trial = Trial(spec, case)
    begun = _host(trial.optimizer.state_dict()["state"])
    trial.run()
    positions, state = trial.positions(), _host(trial.optimizer.state_dict()["state"])
    never = [all(kinds[place] == "missing" for kinds in case.steps) for place in range(len(case.shapes))]
    for place, unmoved in enumerate(never):
        if unmoved:
            np.testing.assert_array_equal(positions[place], case.start(place), f"{spec.name}: parameter {place} moved")
            same = state.get(place) == begun.get(place)
            assert spec.closure or same, f"{spec.name}: parameter {place} never moved, and its state has changed"
    if not spec.closure:
        trial.optimizer.zero_grad()
        trial.optimizer.step()
        _assert_bits(spec, trial.positions(), positions, "in a step without any gradient")
        assert _host(trial.optimizer.state_dict()["state"]) == state, (
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


# ---- closures, states, refusals -------------------------------------------------------------------------------------


def returns_the_closures_loss(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """`step(closure)` calls the closure with gradients switched on, and returns its first loss; `step()` None."""
    trial, losses = Trial(spec, case), []

    def closure() -> Tensor:
        assert minigrad.is_grad_enabled(), f"{spec.name} calls the closure without gradients"
        loss = trial.loss(0) if spec.closure else minigrad.ones(1)
        losses.append(float(loss.item()))
        return loss

    with minigrad.no_grad():
        returned = trial.optimizer.step(closure)
    assert float(returned) == losses[0], f"{spec.name}.step returns {returned}, the first loss was {losses[0]}"
    if not spec.closure:
        assert len(losses) == 1
        assert trial.optimizer.step() is None


def state_dict_round_trips(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """Interrupted and continued by another optimizer from the state dict, the steps are the same to the bit."""
    middle = len(case.steps) // 2
    whole, first = Trial(spec, case), Trial(spec, case)
    expected = whole.run()
    first.run(last=middle)
    state = first.optimizer.state_dict()
    parameters = [one.detach().clone().requires_grad_() for one in first.parameters]
    second = Trial(spec, OptimizerCase({}, case.shapes, case.steps, case.seed), parameters=parameters)
    second.optimizer.load_state_dict(state)
    _assert_bits(spec, second.run(middle), expected, f"continued after step {middle} by another optimizer")
    _assert_bits(spec, first.run(middle), expected, "continued after another was loaded from its state")
    assert _host(second.optimizer.state_dict()) == _host(whole.optimizer.state_dict()), f"{spec.name}: another state"


def takes_sparse_gradients(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """Sparse gradients give the steps of the dense ones, or are refused before anything moves."""
    shaped = OptimizerCase(case.settings, ((3, 2),), (("values",),) * 3, case.seed)
    sparse, dense = Trial(spec, shaped), Trial(spec, shaped)
    refused = spec.rows == "refused" or bool(sparse.optimizer.param_groups[0].get("weight_decay"))
    for t in range(len(shaped.steps)):
        for trial, kind in ((sparse, True), (dense, False)):
            trial.optimizer.zero_grad()
            trial.look_up(trial.parameters[0], t, 0, sparse=kind)
        if refused:
            _assert_refused(spec, sparse, "a sparse gradient")
            return
        sparse.optimizer.step()
        dense.optimizer.step()
        _assert_close(spec, sparse.positions(), dense.positions(), "with a sparse gradient and a dense one", 1e-11)


def refuses_dense_gradients(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """What takes sparse gradients alone refuses a dense one before anything moves."""
    trial = Trial(spec, case)
    for one in trial.parameters:
        one.grad = minigrad.ones_like(one)
    _assert_refused(spec, trial, "a dense gradient")


def _assert_refused(spec: OptimizerSpec, trial: Trial, what: str) -> None:
    before, state = trial.positions(), _host(trial.optimizer.state_dict())
    try:
        trial.optimizer.step()
    except RuntimeError:
        _assert_bits(spec, trial.positions(), before, f"after {what} was refused")
        assert _host(trial.optimizer.state_dict()) == state, f"{spec.name} refused {what}, and its state has changed"
        return
    raise AssertionError(f"{spec.name} takes {what}, and its spec says that it does not")


def refuses_settings_out_of_range(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """A learning rate that is negative or no number, and no parameters at all, are refused when it is built."""
    parameter = minigrad.ones(1, requires_grad=True)
    for given, settings in ([parameter], {"lr": -0.1}), ([parameter], {"lr": "fast"}), ([], {}), (parameter, {}):
        try:
            spec.optimizer(given, **{**case.settings, **settings})
        except (TypeError, ValueError):
            continue
        raise AssertionError(f"{spec.name}({given!r}, {settings}) is taken")


# ---- the catalogue --------------------------------------------------------------------------------------------------


def _by_gradients(spec: OptimizerSpec) -> bool:
    return not spec.closure


def _has_maximize(spec: OptimizerSpec) -> bool:
    return not spec.closure and "maximize" in inspect.signature(spec.optimizer).parameters


def _beside_pytorch(spec: OptimizerSpec) -> bool:
    return spec.torch is not None and installed()


def _takes_dense(spec: OptimizerSpec) -> bool:
    return not spec.closure and spec.rows in ("refused", "as dense")


SOME, FEW = 0.6, 0.3  # shares of the profile's examples, for what hardly depends on the numbers

# What a user can do about a property that did not run.
_NO_UPDATE = "no update= to compare with"
_NO_TORCH = "no torch= names the same in PyTorch, or PyTorch is not installed"
_NO_MAXIMIZE = "it has no setting maximize"
_NO_ROWS = "no rows= says what it does with sparse gradients"
_NO_REFUSALS = "refuses=True asks for it: a constructor that looks at its settings"

OPTIMIZER_PROPERTIES: Catalogue[OptimizerSpec] = Catalogue(
    "check_optimizer",
    OptimizerSpec,
    Property(follows_the_paper, lambda spec: spec.update is not None, otherwise=_NO_UPDATE),
    Property(optimizer_torch.equals_pytorch, _beside_pytorch, otherwise=_NO_TORCH),
    Property(maximize_is_descent_on_the_negative, _has_maximize, FEW, _NO_MAXIMIZE),
    Property(parameters_move_alone, _by_gradients, FEW),
    Property(layout_does_not_matter, share=FEW),
    Property(keeps_the_dtype, share=FEW),
    Property(runs_on_another_device, share=FEW),
    Property(writes_in_place, share=FEW),
    Property(gradients_are_only_read, _by_gradients, FEW),
    Property(without_gradient_nothing_moves, share=SOME),
    Property(zero_grad_forgets, _by_gradients, FEW),
    Property(returns_the_closures_loss, share=FEW),
    Property(state_dict_round_trips, share=SOME),
    Property(takes_sparse_gradients, _takes_dense, FEW, _NO_ROWS),
    Property(refuses_dense_gradients, lambda spec: spec.rows == "only", FEW),
    Property(refuses_settings_out_of_range, lambda spec: spec.refuses, FEW, _NO_REFUSALS),
)


def check_optimizer(
    optimizer: OptimizerSpec | Callable[..., Optimizer],
    *,
    only: str | None = None,
    case: OptimizerCase | None = None,
    draws: Sequence[Any] = (),
    **options: Any,
) -> Report:
    """Try every property on an optimizer. The first it lacks raises, with the smallest case of it, to be pasted.

        check_optimizer(MyOptimizer)
        check_optimizer(MyOptimizer, settings=settings, update=in_numpy, max_examples=50)

    Args:
        optimizer: the class, which is tried with its own settings if none are given; or a spec, which says all the rest
            itself.
        only: the name of the one property to try, as in the report.
        case: a given case instead of drawn ones: what a failing run prints, and good as a regression test.
        draws: what the property drew besides in that case.
        **options: further fields of `OptimizerSpec` (`settings=`, `update=`, `rows=`, ...), and hypothesis's settings
            (`max_examples=50`, ...; by default those of the loaded profile).

    Returns a Report: which properties hold, on how many examples, and what was left out.

    Raises AssertionError for a property that does not hold, and whatever the optimizer itself raises; TypeError if it
    is no optimizer's class or an option is unknown, LookupError for an unknown `only`.
    """
    chosen, given_settings = OPTIMIZER_PROPERTIES.sorted_out(options)
    spec = OPTIMIZER_PROPERTIES.spec_of(optimizer, Optimizer, chosen)
    built = spec.optimizer(
        [minigrad.ones(1, requires_grad=True)], **(simplest(spec.settings) if case is None else case.settings)
    )
    if not isinstance(built, Optimizer):
        raise TypeError(f"{spec.name} builds an object of {type(built).__name__}, which is no Optimizer")
    return OPTIMIZER_PROPERTIES.check(spec, only=only, case=case, draws=draws, **given_settings)
