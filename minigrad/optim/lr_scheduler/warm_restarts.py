"""The cosine schedule that starts again and again."""

from __future__ import annotations

import math

from minigrad.optim.lr_scheduler.base import LRScheduler, at_least
from minigrad.optim.optimizer import Optimizer


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half waves of the cosine from the rates to `eta_min`, one after another (Loshchilov & Hutter, ICLR 2017).

        lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2

    T_cur is how many epochs the present wave has lasted, T_i how long it is: `T_0` epochs for the first, and `T_mult`
    times the one before for each further one. Begun at a later `last_epoch` it is in that epoch's wave, where PyTorch
    knows the first two waves only.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_0 = at_least(1, "CosineAnnealingWarmRestarts: T_0", T_0)
        self.T_mult = at_least(1, "CosineAnnealingWarmRestarts: T_mult", T_mult)
        self.eta_min = eta_min
        self.T_cur, self.T_i = self._wave(last_epoch)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates for this epoch."""
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go on to the next epoch, or to `epoch`, which may be a fraction: `epoch + batch / batches` after a batch.

        Raises ValueError for an epoch below 0.
        """
        self._check_order()
        if epoch is None:
            self._advance()
            return
        if not 0 <= epoch < math.inf:
            raise ValueError(f"CosineAnnealingWarmRestarts: epoch must be a number of at least 0, got {epoch}")
        self.last_epoch = math.floor(epoch)
        self.T_cur, self.T_i = self._wave(epoch)
        self._set_rates()

    def _advance(self) -> None:
        self.last_epoch += 1
        self.T_cur += 1
        if self.T_cur >= self.T_i:
            self.T_cur, self.T_i = self.T_cur - self.T_i, self.T_i * self.T_mult
        self._set_rates()

    def _rewind(self) -> None:
        super()._rewind()
        self.T_cur, self.T_i = self._wave(self.last_epoch)

    def _wave(self, epoch: float) -> tuple[float, int]:
        """How long an epoch's wave has lasted by then, and how long it is."""
        passed, length = epoch, self.T_0
        while passed >= length:
            passed, length = passed - length, length * self.T_mult
        return passed, length
