"""A row of token ids, seen as words with the words around them: what word vectors are trained on.

Everything is done on whole arrays; nothing loops over tokens.

Shapes: N tokens of a text, M of a stretch of it that were kept, P pairs of words in one window, w the window.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

import minigrad
from minigrad import Generator
from nlp.errors import NlpError, counted
from nlp.text.noise import Noise

__all__ = [
    "ContextWindows",
    "CorruptedWindows",
    "bounds_of_windows",
    "keep_probabilities",
    "pairs_in_windows",
    "stretch_length",
    "words_in_windows",
]

Ids = NDArray[np.integer]
Places = NDArray[np.int64]
Stretch = tuple[NDArray[np.int64] | NDArray[np.bool_], Places]


def keep_probabilities(counts: ArrayLike, threshold: float) -> NDArray[np.float64]:
    """The probability (V,) with which an occurrence of each word is kept, so that frequent words do not fill the text.

    For a word that makes up the share f of the text it is sqrt(t / f) + t / f, at most 1, as in the program word2vec;
    the paper (Mikolov et al. 2013b, equation 5) has the first term alone. A threshold t of 0 keeps all.
    """
    occurrences = np.asarray(counts, dtype=np.float64)
    if not threshold:
        return np.ones(occurrences.shape)
    with np.errstate(divide="ignore"):
        share = threshold * occurrences.sum() / occurrences  # t / f
    return np.minimum(np.sqrt(share) + share, 1.0)


def stretch_length(counts: ArrayLike, threshold: float, *, most: float = 4.0, longest: int = 1024) -> int:
    """How many tokens of a text may be learned from in one update, from 2 to `longest`.

    The papers update after each pair of words. An update for a whole stretch adds up what they would do one after the
    other, all of it at the weights of the beginning: that goes as well while no vector is moved too often, and ends in
    infinity where one is moved a hundred times. So the most frequent word that is kept is expected `most` times.
    """
    occurrences = np.asarray(counts, dtype=np.float64)
    share = (occurrences * keep_probabilities(occurrences, threshold)).max() / occurrences.sum()
    return int(np.clip(most / share, 2, longest))


def words_in_windows(reach: NDArray[np.integer], window: int) -> NDArray[np.bool_]:
    """(M, 2 * window + 1): whether, in a row of M words, the word j - `window` places on from word i is in its window
    of `reach[i]` words a side; the word itself is not."""
    inside = abs(np.arange(-window, window + 1)) <= reach[:, None]
    inside[:, window] = False
    for i in range(min(window, len(reach))):  # what would reach beyond either end
        inside[i, : window - i] = False
        inside[-1 - i, window + 1 + i :] = False
    return inside


def bounds_of_windows(reach: NDArray[np.integer]) -> Places:
    """(M, 2): where word i's window of `reach[i]` words a side begins in a row of M words, and where it ends (the place
    behind the last)."""
    M = len(reach)
    place = np.arange(M)
    return np.stack([np.maximum(place - reach, 0), np.minimum(place + reach, M - 1) + 1], axis=1)


def pairs_in_windows(bounds: Places) -> Places:
    """All pairs (centre, other word in its window) in a row of M words, whose windows are `bounds` (M, 2).

    A pair is one number, the place of the centre times M plus the place of the other word: so it names an entry of
    the matrix (M, M) of all words beside all words. In rising order, (P,).
    """
    M = len(bounds)
    first, size = bounds[:, 0], bounds[:, 1] - bounds[:, 0] - 1  # the centre is left out
    centre = np.repeat(np.arange(M), size)  # P
    other = np.arange(len(centre)) + np.repeat(first - np.cumsum(size) + size, size)
    other += other >= centre
    return centre * M + other


class ContextWindows:
    """Stretches of a text for skip-gram: (the words of a stretch (M,), pairs of them (P,)), int64.

    Frequent words are left out at random (`keep_probabilities`), and then each word gets a window of 1 to `window`
    words a side, all sizes alike often, so that near words count more (Mikolov et al. 2013a, section 3.2). Pairs are
    numbered as `pairs_in_windows` has it.

    A window ends where its stretch does, and nowhere else: every id stands for a word, and where line ends were taken
    out before, as `nlp words train` does, windows reach from one line into the next. (Those of the program word2vec end
    with the line, and after a thousand words.)

    Args:
        ids: shape (N,), also memory-mapped.
        counts: how often each word of the vocabulary occurs (V,), for leaving out frequent ones.
        window: the largest number of words a side.
        subsample: the threshold t of `keep_probabilities`; 0 keeps all words.
        bptt: how many tokens of the text a stretch has: see `stretch_length`.
        predict_centre: for CBOW, the other way about: (which words are in windows (M, 2 * window + 1), bool, as
            `words_in_windows` has it, words (M,)).

    All draws come from `minigrad.default_generator`; only iterating, which is for validation, gives the same stretches
    each time. Raises NlpError for fewer than two tokens, and for a window or length below 1.
    """

    batch_size = 1

    def __init__(
        self,
        ids: Ids,
        counts: ArrayLike,
        *,
        window: int = 5,
        subsample: float = 1e-3,
        bptt: int = 256,
        predict_centre: bool = False,
    ) -> None:
        if len(ids) < 2:
            raise NlpError(f"words are learned from those around them: a text needs 2 tokens, this one has {len(ids)}")
        if window < 1 or bptt < 2:
            raise NlpError(f"a window has at least 1 word a side and a stretch 2 words, not {window} and {bptt}")
        if not subsample >= 0:
            raise NlpError(f"the threshold for leaving out frequent words is 0 (none) or above, not {subsample}")
        self.ids, self.reach, self.bptt, self.predict_centre = ids, window, bptt, predict_centre
        self.keep = keep_probabilities(counts, subsample)
        self.steps = len(ids)

    def window(self, start: int, length: int) -> Stretch:
        """What `length` tokens from `start` on give; both arrays are empty where fewer than two words are kept."""
        return self._drawn(start, length, minigrad.default_generator)

    def __len__(self) -> int:
        return -(-self.steps // self.bptt)

    def __iter__(self) -> Iterator[Stretch]:
        generator = Generator(0)
        for start in range(0, self.steps, self.bptt):
            yield self._drawn(start, self.bptt, generator)

    def _drawn(self, start: int, length: int, generator: Generator) -> Stretch:
        words = np.array(self.ids[start : start + length], dtype=np.int64)
        words = words[generator.uniform(words.shape, dtype=np.float64, device="cpu") < self.keep[words]]
        reach = generator.randint(words.shape, 1, self.reach + 1, device="cpu")
        if len(words) < 2:
            words, reach = words[:0], reach[:0]  # a word alone is neither foretold nor foretells
        if self.predict_centre:
            return words_in_windows(reach, self.reach), words
        return words, pairs_in_windows(bounds_of_windows(reach))


class CorruptedWindows:
    """Windows for ranking (Collobert and Weston 2008): (windows (n, W), words to stand in their middle (n,)), int64.

    Window i has the words i to i + W - 1 of the text, W = 2 * `window` + 1. The words that take the place of the middle
    one come from `minigrad.default_generator`; iterating, for validation, gives the same ones each time.

    Args:
        ids: shape (N,), also memory-mapped.
        counts: how often each word of the vocabulary occurs (V,).
        window: the number of words a side.
        bptt: how many windows a batch has.
        power: words are drawn by their counts to this power. 0, all alike, is the papers'. Most words of a vocabulary
            are rare, so that one which is drawn so is told from the text's by its frequency alone, whatever stands
            beside it; the papers answer that with months of training and vocabularies that grow.

    Raises NlpError for a text that is shorter than a window, and for a window or batch below 1.
    """

    batch_size = 1

    def __init__(self, ids: Ids, counts: ArrayLike, *, window: int = 5, bptt: int = 256, power: float = 0.75) -> None:
        if window < 1 or bptt < 1:
            raise NlpError(f"a window has at least 1 word a side and a batch 1 window, not {window} and {bptt}")
        self.width = 2 * window + 1
        if len(ids) < self.width:
            raise NlpError(
                f"a window of {self.width} words needs a text as long, and this one has {counted(len(ids), 'token')}: "
                "lower --window, or give a longer text"
            )
        self.ids, self.noise, self.bptt = ids, Noise(counts, power), bptt
        self.steps = len(ids) - self.width + 1

    def window(self, start: int, length: int) -> tuple[Places, Places]:
        """At most `length` windows from the `start`-th on."""
        return self._drawn(start, length, minigrad.default_generator)

    def __len__(self) -> int:
        return -(-self.steps // self.bptt)

    def __iter__(self) -> Iterator[tuple[Places, Places]]:
        generator = Generator(0)
        for start in range(0, self.steps, self.bptt):
            yield self._drawn(start, self.bptt, generator)

    def _drawn(self, start: int, length: int, generator: Generator) -> tuple[Places, Places]:
        words = np.array(self.ids[start : start + length + self.width - 1], dtype=np.int64)
        windows = sliding_window_view(words, self.width).copy()
        return windows, self.noise.draw((len(windows),), generator)
