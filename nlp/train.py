"""Training a language model: truncated backpropagation through time, early stopping, the best weights kept.

The trainer is a generator of events: it yields a `Step` now and then and an `Epoch` after each pass, and whoever runs
it shows them, writes them down, or stops listening.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sized
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

import minigrad
from minigrad import Tensor, nn, optim
from nlp.errors import NlpError
from nlp.evaluate import evaluate, perplexity
from nlp.models.rnn_lm import RNNLM, detach

__all__ = ["DECAY", "OPTIMIZERS", "Batches", "Epoch", "Step", "Trainer"]

OPTIMIZERS = {"sgd": optim.SGD, "adam": optim.Adam, "adagrad": optim.Adagrad, "rmsprop": optim.RMSprop}
DECAY = 4.0  # what the learning rate is divided by after an epoch that did not help
REPORT_EVERY = 10  # steps; only then is the loss read, so that a GPU is not waited for in between


class Batches(Sized, Protocol):
    """What is trained on: pairs (input, target) of shape (T, B), in the order of the text."""

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]: ...


@dataclass(frozen=True)
class Step:
    """How training stands in the middle of an epoch; `loss` is the mean since the last report, in nats a token."""

    epoch: int
    step: int  # of the epoch, from 1
    steps: int  # in an epoch
    loss: float
    tokens_per_second: float


@dataclass(frozen=True)
class Epoch:
    """One pass over the training text, and what it was worth."""

    epoch: int  # from 1
    train_loss: float  # mean over the epoch, with dropout and while the weights moved
    valid_loss: float
    lr: float  # that the epoch was trained with
    tokens_per_second: float
    seconds: float  # since training began
    improved: bool
    end: str  # why training ends here; empty if it goes on

    @property
    def train_perplexity(self) -> float:
        """e to the training loss."""
        return perplexity(self.train_loss)

    @property
    def valid_perplexity(self) -> float:
        """e to the validation loss."""
        return perplexity(self.valid_loss)


class Trainer:
    """Trains `model`; `best` holds the weights of the epoch with the lowest validation loss.

    After an epoch that brought no lower validation loss the learning rate is divided by 4, after `patience` such epochs
    in a row training ends.

    Args:
        model: the language model, on its device.
        optimizer: "sgd", "adam", "adagrad" or "rmsprop"; `lr` is its learning rate.
        clip: the largest norm of the gradient of all parameters together (Pascanu, Mikolov and Bengio 2013); 0: any.
        patience: epochs without progress before training ends.
        max_minutes: training ends with the first step after that time; such a run depends on the machine's speed.
    """

    def __init__(
        self,
        model: RNNLM,
        *,
        optimizer: str = "adam",
        lr: float = 0.004,
        clip: float = 0.5,
        patience: int = 2,
        max_minutes: float | None = None,
    ) -> None:
        self.model = model
        self.optimizer = OPTIMIZERS[optimizer](model.parameters(), lr=lr)
        self.clip = clip
        self.patience = patience
        self.max_seconds = math.inf if max_minutes is None else 60 * max_minutes
        self.epoch = 0  # epochs done
        self.seconds = 0.0  # spent in them
        self.epochs_without_progress = 0
        self.best_loss = math.inf
        self.best: dict[str, Tensor] = {}

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self.optimizer.param_groups[0]["lr"]

    def train(self, train: Batches, valid: Batches, epochs: int) -> Iterator[Step | Epoch]:
        """Train until `epochs` epochs are done in all, or one of the other ends is reached; yields what happens.

        Raises NlpError when the loss is no longer a finite number.
        """
        end = ""
        while self.epoch < epochs and not end:
            began = time.perf_counter()
            train_loss, speed = yield from self._pass(train)
            valid_loss = self._finite(evaluate(self.model, valid).loss, "validation loss")
            improved = self._keep_if_best(valid_loss)
            lr = self.lr
            if not improved:
                self._slow_down()
            self.epoch += 1
            self.seconds += time.perf_counter() - began
            end = self._end(epochs)
            yield Epoch(self.epoch, train_loss, valid_loss, lr, speed, self.seconds, improved, end)

    def state_dict(self) -> dict[str, Any]:
        """All that decides how training goes on after the epochs done, the random generator included.

        A tree that `minigrad.save` takes. A trainer that loads it continues to the same bits.
        """
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": minigrad.default_generator.get_state(),
            "best": self.best,
            **{name: getattr(self, name) for name in _PROGRESS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, with a model and an optimizer of the same kind."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        minigrad.default_generator.set_state(state["random"])
        self.best = state["best"]
        for name in _PROGRESS:
            setattr(self, name, state[name])

    def _pass(self, batches: Batches) -> Generator[Step, None, tuple[float, float]]:
        """Train once on all batches; yields Steps, returns the mean loss and the speed in tokens a second."""
        self.model.train()
        device = self.model.decoder.weight.device
        meter = _Meter(self.epoch + 1, len(batches))
        state = None
        for input, target in batches:
            on_device = (minigrad.tensor(input, device=device), minigrad.tensor(target, device=device))
            loss, state = self._step(*on_device, state)
            meter.add(loss, target.size)
            late = self.seconds + meter.elapsed() > self.max_seconds
            if late or meter.step % REPORT_EVERY == 0 or meter.step == len(batches):
                step = meter.report()
                self._finite(step.loss, "loss")
                yield step
            if late:
                break
        return meter.mean(), meter.speed()

    def _step(self, input: Tensor, target: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One update of the weights from T time steps; the state goes on to the next T, its history does not."""
        self.optimizer.zero_grad()
        loss, state = self.model.loss(input, target, state)
        loss.backward()
        if self.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        return loss.detach(), detach(state)

    def _finite(self, loss: float, name: str) -> float:
        if not math.isfinite(loss):
            raise NlpError(
                f"training broke off: the {name} became {loss} in epoch {self.epoch + 1}; "
                f"lower --lr ({self.lr:g}) or --clip ({self.clip:g})"
            )
        return loss

    def _keep_if_best(self, valid_loss: float) -> bool:
        if valid_loss >= self.best_loss:
            self.epochs_without_progress += 1
            return False
        self.epochs_without_progress = 0
        self.best_loss = valid_loss
        self.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        return True

    def _slow_down(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] /= DECAY

    def _end(self, epochs: int) -> str:
        if self.seconds > self.max_seconds:
            return "the time is up"
        if self.epochs_without_progress >= self.patience:
            return f"no progress for {self.patience} epochs" if self.patience > 1 else "no progress"
        return "all epochs are done" if self.epoch == epochs else ""


