"""L-BFGS: Newton's steps from a memory of the last gradients."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array, namespace
from minigrad.core.tensor import Tensor, wrap
from minigrad.optim.line_optimizer import LineOptimizer
from minigrad.optim.line_search import Point
from minigrad.optim.optimizer import Settings, State


class LBFGS(LineOptimizer):
    """Limited-memory BFGS (Liu & Nocedal 1989; Nocedal & Wright 2006, algorithm 7.4): for smooth, noiseless losses.

        optimizer = optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)

    Args:
        lr: the length of a step, as a multiple of the direction; the first one of a line search.
        max_iter: directions a step.
        max_eval: evaluations of the loss a step, after which no new direction is begun; by default 5/4 of `max_iter`.
        tolerance_grad: stop when no element of the gradient is larger.
        tolerance_change: stop when neither loss nor parameters change by more.
        history_size: how many pairs of changes are remembered, each as large as all parameters twice.
        line_search_fn: "strong_wolfe", or None for steps of fixed length.
    """

    _numbers = {**LineOptimizer._numbers, "ro": float, "H_diag": float}
    _on_the_way = (*LineOptimizer._on_the_way, "old_dirs", "old_stps", "ro", "H_diag")

    def __init__(
        self,
        params: Any,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check_settings(self, group: Settings) -> None:
        super()._check_settings(group)
        if group["history_size"] < 1:
            raise ValueError(f"LBFGS: history_size must be at least 1, got {group['history_size']}")
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(f"LBFGS: line_search_fn is 'strong_wolfe' or None, got {group['line_search_fn']!r}")

    def _direction(self, gradient: Array, state: State, group: Settings) -> Array:
        if "d" not in state:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -gradient
        self._remember(gradient, state, group)
        return self._newton(gradient, state)

    def _remember(self, gradient: Array, state: State, group: Settings) -> None:
        """Keep the last change of the parameters `s` and of the gradient `y`, if the loss curves upwards between."""
        y = gradient - state["prev_flat_grad"]._array
        s = state["t"] * state["d"]._array
        dot = namespace(y).dot
        curvature = float(dot(y, s))
        if not curvature > 1e-10:
            return
        for name, one in (("old_dirs", wrap(y)), ("old_stps", wrap(s)), ("ro", 1.0 / curvature)):
            state[name] = [*state[name], one][-group["history_size"] :]
        state["H_diag"] = curvature / float(dot(y, y))

    def _newton(self, gradient: Array, state: State) -> Array:
        """Minus the inverse Hessian that the memory describes, times the gradient: the two loops of algorithm 7.4.

        The products stay on the device: only the directions that come of them are waited for.
        """
        dot = namespace(gradient).dot
        memory = list(zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True))
        q = -gradient
        shares = []
        for y, s, ro in reversed(memory):
            share = ro * dot(s._array, q)
            q -= share * y._array
            shares.append(share)
        q *= state["H_diag"]
        for (y, s, ro), share in zip(memory, reversed(shares), strict=True):
            q += (share - ro * dot(y._array, q)) * s._array
        return q

    def _first_distance(self, here: Point, state: State, group: Settings) -> float:
        if state["n_iter"] > 1:
            return group["lr"]
        return group["lr"] * min(1.0, 1.0 / float(abs(here.gradient).sum()))

    def _check_state(self, number: int, values: State, parameter: Tensor) -> None:
        super()._check_state(number, {name: value for name, value in values.items() if name != "al"}, parameter)

    def _loaded(self, name: str, value: Any, parameter: Tensor) -> Any:
        if name == "al":  # what PyTorch's two loops write down on their way
            return []
        return super()._loaded(name, value, parameter)
