"""What a right optimizer does besides: closures are called, its state is saved and loaded, what is wrong is refused.

Every function is one property: `(spec, case, draw)`, with AssertionError where it does not hold.
"""

from __future__ import annotations

import minigrad
from minigrad.core.tensor import Tensor
from minigrad.testing.optimizer_running import Trial, assert_same, assert_same_bits, held_in
from minigrad.testing.optimizer_spec import OptimizerCase, OptimizerSpec
from minigrad.testing.trying import Draw

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


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
    assert losses, f"{spec.name}.step(closure) does not call the closure: it computes the loss and the gradients"
    assert returned is not None, f"{spec.name}.step(closure) returns None: return the loss, which the closure gives"
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
    assert_same_bits(spec, second.run(middle), expected, f"continued after step {middle} by another optimizer")
    assert_same_bits(spec, first.run(middle), expected, "continued after another was loaded from its state")
    assert held_in(second.optimizer.state_dict()) == held_in(whole.optimizer.state_dict()), (
        f"{spec.name}: another state"
    )


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
        assert_same(spec, sparse.positions(), dense.positions(), "with a sparse gradient and a dense one", 1e-11)


def refuses_dense_gradients(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """What takes sparse gradients alone refuses a dense one before anything moves."""
    trial = Trial(spec, case)
    for one in trial.parameters:
        one.grad = minigrad.ones_like(one)
    _assert_refused(spec, trial, "a dense gradient")


def _assert_refused(spec: OptimizerSpec, trial: Trial, what: str) -> None:
    before, state = trial.positions(), held_in(trial.optimizer.state_dict())
    try:
        trial.optimizer.step()
    except RuntimeError:
        assert_same_bits(spec, trial.positions(), before, f"after {what} was refused")
        assert held_in(trial.optimizer.state_dict()) == state, f"{spec.name} refused {what}, and its state has changed"
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
