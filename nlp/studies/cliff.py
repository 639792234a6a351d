"""The cliff: the error of a recurrent network of one unit, over its weight and its bias.

Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013), figure 6: the state
x_t = w sigmoid(x_{t-1}) + b starts at 0.5, and after 50 steps sigmoid(x_50) should be 0.7. Where a small change of w or
b decides between two fixed points, the error rises like a wall, and a step of plain gradient descent that meets it is
thrown far away; a clipped one stays near.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import minigrad
from minigrad import Tensor, nn, optim
from nlp.pictures import COLOURS, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Cliff", "descend", "draw_cliff", "error", "study_cliff"]

START, WANTED, STEPS = 0.5, 0.7, 50
WEIGHTS, BIASES = (4.2, 6.2), (-3.2, -0.6)  # of the surface that is drawn
POINTS = 250  # of it, in each direction


@dataclass(frozen=True)
class Cliff:
    """The surface, errors[i][j] at biases[i] and weights[j], and the (w, b) of each step of a descent with either."""

    weights: list[float]
    biases: list[float]
    errors: list[list[float]]
    plain: list[tuple[float, float]]
    clipped: list[tuple[float, float]]


def error(w: Tensor, b: Tensor) -> Tensor:
    """(sigmoid(x_50) - 0.7)^2, for w and b of any one shape."""
    x = minigrad.full_like(w, START)
    for _ in range(STEPS):
        x = w * x.sigmoid() + b
    return (x.sigmoid() - WANTED) ** 2


def descend(w: float, b: float, *, lr: float, steps: int, clip: float = float("inf")) -> list[tuple[float, float]]:
    """Where gradient descent from (w, b) comes to, `steps` + 1 places; the gradient's norm is clipped at `clip`."""
    place = nn.ParameterList([minigrad.tensor(value, dtype=minigrad.float64) for value in (w, b)])
    optimizer = optim.SGD(place.parameters(), lr=lr)
    path = [(w, b)]
    for _ in range(steps):
        optimizer.zero_grad()
        error(*place).backward()
        nn.utils.clip_grad_norm_(place.parameters(), clip)
        optimizer.step()
        path.append((place[0].item(), place[1].item()))
    return path


def study_cliff(w: float = 5.4, b: float = -2.35, *, lr: float = 0.2, clip: float = 0.2, steps: int = 80) -> Cliff:
    """The surface, and two descents from one place."""
    weights = np.linspace(*WEIGHTS, POINTS)
    biases = np.linspace(*BIASES, POINTS)
    with minigrad.no_grad():
        errors = error(*(minigrad.tensor(axis) for axis in np.meshgrid(weights, biases)))
    return Cliff(
        weights.tolist(),
        biases.tolist(),
        errors.tolist(),
        descend(w, b, lr=lr, steps=steps),
        descend(w, b, lr=lr, steps=steps, clip=clip),
    )


def draw_cliff(axes: Axes, cliff: Cliff) -> None:
    """The surface in colours, and the descents as lines on it."""
    surface = axes.pcolormesh(cliff.weights, cliff.biases, cliff.errors, cmap="Greys", shading="nearest")
    axes.figure.colorbar(surface, ax=axes, label="error")
    for name, path, colour, size in (
        ("without clipping", cliff.plain, COLOURS[1], 3),
        ("clipped", cliff.clipped, COLOURS[0], 4),
    ):
        w, b = np.array(path).T
        axes.plot(w, b, color=colour, lw=1.5, marker="o", ms=size, label=name)
    axes.plot(*cliff.plain[0], color=COLOURS[2], marker="*", ms=14, ls="", label="start")
    axes.set_xlim(*WEIGHTS)
    axes.set_ylim(*BIASES)
    axes.set_xlabel("w")
    axes.set_ylabel("b")
    plain(axes, "one unit: x = w sigmoid(x) + b, fifty times")
    axes.grid(False)
    axes.legend(fontsize=9, loc="upper left")
