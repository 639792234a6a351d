"""Dynamic evaluation: a model goes on learning from the text it is judged on, each token judged before it is learnt.

The text is cut into segments s of a few tokens. Segment by segment it is first judged with the weights as they are,
and then they take one step (Krause, Kahembwe, Murray and Renals, "Dynamic evaluation of neural sequence models", 2018):

    theta <- theta - lr * grad L(s) + decay * (theta_g - theta)                                 plain SGD
    theta <- theta - lr * grad L(s) / (rms + epsilon) + decay * rms_norm * (theta_g - theta)    RMS

L is the mean loss of the segment's tokens, theta_g the trained weights, rms the root of the mean square of each
weight's gradient over segments of the training text, rms_norm = rms / (its mean over all weights), no larger than
1 / decay. epsilon is the mean of rms over all weights here, so that it needs no choice for each model; in the paper it
is a number by itself. SGD without decay is that of Mikolov, Karafiat, Burget, Cernocky and Khudanpur, "Recurrent neural
network based language model" (2010), who learn from every token by itself.

Shapes: N tokens of a text, P weights (parameters that are trained), T time steps, B texts side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import minigrad
from minigrad import Tensor, optim
from minigrad.backend import to_host
from nlp.errors import NlpError, NotFiniteError
from nlp.evaluation.scoring import TextEvaluation, judge
from nlp.evaluation.segments import Documents, Segments
from nlp.models.token_model import State, TokenModel, detach
from nlp.text import BpttBatches

if TYPE_CHECKING:
    from nlp.language_model import LanguageModel

__all__ = ["RMS", "SGD", "Rule", "dynamic_losses", "evaluate_dynamically", "gradient_rms"]

SGD, RMS = "sgd", "rms"
STEPS = {
    "word": 5,
    "bpe": 5,
    "char": 20,
    "byte": 20,
}  # the tokens of a segment, by level, if none are said: the paper's
# The learning rates if none is said. Of an LSTM of 128 units on 12,000 characters of tinyshakespeare, which had read
# 300,000: 2.08 nats without learning; sgd at 0.05, 0.1, 0.2, 0.4: 1.78, 1.75, 1.76, 1.82; rms at 0.0003, 0.001, 0.003:
# 1.80, 1.73, 1.74.
RATES = {SGD: 0.2, RMS: 0.001}
EPSILON = 1.0  # times the mean rms: a weight whose gradient was hardly ever there, of a rare word, must not leap now
STATISTICS_STREAMS = 32  # stretches of the training text read side by side
STATISTICS_SEGMENTS = 250  # of each stretch, at most
READ_AT_ONCE = 64  # segments whose losses are fetched from the device together, so that it is not waited for each time


@dataclass(frozen=True)
class Rule:
    """How the weights follow the text.

    Args:
        lr: the learning rate; None: a usual one.
        steps: the tokens of a segment, after which the weights change.
        decay: how much of their way from the trained weights they are pulled back in every step, 0 to 1.
        rms: what `gradient_rms` gives for the model: the RMS form. None: plain SGD.

    Raises NlpError for a number that cannot be.
    """

    lr: float | None = None
    steps: int = 5
    decay: float = 0.0
    rms: tuple[Tensor, ...] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate >= 0):
            raise NlpError(f"--dynamic-lr must be a number of at least 0, not {self.lr}")
        if self.steps < 1:
            raise NlpError(f"--dynamic-steps must be at least 1 token, not {self.steps}")
        if not 0 <= self.decay <= 1:
            raise NlpError(f"--dynamic-decay must be from 0 to 1, not {self.decay}")

    @property
    def name(self) -> str:
        """Which of the two forms it is."""
        return SGD if self.rms is None else RMS

    @property
    def rate(self) -> float:
        """The learning rate, chosen or usual."""
        return RATES[self.name] if self.lr is None else self.lr

    def in_words(self) -> str:
        """What happens after every segment."""
        every = f"every {self.steps} tokens" if self.steps > 1 else "every token"
        return f"learning from {every} once judged ({self.name}, lr {self.rate:g}, decay {self.decay:g})"


# ---- judging --------------------------------------------------------------------------------------------------------


def evaluate_dynamically(
    language_model: LanguageModel,
    text: str | Path,
    rule: Rule | None = None,
    *,
    documents: Documents | None = None,
    progress: Callable[[float], None] | None = None,
) -> TextEvaluation:
    """Judge a text as `evaluate_text` does, with the state carried, while the model learns from what was judged.

    rule: None is plain SGD after every 5 tokens, at the levels char and byte after every 20, as Krause et al. have it.
    documents: as there; what was learnt is forgotten with the state where the next document begins, as each is judged
    by itself. At the end the model has the weights, gradients and mode that it came with.

    Raises NlpError for a model that has nothing to learn with, a text that is empty or cannot be read, and, as
    NotFiniteError, where learning spoilt the weights.
    """
    chosen = rule or Rule(steps=STEPS[language_model.tokenizer.level])

    def nats_of(ids: np.ndarray, segments: Segments) -> NDArray[np.float64]:
        return _document_nats(language_model.model, ids, segments, chosen, progress)

    judged = judge(language_model, text, nats_of, documents=documents, learning=chosen.in_words())
    if not math.isfinite(judged.perplexity):
        raise NotFiniteError(
            f"dynamic evaluation came to {judged.loss:.3g} nats a token, more than a perplexity can be told of; lower "
            f"--dynamic-lr ({chosen.rate:g})"
        )
    return judged


def dynamic_losses(model: TokenModel, ids: np.ndarray, rule: Rule) -> Iterator[NDArray[np.float64]]:
    """The nats (N,) of the ids (N + 1) after the first, in pieces, each token judged before it is learnt from.

    Until the last piece is taken, or the iterator closed, the model has the weights it has learnt. Raises as
    `evaluate_dynamically`.
    """
    with _learning(model, rule) as learner:
        yield from learner.read(ids)


def _document_nats(
    model: TokenModel,
    ids: np.ndarray,
    documents: Segments,
    rule: Rule,
    progress: Callable[[float], None] | None,
) -> NDArray[np.float64]:
    """The nats of each document."""
    nats = np.zeros(len(documents.first))
    done = 0
    with _learning(model, rule) as learner:
        for number, (first, stop) in enumerate(zip(documents.first, documents.stop, strict=True)):
            learner.forget()
            for losses in learner.read(ids[first : stop + 1]):
                nats[number] += losses.sum()
                done += len(losses)
                if progress is not None:
                    progress(done / (len(ids) - 1))
    return nats


@contextmanager
def _learning(model: TokenModel, rule: Rule) -> Iterator[_Learner]:
    """A learner; after the block the model is as it was."""
    learner = _Learner(model, rule)
    with _borrowed(model, learner.weights):
        try:
            yield learner
        finally:
            learner.forget()


class _Learner:
    """A model whose weights follow a text."""

    def __init__(self, model: TokenModel, rule: Rule) -> None:
        self.model, self.rule = model, rule
        self.weights = _trainable(model)
        self.trained = [weight.detach().clone() for weight in self.weights]
        self.optimizer = optim.SGD(self.weights, lr=rule.rate)
        self.divisors, self.pulls = self._by_weight()

    def _by_weight(self) -> tuple[list[Any], list[Any]]:
        """What each gradient is divided by, and the share of its way that each weight is pulled back: P of each."""
        rms, decay = self.rule.rms, self.rule.decay
        if rms is None:
            return [None] * len(self.weights), [decay] * len(self.weights)
        if [one.shape for one in rms] != [one.shape for one in self.weights]:
            raise NlpError("the gradient statistics are of another model: take gradient_rms of this one")
        mean = sum(float(one.sum()) for one in rms) / sum(one.numel() for one in rms)
        if not (math.isfinite(mean) and mean > 0):
            raise NlpError(
                f"the gradient statistics have no size to go by, as their mean is {mean:g}: take gradient_rms of a "
                "text that the model does not foresee perfectly, or learn by plain SGD"
            )
        pulls = [(decay / mean * one).clamp(max=1.0) if decay else 0.0 for one in rms]
        return [one + EPSILON * mean for one in rms], pulls

    def forget(self) -> None:
        """Put the trained weights back."""
        with minigrad.no_grad():
            for weight, trained in zip(self.weights, self.trained, strict=True):
                weight.copy_(trained)

    def read(self, ids: np.ndarray) -> Iterator[NDArray[np.float64]]:
        """`dynamic_losses`, from the weights as they are."""
        state, unread, count = None, [], len(ids) - 1
        for start in range(0, count, self.rule.steps):
            stop = min(start + self.rule.steps, count)
            losses, state = self._judge_and_learn(ids[start : stop + 1], state, last=stop == count)
            unread.append(losses)
            if len(unread) == READ_AT_ONCE or stop == count:
                read = to_host(minigrad.cat(unread)._array).astype(np.float64)
                self._expect_finite(read, stop)
                yield read
                unread = []

    def _judge_and_learn(self, ids: np.ndarray, state: State, last: bool) -> tuple[Tensor, State]:
        """The nats (T,) of the ids (T + 1) after the first, and the state after them; then a step, if more comes."""
        if last:
            with minigrad.no_grad():
                return _losses(self.model, ids, state)
        with minigrad.enable_grad():
            losses, state = _losses(self.model, ids, state)
            self.optimizer.zero_grad()
            losses.mean().backward()
        with minigrad.no_grad():
            for weight, trained, divisor, pull in zip(
                self.weights, self.trained, self.divisors, self.pulls, strict=True
            ):
                if self.rule.decay:
                    weight.lerp_(trained, pull)
                if divisor is not None and weight.grad is not None:
                    weight.grad = _dense(weight.grad) / divisor
        self.optimizer.step()  # the gradient is that of the weights before they were pulled back
        return losses.detach(), detach(state)

    def _expect_finite(self, losses: NDArray[np.float64], stop: int) -> None:
        if not np.isfinite(losses).all():
            place = stop - len(losses) + int(np.argmin(np.isfinite(losses))) + 1
            raise NotFiniteError(
                f"dynamic evaluation broke off: the loss of token {place} became {losses[~np.isfinite(losses)][0]}; "
                f"lower --dynamic-lr ({self.rule.rate:g})"
            )


# ---- statistics of the training text --------------------------------------------------------------------------------


def gradient_rms(model: TokenModel, ids: np.ndarray, steps: int = 5) -> tuple[Tensor, ...]:
    """For each weight, in the order of `parameters`, the root of the mean square of its gradient of a segment's loss.

    ids (N,): the training text, of which at most 32 stretches of 250 segments are read, from all over it. The gradient
    is that of the mean over the stretches; as they are independent, its square is 1 / B of a single one's, and is
    multiplied by B.

    Raises NlpError for a model that has nothing to learn with, and for a text too short.
    """
    weights = _trainable(model)
    batches = BpttBatches(ids, max(1, min(STATISTICS_STREAMS, len(ids) // (2 * steps))), steps)
    count = min(len(batches), STATISTICS_SEGMENTS)
    squares = [minigrad.zeros_like(weight) for weight in weights]
    state = None
    with _borrowed(model, weights):
        for number in range(count):
            for weight in weights:
                weight.grad = None
            state = _add_squares(model, batches[number], state, squares)
    return tuple((square * (batches.batch_size / count)).sqrt() for square in squares)


def _add_squares(
    model: TokenModel, window: tuple[np.ndarray, np.ndarray], state: State, squares: Sequence[Tensor]
) -> State:
    """Add the square of each weight's gradient of the window's mean loss; the state goes on."""
    input, target = (minigrad.tensor(part, device=model.device) for part in window)
    with minigrad.enable_grad():
        loss, state = model.loss(input, target, state)
        loss.backward()
    for weight, square in zip(_trainable(model), squares, strict=True):
        if weight.grad is not None:
            gradient = _dense(weight.grad)
            square.add_(gradient * gradient)
    return detach(state)


# ---- what they share ------------------------------------------------------------------------------------------------


def _losses(model: TokenModel, ids: np.ndarray, state: State) -> tuple[Tensor, State]:
    """The nats (T,) of the ids (T + 1) after the first."""
    column = minigrad.tensor(np.asarray(ids, dtype=np.int64)[:, None], device=model.device)  # T + 1, B = 1
    return model.loss(column[:-1], column[1:], state, reduction="none")


@contextmanager
def _borrowed(model: TokenModel, weights: Sequence[Tensor]) -> Iterator[None]:
    """With dropout off for a while, and gradients and mode put back afterwards."""
    mode, gradients = model.training, [weight.grad for weight in weights]
    model.eval()
    try:
        yield
    finally:
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        model.train(mode)


def _trainable(model: TokenModel) -> list[Tensor]:
    weights: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not weights:
        raise NlpError(
            "the model has no weights that gradients move, so that it cannot go on learning from a text: judge it "
            "without --dynamic"
        )
    return weights


def _dense(gradient: Any) -> Tensor:
    return gradient.to_dense() if hasattr(gradient, "to_dense") else gradient
