"""Mixtures of language models: the probabilities that several models give a token, linearly interpolated.

    p(token) = sum over m of w_m p_m(token),   w_m >= 0, of sum 1

Which weights are best on held-out text, the EM algorithm finds (Jelinek and Mercer, "Interpolated estimation of Markov
source parameters from sparse data", 1980; for mixtures of network and n-gram models Mikolov et al. 2010, section 3):

    w_m <- w_m g_m,   g_m = mean over the tokens of r_m,   r_m = p_m(token) / p(token)

but of similar models in thousands of rounds. The mean loss is convex in w, with the gradient -g and the Hessian
H = mean of r r^T, so that Newton's method finds its one minimum in a few (Kim, Carbonetto, Stephens and Anitescu, "A
fast algorithm for maximum likelihood estimation of mixture proportions using sequential quadratic programming", 2020).
As there, sum of w is added to the loss in the place of the condition that it be 1; the minimum stays where it is:

    v = the least of (v - w)^T H (v - w) / 2 + (1 - g)^T (v - w),  v >= 0;   w <- w + t (v - w), made of sum 1

By the inequality of Jensen no weights at all have a loss that is lower than that of w by more than log max_m g_m: it is
known how far away the minimum is.

Shapes: M models, N tokens.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad
from minigrad.backend import to_host
from nlp.disk import disk_errors
from nlp.errors import NlpError
from nlp.evaluation.scoring import WINDOW, perplexity
from nlp.language_model import LanguageModel, load_language_model
from nlp.models.token_model import TokenModel
from nlp.text import EvaluationBatches
from nlp.text.prepare import encode_text, load_prepared

__all__ = ["Mixture", "MixtureText", "best_weights", "mix", "mixture_loss", "token_losses"]

Progress = Callable[[float], None]
Losses = NDArray[np.floating[Any]]
CLOSE_ENOUGH = 1e-7  # nats a token, between the weights found and the best ones
FLOOR = 1e-9  # by M, the least weight that is tried: what it costs does not count, and r stays finite
STEPS = 1.0, 1 / 4, 1 / 16, 1 / 64  # t: how much of Newton's step is tried
LEAST_SIZE = 1e-6  # of the root of the mean of r^2: that of a model that gives no token anything would be 0
ROUNDING = 1e-12  # of a slope, where the largest curvature is 1
MOST_ROUNDS = 100  # ten are many
CHUNK = 1 << 18  # tokens looked at together, where the losses may lie on the disk


# ---- the weights ----------------------------------------------------------------------------------------------------


def best_weights(losses: Losses) -> NDArray[np.float64]:
    """The weights (M,) with which the mixture of M models has the least mean loss over N tokens.

    losses: (M, N), minus the logarithm of the probability that a model gave a token (nats); inf for a probability of 0.
    A token to which no model gives any says nothing of the weights and is left out. The mean loss is within 1e-7 nats
    of the least one. Of each round's steps, those of Newton and that of EM, the one is taken that lowers it most.

    Raises NlpError for losses of another shape, without a token, or that are no numbers.
    """
    if losses.ndim != 2 or not losses.size:
        raise NlpError(f"the losses are (models, tokens), at least one of each, not {losses.shape}")
    weights = np.full(len(losses), 1 / len(losses))
    for _ in range(MOST_ROUNDS):
        gains, curvature = _gains(losses, weights)
        by_em = weights * gains  # of sum 1 again, as p is the sum of all w_m p_m, and never worse
        if gains.max() <= math.exp(CLOSE_ENOUGH):
            return by_em
        step = _newton(weights, gains, curvature) - weights
        tried = np.array([by_em, *(weights + share * step for share in STEPS)]).clip(min=FLOOR / len(losses))
        tried /= tried.sum(axis=1, keepdims=True)
        weights = tried[_changes(losses, weights, tried).argmin()]
    return weights


def _newton(
    weights: NDArray[np.float64], gains: NDArray[np.float64], curvature: NDArray[np.float64]
) -> NDArray[np.float64]:
    """v (M,) from the floor up, with the least (v - w)^T H (v - w) / 2 + (1 - g)^T (v - w), where H w = g."""
    floor = FLOOR / len(weights)
    size = np.maximum(np.sqrt(np.diag(curvature)), LEAST_SIZE)  # is taken out of H: r is large where a weight is small
    above = _non_negative(curvature / np.outer(size, size), (2 * gains - 1 - floor * curvature.sum(axis=1)) / size)
    return floor + above / size


def _non_negative(curvature: NDArray[np.float64], slope: NDArray[np.float64]) -> NDArray[np.float64]:
    """The v >= 0 (M,) with the least v^T H v / 2 - slope^T v.

    By the active set of Lawson and Hanson, "Solving least squares problems" (1974), chapter 23: one after the other is
    let go from 0, that along which it falls most; those that would fall below 0 for it are held there again.
    """
    v, free = np.zeros_like(slope), np.zeros(len(slope), dtype=bool)
    for _ in range(3 * len(slope)):  # far more than it takes, but for rounding
        falls = np.where(free, 0, slope - curvature @ v)
        if falls.max() <= ROUNDING:
            break
        free[falls.argmax()] = True
        while (goal := _minimum(curvature, slope, free)).min() < 0:
            way = np.where(goal < 0, v / np.where(goal < 0, v - goal, 1), np.inf)  # the share after which one is 0
            first = way.argmin()
            v = v + way[first] * (goal - v)
            v[first], free[first] = 0, False
        v = goal
    return v


def _minimum(
    curvature: NDArray[np.float64], slope: NDArray[np.float64], free: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Where that is least (M,) if all but the free are 0: the shortest such v, as equal models make H singular."""
    goal = np.zeros_like(slope)
    goal[free] = np.linalg.lstsq(curvature[np.ix_(free, free)], slope[free], rcond=None)[0]
    return goal


