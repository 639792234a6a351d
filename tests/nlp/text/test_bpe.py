"""Byte-pair encoding: any text comes back, lines stay apart, the same text gives the same tokens, files are checked."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.errors import NlpError
from nlp.text.bpe import BpeTokenizer
from nlp.text.byte_tokens import bytes_of
from nlp.text.tokens import make_tokenizer

tokenizers = pytest.importorskip("tokenizers")

TEXT = "the lower the water, the slower the wind;\nthe newest is the widest.\n" * 20 + "été naïve €\n\n" * 5
TRAINED = BpeTokenizer.train([TEXT], vocab_size=320)
texts = st.text() | st.lists(st.sampled_from(["the", " lower", "est", "\n", "\n\n", " ", "é", "𝄞", "\t"])).map("".join)
utf8 = texts.filter(lambda text: text.isprintable() or not any(0xD800 <= ord(char) < 0xE000 for char in text))


@given(utf8)
def test_any_text_comes_back_exactly(text: str) -> None:
    assert TRAINED.decode(TRAINED.encode(text)) == text


@given(utf8)
def test_ids_are_those_of_the_library(text: str) -> None:
    assert TRAINED.ids(text).tolist() == TRAINED._library.encode(text).ids


@given(utf8)
def test_lines_are_cut_one_by_one(text: str) -> None:
    lines = text.split("\n")
    apart = [token for line in lines for token in (*TRAINED.encode(line), "<0x0A>")]
    assert TRAINED.encode(text) == apart[:-1]


def test_tokens_are_pieces_of_words_of_bytes() -> None:
    assert {" the", " lower", " naïve"} <= set(TRAINED.tokens)
    assert 280 < len(TRAINED.tokens) == len(set(TRAINED.tokens)) <= 320
    in_bytes = [bytes_of(token) for token in TRAINED.tokens]
    assert {bytes([byte]) for byte in range(256)} <= set(in_bytes)
    assert not any(b"\n" in token and token != b"\n" for token in in_bytes)
    assert len(TRAINED.encode(TEXT)) < len(TEXT) / 2


def test_half_a_surrogate_pair_is_no_character() -> None:
    assert TRAINED.decode(TRAINED.encode("a\ud800b")).startswith("a\ufffd")


def test_the_same_text_gives_the_same_tokens_however_it_is_cut() -> None:
    lines = TEXT.splitlines(keepends=True)
    for pieces in ([TEXT], lines, ["".join(lines[:7]), "".join(lines[7:])]):
        again = BpeTokenizer.train(pieces, vocab_size=320)
        assert again.tokens == TRAINED.tokens
        assert again._library.to_str() == TRAINED._library.to_str()


def test_an_endless_word_is_learnt_from_in_no_time() -> None:
    letters = np.random.default_rng(0).choice(list("abcdefghijklmnopqrstuvwxyz"), 1_000_000)
    tokenizer = BpeTokenizer.train(["".join(letters)], vocab_size=2000)  # minutes, were it one word
    assert 256 < len(tokenizer.tokens) <= 2000
    assert max(map(len, tokenizer.tokens)) <= 200


def test_options_are_kept() -> None:
    assert len(BpeTokenizer.train(["ab"], vocab_size=1000).tokens) == 257  # there is no more to join
    assert len(BpeTokenizer.train(["ab ab cd"], vocab_size=1000, min_count=2).tokens) == 257
    lower = BpeTokenizer.train(["AB ab AB"], vocab_size=257, lowercase=True)
    assert lower.encode("aB") == ["ab"]
    with pytest.raises(NlpError, match=r"a vocabulary of 256 is too small for level bpe.* at least 257"):
        BpeTokenizer.train(["ab"], vocab_size=256)


def test_a_saved_tokenizer_is_the_same(tmp_path: Path) -> None:
    TRAINED.save(tmp_path / "tokenizer.json")
    again = make_tokenizer(**TRAINED.settings(), folder=tmp_path)
    assert isinstance(again, BpeTokenizer)
    assert again.tokens == TRAINED.tokens
    assert again.encode(TEXT) == TRAINED.encode(TEXT)
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))  # it is the library's own format
    assert library.encode(TEXT).ids == TRAINED.ids(TEXT).tolist()
    assert library.decode(library.encode(TEXT).ids) == TEXT


def change(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["model"].update(changes)


DAMAGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no model": lambda content: content.clear(),
    "no merges": lambda content: content["model"].pop("merges"),
    "a gap": lambda content: content["model"]["vocab"].update({"x" * 40: 999}),
    "an id twice": lambda content: content["model"]["vocab"].update({"!": 1}),
    "a byte missing": lambda content: content["model"]["vocab"].update({"!!!": content["model"]["vocab"].pop("!")}),
    "another alphabet": lambda content: content["model"]["vocab"].update({"\u4e00": len(content["model"]["vocab"])}),
    "an odd merge": change(merges=[["a"]]),
    "a merge of nothing": change(merges=[["\u4e00", "a"]]),
    "a list for a dict": change(vocab=[]),
    "words for ids": change(vocab={"a": "b"}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_gets_one_clear_sentence(tmp_path: Path, damage: Callable[[dict[str, Any]], Any]) -> None:
    path = tmp_path / "tokenizer.json"
    TRAINED.save(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(NlpError, match="is damaged: ") as caught:
        BpeTokenizer.load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_tokenizer_gets_one_clear_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(NlpError, match="is damaged"):
        BpeTokenizer.load(path)


def test_a_missing_file_folder_or_library_gets_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NlpError, match=r"tokenizer\.json cannot be read: No such file"):
        make_tokenizer("bpe", folder=tmp_path)
    with pytest.raises(NlpError, match="name the folder"):
        make_tokenizer("bpe")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(NlpError, match=r"needs the tokenizers library: pip install"):
        BpeTokenizer.train(["ab"], vocab_size=300)
