"""Analogies: 3CosAdd is what a plain loop and gensim say, and the file's format is kept to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nlp_helpers import refuses_a_file

from nlp.evaluation import analogies
from nlp.evaluation.analogies import Question, Section, answers, evaluate_analogies, read_analogies
from nlp.keyed_vectors import KeyedVectors

# Many of them alike but for case.
WORDS = ("the", "The", "a", "A", "b", "c", "THE", "d", "e", "B")


def some_vectors(seed: int, words: tuple[str, ...] = WORDS) -> KeyedVectors:
    draw = np.random.default_rng(seed)
    return KeyedVectors(words, draw.standard_normal((len(words), 4)).astype(np.float32))


def plain_answer(vectors: KeyedVectors, question: Question, fold: bool) -> str | None:
    """The answer as the paper has it, one cosine at a time; None for a question that is left out."""

    def form(word: str) -> str:
        return word.upper() if fold else word

    first: dict[str, int] = {}
    for place, word in enumerate(vectors.words):
        first.setdefault(form(word), place)
    if any(form(word) not in first for word in question):
        return None
    unit = vectors.vectors.astype(float) / np.linalg.norm(vectors.vectors.astype(float), axis=1, keepdims=True)
    a, b, c = (unit[first[form(word)]] for word in question[:3])
    best, answer = -np.inf, ""
    for place, word in enumerate(vectors.words):
        cosine = unit[place] @ (b - a + c)
        if form(word) not in {form(given) for given in question[:3]} and cosine > best:
            best, answer = cosine, form(word)
    return answer


questions = st.lists(st.tuples(*[st.sampled_from([*WORDS, "E", "zebra"])] * 4), max_size=12)


@given(st.integers(0, 1000), questions, questions, st.booleans(), st.integers(1, 40))
def test_answers_are_those_of_a_plain_loop(
    seed: int, first: list[Question], second: list[Question], fold: bool, scores: int
) -> None:
    vectors = some_vectors(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analogies, "SCORES", scores)  # one question at a time, or some
        judged = evaluate_analogies(vectors, {"meaning": first, "gram": second}, case_insensitive=fold)
    for section, asked in zip(judged.sections, (first, second), strict=True):
        found = [(plain_answer(vectors, question, fold), question[3]) for question in asked]
        assert section.left_out == sum(answer is None for answer, _ in found)
        assert section.asked == len(asked) - section.left_out
        assert section.correct == sum(
            answer == (expected.upper() if fold else expected) for answer, expected in found if answer is not None
        )
    assert judged.semantic == Section("semantic", *list(vars(judged.sections[0]).values())[1:])
    assert judged.syntactic == Section("syntactic", *list(vars(judged.sections[1]).values())[1:])
    assert judged.total.asked == judged.semantic.asked + judged.syntactic.asked
    assert judged.total.correct == judged.semantic.correct + judged.syntactic.correct
    assert judged.total.left_out == judged.semantic.left_out + judged.syntactic.left_out


def test_king_less_man_and_woman_is_queen() -> None:
    words = ("man", "woman", "king", "queen", "apple")
    vectors = KeyedVectors(words, np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1], [0, 0, -1]], dtype=np.float32))
    assert answers(vectors, np.array([[0, 1, 2], [0, 2, 1], [1, 0, 3]])).tolist() == [3, 3, 2]
    judged = evaluate_analogies(vectors, {"family": [("Man", "king", "woman", "QUEEN"), ("man", "woman", "x", "y")]})
    assert judged.sections == (Section("family", 1, 1, 1),)
    assert judged.total.accuracy == 1
    assert judged.syntactic.accuracy is None
    assert judged.to_json()["sections"][0] == {
        "name": "family",
        "correct": 1,
        "asked": 1,
        "left_out": 1,
        "accuracy": 1.0,
    }


def test_where_all_words_are_given_there_is_no_answer() -> None:
    vectors = some_vectors(0, ("a", "b", "c", "A"))
    assert answers(vectors, np.array([[0, 1, 2]])).tolist() == [3]
    assert answers(vectors, np.array([[0, 1, 2]]), np.array([0, 1, 2, 0])).tolist() == [-1]
    assert evaluate_analogies(vectors, {"s": [("a", "b", "c", "a")]}).total == Section("total", 0, 1, 0)


def test_a_word_in_another_case_is_the_same_answer() -> None:
    rows = [[1, 0, 0], [1, 1, 0], [1, 0, 1], [-1, 0, 0], [1, 1, 1]]
    vectors = KeyedVectors(("a", "b", "c", "d", "D"), np.array(rows, dtype=np.float32))
    asked = {"s": [("a", "b", "c", "d")]}
    assert evaluate_analogies(vectors, asked).total.correct == 1  # it is D that is found, which d stands for
    assert evaluate_analogies(vectors, asked, case_insensitive=False).total.correct == 0


@pytest.mark.parametrize("fold", [False, True])
def test_gensim_counts_the_same(fold: bool, tmp_path: Path) -> None:
    gensim = pytest.importorskip("gensim")
    vectors = some_vectors(7)
    draw = np.random.default_rng(1)
    lines = [" ".join(draw.choice([*WORDS, "zebra"], 4)) for _ in range(300)]
    (tmp_path / "q.txt").write_text("\n".join([": one", *lines[:100], ": gram two", *lines[100:]]), encoding="utf-8")
    theirs = gensim.models.KeyedVectors(4)
    theirs.add_vectors(list(vectors.words), vectors.vectors)
    for count in (None, 6):
        ours = evaluate_analogies(vectors.head(count or 99), read_analogies(tmp_path / "q.txt"), case_insensitive=fold)
        _, sections = theirs.evaluate_word_analogies(
            str(tmp_path / "q.txt"), case_insensitive=fold, restrict_vocab=count or 300000
        )
        for section, other in zip((*ours.sections, ours.total), sections, strict=True):
            assert section.correct == len(other["correct"])
            assert section.asked == len(other["correct"]) + len(other["incorrect"])


def test_a_file_of_questions_is_read_by_section(tmp_path: Path) -> None:
    path = tmp_path / "q.txt"
    path.write_bytes(
        b": capitals of all\r\nAthens Greece  Oslo\tNorway\r\n\r\n:gram1\r\na b c d\r\n: capitals of all\n1 2 3 4"
    )
    assert read_analogies(path) == {
        "capitals of all": [("Athens", "Greece", "Oslo", "Norway"), ("1", "2", "3", "4")],
        "gram1": [("a", "b", "c", "d")],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b": s\na b c d\na b c\n", "line 3 of {} has 3 words"),
        (b": s\na b c d e\n", "line 2 of {} has 5 words"),
        (b"\na b c d\n", "line 2 of {} belongs to no section"),
        (b"", "{} is empty"),
        (b": s\na b \xff c\n", "{} is not UTF-8: byte 8"),
        (None, "{} does not exist"),
    ],
)
def test_a_malformed_file_is_told_in_one_sentence(content: bytes | None, message: str, tmp_path: Path) -> None:
    refuses_a_file(read_analogies, tmp_path / "q.txt", content, message)
