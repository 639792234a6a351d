"""Schedules: against closed forms and PyTorch, over drawn epochs; resumed ones go on where they stopped."""

from __future__ import annotations

import json
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


def wave(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


factors = st.sampled_from([0.1, 0.25, 1.0])


@given(
    milestones=st.lists(st.integers(0, 12), max_size=4),
    gamma=gammas,
    start=factors,
    end=st.sampled_from([0.0, 0.5, 1.0]),
    total=st.integers(1, 6),
    eta_min=st.sampled_from([0.0, 1e-3]),
    epochs=st.integers(1, 20),
)
def test_the_newer_schedules_are_their_closed_forms(
    milestones: list[int], gamma: float, start: float, end: float, total: int, eta_min: float, epochs: int
) -> None:
    def rates_at(base: float, e: int) -> list[float]:
        return [
            base * gamma ** sum(milestone <= e for milestone in milestones),
            base * (start if e < total else 1),
            base * (start + (end - start) * min(e, total) / total),
            wave(base, eta_min, e / total),
        ]

    makers: list[Callable[[Any], Any]] = [
        lambda optimizer: lr_scheduler.MultiStepLR(optimizer, milestones, gamma),
        lambda optimizer: lr_scheduler.ConstantLR(optimizer, start, total),
        lambda optimizer: lr_scheduler.LinearLR(optimizer, start, end, total),
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, total, eta_min),
    ]
    for place, make in enumerate(makers):
        for epoch, (first, second) in enumerate(run(make(optimizer_of(minigrad, optim)), epochs)):
            assert first == pytest.approx(rates_at(0.5, epoch)[place], rel=1e-9, abs=1e-15)
            assert second == pytest.approx(rates_at(0.01, epoch)[place], rel=1e-9, abs=1e-15)


@st.composite
def schedules(draw: Any, shortest: int = 0) -> tuple[str, dict[str, Any]]:
    """A schedule's name and settings."""
    total, gamma = draw(st.integers(1, 6)), draw(gammas)
    constant = {"factor": draw(factors), "total_iters": draw(st.integers(shortest, 6))}
    return draw(
        st.sampled_from(
            [
                ("StepLR", {"step_size": total, "gamma": gamma}),
                ("MultiStepLR", {"milestones": draw(st.lists(st.integers(0, 9), max_size=3)), "gamma": gamma}),
                ("ExponentialLR", {"gamma": gamma}),
                ("ConstantLR", constant),
                ("LinearLR", {"start_factor": draw(factors), "end_factor": 0.5, "total_iters": total}),
                ("CosineAnnealingLR", {"T_max": total, "eta_min": draw(st.sampled_from([0.0, 1e-3]))}),
            ]
        )
    )


def make_schedule(module: Any, optimizer: Any, drawn: tuple[str, dict[str, Any]]) -> Any:
    return getattr(module, drawn[0])(optimizer, **drawn[1])


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
def test_a_constant_of_no_epochs_is_pytorchs() -> None:
    found = []
    for library, optimizers in ((minigrad, optim), (torch(), torch().optim)):
        found.append(run(optimizers.lr_scheduler.ConstantLR(optimizer_of(library, optimizers), 0.5, 0), 3))
    assert found[0] == found[1]


@st.composite
def sequences(draw: Any) -> tuple[list[tuple[str, dict[str, Any]]], list[int]]:
    drawn = draw(st.lists(schedules(shortest=1), min_size=1, max_size=3))  # at 0, PyTorch's part is not its ConstantLR
    starts = draw(st.lists(st.integers(1, 8), min_size=len(drawn) - 1, max_size=len(drawn) - 1, unique=True))
    return drawn, sorted(starts)


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


@st.composite
def cycles(draw: Any) -> dict[str, Any]:
    total = draw(st.integers(2, 15))
    how_long = {"epochs": 2, "steps_per_epoch": total} if draw(st.booleans()) else {"total_steps": total}
    return {
        "max_lr": draw(st.sampled_from([1.0, [0.1, 2.0]])),
        **how_long,
        "pct_start": draw(st.sampled_from([0.3, 0.45, 0.0])),
        "anneal_strategy": draw(st.sampled_from(["cos", "linear"])),
        "base_momentum": draw(st.sampled_from([0.85, [0.5, 0.6]])),
        "max_momentum": 0.95,
        "div_factor": draw(st.sampled_from([25.0, 2.0])),
        "final_div_factor": draw(st.sampled_from([1e4, 10.0])),
        "three_phase": draw(st.booleans()),
        "cycle_momentum": draw(st.booleans()),
    }


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
@given(settings=cycles())
def test_one_cycle_is_pytorchs(name: str, settings: dict[str, Any]) -> None:
    steps = settings.get("total_steps") or 2 * settings["steps_per_epoch"]
    found = []
    for library, optimizers in ((minigrad, optim), (torch(), torch().optim)):
        leaves = [library.ones(1, requires_grad=True) for _ in range(2)]
        optimizer = getattr(optimizers, name)([{"params": [leaf]} for leaf in leaves], lr=0.1)
        scheduler = optimizers.lr_scheduler.OneCycleLR(optimizer, **settings)
        path = []
        for step in range(steps):
            groups = optimizer.param_groups
            path.append([[g["lr"], g["betas"][0] if "betas" in g else g["momentum"]] for g in groups])
            assert scheduler.get_last_lr() == rates(optimizer)
            optimizer.step()
            if step < steps - 1:
                scheduler.step()
        found.append(path)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10, atol=1e-15)


