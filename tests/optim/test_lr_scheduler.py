"""Schedules: against closed forms and PyTorch, over drawn epochs; resumed ones go on where they stopped."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from nn.oracle import torch

import minigrad
from minigrad import optim
from minigrad.optim import lr_scheduler

gammas = st.sampled_from([0.1, 0.5, 0.9, 1.3])


def optimizer_of(library: Any, optimizers: Any) -> Any:
    """One with two groups of different rates."""
    first, second = (library.ones(1, requires_grad=True) for _ in range(2))
    return optimizers.SGD([{"params": [first], "lr": 0.5}, {"params": [second]}], lr=0.01)


def rates(optimizer: Any) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def run(scheduler: Any, epochs: int) -> list[list[float]]:
    """The groups' rates, epoch by epoch."""
    found = []
    for _ in range(epochs):
        found.append(rates(scheduler.optimizer))
        assert scheduler.get_last_lr() == found[-1]
        scheduler.optimizer.step()
        scheduler.step()
    return found


@given(step_size=st.integers(1, 4), gamma=gammas, epochs=st.integers(1, 12))
def test_schedules_are_their_closed_forms(step_size: int, gamma: float, epochs: int) -> None:
    def factors(e: int) -> list[float]:
        return [gamma ** (e // step_size), gamma**e, 1 / (1 + e)]

    makers: list[Callable[[Any], Any]] = [
        lambda optimizer: lr_scheduler.StepLR(optimizer, step_size, gamma),
        lambda optimizer: lr_scheduler.ExponentialLR(optimizer, gamma),
        lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda e: 1 / (1 + e)),
    ]
    for place, make in enumerate(makers):
        found = run(make(optimizer_of(minigrad, optim)), epochs)
        for epoch, (first, second) in enumerate(found):
            assert first == pytest.approx(0.5 * factors(epoch)[place])
            assert second == pytest.approx(0.01 * factors(epoch)[place])


@pytest.mark.oracle
@given(step_size=st.integers(1, 4), gamma=gammas, epochs=st.integers(1, 12))
def test_schedules_are_pytorchs(step_size: int, gamma: float, epochs: int) -> None:
    makers: list[Callable[[Any, Any], Any]] = [
        lambda module, optimizer: module.StepLR(optimizer, step_size, gamma),
        lambda module, optimizer: module.ExponentialLR(optimizer, gamma),
        lambda module, optimizer: module.LambdaLR(optimizer, [lambda e: gamma**e, lambda e: 1 / (e + 1)]),
    ]
    for make in makers:
        ours = run(make(lr_scheduler, optimizer_of(minigrad, optim)), epochs)
        theirs = run(make(torch().optim.lr_scheduler, optimizer_of(torch(), torch().optim)), epochs)
        assert ours == theirs


@st.composite
def plateaus(draw: Any) -> dict[str, Any]:
    return {
        "mode": draw(st.sampled_from(["min", "max"])),
        "factor": draw(st.sampled_from([0.1, 0.5])),
        "patience": draw(st.integers(0, 3)),
        "threshold": draw(st.sampled_from([1e-4, 0.1])),
        "threshold_mode": draw(st.sampled_from(["rel", "abs"])),
        "cooldown": draw(st.integers(0, 2)),
        "min_lr": draw(st.sampled_from([0, 1e-3, [0.2, 0.001]])),
        "eps": draw(st.sampled_from([1e-8, 0.02])),
    }


measures = st.lists(st.floats(-3, 3) | st.sampled_from([1.0, math.nan, math.inf]), min_size=1, max_size=20)


@pytest.mark.oracle
@given(settings=plateaus(), metrics=measures)
def test_reduce_on_plateau_is_pytorchs(settings: dict[str, Any], metrics: list[float]) -> None:
    ours = lr_scheduler.ReduceLROnPlateau(optimizer_of(minigrad, optim), **settings)
    theirs = torch().optim.lr_scheduler.ReduceLROnPlateau(optimizer_of(torch(), torch().optim), **settings)
    for metric in metrics:
        ours.step(metric)
        theirs.step(metric)
        assert ours.get_last_lr() == rates(theirs.optimizer)
        assert (ours.num_bad_epochs, ours.cooldown_counter) == (theirs.num_bad_epochs, theirs.cooldown_counter)


def test_reduce_on_plateau_waits_and_reduces() -> None:
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer_of(minigrad, optim), factor=0.5, patience=2, cooldown=1)
    found = []
    for metric in [1.0, 0.9, 0.9, 0.95, minigrad.tensor(1.0), 0.91, 0.91, 0.91, 0.91, 0.2]:
        scheduler.step(metric)
        found.append(rates(scheduler.optimizer)[0])
    assert found == [0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125, 0.125]


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


def test_a_lambdas_functions_are_not_in_its_state() -> None:
    scheduler = lr_scheduler.LambdaLR(optimizer_of(minigrad, optim), lambda e: 0.5**e)
    run(scheduler, 3)
    state = json.loads(json.dumps(scheduler.state_dict()))
    other = lr_scheduler.LambdaLR(optimizer_of(minigrad, optim), lambda e: 0.5**e)
    other.load_state_dict(state)
    other.optimizer.step()
    other.step()
    assert rates(other.optimizer)[0] == pytest.approx(0.5**5)


def test_mistakes_are_explained() -> None:
    optimizer = optimizer_of(minigrad, optim)
    with pytest.raises(TypeError, match="StepLR takes an optimizer, got list"):
        lr_scheduler.StepLR([], 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ReduceLROnPlateau takes an optimizer"):
        lr_scheduler.ReduceLROnPlateau(None)  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="'initial_lr'"):
        lr_scheduler.StepLR(optimizer, 1, last_epoch=3)
    with pytest.raises(ValueError, match="step_size must be at least 1"):
        lr_scheduler.StepLR(optimizer, 0)
    with pytest.raises(ValueError, match="for each of 2 groups, got 1"):
        lr_scheduler.LambdaLR(optimizer, [lambda e: 1.0])
    with pytest.raises(ValueError, match="factor must be below 1"):
        lr_scheduler.ReduceLROnPlateau(optimizer, factor=1.0)
    with pytest.raises(ValueError, match="got 'down' and 'rel'"):
        lr_scheduler.ReduceLROnPlateau(optimizer, "down")
    with pytest.raises(ValueError, match="a min_lr for each of 2 groups, got 1"):
        lr_scheduler.ReduceLROnPlateau(optimizer, min_lr=[0.1])


def test_a_scheduler_before_its_optimizer_is_warned_about() -> None:
    scheduler = lr_scheduler.ExponentialLR(optimizer_of(minigrad, optim), 0.5)
    with pytest.warns(UserWarning, match=r"before the first optimizer.step\(\)") as caught:
        scheduler.step()
    assert caught[0].filename == __file__
