"""What the networks have in common whose last step is an affine map from features to the scores of all tokens.

Shapes: T time steps, B texts side by side, D features, V tokens in the vocabulary.
"""

from __future__ import annotations

from abc import abstractmethod

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor, nn
from nlp.errors import NlpError
from nlp.models.rnn_lm import INITIAL_RANGE
from nlp.models.token_model import State, TokenModel

__all__ = ["BEFORE", "FeatureLM", "check_sizes", "start_small", "with_older"]

BEFORE = -1  # stands in a context for the places before a text begins


class FeatureLM(TokenModel):
    """A language model that is `features`, and on top of them `decoder`, one row of weights for each token."""

    decoder: nn.Linear

    @abstractmethod
    def features(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """What the scores are made of (T, B, D), after each of the tokens (T, B), and the state after the last."""

    def forward(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The scores (T, B, V) of every next token after each of the tokens (T, B), and the state after the last."""
        features, state = self.features(input, state)
        return self.decoder(features), state

    def loss(self, input: Tensor, target: Tensor, state: State = None, reduction: str = "mean") -> tuple[Tensor, State]:
        """The cross-entropy (nats) of the tokens `target` (T, B) that follow `input` (T, B), and the state.

        The scores of all places are never held at once.
        """
        features, state = self.features(input, state)
        rows = features.reshape(-1, features.shape[-1])  # T * B, D
        weight, bias = self.decoder.weight, self.decoder.bias
        return F.linear_cross_entropy(rows, weight, target.reshape(-1), linear_bias=bias, reduction=reduction), state


def check_sizes(model: str, least: int = 1, **sizes: int) -> None:
    """Raise NlpError where one of the sizes is below `least`."""
    for name, size in sizes.items():
        if size < least:
            raise NlpError(f"{model}: {name} is {size}, it must be at least {least}")


def with_older(input: Tensor, older: Tensor | None, count: int) -> Tensor:
    """The tokens (T, B), and in front of them `older` (count, B): those just before, `BEFORE` where a text begins.

    A count below 0 is 0. The `count` last of what comes back are the older ones of the next call.
    """
    if older is None:
        older = minigrad.full((max(count, 0), input.shape[1]), BEFORE, dtype=minigrad.int64, device=input.device)
    return minigrad.cat([older, input])


def start_small(*tables: nn.Embedding | nn.Linear) -> None:
    """Draw the weights of what reads or scores tokens in U(-0.1, 0.1), biases 0: all about equally likely at first."""
    for table in tables:
        nn.init.uniform_(table.weight, -INITIAL_RANGE, INITIAL_RANGE)
        if isinstance(table, nn.Linear):
            nn.init.zeros_(table.bias)
