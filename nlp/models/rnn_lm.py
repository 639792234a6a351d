"""A recurrent language model: given the words so far, a score for every word that may come next.

The shape of Zaremba, Sutskever and Vinyals, "Recurrent neural network regularization" (2014): dropout stands between
the layers, never inside the recurrence.

Shapes: T time steps, B texts side by side, E embedding, H hidden units, L layers, V words in the vocabulary.
"""

from __future__ import annotations

from typing import Any

import minigrad.nn.functional as F
from minigrad import Tensor, nn

__all__ = ["CELLS", "RNNLM", "detach"]

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
State = Any  # an LSTM's (h, c), the h of the others: L, B, H each; None is all zeros


class RNNLM(nn.Module):
    """Embedding, dropout, `layers` recurrent layers, dropout, and a linear layer with a score for each word.

    Args:
        vocabulary: how many words there are, V.
        embedding, hidden: sizes E and H.
        dropout: the probability with which each embedding and each hidden unit is dropped in training.
        cell: "lstm", "gru" or "rnn".
        tied: the output layer's weight is the embedding (Press and Wolf 2017; Inan et al. 2017); needs E = H.
    """

    def __init__(
        self,
        vocabulary: int,
        embedding: int = 200,
        hidden: int = 200,
        layers: int = 2,
        dropout: float = 0.2,
        cell: str = "lstm",
        tied: bool = False,
    ) -> None:
        super().__init__()
        if tied and embedding != hidden:
            raise ValueError(f"tied weights need embedding and hidden of one size, not {embedding} and {hidden}")
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.dropout = nn.Dropout(dropout)
        between = dropout if layers > 1 else 0.0  # the one after the last layer is `self.dropout`
        self.recurrent = CELLS[cell](embedding, hidden, layers, dropout=between)
        self.decoder = nn.Linear(hidden, vocabulary)
        if tied:
            self.decoder.weight = self.embedding.weight
        # Small scores at first: the untrained model then thinks all words about equally likely.
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def features(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """What the output layer reads at each place, (T, B, H), of words (T, B); and the state after the last."""
        embedded = self.dropout(self.embedding(input))  # T, B, E
        output, state = self.recurrent(embedded, state)
        return self.dropout(output), state

    def forward(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The scores (T, B, V) of every next word after each of the words (T, B), and the state after the last."""
        features, state = self.features(input, state)
        return self.decoder(features), state

    def loss(self, input: Tensor, target: Tensor, state: State = None, reduction: str = "mean") -> tuple[Tensor, State]:
        """The cross-entropy (nats) of the words `target` (T, B) that follow `input` (T, B), and the state.

        The scores of all places are never held at once: at T * B * V they would be the largest array by far.
        """
        features, state = self.features(input, state)
        rows = features.reshape(-1, features.shape[-1])  # T * B, H
        loss = F.linear_cross_entropy(
            rows, self.decoder.weight, target.reshape(-1), linear_bias=self.decoder.bias, reduction=reduction
        )
        return loss, state


def detach(state: State) -> State:
    """The same state as plain values: backpropagation through time stops here."""
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