def test_one_cycle_peaks_at_its_share_and_ends_low() -> None:
    optimizer = optimizer_of(minigrad, optim)
    found = run(lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=20, pct_start=0.25), 20)
    assert [pair[0] for pair in found].index(1.0) == 4
    assert found[0][0] == pytest.approx(1 / 25)
    assert found[-1][0] == pytest.approx(1 / 25 / 1e4)
    assert optimizer.param_groups[0]["momentum"] == 0.95
    with pytest.raises(ValueError, match="this is step 21 of a cycle of 20"):
        run(lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=20), 22)


@given(sequence=sequences(), before=st.integers(0, 10), after=st.integers(0, 8))
def test_a_resumed_sequence_goes_on(sequence: tuple[list[Any], list[int]], before: int, after: int) -> None:
    def make() -> tuple[Any, Any]:
        optimizer = optimizer_of(minigrad, optim)
        parts = [make_schedule(lr_scheduler, optimizer, one) for one in sequence[0]]
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


EACH: dict[str, dict[str, Any]] = {
    "StepLR": {"step_size": 2}, "MultiStepLR": {"milestones": [2, 4, 4]}, "ExponentialLR": {"gamma": 0.5},
    "LambdaLR": {"lr_lambda": lambda e: 1 / (1 + e)}, "ConstantLR": {"total_iters": 3}, "LinearLR": {},
    "CosineAnnealingLR": {"T_max": 4}, "OneCycleLR": {"max_lr": 1.0, "total_steps": 30},
}  # fmt: skip


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
@pytest.mark.parametrize("name", [*EACH, "SequentialLR", "ReduceLROnPlateau"])
def test_a_schedule_goes_on_from_pytorchs_state(name: str, through_json: bool) -> None:
    """Three epochs there, then both state dicts over, then five more on either side."""

    def make(library: Any, optimizers: Any) -> Any:
        optimizer, module = optimizer_of(library, optimizers), optimizers.lr_scheduler
        if name == "SequentialLR":
            parts = [module.LambdaLR(optimizer, lambda e: 0.5**e), module.MultiStepLR(optimizer, [1, 3, 3])]
            return module.SequentialLR(optimizer, parts, [2])
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
    with pytest.raises(ValueError, match="step_size must be a whole number of at least 1, got 0"):
        lr_scheduler.StepLR(optimizer, 0)
    with pytest.raises(ValueError, match="for each of 2 groups, got 1"):
        lr_scheduler.LambdaLR(optimizer, [lambda e: 1.0])
    with pytest.raises(ValueError, match="ConstantLR: factor must be above 0 and at most 1, got 0"):
        lr_scheduler.ConstantLR(optimizer, 0)
    with pytest.raises(ValueError, match="ConstantLR: total_iters must be a whole number of at least 0, got -1"):
        lr_scheduler.ConstantLR(optimizer, total_iters=-1)
    with pytest.raises(ValueError, match="start_factor must be above 0"):
        lr_scheduler.LinearLR(optimizer, 0)
    with pytest.raises(ValueError, match="end_factor must be between 0 and 1"):
        lr_scheduler.LinearLR(optimizer, end_factor=2)
    with pytest.raises(ValueError, match=r"T_max must be a whole number of at least 1, got 1\.5"):
        lr_scheduler.CosineAnnealingLR(optimizer, 1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="OneCycleLR needs total_steps, or epochs and"):
        lr_scheduler.OneCycleLR(optimizer, 1.0, epochs=3)
    with pytest.raises(ValueError, match="pct_start must be between 0 and 1, got 2"):
        lr_scheduler.OneCycleLR(optimizer, 1.0, 10, pct_start=2)
    with pytest.raises(ValueError, match="'cos' or 'linear', got 'sine'"):
        lr_scheduler.OneCycleLR(optimizer, 1.0, 10, anneal_strategy="sine")
    with pytest.raises(ValueError, match="Rprop has neither momentum nor betas: give cycle_momentum=False"):
        lr_scheduler.OneCycleLR(optim.Rprop([minigrad.ones(1)]), 1.0, 10)
    with pytest.raises(ValueError, match="a max_lr for each of 2 groups, got 1"):
        lr_scheduler.OneCycleLR(optimizer, [1.0], 10)
    with pytest.raises(ValueError, match="schedule 0 is a ReduceLROnPlateau: step that one itself"):
        lr_scheduler.SequentialLR(optimizer, [lr_scheduler.ReduceLROnPlateau(optimizer)], [])  # type: ignore[list-item]
    other = lr_scheduler.ExponentialLR(optimizer_of(minigrad, optim), 0.5)
    with pytest.raises(ValueError, match="schedule 0 belongs to another optimizer"):
        lr_scheduler.SequentialLR(optimizer, [other], [])
    with pytest.raises(ValueError, match="got 1 schedules and 1 milestones"):
        lr_scheduler.SequentialLR(optimizer, [lr_scheduler.ExponentialLR(optimizer, 0.5)], [3])
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
