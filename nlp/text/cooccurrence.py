"""How often words occur near each other: what GloVe is trained on.

Shapes: N tokens of a text, V words in the vocabulary, Z pairs of words that occur together, n of them in a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad
from minigrad import Generator
from nlp.errors import NlpError

__all__ = ["CooccurrenceBatches", "Cooccurrences", "count_cooccurrences"]

CHUNK = 1 << 16  # tokens counted at a time, which bounds memory: a chunk has `window` pairs for each of them
LARGEST_SEED = 2**62

Ids = NDArray[np.integer]
Keys = NDArray[np.int64]
Counts = tuple[Keys, NDArray[np.float64]]  # pairs of words as numbers i * V + j in order, their counts
Cooccurrences = tuple[NDArray[np.int64], NDArray[np.float64]]  # pairs of words (Z, 2) in order, their counts (Z,)


def count_cooccurrences(ids: Ids, vocabulary: int, *, window: int = 10, symmetric: bool = True) -> Cooccurrences:
    """The entries of the matrix X above 0: X[i, j] adds up 1 / d over all places with word j d <= `window` before i.

    Pennington, Socher and Manning, "GloVe: Global vectors for word representation" (2014), section 4.2. With
    `symmetric`, words behind i count like those before it, and X equals its transpose. ids: (N,), also memory-mapped.
    It takes about twice the result's memory and that of a chunk, however long the text is.

    Raises NlpError for a window below 1, and for a text of fewer than two tokens.
    """
    if window < 1:
        raise NlpError(f"words occur together within a window of at least 1 word, not {window}")
    if len(ids) < 2:
        raise NlpError(f"words occur together in a text of at least 2 tokens, and this one has {len(ids)}")
    keys, counts = _all_counts(ids, vocabulary, window, symmetric)
    pairs = np.empty((len(keys), 2), dtype=np.int64)
    np.divmod(keys, vocabulary, out=(pairs[:, 0], pairs[:, 1]))
    return pairs, counts


def _all_counts(ids: Ids, vocabulary: int, window: int, symmetric: bool) -> Counts:
    """The counts of all chunks, which are merged as they come.

    A part is merged with the one before it once it has a fourth of its size. So all parts together are little more
    than the largest, and no entry is moved often.
    """
    parts: list[Counts] = []
    for start in range(0, len(ids), CHUNK):
        parts.append(_count(ids, start, vocabulary, window, symmetric))
        while len(parts) > 1 and 4 * len(parts[-1][0]) >= len(parts[-2][0]):
            _merge_last(parts)
    while len(parts) > 1:
        _merge_last(parts)
    return parts[0]


def _merge_last(parts: list[Counts]) -> None:
    """Put the last two parts together as one."""
    more, more_counts = parts.pop()
    keys, counts = parts.pop()
    place = np.searchsorted(keys, more)  # of each key of `more` among the others
    known = place < len(keys)
    known[known] = keys[place[known]] == more[known]
    counts[place[known]] += more_counts[known]
    new, before = ~known, place[~known]
    keys = np.insert(keys, before, more[new])
    parts.append((keys, np.insert(counts, before, more_counts[new])))


def _count(ids: Ids, start: int, vocabulary: int, window: int, symmetric: bool) -> Counts:
    """The counts of pairs whose later word is among the `CHUNK` from `start` on."""
    before = max(start - window, 0)
    words = np.array(ids[before : start + CHUNK], dtype=np.int64)
    keys, weights = [], []
    for distance in range(1, min(window, len(words) - 1) + 1):
        first = max(start - before, distance)  # the first place that is in this chunk and has a word so far before it
        later, earlier = words[first:], words[first - distance : len(words) - distance]
        keys += [later * vocabulary + earlier, *([earlier * vocabulary + later] if symmetric else [])]
        weights += [np.full(len(later), 1 / distance)] * (1 + symmetric)
    if not keys:
        return np.empty(0, dtype=np.int64), np.empty(0)
    return _added_up(np.concatenate(keys), np.concatenate(weights))


def _added_up(keys: Keys, weights: NDArray[np.float64]) -> Counts:
    """Each key once, in order, with the sum of its weights."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    return ranked[starts], np.add.reduceat(weights[order], starts)


class CooccurrenceBatches:
    """Entries of a co-occurrence matrix in a new random order in each pass: (pairs of words (n, 2), counts (n,)).

    The order comes from a seed that is drawn from `minigrad.default_generator` at the start of a pass. `state_dict`
    holds that seed: loaded again, a pass that was stopped goes on in the same order. Iterating, for validation, gives
    the entries in their own order.

    Args:
        cooccurrences: what `count_cooccurrences` gives.
        bptt: how many entries a batch has.
    """

    batch_size = 1

    def __init__(self, cooccurrences: Cooccurrences, *, bptt: int = 4096) -> None:
        self.pairs, counts = cooccurrences
        self.counts = counts.astype(np.float32)
        self.bptt, self.steps = bptt, len(counts)
        if bptt < 1 or not len(counts):
            raise NlpError(f"a batch takes at least 1 entry of a matrix that has some, not {bptt} of {len(counts)}")
        self._seed: int | None = None
        self._order: NDArray[np.int64] | None = None  # (Z,) of the pass with this seed

    def window(self, start: int, length: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """`length` entries of this pass from the `start`-th on; a pass begins with 0."""
        if start == 0 or self._seed is None:
            self._seed = int(minigrad.default_generator.randint((), 0, LARGEST_SEED, device="cpu"))
            self._order = None
        if self._order is None:
            self._order = Generator(self._seed).permutation(self.steps)
        place = self._order[start : start + length]
        return self.pairs[place], self.counts[place]

    def __len__(self) -> int:
        return -(-self.steps // self.bptt)

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for start in range(0, self.steps, self.bptt):
            yield self.pairs[start : start + self.bptt], self.counts[start : start + self.bptt]

    def state_dict(self) -> dict[str, Any]:
        """What decides the order of the rest of this pass."""
        return {"seed": self._seed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on in the order of the pass that `state_dict` was asked in."""
        self._seed, self._order = state["seed"], None
