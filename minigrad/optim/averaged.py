"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from minigrad import kernels
from minigrad.backend import Array
from minigrad.optim.optimizer import Optimizer, Settings, State


class ASGD(Optimizer):
    """SGD that also keeps the average of its parameters (Polyak & Juditsky 1992, as in Bottou 2010, section 5).

        p <- (1 - lambd * eta) p - eta * g;   ax <- ax + mu * (p - ax)
        eta = lr / (1 + lambd * lr * t)^alpha;   mu = 1 / max(1, t - t0)

    The average of parameter p is `optimizer.state[p]["ax"]`, a tensor of p's shape; up to step `t0` it is p itself.
    The first step's rate is `lr`; each step's `eta` comes from the `lr` at the step before, so a scheduler acts one
    step late, as in PyTorch.
    """

    _numbers = {"step": int, "eta": float, "mu": float}
    _always = ("step", "eta", "mu", "ax")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _first(self, group: Settings) -> dict[str, float]:
        return {"eta": group["lr"], "mu": 1.0}

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        lr, lambd = group["lr"], group["lambd"]
        kernels.of(p).asgd_update(
            p, g, state["ax"]._array, eta=state["eta"], mu=state["mu"], lambd=lambd,
            weight_decay=group["weight_decay"], maximize=group["maximize"],
        )  # fmt: skip
        state["eta"] = lr / (1 + lambd * lr * state["step"]) ** group["alpha"]
        state["mu"] = 1 / max(1, state["step"] - group["t0"])
