"""CBOW, the continuous bag of words: the mean of the words around a place foretells the word there.

Mikolov, Chen, Corrado and Dean, "Efficient estimation of word representations in vector space" (2013), section 3.1.

Shapes: M words of a stretch of text, D the size of a vector.
"""

from __future__ import annotations

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor
from minigrad.backend import Array
from nlp.models.word2vec import Word2Vec

__all__ = ["CBOW"]


@minigrad.primitive
def mean_of_sum(input: Array, size: Array) -> Array:
    """A sum of `size` vectors as their mean; each of them gets the mean's gradient, whole."""
    return input / size


mean_of_sum.vjp(input=lambda g: g)


class CBOW(Word2Vec):
    """The mean of the vectors of the words in a window foretells the word in its middle.

    The derivative would give each of n words 1 / n of the mean's gradient. The program word2vec gives it to each of
    them whole, and so does this class: the learning rates in use are meant for it.

    `input` is where the window of each word begins and ends in the stretch (M, 2), `target` the words of the stretch
    (M,), as `nlp.text.contexts.ContextWindows` gives them with `predict_centre`.
    """

    def predictions(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, None]:
        """The mean of each window, and its middle word. Windows overlap: a sum over one is taken as the difference of
        two running sums, so that the work does not depend on how wide they are."""
        first, end = input[:, 0], input[:, 1]
        rows = self.embedding(target)  # M, D
        nothing = minigrad.zeros(1, rows.shape[1], dtype=rows.dtype, device=rows.device)
        running = minigrad.cat([nothing, rows.cumsum(0)])  # M + 1, D
        sums = F.embedding(end, running) - F.embedding(first, running) - rows
        return mean_of_sum(sums, (end - first - 1).to(rows.dtype).unsqueeze(1)), target, None
