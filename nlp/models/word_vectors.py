"""What all models here that learn a vector for each word have in common.

Shapes: V words in the vocabulary, D the size of a vector.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor, nn

__all__ = ["WordVectors", "mean_of", "on_host"]


class WordVectors(nn.Module):
    """A model whose weights are word vectors. One of its own kind gives `loss`, `objective` and `vectors`.

    What `input` and `target` are is each model's own matter: its data in `nlp.text` give them. There is no state to
    carry; it stands among the arguments and results because training calls language models in the same way.
    """

    @abstractmethod
    def loss(self, input: Tensor, target: Tensor, state: None = None, reduction: str = "mean") -> tuple[Tensor, None]:
        """How badly the model foretells, without anything drawn at random; `reduction` is "mean" or "sum"."""

    @abstractmethod
    def objective(self, input: Tensor, target: Tensor, state: None = None) -> tuple[Tensor, Tensor, None]:
        """What training makes small, a sum as the papers' learning rates are for; its mean, to be shown; and None."""

    @abstractmethod
    def vectors(self) -> NDArray[np.float32]:
        """The vector of each word (V, D), as the field uses them: a copy, on the host."""

    @property
    def device(self) -> Any:
        """Where the weights are."""
        return next(self.parameters()).device


def mean_of(total: Tensor, count: int) -> Tensor:
    """A sum over `count` predictions as their mean; of no predictions it is 0."""
    return total / max(count, 1)


def on_host(weight: Tensor) -> NDArray[np.float32]:
    """A weight as an array of its own, of float32."""
    return weight.detach().cpu().numpy().astype(np.float32)
