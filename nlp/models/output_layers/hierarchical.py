"""Hierarchical softmax: a word is found by as many yes-or-no questions as its place in a binary tree is deep.

Morin and Bengio, "Hierarchical probabilistic neural network language model" (AISTATS 2005), with Huffman's tree as in
Mikolov, Sutskever, Chen, Corrado and Dean, "Distributed representations of words and phrases" (NIPS 2013), section 2.1:
the more frequent a word, the shorter its way, so that on average there are few questions: about the entropy of the
words in bits.

Shapes: N rows of features, H features, V words in the vocabulary, D the depth of the tree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad.nn.functional as F
from minigrad import Tensor, cat, nn, no_grad, stack, tensor, zeros
from nlp.errors import NlpError
from nlp.models.output_layers.layer import OutputLayer, frequencies, reduced, scored
from nlp.text.huffman import code_lengths

__all__ = ["HierarchicalSoftmax"]

Ints = NDArray[np.int64]


class HierarchicalSoftmax(OutputLayer):
    """p(w | x) = product of sigmoid(± (weight[n] x + bias[n])) over the inner nodes n on the way to w, + to the left.

    `weight` (V - 1, H) and `bias` (V - 1) have a row for each inner node; they start as nn.Linear's. The distribution
    is normalised as it stands: the exact loss takes D products a row, whatever V.
    """

    nodes: Tensor
    signs: Tensor
    column: Tensor

    def __init__(self, features: int, vocabulary: int, counts: ArrayLike | None = None) -> None:
        super().__init__()
        if vocabulary < 2:
            raise NlpError(f"a tree of words needs at least 2 of them, not {vocabulary}: take the full softmax")
        questions = nn.Linear(features, vocabulary - 1)
        self.weight, self.bias = questions.weight, questions.bias
        self._tree = _Tree.of(frequencies(counts, vocabulary))
        for name in ("nodes", "signs", "column"):
            self.register_buffer(name, tensor(getattr(self._tree, name)), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """The log-probabilities (N, V) given rows (N, H): level by level, a node's is handed on to its two children."""
        scores = F.linear(rows, self.weight, self.bias)  # N, V - 1
        log_p, found, first = zeros(len(rows), 1, dtype=rows.dtype, device=rows.device), [], 0  # of the root
        for leaves, inner in zip(self._tree.leaves, self._tree.inner):
            found.append(log_p[:, :leaves])
            asked, first = scores[:, first : first + inner], first + inner
            both = stack([F.logsigmoid(asked), F.logsigmoid(-asked)], -1)  # N, inner, 2
            log_p = (log_p[:, leaves:].unsqueeze(-1) + both).reshape(len(rows), 2 * inner)
        return cat(found, 1).index_select(1, self.column)

    def loss(self, rows: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
        """The cross-entropy (nats) of the words `target` (N) given rows (N, H)."""
        counts, words = scored(target)
        nodes, signs = self.nodes[words], self.signs[words].to(rows.dtype)  # N, D
        vectors = F.embedding(nodes, self.weight)  # N, D, H
        scores = (vectors @ rows.unsqueeze(-1)).squeeze(-1) + self.bias[nodes]
        losses = -(F.logsigmoid(signs * scores) * signs.abs()).sum(1)
        return reduced(losses, counts, reduction)

    def initialize(self, r: float) -> None:
        """The weights in U(-r, r), no biases: at each node left and right are as likely."""
        nn.init.uniform_(self.weight, -r, r)
        nn.init.zeros_(self.bias)

    def log_prior_(self, counts: ArrayLike) -> None:
        """At each node the biases go left as often as the words do that lie there."""
        share = np.asarray(counts, dtype=np.float64) + 1
        left, right = (
            np.bincount(self._tree.nodes[way], np.broadcast_to(share[:, None], way.shape)[way], len(self.bias))
            for way in (self._tree.signs > 0, self._tree.signs < 0)
        )
        with no_grad():
            self.bias.copy_(tensor(np.log(left) - np.log(right)))


class _Tree(NamedTuple):
    """A binary tree, level by level from the root: in each level stand first the leaves, then the inner nodes.

    So the lengths of the words' ways say all (a canonical code, Schwartz and Kallick 1964): the inner node j of a level
    has the places 2j and 2j + 1 in the next, and words of one level stand in the vocabulary's order.
    """

    leaves: list[int]  # D + 1: how many in each level
    inner: list[int]  # D + 1
    nodes: Ints  # V, D: the inner nodes on the way to each word, counted through all levels; filled up with 0
    signs: NDArray[np.int8]  # V, D: 1 where the way goes left, -1 right, 0 beyond its end
    column: Ints  # V: at which place each word stands among the leaves

    @classmethod
    def of(cls, counts: NDArray[np.float64]) -> _Tree:
        """The tree in which the words are on average the least deep."""
        length = code_lengths(counts)  # V
        V, D = len(length), int(length.max())
        leaves = np.bincount(length)
        inner, width = [], 1
        for level in range(D + 1):
            inner.append(width - int(leaves[level]))
            width = 2 * inner[-1]
        first = np.cumsum([0, *inner])  # of each level among all inner nodes
        column = np.empty(V, dtype=np.int64)
        column[np.argsort(length, kind="stable")] = np.arange(V)
        place = column - (np.cumsum(leaves) - leaves)[length]  # in its level
        nodes, signs = np.zeros((V, D), dtype=np.int64), np.zeros((V, D), dtype=np.int8)
        for level in range(D - 1, -1, -1):  # up from the leaves
            below = length > level
            nodes[below, level] = first[level] + place[below] // 2
            signs[below, level] = 1 - 2 * (place[below] % 2)
            place[below] = leaves[level] + place[below] // 2
        return cls(leaves.tolist(), inner, nodes, signs, column)
