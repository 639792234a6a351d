"""LRScheduler: the base of all schedules that count epochs."""

from __future__ import annotations

import warnings
from typing import Any

from minigrad.optim.optimizer import Optimizer


class LRScheduler:
    """The base: counts epochs, and puts what `get_lr()` says into the optimizer's groups.

    Each group's first rate is kept in it as "initial_lr". `last_epoch=-1` starts anew.

    Raises TypeError for something that is no optimizer, KeyError for a resumed one whose groups have no "initial_lr".
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(type(self).__name__, optimizer)
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"parameter group {number} has no 'initial_lr', which a scheduler resumed at {last_epoch=} "
                    f"needs: load the optimizer's state dict first, or start with last_epoch=-1"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._resuming = last_epoch >= 0  # the groups' rates may be those of the epoch to come already
        self._begin()
        self._resuming = self._stepped = False

    def get_lr(self) -> list[float]:
        """The rates for epoch `last_epoch`, one for each group, from the groups' present ones."""
        raise NotImplementedError(f"{type(self).__name__} must define get_lr()")

    def get_last_lr(self) -> list[float]:
        """The rates set last, one for each group."""
        return list(self._last_lr)

    def step(self) -> None:
        """Go on to the next epoch."""
        self._check_order()
        self._advance()

    def _check_order(self) -> None:
        """Warn the caller of `step()` if the optimizer has not stepped yet."""
        if not self._stepped and self.optimizer.steps_taken == 0:
            warnings.warn(
                "scheduler.step() came before the first optimizer.step(), so the first learning rate was never used: "
                "call it after the optimizer's",
                stacklevel=3,
            )
        self._stepped = True

    def _begin(self) -> None:
        """Go to the first epoch: a new schedule's rates are set at once."""
        self._advance()

    def _advance(self) -> None:
        self.last_epoch += 1
        self._set_rates()

    def _set_rates(self) -> None:
        """Put the rates of epoch `last_epoch` into the groups."""
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate
        self._last_lr = self._rates()

    def _restart(self) -> None:
        """Begin anew from the initial rates: what `SequentialLR` does when this one's turn comes."""
        for group, rate in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = rate
        self._rewind()
        self._advance()

    def _rewind(self) -> None:
        """Go back to before epoch 0; the rates stay."""
        self.last_epoch = -1

    def _rates(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, which has a state dict of its own."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state dict, of this library or of PyTorch."""
        self.__dict__.update(state_dict)


def check_optimizer(name: str, optimizer: Any) -> None:
    """Raise TypeError, in the name of a schedule, for something that is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{name} takes an optimizer, got {type(optimizer).__name__}")


def one_for_each_group(what: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """A list of one value for each group, from such a list or from one value for all; ValueError for other lengths."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{what} for each of {groups} groups, got {len(values)}")
    return values


def at_least(least: int, what: str, value: int) -> int:
    """The value, or ValueError if it is no whole number of epochs."""
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{what} must be a whole number of at least {least}, got {value!r}")
    return value
