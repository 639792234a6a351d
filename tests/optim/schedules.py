"""What the tests of schedules share: an optimizer with two rates, a way through the epochs, and schedules to draw."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st

gammas = st.sampled_from([0.1, 0.5, 0.9, 1.3])
factors = st.sampled_from([0.1, 0.25, 1.0])
measures = st.lists(st.floats(-3, 3) | st.sampled_from([1.0, math.nan, math.inf]), min_size=1, max_size=20)


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


@st.composite
def schedules(draw: Any, shortest: int = 0) -> tuple[str, dict[str, Any]]:
    """A schedule's name and settings."""
    total, gamma = draw(st.integers(1, 6)), draw(gammas)
    iterations = draw(st.integers(shortest, 6))
    eta_min = draw(st.sampled_from([0.0, 1e-3]))
    return draw(
        st.sampled_from(
            [
                ("StepLR", {"step_size": total, "gamma": gamma}),
                ("MultiStepLR", {"milestones": draw(st.lists(st.integers(0, 9), max_size=3)), "gamma": gamma}),
                ("ExponentialLR", {"gamma": gamma}),
                ("ConstantLR", {"factor": draw(factors), "total_iters": iterations}),
                ("LinearLR", {"start_factor": draw(factors), "end_factor": 0.5, "total_iters": iterations}),
                ("PolynomialLR", {"total_iters": iterations, "power": draw(st.sampled_from([0.0, 0.5, 1.0, 2.0]))}),
                ("MultiplicativeLR", {"lr_lambda": lambda e: gamma ** (1 + e % 3)}),
                ("CosineAnnealingLR", {"T_max": total, "eta_min": eta_min}),
                ("CosineAnnealingWarmRestarts", {"T_0": total, "T_mult": draw(st.integers(1, 3)), "eta_min": eta_min}),
                ("CyclicLR", {"base_lr": 0.1, "max_lr": [0.3, 2.0], "step_size_up": total, "mode": "triangular2"}),
            ]
        )
    )


def make_schedule(module: Any, optimizer: Any, drawn: tuple[str, dict[str, Any]]) -> Any:
    return getattr(module, drawn[0])(optimizer, **drawn[1])


@st.composite
def sequences(draw: Any) -> tuple[list[tuple[str, dict[str, Any]]], list[int]]:
    """Schedules and the epochs at which all but the first begin.

    As later parts, PyTorch's with `total_iters=0` are not its own schedules, and its MultiplicativeLR does not start
    from the initial rates.
    """
    later = schedules(shortest=1).filter(lambda one: one[0] != "MultiplicativeLR")
    drawn = [draw(schedules()), *draw(st.lists(later, max_size=2))]
    starts = draw(st.lists(st.integers(1, 8), min_size=len(drawn) - 1, max_size=len(drawn) - 1, unique=True))
    return drawn, sorted(starts)


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
