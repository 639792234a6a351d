"""GloVe: the product of two words' vectors is the logarithm of how often they occur together.

Pennington, Socher and Manning, "GloVe: Global vectors for word representation" (2014).

Shapes: n entries of the co-occurrence matrix, V words in the vocabulary, D the size of a vector.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor, nn
from nlp.models.sizes import check_sizes
from nlp.models.word_vectors import WordVectors, mean_of, on_host

__all__ = ["GloVe"]


class GloVe(WordVectors):
    """J = sum over entries of f(X_ij) (w_i . w~_j + b_i + b~_j - log X_ij)^2 (equation 8).

    f(x) = (x / x_max)^alpha, at most 1 (equation 9), lets rare pairs count less and frequent ones no more than others.
    The paper trains it with AdaGrad at a rate of 0.05.

    Args:
        vocabulary: how many words there are, V.
        size: D.
    """

    def __init__(self, vocabulary: int, size: int = 100, *, x_max: float = 100.0, alpha: float = 0.75) -> None:
        super().__init__()
        check_sizes("GloVe", vocabulary=vocabulary, size=size)
        self.x_max, self.alpha = x_max, alpha
        self.embedding = nn.Embedding(vocabulary, size, sparse=True)  # w
        self.context_embedding = nn.Embedding(vocabulary, size, sparse=True)  # w~
        self.bias = nn.Embedding(vocabulary, 1, sparse=True)
        self.context_bias = nn.Embedding(vocabulary, 1, sparse=True)
        for weight in self.parameters():
            nn.init.uniform_(weight, -0.5 / size, 0.5 / size)

    def loss(self, input: Tensor, target: Tensor, state: None = None, reduction: str = "mean") -> tuple[Tensor, None]:
        """J over pairs of words (n, 2) that occur together `target` (n,) times, or its mean; nothing is random."""
        word, context = input[:, 0], input[:, 1]
        product = (self.embedding(word) * self.context_embedding(context)).sum(1)
        missing = product + self.bias(word)[:, 0] + self.context_bias(context)[:, 0] - target.log()
        weight = (target / self.x_max).clamp(max=1.0) ** self.alpha
        total = (weight * missing * missing).sum()
        return mean_of(total, len(target)) if reduction == "mean" else total, None

    def objective(self, input: Tensor, target: Tensor, state: None = None) -> tuple[Tensor, Tensor, None]:
        """J, its mean to be shown, and None."""
        total, _ = self.loss(input, target, reduction="sum")
        return total, mean_of(total.detach(), len(target)), None

    def vectors(self) -> NDArray[np.float32]:
        """w + w~ (V, D), which the paper finds a little better than w alone (section 4.2)."""
        return on_host(self.embedding.weight) + on_host(self.context_embedding.weight)
