"""Adaptive softmax: the frequent words in a small softmax, the rare ones in clusters with fewer features.

Grave, Joulin, Cissé, Grangier and Jégou, "Efficient softmax approximation for GPUs" (ICML 2017).

Shapes: N rows of features, H features, V words in the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad import Tensor, nn, no_grad, tensor
from nlp.errors import NlpError, counted
from nlp.models.output_layers.layer import OutputLayer, frequencies, reduced, scored

__all__ = ["AdaptiveSoftmax", "cheapest_cutoffs"]

CHOICES = 48  # places for a cutoff that are tried, evenly on a logarithmic scale
LEAST = 500  # words; a smaller head saves no time (WikiText-2, H = 200: 38 ms a step with 54 words, 37 ms with 500)


class AdaptiveSoftmax(OutputLayer):
    """`minigrad.nn.AdaptiveLogSoftmaxWithLoss` over words in the order of falling counts, its head with a bias.

    Args:
        cutoffs: the ranks at which the clusters begin; None: the two that take the fewest products (at most as many as
            the vocabulary has room for).
        div_value: the i-th cluster, from 1, has H // div_value ** i features.
    """

    rank: Tensor

    def __init__(
        self,
        features: int,
        vocabulary: int,
        counts: ArrayLike | None = None,
        *,
        cutoffs: Sequence[int] | None = None,
        div_value: float = 4.0,
    ) -> None:
        super().__init__()
        if vocabulary < 2:
            raise NlpError(f"an adaptive softmax needs at least 2 words, not {vocabulary}: take the full softmax")
        found = frequencies(counts, vocabulary)
        chosen = cheapest_cutoffs(found, features, div_value) if cutoffs is None else list(cutoffs)
        if int(features // div_value ** len(chosen)) < 1:
            raise NlpError(
                f"an adaptive softmax of {counted(len(chosen), 'cluster')} has words of {features} // "
                f"{div_value:g}^{len(chosen)} features, which leaves none: take {math.ceil(div_value ** len(chosen))} "
                "hidden units (--hidden) or more"
            )
        try:
            self.softmax = nn.AdaptiveLogSoftmaxWithLoss(features, vocabulary, chosen, div_value, head_bias=True)
        except ValueError as error:
            raise NlpError(str(error)) from error
        rank = np.empty(vocabulary, dtype=np.int64)
        rank[np.argsort(-found, kind="stable")] = np.arange(vocabulary)
        self.register_buffer("rank", tensor(rank), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """The log-probabilities (N, V) given rows (N, H)."""
        return self.softmax.log_prob(rows).index_select(1, self.rank)

    def loss(self, rows: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
        """The cross-entropy (nats) of the words `target` (N) given rows (N, H)."""
        counts, words = scored(target)
        log_p, _ = self.softmax(rows, self.rank[words])
        return reduced(-log_p, counts, reduction)

    def initialize(self, r: float) -> None:
        """The weights in U(-r, r), no bias."""
        for weight in self.parameters():
            nn.init.uniform_(weight, -r, r)
        nn.init.zeros_(self.softmax.head.bias)

    def log_prior_(self, counts: ArrayLike) -> None:
        """The head's biases foretell its words and the clusters; within a cluster there are no biases."""
        share = np.empty(len(self.rank))
        share[self.rank.cpu().numpy()] = np.asarray(counts, dtype=np.float64) + 1
        size = self.softmax.shortlist_size
        clusters = np.add.reduceat(share, self.softmax.cutoffs[:-1])
        with no_grad():
            self.softmax.head.bias.copy_(tensor(np.log(np.concatenate([share[:size], clusters]) / share.sum())))


def cheapest_cutoffs(counts: NDArray[np.float64], features: int, div_value: float, least: int = LEAST) -> list[int]:
    """The two cutoffs, or the one where two cannot be, with the fewest products a token, in expectation over words that
    occur so often (V >= 2).

    After section 4 of the paper: a head of k words and C clusters takes H (k + C) products for every token, but a small
    one no less time than one of `least`; a cluster of size k with features of size d takes d (H + k) for each token
    that is in it.
    """
    share = np.sort(counts)[::-1].cumsum() / counts.sum()  # of the most frequent words
    V = len(counts)
    places = np.unique(np.geomspace(1, V - 1, CHOICES).round().astype(np.int64))
    first, second = places[:, None], places[None, :]
    inside, outside = share[first - 1], share[second - 1]  # of the tokens: before the first cutoff, before the second
    sizes = [features // div_value, features // div_value**2]
    middle = (outside - inside) * sizes[0] * (features + second - first)
    last = (1 - outside) * sizes[1] * (features + V - second)
    cost = np.where(first < second, features * np.maximum(first + 2, least) + middle + last, np.inf)
    if not np.isfinite(cost).any() or sizes[1] < 1:  # 2 words, or no features left for a second cluster
        rest = (1 - share[places - 1]) * sizes[0] * (features + V - places)
        alone = features * np.maximum(places + 1, least) + rest
        return [int(places[alone.argmin()])]
    at = np.unravel_index(cost.argmin(), cost.shape)
    return [int(places[one]) for one in at]
