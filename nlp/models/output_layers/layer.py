"""What every output layer gives: scores to write with, an exact loss to judge by, an objective to train with.

Shapes: N rows of features, H features, V words in the vocabulary.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad import Tensor, ne, nn, where
from nlp.errors import NlpError
from nlp.text import IGNORED

__all__ = ["OutputLayer", "frequencies", "reduced", "scored"]


class OutputLayer(nn.Module):
    """From features (N, H) to a distribution over V words.

    Every layer is built as `Layer(features, vocabulary, counts)`, where `counts` (V) says how often each word occurs in
    the training text, None: all alike. What a layer makes of the counts is no part of its state dict: a layer that
    loads weights has to be built with the counts of the one that saved them, as it has to have its vocabulary.
    """

    @abstractmethod
    def forward(self, rows: Tensor) -> Tensor:
        """The scores (N, V) given rows (N, H): log-probabilities, up to a number that is the same for all V."""

    @abstractmethod
    def loss(self, rows: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
        """The exact cross-entropy (nats) of the words `target` (N) given rows (N, H); a target of -100 is not scored.

        `reduction`: "mean", "sum", or "none" for (N).
        """

    def objective(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What training makes small, and the mean loss (nats) to be shown of it."""
        loss = self.loss(rows, target)
        return loss, loss

    @abstractmethod
    def initialize(self, r: float) -> None:
        """Draw the weights from U(-r, r), and set the biases so that the layer starts as even as it can."""

    @abstractmethod
    def log_prior_(self, counts: ArrayLike) -> None:
        """Set the biases to foretell words as often as they occur: count + 1 over the sum of that, as far as the layer
        can without weights. For the start of training."""


def frequencies(counts: ArrayLike | None, vocabulary: int) -> NDArray[np.float64]:
    """How often each word occurs (V), at least once: what the text lacks must not be impossible.

    Raises NlpError where the counts are not those of the vocabulary.
    """
    found = np.ones(vocabulary) if counts is None else np.asarray(counts, dtype=np.float64)
    if found.shape != (vocabulary,) or not (np.isfinite(found) & (found >= 0)).all():
        raise NlpError(f"an output layer for {vocabulary} words needs as many counts from 0 on, got {found!r:.80}")
    return np.maximum(found, 1)


def scored(target: Tensor) -> tuple[Tensor, Tensor]:
    """Which targets (N) are scored, as bools, and the targets with word 0 in the place of the others."""
    counts = ne(target, IGNORED)
    return counts, where(counts, target, 0)


def reduced(losses: Tensor, counts: Tensor, reduction: str) -> Tensor:
    """The losses (N) with 0 for those that are not scored, their sum, or their mean over those that are."""
    losses = where(counts, losses, 0.0)
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / counts.sum()