_PROGRESS = ("epoch", "seconds", "epochs_without_progress", "best_loss")


class _Meter:
    """Adds up the losses of an epoch on the device, and reads the sum only when a report is made."""

    def __init__(self, epoch: int, steps: int) -> None:
        self.epoch, self.steps, self.step = epoch, steps, 0
        self.total, self.tokens = 0.0, 0  # up to the last report, and up to now
        self.unread: Tensor | None = None  # the sum since the last report
        self.unread_tokens = 0
        self.began = time.perf_counter()

    def add(self, loss: Tensor, tokens: int) -> None:
        """One more step, with the mean loss of its tokens."""
        self.unread = loss * tokens if self.unread is None else self.unread + loss * tokens
        self.unread_tokens += tokens
        self.tokens += tokens
        self.step += 1

    def report(self) -> Step:
        """What was added since the last report, of which there is at least one step."""
        assert self.unread is not None
        since = self.unread.item()
        loss = since / self.unread_tokens
        self.total += since
        self.unread, self.unread_tokens = None, 0
        return Step(self.epoch, self.step, self.steps, loss, self.speed())

    def mean(self) -> float:
        """The mean loss up to the last report."""
        return self.total / self.tokens

    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / self.elapsed()

    def elapsed(self) -> float:
        """Seconds since the epoch began."""
        return max(time.perf_counter() - self.began, 1e-9)
