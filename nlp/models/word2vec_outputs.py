"""How word2vec turns vectors into the words they foretell without a softmax over the vocabulary.

Mikolov, Sutskever, Chen, Corrado and Dean, "Distributed representations of words and phrases and their
compositionality" (2013), sections 2.1 and 2.2: `PathOutput` is their hierarchical softmax, `NoiseOutput` their negative
sampling. Language models have the two as `HierarchicalSoftmax` and `NegativeSampling` of `nlp.models.output_layers`,
which score rows of features; these add up pairs, as word2vec does, and have no biases.

Both layers are asked in the same way: which of M vectors foretells which of M words. Each of P pairs is one number,
the place of the vector times M plus that of the word, so that each vector and each word is looked up once, however many
pairs it is in. Without pairs, each vector foretells the word in its place.

Shapes: M vectors of size D and M words, P pairs, k noise words for each or K for a run, V words in the vocabulary, S
steps of a path, U different inner nodes on the paths.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor, nn
from minigrad.backend import Array, namespace
from nlp.text.huffman import huffman_codes
from nlp.text.noise import Noise

__all__ = ["NoiseOutput", "PathOutput"]


RUN = 256  # vectors: fewer make products of matrices slow, more learn too much from the same noise
MOST_VISITS = 32.0  # at the usual rate of 0.025, less than one whole gradient of size 1 together


@minigrad.primitive
def products_of_rows(input: Array, other: Array) -> Array:
    """The product of each row (M, D) with the row of `other` in its place (M,)."""
    return (input * other).sum(1)


products_of_rows.vjp(input=lambda g, other: g[:, None] * other, other=lambda g, input: g[:, None] * input)


@minigrad.primitive
def products_in_runs(input: Array, weight: Array) -> Array:
    """The products (M, C) of the rows (M, D), cut into G runs, with the run's own C rows of the weight (G, C, D)."""
    products = namespace(input).empty((len(input), weight.shape[1]), input.dtype)
    for place, run in enumerate(_runs(len(input), len(weight))):
        products[run] = input[run] @ weight[place].T
    return products


@minigrad.primitive
def sums_in_runs(input: Array, other: Array, G: int) -> Array:
    """For each of G runs of rows, the sum (C, D) of the outer products of a row (M, C) and of one of `other` (M, D)."""
    sums = namespace(input).empty((G, input.shape[1], other.shape[1]), input.dtype)
    for place, run in enumerate(_runs(len(input), G)):
        sums[place] = input[run].T @ other[run]
    return sums


products_in_runs.vjp(
    input=lambda g, weight: products_in_runs(g, weight.swapaxes(1, 2)),
    weight=lambda g, input, weight: sums_in_runs(g, input, len(weight)),
)
sums_in_runs.vjp(
    input=lambda g, other: products_in_runs(other, g),
    other=lambda g, input: products_in_runs(input, g.swapaxes(1, 2)),
)


