"""The softmax over the whole vocabulary: V products for every row.

Shapes: N rows of features, H features, V words in the vocabulary.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

import minigrad.nn.functional as F
from minigrad import Tensor, nn
from nlp.models.output_layers.layer import OutputLayer

__all__ = ["FullSoftmax"]


class FullSoftmax(OutputLayer):
    """p(w | x) = exp(weight[w] x + bias[w]) over the sum of that; `weight` (V, H) and `bias` (V) start as nn.Linear's.

    `weight` may be the embedding's (tied weights).
    """

    def __init__(self, features: int, vocabulary: int, counts: ArrayLike | None = None) -> None:
        super().__init__()
        linear = nn.Linear(features, vocabulary)
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, rows: Tensor) -> Tensor:
        """The scores (N, V) given rows (N, H)."""
        return F.linear(rows, self.weight, self.biases())

    def loss(self, rows: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
        """The cross-entropy (nats) of the words `target` (N) given rows (N, H).

        The scores of all rows are never held at once: at N * V they would be the largest array by far.
        """
        return F.linear_cross_entropy(rows, self.weight, target, linear_bias=self.biases(), reduction=reduction)

    def initialize(self, r: float) -> None:
        """The weights in U(-r, r), no biases."""
        nn.init.uniform_(self.weight, -r, r)
        nn.init.zeros_(self.bias)

    def log_prior_(self, counts: ArrayLike) -> None:
        """The biases that foretell words as often as they occur."""
        nn.init.log_prior_(self.bias, counts)

    def biases(self) -> Tensor:
        """What is added to the score of each word (V)."""
        return self.bias
