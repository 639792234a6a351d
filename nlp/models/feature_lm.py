"""What the networks have in common that make features of what they have read, and of those scores for all tokens.

Shapes: T time steps, B texts side by side, D features, V tokens in the vocabulary.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from numpy.typing import ArrayLike

import minigrad
from minigrad import Tensor, nn
from nlp.models.output_layers import OutputLayer
from nlp.models.token_model import State, TokenModel

__all__ = ["BEFORE", "INITIAL_RANGE", "FeatureLM", "MakeOutput", "start_small", "with_older"]

MakeOutput = Callable[[int, int], OutputLayer]  # an output layer of so many features and tokens
INITIAL_RANGE = 0.1  # of the embedding and the output layer: small scores at first, all words about equally likely
BEFORE = -1  # stands in a context for the places before a text begins


class FeatureLM(TokenModel):
    """A language model that is `features`, and on top of them an output layer: `decoder`."""

    decoder: OutputLayer

    @abstractmethod
    def features(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """What the scores are made of (T, B, D), after each of the tokens (T, B), and the state after the last."""

    def forward(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The scores (T, B, V) of every next token after each of the tokens (T, B), and the state after the last."""
        features, state = self.features(input, state)
        scores = self.decoder(_rows(features))
        return scores.reshape(*input.shape, scores.shape[-1]), state

    def loss(self, input: Tensor, target: Tensor, state: State = None, reduction: str = "mean") -> tuple[Tensor, State]:
        """The cross-entropy (nats) of the tokens `target` (T, B) that follow `input` (T, B), and the state."""
        features, state = self.features(input, state)
        return self.decoder.loss(_rows(features), target.reshape(-1), reduction), state

    def objective(self, input: Tensor, target: Tensor, state: State = None) -> tuple[Tensor, Tensor, State]:
        """What training makes small, the mean loss (nats a token) to be shown of it, and the state."""
        features, state = self.features(input, state)
        return *self.decoder.objective(_rows(features), target.reshape(-1)), state

    def start_at_frequencies(self, counts: ArrayLike) -> None:
        """Set the output layer's biases to foretell tokens as often as they occur (V)."""
        self.decoder.log_prior_(counts)


def _rows(features: Tensor) -> Tensor:
    """The features (T, B, D) of all places in a row (T * B, D)."""
    return features.reshape(-1, features.shape[-1])


def with_older(input: Tensor, older: Tensor | None, count: int) -> Tensor:
    """The tokens (T, B), and in front of them `older` (count, B): those just before, `BEFORE` where a text begins.

    A count below 0 is 0. The `count` last of what comes back are the older ones of the next call.
    """
    if older is None:
        older = minigrad.full((max(count, 0), input.shape[1]), BEFORE, dtype=minigrad.int64, device=input.device)
    return minigrad.cat([older, input])


def start_small(*tables: nn.Embedding | OutputLayer) -> None:
    """Draw the weights of what reads or scores tokens in U(-0.1, 0.1), all tokens about equally likely at first."""
    for table in tables:
        if isinstance(table, OutputLayer):
            table.initialize(INITIAL_RANGE)
        else:
            nn.init.uniform_(table.weight, -INITIAL_RANGE, INITIAL_RANGE)
