"""Schedules that go round: one cycle, many cycles, and the cosine's waves, against PyTorch and by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from nn.oracle import torch

import minigrad
from minigrad import optim
from minigrad.optim import lr_scheduler
from optim.schedules import optimizer_of, rates, run


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


def paths(name: str, schedule: str, settings: dict[str, Any], steps: int) -> list[list[list[list[float]]]]:
    """Rate and momentum of each of two groups at each step, here and in PyTorch."""
    found = []
    for library, optimizers in ((minigrad, optim), (torch(), torch().optim)):
        leaves = [library.ones(1, requires_grad=True) for _ in range(2)]
        optimizer = getattr(optimizers, name)([{"params": [leaf]} for leaf in leaves], lr=0.1)
        scheduler = getattr(optimizers.lr_scheduler, schedule)(optimizer, **settings)
        path = []
        for step in range(steps):
            groups = optimizer.param_groups
            path.append([[g["lr"], g["betas"][0] if "betas" in g else g["momentum"]] for g in groups])
            assert scheduler.get_last_lr() == rates(optimizer)
            optimizer.step()
            if step < steps - 1:
                scheduler.step()
        found.append(path)
    return found


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
@given(settings=cycles())
def test_one_cycle_is_pytorchs(name: str, settings: dict[str, Any]) -> None:
    steps = settings.get("total_steps") or 2 * settings["steps_per_epoch"]
    ours, theirs = paths(name, "OneCycleLR", settings, steps)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-15)


def test_one_cycle_peaks_at_its_share_and_ends_low() -> None:
    optimizer = optimizer_of(minigrad, optim)
    found = run(lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=20, pct_start=0.25), 20)
    assert [pair[0] for pair in found].index(1.0) == 4
    assert found[0][0] == pytest.approx(1 / 25)
    assert found[-1][0] == pytest.approx(1 / 25 / 1e4)
    assert optimizer.param_groups[0]["momentum"] == 0.95
    with pytest.raises(ValueError, match="this is step 21 of a cycle of 20"):
        run(lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=20), 22)


@st.composite
def swings(draw: Any) -> dict[str, Any]:
    """Settings of a CyclicLR."""
    return {
        "base_lr": draw(st.sampled_from([0.01, [0.1, 0.0]])),
        "max_lr": draw(st.sampled_from([1.0, [0.2, 2.0]])),
        "step_size_up": draw(st.integers(1, 6)),
        "step_size_down": draw(st.none() | st.integers(0, 6)),
        "mode": draw(st.sampled_from(["triangular", "triangular2", "exp_range"])),
        "gamma": draw(st.sampled_from([1.0, 0.9])),
        "scale_fn": draw(st.sampled_from([None, lambda x: 1 / (2 + x)])),
        "scale_mode": draw(st.sampled_from(["cycle", "iterations"])),
        "cycle_momentum": draw(st.booleans()),
        "base_momentum": draw(st.sampled_from([0.8, [0.5, 0.6]])),
        "max_momentum": draw(st.sampled_from([0.9, [0.7, 0.95]])),
    }


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
@given(settings=swings(), steps=st.integers(1, 30))
def test_cycles_are_pytorchs(name: str, settings: dict[str, Any], steps: int) -> None:
    ours, theirs = paths(name, "CyclicLR", settings, steps)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-15)


def test_cycles_go_straight_up_and_down_and_shrink() -> None:
    optimizer = optimizer_of(minigrad, optim)
    scheduler = lr_scheduler.CyclicLR(optimizer, 1.0, 5.0, 2, 4, "triangular2", base_momentum=0.5, max_momentum=0.9)
    found = [pair[0] for pair in run(scheduler, 9)]
    assert found == pytest.approx([1, 3, 5, 4, 3, 2, 1, 2, 3])
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.75)  # a quarter of the half way down from 0.9


@given(settings=swings(), before=st.integers(0, 9), after=st.integers(1, 9))
def test_resumed_cycles_go_on(settings: dict[str, Any], before: int, after: int) -> None:
    one = lr_scheduler.CyclicLR(optimizer_of(minigrad, optim), **settings)
    run(one, before)
    saved = json.loads(json.dumps([one.optimizer.state_dict(), one.state_dict()]))
    # What a state dict holds must not be taken from these.
    others = {
        "max_lr": 7.0,
        "base_lr": 3.0,
        "step_size_up": 11,
        "base_momentum": 0.1,
        "max_momentum": 0.2,
        "gamma": 0.3,
    }
    other = lr_scheduler.CyclicLR(optimizer_of(minigrad, optim), **settings | others)
    other.optimizer.load_state_dict(saved[0])
    other.load_state_dict(saved[1])
    assert run(one, after) == run(other, after)
    for group, copied in zip(one.optimizer.param_groups, other.optimizer.param_groups, strict=True):
        assert (group["lr"], group["momentum"]) == (copied["lr"], copied["momentum"])


# ---- warm restarts --------------------------------------------------------------------------------------------------

waves = st.fixed_dictionaries(
    {"T_0": st.integers(1, 4), "T_mult": st.integers(1, 3), "eta_min": st.sampled_from([0.0, 1e-3])}
)
quarters = st.integers(0, 48).map(lambda quarter: quarter / 4)


@pytest.mark.oracle
@given(settings=waves, epochs=st.lists(st.none() | quarters, max_size=20))
def test_warm_restarts_are_pytorchs(settings: dict[str, Any], epochs: list[float | None]) -> None:
    """At the next epoch again and again, and at fractions of epochs in any order."""
    schedulers = [
        optimizers.lr_scheduler.CosineAnnealingWarmRestarts(optimizer_of(library, optimizers), **settings)
        for library, optimizers in ((minigrad, optim), (torch(), torch().optim))
    ]
    for epoch in epochs:
        for scheduler in schedulers:
            scheduler.optimizer.step()
            scheduler.step(epoch)
            assert scheduler.get_last_lr() == rates(scheduler.optimizer)
        ours, theirs = schedulers
        np.testing.assert_allclose(rates(ours.optimizer), rates(theirs.optimizer), rtol=1e-10, atol=1e-15)
        assert (ours.last_epoch, ours.T_cur, ours.T_i) == (theirs.last_epoch, theirs.T_cur, theirs.T_i)


@given(settings=waves, epoch=st.integers(0, 30), more=st.integers(1, 12))
def test_warm_restarts_begun_at_a_later_epoch_are_in_its_wave(settings: dict[str, Any], epoch: int, more: int) -> None:
    one = lr_scheduler.CosineAnnealingWarmRestarts(optimizer_of(minigrad, optim), **settings)
    run(one, epoch + 1)
    later = lr_scheduler.CosineAnnealingWarmRestarts(one.optimizer, **settings, last_epoch=epoch)
    other = lr_scheduler.CosineAnnealingWarmRestarts(optimizer_of(minigrad, optim), **settings)
    run(other, epoch + 1)
    assert (later.last_epoch, later.T_cur, later.T_i) == (other.last_epoch, other.T_cur, other.T_i)
    assert run(later, more) == run(other, more)


def test_each_wave_is_a_multiple_of_the_one_before() -> None:
    scheduler = lr_scheduler.CosineAnnealingWarmRestarts(optimizer_of(minigrad, optim), 1, 2)
    found = [pair[0] for pair in run(scheduler, 16)]
    assert [epoch for epoch, rate in enumerate(found) if rate == 0.5] == [0, 1, 3, 7, 15]


def test_mistakes_are_explained() -> None:
    optimizer = optimizer_of(minigrad, optim)
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
    with pytest.raises(ValueError, match=r"mode is one of triangular, .* got 'square' and 'cycle'"):
        lr_scheduler.CyclicLR(optimizer, 0.1, 1.0, mode="square")
    with pytest.raises(ValueError, match="scale_mode is 'cycle' or 'iterations', got 'triangular' and 'epoch'"):
        lr_scheduler.CyclicLR(optimizer, 0.1, 1.0, scale_mode="epoch")
    with pytest.raises(ValueError, match="step_size_up must be a whole number of at least 1, got 0"):
        lr_scheduler.CyclicLR(optimizer, 0.1, 1.0, 0)
    with pytest.raises(ValueError, match="CyclicLR needs a base_lr for each of 2 groups, got 1"):
        lr_scheduler.CyclicLR(optimizer, [0.1], 1.0)
    with pytest.raises(ValueError, match="CyclicLR: Rprop has neither momentum nor betas: give cycle_momentum=False"):
        lr_scheduler.CyclicLR(optim.Rprop([minigrad.ones(1)]), 0.1, 1.0)
    with pytest.raises(ValueError, match="T_0 must be a whole number of at least 1, got 0"):
        lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 0)
    with pytest.raises(ValueError, match=r"T_mult must be a whole number of at least 1, got 1\.5"):
        lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 3, 1.5)  # type: ignore[arg-type]
    waves = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 3)
    optimizer.step()
    for wrong in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"epoch must be a number of at least 0, got {wrong}"):
            waves.step(wrong)
    assert waves.last_epoch == 0
