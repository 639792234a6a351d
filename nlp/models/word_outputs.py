"""How word2vec turns vectors into the words they foretell without a softmax over the vocabulary.

Mikolov, Sutskever, Chen, Corrado and Dean, "Distributed representations of words and phrases and their
compositionality" (2013), sections 2.1 and 2.2.

Both layers are asked in the same way: which of M vectors foretells which of M words. Each of P pairs is one number,
the place of the vector times M plus that of the word, so that each vector and each word is looked up once, however many
pairs it is in. Without pairs, each vector foretells the word in its place.

Shapes: M vectors of size D and M words, P pairs, k noise words for each, V words in the vocabulary, S steps of a path.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor, nn
from minigrad.backend import Array
from nlp.text.huffman import huffman_codes
from nlp.text.noise import Noise

__all__ = ["HierarchicalSoftmax", "NegativeSampling"]


MOST_VISITS = 32.0  # at the usual rate of 0.025, less than one whole gradient of size 1 together


@minigrad.primitive
def path_scores(nodes: Array, hidden: Array, share: Array) -> Array:
    """The products (P, S) of the nodes on each path (P, S, D) with a vector (P, D); of the gradient the nodes get a
    share (P, S), the vector all."""
    return (nodes @ hidden[:, :, None])[:, :, 0]


path_scores.vjp(
    nodes=lambda g, hidden, share: (g * share)[:, :, None] * hidden[:, None, :],
    hidden=lambda g, nodes: (g[:, None, :] @ nodes)[:, 0, :],
)


class NegativeSampling(nn.Module):
    """Tell the words of the text from noise words (equation 4): for each pair of a vector v and a word o it adds

        -log sigmoid(u_o . v) - sum over k words n ~ q of log sigmoid(-u_n . v)

    with q proportional to count ** 0.75. A noise word may happen to be o, as in the equation.

    Args:
        counts: how often each word occurs (V,).
        negatives: k.
        shared: 0: each pair has k noise words of its own. K > 0: all pairs of a call share K, each weighed k / K. Its
            expectation is the same, and the work is one product of matrices; but what the pairs learn from noise is
            alike, so that K should not be small.
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
        if self.shared:
            noise = self._vectors_of_noise((self.shared,), hidden)  # K, D
            against = F.softplus(hidden @ noise.T).sum(1)  # M
            return self._for(hidden, words, pairs) + self.negatives / self.shared * _weighed(against, pairs)
        rows = hidden if pairs is None else F.embedding(_vector_of(pairs, len(words)), hidden)  # P, D
        noise = self._vectors_of_noise((len(rows), self.negatives), hidden)  # P, k, D
        return self._for(hidden, words, pairs) + F.softplus(noise @ rows.unsqueeze(-1)).sum()

    def loss(self, hidden: Tensor, words: Tensor, pairs: Tensor | None) -> Tensor:
        """The same with the expectation over all noise words in place of drawn ones."""
        against = F.softplus(hidden @ self.vectors.weight.T) @ self.probabilities  # M
        return self._for(hidden, words, pairs) + self.negatives * _weighed(against, pairs)

    def _for(self, hidden: Tensor, words: Tensor, pairs: Tensor | None) -> Tensor:
        vectors = self.vectors(words)
        scores = (hidden * vectors).sum(1) if pairs is None else (hidden @ vectors.T).reshape(-1)[pairs]
        return F.softplus(-scores).sum()  # -log sigmoid(score) = softplus(-score)

    def _vectors_of_noise(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        return self.vectors(minigrad.tensor(self.noise.draw(shape), device=like.device))


def _vector_of(pairs: Tensor, M: int) -> Tensor:
    """The place of the vector in each pair (P,) of one of M vectors with one of M words."""
    return minigrad.floor_divide(pairs, max(M, 1))


def _weighed(values: Tensor, pairs: Tensor | None) -> Tensor:
    """The sum of values (M,), one for a vector, each as often as there are pairs with that vector."""
    return values.sum() if pairs is None else values[_vector_of(pairs, len(values))].sum()


class HierarchicalSoftmax(nn.Module):
    """Find the word by the turns of its path through a Huffman tree (section 2.1; Morin and Bengio 2005):

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
        """What the pairs (P,) of vectors (M, D) and words (M,) add up to."""
        if pairs is not None:
            vector = _vector_of(pairs, len(words))
            hidden, words = F.embedding(vector, hidden), words[pairs - vector * len(words)]  # P, D; P
        paths, signs = self.paths[words], self.signs[words]  # P, S
        inside = signs.abs()  # 0 behind the end of a path
        scores = path_scores(self.nodes(paths), hidden, self._share(paths, inside))
        return (F.softplus(-scores * signs) * inside).sum()

    loss = objective

    def _share(self, paths: Tensor, inside: Tensor) -> Tensor:
        """The share (P, S) of its gradient that each node on the paths gets: 1, or less where it is often visited."""
        visits = minigrad.zeros(self.nodes.num_embeddings, dtype=inside.dtype, device=inside.device)
        visits = visits.index_add(0, paths.reshape(-1), inside.reshape(-1))
        return (MOST_VISITS / visits).clamp(max=1.0)[paths]
