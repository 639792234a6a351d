"""Optimizers that are wrong: in the update, in what it keeps, in what it leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.backend import Array, namespace
from minigrad.optim.optimizer import Optimizer, Settings, State
from minigrad.testing.optimizer_spec import OptimizerSpec

from .making import Sabotage


class Adaptive(Optimizer):
    """AdamW without frills (Loshchilov & Hutter 2019), written so that a sabotage can change one thing of it.

    m <- b1 m + (1 - b1) g        v <- b2 v + (1 - b2) g²
    p <- p - lr wd p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
    """

    _always = ("step", "m", "v")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 0.125,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, settings)

    def _check_settings(self, group: Settings) -> None:
        self._at_least_zero(group, "lr")

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        g = -g if group["maximize"] else g
        (b1, b2), lr, t = group["betas"], group["lr"], state["step"]
        m, v = state["m"]._array, state["v"]._array
        g = self.decayed(p, g, lr, group["weight_decay"])
        m += (1 - b1) * (g - m)
        v += (1 - b2) * (g * g - v)
        p -= lr * self.direction(m / self.correction(b1, t), v / self.correction(b2, t), group["eps"])

    def decayed(self, p: Array, g: Array, lr: float, decay: float) -> Array:
        """The parameter shrinks by itself, apart from the gradient."""
        p -= lr * decay * p
        return g

    def correction(self, beta: float, t: int) -> float:
        """What a mean that began at zero is short of."""
        return 1 - beta**t

    def direction(self, m: Array, v: Array, eps: float) -> Array:
        """Of one step."""
        return m / (namespace(v).sqrt(v) + eps)


class NoBiasCorrection(Adaptive):
    """Its means are too small at first."""

    def correction(self, beta: float, t: int) -> float:
        return 1.0


class CoupledDecay(Adaptive):
    """Its weight decay is a part of the gradient, as in Adam."""

    def decayed(self, p: Array, g: Array, lr: float, decay: float) -> Array:
        return g + decay * p


class EpsInsideTheRoot(Adaptive):
    """It adds eps under the root."""

    def direction(self, m: Array, v: Array, eps: float) -> Array:
        return m / namespace(v).sqrt(v + eps)


class MaximizeIgnored(Adaptive):
    """It always goes down."""

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        super()._update(p, g, state, {**group, "maximize": False})


class StateNotRestored(Adaptive):
    """It begins anew after loading."""

    def load_state_dict(self, state_dict: Any) -> None:
        super().load_state_dict({**state_dict, "state": {}})


class WritesTheGradient(Adaptive):
    """It turns the gradient round in place."""

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        if group["maximize"]:
            g *= -1
        super()._update(p, g, state, {**group, "maximize": False})


class OneStateForAll(Adaptive):
    """It counts the steps of all parameters together."""

    steps = 0

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        self.steps += 1
        super()._update(p, g, {**state, "step": self.steps}, group)


class GroupIgnored(Adaptive):
    """It uses the learning rate that it was built with, whatever a group's is."""

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        super()._update(p, g, state, {**group, "lr": self.defaults["lr"]})


class DecaysWithoutAGradient(Adaptive):
    """Its weight decay reaches parameters that have no gradient."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    parameter._array *= 1 - group["lr"] * 0.1
        return super().step(closure)


def _paper(p: Any, g: Any, memory: dict[str, Any], settings: Settings, t: int) -> Any:
    """The update as in the docstring of `Adaptive`."""
    b1, b2 = settings["betas"]
    g = -g if settings["maximize"] else g
    m = memory["m"] = b1 * memory.get("m", 0) + (1 - b1) * g
    v = memory["v"] = b2 * memory.get("v", 0) + (1 - b2) * g**2
    p = p - settings["lr"] * settings["weight_decay"] * p
    return p - settings["lr"] * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + settings["eps"])


_SETTINGS = st.fixed_dictionaries(
    {
        "lr": st.sampled_from([0.5, 0.125]),
        "weight_decay": st.sampled_from([0.0, 0.25]),
        "maximize": st.booleans(),
    }
)


def spec_of(optimizer: type[Optimizer]) -> OptimizerSpec:
    """What `Adaptive` should do, asked of another optimizer."""
    return OptimizerSpec(optimizer, _SETTINGS, _paper)


PAPER = "follows_the_paper"

SABOTAGES = [
    Sabotage("bias correction missing", spec_of(NoBiasCorrection), PAPER, "by the paper"),
    Sabotage("weight decay coupled with the gradient", spec_of(CoupledDecay), PAPER, "by the paper"),
    Sabotage("eps inside the root", spec_of(EpsInsideTheRoot), PAPER, "by the paper"),
    Sabotage(
        "maximize ignored",
        spec_of(MaximizeIgnored),
        "maximize_is_descent_on_the_negative",
        "maximized, after step",
        users="by the paper",
    ),
    Sabotage("state not restored", spec_of(StateNotRestored), "state_dict_round_trips", "continued|another state"),
    Sabotage("the gradient turned round in place", spec_of(WritesTheGradient), "gradients_are_only_read", "wrote to"),
    Sabotage(
        "one step count for all parameters",
        spec_of(OneStateForAll),
        "parameters_move_alone",
        "in a group",
        users="by the paper",
    ),
    Sabotage("a group's settings ignored", spec_of(GroupIgnored), "parameters_move_alone", "in a group"),
    Sabotage(
        "decay without a gradient",
        spec_of(DecaysWithoutAGradient),
        "without_gradient_nothing_moves",
        "moved|without",
        users="by the paper",
    ),
]
