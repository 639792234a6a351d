"""Nonlinear conjugate gradient: memory for one direction, and steps that do not undo each other."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array, namespace
from minigrad.optim.line_optimizer import LineOptimizer
from minigrad.optim.line_search import Point
from minigrad.optim.optimizer import Settings, State


class ConjugateGradient(LineOptimizer):
    """Polak & Ribière's method with restarts (Nocedal & Wright 2006, section 5.2): for smooth, noiseless losses.

        beta = max(0, g . (g - g_before) / g_before . g_before);   d <- -g + beta * d

    and then a line search to the strong Wolfe conditions along d. A quadratic of n variables is at its minimum after n
    exact searches. It starts again from d = -g after n directions, when two gradients are far from orthogonal
    (|g . g_before| >= 0.1 g . g), and when d does not go down. Next to LBFGS it remembers two vectors instead of two
    for each pair. PyTorch has no such optimizer. `step` takes a closure as LBFGS's does.

    Args:
        lr: the first distance tried in the first search is lr / |g|_1 (at most lr); later ones start from the last.
        max_iter: directions a step.
        max_eval: evaluations of the loss a step, after which no new direction is begun; by default 5 times `max_iter`.
        tolerance_grad: stop when no element of the gradient is larger.
        tolerance_change: stop when neither loss nor parameters change by more.
        c2: how flat a search must end, as a share of the slope at its start, above 1e-4 and below 1/2. Smaller is
            closer to exact, and costs evaluations.
    """

    _numbers = {**LineOptimizer._numbers, "since_restart": int}
    _on_the_way = (*LineOptimizer._on_the_way, "since_restart")

    def __init__(
        self,
        params: Any,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        c2: float = 0.1,
    ) -> None:
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "c2": c2,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check_settings(self, group: Settings) -> None:
        super()._check_settings(group)
        if not 1e-4 < group["c2"] < 0.5:
            raise ValueError(f"ConjugateGradient: c2 must lie between 1e-4 and 0.5, got {group['c2']}")

    def _direction(self, gradient: Array, state: State, group: Settings) -> Array:
        direction = self._conjugate(gradient, state)
        state["since_restart"] = 1 if direction is None else state["since_restart"] + 1
        return -gradient if direction is None else direction

    def _conjugate(self, gradient: Array, state: State) -> Array | None:
        """The next direction, or None where it is time to start again."""
        if not state.get("t") or state["since_restart"] >= gradient.size:  # t is 0 after a search that found nothing
            return None
        dot, before = namespace(gradient).dot, state["prev_flat_grad"]._array
        square, overlap = float(dot(gradient, gradient)), float(dot(gradient, before))
        if abs(overlap) >= 0.1 * square:
            return None
        beta = max(0.0, (square - overlap) / float(dot(before, before)))
        direction = beta * state["d"]._array - gradient
        return direction if float(dot(direction, gradient)) < 0 else None

    def _first_distance(self, here: Point, state: State, group: Settings) -> float:
        """The distance at which the loss would fall as at the last one, were it as straight (section 3.5)."""
        if not state.get("t"):
            return group["lr"] * min(1.0, 1.0 / float(abs(here.gradient).sum()))
        slope_before = float(namespace(here.gradient).dot(state["prev_flat_grad"]._array, state["d"]._array))
        return state["t"] * slope_before / here.slope
