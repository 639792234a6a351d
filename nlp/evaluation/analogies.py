"""Analogies: "a is to b as c is to ...?", answered by vectors alone, over a file of questions.

The answer is the word whose vector is nearest to b - a + c, all vectors at length 1, a, b and c left out. Mikolov,
Chen, Corrado and Dean, "Efficient estimation of word representations in vector space" (2013), section 4; named 3CosAdd
by Levy and Goldberg, "Linguistic regularities in sparse and explicit word representations" (2014), equation 3.

Shapes: Q questions, V words, D the size of a vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp.errors import NlpError
from nlp.keyed_vectors import KeyedVectors
from nlp.text.files import StrPath, TextFile

__all__ = ["Analogies", "Question", "Section", "answers", "evaluate_analogies", "read_analogies"]

Question = tuple[str, str, str, str]  # a, b, c and the answer
Ids = NDArray[np.intp]
SCORES = 1 << 24  # of questions against words at a time: 64 MiB


@dataclass(frozen=True)
class Section:
    """How the questions of one kind were answered; `left_out`: those with a word that has no vector."""

    name: str
    correct: int
    asked: int
    left_out: int

    @property
    def accuracy(self) -> float | None:
        """The share of the questions asked; None where there were none."""
        return self.correct / self.asked if self.asked else None

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return {**vars(self), "accuracy": self.accuracy}


@dataclass(frozen=True)
class Analogies:
    """The sections in the order of the file. Those whose name begins with "gram" are about grammar."""

    sections: tuple[Section, ...]

    @property
    def semantic(self) -> Section:
        """All questions about meaning."""
        return _sum("semantic", (one for one in self.sections if not one.name.startswith("gram")))

    @property
    def syntactic(self) -> Section:
        """All questions about grammar."""
        return _sum("syntactic", (one for one in self.sections if one.name.startswith("gram")))

    @property
    def total(self) -> Section:
        """All questions: each counts alike, not each section."""
        return _sum("total", self.sections)

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        sums = {one.name: one.to_json() for one in (self.semantic, self.syntactic, self.total)}
        return {"sections": [one.to_json() for one in self.sections], **sums}


def read_analogies(path: StrPath) -> dict[str, list[Question]]:
    """The questions of a file by section: a line ": name" begins one, and each other has four words.

    It is the format of questions-words.txt. Raises NlpError, with the number of the line, for any other.
    """
    sections: dict[str, list[Question]] = {}
    section: list[Question] | None = None
    for number, line in enumerate("".join(TextFile(path).pieces()).split("\n"), 1):
        if line.startswith(":"):
            section = sections.setdefault(line[1:].strip(), [])
        elif words := line.split():
            if section is None:
                raise NlpError(f'line {number} of {path} belongs to no section: let a line ": name" stand before it')
            if len(words) != 4:
                raise NlpError(f"line {number} of {path} has {len(words)} words: an analogy has four, a b c and answer")
            section.append((words[0], words[1], words[2], words[3]))
    return sections


def evaluate_analogies(
    vectors: KeyedVectors, questions: Mapping[str, Sequence[Question]], *, case_insensitive: bool = True
) -> Analogies:
    """How many of the questions in each section the vectors answer.

    Questions with a word that has no vector are left out. `case_insensitive`: words are looked up and compared without
    regard to case; of words alike but for case the most frequent stands for all. The figures are those of gensim's
    `evaluate_word_analogies`, whose `restrict_vocab=N` is `vectors.head(N)` here.
    """
    places = vectors.places(case_insensitive=case_insensitive)
    spelled = [word.upper() if case_insensitive else word for word in vectors.words]
    stands_for = np.array([places[name] for name in spelled])  # V: the word's own place, or that of the first like it
    sections = []
    for name, of_section in questions.items():
        asked = [[word.upper() if case_insensitive else word for word in question] for question in of_section]
        known = [[places[word] for word in question] for question in asked if all(word in places for word in question)]
        ids = np.array(known, dtype=np.intp).reshape(-1, 4)
        correct = int((answers(vectors, ids[:, :3], stands_for) == ids[:, 3]).sum())
        sections.append(Section(name, correct, len(ids), len(asked) - len(ids)))
    return Analogies(tuple(sections))


def answers(vectors: KeyedVectors, given: Ids, stands_for: Ids | None = None) -> Ids:
    """The place of the word that answers each question a, b, c (Q, 3); -1 where there is no word beside those given.

    `stands_for` (V): the place of the word that each is taken for; none of these may be the answer if it was given.
    Of words equally near it is the first.
    """
    if stands_for is None:
        stands_for = np.arange(len(vectors))
    found = np.empty(len(given), dtype=np.intp)
    rows = max(1, SCORES // len(vectors))
    for start in range(0, len(given), rows):
        a, b, c = (vectors.unit[ids] for ids in given[start : start + rows].T)  # each Q, D
        scores = (b - a + c) @ vectors.unit.T  # Q, V; the length of b - a + c does not change which is the largest
        found[start : start + rows] = _best_other(scores, given[start : start + rows], stands_for)
    return found


def _best_other(scores: NDArray[np.float32], given: Ids, stands_for: Ids) -> Ids:
    """Where each row of scores (Q, V) is largest, but for the words given (Q, 3). The scores are spoilt."""
    best = scores.argmax(axis=1)
    rows = np.arange(len(scores))
    while len(rows):  # only where a word that was given is found, look again without it: three times and a bit
        again = (stands_for[best[rows], None] == given[rows]).any(axis=1)
        rows = rows[again & (scores[rows, best[rows]] > -np.inf)]
        scores[rows, best[rows]] = -np.inf
        best[rows] = scores[rows].argmax(axis=1)
    return np.where(scores[np.arange(len(scores)), best] > -np.inf, stands_for[best], -1)


def _sum(name: str, sections: Iterable[Section]) -> Section:
    counts = [(one.correct, one.asked, one.left_out) for one in sections]
    correct, asked, left_out = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0)
    return Section(name, correct, asked, left_out)
