"""Schedules made of schedules: one after another, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from minigrad.optim.lr_scheduler.base import LRScheduler
from minigrad.optim.optimizer import Optimizer


class _Several(LRScheduler):
    """What they share: parts of the same optimizer, which are stepped here, and whose state dicts lie in this one's."""

    def __init__(self, optimizer: Optimizer, schedulers: Iterable[LRScheduler], last_epoch: int = -1) -> None:
        self._schedulers, name = list(schedulers), type(self).__name__
        for place, scheduler in enumerate(self._schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise ValueError(
                    f"{name} steps schedules of the epoch alone, and schedule {place} is a "
                    f"{type(scheduler).__name__}: step that one itself"
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"{name}: schedule {place} belongs to another optimizer")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, with the state dicts of the schedules in it."""
        return super().state_dict() | {"_schedulers": [one.state_dict() for one in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state dict."""
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "_schedulers"})


class SequentialLR(_Several):
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
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR needs a milestone before each schedule but the first, "
                f"got {len(schedulers)} schedules and {len(milestones)} milestones"
            )
        self._milestones = milestones
        super().__init__(optimizer, schedulers, last_epoch)

    def _advance(self) -> None:
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[turn]
        if self.last_epoch == (self._milestones[turn - 1] if turn else 0):
            scheduler._restart()
        else:
            scheduler._advance()
        self._last_lr = self._rates()


class ChainedScheduler(_Several):
    """All schedules at every epoch, one upon what the other has set: those that multiply make a product of factors.

        scheduler = ChainedScheduler([LinearLR(optimizer), ExponentialLR(optimizer, gamma=0.9)])

    Args:
        schedulers: of one optimizer; only this one is to be stepped.
        optimizer: theirs, if it is to be said.
    """

    def __init__(self, schedulers: Iterable[LRScheduler], optimizer: Optimizer | None = None) -> None:
        schedulers = list(schedulers)
        if not schedulers:
            raise ValueError("ChainedScheduler got no schedules: give it at least one")
        # What has no optimizer is no schedule, and refused as such.
        theirs: Any = getattr(schedulers[0], "optimizer", None) if optimizer is None else optimizer
        super().__init__(theirs, schedulers)

    def _begin(self) -> None:
        """Take the rates as they are: each schedule has set its first ones when it was made."""
        self.last_epoch = 0
        self._last_lr = self._rates()

    def _advance(self) -> None:
        self.last_epoch += 1
        for scheduler in self._schedulers:
            scheduler._advance()
        self._last_lr = self._rates()

    def _rewind(self) -> None:
        super()._rewind()
        for scheduler in self._schedulers:
            scheduler._rewind()
