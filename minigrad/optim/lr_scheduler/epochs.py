"""Schedules that are a formula of the epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from minigrad.optim.lr_scheduler.base import LRScheduler, at_least, check_optimizer, one_for_each_group
from minigrad.optim.optimizer import Optimizer


class StepLR(LRScheduler):
    """Multiply the rates by `gamma` every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = at_least(1, "StepLR: step_size", step_size), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates for this epoch."""
        due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return [rate * self.gamma if due else rate for rate in self._rates()]


class MultiStepLR(LRScheduler):
    """Multiply the rates by `gamma` at each of the epochs `milestones`, once for each time an epoch is among them."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates for this epoch."""
        times = self.milestones.count(self.last_epoch)
        return [rate * self.gamma**times for rate in self._rates()]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state dict; in PyTorch's, the milestones are counted: {epoch: times}."""
        super().load_state_dict(state_dict)
        if isinstance(self.milestones, Mapping):
            counts = self.milestones.items()
            self.milestones = sorted(int(epoch) for epoch, times in counts for _ in range(times))


class ExponentialLR(LRScheduler):
    """Multiply the rates by `gamma` every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates for this epoch."""
        change = 1.0 if self._resuming or self.last_epoch == 0 else self.gamma
        return [rate * change for rate in self._rates()]


class _ByFunction(LRScheduler):
    """What the schedules by a function share: one function for each group, none of which is in the state dict."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | list[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(type(self).__name__, optimizer)
        self.lr_lambdas = one_for_each_group(f"{type(self).__name__} needs a function", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and the functions."""
        return {name: value for name, value in super().state_dict().items() if name != "lr_lambdas"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state dict, with the functions given here: PyTorch's has a None in the place of each."""
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "lr_lambdas"})


class LambdaLR(_ByFunction):
    """The initial rates times a function of the epoch, or one function for each group.

    A function is not part of the state dict: give the same ones when resuming.
    """

    def get_lr(self) -> list[float]:
        """The rates for this epoch."""
        return [base * factor(self.last_epoch) for base, factor in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(_ByFunction):
    """Multiply the rates at each epoch but the first by a function of it, or by one function for each group.

    A function is not part of the state dict: give the same ones when resuming. As a later part of a `SequentialLR` it
    starts from the initial rates as every part does; PyTorch's goes on from the present ones.
    """

    def get_lr(self) -> list[float]:
        """The rates for this epoch."""
        if self._resuming or self.last_epoch == 0:
            return self._rates()
        return [rate * factor(self.last_epoch) for rate, factor in zip(self._rates(), self.lr_lambdas, strict=True)]


class ConstantLR(LRScheduler):
    """The rates times `factor` for the first `total_iters` epochs, then the rates themselves.

    With `total_iters=0` the factor stays, as in PyTorch, since it is taken off at a later epoch or not at all; only as
    a later part of a `SequentialLR` PyTorch leaves it out then, and this one does not.
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0 < factor <= 1:
            raise ValueError(f"ConstantLR: factor must be above 0 and at most 1, got {factor}")
        self.factor, self.total_iters = factor, at_least(0, "ConstantLR: total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates for this epoch."""
        change = {self.total_iters: 1 / self.factor, 0: self.factor}.get(self.last_epoch, 1.0)
        return [rate * change for rate in self._rates()]


class LinearLR(LRScheduler):
    """The rates times a factor that goes straight from `start_factor` to `end_factor` in `total_iters` epochs.

    With the defaults a warm-up: from a third of the rates to all of them. With `total_iters=0` the first factor stays,
    as in PyTorch.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearLR: start_factor must be above 0 and at most 1, got {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: end_factor must be between 0 and 1, got {end_factor}")
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = at_least(0, "LinearLR: total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates for this epoch."""
        if self.last_epoch == 0:
            return [rate * self.start_factor for rate in self._rates()]
        if self._resuming or self.last_epoch > self.total_iters:
            return self._rates()
        change = self._factor(self.last_epoch) / self._factor(self.last_epoch - 1)
        return [rate * change for rate in self._rates()]

    def _factor(self, epoch: int) -> float:
        return self.start_factor + (self.end_factor - self.start_factor) * epoch / self.total_iters


class PolynomialLR(LRScheduler):
    """From the rates down to 0 in `total_iters` epochs, where they stay.

        lr = base_lr * (1 - epoch / total_iters)^power

    With `total_iters=0` the rates stay what they are, as in PyTorch.
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        if not power >= 0:
            raise ValueError(f"PolynomialLR: power must be at least 0, got {power}")
        self.total_iters, self.power = at_least(0, "PolynomialLR: total_iters", total_iters), power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates for this epoch."""
        if self._resuming or self.last_epoch == 0 or self.last_epoch > self.total_iters:
            return self._rates()
        change = (self._left(self.last_epoch) / self._left(self.last_epoch - 1)) ** self.power
        return [rate * change for rate in self._rates()]

    def _left(self, epoch: int) -> float:
        return 1 - epoch / self.total_iters


class CosineAnnealingLR(LRScheduler):
    """Half a wave of the cosine from the rates to `eta_min` in `T_max` epochs, and back in as many.

    Loshchilov & Hutter, ICLR 2017, without their restarts:

        lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * epoch / T_max)) / 2
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = at_least(1, "CosineAnnealingLR: T_max", T_max), eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates for this epoch: the distance to `eta_min` changes as the cosine's does."""
        if self._resuming or self.last_epoch == 0:
            return self._rates()
        before, now = self._height(self.last_epoch - 1), self._height(self.last_epoch)
        if (self.last_epoch - 1) % (2 * self.T_max) == self.T_max:  # up from the lowest point, where there is no ratio
            return [rate + (base - self.eta_min) * now for rate, base in zip(self._rates(), self.base_lrs, strict=True)]
        return [self.eta_min + (rate - self.eta_min) * now / before for rate in self._rates()]

    def _height(self, epoch: int) -> float:
        return (1 + math.cos(math.pi * epoch / self.T_max)) / 2
