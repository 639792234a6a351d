"""Training a model: truncated backpropagation through time, early stopping, the best weights kept.

The trainer is a generator of events: it yields a `Tick` after every update, a `Step` now and then and an `Epoch` after
each pass, and whoever runs it shows them, writes them down, saves the trainer's state, or stops listening. Whenever it
has yielded, `state_dict` holds all that decides how it goes on, to the bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

import minigrad
from minigrad import Tensor, nn, optim
from minigrad.optim import lr_scheduler
from nlp.errors import NotFiniteError
from nlp.evaluation.scoring import evaluation_steps
from nlp.models.token_model import State, detach
from nlp.training.events import Epoch, Step, Tick
from nlp.training.meter import Meter

__all__ = ["OPTIMIZERS", "SCHEDULES", "Trainer", "Windows"]

OPTIMIZERS: dict[str, type[optim.Optimizer]] = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "nadam": optim.NAdam,
    "adagrad": optim.Adagrad,
    "adadelta": optim.Adadelta,
    "rmsprop": optim.RMSprop,
}
SCHEDULES = ("plateau", "constant", "exponential", "cosine", "linear")
REPORT_EVERY = 10  # updates; on a GPU only then is the loss read, so that it is not waited for in between


class Windows(Protocol):
    """What is trained on: a text in streams side by side, or anything else in an order, taken a window at a time."""

    bptt: int  # the usual length of a window
    steps: int  # that an epoch has: of a text, how many tokens of a stream there are to foretell
    batch_size: int  # streams side by side, or how many tokens a step stands for

    def window(self, start: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """(input, target) as the model's `objective` takes them, for `length` steps from `start` on, not past the end.

        What is drawn at random is drawn from `minigrad.default_generator`, which is kept in checkpoints; what else
        decides the windows to come is in `state_dict`, for windows that have one, and `load_state_dict`.
        """


class Trainer:
    """Trains `model`; `best` holds the weights of the epoch with the lowest validation loss.

    Args:
        model: what is trained, on its device: it has the `objective` and `loss` of a `TokenModel`.
        optimizer: one of `OPTIMIZERS`; `lr`, `momentum` and `weight_decay` are its settings.
        schedule: how the learning rate falls: "plateau" divides it by `decay` after an epoch that brought no lower
            validation loss, "exponential" after every epoch from the `decay_after`-th on, "cosine" takes it to 0 over
            `epochs`, "linear" too, but with every update (Mikolov et al. 2013), "constant" leaves it.
        bptt_drawn: draw the length of every window around the batches' `bptt` and scale the learning rate with it
            (Merity, Keskar and Socher 2018, section 4.1).
        clip: the largest norm of the gradient of all parameters together (Pascanu, Mikolov and Bengio 2013); 0: any;
            None: any, and no option of the user's.
        nt_asgd: n > 0: change from sgd to averaged sgd once the validation loss is above the least one of n epochs
            before (the same, algorithm 1); the average is validated and kept.
        patience: epochs without progress before training ends; 0: it goes on.
        epochs: passes over the text.
        keep_last: `best` holds the weights of the last epoch instead, for a model whose validation loss, over another
            text, does not tell how good it is; training does not end early.
        max_minutes: training ends with the first update after that time; such a run depends on the machine's speed.
    """

    def __init__(
        self,
        model: Any,
        *,
        optimizer: str = "adam",
        lr: float = 0.004,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        schedule: str = "plateau",
        decay: float = 4.0,
        decay_after: int = 0,
        bptt_drawn: bool = False,
        clip: float | None = 0.5,
        nt_asgd: int = 0,
        patience: int = 2,
        epochs: int = 12,
        keep_last: bool = False,
        max_minutes: float | None = None,
    ) -> None:
        self.model = model
        extra = {"momentum": momentum} if momentum else {}
        make: Any = OPTIMIZERS[optimizer]
        self.optimizer: optim.Optimizer = make(model.parameters(), lr=lr, weight_decay=weight_decay, **extra)
        self.schedule, self.decay, self.decay_after, self.epochs = schedule, decay, decay_after, epochs
        self.scheduler = self._scheduler()
        self.bptt_drawn, self.clip, self.nt_asgd, self.patience = bptt_drawn, clip, nt_asgd, patience
        self.keep_last = keep_last
        self.max_seconds = math.inf if max_minutes is None else 60 * max_minutes
        # How far training has come. All of it is in state_dict.
        self.epoch = 0  # epochs done
        self.position = 0  # time steps of the next epoch done
        self.update = 0  # updates of the weights
        self.seconds = 0.0  # spent in training
        self.epochs_without_progress = 0
        self.best_loss = math.inf
        self.valid_losses: list[float] = []
        self.averaging = False
        self.best: dict[str, Tensor] = {}
        self._left = 1.0  # of the learning rate, where it falls with every update
        self._windows: Any = None  # what is trained on
        self._windows_state: Any = None  # of a checkpoint, until they are there
        self._state: State = None  # carried from window to window
        self._meter = Meter()
        self._unaveraged: dict[str, Tensor] | None = None  # while the average stands in for them

    @property
    def lr(self) -> float:
        """The learning rate of the next update, but for what "linear" leaves of it."""
        return self.optimizer.param_groups[0]["lr"]

    # ---- going on ---------------------------------------------------------------------------------------------------

    def train(
        self, train: Windows, valid: Iterable[tuple[np.ndarray, np.ndarray]]
    ) -> Generator[Tick | Step | Epoch, None, None]:
        """Train until all epochs are done, or one of the other ends is reached; yields what happens.

        Raises NotFiniteError when the loss or the gradient is no longer a finite number, saying where.
        """
        self._clock = time.perf_counter()
        self._windows = train
        if self._windows_state is not None:
            self._windows.load_state_dict(self._windows_state)
            self._windows_state = None
        while not self._end():
            yield from self._pass(train)
            train_loss, speed = self._meter.mean(), self._meter.speed()
            valid_loss = yield from self._validate(valid, train.steps)
            averaged, lr = self.averaging, self.lr * self._left
            improved = self._keep_if_best(valid_loss)
            self._slow_down(valid_loss)
            self._average_if_stuck(valid_loss)
            self.epoch, self.position, self._state, self._meter = self.epoch + 1, 0, None, Meter()
            yield Epoch(self.epoch, train_loss, valid_loss, lr, speed, self._elapsed(), improved, averaged, self._end())

    def _pass(self, windows: Windows) -> Iterator[Tick | Step]:
        """Read the rest of the epoch, with an update after every window."""
        self.model.train()
        while self.position < windows.steps:
            began = time.perf_counter()
            length = self._drawn_length(windows.bptt) if self.bptt_drawn else windows.bptt
            length = min(length, windows.steps - self.position)
            input, target = windows.window(self.position, length)
            share = length / windows.bptt if self.bptt_drawn else 1.0
            self._left = self._remaining(windows.steps)
            loss, norm = self._update(input, target, share * self._left)
            self.position += length
            self.update += 1
            self._meter.add(loss, norm, length * windows.batch_size, time.perf_counter() - began)
            late = self._elapsed() > self.max_seconds
            if late or self.position >= windows.steps or self.update % REPORT_EVERY == 0:
                yield self._report(windows.steps)
            yield Tick(self.epoch + 1, self.position, windows.steps)
            if late:
                break

    def _update(self, input: np.ndarray, target: np.ndarray, share: float) -> tuple[Tensor, Tensor]:
        """One update of the weights from T time steps; the state goes on to the next T, its history does not."""
        device = self.model.device
        self.optimizer.zero_grad()
        objective, loss, state = self.model.objective(
            minigrad.tensor(input, device=device), minigrad.tensor(target, device=device), self._state
        )
        objective.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.clip or math.inf)
        if device.type == "cpu" and not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
            raise self._broken(self.update + 1, loss.item())  # before the weights are spoilt
        with self._scaled_rate(share):
            self.optimizer.step()
        self._state = detach(state)
        return loss.detach(), norm

    def _remaining(self, steps: int) -> float:
        """What is left of the learning rate where it falls linearly to the end of training."""
        return 1 - (self.epoch + self.position / steps) / self.epochs if self.schedule == "linear" else 1.0

    @contextmanager
    def _scaled_rate(self, share: float) -> Iterator[None]:
        """The next update moves the weights by this share of the learning rate."""
        rates = [group["lr"] for group in self.optimizer.param_groups]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * share
        yield
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def _drawn_length(self, bptt: int) -> int:
        """About N(bptt, 5), one time in twenty N(bptt / 2, 5), at least 5."""
        mean = bptt if minigrad.rand(()).item() < 0.95 else bptt / 2
        return max(5, int(mean + 5 * minigrad.randn(()).item()))

    def _report(self, steps: int) -> Step:
        self._check_finite()
        loss, norm = self._meter.report()
        return Step(
            epoch=self.epoch + 1,
            step=self.position,
            steps=steps,
            update=self.update,
            loss=loss,
            lr=self.lr * self._left,
            gradient_norm=norm,
            tokens_per_second=self._meter.speed(),
            seconds=self._elapsed(),
        )

    def _validate(self, valid: Iterable[tuple[np.ndarray, np.ndarray]], steps: int) -> Generator[Tick, None, float]:
        with self._averaged_weights():
            going = evaluation_steps(self.model, valid)
            while True:
                try:
                    next(going)
                except StopIteration as done:
                    loss = done.value.loss
                    break
                yield Tick(self.epoch + 1, steps, steps, validating=True)
        if not math.isfinite(loss):
            raise NotFiniteError(
                f"training broke off: the validation loss became {loss} after epoch {self.epoch + 1}; {self._advice()}"
            )
        return loss

    def _elapsed(self) -> float:
        """Seconds of training so far."""
        now = time.perf_counter()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        return self.seconds

    # ---- when the numbers break -------------------------------------------------------------------------------------

    def _check_finite(self) -> None:
        """Read the losses and norms since the last report; NotFiniteError where one is not finite."""
        first = self.update - len(self._meter.unread) + 1
        for number, (loss, norm, _) in enumerate(self._meter.read(), first):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise self._broken(number, loss)

    def _broken(self, update: int, loss: float) -> NotFiniteError:
        """What to say when update number `update` met nan or infinity. Backpropagation runs from the last parameter to
        the first, so that the last one with a bad gradient is where it began."""
        named = list(self.model.named_parameters())
        spoilt = [name for name, one in named if not bool(minigrad.isfinite(one.data).all())]
        graded = [(name, one.grad) for name, one in named if one.grad is not None]
        bad = [name for name, grad in graded if not bool(minigrad.isfinite(_dense(grad)).all())]
        if spoilt:
            where = f"the weight {spoilt[-1]} was no longer finite"
        elif not math.isfinite(loss):
            where = f"the loss became {loss}"
        else:
            where = "the gradients became too large to add up" + (", even for clipping" if self.clip else "")
        if bad and not spoilt:
            where += f", and the first gradient that was not finite is that of {bad[-1]}"
        return NotFiniteError(
            f"training broke off in update {update} (epoch {self.epoch + 1}): {where}; {self._advice()}"
        )

    def _advice(self) -> str:
        if self.clip is None:  # nothing of which a run that goes on may change
            return f"start a new run with a smaller --batch-size, or with a lower --lr ({self.lr:g})"
        clip = f"lower --clip ({self.clip:g})" if self.clip else "set --clip"
        return f"lower --lr ({self.lr:g}), or {clip}"

    # ---- after an epoch ---------------------------------------------------------------------------------------------

    def _keep_if_best(self, valid_loss: float) -> bool:
        self.valid_losses.append(valid_loss)
        if valid_loss >= self.best_loss and not self.keep_last:
            self.epochs_without_progress += 1
            return False
        self.epochs_without_progress = 0
        self.best_loss = valid_loss
        with self._averaged_weights():
            self.best = _copied(self.model)
        return True

    def _scheduler(self) -> Any:
        if self.schedule == "plateau" and self.decay > 1:
            return lr_scheduler.ReduceLROnPlateau(
                self.optimizer, factor=1 / self.decay, patience=0, threshold=0.0, eps=0.0
            )
        if self.schedule == "exponential":
            return lr_scheduler.LambdaLR(
                self.optimizer, lambda epoch: self.decay ** -max(0, epoch + 1 - self.decay_after)
            )
        if self.schedule == "cosine":
            return lr_scheduler.CosineAnnealingLR(self.optimizer, self.epochs)
        return None

    def _slow_down(self, valid_loss: float) -> None:
        if isinstance(self.scheduler, lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(valid_loss)
        elif self.scheduler is not None:
            self.scheduler.step()

    def _average_if_stuck(self, valid_loss: float) -> None:
        n = self.nt_asgd
        before = self.valid_losses[: -n - 1] if n else []
        if not self.averaging and before and valid_loss > min(before):
            self._begin_averaging()

    def _begin_averaging(self) -> None:
        """From now on average every weight over the updates: SGD's steps, with the mean of where they lead."""
        old = self.optimizer
        settings = {name: old.param_groups[0][name] for name in ("lr", "weight_decay")}
        self.optimizer = optim.ASGD(self.model.parameters(), lambd=0.0, t0=0, **settings)
        self.averaging = True
        if self.scheduler is not None:  # it goes on with the new optimizer where it was with the old one
            state = self.scheduler.state_dict()
            self.scheduler = self._scheduler()
            self.scheduler.load_state_dict(state)
            for group, one in zip(self.optimizer.param_groups, old.param_groups, strict=True):
                group.update({name: one[name] for name in ("lr", "initial_lr") if name in one})

    @contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """Put the averages in the place of the weights for a while; nothing where there are none yet."""
        averages = [(one, state["ax"]) for one, state in self.optimizer.state.items() if "ax" in state]
        if not (self.averaging and averages):
            yield
            return
        self._unaveraged = _copied(self.model)
        try:
            with minigrad.no_grad():
                for parameter, average in averages:
                    parameter.copy_(average)
            yield
        finally:
            self.model.load_state_dict(self._unaveraged)
            self._unaveraged = None

    def _end(self) -> str:
        """Why training is over, empty where it is not."""
        if self.seconds > self.max_seconds:
            return "the time is up"
        if self.patience and self.epochs_without_progress >= self.patience:
            return f"no progress for {self.patience} epochs" if self.patience > 1 else "no progress"
        return "all epochs are done" if self.epoch >= self.epochs else ""

    # ---- saving and going on ----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that decides how training goes on, in the middle of an epoch too: weights, optimizer, schedule, carried
        state, random numbers, the best so far.

        A tree that `minigrad.save` takes. A trainer that loads it continues to the same bits. Raises NotFiniteError
        where the loss is no longer finite, so that what is saved can be gone on with.
        """
        self._check_finite()
        return {
            "model": self._unaveraged or self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "random": minigrad.default_generator.get_state(),
            "carried": self._state,
            "left": self._left,
            "windows": self._windows.state_dict() if hasattr(self._windows, "state_dict") else self._windows_state,
            "meter": self._meter.state_dict(),
            "best": self.best,
            **{name: getattr(self, name) for name in _PROGRESS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, with a model and settings of the same kind."""
        if state["averaging"] and not self.averaging:
            self._begin_averaging()
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        minigrad.default_generator.set_state(state["random"])
        self._state = state["carried"]
        self._left = state.get("left", 1.0)  # earlier versions had neither
        self._windows_state = state.get("windows")
        self._meter = Meter(**state["meter"])
        self.best = state["best"]
        for name in _PROGRESS:
            setattr(self, name, state[name])
        self.optimizer.steps_taken = self.update  # the schedule asks whether there was one before it


_PROGRESS = (
    "epoch",
    "position",
    "update",
    "seconds",
    "epochs_without_progress",
    "best_loss",
    "valid_losses",
    "averaging",
)


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _dense(gradient: Any) -> Tensor:
    return gradient.to_dense() if hasattr(gradient, "to_dense") else gradient
