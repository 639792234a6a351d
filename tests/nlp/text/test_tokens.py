"""Tokenizers: no token is lost on the way to text and back, whatever the Unicode."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nlp.errors import NlpError
from nlp.text import tokens as tokens_module
from nlp.text.byte_tokens import ByteTokenizer
from nlp.text.tokens import EOS, UNK, CharTokenizer, Tokenizer, WordTokenizer, looks_pretokenized, make_tokenizer

# Any Unicode, and texts thick with what the word pattern and the spacing rules look at.
PIECES = ["a", "b9", "don't", "os.path", "3,000", "-5", "12:30", UNK, EOS]
PIECES += [*" \n\t\r\x1c\u2028", "  "]
PIECES += [*".,:;!?'\"()[]{}<>/@-_$%&*", "\u2018", "\u2019", "\u201c", "\u201d", "...", "--", "\u0301", "\u200d", "हि"]
pieces = st.lists(st.sampled_from(PIECES))
texts = st.text() | pieces.map("".join) | pieces.map(" ".join)


@given(texts)
def test_characters_come_back_exactly(text: str) -> None:
    tokenizer = CharTokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode(text)) == len(text)


@given(texts, st.booleans(), st.booleans())
@example("a . . .", False, False)
@example("( \u0301", False, False)
@example("a - b . c ' d", False, False)
@example("'a' 'b c\"d\"", False, False)
@example("1 ,5 - 5 --5", False, False)
def test_every_word_token_comes_back(text: str, pretokenized: bool, lowercase: bool) -> None:
    tokenizer = WordTokenizer(pretokenized=pretokenized, lowercase=lowercase)
    tokens = tokenizer.encode(text)
    assert tokenizer.encode(tokenizer.decode(tokens)) == tokens


@given(texts, st.integers(0, 40))
def test_tokens_do_not_depend_on_what_is_beyond_white_space(text: str, place: int) -> None:
    cut = next((i for i in range(min(place, len(text)), len(text)) if text[i].isspace()), len(text))
    for tokenizer in (WordTokenizer(), WordTokenizer(pretokenized=True), WordTokenizer(lowercase=True)):
        assert tokenizer.encode(text[:cut]) + tokenizer.encode(text[cut:]) == tokenizer.encode(text)


def test_what_is_remembered_of_a_text_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "KEPT", 10)
    text = " ".join(f"w{n}, {'x' * n}" for n in range(100))
    assert len(WordTokenizer().encode(text)) == 299
    assert len(tokens_module._prose_tokens) <= 10
    assert max(map(len, tokens_module._prose_tokens)) <= tokens_module.LONGEST_KEPT


@given(texts)
def test_code_points_are_the_characters(text: str) -> None:
    for tokenizer in (CharTokenizer(), CharTokenizer(lowercase=True)):
        assert list(map(chr, tokenizer.codes(text).tolist())) == tokenizer.encode(text)


@given(texts)
def test_words_lose_only_white_space(text: str) -> None:
    tokens = WordTokenizer().encode(text.replace(EOS, ""))
    kept = "".join("\n" if token == EOS else token for token in tokens)
    assert kept == "".join(char for char in text.replace(EOS, "") if char == "\n" or not char.isspace())


@given(texts)
def test_pretokenized_text_is_split_at_white_space_and_lines(text: str) -> None:
    expected: list[str] = []
    for line in text.split("\n"):
        expected += [*line.split(), EOS]
    assert WordTokenizer(pretokenized=True).encode(text) == expected[:-1]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop, it's well-known.", ["Don't", "stop", ",", "it's", "well-known", "."]),
        ("I don\u2019t", ["I", "don\u2019t"]),
        ("3.14 1,000.5 -1 12:30 50%", ["3.14", "1,000.5", "-1", "12:30", "50", "%"]),
        ("a-1 5th 3.x", ["a-1", "5th", "3.x"]),
        (f"the {UNK}, and", ["the", UNK, ",", "and"]),
        ("one\n\ntwo\n", ["one", EOS, EOS, "two", EOS]),
        ("see __init__ of os.path...", ["see", "__init__", "of", "os.path", "..."]),
        ("no -- never", ["no", "--", "never"]),
        ("cafe\u0301 हिन्दी", ["cafe\u0301", "हिन्दी"]),
        ("\u2764\ufe0f!", ["\u2764\ufe0f", "!"]),
        ("and/or", ["and", "/", "or"]),
    ],
)
def test_prose_tokens(text: str, tokens: list[str]) -> None:
    assert WordTokenizer().encode(text) == tokens


@pytest.mark.parametrize(
    "text",
    [
        'Well, he said: "It\'s (almost) done!" And then?\n',
        "Take 'this' and/or that; it costs $5, or 50%.\nNext line.",
        "\u201cCurly\u201d quotes \u2018too\u2019, [3] items...",
    ],
)
def test_prose_reads_as_it_was_written(text: str) -> None:
    tokenizer = WordTokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_quote_left_open_ends_with_its_line() -> None:
    tokenizer = WordTokenizer()
    assert tokenizer.decode(tokenizer.encode("the dogs' bone\nsay 'yes'.")).endswith("\nsay 'yes'.")


def test_lowercase_lowers_before_it_cuts() -> None:
    assert WordTokenizer(lowercase=True).encode("The <UNK> Cat") == ["the", UNK, "cat"]
    assert CharTokenizer(lowercase=True).encode("Ab") == ["a", "b"]


def test_an_unknown_character_is_shown_as_one() -> None:
    assert CharTokenizer().decode(["a", UNK, "b"]) == "a\ufffdb"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the cat , which sat .\n the dog .", True),
        ("The cat, which sat. The dog.", False),
        ("no marks at all", False),
        ("", False),
    ],
)
def test_pretokenized_text_is_recognised(text: str, expected: bool) -> None:
    assert looks_pretokenized(text) is expected


@pytest.mark.parametrize(
    "tokenizer",
    [
        CharTokenizer(),
        CharTokenizer(lowercase=True),
        WordTokenizer(),
        WordTokenizer(pretokenized=True),
        ByteTokenizer(),
    ],
)
def test_settings_build_the_same_tokenizer(tokenizer: Tokenizer) -> None:
    again = make_tokenizer(**tokenizer.settings())
    assert type(again) is type(tokenizer)
    assert again.settings() == tokenizer.settings()


def test_levels_are_checked() -> None:
    with pytest.raises(NlpError, match="no token level 'syllable': choose word, char, byte or bpe"):
        make_tokenizer("syllable")
    with pytest.raises(NlpError, match="goes with level word, not char"):
        make_tokenizer("char", pretokenized=True)
