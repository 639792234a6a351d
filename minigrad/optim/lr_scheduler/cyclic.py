"""The cyclic schedule: rates up and down again and again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minigrad.optim.lr_scheduler.base import LRScheduler, at_least, check_optimizer, one_for_each_group
from minigrad.optim.lr_scheduler.momentum import momentum_bounds, set_momentum
from minigrad.optim.optimizer import Optimizer

MODES = ("triangular", "triangular2", "exp_range")


class CyclicLR(LRScheduler):
    """Smith, WACV 2017: straight up from `base_lr` to `max_lr` and down again; step it after every batch.

        lr = base_lr + (max_lr - base_lr) * height * scale,   where height goes from 0 to 1 and back in each cycle

    Args:
        base_lr, max_lr: the lowest and the highest rate, one number or one for each group.
        step_size_up: steps of the way up.
        step_size_down: steps of the way down, by default as many.
        mode: how the cycles shrink: "triangular" not at all, "triangular2" to half at each cycle, "exp_range" by
            `gamma` at each step.
        scale_fn: what to shrink by instead of `mode`, a function of the cycle, counted from 1, if `scale_mode` is
            "cycle", or of the step, counted from 0, if it is "iterations". It is not part of the state dict: give the
            same one when resuming.
        cycle_momentum: whether momentum (Adam's first beta) goes from `max_momentum` to `base_momentum` and back, by
            the same height and scale.

    Raises ValueError for settings out of range and for an optimizer without momentum.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer("CyclicLR", optimizer)
        if mode not in MODES or scale_mode not in ("cycle", "iterations"):
            raise ValueError(
                f"CyclicLR: mode is one of {', '.join(MODES)}, and scale_mode is 'cycle' or 'iterations', "
                f"got {mode!r} and {scale_mode!r}"
            )
        up = at_least(1, "CyclicLR: step_size_up", step_size_up)
        down = up if step_size_down is None else at_least(0, "CyclicLR: step_size_down", step_size_down)
        self.total_size, self.step_ratio = up + down, up / (up + down)
        self.mode, self.gamma, self.scale_mode, self._scale_fn_custom = mode, gamma, scale_mode, scale_fn
        lowest = one_for_each_group("CyclicLR needs a base_lr", base_lr, optimizer)
        self.max_lrs = one_for_each_group("CyclicLR needs a max_lr", max_lr, optimizer)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            bounds = momentum_bounds("CyclicLR", optimizer, base_momentum, max_momentum)
            self.base_momentums, self.max_momentums = bounds
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, lowest, strict=True):
                group["lr"] = rate
        super().__init__(optimizer, last_epoch)
        self.base_lrs = lowest  # only now: the first rates are the "initial_lr" of an earlier schedule, as in PyTorch

    def get_lr(self) -> list[float]:
        """The rates for this step."""
        height, scale = self._height(), self._scale()
        return [low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def _set_rates(self) -> None:
        super()._set_rates()
        if self.cycle_momentum:
            height, scale = self._height(), self._scale()
            bounds = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, bounds, strict=True):
                set_momentum(group, high - (high - low) * height * scale)

    def _cycle(self) -> int:
        """The number of this step's cycle, from 1."""
        return math.floor(1 + self.last_epoch / self.total_size)

    def _height(self) -> float:
        """How far up this step is between the bounds, from 0 to 1."""
        passed = 1 + self.last_epoch / self.total_size - self._cycle()
        return passed / self.step_ratio if passed <= self.step_ratio else (1 - passed) / (1 - self.step_ratio)

    def _scale(self) -> float:
        """What this step's height is multiplied by."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(self._cycle() if self.scale_mode == "cycle" else self.last_epoch)
        if self.mode == "triangular2":
            return 0.5 ** (self._cycle() - 1)
        return self.gamma**self.last_epoch if self.mode == "exp_range" else 1.0

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and `scale_fn`."""
        return {name: value for name, value in super().state_dict().items() if name != "_scale_fn_custom"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state dict, with the `scale_fn` given here: PyTorch's has a None in its place."""
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "_scale_fn_custom"})
