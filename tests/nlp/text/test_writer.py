"""Showing text token by token: the pieces are the text, and each costs the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.text.byte_tokens import BYTE_NAMES, ByteTokenizer
from nlp.text.tokens import EOS, UNK, CharTokenizer, Tokenizer, WordTokenizer
from nlp.text.writer import Writer

words = st.sampled_from(["a", "don't", "5", "-5", EOS, UNK, *".,:;!?'\"()/@-", "...", "--", "\u201c", "\u0301"])
characters = st.characters(codec="utf-8") | st.just(UNK)
bytes_ = st.sampled_from(BYTE_NAMES) | st.sampled_from(ByteTokenizer().encode("é€𝄞"))
CASES: list[tuple[Tokenizer, st.SearchStrategy[str]]] = [
    (WordTokenizer(), words),
    (WordTokenizer(pretokenized=True), words),
    (CharTokenizer(), characters),
    (ByteTokenizer(), bytes_),
]


@pytest.mark.parametrize(("tokenizer", "tokens"), CASES, ids=["prose", "pretokenized", "char", "byte"])
@given(data=st.data())
def test_the_pieces_are_the_text(tokenizer: Tokenizer, tokens: st.SearchStrategy[str], data: st.DataObject) -> None:
    drawn = data.draw(st.lists(tokens))
    writer = Writer(tokenizer)
    assert "".join([*map(writer.add, drawn), writer.end()]) == tokenizer.decode(drawn)


def test_a_character_is_shown_when_it_is_whole() -> None:
    writer = Writer(ByteTokenizer())
    assert [writer.add(token) for token in ByteTokenizer().encode("é€a")] == ["", "é", "", "", "€", "a"]
    assert writer.end() == ""
    writer.add("<0xC3>")
    assert writer.end() == "\ufffd"


def test_words_of_pieces_of_characters() -> None:
    pytest.importorskip("tokenizers")
    from nlp.text.bpe import BpeTokenizer

    tokenizer = BpeTokenizer.train(["naïve €uro, naïve €uro"], vocab_size=262)
    text = "a naïve €uro\n€"
    tokens = tokenizer.encode(text)
    writer = Writer(tokenizer)
    assert "".join(map(writer.add, tokens)) == text
    assert writer.end() == ""
