"""Text into tokens and back: words or characters.

A tokenizer is stateless and small: `encode` gives the tokens of a text as strings, `decode` a text for tokens, and
`settings` what a run has to remember to build it again with `make_tokenizer`.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from typing import Protocol

from nlp.errors import NlpError

__all__ = ["EOS", "UNK", "CharTokenizer", "Tokenizer", "WordTokenizer", "looks_pretokenized", "make_tokenizer"]

UNK = "<unk>"  # stands for every token the vocabulary does not have
EOS = "<eos>"  # stands for the end of a line


class Tokenizer(Protocol):
    """What training, evaluation and generation ask of a tokenizer."""

    level: str
    specials: tuple[str, ...]  # tokens that a vocabulary has even where the text lacks them

    def encode(self, text: str) -> list[str]: ...

    def decode(self, tokens: Iterable[str]) -> str: ...

    def settings(self) -> dict[str, str | bool]: ...


def make_tokenizer(level: str, *, pretokenized: bool = False, lowercase: bool = False) -> Tokenizer:
    """The tokenizer of a level, `"word"` or `"char"`; `make_tokenizer(**t.settings())` is `t` again.

    Raises NlpError for another level, and for an option the level does not have.
    """
    if level == "word":
        return WordTokenizer(pretokenized=pretokenized, lowercase=lowercase)
    if level == "char":
        if pretokenized:
            raise NlpError("a text is pre-tokenised into words, so that pretokenized goes with level word, not char")
        return CharTokenizer(lowercase=lowercase)
    raise NlpError(f"there is no token level {level!r}: choose word or char")


# ---- characters ---------------------------------------------------------------------------------------------------


class CharTokenizer:
    """Every Unicode character is a token, the newline too: `decode(encode(text)) == text`, always.

    (With `lowercase`, the text is lower-cased first.) A character that the vocabulary lacks is decoded as U+FFFD.
    """

    level = "char"
    specials: tuple[str, ...] = (UNK,)

    def __init__(self, *, lowercase: bool = False) -> None:
        self.lowercase = lowercase

    def encode(self, text: str) -> list[str]:
        return list(text.lower() if self.lowercase else text)

    def decode(self, tokens: Iterable[str]) -> str:
        return "".join("\N{REPLACEMENT CHARACTER}" if token == UNK else token for token in tokens)

    def settings(self) -> dict[str, str | bool]:
        return {"level": self.level, "lowercase": self.lowercase}


# ---- words --------------------------------------------------------------------------------------------------------

APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"  # as printed; it is also the closing quote
OPENING = frozenset("([{\u2018“¿¡$£€")  # written without a space after them
CLOSING = frozenset([*")]},.;:!?”%", APOSTROPHE, "..."])  # written without a space before them
JOINING = frozenset("/@")  # neither


class WordTokenizer:
    """Words and punctuation marks are tokens; every newline is the token ``<eos>``.

    - `pretokenized=True`, for text that comes with a space around every token, such as WikiText: a token is what stands
      between white space, and `decode` puts one space between tokens.
    - `pretokenized=False`, for prose as people write it. A word is a run of letters, digits, combining marks and ``_``
      with a single full stop, apostrophe or hyphen inside (*don't*, *well-known*, *os.path*, *U.S*); a number keeps its
      sign, its commas and colons (*-1,000.5*, *12:30*); ``<unk>`` and ``<eos>`` are whole; dots or hyphens in a row are
      one token (*...*, *--*); every other character is a token by itself. `decode` writes marks, brackets and quotes as
      a reader expects them.

    White space other than newlines is not kept, so that not every text comes back, but every token does:
    `encode(decode(encode(text))) == encode(text)`.
    """

    level = "word"
    specials: tuple[str, ...] = (UNK, EOS)

    def __init__(self, *, pretokenized: bool = False, lowercase: bool = False) -> None:
        self.pretokenized = pretokenized
        self.lowercase = lowercase

    def encode(self, text: str) -> list[str]:
        if self.lowercase:
            text = text.lower()
        if self.pretokenized:
            return text.replace("\n", f" {EOS} ").split()
        return [EOS if token == "\n" else token for token in _prose_pattern().findall(text)]

    def decode(self, tokens: Iterable[str]) -> str:
        separated = _one_space(tokens) if self.pretokenized else _prose_spacing(tokens)
        return "".join(separated)

    def settings(self) -> dict[str, str | bool]:
        return {"level": self.level, "pretokenized": self.pretokenized, "lowercase": self.lowercase}


def looks_pretokenized(text: str) -> bool:
    """Whether most commas and full stops in the first million characters stand between white space, as in WikiText."""
    start = text[:1_000_000]
    marks = re.findall(r"[,.](?!\S)", start)
    alone = re.findall(r"(?<!\S)[,.](?!\S)", start)
    return 2 * len(alone) > len(marks)


@cache
def _combining_marks() -> str:
    """The inside of a character class: accents and vowel signs that Unicode sets after their letter, and joiners.

    Python's ``\\w`` leaves them out, which would cut words of Hindi, Thai or Vietnamese (decomposed) into pieces.
    """
    ranges: list[list[int]] = []
    for code in chain(range(0x300, 0x20000), range(0xE0100, 0xE01F0)):  # beyond stand ideographs and private use
        if unicodedata.category(chr(code)).startswith("M") or code in (0x200C, 0x200D):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


@cache
def _prose_pattern() -> re.Pattern[str]:
    marks = _combining_marks()
    letter, inside = rf"[\w{marks}]", rf"[.'{APOSTROPHE}-]"
    return re.compile(
        rf"\n|{UNK}|{EOS}"
        rf"|(?<!{letter})-?\d+(?:[.,:]\d+)*(?!{letter})(?!{inside}{letter})"  # a number
        rf"|{letter}+(?:{inside}{letter}+)*"  # a word
        r"|\.{2,}|-{2,}"
        rf"|\S[{marks}]*"
    )


def _one_space(tokens: Iterable[str]) -> Iterator[str]:
    at_line_start = True
    for token in tokens:
        if not at_line_start and token != EOS:
            yield " "
        yield "\n" if token == EOS else token
        at_line_start = token == EOS


def _prose_spacing(tokens: Iterable[str]) -> Iterator[str]:
    """Each token, before it a space unless one of the two attaches to the other.

    Straight quotes open and close in turn within a line. No token but ``/`` and ``@`` attaches on both sides, and these
    are never part of a word, so that attaching cannot melt tokens into one word; what is left is two tokens that melt
    by themselves (a dot after a dot), and these are looked at one by one.
    """
    pattern = _prose_pattern()
    open_quotes: set[str] = set()
    previous, attaches_next = "\n", True
    for token in tokens:
        if token == EOS:
            yield "\n"
            open_quotes.clear()
            previous, attaches_next = "\n", True
            continue
        if token in ("'", '"'):
            attaches_back = token in open_quotes
            attaches_after = not attaches_back
            open_quotes ^= {token}
        else:
            attaches_back = token in CLOSING or token in JOINING
            attaches_after = token in OPENING or token in JOINING
        if previous != "\n" and not (
            (attaches_back or attaches_next) and pattern.findall(previous + token) == [previous, token]
        ):
            yield " "
        yield token
        previous, attaches_next = token, attaches_after
