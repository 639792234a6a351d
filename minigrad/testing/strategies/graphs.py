"""Random computations: small programs of ops in which results are used again, and several of them are roots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from minigrad.testing.strategies.arrays import Host, arrays
from minigrad.testing.strategies.shapes import Shape, shapes

_LARGEST = 20.0  # nothing larger is multiplied: numeric derivatives of larger numbers have fewer digits


class _Op(NamedTuple):
    """How a step reads, and what it does: with `xp`, its operands, and its parameters."""

    text: str
    run: Callable[..., Any]


# Only what NumPy, PyTorch and minigrad write alike, and only smooth functions.
OPS = {
    "tanh": _Op("xp.tanh({0})", lambda xp, x: xp.tanh(x)),
    "sin": _Op("xp.sin({0})", lambda xp, x: xp.sin(x)),
    "exp": _Op("xp.exp(-({0} * {0}))", lambda xp, x: xp.exp(-(x * x))),
    "scale": _Op("{0} * {1}", lambda xp, x, factor: x * factor),
    "add": _Op("{0} + {1}", lambda xp, x, y: x + y),
    "sub": _Op("{0} - {1}", lambda xp, x, y: x - y),
    "mul": _Op("{0} * {1}", lambda xp, x, y: x * y),
    "div": _Op("{0} / ({1} * {1} + 1.0)", lambda xp, x, y: x / (y * y + 1.0)),
    "matmul": _Op("{0} @ {1}", lambda xp, x, y: x @ y),
    "sum": _Op("{0}.sum({1})", lambda xp, x, dim: x.sum(dim)),
    "total": _Op("{0}.sum()", lambda xp, x: x.sum()),
    "reshape": _Op("{0}.reshape({1})", lambda xp, x, shape: x.reshape(shape)),
    "swap": _Op("{0}.mT", lambda xp, x: x.mT),
    "row": _Op("{0}[{1}]", lambda xp, x, place: x[place]),
    "rest": _Op("{0}[1:]", lambda xp, x: x[1:]),
    "new": _Op("{0}[None]", lambda xp, x: x[None]),
}


class Step(NamedTuple):
    """One line of a graph: the op, the numbers of its operands, and its parameters."""

    op: str
    operands: tuple[int, ...]
    parameters: tuple[Any, ...]


@dataclass(frozen=True, repr=False)
class Graph:
    """A drawn computation: its leaves' values, its steps, and which results are its roots.

    `graph.run(numpy, leaves)`, `graph.run(torch, leaves)` and `graph.run(minigrad, leaves)` do the same on arrays and
    tensors. As a program it reads `print(graph)`.
    """

    leaves: tuple[Host, ...]
    steps: tuple[Step, ...]
    roots: tuple[int, ...]

    def run(self, xp: Any, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """The roots, each step computed once and its result used wherever it occurs."""
        values = list(leaves)
        for step in self.steps:
            values.append(OPS[step.op].run(xp, *[values[at] for at in step.operands], *step.parameters))
        return tuple(values[root] for root in self.roots)

    def run_unshared(self, xp: Any, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """The roots of the same computation with nothing but leaves in common: each use computes a result anew."""

        def value(place: int) -> Any:
            if place < len(leaves):
                return leaves[place]
            step = self.steps[place - len(leaves)]
            return OPS[step.op].run(xp, *[value(at) for at in step.operands], *step.parameters)

        return tuple(value(root) for root in self.roots)

    def __repr__(self) -> str:
        count = len(self.leaves)
        lines = [f"def graph({', '.join(['xp', *(f't{at}' for at in range(count))])}):"]
        for place, step in enumerate(self.steps, count):
            words = [*(f"t{at}" for at in step.operands), *step.parameters]
            lines.append(f"    t{place} = {OPS[step.op].text.format(*words)}")
        lines.append(f"    return {', '.join(f't{root}' for root in self.roots)}")
        shapes_of_leaves = ", ".join(f"t{at} {list(leaf.shape)}" for at, leaf in enumerate(self.leaves))
        return "\n".join([f"# {shapes_of_leaves}", *lines])


@st.composite
def graphs(draw: st.DrawFn, *, max_leaves: int = 3, max_steps: int = 6, max_side: int = 3) -> Graph:
    """Graphs of elementwise ops, matrix products, sums and changes of shape, with results used again and several roots.

    Every function in them is smooth, and numbers stay below 100 or so, so that numeric derivatives are good.
    """
    sides = shapes(max_dims=2, min_side=1, max_side=max_side)
    leaves = tuple(draw(arrays(sides, domain=(-2, 2))) for _ in range(draw(st.integers(1, max_leaves))))
    values: list[Host] = list(leaves)
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, max_steps))):
        step = draw(st.sampled_from(_possible_steps(values, draw)))
        steps.append(step)
        values.append(np.asarray(OPS[step.op].run(np, *[values[at] for at in step.operands], *step.parameters)))
    others = draw(st.lists(st.integers(len(leaves), len(values) - 1), max_size=2))
    return Graph(leaves, tuple(steps), (len(values) - 1, *others))


def _possible_steps(values: list[Host], draw: st.DrawFn) -> list[Step]:
    """What can be done with one drawn value, and with two, as their shapes allow."""
    first, second = (draw(st.integers(0, len(values) - 1)) for _ in range(2))
    x, y = values[first], values[second]
    steps = [Step(name, (first,), ()) for name in ("tanh", "sin", "exp", "total", "new") if x.ndim < 3 or name != "new"]
    steps += [Step("reshape", (first,), (shape,)) for shape in _shapes_of(x.size)]
    if x.ndim:
        steps += [Step("sum", (first,), (dim,)) for dim in range(-1, x.ndim)]
        steps += [Step("row", (first,), (place,)) for place in (0, -1)]
        steps += [Step("rest", (first,), ())] * (len(x) > 1)
    steps += [Step("swap", (first,), ())] * (x.ndim == 2)
    small = max(abs(x).max(), abs(y).max()) < _LARGEST
    steps += [Step("scale", (first,), (factor,)) for factor in (2.0, -0.5) if small]
    if small and _broadcast(x.shape, y.shape):
        steps += [Step(name, (first, second), ()) for name in ("add", "sub", "mul", "div")]
    if small and x.ndim == y.ndim == 2 and x.shape[1] == y.shape[0]:
        steps.append(Step("matmul", (first, second), ()))
    return steps


def _shapes_of(size: int) -> list[Shape]:
    """The shapes of one and two dimensions that hold so many numbers."""
    return [(size,), *((rows, size // rows) for rows in range(1, size + 1) if size % rows == 0)]


def _broadcast(one: Shape, other: Shape) -> bool:
    return all(a == b or 1 in (a, b) for a, b in zip(reversed(one), reversed(other), strict=False))
