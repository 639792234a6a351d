"""From counts to probabilities: the five ways in which an n-gram model guards against what it has not seen.

Every one of them is written in the same form. For a context h that was seen, h' being h without its first word,

    p(w | h) = share(h w) + weight(h) p(w | h')

where the shares of the words that follow h and its weight add up to 1; a context that was never seen has no shares and
the weight 1. Below the empty context stands the uniform distribution 1 / V.

    ml                    share = c(h w) / c(h), weight = 0
    add-k                 share = c(h w) / (c(h) + k V), weight = k V / (c(h) + k V), of 1 / V instead of p(w | h')
    jelinek-mercer        share = l c(h w) / c(h), weight = 1 - l; l depends on c(h)
    kneser-ney            share = (c(h w) - D) / c(h), weight = D N1+(h •) / c(h)
    modified-kneser-ney   the same with D by c(h w) = 1, 2, 3 and more

with c the count, c(h) = sum of c(h w) over w, and N1+(h •) how many different words follow h. Chen and Goodman, "An
empirical study of smoothing techniques for language modeling" (TR-10-98, Harvard, 1998), compares them all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp.errors import NlpError, did_you_mean
from nlp.models.ngram_counts import Followers, NGramCounts

__all__ = ["SMOOTHINGS", "Level", "Smoothing", "make_smoothing"]

Floats = NDArray[np.float64]

BUCKETS = 32  # of contexts by how often they were seen: 1, 2-3, 4-7, …
EM_STEPS, EM_CLOSE = 200, 1e-7  # at most so many, or until no weight moves further than this
UNDEFINED_DISCOUNTS = (0.5, 1.0, 1.5)  # for counts of 1, 2, 3 and more, where a text is too short to estimate them


@dataclass(frozen=True)
class Level:
    """The probabilities of one order: share (N_m,) of the n-grams, weight (C,) of their contexts."""

    share: Floats
    weight: Floats


class Smoothing:
    """One way to smooth. `estimate` learns the numbers that it needs from the counts, `level` applies them."""

    numbers = 0  # that are estimated for each order
    below_is_uniform = False  # what stands below a context is 1 / V, not its shorter context

    def adjusted(self, counts: NGramCounts) -> NGramCounts:
        """The counts that the formulas take: those of the text, if nothing else is said."""
        return counts

    def estimate(self, counts: NGramCounts) -> Floats:
        """(order, numbers): what adjusted counts say of each order."""
        return np.zeros((counts.order, self.numbers))

    def level(self, followers: Followers, numbers: Floats) -> Level:
        """The shares and weights of one order, with the numbers that were estimated for it."""
        raise NotImplementedError

    def complaint(self, numbers: Floats) -> str:
        """What is wrong with estimated numbers (order, numbers) of unknown origin, empty if nothing is."""
        return ""


class MaximumLikelihood(Smoothing):
    """The probabilities that make the text itself likeliest: what did not occur is impossible.

    For a context that was never seen every distribution does so equally well; here it is that of the longest context
    that was seen, so that there is always one.
    """

    def level(self, followers: Followers, numbers: Floats) -> Level:
        seen = followers.totals > 0
        return Level(followers.counts / followers.totals[followers.context], np.where(seen, 0.0, 1.0))


class AddK(Smoothing):
    """Every word is taken to have followed every context k times more than it did (Lidstone; k = 1: Laplace)."""

    below_is_uniform = True

    def __init__(self, k: float, vocabulary: int) -> None:
        if not (k > 0 and math.isfinite(k)):
            raise NlpError(f"k of the smoothing add-k must be a number above 0, not {k}")
        self.added = k * vocabulary

    def level(self, followers: Followers, numbers: Floats) -> Level:
        totals = followers.totals + self.added
        return Level(followers.counts / totals[followers.context], self.added / totals)


class JelinekMercer(Smoothing):
    """The orders mixed, more of the longer one the more often its context was seen.

    Jelinek and Mercer, "Interpolated estimation of Markov source parameters from sparse data" (1980). Contexts seen
    about as often, 1, 2-3, 4-7, … times, share a weight l, by the EM algorithm. It is estimated on the text itself by
    leaving one out (Ney, Essen and Kneser, "On structuring probabilistic dependences in stochastic language modelling",
    1994): each token is foretold by the counts of all others, which for an n-gram seen c times in a context seen s
    times are c - 1 of s - 1; so this is a case of a context seen s - 1 times.
    """

    numbers = BUCKETS

    def estimate(self, counts: NGramCounts) -> Floats:
        result = np.empty((counts.order, BUCKETS))
        below: Any = 1 / counts.vocabulary  # p of each n-gram's last word without its first, this occurrence left out
        suffixes = [None, *counts.suffixes()]
        for order, suffix in enumerate(suffixes, 1):
            followers = counts.followers(order)
            shorter = below if suffix is None else below[suffix]
            others = followers.totals[followers.context] - 1
            likeliest = np.maximum(followers.counts - 1, 0) / np.maximum(others, 1)
            weighed = np.where(others > 0, followers.counts, 0)
            result[order - 1] = _mixture(_bucket(others), likeliest, np.broadcast_to(shorter, others.shape), weighed)
            weight = result[order - 1][_bucket(others)]
            below = weight * likeliest + (1 - weight) * shorter  # no event asks for it where there are no others
        return result

    def level(self, followers: Followers, numbers: Floats) -> Level:
        seen = np.where(followers.totals > 0, numbers[_bucket(followers.totals)], 0.0)
        return Level(
            seen[followers.context] * followers.counts / followers.totals[followers.context],
            1 - seen,
        )

    def complaint(self, numbers: Floats) -> str:
        return "" if ((numbers > 0) & (numbers < 1)).all() else "its weights are not between 0 and 1"


def _bucket(seen: Floats) -> NDArray[np.int64]:
    """0 for a context seen once, 1 for 2 or 3 times, 2 for 4 to 7 times, …"""
    return np.clip(np.frexp(seen)[1] - 1, 0, BUCKETS - 1)


def _mixture(bucket: NDArray[np.int64], longer: Floats, shorter: Floats, count: NDArray[np.int64]) -> Floats:
    """The weight of `longer` in each bucket that makes the events, `count` of each, likeliest beside `shorter`.

    As if each bucket had one event more from each of the two, so that neither is ever given up. A bucket without
    events has the weight of the nearest below it.
    """
    events = np.bincount(bucket, count, BUCKETS)
    some = longer > 0  # the others speak for `shorter` whatever the weights are
    bucket, longer, shorter, count = bucket[some], longer[some], shorter[some], count[some]
    weight = np.full(BUCKETS, 0.5)
    for _ in range(EM_STEPS):
        mine = weight[bucket] * longer
        from_longer = np.bincount(bucket, count * mine / (mine + (1 - weight[bucket]) * shorter), BUCKETS)
        weight, before = (from_longer + 1) / (events + 2), weight
        if np.abs(weight - before).max() < EM_CLOSE:
            break
    known = np.maximum.accumulate(np.where(events > 0, np.arange(BUCKETS), 0))
    return weight[known]


class KneserNey(Smoothing):
    """A fixed amount D is taken from every count and given to the shorter context, in which a word counts by how many
    different words it was seen after, not by how often.

    Kneser and Ney, "Improved backing-off for m-gram language modeling" (1995), interpolated as Chen and Goodman
    have it. D = n1 / (n1 + 2 n2) for each order, with n_i the n-grams that count i.
    """

    numbers = 1

    def adjusted(self, counts: NGramCounts) -> NGramCounts:
        """Below the highest order, N1+(• w1 … wm): how many different words stand before an n-gram.

        An n-gram that is seen at the beginning of the text alone has no word before it, and counts 1.
        """
        continuations = [
            np.maximum(np.bincount(suffix, minlength=len(count)), count > 0)
            for suffix, count in zip(counts.suffixes(), counts.counts, strict=False)
        ]
        return NGramCounts(counts.vocabulary, counts.keys, (*continuations, counts.counts[-1]))

    def estimate(self, counts: NGramCounts) -> Floats:
        return np.array([self._discounts(np.bincount(np.minimum(one, 5), minlength=6)) for one in counts.counts])

    def _discounts(self, n: NDArray[np.int64]) -> tuple[float, ...]:
        """The discounts of an order with n[i] n-grams that count i."""
        return (n[1] / (n[1] + 2 * n[2]) if n[1] else UNDEFINED_DISCOUNTS[0],)

    def level(self, followers: Followers, numbers: Floats) -> Level:
        by_count = np.array([0.0, *np.broadcast_to(numbers, 3)])  # D(0), D(1), D(2), D(3 and more)
        taken = by_count[np.minimum(followers.counts, 3)]
        share = (followers.counts - taken) / followers.totals[followers.context]
        freed = np.bincount(followers.context, taken, len(followers.totals))
        return Level(share, np.where(followers.totals > 0, freed / np.maximum(followers.totals, 1), 1.0))

    def complaint(self, numbers: Floats) -> str:
        """A discount takes no more than there is."""
        most = np.arange(1, self.numbers + 1)
        return "" if ((numbers > 0) & (numbers <= most)).all() else f"its discounts are not above 0 and at most {most}"


class ModifiedKneserNey(KneserNey):
    """Kneser and Ney's with three discounts in each order, for counts of 1, 2, and 3 or more.

    Chen and Goodman's: Y = n1 / (n1 + 2 n2), D1 = 1 - 2 Y n2 / n1, D2 = 2 - 3 Y n3 / n2,
    D3+ = 3 - 4 Y n4 / n3. Where a short text leaves one of them undefined, or not above 0, the order has 0.5, 1, 1.5.
    """

    numbers = 3

    def _discounts(self, n: NDArray[np.int64]) -> tuple[float, ...]:
        if not n[1:4].all():
            return UNDEFINED_DISCOUNTS
        y = n[1] / (n[1] + 2 * n[2])
        discounts = tuple(float(i - (i + 1) * y * n[i + 1] / n[i]) for i in (1, 2, 3))
        return discounts if min(discounts) > 0 else UNDEFINED_DISCOUNTS


SMOOTHINGS = ("ml", "add-k", "jelinek-mercer", "kneser-ney", "modified-kneser-ney")


def make_smoothing(name: str, vocabulary: int, k: float) -> Smoothing:
    """The smoothing of that name; `k` is add-k's. Raises NlpError for a name that there is not, and for k."""
    if name == "add-k":
        return AddK(k, vocabulary)
    kinds = {
        "ml": MaximumLikelihood,
        "jelinek-mercer": JelinekMercer,
        "kneser-ney": KneserNey,
        "modified-kneser-ney": ModifiedKneserNey,
    }
    if name not in kinds:
        raise NlpError(f"the smoothing is one of {', '.join(SMOOTHINGS)}, not {name!r}{did_you_mean(name, SMOOTHINGS)}")
    return kinds[name]()
