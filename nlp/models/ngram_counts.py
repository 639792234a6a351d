"""How often the n-grams of a text occur, in sorted arrays instead of dictionaries.

The n-grams form a tree: below an n-gram of m - 1 words hang those of m words that begin with it. In the table of
order m each n-gram has a number, its node, and is written as one integer, its key: (the node of its first m - 1 words)
* V + (its last word). The keys rise, so that a node is found by bisection and the followers of a context are one slice.

Shapes: N tokens of a text, V words in the vocabulary, N_m different n-grams of m words.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlp.errors import NlpError, counted

__all__ = ["UNSEEN", "Followers", "NGramCounts", "check_countable", "count_ngrams", "counting_steps"]

Ids = NDArray[np.integer]
Nodes = NDArray[np.int64]
Floats = NDArray[np.float64]

UNSEEN = -1  # the node of an n-gram that does not occur; as an index it finds the last entry of an array


@dataclass(frozen=True)
class Followers:
    """The n-grams of one order, seen as words that follow contexts: C contexts, N_m n-grams."""

    counts: Nodes  # N_m
    context: Nodes  # N_m: which context each follows
    totals: Floats  # C: the counts that follow each context; 0 for one that stands at the end of the text alone


@dataclass(frozen=True)
class NGramCounts:
    """The n-grams of all orders 1..n of a text.

    Attributes:
        vocabulary: V.
        keys: of the orders 2, 3, …, n: the keys (N_m,), rising.
        counts: of the orders 1, 2, …, n: how often each occurs, (V,) for the words, of which some may be missing, and
            (N_m,) for the others.
    """

    vocabulary: int
    keys: tuple[Nodes, ...]
    counts: tuple[Nodes, ...]

    @property
    def order(self) -> int:
        """The length n of the longest n-grams."""
        return len(self.counts)

    def find(self, order: int, prefix: Nodes, word: Ids) -> Nodes:
        """The nodes of the n-grams of `order` (2 or more) that have these nodes as their first words, and these last
        words; `UNSEEN` for those that do not occur, and where the prefix is `UNSEEN` itself."""
        keys, wanted = self.keys[order - 2], prefix * self.vocabulary + word  # an unseen prefix gives a negative key
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[place] == wanted, place, UNSEEN)

    def slices(self, order: int, context: Nodes) -> tuple[Nodes, Nodes]:
        """Where the n-grams of `order` that begin with these contexts start and stop in its table; an empty slice for a
        context that is `UNSEEN`."""
        keys, first = self.keys[order - 2], context * self.vocabulary
        return np.searchsorted(keys, first), np.searchsorted(keys, first + self.vocabulary)

    def followers(self, order: int) -> Followers:
        """The n-grams of `order` by their contexts. A word alone follows the only context of no words."""
        counts = self.counts[order - 1]
        context = self.keys[order - 2] // self.vocabulary if order > 1 else np.zeros(len(counts), np.int64)
        contexts = len(self.counts[order - 2]) if order > 1 else 1
        return Followers(counts, context, np.asarray(np.bincount(context, counts, contexts), np.float64))

    def suffixes(self) -> list[Nodes]:
        """For the orders 2, 3, …, n: the node of each n-gram without its first word, (N_m,), in the table before."""
        result: list[Nodes] = []
        for order, keys in enumerate(self.keys, 2):
            prefix, word = np.divmod(keys, self.vocabulary)
            result.append(self.find(order - 1, result[-1][prefix], word) if result else word)
        return result


def count_ngrams(ids: Ids, order: int, vocabulary: int) -> NGramCounts:
    """The n-grams of 1, 2, …, `order` words in the text `ids` (N,), of any integer dtype, also memory-mapped.

    Takes O(N log N) time for each order, and memory for about 9 arrays of N int64 beside the result. Raises NlpError
    for an order below 1 or above N, an empty text, a vocabulary below 2, and ids outside it.
    """
    steps = counting_steps(ids, order, vocabulary)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def counting_steps(ids: Ids, order: int, vocabulary: int) -> Generator[int, None, NGramCounts]:
    """`count_ngrams` in steps: yields each order that is counted, so that whoever runs it can show how far it is, or
    leave. `counts = yield from counting_steps(...)`."""
    check_countable(ids, order, vocabulary)
    words = np.array(ids, dtype=np.int64)
    nodes, keys = words, []  # nodes: of the n-gram that ends at each place of the text
    counts = [np.bincount(words, minlength=vocabulary)]
    yield 1
    for length in range(2, order + 1):
        # N * V is below 2**63 for every text that fits into memory: a node is a number below N.
        here = nodes[:-1] * vocabulary + words[length - 1 :]
        different, nodes, count = np.unique(here, return_inverse=True, return_counts=True)
        keys.append(different)
        counts.append(count)
        yield length
    return NGramCounts(vocabulary, tuple(keys), tuple(counts))


def check_countable(ids: Ids, order: int, vocabulary: int) -> None:
    """Raise NlpError where n-grams of this order cannot be counted: see `count_ngrams`."""
    if order < 1:
        raise NlpError(f"the order of an n-gram model is at least 1, not {order}")
    if vocabulary < 2:
        raise NlpError(f"a vocabulary of {counted(vocabulary, 'word')} leaves nothing to foretell: give a longer text")
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise NlpError(f"n-grams are counted in one row of whole numbers, not in {ids.dtype} of shape {ids.shape}")
    if len(ids) == 0:
        raise NlpError("an empty text has no n-grams to count: give one with text in it")
    if len(ids) < order:
        raise NlpError(
            f"a text of {counted(len(ids), 'token')} has no n-gram of {order}: give a longer text, or an order of at "
            f"most {len(ids)}"
        )
    least, most = int(ids.min()), int(ids.max())
    if least < 0 or most >= vocabulary:
        raise NlpError(
            f"the id {least if least < 0 else most} is not in this vocabulary of {vocabulary} words: ids run from 0 to "
            f"{vocabulary - 1}"
        )
