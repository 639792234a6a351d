"""The pieces that a text is read in when it is judged: documents, and windows within them.

A segment of ids (N + 1, the first a line end) reads `ids[first:stop]` from a fresh state, and is asked at each place
for the id after it. It scores those from `score_from` on; the ones before are there to be read, as context.

Shapes: S segments, T time steps, B segments side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

import minigrad
from minigrad.backend import to_host
from nlp.errors import NlpError
from nlp.text import IGNORED

if TYPE_CHECKING:
    from nlp.language_model import LanguageModel

__all__ = ["Documents", "Segments", "segment_losses"]

Documents = Literal["line", "blank"]
Places = NDArray[np.int64]

SIDE_BY_SIDE = 32  # segments read at once
ROWS = 1024  # places read at once, T * B; only the speed and the memory depend on these two
LOOKED_AT_ONCE = 1 << 20  # ids


@dataclass(frozen=True)
class Segments:
    """All segments of a text, each array (S,): together they score every id but the first exactly once."""

    first: Places
    stop: Places
    score_from: Places
    document: Places  # which document a segment belongs to, from 0; in order

    @property
    def lengths(self) -> Places:
        """How many ids each segment reads."""
        return self.stop - self.first

    @property
    def scored(self) -> Places:
        """How many it scores."""
        return self.stop - self.score_from + 1

    @classmethod
    def of(
        cls, ids: np.ndarray, language_model: LanguageModel, documents: Documents | None, window: int | None
    ) -> Segments:
        """The segments of a text of ids (N + 1): one for each document, or windows in it of `window` ids."""
        if len(ids) < 2:
            raise NlpError("a text without a token cannot be judged: give one that is not empty")
        ends = np.array([len(ids) - 1]) if documents is None else _document_ends(ids, language_model, documents)
        starts = np.concatenate([[0], ends[:-1]])
        if window is None:
            return cls(starts, ends, starts + 1, np.arange(len(ends)))
        return cls._windows(starts, ends, window, window // 2)

    @classmethod
    def _windows(cls, starts: Places, ends: Places, window: int, stride: int) -> Segments:
        counts = 1 + np.maximum(0, -(-(ends - starts - window) // stride))  # windows of each document
        document = np.repeat(np.arange(len(starts)), counts)
        number = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)  # in its document
        first = starts[document] + number * stride
        score_from = np.where(number == 0, first, first + window - stride) + 1
        return cls(first, np.minimum(first + window, ends[document]), score_from, document)


def _document_ends(ids: np.ndarray, language_model: LanguageModel, documents: Documents) -> Places:
    """The place of the last id of each document.

    Blank lines, of nothing or white space, belong to the document before them (the first ones to the first document).
    """
    if documents not in ("line", "blank"):
        raise NlpError(f"--documents is line or blank, not {documents!r}")
    tokenizer, vocabulary = language_model.tokenizer, language_model.vocabulary
    (line_end,) = vocabulary.encode(tokenizer.encode("\n"))
    is_solid = np.array([tokenizer.decode([token]).strip() != "" for token in vocabulary.tokens])
    ends, solid = _lines(ids, int(line_end), is_solid)
    is_blank = np.diff(solid, prepend=0) == 0
    last = np.append(~is_blank[1:], True)  # nothing blank follows, so that a document may end here
    if documents == "blank":
        last[:-1] &= is_blank[:-1]
    last[:-1] &= solid[:-1] > 0
    return ends[last]


def _lines(ids: np.ndarray, line_end: int, is_solid: NDArray[np.bool_]) -> tuple[Places, Places]:
    """For each line its last place, and how many solid tokens there are up to there. A piece of the text at a time."""
    ends, counts, before = [], [], 0
    for start in range(1, len(ids), LOOKED_AT_ONCE):
        piece = np.asarray(ids[start : start + LOOKED_AT_ONCE])
        at = np.flatnonzero(piece == line_end)
        if start + len(piece) == len(ids) and (not len(at) or at[-1] != len(piece) - 1):
            at = np.append(at, len(piece) - 1)  # the text ends without a line end
        solid = before + np.cumsum(is_solid[piece])
        ends.append(start + at)
        counts.append(solid[at])
        before = int(solid[-1])
    return np.concatenate(ends), np.concatenate(counts)


# ---- scoring --------------------------------------------------------------------------------------------------------


def segment_losses(
    model: Any,
    ids: np.ndarray,
    segments: Segments,
    window: int,
    progress: Callable[[float], None] | None = None,
) -> NDArray[np.float64]:
    """The nats (S,) of what each segment scores; at most `window` steps are taken at a time, the state carried between.

    Segments of like length are read side by side. Dropout is off; the model's mode is put back afterwards.
    """
    nats = np.zeros(len(segments.first))
    training = model.training
    model.eval()
    longest_first = np.argsort(-segments.lengths, kind="stable")
    done, total = 0, int(segments.lengths.sum())
    for start in range(0, len(nats), SIDE_BY_SIDE):
        batch = longest_first[start : start + SIDE_BY_SIDE]
        state = None
        steps = min(window, max(1, ROWS // len(batch)))
        for input, target in _windows(ids, segments, batch, steps):
            losses, state = _losses(model, input, target, state)
            nats[batch] += losses.sum(axis=0)
            done += input.size
            if progress is not None:
                progress(min(1.0, done / total))
    model.train(training)
    return nats


def _windows(ids: np.ndarray, segments: Segments, batch: Places, steps: int) -> Iterator[tuple[Places, Places]]:
    """(input, target), both (T, B): the segments of the batch from their beginnings to the end of the longest."""
    first, lengths, score_from = segments.first[batch], segments.lengths[batch], segments.score_from[batch]
    longest = int(lengths.max())
    for start in range(0, longest, steps):
        step = np.arange(start, min(start + steps, longest))[:, None]  # T, 1
        inside = step < lengths  # T, B
        place = np.where(inside, first + step, first)
        scored = inside & (place + 1 >= score_from)
        yield ids[place].astype(np.int64), np.where(scored, ids[place + 1].astype(np.int64), IGNORED)


def _losses(model: Any, input: Places, target: Places, state: Any) -> tuple[NDArray[np.float64], Any]:
    """The nats (T, B) of the targets, 0 where there is none, and the state after the last step."""
    device = model.device
    with minigrad.no_grad():
        losses, state = model.loss(
            minigrad.tensor(input, device=device), minigrad.tensor(target, device=device), state, reduction="none"
        )
    return to_host(losses._array).astype(np.float64).reshape(input.shape), state
