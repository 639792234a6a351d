"""One training of a study: nlp's trainer run to its end, and what happened on the way as lists of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from minigrad import nn
from nlp.config import Config
from nlp.errors import NotFiniteError
from nlp.evaluation.scoring import perplexity
from nlp.models.rnn_lm import RNNLM
from nlp.studies.result import Ask
from nlp.tasks import task_of
from nlp.text import Prepared
from nlp.training.events import Epoch, Step
from nlp.training.trainer import Trainer

__all__ = ["Curve", "part_of", "recurrent_weight", "spectral_radius", "start", "train"]


@dataclass
class Curve:
    """A training as far as it came. Losses in nats a token; times in seconds of training by the clock on the wall.

    Every ten updates: `updates`, `losses` (the mean of the ten, with dropout), `norms` (the largest of the gradient,
    before clipping), `radii` (the spectral radius of W_h, where it is square). After every epoch: `valid_updates`,
    `valid_seconds`, `train_losses`, `valid_losses`. `broke` says why training broke off, empty if it did not; `stopped`
    whether it was told to end before the last epoch.
    """

    name: str
    updates: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    radii: list[float] = field(default_factory=list)
    valid_updates: list[int] = field(default_factory=list)
    valid_seconds: list[float] = field(default_factory=list)
    train_losses: list[float] = field(default_factory=list)
    valid_losses: list[float] = field(default_factory=list)
    broke: str = ""
    stopped: bool = False

    @property
    def best(self) -> float:
        """The lowest validation perplexity after any epoch; infinite where training broke off before the first."""
        return min(map(perplexity, self.valid_losses), default=math.inf)

    @property
    def last(self) -> float:
        """The validation perplexity at the end; infinite where training broke off."""
        return perplexity(self.valid_losses[-1]) if self.valid_losses and not self.broke else math.inf


def start(config: Config, prepared: Prepared) -> tuple[Trainer, RNNLM]:
    """A trainer and its recurrent model with fresh weights: the same for the same configuration and vocabulary."""
    trainer = task_of(config).make_trainer(config, prepared.vocabulary)
    assert isinstance(trainer.model, RNNLM)  # the only kind that studies configure
    return trainer, trainer.model


def part_of(ask: Ask, what: str, number: int, count: int) -> Callable[[float], bool]:
    """What asks of one training of several, from the share that is done of it, whether to go on."""
    return lambda share: ask(what, (number + share) / count)


def train(name: str, trainer: Trainer, config: Config, prepared: Prepared, going: Callable[[float], bool]) -> Curve:
    """Train to the end, until the numbers break, or until `going(share done)` is false; every one sees equal batches.

    The trainer's model is then as training left it, not at its best.
    """
    curve = Curve(name)
    model = trainer.model
    windows, valid = task_of(config).windows(config, prepared)
    try:
        for event in trainer.train(windows, valid):
            if isinstance(event, Step):
                curve.updates.append(event.update)
                curve.losses.append(event.loss)
                curve.norms.append(event.gradient_norm)
                if isinstance(model, RNNLM) and isinstance(model.layers[0], nn.RNN):
                    curve.radii.append(spectral_radius(recurrent_weight(model)))
            elif isinstance(event, Epoch):
                curve.valid_updates.append(trainer.update)
                curve.valid_seconds.append(event.seconds)
                curve.train_losses.append(event.train_loss)
                curve.valid_losses.append(event.valid_loss)
            elif not going(min((event.epoch - 1 + event.step / event.steps) / config.epochs, 1.0)):
                curve.stopped = True
                break
    except NotFiniteError as error:
        curve.broke = str(error)
    return curve


def recurrent_weight(model: RNNLM) -> np.ndarray:
    """W_h of a model of one layer, (H, H); of a GRU and an LSTM the gates' one below the other, (K * H, H)."""
    return model.layers[0].weight_hh_l0.detach().cpu().numpy()


def spectral_radius(weight: np.ndarray) -> float:
    """The largest absolute value of an eigenvalue of a square matrix; infinite where it is not all finite."""
    if not np.isfinite(weight).all():
        return math.inf
    return float(np.abs(np.linalg.eigvals(weight.astype(np.float64))).max())
