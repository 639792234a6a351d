"""Words with vectors: those near are what a plain loop finds, files keep all bits, mistakes are told in a sentence."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nlp_helpers import char_vocabulary, tiny

import minigrad
from nlp.errors import NlpError
from nlp.keyed_vectors import KeyedVectors
from nlp.language_model import LanguageModel
from nlp.models.rnn_lm import RNNLM
from nlp.text import Vocabulary, make_tokenizer


def some_vectors(seed: int, count: int = 12, size: int = 5) -> KeyedVectors:
    """Words w0, w1, ... with vectors of all lengths."""
    draw = np.random.default_rng(seed)
    vectors = draw.standard_normal((count, size)) * draw.lognormal(0, 2, (count, 1))
    return KeyedVectors(tuple(f"w{number}" for number in range(count)), vectors.astype(np.float32))


places = st.lists(st.integers(0, 11), max_size=3)


@given(st.integers(0, 1000), places, places, st.integers(1, 15))
def test_the_most_similar_words_are_those_of_a_plain_loop(
    seed: int, added: list[int], taken: list[int], count: int
) -> None:
    vectors = some_vectors(seed)
    unit = [[x / math.hypot(*row) for x in row] for row in vectors.vectors.astype(float).tolist()]
    mean = [sum(unit[i][d] for i in added) - sum(unit[i][d] for i in taken) for d in range(5)]
    assume(math.hypot(*mean) > 1e-3)
    cosines = {
        f"w{i}": sum(x * y for x, y in zip(unit[i], mean, strict=True)) / math.hypot(*mean)
        for i in range(12)
        if i not in (*added, *taken)
    }
    found = vectors.most_similar([f"w{i}" for i in added], [f"w{i}" for i in taken], count)
    expected = sorted(cosines.values(), reverse=True)[:count]
    assert [cosine for _, cosine in found] == pytest.approx(expected, abs=1e-5)
    assert len({word for word, _ in found}) == len(found)
    for word, cosine in found:
        assert cosines[word] == pytest.approx(cosine, abs=1e-5)


def test_one_word_may_be_given_by_itself() -> None:
    vectors = some_vectors(3)
    assert vectors.most_similar("w1", "w2") == vectors.most_similar(["w1"], ["w2"])


@given(st.integers(0, 1000))
def test_unit_vectors_have_length_1_and_their_direction(seed: int) -> None:
    vectors = some_vectors(seed)
    vectors.vectors[3] = 0
    vectors.vectors[4] *= 1e30  # the square of which is no float32
    vectors.vectors[5] *= np.float32(1e-30)
    length = np.linalg.norm(vectors.vectors.astype(np.float64), axis=1)
    length[3] = 1
    assert vectors.unit.dtype == np.float32
    np.testing.assert_allclose(vectors.unit, vectors.vectors / length[:, None], rtol=1e-5)


@pytest.mark.parametrize("name", ["v.bin", "v.BIN", "v.txt", "v.vec"])
def test_a_file_keeps_words_and_bits(name: str, tmp_path: Path) -> None:
    vectors = some_vectors(1)
    vectors.save(tmp_path / name)
    again = KeyedVectors.read(str(tmp_path / name))
    assert again.words == vectors.words
    assert again.vectors.tobytes() == vectors.vectors.tobytes()
    assert ((tmp_path / name).read_bytes().count(b"\n") == 13) or name.lower().endswith(".bin")


def test_gensim_finds_the_same_words(tmp_path: Path) -> None:
    gensim = pytest.importorskip("gensim")
    vectors = some_vectors(5)
    vectors.save(tmp_path / "v.bin")
    theirs = gensim.models.KeyedVectors.load_word2vec_format(str(tmp_path / "v.bin"), binary=True)
    for positive, negative in ((["w1"], []), (["w1", "w2"], ["w5"])):
        ours = vectors.most_similar(positive, negative, 5)
        found = theirs.most_similar(positive=positive, negative=negative, topn=5)
        assert [word for word, _ in ours] == [word for word, _ in found]
        np.testing.assert_allclose([c for _, c in ours], [c for _, c in found], rtol=1e-5)


def test_the_words_of_a_vocabulary_are_in_order_of_frequency_without_specials() -> None:
    vocabulary = Vocabulary(["<unk>", "rare", "often", "as rare", "<eos>"], [50, 1, 7, 1, 90])
    rows = np.arange(10.0).reshape(5, 2)
    vectors = KeyedVectors.of_vocabulary(vocabulary, rows, ("<unk>", "<eos>"))
    assert vectors.words == ("often", "rare", "as rare")
    assert vectors.vectors.tolist() == [[4, 5], [2, 3], [6, 7]]
    assert vectors.vectors.dtype == np.float32


def test_a_run_of_a_language_model_gives_its_tokens_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nlp
    from nlp.keyed_vectors import load_vectors

    vocabulary = char_vocabulary("aaabbbbcc dd e\n")
    minigrad.manual_seed(0)
    model = RNNLM(len(vocabulary), 6, 6, 1, 0.0)
    loaded = LanguageModel(model.eval(), vocabulary, make_tokenizer("char"), tiny(level="char"))
    monkeypatch.setattr(nlp, "load", {tmp_path: loaded}.__getitem__)
    vectors = load_vectors(tmp_path)
    assert set(vectors.words) == set(vocabulary.tokens) - {"<unk>"}
    assert vectors.words[0] == "b"
    weight = model.embedding.weight.detach().numpy()
    for word, row in zip(vectors.words, vectors.vectors, strict=True):
        np.testing.assert_array_equal(row, weight[vocabulary.id_of(word)])
    monkeypatch.setattr(nlp, "load", {tmp_path: vectors}.__getitem__)
    assert load_vectors(tmp_path) is vectors  # as a run of word vectors is loaded


def test_words_are_looked_up_with_or_without_regard_to_case() -> None:
    vectors = KeyedVectors(("the", "The", "THE", "a"), np.eye(4, dtype=np.float32))
    assert vectors.places() == {"the": 0, "The": 1, "THE": 2, "a": 3}
    assert vectors.places(case_insensitive=True) == {"THE": 0, "A": 3}
    assert "The" in vectors
    assert "A" not in vectors
    assert vectors.index("THE") == 2
    head = vectors.head(2)
    assert head.words == ("the", "The")
    assert head.vectors.shape == (2, 4)
    assert len(vectors.head(9)) == len(vectors) == 4


ONES = np.ones((2, 3), dtype=np.float32)
MISTAKES = {
    "an unknown word": (lambda: KeyedVectors(("king", "queen"), ONES).index("kin"), "'kin' (the nearest is 'king')"),
    "an unknown word to take away": (lambda: KeyedVectors(("a", "b"), ONES).most_similar("a", "zebra"), "'zebra'"),
    "a word twice": (lambda: KeyedVectors(("a", "a"), ONES), "the word 'a' occurs twice"),
    "other numbers": (lambda: KeyedVectors(("a",), ONES), "1 word cannot have vectors of shape (2, 3)"),
    "no words": (lambda: KeyedVectors((), ONES[:0]), "there are no words"),
    "infinity": (lambda: KeyedVectors(("a", "b"), ONES * np.array([[1], [np.inf]])), "the vector of 'b'"),
    "no word": (lambda: KeyedVectors(("a", "b"), ONES).most_similar([]), "add up to nothing"),
    "a word less itself": (lambda: some_vectors(0).most_similar("w1", "w1"), "add up to nothing"),
    "none to show": (lambda: some_vectors(0).most_similar("w1", count=0), "--count must be at least 1"),
    "none to keep": (lambda: some_vectors(0).head(0), "at least 1, not 0"),
    "another ending": (lambda: KeyedVectors.read("v.doc"), "let it end in .bin (binary), .txt or .vec (text)"),
    "another ending to write": (lambda: some_vectors(0).save("v"), "let it end in .bin"),
    "no file": (lambda: KeyedVectors.read("nowhere.bin"), "nowhere.bin cannot be read"),
    "a word with a space": (lambda: KeyedVectors(("a b", "c"), ONES).save("v.txt"), "no room for the word 'a b'"),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_is_told_in_one_sentence(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mistake, message = MISTAKES[name]
    with pytest.raises(NlpError) as told:
        mistake()
    assert message in str(told.value)
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())
