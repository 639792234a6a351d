"""State dicts of schedules: resumed ones go on where they stopped, from PyTorch's states too."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from nn.oracle import torch

import minigrad
from minigrad import optim
from minigrad.optim import lr_scheduler
from optim.schedules import make_schedule, measures, optimizer_of, plateaus, rates, run, sequences

EACH: dict[str, dict[str, Any]] = {
    "StepLR": {"step_size": 2}, "MultiStepLR": {"milestones": [2, 4, 4]}, "ExponentialLR": {"gamma": 0.5},
    "LambdaLR": {"lr_lambda": lambda e: 1 / (1 + e)}, "ConstantLR": {"total_iters": 3}, "LinearLR": {},
    "MultiplicativeLR": {"lr_lambda": lambda e: 1 / (1 + e)}, "PolynomialLR": {"power": 2.0},
    "CosineAnnealingLR": {"T_max": 4}, "CosineAnnealingWarmRestarts": {"T_0": 3},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 0.4, "step_size_up": 3, "mode": "exp_range", "gamma": 0.9},
    "OneCycleLR": {"max_lr": 1.0, "total_steps": 30},
}  # fmt: skip


@pytest.mark.parametrize("chained", [False, True])
@given(sequence=sequences(), before=st.integers(0, 10), after=st.integers(0, 8))
def test_a_resumed_sequence_or_chain_goes_on(
    chained: bool, sequence: tuple[list[Any], list[int]], before: int, after: int
) -> None:
    def make() -> tuple[Any, Any]:
        optimizer = optimizer_of(minigrad, optim)
        parts = [make_schedule(lr_scheduler, optimizer, one) for one in sequence[0]]
        if chained:
            return optimizer, lr_scheduler.ChainedScheduler(parts)
        return optimizer, lr_scheduler.SequentialLR(optimizer, parts, sequence[1])

    one, scheduler = make()
    run(scheduler, before)
    saved = json.loads(json.dumps([one.state_dict(), scheduler.state_dict()]))
    other, again = make()
    again.load_state_dict(saved[1])
    other.load_state_dict(saved[0])
    assert again.get_last_lr() == rates(one)
    run(scheduler, after)
    run(again, after)
    assert rates(one) == rates(other)


@pytest.mark.oracle
@pytest.mark.parametrize("name", EACH)
@given(epoch=st.integers(1, 6), more=st.integers(0, 4))
def test_one_begun_at_a_later_epoch_takes_the_rates_as_they_are(name: str, epoch: int, more: int) -> None:
    settings, found = EACH[name], []
    for library, optimizers in ((minigrad, optim), (torch(), torch().optim)):
        optimizer = optimizer_of(library, optimizers)
        getattr(optimizers.lr_scheduler, name)(optimizer, **settings)
        optimizer.step()
        later = getattr(optimizers.lr_scheduler, name)(optimizer, **settings, last_epoch=epoch - 1)
        run(later, more)
        found.append([rates(optimizer), later.last_epoch])
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-10)
    assert found[0][1] == found[1][1]


@pytest.mark.oracle
@pytest.mark.parametrize("through_json", [True, False])
@pytest.mark.parametrize("name", [*EACH, "SequentialLR", "ChainedScheduler", "ReduceLROnPlateau"])
def test_a_schedule_goes_on_from_pytorchs_state(name: str, through_json: bool) -> None:
    """Three epochs there, then both state dicts over, then five more on either side."""

    def make(library: Any, optimizers: Any) -> Any:
        optimizer, module = optimizer_of(library, optimizers), optimizers.lr_scheduler
        if name in ("SequentialLR", "ChainedScheduler"):
            parts = [module.LambdaLR(optimizer, lambda e: 0.5**e), module.MultiStepLR(optimizer, [1, 3, 3])]
            return module.ChainedScheduler(parts) if name[0] == "C" else module.SequentialLR(optimizer, parts, [2])
        return getattr(module, name)(optimizer, **EACH.get(name, {"patience": 1}))

    def advance(scheduler: Any, epochs: int) -> None:
        for _ in range(epochs):
            scheduler.optimizer.step()
            scheduler.step(*([1.0] if name == "ReduceLROnPlateau" else []))

    theirs, ours = make(torch(), torch().optim), make(minigrad, optim)
    advance(theirs, 3)
    saved = [theirs.optimizer.state_dict(), theirs.state_dict()]
    if through_json and name != "OneCycleLR":  # PyTorch's holds a function
        saved = json.loads(json.dumps(saved))
    ours.optimizer.load_state_dict(saved[0])
    ours.load_state_dict(saved[1])
    advance(theirs, 5)
    advance(ours, 5)
    np.testing.assert_allclose(rates(ours.optimizer), rates(theirs.optimizer), rtol=1e-10)


@given(settings=plateaus(), before=measures, after=measures)
def test_a_resumed_schedule_goes_on(settings: dict[str, Any], before: list[float], after: list[float]) -> None:
    def both(optimizer: Any) -> list[Any]:
        return [lr_scheduler.StepLR(optimizer, 2, 0.7), lr_scheduler.ReduceLROnPlateau(optimizer, **settings)]

    def advance(schedulers: list[Any], metrics: list[float]) -> None:
        for metric in metrics:
            schedulers[0].optimizer.step()
            schedulers[0].step()
            schedulers[1].step(metric)

    one = optimizer_of(minigrad, optim)
    schedulers = both(one)
    advance(schedulers, before)
    saved = json.loads(json.dumps([one.state_dict(), *(scheduler.state_dict() for scheduler in schedulers)]))
    other = optimizer_of(minigrad, optim)
    resumed = both(other)
    other.load_state_dict(saved[0])
    for scheduler, state in zip(resumed, saved[1:], strict=True):
        scheduler.load_state_dict(state)
    advance(schedulers, after)
    advance(resumed, after)
    assert rates(one) == rates(other)
    assert resumed[0].get_last_lr() == rates(other) or after


@pytest.mark.parametrize(("name", "expected"), [("LambdaLR", 0.5**5), ("MultiplicativeLR", 0.5**11)])
def test_a_lambdas_functions_are_not_in_its_state(name: str, expected: float) -> None:
    scheduler = getattr(lr_scheduler, name)(optimizer_of(minigrad, optim), lambda e: 0.5**e)
    run(scheduler, 3)
    saved = json.loads(json.dumps([scheduler.optimizer.state_dict(), scheduler.state_dict()]))
    other = getattr(lr_scheduler, name)(optimizer_of(minigrad, optim), lambda e: 0.5**e)
    other.optimizer.load_state_dict(saved[0])
    other.load_state_dict(saved[1])
    other.optimizer.step()
    other.step()
    assert rates(other.optimizer)[0] == pytest.approx(expected)
