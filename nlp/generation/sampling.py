"""From a model's scores to tokens: each is drawn from the likeliest of what may come next, fed back, and so on.

Shapes: T time steps, B texts side by side, V words in the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad
from minigrad.backend import to_host
from nlp.errors import NlpError
from nlp.models.token_model import on_state

__all__ = ["Reader", "Sampling", "draw_ids", "largest", "rule_out"]

Ids = NDArray[np.integer]
Scores = NDArray[np.float64]

PROMPT_STEPS = 64  # of a prompt at a time: the scores of all its places at once might not fit
SEEDS = 2**64


class Reader:
    """A model that only reads: ids go in, the scores of what may come next come out, on the host. Dropout is off."""

    def __init__(self, model: Any) -> None:
        self.model = model.eval()
        self.device = model.device

    def begin(self, context: Ids) -> tuple[Scores, Any]:
        """The scores (1, V) after the ids (T) of one text, at least one, and the state there."""
        scores, state = np.empty((1, 0)), None
        for start in range(0, len(context), PROMPT_STEPS):
            scores, state = self.read(context[start : start + PROMPT_STEPS, None], state)
        return scores, state

    def read(self, ids: Ids, state: Any) -> tuple[Scores, Any]:
        """The scores (B, V) after the ids (T, B), and the state there.

        Raises NlpError where the scores are no numbers.
        """
        with minigrad.no_grad():  # not around a yield, where it would stay on for the caller
            scores, state = self.model(minigrad.tensor(ids, device=self.device), state)
            last = to_host(scores[-1]._array).astype(np.float64)
        if not np.isfinite(last.max(axis=1)).all():
            raise NlpError("the model's scores are not finite: its weights are spoilt, take an earlier run's")
        return last, state

    def select(self, state: Any, rows: ArrayLike) -> Any:
        """The state of the texts `rows`, in that order; a text may be taken more than once."""
        index = minigrad.tensor(np.asarray(rows, dtype=np.int64), device=self.device)
        with minigrad.no_grad():
            return on_state(state, lambda part: part[:, index])


@dataclass(frozen=True)
class Sampling:
    """Which tokens may be drawn, and how likely each is. Raises NlpError for a value outside its range.

    The scores are divided by the temperature; then only the `top_k` likeliest tokens stay (Fan, Lewis and Dauphin,
    "Hierarchical neural story generation", 2018), and of these the smallest set, the likeliest first, that holds at
    least the share `top_p` of their probability (nucleus sampling: Holtzman et al., "The curious case of neural text
    degeneration", 2020). Of tokens equally likely the one with the lower id comes first.
    """

    temperature: float = 1.0  # below 1 sharper, above 1 flatter, 0: the likeliest alone
    top_k: int | None = None  # None: all
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise NlpError(f"--temperature must be a number of at least 0, not {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise NlpError(f"--top-k must be at least 1 token, not {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise NlpError(f"--top-p must be above 0 and at most 1, not {self.top_p}")

    def weights(self, scores: Scores) -> Scores:
        """What each token (V) is drawn in proportion to; 0 for those that may not be drawn. The largest is 1."""
        if self.temperature == 0:
            weights = np.zeros_like(scores)
            weights[scores.argmax()] = 1.0
            return weights
        with np.errstate(over="ignore"):  # a tiny temperature: the others' exponent is minus infinity
            weights = np.exp((scores - scores.max()) / self.temperature)
        if self.top_k is not None and self.top_k < len(weights):
            weights = _only(weights, self.top_k)
        if self.top_p < 1:
            weights = _only(weights, self._nucleus(weights))
        return weights

    def _nucleus(self, weights: Scores) -> int:
        """How many of the likeliest tokens hold the share `top_p` of all."""
        mass = np.cumsum(np.sort(weights)[::-1])
        return int(np.searchsorted(mass, self.top_p * mass[-1])) + 1

    def draw(self, scores: Scores, generator: minigrad.Generator) -> int:
        """A token, given the scores (V) of all.

        For each token a clock is set that rings after an exponential time, at a rate of the token's weight; the first
        to ring is drawn. Where the weights change in the last bit, as they do with the number of texts read side by
        side, this gives the same token unless two clocks ring at the same moment. (A single number compared with added
        up weights would meet another token far more often.)
        """
        weights = self.weights(scores)
        if self.temperature == 0:
            return int(weights.argmax())
        clocks = -np.log1p(-generator.uniform(weights.shape, dtype=np.float64))
        return int((weights / np.maximum(clocks, np.finfo(np.float64).tiny)).argmax())


def largest(values: Scores, count: int) -> Ids:
    """The places of the `count` (from 1) largest values, the largest first; of equal ones that which stands first."""
    if count >= len(values):
        return np.argsort(-values, kind="stable")
    least = np.partition(values, len(values) - count)[len(values) - count]
    candidates = np.flatnonzero(values >= least)
    return candidates[np.argsort(-values[candidates], kind="stable")[:count]]


def rule_out(scores: Scores, never: Sequence[int]) -> None:
    """Make the tokens `never` impossible, in place, in each row of the scores (B, V) where another one is possible.

    A model of counts may foresee nothing else; such a row stays as it is.
    """
    columns = list(never)
    unwanted = scores[:, columns]  # a copy
    scores[:, columns] = -np.inf
    stuck = ~np.isfinite(scores.max(axis=1))
    if stuck.any():
        scores[np.ix_(stuck, columns)] = unwanted[stuck]


def _only(weights: Scores, count: int) -> Scores:
    """The `count` largest weights, 0 for the others; without the order that `largest` takes time for."""
    least = np.partition(weights, len(weights) - count)[len(weights) - count]
    result = np.where(weights > least, weights, 0.0)
    result[np.flatnonzero(weights == least)[: count - np.count_nonzero(result)]] = least
    return result


def draw_ids(
    model: Any,
    context: Ids,
    sampling: Sampling,
    *,
    rows: int = 1,
    seed: int | None = None,
    never: Sequence[int] = (),
) -> Iterator[Ids]:
    """Token after token that may follow the ids `context` (T), for `rows` texts side by side: (B,) at a time, no end.

    The ids in `never` are not drawn, unless nothing else is possible. Row i is what `seed + i` alone gives, however
    many rows there are; without a seed the texts differ each time. Leaves the model in evaluation mode. Raises NlpError
    for a seed outside 64 bits.
    """
    first = minigrad.Generator().seed() if seed is None else seed
    if not 0 <= first < SEEDS:
        raise NlpError(f"--seed must be at least 0 and below 2**64, not {seed}")
    generators = [minigrad.Generator().manual_seed((first + row) % SEEDS) for row in range(rows)]
    return _draw(Reader(model), context, sampling, generators, never)


def _draw(
    reader: Reader, context: Ids, sampling: Sampling, generators: Sequence[minigrad.Generator], never: Sequence[int]
) -> Iterator[Ids]:
    every = np.zeros(len(generators), dtype=np.int64)  # all texts begin as the one that was read
    scores, state = reader.begin(context)
    scores, state = scores[every], reader.select(state, every)
    while True:
        rule_out(scores, never)
        ids = np.array([sampling.draw(row, generator) for row, generator in zip(scores, generators, strict=True)])
        yield ids
        scores, state = reader.read(ids[None], state)
