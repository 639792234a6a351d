"""word2vec's formats: what was written is read again, others read it too, and damage is told in a sentence."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nlp.errors import NlpError
from nlp.text import word2vec_format
from nlp.text.word2vec_format import read_word2vec, write_word2vec

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).filter(lambda w: w.split() == [w])
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
both = pytest.mark.parametrize("binary", [False, True])


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], np.ndarray]:
    words = draw(st.lists(names, min_size=1, max_size=8, unique=True))
    return words, draw(hnp.arrays(np.float32, (len(words), draw(st.integers(1, 5))), elements=floats))


@both
@given(table=tables(), piece=st.integers(1, 40))
def test_what_was_written_is_read_again_to_the_bit(
    table: tuple[list[str], np.ndarray], piece: int, binary: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("vectors") / "v"
    write_word2vec(path, *table, binary=binary)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word2vec_format, "PIECE", piece)  # so that pieces end anywhere
        words, vectors = read_word2vec(path, binary=binary)
    assert words == table[0]
    assert vectors.tobytes() == table[1].tobytes()


TABLE = (["the", "König", "東京", "<unk>"], np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3))


@both
def test_gensim_reads_the_same(binary: bool, tmp_path: Path) -> None:
    gensim = pytest.importorskip("gensim")
    write_word2vec(tmp_path / "v", *TABLE, binary=binary)
    theirs = gensim.models.KeyedVectors.load_word2vec_format(str(tmp_path / "v"), binary=binary)
    assert theirs.index_to_key == TABLE[0]
    assert theirs.vectors.tobytes() == TABLE[1].tobytes()
    theirs.save_word2vec_format(str(tmp_path / "w"), binary=binary)
    words, vectors = read_word2vec(tmp_path / "w", binary=binary)
    assert words == TABLE[0]
    np.testing.assert_array_equal(vectors, TABLE[1])


def test_the_formats_are_these_bytes(tmp_path: Path) -> None:
    write_word2vec(tmp_path / "v", ["a", "ö"], np.array([[1, 0.1], [-2, 3]], dtype=np.float32), binary=False)
    assert (tmp_path / "v").read_bytes() == "2 2\na 1 0.100000001\nö -2 3\n".encode()
    write_word2vec(tmp_path / "v", ["a"], np.array([[1, -2]], dtype=np.float32), binary=True)
    assert (tmp_path / "v").read_bytes() == b"1 2\na \0\0\x80?\0\0\0\xc0\n"


def test_a_binary_file_may_lack_the_newlines(tmp_path: Path) -> None:
    numbers = np.array([1, 2], dtype="<f4").tobytes()
    (tmp_path / "v").write_bytes(b"2 2\na " + numbers + b"b " + numbers)
    assert read_word2vec(tmp_path / "v", binary=True)[0] == ["a", "b"]


@both
def test_reading_takes_little_more_memory_than_the_vectors(
    binary: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word2vec_format, "PIECE", 1 << 16)
    numbers = np.random.default_rng(0).normal(size=(500, 1000)).astype(np.float32)
    write_word2vec(tmp_path / "v", [str(number) for number in range(500)], numbers, binary=binary)
    tracemalloc.start()
    try:
        _, vectors = read_word2vec(tmp_path / "v", binary=binary)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(vectors, numbers)
    assert vectors.nbytes < peak < 1.5 * vectors.nbytes  # the file is as large as they are, and larger as a text


@pytest.mark.parametrize("word", ["", "two words", "line\n", "\u00a0", "\ud800"])
def test_a_word_there_is_no_room_for_is_refused_and_the_old_file_stays(word: str, tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_text("old")
    with pytest.raises(NlpError, match=r"v cannot be written: .*the word"):
        write_word2vec(path, ["a", word], np.zeros((2, 2), dtype=np.float32), binary=False)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_words_and_vectors_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NlpError, match="2 words need as many vectors"):
        write_word2vec(tmp_path / "v", ["a", "b"], np.zeros((3, 2), dtype=np.float32), binary=False)
    with pytest.raises(NlpError, match="occurs twice"):
        write_word2vec(tmp_path / "v", ["a", "a"], np.zeros((2, 2), dtype=np.float32), binary=False)


@pytest.mark.parametrize(
    ("content", "binary", "message"),
    [
        (b"", False, "does not begin with a line"),
        (b"2\na 1\n", False, "does not begin with a line"),
        (b"-1 2\n", False, "does not begin with a line"),
        (b"2 1" + b" " * 200 + b"\na 1\nb 2\n", False, "does not begin with a line"),
        (b"9" * 30 + b" 2\n", False, "does not begin with a line"),
        (b"999999999 300\na 1\n", False, "too short for the 999999999 words"),
        (b"2 2\na 1 2\n        ", False, "line 3 has 0 numbers behind its word, not 2"),
        (b"2 2\na 1 2\nb 1  \n", False, "line 3 has 1 numbers"),
        (b"1 2\na 1 x\n", False, "line 2 has something among its numbers that is none"),
        (b"1 2\n\xff 1 2\n", False, "the name of word 1 is not UTF-8"),
        (b"2 1\na 1\na 2\n", False, "the word 'a' twice"),
        (b"2 1\na 1\nb nan\n", False, "word 2 has a number that is not finite"),
        (b"1 2\n\xff 12345678\n", True, "the name of word 1 is not UTF-8"),
        (b"1 2\nlonger 1234\n", True, "ends in word 1 of 1"),
        (b"1 2\n0123456789abcdef", True, "ends in word 1 of 1"),
        (b"1 9\na 12345678\n", True, "too short for the 1 words of 9 numbers"),
    ],
)
def test_damage_is_told_in_a_sentence(content: bytes, binary: bool, message: str, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(content)
    with pytest.raises(NlpError, match=message):
        read_word2vec(tmp_path / "v", binary=binary)


@both
@given(data=st.data())
def test_no_cut_or_changed_byte_ends_in_a_traceback(
    data: st.DataObject, binary: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("vectors") / "v"
    write_word2vec(path, *TABLE, binary=binary)
    content = bytearray(path.read_bytes())
    del content[data.draw(st.integers(0, len(content))) :]
    if content:
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with suppress(NlpError):
        words, vectors = read_word2vec(path, binary=binary)
        assert len(words) == len(vectors)


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(NlpError, match="nowhere cannot be read"):
        read_word2vec(Path("nowhere"), binary=True)
