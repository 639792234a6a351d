"""How alike two words are, by their vectors and by what people say: Spearman's rank correlation of the two.

WordSim-353 is such a set of pairs: Finkelstein et al., "Placing search in context: the concept revisited" (2002).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nlp.errors import NlpError
from nlp.keyed_vectors import KeyedVectors
from nlp.text.files import StrPath, TextFile

__all__ = ["Pair", "WordSimilarity", "evaluate_similarity", "ranks", "read_pairs", "spearman"]

Pair = tuple[str, str, float]  # two words, and how alike people find them


@dataclass(frozen=True)
class WordSimilarity:
    """The correlation over the pairs judged; `left_out`: those with a word that has no vector."""

    rho: float | None  # None where it is not defined: see `spearman`
    judged: int
    left_out: int

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return dict(vars(self))


def read_pairs(path: StrPath) -> list[Pair]:
    """The pairs of a file: two words and a number in each line, with tabs or (CSV) commas between them.

    What stands behind the number is not looked at; the first line may be headings, and lines that begin with # are
    comments. Raises NlpError, with the number of the line, for any other line, and for a file without pairs.
    """
    pairs: list[Pair] = []
    begun = False
    for number, fields in _rows(path):
        value = _number(fields[2]) if len(fields) > 2 else None
        if value is not None:
            pairs.append((fields[0].strip(), fields[1].strip(), value))
        elif begun or len(fields) < 3:  # else it is the line of headings
            raise _malformed(path, number)
        begun = True
    if not pairs:
        raise NlpError(f"{path} has no pairs of words: give two words and a number in each line")
    return pairs


def evaluate_similarity(
    vectors: KeyedVectors, pairs: Sequence[Pair], *, case_insensitive: bool = True
) -> WordSimilarity:
    """How well the cosines of the pairs are in the order in which people put them.

    Pairs with a word that has no vector are left out. `case_insensitive`: of words alike but for case the most frequent
    is taken. The figures are those of gensim's `evaluate_word_pairs`.
    """
    places = vectors.places(case_insensitive=case_insensitive)
    people, first, second = [], [], []
    for *words, value in pairs:
        one, other = (places.get(word.upper() if case_insensitive else word) for word in words)
        if one is not None and other is not None:
            people.append(value)
            first.append(one)
            second.append(other)
    cosines = np.einsum("pd,pd->p", vectors.unit[first], vectors.unit[second], dtype=np.float64)
    return WordSimilarity(spearman(people, cosines), len(people), len(pairs) - len(people))


def spearman(x: ArrayLike, y: ArrayLike) -> float | None:
    """Spearman's rank correlation of as many x as y (N,): Pearson's of their ranks, equal values sharing theirs.

    None where it is not defined: for fewer than two values, or where all x or all y are equal.
    """
    mean = (len(np.asarray(x)) + 1) / 2  # of the ranks 1 to N, shared or not
    ranks_x, ranks_y = (ranks(np.asarray(values)) - mean for values in (x, y))
    spread = math.sqrt(float(ranks_x @ ranks_x) * float(ranks_y @ ranks_y))
    return float(ranks_x @ ranks_y) / spread if spread else None


def ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """The rank of each value (N,), from 1 for the smallest; equal ones have the mean of the ranks they fill."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)  # the rank of the last of those equal; the first's is last - counts + 1
    return (last - (counts - 1) / 2)[which]


def _rows(path: StrPath) -> Iterator[tuple[int, list[str]]]:
    """The number of each line that is no comment and not empty, and its fields."""
    for number, line in enumerate("".join(TextFile(path).pieces()).split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            yield number, line.split("\t") if "\t" in line else next(csv.reader([line], strict=True))
        except csv.Error as error:
            raise _malformed(path, number) from error


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _malformed(path: StrPath, number: int) -> NlpError:
    return NlpError(f"line {number} of {path} is not two words and a number with tabs or commas between: correct it")
