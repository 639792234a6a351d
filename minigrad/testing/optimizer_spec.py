"""How an optimizer should move its parameters: one `OptimizerSpec`, from which every check follows.

    def descent(p, g, memory, settings, t):
        return p - settings["lr"] * g

    OptimizerSpec(Plain, st.fixed_dictionaries({"lr": st.sampled_from([0.1, 0.5])}), descent)

A case is some parameters and what gradients they get at some steps; `optimizer_running.Trial` runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.optim.optimizer import Optimizer
from minigrad.testing import strategies
from minigrad.testing.example import code_of_check
from minigrad.testing.strategies import Host, Shape
from minigrad.testing.trying import Spec

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these

Settings = dict[str, Any]
KINDS = ("values", "zeros", "missing")  # of a gradient: a missing one is None


@dataclass(frozen=True)
class OptimizerCase:
    """Settings, the parameters' shapes, which kind of gradient each gets at each step, and the seed of all numbers."""

    settings: Settings
    shapes: tuple[Shape, ...]
    steps: tuple[tuple[str, ...], ...]
    seed: int = 0

    def copy(self) -> OptimizerCase:
        """Itself: it makes its arrays anew each time."""
        return self

    def start(self, place: int) -> Host:
        """A parameter's first value, which float32 and float64 hold alike."""
        return _numbers([self.seed, place], self.shapes[place])

    def gradient(self, t: int, place: int) -> Host | None:
        """A parameter's gradient at step t: none of its elements is near zero, or all are zero; None if it has none."""
        kind = self.steps[t][place]
        if kind == "missing":
            return None
        return _numbers([self.seed, place, t + 1], self.shapes[place]) * (kind == "values")

    def rows(self, t: int, place: int) -> Host:
        """Which rows of a table a sparse gradient has at step t; some come twice."""
        length = self.shapes[place][0]
        return np.random.default_rng([self.seed, place, t, 1]).integers(0, length, 1 + length // 2)


def _numbers(seed: list[int], shape: Shape) -> Host:
    """Between 1/4 and 2 in size, of both signs."""
    rng = np.random.default_rng(seed)
    drawn = rng.uniform(0.25, 2, shape) * rng.choice([-1.0, 1.0], shape)
    return np.asarray(drawn, np.float32).astype(np.float64)


@dataclass(frozen=True, eq=False)
class OptimizerSpec(Spec):
    """One optimizer's contract.

    Args:
        optimizer: the class.
        settings: draws legal settings; by default none, so the class's own.
        update: the update as its paper has it, in NumPy and float64: `update(p, g, memory, settings, t)` returns the
            new p, keeps what it likes in the dictionary `memory`, and counts steps from 1. Where `rows` is "only" it is
            also given the keyword `rows`, the numbers of the rows that g has. Without it, steps are not checked.
        torch: the name of the same in `torch.optim`, if PyTorch has it.
        rows: what is done with sparse gradients: "refused", "as dense" (the same as with the dense gradient; with
            `weight_decay` refused) or "only" (dense ones are refused); None if nothing is said of them.
        refuses: the constructor raises TypeError or ValueError for an `lr` that is negative or no number, and for no
            parameters at all.
        closure: `step` needs a closure, which computes the loss several times.
        shapes: of parameters.
        rtol: of positions in float64, relative to the largest.
        waits: a step needs values on the host, and so waits for a device.
    """

    optimizer: Callable[..., Optimizer]
    settings: st.SearchStrategy[Settings] = field(default_factory=lambda: st.just({}))
    update: Callable[..., Host] | None = None
    torch: str | None = None
    rows: str | None = None
    refuses: bool = False
    closure: bool = False
    shapes: st.SearchStrategy[Shape] = field(default_factory=lambda: strategies.shapes(max_dims=2))
    rtol: float = 1e-8
    waits: bool = False

    @property
    def name(self) -> str:
        """The optimizer's name."""
        return self.optimizer.__name__

    def cases(self) -> st.SearchStrategy[OptimizerCase]:
        """Some parameters, and some steps."""

        @st.composite
        def case(draw: st.DrawFn) -> OptimizerCase:
            shapes = draw(st.lists(self.shapes, min_size=1, max_size=3))
            kinds = st.tuples(*[st.sampled_from(("values", *KINDS)) for _ in shapes])
            steps = draw(st.lists(kinds, min_size=1, max_size=6))
            return OptimizerCase(draw(self.settings), tuple(shapes), tuple(steps), draw(st.integers(0, 99)))

        return case()

    def code(self, case: OptimizerCase, prop: str, draws: Sequence[Any]) -> str:
        """A program that tries one property on one case; "" if it is too long to paste."""
        drawing, asked_by = {"settings", "shapes"}, {"update": "paper", "torch": "pytorch"}
        return code_of_check("check_optimizer", self, case, prop, draws, drawing=drawing, asked_by=asked_by)
