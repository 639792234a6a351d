"""The one-cycle schedule: rates up and down once, momentum down and up."""

from __future__ import annotations

import math
from typing import Any

from minigrad.optim.lr_scheduler.base import LRScheduler, at_least, check_optimizer, one_for_each_group
from minigrad.optim.lr_scheduler.momentum import momentum_bounds, set_momentum
from minigrad.optim.optimizer import Optimizer

# A phase: its last step, and between which of a group's entries rate and momentum go.
Phase = tuple[float, str, str, str, str]


class OneCycleLR(LRScheduler):
    """Smith & Topin 2019: from a low rate up to `max_lr` and far down again; step it after every batch.

    Args:
        max_lr: the highest rate, one number or one for each group.
        total_steps: steps of the cycle; or give `epochs` and `steps_per_epoch`, whose product it is.
        pct_start: the share of the steps in which the rate rises.
        anneal_strategy: "cos" or "linear", the way up and down.
        cycle_momentum: whether momentum (Adam's first beta) goes from `max_momentum` to `base_momentum` and back.
        div_factor: max_lr / div_factor is the first rate.
        final_div_factor: first rate / final_div_factor is the last rate.
        three_phase: down to the first rate in as many steps as up, and then from there to the last one.

    Raises ValueError for settings out of range, for an optimizer without momentum, and for steps after the last.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer("OneCycleLR", optimizer)
        self.total_steps = _total(total_steps, epochs, steps_per_epoch)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start must be between 0 and 1, got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy is 'cos' or 'linear', got {anneal_strategy!r}")
        self.pct_start, self.anneal_strategy, self.three_phase = pct_start, anneal_strategy, three_phase
        self.cycle_momentum = cycle_momentum
        if last_epoch == -1:
            self._prepare_rates(optimizer, max_lr, div_factor, final_div_factor)
            if cycle_momentum:
                self._prepare_momentum(optimizer, base_momentum, max_momentum)
        super().__init__(optimizer, last_epoch)

    def _prepare_rates(self, optimizer: Optimizer, max_lr: Any, div_factor: float, final_div_factor: float) -> None:
        highest = one_for_each_group("OneCycleLR needs a max_lr", max_lr, optimizer)
        for group, rate in zip(optimizer.param_groups, highest, strict=True):
            first = rate / div_factor
            group.update(lr=first, initial_lr=first, max_lr=rate, min_lr=first / final_div_factor)

    def _prepare_momentum(self, optimizer: Optimizer, base_momentum: Any, max_momentum: Any) -> None:
        lows, highs = momentum_bounds("OneCycleLR", optimizer, base_momentum, max_momentum)
        for group, low, high in zip(optimizer.param_groups, lows, highs, strict=True):
            group.update(base_momentum=low, max_momentum=high)

    def _phases(self) -> list[Phase]:
        top, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        up: Phase = (top, "initial_lr", "max_lr", "max_momentum", "base_momentum")
        if not self.three_phase:
            return [up, (last, "max_lr", "min_lr", "base_momentum", "max_momentum")]
        down: Phase = (2 * top, "max_lr", "initial_lr", "base_momentum", "max_momentum")
        return [up, down, (last, "initial_lr", "min_lr", "max_momentum", "max_momentum")]

    def _phase(self) -> tuple[Phase, float]:
        """The phase of this step, and which share of it has passed."""
        start, phases = 0.0, self._phases()
        for phase in phases:
            if self.last_epoch <= phase[0] or phase is phases[-1]:
                break
            start = phase[0]
        length = phase[0] - start
        return phase, min(1.0, (self.last_epoch - start) / length) if length else 1.0

    def get_lr(self) -> list[float]:
        """The rates for this step."""
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"OneCycleLR: this is step {self.last_epoch} of a cycle of {self.total_steps}: "
                f"give it the number of all steps, or do not step it after them"
            )
        (_, first, last, _, _), share = self._phase()
        return [self._between(group[first], group[last], share) for group in self.optimizer.param_groups]

    def _set_rates(self) -> None:
        super()._set_rates()
        if self.cycle_momentum:
            (_, _, _, first, last), share = self._phase()
            for group in self.optimizer.param_groups:
                set_momentum(group, self._between(group[first], group[last], share))

    def _between(self, first: float, last: float, share: float) -> float:
        if self.anneal_strategy == "cos":
            return last + (first - last) / 2 * (1 + math.cos(math.pi * share))
        return first + (last - first) * share


def _total(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is not None:
        return at_least(1, "OneCycleLR: total_steps", total_steps)
    if epochs is None or steps_per_epoch is None:
        raise ValueError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
    return at_least(1, "OneCycleLR: epochs", epochs) * at_least(1, "OneCycleLR: steps_per_epoch", steps_per_epoch)
