"""How an optimizer should move its parameters: one `OptimizerSpec`, from which every check follows.

    def descent(p, g, memory, settings, t):
        return p - settings["lr"] * g

    OptimizerSpec(Plain, st.fixed_dictionaries({"lr": st.sampled_from([0.1, 0.5])}), descent)

A case is some parameters and what gradients they get at some steps. A `Trial` runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad.backend import to_host
from minigrad.core.tensor import Tensor
from minigrad.nn import functional as F
from minigrad.optim.optimizer import Optimizer
from minigrad.testing import strategies
from minigrad.testing.example import _TOO_MANY, _Source
from minigrad.testing.module_spec import tensor_on
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
        source = _Source("check_optimizer")
        optimizer = source.name(self.optimizer, "optimizer")
        parts = [
            f"{name}={source.name(value, name) if callable(value) else source.literal(value)}"
            for name, value in self._said(prop)
        ]
        inside = (source.literal(getattr(case, one.name)) for one in fields(case))
        source.lines.append(f"case = {source.name(OptimizerCase, 'OptimizerCase')}({', '.join(inside)})")
        parts += [f"case=case, only={source.literal(prop)}"]
        parts += [f"draws={source.literal(draws)}"] if draws else []
        source.lines.append(f"check_optimizer({', '.join([optimizer, *parts])})")
        return source.text() if source.numbers <= _TOO_MANY else ""

    def _said(self, prop: str) -> list[tuple[str, Any]]:
        """The fields that a program for one property has to repeat."""
        asked_by = {"update": "paper", "torch": "pytorch"}
        found = [(one.name, getattr(self, one.name), one.default) for one in fields(self)]
        return [
            (name, value)
            for name, value, usual in found
            if name not in ("optimizer", "settings", "shapes") and value != usual and asked_by.get(name, "") in prop
        ]


class Trial:
    """An optimizer of a case's parameters, in one dtype and on one device, step by step."""

    def __init__(
        self,
        spec: OptimizerSpec,
        case: OptimizerCase,
        dtype: Any = np.float64,
        *,
        device: str = "cpu",
        places: Sequence[int] | None = None,
        parameters: list[Tensor] | None = None,
        groups: Callable[[list[Tensor]], list[Any]] = list,
        **settings: Any,
    ) -> None:
        """`places` are the parameters that take part; `groups` makes the optimizer's parameter groups of them;
        `settings` go over those of the case."""
        self.spec, self.case, self.dtype, self.device = spec, case, np.dtype(dtype), device
        self.places = list(range(len(case.shapes))) if places is None else list(places)
        self.parameters = parameters or [self._tensor(case.start(at)).requires_grad_() for at in self.places]
        self.optimizer = spec.optimizer(groups(self.parameters), **{**case.settings, **settings})

    def _tensor(self, array: Host) -> Tensor:
        return tensor_on(array.astype(self.dtype), self.device)

    def run(self, first: int = 0, last: int | None = None) -> list[Host]:
        """The steps from `first` on; the positions afterwards."""
        for t in range(first, len(self.case.steps) if last is None else last):
            self.step(t)
        return self.positions()

    def positions(self) -> list[Host]:
        """Where the parameters are, on the host."""
        return [to_host(one._array).copy() for one in self.parameters]

    def step(self, t: int) -> Any:
        """One step of the case; what `step` returns."""
        if self.spec.closure:
            return self.optimizer.step(lambda: self.loss(t))
        self.put_gradients(t)
        return self.optimizer.step()

    def put_gradients(self, t: int, sign: float = 1.0) -> None:
        """Give every parameter its gradient of step t."""
        for parameter, at in zip(self.parameters, self.places, strict=True):
            gradient = self.case.gradient(t, at)
            parameter.grad = None
            if gradient is not None and self.spec.rows == "only":
                self.look_up(parameter, t, at, sign)
            elif gradient is not None:
                parameter.grad = self._tensor(np.asarray(sign * gradient))

    def look_up(self, table: Tensor, t: int, place: int, sign: float = 1.0, *, sparse: bool = True) -> None:
        """Give a table the gradient of some of its rows."""
        rows, gradient = self.case.rows(t, place), self.case.gradient(t, place)
        assert gradient is not None
        index = tensor_on(rows, self.device)
        (F.embedding(index, table, sparse=sparse) * self._tensor(sign * gradient[rows])).sum().backward()

    def loss(self, t: int) -> Tensor:
        """What a closure does: a smooth bowl for each parameter that has a gradient at step t, summed, and backward."""
        self.optimizer.zero_grad()
        total = minigrad.zeros((), dtype=self.dtype, device=self.device)
        for parameter, at in zip(self.parameters, self.places, strict=True):
            if self.case.steps[t][at] != "missing":
                total = total + bowl(parameter, self._tensor(self.case.start(at)))
        if total.requires_grad:
            total.backward()
        return total


def bowl(parameter: Any, start: Any) -> Any:
    """A convex function whose bottom lies half way to zero; for tensors of either library."""
    distance = parameter - start * 0.5
    return (distance * distance * 0.5 + distance**4 * 0.1).sum()
