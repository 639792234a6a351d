"""Resilient backpropagation: steps by the signs of the gradients alone."""

from __future__ import annotations

from typing import Any

from minigrad import kernels
from minigrad.backend import Array
from minigrad.optim.optimizer import Optimizer, Settings, State


class Rprop(Optimizer):
    """Riedmiller & Braun, ICNN 1993: each element has a step of its own, which grows while the gradient keeps its sign.

        step_size <- step_size * etas[1] where the sign stays, * etas[0] where it turns, within `step_sizes`
        p <- p - sign(g) * step_size, and where the sign has turned p stands still once

    For gradients of the whole data: the noise of small batches turns signs. `lr` is every element's first step.
    """

    _always = ("step", "prev", "step_size")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize})

    def _check_settings(self, group: Settings) -> None:
        self._at_least_zero(group, "lr")
        shrink, grow = group["etas"]
        if not 0 < shrink < 1 < grow:
            raise ValueError(
                f"Rprop: etas are a factor between 0 and 1 and one above 1, got {(shrink, grow)}: "
                f"they shrink and grow the steps"
            )

    def _first(self, group: Settings) -> dict[str, float]:
        return {"step_size": group["lr"]}

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        (shrink, grow), (smallest, largest) = group["etas"], group["step_sizes"]
        kernels.of(p).rprop_update(
            p, g, state["prev"]._array, state["step_size"]._array,
            shrink=shrink, grow=grow, smallest=smallest, largest=largest, maximize=group["maximize"],
        )  # fmt: skip
