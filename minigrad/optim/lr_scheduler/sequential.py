"""One schedule after another."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from minigrad.optim.lr_scheduler.base import LRScheduler
from minigrad.optim.optimizer import Optimizer


class SequentialLR(LRScheduler):
    """Each schedule from its milestone on, which it counts as its epoch 0, starting from the initial rates.

        warmup, decay = LinearLR(optimizer), CosineAnnealingLR(optimizer, T_max=95)
        scheduler = SequentialLR(optimizer, [warmup, decay], milestones=[5])

    Args:
        schedulers: of this optimizer; only this one is to be stepped.
        milestones: the epochs at which the second, the third ... begins.
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        for place, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise ValueError(
                    f"SequentialLR steps schedules of the epoch alone, and schedule {place} is a "
                    f"{type(scheduler).__name__}: step that one itself"
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: schedule {place} belongs to another optimizer")
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR needs a milestone before each schedule but the first, "
                f"got {len(schedulers)} schedules and {len(milestones)} milestones"
            )
        self._schedulers, self._milestones = schedulers, milestones
        super().__init__(optimizer, last_epoch)

    def _advance(self) -> None:
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[turn]
        if self.last_epoch == (self._milestones[turn - 1] if turn else 0):
            scheduler._restart()
        else:
            scheduler._advance()
        self._last_lr = self._rates()

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, with the state dicts of the schedules in it."""
        return super().state_dict() | {"_schedulers": [one.state_dict() for one in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state dict."""
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "_schedulers"})