def _gains(losses: Losses, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """g (M,) and H (M, M), the means of r and r r^T. Where no token has a probability at all, every g is 1."""
    total, square, count = np.zeros(len(losses)), np.zeros((len(losses), len(losses))), 0
    for ratios in _ratios(losses, weights):
        total += ratios.sum(axis=1)
        square += ratios @ ratios.T
        count += ratios.shape[1]
    return (total / count, square / count) if count else (np.ones(len(losses)), square)


def _changes(losses: Losses, weights: NDArray[np.float64], tried: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much the loss of all tokens together changes with each of K other weights (K, M): (K,).

    -log(p' / p), where p' / p - 1 = r (w' - w): so the smallest changes are not lost in the rounding of the loss.
    """
    total = np.zeros(len(tried))
    for ratios in _ratios(losses, weights):
        with np.errstate(divide="ignore"):
            total -= np.log1p(np.maximum((tried - weights) @ ratios, -1)).sum(axis=1)
    return total


def _ratios(losses: Losses, weights: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """r (M, N), in pieces, of the tokens that have a probability."""
    for piece in _pieces(losses):
        mixed = _mixed(piece, weights)
        possible = np.isfinite(mixed)
        yield np.exp(mixed[possible] - piece[:, possible])


def mixture_loss(losses: Losses, weights: Sequence[float] | NDArray[np.float64]) -> float:
    """The mean loss (nats a token) of the mixture of models whose losses are (M, N): inf where it gives a token 0."""
    total = sum(float(_mixed(piece, np.asarray(weights)).sum()) for piece in _pieces(losses))
    return total / losses.shape[1]


def _mixed(losses: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mixture's loss (N,) of each token. The likeliest part is taken out of the sum, lest all be rounded to 0."""
    with np.errstate(divide="ignore"):
        parts = losses - np.log(weights)[:, None]  # M, N: inf for a weight or a probability of 0
    least = parts.min(axis=0)
    from_least = np.where(np.isfinite(least), least, 0.0)
    with np.errstate(divide="ignore"):
        return from_least - np.log(np.exp(from_least - parts).sum(axis=0))


def _pieces(losses: Losses) -> Iterator[NDArray[np.float64]]:
    for start in range(0, losses.shape[1], CHUNK):
        piece = np.asarray(losses[:, start : start + CHUNK], dtype=np.float64)
        if np.isnan(piece).any():
            raise NlpError("a loss is nan: a model of the mixture is broken, leave it out")
        yield piece


# ---- the losses -----------------------------------------------------------------------------------------------------


def token_losses(model: TokenModel, ids: np.ndarray) -> Iterator[NDArray[np.float64]]:
    """The nats of the ids (N + 1) after the first, in pieces, each foreseen from all before it. Dropout is off.

    The model's mode is put back afterwards.
    """
    training, state = model.training, None
    model.eval()
    try:
        for input, target in EvaluationBatches(ids, 1, WINDOW):
            with minigrad.no_grad():
                losses, state = model.loss(
                    minigrad.tensor(input, device=model.device),
                    minigrad.tensor(target, device=model.device),
                    state,
                    reduction="none",
                )
            yield to_host(losses._array).astype(np.float64)
    finally:
        model.train(training)


# ---- runs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MixtureText:
    """One text: the loss of each run alone, and of the mixture (nats a token)."""

    name: str  # valid or test for the runs' own, else the path
    tokens: int
    alone: tuple[float, ...]  # M
    mixture: float

    def to_json(self) -> dict[str, Any]:
        """Losses and perplexities as plain values."""
        return {
            "name": self.name,
            "tokens": self.tokens,
            "alone": [{"loss": loss, "perplexity": perplexity(loss)} for loss in self.alone],
            "loss": self.mixture,
            "perplexity": perplexity(self.mixture),
        }


@dataclass(frozen=True)
class Mixture:
    """Runs with the weights that are best on the first of the texts, and what it came to on each."""

    runs: tuple[str, ...]
    weights: tuple[float, ...]
    texts: tuple[MixtureText, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        texts = [text.to_json() for text in self.texts]
        return {"runs": list(self.runs), "weights": list(self.weights), "texts": texts}


def mix(
    runs: Sequence[str | Path],
    *,
    valid: Path | None = None,
    texts: Sequence[Path] = (),
    device: str = "cpu",
    progress: Progress | None = None,
) -> Mixture:
    """Mix language models with the weights that are best on validation text, and judge the mixture on other texts.

    Args:
        runs: two folders that nlp train made, or more, of language models of the same tokens.
        valid: the text to find the weights on; None: the runs' own validation text.
        texts: what to judge the mixture by; none: the runs' own test text, if there is one.
        progress: is told the share that is done, 0 to 1.

    The runs' own texts are those of the first, and all must have been trained on the same.

    Raises NlpError for runs whose tokens or own texts differ, saying which, and as `nlp.load` and `evaluate_text` do.
    """
    if len(runs) < 2:
        raise NlpError("a mixture needs two runs at least: name another")
    mixed = [load_language_model(run, device) for run in runs]
    _expect_same_tokens(runs, mixed)
    with tempfile.TemporaryDirectory(prefix="nlp-mix-") as folder:
        named = _texts(runs, mixed[0], valid, texts, Path(folder))
        told = _Share(progress, (len(runs) + 1) * sum(len(ids) - 1 for _, ids in named))  # + 1: for mixing
        weights, judged = None, []
        for name, ids in named:
            with _losses_on_disk([one.model for one in mixed], ids, Path(folder), told) as losses:
                weights = best_weights(losses) if weights is None else weights
                alone = tuple(float(of_run.mean()) for of_run in losses)
                judged.append(MixtureText(name, len(ids) - 1, alone, mixture_loss(losses, weights)))
            told.more(len(ids) - 1)
    assert weights is not None  # there is always a text to find them on
    return Mixture(tuple(str(run) for run in runs), tuple(weights.tolist()), tuple(judged))


def _expect_same_tokens(runs: Sequence[str | Path], mixed: Sequence[LanguageModel]) -> None:
    first = mixed[0]
    for run, one in zip(runs, mixed, strict=True):
        same = one.vocabulary.tokens == first.vocabulary.tokens
        if not (same and one.tokenizer.settings() == first.tokenizer.settings()):
            raise NlpError(
                f"the tokens of {runs[0]} and {run} differ, so that their probabilities cannot be mixed: take runs of "
                "one text, level and vocabulary"
            )


def _texts(
    runs: Sequence[str | Path], reader: LanguageModel, valid: Path | None, texts: Sequence[Path], folder: Path
) -> list[tuple[str, np.ndarray]]:
    """The name and the ids (N + 1, the first a line end) of each text, the one to find the weights on first."""

    def read(path: Path) -> tuple[str, np.ndarray]:
        return str(path), encode_text(path, reader.tokenizer, reader.vocabulary, folder).ids

    own = _own_ids(runs) if valid is None or not texts else {}
    if valid is None and "valid" not in own:
        raise NlpError(f"{runs[0]} has no validation text to find the weights on: name one with --valid")
    first = ("valid", own["valid"]) if valid is None else read(valid)
    own_test = [("test", own["test"])] if "test" in own else []
    return [first, *([read(text) for text in texts] or own_test)]


def _own_ids(runs: Sequence[str | Path]) -> dict[str, np.ndarray]:
    """The prepared texts of the first run, which are those of all of them."""
    first, *others = (load_prepared(Path(run)) for run in runs)
    for run, other in zip(runs[1:], others, strict=True):
        if other.corpus["sha256"] != first.corpus["sha256"]:
            raise NlpError(
                f"{runs[0]} and {run} were trained on different texts: say with --valid which text to find the "
                "weights on and with --text which to judge by, both unknown to all runs"
            )
    return first.ids


@contextmanager
def _losses_on_disk(
    models: Sequence[TokenModel], ids: np.ndarray, folder: Path, told: _Share
) -> Iterator[NDArray[np.float64]]:
    """The losses (M, N) of a text, which may be larger than memory: in a file that goes with the block."""
    with tempfile.TemporaryFile(dir=folder) as file:
        with disk_errors(folder):
            for model in models:
                for piece in token_losses(model, ids):
                    file.write(piece.tobytes())
                    told.more(len(piece))
            file.flush()
        yield np.memmap(file, dtype=np.float64, mode="r", shape=(len(models), len(ids) - 1))


class _Share:
    """Tells how much of the work is done."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def more(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done / self._total)
