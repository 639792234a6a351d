"""A language model that sees a window: the last n - 1 tokens, and nothing before them.

Bengio, Ducharme, Vincent and Jauvin, "A neural probabilistic language model" (2003), section 2, equation 1:

    y = b + W x + U tanh(d + H x),    x = (C(w_t-1), C(w_t-2), ..., C(w_t-n+1))

where C(w) is the vector of a token and y holds a score for each token that may come at t.

    model = WindowLM(len(vocabulary), embedding=60, hidden=100, order=5)
    loss, state = model.loss(input, target)  # whole numbers (T, B), each column a text
    scores, state = model(more, state)       # (T, B, V): goes on where the first call ended

Shapes: T time steps, B texts side by side, E embedding, H hidden units, n the order, V tokens in the vocabulary.
"""

from __future__ import annotations

import minigrad
from minigrad import Tensor, nn
from nlp.models.feature_lm import BEFORE, FeatureLM, MakeOutput, start_small, with_older
from nlp.models.output_layers import FullSoftmax
from nlp.models.sizes import check_sizes
from nlp.models.token_model import State

__all__ = ["WindowLM"]


class WindowLM(FeatureLM):
    """The model of equation 1.

    Where the window reaches back beyond the beginning of a text, a vector stands that is learned like the others,
    `beginning` (E). (A window of one token never does.)

    Args:
        vocabulary: how many tokens there are, V.
        embedding, hidden: sizes E and H (the paper's m and h).
        order: n; a token is foretold from the n - 1 before it.
        direct: whether x goes to the scores directly, too; without it W = 0.
        dropout: the probability with which, in training, an element of x, and of the hidden layer, is dropped.

    U and W are one matrix (V, H + (n - 1) E), `decoder.weight`: its first H columns are U, the others W; b is
    `decoder.bias`. H and d are `hidden.weight` and `hidden.bias`. Raises NlpError for a size that gives no model.
    """

    def __init__(
        self,
        vocabulary: int,
        embedding: int = 60,
        hidden: int = 100,
        order: int = 5,
        direct: bool = True,
        dropout: float = 0.0,
        output: MakeOutput = FullSoftmax,
    ) -> None:
        super().__init__()
        check_sizes("WindowLM", vocabulary=vocabulary, embedding=embedding, hidden=hidden)
        check_sizes("WindowLM", 2, order=order)
        self.order, self.direct = order, direct
        seen = (order - 1) * embedding
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.beginning = nn.Parameter(minigrad.zeros(embedding)) if order > 2 else None
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(seen, hidden)
        self.decoder = output(hidden + seen if direct else hidden, vocabulary)
        start_small(self.embedding, self.decoder)

    def features(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The hidden layer, and x behind it if `direct`: (T, B, H + (n - 1) E); and the state.

        The state is one tensor, the n - 2 last tokens of each text (n - 2, B).
        """
        T = len(input)
        older = self.order - 2  # the tokens in the window that the call before has read
        tokens = with_older(input, None if state is None else state[0], older)  # n - 2 + T, B
        vectors = self.embedding(tokens.clamp(min=0))  # n - 2 + T, B, E
        if self.beginning is not None:
            vectors = minigrad.where(minigrad.eq(tokens, BEFORE).unsqueeze(-1), self.beginning, vectors)
        # The nearest token first, as the paper has it.
        x = self.dropout(minigrad.cat([vectors[start : start + T] for start in range(older, -1, -1)], dim=-1))
        hidden = self.dropout(self.hidden(x).tanh())
        return minigrad.cat([hidden, x], dim=-1) if self.direct else hidden, (tokens[T:],)
