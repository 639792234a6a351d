"""Maximum-entropy n-gram features in one hashed table, alone or beside a network.

Mikolov, Deoras, Povey, Burget and Cernocky, "Strategies for training large scale neural network language models"
(2011), section 6: the score of a token w is a sum of one weight for each order k = 1 ... n, that of the n-gram made of
the k - 1 tokens before w, and w. The weights of all n-grams share one table of a fixed size, and an n-gram has its
weight at

    (hash(the k - 1 tokens before) + w) mod size

so that the weights of all V tokens that may follow one context lie side by side. N-grams that meet in one place share a
weight; the larger the table, the fewer do. A network that is trained together with the features is left with what they
cannot know.

    model = MaxEntLM(len(vocabulary), order=3, size=2**22)                                    # alone
    model = MaxEntLM(len(vocabulary), order=3, size=2**22, inner=RNNLM(len(vocabulary), 100, 100))
    loss, state = model.loss(input, target)  # whole numbers (T, B), each column a text

Shapes: T time steps, B texts side by side, N = T * B places, K orders, S the table's size, V tokens in the vocabulary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

import minigrad
from minigrad import Tensor, nn
from minigrad.backend import Array, namespace
from nlp.errors import NlpError
from nlp.models.feature_lm import with_older
from nlp.models.sizes import check_sizes
from nlp.models.token_model import State, TokenModel

__all__ = ["MaxEntLM", "add_slices", "sum_slices"]


# ---- sums of slices of a table, and their gradient ------------------------------------------------------------------


@minigrad.primitive
def sum_slices(weight: Array, starts: Array, *, width: int) -> Array:
    """The sum of K slices of the table `weight` (S), for each of N columns of `starts` (K, N): (N, width).

    A slice that reaches the table's end goes on at its beginning. The starts are from 0 to S - 1, and width at most S.
    """
    xp = namespace(weight)
    size = len(weight)
    result = xp.zeros((starts.shape[1], width), dtype=weight.dtype)
    if xp is np:  # slices: 1,000 numbers in the time that indexing takes for 100
        for row, places in zip(result, starts.T.tolist(), strict=True):
            for start in places:
                first = min(width, size - start)
                row[:first] += weight[start : start + first]
                row[first:] += weight[: width - first]
        return result
    for order in range(len(starts)):
        result += weight[(starts[order][:, None] + xp.arange(width)) % size]
    return result


@minigrad.primitive
def add_slices(values: Array, starts: Array, *, size: int) -> Array:
    """A table (size) of zeros to which each row of `values` (N, width) is added at its K `starts` (K, N).

    The transpose of `sum_slices`, and so its gradient.
    """
    xp = namespace(values)
    width = values.shape[1]
    result = xp.zeros((size,), dtype=values.dtype)
    if xp is np:
        for row, places in zip(values, starts.T.tolist(), strict=True):
            for start in places:
                first = min(width, size - start)
                result[start : start + first] += row[:first]
                result[: width - first] += row[first:]
        return result
    for order in range(len(starts)):
        xp.add.at(result, (starts[order][:, None] + xp.arange(width)) % size, values)
    return result


sum_slices.vjp(weight=lambda g, starts, weight_shape: add_slices(g, starts, size=weight_shape[0]))
add_slices.vjp(values=lambda g, starts, values_shape: sum_slices(g, starts, width=values_shape[1]))


# ---- the model ------------------------------------------------------------------------------------------------------


class MaxEntLM(TokenModel):
    """Hashed features of n-grams, added to the scores of another model if there is one.

    Both are trained together on the cross-entropy of the sum; penalties that `inner` would add to its own objective are
    not part of it. Scores are held for all places at once: N x V numbers, a few times over in training.

    Args:
        vocabulary: how many tokens there are, V.
        order: n; features of the orders 1, of the token alone, to n, with n - 1 tokens before it.
        size: S, how many weights there are for all of them together, from V on.
        inner: the language model whose scores they are added to, of the same vocabulary. None: they are the scores.

    The weights, `weight` (S), start at 0. `multipliers` (n, n) is the hash, kept with the weights: in row k - 1 a
    number to begin with and one for each token before, the nearest first. What stands before a text is hashed like a
    token of its own. Raises NlpError for an order or size that gives no model.
    """

    multipliers: Tensor

    def __init__(self, vocabulary: int, order: int = 3, size: int = 2**22, inner: TokenModel | None = None) -> None:
        super().__init__()
        check_sizes("MaxEntLM", vocabulary=vocabulary, order=order)
        if size < vocabulary:
            raise NlpError(
                f"MaxEntLM: a table of size {size} has no room for the {vocabulary} tokens that may follow a context: "
                f"take a size of at least that, better of a hundred times that (--maxent-size)"
            )
        self.vocabulary, self.order = vocabulary, order
        self.inner = inner
        self.weight = nn.Parameter(minigrad.zeros(size))
        self.register_buffer("multipliers", minigrad.tensor(_multipliers(order)))

    def forward(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The scores (T, B, V) of every next token after each of the tokens (T, B), and the state after the last.

        The state is the last n - 2 tokens of each text (n - 2, B), and behind it the inner model's if there is one.
        """
        T, B = input.shape
        tokens = with_older(input, None if state is None else state[0], self.order - 2)  # n - 2 + T, B
        scores = sum_slices(self.weight, self._starts(tokens, T), width=self.vocabulary).reshape(T, B, -1)
        if self.inner is None:
            return scores, (tokens[T:],)
        inner, inner_state = self.inner(input, None if state is None else state[1])
        return inner + scores, (tokens[T:], inner_state)

    def start_at_frequencies(self, counts: ArrayLike) -> None:
        """The inner model's matter; without one, the features of a token alone start at its share of the text (V)."""
        if self.inner is not None:
            self.inner.start_at_frequencies(counts)
            return
        shares = np.asarray(counts, dtype=np.float64) + 1
        place = (self.multipliers[0, 0].item() + np.arange(self.vocabulary)) % len(self.weight)
        with minigrad.no_grad():
            starts = minigrad.tensor(np.log(shares / shares.sum()).astype(np.float32), device=self.device)
            self.weight[minigrad.tensor(place, device=self.device)] = starts

    def _starts(self, tokens: Tensor, T: int) -> Tensor:
        """Where in the table the features of each order begin (n, T * B), after each of the last T tokens."""
        last = len(tokens) - T
        starts = []
        for order in range(self.order):  # with so many tokens before
            row = self.multipliers[order]
            total = row[0].expand(T, tokens.shape[1])
            for back in range(order):  # 0 is the nearest token
                total = total + row[back + 1] * (tokens[last - back : last - back + T] + 1)
            starts.append(total.reshape(-1))
        return minigrad.stack(starts) % len(self.weight)


def _multipliers(order: int) -> np.ndarray:
    """Odd numbers below 2**31, as at random: times a token's number they stay within 64 bits."""
    # A RandomState, which NumPy has promised never to change.
    drawn = np.random.RandomState(2011).randint(2**30, 2**31, (order, order), dtype=np.int64)
    return drawn | 1
