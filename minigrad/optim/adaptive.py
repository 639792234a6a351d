"""Optimizers that give each element a rate of its own by the squares of its gradients: Adagrad, Adadelta, RMSprop."""

from __future__ import annotations

from typing import Any

from minigrad import kernels
from minigrad.backend import Array, namespace
from minigrad.core.rows import Rows
from minigrad.optim.optimizer import Optimizer, Settings, State, buffer_of, is_number


class Adagrad(Optimizer):
    """Duchi, Hazan & Singer, JMLR 2011: the rate falls with the squares of all the gradients so far.

        sum <- sum + g^2;   p <- p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(sum) + eps)

    `sum` starts at `initial_accumulator_value`; t counts the steps from 1.
    """

    _always = ("step", "sum")
    _takes_rows = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check_settings(self, group: Settings) -> None:
        self._at_least_zero(group, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def add_param_group(self, param_group: Settings) -> None:
        """Optimize further parameters; their sums begin now, so that a saved state is whole before the first step."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for parameter in group["params"]:
            self.state[parameter].update(self._begun(parameter._array, group))

    def _first(self, group: Settings) -> dict[str, float]:
        return {"sum": group["initial_accumulator_value"]}

    def _expected(self, values: State) -> tuple[str, ...]:
        return self._always  # from the start

    def _rate(self, state: State, group: Settings) -> float:
        return group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        kernels.of(p).adagrad_update(
            p, g, state["sum"]._array, lr=self._rate(state, group), weight_decay=group["weight_decay"],
            eps=group["eps"], maximize=group["maximize"],
        )  # fmt: skip

    def _update_rows(self, p: Array, rows: Rows, state: State, group: Settings) -> None:
        """Only the rows that have a gradient move, and only their sums grow."""
        rate, rows, total = self._rate(state, group), rows.coalesce(), state["sum"]._array
        g = -rows._values if group["maximize"] else rows._values
        squares = total[rows._index] + g * g
        total[rows._index] = squares
        p[rows._index] -= rate * g / (namespace(p).sqrt(squares) + group["eps"])


class Adadelta(Optimizer):
    """Zeiler 2012: each element's steps are as long as its steps so far, so that no rate has to be found.

        avg <- rho * avg + (1 - rho) * g^2;   step = sqrt(delta + eps) / sqrt(avg + eps) * g
        delta <- rho * delta + (1 - rho) * step^2;   p <- p - lr * step

    `eps` sets the length of the first steps: a larger one starts faster.
    """

    _always = ("step", "square_avg", "acc_delta")

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def _check_settings(self, group: Settings) -> None:
        self._at_least_zero(group, "lr", "eps", "weight_decay")
        if not is_number(group["rho"]) or not 0 <= group["rho"] <= 1:
            raise ValueError(f"Adadelta: rho must be between 0 and 1, got {group['rho']}")

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        kernels.of(p).adadelta_update(
            p, g, state["square_avg"]._array, state["acc_delta"]._array,
            lr=group["lr"], rho=group["rho"], eps=group["eps"], weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )  # fmt: skip


class RMSprop(Optimizer):
    """Tieleman & Hinton 2012: the rate falls with a moving average of the squares of the gradients.

        avg <- alpha * avg + (1 - alpha) * g^2;   p <- p - lr * g / (sqrt(avg) + eps)

    With `centered` (Graves 2013) the square of the gradient's own moving average is taken off `avg` under the root;
    with `momentum` the steps are added up in a buffer first.
    """

    _always = ("step", "square_avg")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check_settings(self, group: Settings) -> None:
        self._at_least_zero(group, "lr", "alpha", "eps", "weight_decay", "momentum")

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        mean = buffer_of(state, "grad_avg", p, group["centered"])
        buffer = buffer_of(state, "momentum_buffer", p, group["momentum"] != 0)
        kernels.of(p).rmsprop_update(
            p, g, state["square_avg"]._array, mean, buffer,
            lr=group["lr"], alpha=group["alpha"], eps=group["eps"], weight_decay=group["weight_decay"],
            momentum=group["momentum"], maximize=group["maximize"],
        )  # fmt: skip
