"""What L-BFGS and conjugate gradient share: all parameters as one vector, moved along one line after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.backend import Array, namespace
from minigrad.core.modes import enable_grad
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor, wrap
from minigrad.core.views import count_write
from minigrad.optim.line_search import Point, strong_wolfe
from minigrad.optim.optimizer import Optimizer, Settings, State

Closure = Callable[[], Any]


class LineOptimizer(Optimizer):
    """The base of optimizers that take up to `max_iter` directions a step, and evaluate the loss on the way.

    A subclass says which direction to take (`_direction`) and how far to try first (`_first_distance`). There is one
    group, and one state, kept under the first parameter. Every evaluation waits for the device.
    """

    _numbers: dict[str, type] = {"func_evals": int, "n_iter": int, "t": float, "prev_loss": float}
    _always = ("func_evals", "n_iter")
    _on_the_way: tuple[str, ...] = ("d", "t", "prev_flat_grad", "prev_loss")  # and these from the first direction on

    def add_param_group(self, param_group: Settings) -> None:
        """Take the one group; raises ValueError for a second, and for one without any element."""
        if self.param_groups:
            raise ValueError(f"{self._name()} moves all parameters as one vector, so it takes one group of them")
        super().add_param_group(param_group)
        if not self._size():
            raise ValueError(f"{self._name()}: its parameters have no elements, so there is nothing to move")

    def _check_settings(self, group: Settings) -> None:
        self._at_least_zero(group, "lr", "tolerance_grad", "tolerance_change")
        for name in ("max_iter", "max_eval"):
            if group[name] < 1:
                raise ValueError(f"{self._name()}: {name} must be at least 1, got {group[name]}")

    @property
    def _params(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    # ---- a step -----------------------------------------------------------------------------------------------------

    def step(self, closure: Closure | None = None) -> Any:
        """Go along up to `max_iter` lines, and return the loss at the beginning.

        `closure` clears the gradients, computes the loss, calls backward() and returns the loss.
        """
        if closure is None:
            raise TypeError(
                f"{self._name()}.step needs a closure that clears the gradients, computes the loss, "
                f"calls backward() and returns the loss"
            )
        self.steps_taken += 1
        group, state = self.param_groups[0], self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss, loss, gradient = self._evaluate(closure)
        state["func_evals"] += 1
        if _largest(gradient) > group["tolerance_grad"]:
            self._descend(closure, loss, gradient, group, state)
        return first_loss

    def _descend(self, closure: Closure, loss: float, gradient: Array, group: Settings, state: State) -> None:
        evaluations = 1
        for remaining in reversed(range(group["max_iter"])):
            state["n_iter"] += 1
            direction = self._direction(gradient, state, group)
            slope = _dot(gradient, direction)
            here = Point(0.0, loss, gradient, slope)
            t = self._first_distance(here, state, group)
            state.update(d=wrap(direction), t=t, prev_flat_grad=wrap(gradient), prev_loss=loss)
            if slope > -group["tolerance_change"]:
                return
            if group.get("line_search_fn", "strong_wolfe") is None:
                self._move(self._copies(), t, direction)
                if remaining:  # the next step evaluates here anyway, perhaps on other data
                    _, loss, gradient = self._evaluate(closure)
                used = int(remaining > 0)
            else:
                there, used = self._search(closure, here, direction, t, group, group["max_eval"] - evaluations)
                t, loss, gradient = there.t, there.loss, there.gradient
            evaluations += used
            state["func_evals"] += used
            state["t"] = t
            if (
                evaluations >= group["max_eval"]
                or _largest(gradient) <= group["tolerance_grad"]
                or _largest(direction) * t <= group["tolerance_change"]
                or abs(loss - here.loss) < group["tolerance_change"]
            ):
                return

    def _search(
        self, closure: Closure, here: Point, direction: Array, t: float, group: Settings, budget: int
    ) -> tuple[Point, int]:
        """Move along the line to a point that fulfils the strong Wolfe conditions, and say which."""
        origin = self._copies()

        def evaluate(t: float) -> Point:
            self._move(origin, t, direction)
            _, loss, gradient = self._evaluate(closure)
            return Point(t, loss, gradient, _dot(gradient, direction))

        there, used = strong_wolfe(evaluate, here, t, _largest(direction), budget, c2=group.get("c2", 0.9))
        self._move(origin, there.t, direction)
        return there, used

    def _direction(self, gradient: Array, state: State, group: Settings) -> Array:
        """Where to go from a point with this gradient (n), from what the state knows of the points before."""
        raise NotImplementedError(f"{self._name()} must define _direction(gradient, state, group)")

    def _first_distance(self, here: Point, state: State, group: Settings) -> float:
        """How far to go, or to try first, as a multiple of the direction."""
        raise NotImplementedError(f"{self._name()} must define _first_distance(here, state, group)")

    # ---- a saved state ----------------------------------------------------------------------------------------------

    def _expected(self, values: State) -> tuple[str, ...]:
        return (*super()._expected(values), *(self._on_the_way if "d" in values else ()))

    def _state_shape(self, parameter: Tensor) -> tuple[int, ...]:
        return (self._size(),)

    # ---- the parameters as one vector -------------------------------------------------------------------------------

    def _size(self) -> int:
        return sum(one.numel() for one in self._params)

    def _evaluate(self, closure: Closure) -> tuple[Any, float, Array]:
        """The loss as the closure gives it, as a number, and its gradient (n)."""
        with enable_grad():
            loss = closure()
        if loss is None:
            raise TypeError(f"{self._name()}.step: the closure returned None, and must return the loss")
        return loss, float(loss), self._gradient()

    def _gradient(self) -> Array:
        """All gradients one after the other (n), zeros for a parameter that has none. Never a view of one."""
        parts = []
        for parameter in self._params:
            gradient: Any = parameter.grad
            if gradient is None:
                parts.append(namespace(parameter._array).zeros(parameter.numel(), dtype=parameter._array.dtype))
            else:
                gradient = gradient.to_dense() if isinstance(gradient, Rows) else gradient
                parts.append(gradient._array.reshape(-1))
        return namespace(parts[0]).concatenate(parts)

    def _copies(self) -> list[Array]:
        return [parameter._array.copy() for parameter in self._params]

    def _move(self, origin: list[Array], t: float, direction: Array) -> None:
        """Put the parameters at origin + t * direction."""
        start = 0
        for parameter, at in zip(self._params, origin, strict=True):
            part = direction[start : start + at.size].reshape(at.shape)
            parameter._array[...] = at + t * part
            count_write(parameter)
            start += at.size


def _largest(array: Array) -> float:
    return float(abs(array).max())


def _dot(one: Array, other: Array) -> float:
    return float(namespace(one).dot(one, other))
