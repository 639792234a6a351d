"""Word vectors by ranking: a window of text scores higher than the same window with another word in its middle.

Collobert and Weston, "A unified architecture for natural language processing" (2008), section 4.2; Collobert, Weston,
Bottou, Karlen, Kavukcuoglu and Kuksa, "Natural language processing (almost) from scratch" (2011), section 4.

Shapes: n windows of W words, V words in the vocabulary, D the size of a vector, H hidden units.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor, nn
from nlp.errors import NlpError
from nlp.models.word_vectors import WordVectors, mean_of, on_host

__all__ = ["CollobertWeston"]

# How far numbers spread at first: those of the vectors, as from 1 rare words' hardly come away; and the inputs of a,
# which near 0 is the identity, so that the score is a sum over the words and cannot say what fits to what.
SPREAD, INPUT_SPREAD = 0.1, 0.2
ACTIVATIONS: dict[str, type[nn.Module]] = {"hardtanh": nn.Hardtanh, "tanh": nn.Tanh}


class CollobertWeston(WordVectors):
    """score(window) = U a(W [x_1; ...; x_W] + b); the objective is max(0, 1 - score(window) + score(corrupted)).

    The paper's equation 17 sums over all words that might stand in the middle; its training, as here, draws one:
    `nlp.text.contexts.CorruptedWindows` says how.

    Args:
        vocabulary: how many words there are, V.
        size: D.
        hidden: H.
        window: the number of words a side; W = 2 * window + 1.
        activation: a: "hardtanh", as in 2011, or "tanh". Raises NlpError for another.
    """

    def __init__(
        self, vocabulary: int, size: int = 50, hidden: int = 100, *, window: int = 5, activation: str = "hardtanh"
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise NlpError(f"the hidden units of collobert-weston are hardtanh or tanh, not {activation!r}")
        self.embedding = nn.Embedding(vocabulary, size, sparse=True)
        nn.init.normal_(self.embedding.weight, std=SPREAD)
        width = (2 * window + 1) * size
        self.scorer = nn.Sequential(
            nn.Linear(width, hidden), ACTIVATIONS[activation](), nn.Linear(hidden, 1, bias=False)
        )
        nn.init.normal_(self.scorer[0].weight, std=INPUT_SPREAD / (SPREAD * width**0.5))

    def forward(self, windows: Tensor) -> Tensor:
        """The score (n,) of windows of words (n, W)."""
        return self.scorer(self.embedding(windows).flatten(1)).squeeze(1)

    def loss(self, input: Tensor, target: Tensor, state: None = None, reduction: str = "mean") -> tuple[Tensor, None]:
        """The hinge loss of windows (n, W) against those with the words `target` (n,) in their middle."""
        n, middle = len(input), input.shape[1] // 2
        corrupted = minigrad.cat([input[:, :middle], target.unsqueeze(1), input[:, middle + 1 :]], 1)
        scores = self(minigrad.cat([input, corrupted]))  # 2n
        total = F.relu(1 - scores[:n] + scores[n:]).sum()
        return mean_of(total, n) if reduction == "mean" else total, None

    def objective(self, input: Tensor, target: Tensor, state: None = None) -> tuple[Tensor, Tensor, None]:
        """The sum of the hinge losses, their mean to be shown, and None."""
        total, _ = self.loss(input, target, reduction="sum")
        return total, mean_of(total.detach(), len(target)), None

    def vectors(self) -> NDArray[np.float32]:
        """The embedding (V, D)."""
        return on_host(self.embedding.weight)
