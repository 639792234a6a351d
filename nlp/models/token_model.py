"""What all language models here have in common, and what training, judging and writing ask of them.

A token model reads tokens and scores every token that may come next. What it remembers of those it has read is its
state, which goes in and comes out with every call, so that a long text can be read a piece at a time.

Shapes: T time steps, B texts side by side, V tokens in the vocabulary.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from itertools import chain
from typing import Any

from numpy.typing import ArrayLike

import minigrad.nn.functional as F
from minigrad import Tensor, nn

__all__ = ["State", "TokenModel", "detach", "on_state"]

State = Any  # None at the beginning of a text; else tensors of any shape (…, B, …) with B second, in tuples


class TokenModel(nn.Module):
    """A language model. One of its own kind gives `forward`; `loss` and `objective` where it can do better than here.

    Every weight and buffer lies on one device, `device`.
    """

    @abstractmethod
    def forward(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The scores (T, B, V) of every next token after each of the tokens (T, B), and the state after the last.

        A score is the logarithm of a probability, up to a number that is the same for all V.
        """

    def loss(self, input: Tensor, target: Tensor, state: State = None, reduction: str = "mean") -> tuple[Tensor, State]:
        """The cross-entropy (nats) of the tokens `target` (T, B) that follow `input` (T, B), and the state.

        It is exact, whatever the model is trained with. A target of -100 is not scored. `reduction`: "mean", "sum", or
        "none" for (T * B).
        """
        scores, state = self(input, state)
        rows = scores.reshape(-1, scores.shape[-1])
        return F.cross_entropy(rows, target.reshape(-1), reduction=reduction), state

    def objective(self, input: Tensor, target: Tensor, state: State = None) -> tuple[Tensor, Tensor, State]:
        """What training makes small, the mean loss (nats a token) to be shown of it, and the state."""
        loss, state = self.loss(input, target, state)
        return loss, loss, state

    def start_at_frequencies(self, counts: ArrayLike) -> None:
        """Before training: foretell tokens as often as they occur in the training text (V), where the model can."""

    @property
    def device(self) -> Any:
        """Where the weights are, or the buffers of a model that has no weights."""
        return next(chain(self.parameters(), self.buffers())).device


def on_state(state: State, function: Callable[[Tensor], Tensor]) -> State:
    """The same state with `function` applied to each of its tensors; None, of a model that has none, stays None."""
    if state is None:
        return None
    if isinstance(state, tuple):
        return tuple([on_state(part, function) for part in state])
    return function(state)


def detach(state: State) -> State:
    """The same state as plain values: backpropagation through time stops here."""
    return on_state(state, Tensor.detach)
