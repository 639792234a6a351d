"""Training a model that counts: one reading of the text, in the place of many passes with gradients."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable
from typing import Any

import numpy as np

from minigrad import Tensor
from nlp.evaluation.scoring import evaluation_steps
from nlp.models.ngram import NGramLM
from nlp.text import EvaluationBatches
from nlp.text.batches import Ids
from nlp.training.events import Epoch, Tick

__all__ = ["CountingTrainer"]

PLACES = 1 << 16  # of the training text that are judged at once


class CountingTrainer:
    """Has `model` count a text, with the face of `Trainer`; `best` holds the counts once they are there.

    Counting is one epoch. If it is broken off it begins again, as it takes seconds.

    Args:
        model: the n-gram model.
    """

    def __init__(self, model: NGramLM) -> None:
        self.model = model
        self.epoch = 0  # 1 once everything is counted
        self.update = 0  # the same: what has been counted is one update of the model
        self.seconds = 0.0
        self.best_loss = math.inf
        self.valid_losses: list[float] = []
        self.best: dict[str, Tensor] = {}

    def train(self, ids: Ids, valid: Iterable[tuple[np.ndarray, np.ndarray]]) -> Generator[Tick | Epoch, None, None]:
        """Count the training text `ids` (N,), in its order, and judge the model on it and on the batches `valid`.

        A `Tick` after each order that is counted and after each batch that is judged, at the end the `Epoch`; nothing
        where everything is counted already. The training loss is that of the tokens after the first, foretold by counts
        that they are part of. A loss is infinite where the smoothing leaves a token impossible. Raises NlpError as
        `NGramLM.count` does.
        """
        if self.epoch:
            return
        began = time.perf_counter()
        for order in self.model.counting_steps(ids):
            yield Tick(1, len(ids) * order // self.model.order, len(ids))
        self.seconds = time.perf_counter() - began
        speed = len(ids) / max(self.seconds, 1e-9)
        train_loss = math.nan
        if len(ids) > 1:
            train_loss = yield from self._judge(EvaluationBatches(ids, 1, PLACES), len(ids))
        valid_loss = yield from self._judge(valid, len(ids))
        self.best = self.model.state_dict()
        self.epoch = self.update = 1
        self.best_loss, self.valid_losses = valid_loss, [valid_loss]
        self.seconds = time.perf_counter() - began
        yield Epoch(
            epoch=1,
            train_loss=train_loss,
            valid_loss=valid_loss,
            lr=0.0,
            tokens_per_second=speed,
            seconds=self.seconds,
            improved=True,
            averaged=False,
            end="all n-grams are counted",
        )

    def _judge(self, batches: Iterable[tuple[np.ndarray, np.ndarray]], steps: int) -> Generator[Tick, None, float]:
        judging = evaluation_steps(self.model, batches)
        while True:
            try:
                next(judging)
            except StopIteration as done:
                return done.value.loss
            yield Tick(1, steps, steps, validating=True)

    def state_dict(self) -> dict[str, Any]:
        """The model and how good it is, in a tree that `minigrad.save` takes. Once everything is counted,
        the tables are in it once, as the model and the best are the same tensors."""
        return {
            "model": self.best or self.model.state_dict(),
            "best": self.best,
            **{name: getattr(self, name) for name in _PROGRESS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken: with everything counted, or from the beginning."""
        self.model.load_state_dict(state["model"])
        self.best = self.model.state_dict() if state["best"] else {}
        for name in _PROGRESS:
            setattr(self, name, state[name])


_PROGRESS = ("epoch", "update", "seconds", "best_loss", "valid_losses")
