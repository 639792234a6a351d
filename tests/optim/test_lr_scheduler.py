"""Schedules of the epoch or of a measure: against closed forms and PyTorch, over drawn epochs, alone and together."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from nn.oracle import torch

import minigrad
from minigrad import optim
from minigrad.optim import lr_scheduler
from optim.schedules import (
    factors,
    gammas,
    make_schedule,
    measures,
    optimizer_of,
    plateaus,
    rates,
    run,
    schedules,
    sequences,
)


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


def wave(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


@given(
    milestones=st.lists(st.integers(0, 12), max_size=4),
    gamma=gammas,
    start=factors,
    end=st.sampled_from([0.0, 0.5, 1.0]),
    total=st.integers(1, 6),
    eta_min=st.sampled_from([0.0, 1e-3]),
    power=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    epochs=st.integers(1, 20),
)
def test_the_newer_schedules_are_their_closed_forms(
    milestones: list[int], gamma: float, start: float, end: float, total: int, eta_min: float, power: float, epochs: int
) -> None:
    def rates_at(base: float, e: int) -> list[float]:
        return [
            base * gamma ** sum(milestone <= e for milestone in milestones),
            base * (start if e < total else 1),
            base * (start + (end - start) * min(e, total) / total),
            wave(base, eta_min, e / total),
            base * (1 - min(e, total) / total) ** power,
            base * gamma ** sum(range(2, e + 2)),
            wave(base, eta_min, e % total / total),
        ]

    makers: list[Callable[[Any], Any]] = [
        lambda optimizer: lr_scheduler.MultiStepLR(optimizer, milestones, gamma),
        lambda optimizer: lr_scheduler.ConstantLR(optimizer, start, total),
        lambda optimizer: lr_scheduler.LinearLR(optimizer, start, end, total),
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, total, eta_min),
        lambda optimizer: lr_scheduler.PolynomialLR(optimizer, total, power),
        lambda optimizer: lr_scheduler.MultiplicativeLR(optimizer, lambda e: gamma ** (e + 1)),
        lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, total, eta_min=eta_min),
    ]
    for place, make in enumerate(makers):
        for epoch, (first, second) in enumerate(run(make(optimizer_of(minigrad, optim)), epochs)):
            assert first == pytest.approx(rates_at(0.5, epoch)[place], rel=1e-9, abs=1e-15)
            assert second == pytest.approx(rates_at(0.01, epoch)[place], rel=1e-9, abs=1e-15)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["ConstantLR", "LinearLR", "PolynomialLR"])
def test_a_schedule_of_no_epochs_is_pytorchs(name: str) -> None:
    found = []
    for library, optimizers in ((minigrad, optim), (torch(), torch().optim)):
        schedule = getattr(optimizers.lr_scheduler, name)
        found.append(run(schedule(optimizer_of(library, optimizers), total_iters=0), 3))
    assert found[0] == found[1]


def test_mistakes_are_explained() -> None:
    optimizer = optimizer_of(minigrad, optim)
    with pytest.raises(TypeError, match="StepLR takes an optimizer, got list"):
        lr_scheduler.StepLR([], 1)  # type: ignore[arg-type]
    for name in ("LambdaLR", "MultiplicativeLR", "OneCycleLR"):
        with pytest.raises(TypeError, match=f"{name} takes an optimizer, got list"):
            getattr(lr_scheduler, name)([], 1)
    with pytest.raises(TypeError, match="CyclicLR takes an optimizer, got list"):
        lr_scheduler.CyclicLR([], 0.1, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ReduceLROnPlateau takes an optimizer"):
        lr_scheduler.ReduceLROnPlateau(None)  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="'initial_lr'"):
        lr_scheduler.StepLR(optimizer, 1, last_epoch=3)
    with pytest.raises(ValueError, match="step_size must be a whole number of at least 1, got 0"):
        lr_scheduler.StepLR(optimizer, 0)
    with pytest.raises(ValueError, match="for each of 2 groups, got 1"):
        lr_scheduler.LambdaLR(optimizer, [lambda e: 1.0])
    with pytest.raises(ValueError, match="ConstantLR: factor must be above 0 and at most 1, got 0"):
        lr_scheduler.ConstantLR(optimizer, 0)
    with pytest.raises(ValueError, match="ConstantLR: total_iters must be a whole number of at least 0, got -1"):
        lr_scheduler.ConstantLR(optimizer, total_iters=-1)
    with pytest.raises(ValueError, match="LinearLR: total_iters must be a whole number of at least 0, got -1"):
        lr_scheduler.LinearLR(optimizer, total_iters=-1)
    with pytest.raises(ValueError, match="PolynomialLR: power must be at least 0, got -1"):
        lr_scheduler.PolynomialLR(optimizer, power=-1)
    with pytest.raises(ValueError, match="MultiplicativeLR needs a function for each of 2 groups, got 1"):
        lr_scheduler.MultiplicativeLR(optimizer, [lambda e: 1.0])
    with pytest.raises(ValueError, match="start_factor must be above 0"):
        lr_scheduler.LinearLR(optimizer, 0)
    with pytest.raises(ValueError, match="end_factor must be between 0 and 1"):
        lr_scheduler.LinearLR(optimizer, end_factor=2)
    with pytest.raises(ValueError, match=r"T_max must be a whole number of at least 1, got 1\.5"):
        lr_scheduler.CosineAnnealingLR(optimizer, 1.5)  # type: ignore[arg-type]


def test_a_scheduler_before_its_optimizer_is_warned_about() -> None:
    scheduler = lr_scheduler.ExponentialLR(optimizer_of(minigrad, optim), 0.5)
    with pytest.warns(UserWarning, match=r"before the first optimizer.step\(\)") as caught:
        scheduler.step()
    assert caught[0].filename == __file__


# ---- several on one optimizer --------------------------------------------------------------------------------------


@pytest.mark.oracle
@given(drawn=st.lists(schedules(), min_size=1, max_size=3), epochs=st.integers(1, 20))
def test_schedules_on_one_optimizer_are_pytorchs(drawn: list[tuple[str, dict[str, Any]]], epochs: int) -> None:
    found = []
    for library, optimizers in ((minigrad, optim), (torch(), torch().optim)):
        optimizer = optimizer_of(library, optimizers)
        schedulers = [make_schedule(optimizers.lr_scheduler, optimizer, one) for one in drawn]
        path = []
        for _ in range(epochs):
            path.append(rates(optimizer))
            optimizer.step()
            for scheduler in schedulers:
                scheduler.step()
        found.append(path)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10, atol=1e-15)


@pytest.mark.oracle
@given(sequence=sequences(), epochs=st.integers(1, 16))
def test_a_sequence_is_pytorchs(sequence: tuple[list[Any], list[int]], epochs: int) -> None:
    drawn, milestones = sequence
    found = []
    for library, optimizers in ((minigrad, optim), (torch(), torch().optim)):
        optimizer, module = optimizer_of(library, optimizers), optimizers.lr_scheduler
        parts = [make_schedule(module, optimizer, one) for one in drawn]
        found.append(run(module.SequentialLR(optimizer, parts, milestones), epochs))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10, atol=1e-15)


def test_a_sequence_may_hold_a_sequence() -> None:
    optimizer = optimizer_of(minigrad, optim)
    inner = lr_scheduler.SequentialLR(
        optimizer, [lr_scheduler.ConstantLR(optimizer, 0.5, 9), lr_scheduler.ExponentialLR(optimizer, 0.1)], [2]
    )
    outer = lr_scheduler.SequentialLR(optimizer, [lr_scheduler.LinearLR(optimizer, 0.2, 1, 2), inner], [3])
    first = [pair[0] for pair in run(outer, 8)]
    assert first == pytest.approx([0.1, 0.3, 0.5, 0.25, 0.25, 0.5, 0.05, 0.005])


@pytest.mark.oracle
@given(drawn=st.lists(schedules(), min_size=1, max_size=3), epochs=st.integers(1, 16))
def test_a_chain_is_pytorchs(drawn: list[tuple[str, dict[str, Any]]], epochs: int) -> None:
    found = []
    for library, optimizers in ((minigrad, optim), (torch(), torch().optim)):
        optimizer, module = optimizer_of(library, optimizers), optimizers.lr_scheduler
        parts = [make_schedule(module, optimizer, one) for one in drawn]
        found.append(run(module.ChainedScheduler(parts), epochs))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10, atol=1e-15)


def test_a_sequence_may_hold_a_chain_and_a_chain_a_sequence() -> None:
    optimizer = optimizer_of(minigrad, optim)
    chain = lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(optimizer, 0.5, 2), lr_scheduler.ExponentialLR(optimizer, 0.1)], optimizer
    )
    sequence = lr_scheduler.SequentialLR(optimizer, [lr_scheduler.LinearLR(optimizer, 0.2, 1, 2), chain], [3])
    outer = lr_scheduler.ChainedScheduler([sequence])
    first = [pair[0] for pair in run(outer, 7)]
    assert first == pytest.approx([0.1, 0.3, 0.5, 0.25, 0.025, 0.005, 0.0005])


def test_mistakes_with_several_schedules_are_explained() -> None:
    optimizer = optimizer_of(minigrad, optim)
    with pytest.raises(ValueError, match="schedule 0 is a ReduceLROnPlateau: step that one itself"):
        lr_scheduler.SequentialLR(optimizer, [lr_scheduler.ReduceLROnPlateau(optimizer)], [])  # type: ignore[list-item]
    other = lr_scheduler.ExponentialLR(optimizer_of(minigrad, optim), 0.5)
    with pytest.raises(ValueError, match="schedule 0 belongs to another optimizer"):
        lr_scheduler.SequentialLR(optimizer, [other], [])
    with pytest.raises(ValueError, match="got 1 schedules and 1 milestones"):
        lr_scheduler.SequentialLR(optimizer, [lr_scheduler.ExponentialLR(optimizer, 0.5)], [3])
    with pytest.raises(ValueError, match="ChainedScheduler: schedule 1 belongs to another optimizer"):
        lr_scheduler.ChainedScheduler([lr_scheduler.ExponentialLR(optimizer, 0.5), other])
    with pytest.raises(
        ValueError, match="ChainedScheduler steps schedules of the epoch alone, and schedule 0 is a int"
    ):
        lr_scheduler.ChainedScheduler([3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="ChainedScheduler got no schedules: give it at least one"):
        lr_scheduler.ChainedScheduler([])


# ---- of a measure --------------------------------------------------------------------------------------------------


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


def test_mistakes_with_a_measure_are_explained() -> None:
    optimizer = optimizer_of(minigrad, optim)
    with pytest.raises(ValueError, match="factor must be below 1"):
        lr_scheduler.ReduceLROnPlateau(optimizer, factor=1.0)
    with pytest.raises(ValueError, match="got 'down' and 'rel'"):
        lr_scheduler.ReduceLROnPlateau(optimizer, "down")
    with pytest.raises(ValueError, match="a min_lr for each of 2 groups, got 1"):
        lr_scheduler.ReduceLROnPlateau(optimizer, min_lr=[0.1])
