"""n-gram models from dictionaries, slowly, straight from the papers' equations: what the arrays are compared with."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

Ngram = tuple[int, ...]


class DictionaryModel:
    """p(word | context) by recursion over shorter contexts."""

    def __init__(self, text: Sequence[int], vocabulary: int, order: int, smoothing: str, k: float) -> None:
        self.vocabulary, self.order, self.smoothing, self.k = vocabulary, order, smoothing, k
        self.counts: list[Counter[Ngram]] = [Counter()]  # by length; the first stands for the n-grams of no words
        for length in range(1, order + 1):
            starts = range(len(text) - length + 1)
            self.counts.append(Counter(tuple(text[start : start + length]) for start in starts))
        if smoothing.endswith("kneser-ney"):
            self._count_continuations()
        self.after: dict[Ngram, dict[int, int]] = defaultdict(dict)  # the words that follow a context, with counts
        for counts in self.counts:
            for ngram, count in counts.items():
                self.after[ngram[:-1]][ngram[-1]] = count
        self.weights = self._jelinek_mercer_weights() if smoothing == "jelinek-mercer" else {}

    def _count_continuations(self) -> None:
        """N1+(• w1 … wm) in the place of c(w1 … wm) below the highest order."""
        for length in range(1, self.order):
            before: dict[Ngram, set[int]] = defaultdict(set)
            for longer in self.counts[length + 1]:
                before[longer[1:]].add(longer[0])
            self.counts[length] = Counter({one: max(1, len(before[one])) for one in self.counts[length]})

    def p(self, word: int, context: Ngram) -> float:
        """The context has at most order - 1 words."""
        if self.smoothing == "add-k":
            after = self.after.get(context, {})
            return (after.get(word, 0) + self.k) / (sum(after.values()) + self.k * self.vocabulary)
        if context not in self.after:
            return self.p(word, context[1:])
        after = self.after[context]
        c, total = after.get(word, 0), sum(after.values())
        if self.smoothing == "ml":
            return c / total
        shorter = self.p(word, context[1:]) if context else 1 / self.vocabulary
        if self.smoothing == "jelinek-mercer":
            weight = self.weight(len(context) + 1, total)
            return weight * c / total + (1 - weight) * shorter
        d = self.discounts(len(context) + 1)
        freed = sum(d[min(count, 3)] for count in after.values())
        return max(c - d[min(c, 3)], 0) / total + freed / total * shorter

    def discounts(self, order: int) -> list[float]:
        """D(0) = 0, D(1), D(2), D(3 and more)."""
        n = Counter(self.counts[order].values())
        if self.smoothing == "kneser-ney":
            d = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
            return [0, d, d, d]
        if n[1] and n[2] and n[3]:
            y = n[1] / (n[1] + 2 * n[2])
            d1, d2, d3 = 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]
            if min(d1, d2, d3) > 0:
                return [0, d1, d2, d3]
        return [0, 0.5, 1, 1.5]

    # ---- Jelinek and Mercer: weights by leaving one out -------------------------------------------------------------

    def weight(self, order: int, seen: int) -> float:
        """Of a context seen so often: that of its bucket, else of the nearest below it, else one half."""
        known = [bucket for other, bucket in self.weights if other == order and bucket <= int(math.log2(seen))]
        return self.weights[order, max(known)] if known else 0.5

    def _jelinek_mercer_weights(self) -> dict[tuple[int, int], float]:
        self.weights = {}
        for order in range(1, self.order + 1):
            events = defaultdict(list)
            for ngram, c in self.counts[order].items():
                others = sum(self.after[ngram[:-1]].values()) - 1
                if others:
                    event = (c, (c - 1) / others, self._left_out(ngram[1:]))
                    events[int(math.log2(others))].append(event)
            self.weights |= {(order, bucket): likeliest_weight(some) for bucket, some in events.items()}
        return self.weights

    def _left_out(self, ngram: Ngram) -> float:
        """p of the last word, after the others, with one occurrence of the whole taken out of the text."""
        if not ngram:
            return 1 / self.vocabulary
        others = sum(self.after[ngram[:-1]].values()) - 1
        weight = self.weight(len(ngram), others) if others else 0.0
        c = self.counts[len(ngram)][ngram]
        return weight * (c - 1) / max(others, 1) + (1 - weight) * self._left_out(ngram[1:])


def likeliest_weight(events: list[tuple[int, float, float]]) -> float:
    """The l at which the sum of count * log(l longer + (1 - l) shorter), and of log l + log(1 - l), is largest: where
    its derivative, which falls, is 0. By bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        l = (low + high) / 2  # noqa: E741
        slope = sum(count * (longer - shorter) / (l * longer + (1 - l) * shorter) for count, longer, shorter in events)
        if slope + 1 / l - 1 / (1 - l) > 0:
            low = l
        else:
            high = l
    return (low + high) / 2
