"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from minigrad import kernels
from minigrad.backend import Array
from minigrad.core.rows import Rows
from minigrad.optim.optimizer import Optimizer, Settings, State, filled


class SGD(Optimizer):
    """p <- p - lr * g, with momentum (Polyak 1964) or Nesterov's momentum (Sutskever et al., ICML 2013).

        g = gradient + weight_decay * p;   buf = momentum * buf + (1 - dampening) * g
        p <- p - lr * buf,   with nesterov   p <- p - lr * (g + momentum * buf)

    The first step's buffer is the gradient itself. With `maximize` the gradient is turned round.
    """

    _takes_rows = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check_settings(self, group: Settings) -> None:
        self._at_least_zero(group, "lr", "momentum", "weight_decay")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov=True needs momentum above 0 and dampening=0")

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        buffer, first = None, False
        if group["momentum"]:
            first = state.get("momentum_buffer") is None
            if first:
                state["momentum_buffer"] = filled(p)
            buffer = state["momentum_buffer"]._array
        kernels.of(p).sgd_update(
            p, g, buffer, lr=group["lr"], momentum=group["momentum"], dampening=group["dampening"],
            weight_decay=group["weight_decay"], nesterov=group["nesterov"], maximize=group["maximize"], first=first,
        )  # fmt: skip

    def _rows_suffice(self, group: Settings) -> bool:
        own = type(self)._update is SGD._update  # a subclass may do more with a gradient
        return own and not group["momentum"] and not group["weight_decay"]

    def _update_rows(self, p: Array, rows: Rows, state: State, group: Settings) -> None:
        if group["momentum"]:  # moves every row that ever had a gradient, so there is nothing to win
            self._update(p, rows.to_dense()._array, state, group)
            return
        rate = group["lr"] if group["maximize"] else -group["lr"]
        kernels.of(p).add_rows(p, rows._index, rate * rows._values)
