"""Beam search: the likeliest text, or nearly, by keeping a few beginnings alive at a time.

Shapes: B beginnings alive, V words in the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlp.errors import NlpError
from nlp.generation.sampling import Ids, Reader, Scores, largest, rule_out

__all__ = ["Hypothesis", "beam_search"]


@dataclass(frozen=True)
class Hypothesis:
    """A continuation, and the logarithm of the probability with which the model, drawing freely, would write it."""

    ids: tuple[int, ...]
    log_probability: float

    @property
    def score(self) -> float:
        """The mean over its tokens: a sum would always prefer the shorter text."""
        return self.log_probability / len(self.ids)


def beam_search(
    model: Any,
    context: Ids,
    length: int,
    width: int,
    *,
    never: Sequence[int] = (),
    ended: Callable[[tuple[int, ...]], bool] = lambda ids: False,
) -> list[Hypothesis]:
    """The best continuations of the ids `context` (T) that were found, the best first, at most `2 * width`.

    At each step every beginning that is alive is continued by every token but those in `never`; by these where
    nothing else is possible. Of the `width` likeliest texts that this gives, those for which `ended` is true are set
    aside; the `width` likeliest of the others go on. The search is over at `length` tokens, or when `width` texts have
    ended: then only these count. Texts of different lengths compare by `score`; equal ones are ordered by their ids, so
    that the result is always the same. Leaves the model in evaluation mode.

    At least one text is found. With `width` at least V ** length nothing is passed over. Raises NlpError for a length
    or a width below 1.
    """
    if length < 1:
        raise NlpError(f"--length must be at least 1 token, not {length}")
    if width < 1:
        raise NlpError(f"--beam must be at least 1, not {width}")
    reader = Reader(model)
    scores, state = reader.begin(context)
    alive, done = [Hypothesis((), 0.0)], []
    rows: list[int] = []  # which of the beginnings before each of those alive continues
    for step in range(length):
        if step:
            scores, state = reader.read(np.array([[one.ids[-1] for one in alive]]), reader.select(state, rows))
        rule_out(scores, never)
        before, alive, rows = alive, [], []
        for rank, (row, one) in enumerate(_continuations(before, scores, 2 * width)):
            if ended(one.ids):
                done += [one] if rank < width else []
            elif len(alive) < width:
                alive.append(one)
                rows.append(row)
        if len(done) >= width or not alive:
            alive = []
            break
    return sorted([*done, *alive], key=lambda one: (-one.score, one.ids))


def _continuations(alive: Sequence[Hypothesis], scores: Scores, count: int) -> list[tuple[int, Hypothesis]]:
    """The `count` likeliest texts that are one token longer, the likeliest first, each with the row it continues."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # B, V
    total = log_probabilities + np.array([[one.log_probability] for one in alive])
    result = []
    for place in largest(total.ravel(), count):
        row, token = divmod(int(place), total.shape[1])
        if np.isfinite(total[row, token]):  # there may be fewer texts than asked for
            result.append((row, Hypothesis((*alive[row].ids, token), float(total[row, token]))))
    return result
