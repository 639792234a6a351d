"""CBOW, the continuous bag of words: the mean of the words around a place foretells the word there.

Mikolov, Chen, Corrado and Dean, "Efficient estimation of word representations in vector space" (2013), section 3.1.

Shapes: M words of a stretch of text, D the size of a vector.
"""

from __future__ import annotations

from typing import Any

import minigrad
from minigrad import Tensor
from minigrad.backend import Array, namespace
from nlp.models.word2vec import Word2Vec

__all__ = ["CBOW", "window_spread", "window_sums"]

BLOCK = 16  # rows: shorter products of matrices cost their calls, longer ones have more zeros in their bands


@minigrad.primitive
def window_sums(input: Array, inside: Array) -> Array:
    """The sum of the rows (M, D) in the window of each place: row i + j - w counts as often as inside[i, j] (M, 2w + 1)
    says."""
    xp = namespace(input)
    M, D = input.shape
    w = inside.shape[1] // 2
    bands = _bands(inside, input.dtype)
    N, B, width = bands.shape
    padded = xp.zeros((N * B + 2 * w, D), input.dtype)
    padded[w : w + M] = input
    row, entry = padded.strides
    reached = xp.lib.stride_tricks.as_strided(padded, (N, width, D), (B * row, row, entry))  # neighbours overlap
    return (bands @ reached).reshape(N * B, D)[:M]


@minigrad.primitive
def window_spread(input: Array, inside: Array) -> Array:
    """The transpose of `window_sums`: to each row the sum of the rows (M, D) in whose windows it is."""
    xp = namespace(input)
    M, D = input.shape
    w = inside.shape[1] // 2
    bands = _bands(inside, input.dtype)
    N, B, _ = bands.shape
    padded = xp.zeros((N, B, D), input.dtype)
    padded.reshape(N * B, D)[:M] = input
    parts = bands.swapaxes(1, 2) @ padded  # N, B + 2w, D
    spread = xp.zeros((N + 1, B, D), input.dtype)
    spread[:N] = parts[:, :B]
    spread[1:, : 2 * w] += parts[:, B:]  # what a block's windows have of the next one
    return spread.reshape((N + 1) * B, D)[w : w + M]


window_sums.vjp(input=lambda g, inside: window_spread(g, inside))
window_spread.vjp(input=lambda g, inside: window_sums(g, inside))


def _bands(inside: Array, dtype: Any) -> Array:
    """Which rows each place adds up, as a matrix for each block of B places: (N, B, B + 2w) for N blocks.

    Row i has its 2w + 1 entries from column i on. A row that is one too long, cut anew to B + 2w, moves on by one for
    each row before it.
    """
    M, entries = inside.shape
    B = max(BLOCK, entries - 1)  # not less than 2w, so that windows reach no further than one block on
    N = -(-M // B)
    rows = namespace(inside).zeros((N * B, B + entries), dtype)
    rows[:M, :entries] = inside
    return rows.reshape(N, B * (B + entries))[:, : B * (B + entries - 1)].reshape(N, B, B + entries - 1)


@minigrad.primitive
def window_means(input: Array, inside: Array) -> Array:
    """The mean of the rows (M, D) in each window; every one of them gets the mean's gradient, whole."""
    return window_sums(input, inside) / inside.sum(1, dtype=input.dtype)[:, None]


window_means.vjp(input=lambda g, inside: window_spread(g, inside))


class CBOW(Word2Vec):
    """The mean of the vectors of the words in a window foretells the word in its middle.

    The derivative would give each of n words 1 / n of the mean's gradient. The program word2vec gives it to each of
    them whole, and so does this class: the learning rates in use are meant for it.

    `input` says which of the w words on either side of each are in its window (M, 2w + 1), `target` are the words of
    the stretch (M,), as `nlp.text.contexts.ContextWindows` gives them with `predict_centre`.
    """

    def predictions(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, None]:
        """The mean of each window, and its middle word."""
        return window_means(self.embedding(target), input), target, None
