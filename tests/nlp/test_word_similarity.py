"""Word similarity: Spearman's correlation is that of plain ranks, of SciPy and gensim; files are read by the line."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nlp_helpers import refuses_a_file

from nlp.evaluation.word_similarity import WordSimilarity, evaluate_similarity, ranks, read_pairs, spearman
from nlp.keyed_vectors import KeyedVectors

few = st.integers(-3, 3).map(float)  # many of them equal
pairs = st.lists(st.tuples(few | st.floats(-1e6, 1e6), few), max_size=12)


@given(st.lists(few, max_size=12))
def test_ranks_are_means_over_all_orders_of_equal_values(values: list[float]) -> None:
    expected = [1 + sum(b < a for b in values) + (sum(b == a for b in values) - 1) / 2 for a in values]
    assert ranks(np.array(values)).tolist() == expected


@given(pairs)
def test_spearman_is_scipy_s(values: list[tuple[float, float]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    x, y = ([pair[place] for pair in values] for place in (0, 1))
    found = spearman(x, y)
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-12)


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_spearman_without_ties_is_the_formula_of_differences(order: tuple[int, ...]) -> None:
    squared = sum((place - rank) ** 2 for place, rank in enumerate(order))
    assert spearman(range(4), np.exp(order)) == pytest.approx(1 - 6 * squared / (4 * 15))


@given(pairs)
def test_spearman_is_of_order_alone(values: list[tuple[float, float]]) -> None:
    x, y = (np.array([pair[place] for pair in values]) for place in (0, 1))
    found = spearman(x, y)
    assert spearman(y, x) == pytest.approx(found)
    assert spearman(x, np.exp(y)) == pytest.approx(found)
    assert spearman(x, -y) == pytest.approx(None if found is None else -found)


VECTORS = KeyedVectors(
    ("love", "Love", "sex", "tiger", "cat", "car"),
    np.array([[1, 0], [-1, 0], [1, 0.1], [3, 4], [0, 2], [-1, 1]], dtype=np.float32),
)
PAIRS = [("Love", "sex", 6.77), ("tiger", "cat", 7.35), ("tiger", "tiger", 10.0), ("car", "love", 1.0), ("x", "cat", 3)]


def test_pairs_are_judged_by_the_cosine_of_the_words_that_are_known() -> None:
    # Cosines: 0.995 (or -0.995), 0.8, 1, -0.707.
    assert evaluate_similarity(VECTORS, PAIRS) == WordSimilarity(spearman([3, 2, 4, 1], [2, 3, 4, 1]), 4, 1)
    with_case = evaluate_similarity(VECTORS, PAIRS, case_insensitive=False)
    assert with_case == WordSimilarity(spearman([1, 3, 4, 2], [2, 3, 4, 1]), 4, 1)
    assert with_case.rho == pytest.approx(0.8)
    assert evaluate_similarity(VECTORS, [("x", "y", 1.0)]) == WordSimilarity(None, 0, 1)
    assert with_case.to_json() == {"rho": with_case.rho, "judged": 4, "left_out": 1}


def test_gensim_comes_to_the_same(tmp_path: Path) -> None:
    gensim = pytest.importorskip("gensim")
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{a}\t{b}\t{value}\n" for a, b, value in PAIRS), encoding="utf-8")
    theirs = gensim.models.KeyedVectors(2)
    theirs.add_vectors(list(VECTORS.words), VECTORS.vectors)
    for fold in (False, True):
        _, found, left_out = theirs.evaluate_word_pairs(str(path), case_insensitive=fold)
        ours = evaluate_similarity(VECTORS, read_pairs(path), case_insensitive=fold)
        assert ours.rho == pytest.approx(found[0])
        assert left_out == 100 * ours.left_out / 5


@pytest.mark.parametrize(
    "content",
    [
        b'Word 1,Word 2,Human (mean)\nlove,sex,6.77\nthe cat,"tiger, big",7\n',
        b'# a comment\n\nlove,sex,6.77,and,more\r\n# another\r\nthe cat,"tiger, big", 7.0 \r\n',
        b"love\tsex\t6.77\nthe cat\ttiger, big\t7",
        b"# a comment\none\tother\tvalue\tmore\nlove \tsex\t6.77\t1\t2\nthe cat\ttiger, big\t7e0\n",
    ],
)
def test_pairs_are_read_from_tables_of_both_kinds(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "pairs").write_bytes(content)
    assert read_pairs(tmp_path / "pairs") == [("love", "sex", 6.77), ("the cat", "tiger, big", 7.0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"love,sex,6\ntiger,cat\n", "line 2 of {} is not two words and a number"),
        (b"# c\nlove,sex\n", "line 2 of {} is not"),
        (b"a,b,c\n\nd,e,f\n", "line 3 of {} is not"),
        (b"love\tsex\t6\nlove\tsex\tnan\n", "line 2 of {} is not"),
        (b'love,"sex,6\n', "line 1 of {} is not"),
        (b'love,sex,6\nlove,"sex"x,6\n', "line 2 of {} is not"),
        (b"love,sex,6\nlove," + b"x" * 200_000 + b",1\n", "line 2 of {} is not"),
        (b"a,b,c\n# nothing\n", "{} has no pairs"),
        (b"", "{} is empty"),
        (None, "{} does not exist"),
    ],
)
def test_a_malformed_file_is_told_in_one_sentence(content: bytes | None, message: str, tmp_path: Path) -> None:
    refuses_a_file(read_pairs, tmp_path / "pairs.csv", content, message)
