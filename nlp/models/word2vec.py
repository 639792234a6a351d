"""What skip-gram and CBOW have in common: input vectors that are the result, and an output layer without a softmax.

Shapes: M words of a stretch of text, P pairs of them, V words in the vocabulary, D the size of a vector.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad import Tensor, nn
from nlp.errors import NlpError
from nlp.models.sizes import check_sizes
from nlp.models.word2vec_outputs import NoiseOutput, PathOutput
from nlp.models.word_vectors import WordVectors, mean_of, on_host

__all__ = ["Word2Vec"]


class Word2Vec(WordVectors):
    """A model of Mikolov et al. (2013). One of its own kind says which vectors foretell which words.

    The objective is a sum, whose gradient adds up the papers' updates of all pairs in the stretch; train it with SGD
    at their rates (0.025 for skip-gram, 0.05 for CBOW) and let those fall to 0. The papers update after each pair:
    `nlp.text.contexts.stretch_length` says how long a stretch may be before the sum is too much.

    Args:
        counts: how often each word of the vocabulary occurs (V,).
        size: D.
        negatives: the number of noise words for a pair; 0 takes the hierarchical softmax, `PathOutput`, instead.
        shared: see `NoiseOutput`.

    Raises NlpError for a size below 1, for `negatives` or `shared` below 0, and for `shared` without `negatives`.
    """

    def __init__(self, counts: ArrayLike, size: int = 100, *, negatives: int = 5, shared: int = 0) -> None:
        super().__init__()
        check_sizes(type(self).__name__, size=size)
        check_sizes(type(self).__name__, 0, negatives=negatives, shared=shared)
        if shared and not negatives:
            raise NlpError(f"{type(self).__name__}: shared noise words are negatives, and negatives=0 takes none")
        self.embedding = nn.Embedding(len(np.asarray(counts)), size, sparse=True)
        nn.init.uniform_(self.embedding.weight, -0.5 / size, 0.5 / size)
        self.output: NoiseOutput | PathOutput
        if negatives:
            self.output = NoiseOutput(counts, size, negatives, shared)
        else:
            self.output = PathOutput(counts, size)

    @abstractmethod
    def predictions(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Vectors (M, D), words (M,), and which foretells which: see `nlp.models.word2vec_outputs`."""

    def loss(self, input: Tensor, target: Tensor, state: None = None, reduction: str = "mean") -> tuple[Tensor, None]:
        """The loss, nats a prediction for the hierarchical softmax; noise words count by their expectation."""
        total = self.output.loss(*self.predictions(input, target))
        return mean_of(total, len(target)) if reduction == "mean" else total, None

    def objective(self, input: Tensor, target: Tensor, state: None = None) -> tuple[Tensor, Tensor, None]:
        """The sum that training makes small, with noise words drawn; its mean; and None."""
        total = self.output.objective(*self.predictions(input, target))
        return total, mean_of(total.detach(), len(target)), None

    def vectors(self) -> NDArray[np.float32]:
        """The input vectors (V, D)."""
        return on_host(self.embedding.weight)