def _runs(M: int, G: int) -> list[slice]:
    """M rows cut into G runs, whose lengths differ by one at most."""
    ends = [M * run // G for run in range(G + 1)]
    return [slice(*bounds) for bounds in pairwise(ends)]


@minigrad.primitive
def told_apart(scores: Array, noise: Array, weight: Array) -> Array:
    """The sum of -log sigmoid(s) over the scores of words, and of -weight log sigmoid(-s) over those of noise words."""
    return -F.logsigmoid(scores).sum() - (weight * F.logsigmoid(-noise)).sum()


told_apart.vjp(
    scores=lambda g, scores: -g * minigrad.sigmoid(-scores),
    noise=lambda g, noise, weight: g * weight * minigrad.sigmoid(noise),
    weight=lambda g, noise: -g * F.logsigmoid(-noise),
)


@minigrad.primitive
def scores_of_nodes(nodes: Array, hidden: Array, share: Array) -> Array:
    """The products (M, U) of vectors (M, D) with nodes (U, D); the nodes get a share (U,) of their gradient."""
    return hidden @ nodes.T


scores_of_nodes.vjp(
    nodes=lambda g, hidden, share: share[:, None] * (g.T @ hidden),
    hidden=lambda g, nodes: g @ nodes,
)


class NoiseOutput(nn.Module):
    """Negative sampling: tell the words of the text from noise words (equation 4). For each pair of a vector v and a
    word o it adds

        -log sigmoid(u_o . v) - sum over k words n ~ q of log sigmoid(-u_n . v)

    with q proportional to count ** 0.75. A noise word may happen to be o, as in the equation.

    Args:
        counts: how often each word occurs (V,).
        negatives: k.
        shared: 0: each pair has k noise words of its own. K > 0: the pairs of a run of vectors, `RUN` to twice as many
            of them, or all where there are fewer, share K, each weighed k / K. Its expectation is the same, and the
            work is a product of matrices for each run; but what its pairs learn from noise is alike, so that K should
            not be small.
    """

    def __init__(self, counts: ArrayLike, size: int, negatives: int = 5, shared: int = 0) -> None:
        super().__init__()
        self.noise, self.negatives, self.shared = Noise(counts), negatives, shared
        self.vectors = nn.Embedding(len(self.noise.probabilities), size, sparse=True)
        nn.init.zeros_(self.vectors.weight)
        self.register_buffer(
            "probabilities", minigrad.tensor(self.noise.probabilities.astype(np.float32)), persistent=False
        )

    def objective(self, hidden: Tensor, words: Tensor, pairs: Tensor | None) -> Tensor:
        """What the pairs (P,) of vectors (M, D) and words (M,) add up to, with noise drawn from
        `minigrad.default_generator`."""
        scores = self._scores(hidden, words, pairs)  # P
        if self.shared:
            runs = max(1, len(hidden) // RUN)
            noise = products_in_runs(hidden, self._vectors_of_noise((runs, self.shared), hidden))  # M, K
            return told_apart(scores, noise, self.negatives / self.shared * _pairs_of_each(hidden, pairs))
        rows = hidden if pairs is None else F.embedding(_vector_of(pairs, len(words)), hidden)  # P, D
        noise = self._vectors_of_noise((len(rows), self.negatives), hidden) @ rows.unsqueeze(-1)  # P, k, 1
        return told_apart(scores, noise, 1.0)

    def loss(self, hidden: Tensor, words: Tensor, pairs: Tensor | None) -> Tensor:
        """The same with the expectation over all noise words in place of drawn ones."""
        weight = self.negatives * self.probabilities * _pairs_of_each(hidden, pairs)  # M, V or V
        return told_apart(self._scores(hidden, words, pairs), F.linear(hidden, self.vectors.weight), weight)

    def _scores(self, hidden: Tensor, words: Tensor, pairs: Tensor | None) -> Tensor:
        vectors = self.vectors(words)
        if pairs is None:
            return products_of_rows(hidden, vectors)
        return F.linear(hidden, vectors).reshape(-1)[pairs]

    def _vectors_of_noise(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        return self.vectors(minigrad.tensor(self.noise.draw(shape), device=like.device))


def _vector_of(pairs: Tensor, M: int) -> Tensor:
    """The place of the vector in each pair (P,) of one of M vectors with one of M words."""
    return minigrad.floor_divide(pairs, max(M, 1))


def _pairs_of_each(hidden: Tensor, pairs: Tensor | None) -> Tensor | float:
    """In how many pairs (P,) each vector (M, D) is: (M, 1), or 1 for all."""
    if pairs is None:
        return 1.0
    none = minigrad.zeros(len(hidden), dtype=hidden.dtype, device=hidden.device)
    one = minigrad.ones(len(pairs), dtype=hidden.dtype, device=hidden.device)
    return none.index_add(0, _vector_of(pairs, len(hidden)), one).unsqueeze(1)


class PathOutput(nn.Module):
    """Hierarchical softmax: find the word by the turns of its path through a Huffman tree (section 2.1; Morin and
    Bengio 2005),

        -log p(o | v) = -sum over the steps i of o's path of log sigmoid(s_i n_i . v)

    n_i is the vector of the inner node, s_i is 1 for a left turn and -1 for a right one. The probabilities of all words
    sum to 1, so that the loss is a cross-entropy in nats.

    Near the root a node is on nearly all paths. The papers move it after each pair; to add up hundreds of such moves,
    all from the same place, would throw it far off. So the gradient of a node on n paths is that of n pairs only up
    to n = `MOST_VISITS`, and from there on their mean times `MOST_VISITS`.
    """

    def __init__(self, counts: ArrayLike, size: int) -> None:
        super().__init__()
        paths, codes, lengths = huffman_codes(counts)
        inside = np.arange(paths.shape[1]) < lengths[:, None]
        self.nodes = nn.Embedding(len(paths) - 1, size, sparse=True)
        nn.init.zeros_(self.nodes.weight)
        self.register_buffer("paths", minigrad.tensor(paths), persistent=False)
        signs = np.where(inside, 1 - 2 * codes, 0).astype(np.float32)
        self.register_buffer("signs", minigrad.tensor(signs), persistent=False)

    def objective(self, hidden: Tensor, words: Tensor, pairs: Tensor | None) -> Tensor:
        """What the pairs (P,) of vectors (M, D) and words (M,) add up to.

        The paths of neighbouring words have most nodes in common. So each node is looked up once, and one product of
        matrices has the scores of all vectors with all nodes, of which the pairs then take theirs: for skip-gram that
        is four times as fast as to multiply along each path.
        """
        M = len(words)
        paths, signs = self.paths[words], self.signs[words]  # M, S
        nodes, place = _distinct(paths)  # U; M, S
        if pairs is None:
            vector = minigrad.arange(M, device=words.device)
        else:
            vector = _vector_of(pairs, M)
            word = pairs - vector * M
            paths, place, signs = paths[word], place[word], signs[word]  # P, S
        inside = signs.abs()  # 0 behind the end of a path
        scores = scores_of_nodes(self.nodes(nodes), hidden, self._share(paths, inside)[nodes])  # M, U
        turns = scores.reshape(-1)[vector.unsqueeze(1) * len(nodes) + place]  # P, S
        return (F.softplus(-turns * signs) * inside).sum()

    loss = objective

    def _share(self, paths: Tensor, inside: Tensor) -> Tensor:
        """The share (V - 1,) of its gradient that each node gets, if these are the paths (P, S): 1, or less where it is
        often visited."""
        visits = minigrad.zeros(self.nodes.num_embeddings, dtype=inside.dtype, device=inside.device)
        visits = visits.index_add(0, paths.reshape(-1), inside.reshape(-1))
        return (MOST_VISITS / visits).clamp(max=1.0)


def _distinct(nodes: Tensor) -> tuple[Tensor, Tensor]:
    """The nodes (U,) in a table of them, and where each entry of the table is among those. On a device they are not
    made distinct: how many there are would have to be waited for."""
    if nodes.device.type != "cpu":
        return nodes.reshape(-1), minigrad.arange(nodes.numel(), device=nodes.device).reshape(nodes.shape)
    return minigrad.unique(nodes, return_inverse=True)
