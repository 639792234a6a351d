"""Training a full softmax against a sample: the right word beside K words of noise, in place of all V.

The noise is drawn from the words' frequencies to a power, K words for all rows of a batch together, so that they cost
one product of matrices. What is trained is always a full softmax, and its exact loss and scores are those of one; only
`objective` differs. With m(w) the logarithm of the model's probability of w, up to what is the same for all words, and
q(w) the probability that the noise is w, the four ask of a row with the right word t and noise w_1 ... w_K:

    NCE                  is this word the right one or noise? sigmoid(m(w) - log(K q(w))), with Z = 1
    NegativeSampling     the same, with what stands in the sigmoid as the layer's score: m(w) = score(w) + log(K q(w))
    BlackOut             which of the words is the right one? softmax of m(w) - log q(w), and each other word is not it
    ImportanceSampling   the cross-entropy, with the sum over the vocabulary estimated from the sample

Shapes: N rows of features, H features, V words in the vocabulary, K words of noise.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor, cat, nn, no_grad, tensor, where
from nlp.errors import NlpError
from nlp.models.output_layers.full import FullSoftmax
from nlp.models.output_layers.layer import frequencies, reduced, scored
from nlp.text.noise import Noise

__all__ = ["NCE", "BlackOut", "ImportanceSampling", "NegativeSampling", "Sampled"]

NEAREST = -1e-6  # the largest log-probability whose 1 - p is known: float32 resolves 6e-8 of 1


class Sampled(FullSoftmax):
    """A full softmax trained against noise.

    Args:
        samples: K, how many words are drawn for each batch, with replacement, from `minigrad.default_generator`.
        power: the noise is counts ** power, normalised; None: the power of the paper, `POWER`.
    """

    POWER: ClassVar[float] = 1.0
    share: Tensor
    alias: Tensor
    log_noise: Tensor

    def __init__(
        self,
        features: int,
        vocabulary: int,
        counts: ArrayLike | None = None,
        *,
        samples: int = 500,
        power: float | None = None,
    ) -> None:
        super().__init__(features, vocabulary)
        if samples < 1:
            raise NlpError(f"training against noise needs at least 1 sample, not {samples}")
        self.samples = samples
        noise = Noise(frequencies(counts, vocabulary), self.POWER if power is None else power)
        self.register_buffer("share", tensor(noise.share, dtype=minigrad.float32), persistent=False)
        self.register_buffer("alias", tensor(noise.alias), persistent=False)
        log_noise = tensor(np.log(noise.probabilities), dtype=minigrad.float32)
        self.register_buffer("log_noise", log_noise, persistent=False)

    def draw(self) -> Tensor:
        """K words of noise (K), drawn as `Noise.draw` does, on the layer's device."""
        device = self.weight.device
        column = minigrad.randint(0, len(self.alias), (self.samples,), device=device)
        own = minigrad.rand(self.samples, device=device) < self.share[column]
        return where(own, column, self.alias[column])

    def objective(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What training makes small, and the mean cross-entropy (nats) estimated from the same noise."""
        counts, words = scored(target)
        losses, nats = self.against(rows, words, self.draw())
        return reduced(losses, counts, "mean"), reduced(nats, counts, "mean")

    def against(self, rows: Tensor, words: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """What each of the rows (N, H) with its right word (N) adds to the objective (N) beside noise (K); and its
        cross-entropy (N) as importance sampling estimates it, a plain value."""
        biases = self.biases()
        right = (rows * F.embedding(words, self.weight)).sum(1) + biases[words]  # N
        others = F.linear(rows, F.embedding(noise, self.weight), biases[noise])  # N, K
        with no_grad():
            nats = self._cross_entropy(right, others, words, noise)
        return self.contrast(right, others, words, noise), nats

    @abstractmethod
    def contrast(self, right: Tensor, others: Tensor, words: Tensor, noise: Tensor) -> Tensor:
        """The losses (N) given m of the right words (N), and of the noise for each row (N, K)."""

    def _cross_entropy(self, right: Tensor, others: Tensor, words: Tensor, noise: Tensor) -> Tensor:
        """log of the estimated sum over the vocabulary less m of the right word (N).

        The right word is in the sum as it is. Of the others each stands for 1 / (K q) like it; where noise is the right
        word it is left out, for that is counted. So the sum is on average the true one.
        """
        weighed = others - (self.log_noise[noise] + math.log(self.samples))
        return cat([right.unsqueeze(1), _without(words, noise, weighed)], 1).logsumexp(1) - right


class NCE(Sampled):
    """Noise-contrastive estimation: log sigmoid(d(t)) + sum of log sigmoid(-d(w_k)), d(w) = m(w) - log(K q(w)).

    Gutmann and Hyvärinen (AISTATS 2010); for language models Mnih and Teh, "A fast and simple algorithm for training
    neural probabilistic language models" (ICML 2012), whose normaliser is fixed as here: Z = 1. The biases start at
    -log V, where that is true. Noise that is the right word counts as noise, as the theory has it: the more noise, the
    nearer is the gradient to that of the softmax.
    """

    def initialize(self, r: float) -> None:
        """The weights in U(-r, r), the biases at -log V."""
        super().initialize(r)
        nn.init.constant_(self.bias, -math.log(len(self.bias)))

    def contrast(self, right: Tensor, others: Tensor, words: Tensor, noise: Tensor) -> Tensor:
        """-log sigmoid(d) of the right words, and the sum of -log sigmoid(-d) of the noise."""
        expected = self.log_noise + math.log(self.samples)  # V: log(K q)
        return -F.logsigmoid(right - expected[words]) - F.logsigmoid(expected[noise] - others).sum(1)


class NegativeSampling(NCE):
    """log sigmoid(s(t)) + sum of log sigmoid(-s(w_k)), with s(w) = weight[w] x + bias[w].

    Mikolov, Sutskever, Chen, Corrado and Dean, "Distributed representations of words and phrases" (NIPS 2013), formula
    (4), whose noise is counts ** 0.75. It promises no probabilities, but it is NCE for the model with
    m(w) = s(w) + log(K q(w)), and makes s(w) approach log(p(w | x) / (K q(w))) (Levy and Goldberg, NIPS 2014). So that
    is the model which is judged and which writes: a full softmax of s + log q. As in the formula, and other than in the
    program word2vec, noise that is the right word counts as noise; without it s would have another limit.
    """

    POWER = 0.75

    def initialize(self, r: float) -> None:
        """The weights in U(-r, r), the biases at -log K: the model begins with the noise's distribution."""
        super().initialize(r)
        nn.init.constant_(self.bias, -math.log(self.samples))

    def log_prior_(self, counts: ArrayLike) -> None:
        """The biases with which s + log(K q) foretells words as often as they occur."""
        super().log_prior_(counts)
        with no_grad():
            self.bias.sub_(self.log_noise + math.log(self.samples))

    def biases(self) -> Tensor:
        """bias + log(K q)."""
        return self.bias + (self.log_noise + math.log(self.samples))


class BlackOut(Sampled):
    """log p(t) + sum of log(1 - p(w_k)), where p is the softmax of m(w) - log q(w) over the right word and the noise.

    Ji, Vishwanathan, Satish, Anderson and Dubey, "BlackOut: speeding up recurrent neural network language models with
    very large vocabularies" (ICLR 2016), with their power 0.4. Noise that is the right word is left out for that
    row; a word that was drawn twice counts twice.
    """

    POWER = 0.4

    def contrast(self, right: Tensor, others: Tensor, words: Tensor, noise: Tensor) -> Tensor:
        """-log p of the right words, and the sum of -log(1 - p) of the noise."""
        own = (right - self.log_noise[words]).unsqueeze(1)
        log_p = F.log_softmax(cat([own, _without(words, noise, others - self.log_noise[noise])], 1), 1)  # N, 1 + K
        # p may round to 1, where the logarithm of 1 - p ends; there the gradient does, too.
        others_p = log_p[:, 1:].clamp(max=NEAREST)
        return -log_p[:, 0] - (-others_p.expm1()).log().sum(1)


class ImportanceSampling(Sampled):
    """The cross-entropy with the sum over the vocabulary estimated: exp m(t) + sum of exp m(w_k) / (K q(w_k)).

    Bengio and Senécal (AISTATS 2003; IEEE Transactions on Neural Networks 2008); with one sample for many rows as in
    Jean, Cho, Memisevic and Bengio, "On using very large target vocabulary for neural machine translation" (ACL 2015).
    The right word is always in the sum, as in the latter, which keeps the loss above 0; noise that is the right word is
    left out. The sum is then on average the true one, and its logarithm, by Jensen's inequality, at most that.
    """

    def contrast(self, right: Tensor, others: Tensor, words: Tensor, noise: Tensor) -> Tensor:
        """log of the estimated sum, less m of the right word."""
        return self._cross_entropy(right, others, words, noise)


def _without(words: Tensor, noise: Tensor, values: Tensor) -> Tensor:
    """The values (N, K), minus infinity where the noise (K) is the right word (N) of the row."""
    return where(words.unsqueeze(1) == noise, -math.inf, values)
