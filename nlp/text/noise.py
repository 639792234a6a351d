"""Words drawn at random: the noise that sampled training tells the words of a text apart from.

Shapes: V words in the vocabulary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad
from minigrad import Generator
from nlp.errors import NlpError

__all__ = ["Noise"]


class Noise:
    """The distribution q(w) proportional to count(w)^power over V words, and draws from it.

    Mikolov, Sutskever, Chen, Corrado and Dean, "Distributed representations of words and phrases and their
    compositionality" (2013), section 2.2, take the power 3/4. A draw takes the same time for any V, by the alias method
    of Walker (1977) in the form of Vose (1991): each word has a column of height 1 / V, which it shares with at most
    one other word, its alias.

    Attributes: `probabilities` (V,) float64, `share` (V,) float64, how much of a word's column is its own, and `alias`
    (V,) int64, whose the rest is. Raises NlpError for counts of which none is above 0.
    """

    def __init__(self, counts: ArrayLike, power: float = 0.75) -> None:
        weights = np.asarray(counts, dtype=np.float64)
        if weights.ndim != 1 or not (weights >= 0).all() or not weights.any():
            raise NlpError("noise words are drawn by how often words occur: give one count a word, one of them above 0")
        weights = np.where(weights > 0, weights, 1.0) ** power * (weights > 0)  # a word of count 0 is never drawn
        self.probabilities = weights / weights.sum()
        self.share, self.alias = _alias_table(self.probabilities)

    def draw(self, shape: tuple[int, ...], generator: Generator | None = None) -> NDArray[np.int64]:
        """Word ids of this shape, drawn with replacement; from `minigrad.default_generator` where none is named."""
        source = generator or minigrad.default_generator
        point = source.uniform(shape, dtype=np.float64, device="cpu") * len(self.alias)
        column = point.astype(np.int64)
        return np.where(point - column < self.share[column], column, self.alias[column])


def _alias_table(probabilities: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(share of its column that a word has itself (V,), whose the rest is (V,)).

    A column that is too low is filled up from one that is too high, which then has less left, until all are even.
    """
    heights = (probabilities * len(probabilities)).tolist()  # 1 on average
    share, alias = [1.0] * len(heights), list(range(len(heights)))
    low = [word for word, height in enumerate(heights) if height < 1]
    high = [word for word, height in enumerate(heights) if height >= 1]
    while low and high:  # one of them runs out early where the sum is rounded: what is left is as high as 1
        short, tall = low.pop(), high[-1]
        share[short], alias[short] = heights[short], tall
        heights[tall] -= 1 - heights[short]
        if heights[tall] < 1:
            low.append(high.pop())
    return np.array(share), np.array(alias, dtype=np.int64)
