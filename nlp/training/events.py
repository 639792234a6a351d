"""What a training run yields while it goes on."""

from __future__ import annotations

from dataclasses import dataclass

from nlp.evaluation.scoring import perplexity

__all__ = ["Epoch", "Step", "Tick"]


@dataclass(frozen=True)
class Tick:
    """One update of the weights, or one batch of validation, is done."""

    epoch: int
    step: int  # time steps of the text read in this epoch
    steps: int  # that the epoch has
    validating: bool = False


@dataclass(frozen=True)
class Step:
    """How training stands in the middle of an epoch; `loss` is the mean since the last report, in nats a token."""

    epoch: int
    step: int  # time steps of the text read in this epoch
    steps: int  # that the epoch has
    update: int  # updates of the weights, from the start of training
    loss: float
    lr: float
    gradient_norm: float  # the largest since the last report, before clipping
    tokens_per_second: float
    seconds: float  # since training began


@dataclass(frozen=True)
class Epoch:
    """One pass over the training text, and what it was worth."""

    epoch: int  # from 1
    train_loss: float  # mean over the epoch, with dropout and while the weights moved
    valid_loss: float
    lr: float  # that the epoch was trained with, in its last update
    tokens_per_second: float
    seconds: float  # since training began
    improved: bool
    averaged: bool  # whether the validated weights are an average (NT-ASGD)
    end: str  # why training ends here; empty if it goes on

    @property
    def train_perplexity(self) -> float:
        """e to the training loss."""
        return perplexity(self.train_loss)

    @property
    def valid_perplexity(self) -> float:
        """e to the validation loss."""
        return perplexity(self.valid_loss)
