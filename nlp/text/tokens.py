"""Text into tokens and back: words and characters here, bytes and pieces of words in the modules beside this one.

A tokenizer has no state: `encode` gives the tokens of a text as strings, `decode` a text for tokens, `spelling` the
same token by token, and `settings` what a run has to remember to build it again with `make_tokenizer`.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nlp.errors import NlpError
from nlp.text.bpe import TOKENIZER, BpeTokenizer
from nlp.text.byte_tokens import ByteTokenizer

__all__ = [
    "EOS",
    "UNICODE",
    "UNK",
    "CharTokenizer",
    "Spelling",
    "Tokenizer",
    "WordTokenizer",
    "looks_pretokenized",
    "make_tokenizer",
]

UNK = "<unk>"  # stands for every token the vocabulary does not have
EOS = "<eos>"  # stands for the end of a line
UNICODE = 0x110000  # code points there are


class Spelling(Protocol):
    """The text of tokens, as they come: what `decode` gives for all of them, in pieces."""

    def add(self, token: str) -> str:
        """What this token adds to the text."""

    def end(self) -> str:
        """What is left when no token follows."""


class Tokenizer(Protocol):
    """What training, evaluation and generation ask of a tokenizer."""

    level: str
    specials: tuple[str, ...]  # tokens that a vocabulary has even where the text lacks them

    def encode(self, text: str) -> list[str]: ...

    def decode(self, tokens: Iterable[str]) -> str: ...

    def spelling(self) -> Spelling: ...

    def settings(self) -> dict[str, str | bool]: ...


def make_tokenizer(
    level: str, *, pretokenized: bool = False, lowercase: bool = False, folder: Path | None = None
) -> Tokenizer:
    """The tokenizer of a level, `"word"`, `"char"`, `"byte"` or `"bpe"`.

    `make_tokenizer(**t.settings(), folder=folder)` is `t` again. Level bpe alone has more to remember than settings: it
    is read from `tokenizer.json` in `folder`, which the other levels do not look at.

    Raises NlpError for another level, for an option the level does not have, and for a `tokenizer.json` that is missing
    or damaged.
    """
    if pretokenized and level != "word":
        raise NlpError(f"a text is pre-tokenised into words, so that pretokenized goes with level word, not {level}")
    if level == "word":
        return WordTokenizer(pretokenized=pretokenized, lowercase=lowercase)
    if level == "char":
        return CharTokenizer(lowercase=lowercase)
    if level == "byte":
        return ByteTokenizer(lowercase=lowercase)
    if level == "bpe":
        if folder is None:
            raise NlpError("a tokenizer of level bpe is read from a folder with its tokenizer.json: name the folder")
        return BpeTokenizer.load(folder / TOKENIZER, lowercase=lowercase)
    raise NlpError(f"there is no token level {level!r}: choose word, char, byte or bpe")


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

    def codes(self, text: str) -> NDArray[np.uint32]:
        """The tokens as code points, shape (N,): the same as `encode`, for work on whole arrays."""
        whole = text.lower() if self.lowercase else text
        return np.frombuffer(whole.encode("utf-32-le", "surrogatepass"), dtype="<u4")

    def decode(self, tokens: Iterable[str]) -> str:
        return "".join(map(self.add, tokens))

    def spelling(self) -> Spelling:
        return self

    def add(self, token: str) -> str:
        return "\N{REPLACEMENT CHARACTER}" if token == UNK else token

    def end(self) -> str:
        return ""

    def settings(self) -> dict[str, str | bool]:
        return {"level": self.level, "lowercase": self.lowercase}


# ---- words --------------------------------------------------------------------------------------------------------

APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"  # as printed; it is also the closing quote
OPENING = frozenset("([{\u2018“¿¡$£€")  # written without a space after them
CLOSING = frozenset([*")]},.;:!?”%", APOSTROPHE, "..."])  # written without a space before them
JOINING = frozenset("/@")  # neither

KEPT, LONGEST_KEPT = 1 << 16, 40  # chunks of text whose tokens are remembered, and their greatest length


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
        chunks = text.replace("\n", f" {EOS} ").split()
        return chunks if self.pretokenized else list(chain.from_iterable(map(_prose_tokens.__getitem__, chunks)))

    def decode(self, tokens: Iterable[str]) -> str:
        return "".join(map(self.spelling().add, tokens))

    def spelling(self) -> Spelling:
        return OneSpace() if self.pretokenized else ProseSpacing()

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
        rf"{UNK}|{EOS}"
        rf"|(?<!{letter})-?\d+(?:[.,:]\d+)*(?!{letter})(?!{inside}{letter})"  # a number
        rf"|{letter}+(?:{inside}{letter}+)*"  # a word
        r"|\.{2,}|-{2,}"
        rf"|\S[{marks}]*"
    )


class _ProseTokens(dict[str, list[str]]):
    """The tokens of what stands between white space, kept for the next time: most of a text has been there before.

    No token has white space in it and none depends on what is beyond the next, so that chunk by chunk gives the tokens
    of the whole text, several times as fast.
    """

    def __missing__(self, chunk: str) -> list[str]:
        tokens: list[str] = _prose_pattern().findall(chunk)
        if len(chunk) <= LONGEST_KEPT:
            if len(self) >= KEPT:
                self.clear()
            self[chunk] = tokens
        return tokens


_prose_tokens = _ProseTokens()


class OneSpace:
    """Tokens with one space between them."""

    def __init__(self) -> None:
        self._at_line_start = True

    def add(self, token: str) -> str:
        space = "" if self._at_line_start or token == EOS else " "
        self._at_line_start = token == EOS
        return "\n" if token == EOS else space + token

    def end(self) -> str:
        return ""


class ProseSpacing:
    """Each token, before it a space unless one of the two attaches to the other.

    Straight quotes open and close in turn within a line. No token but ``/`` and ``@`` attaches on both sides, and these
    are never part of a word, so that attaching cannot melt tokens into one word; what is left is two tokens that melt
    by themselves (a dot after a dot), and these are looked at one by one.
    """

    def __init__(self) -> None:
        self._start_line()

    def _start_line(self) -> None:
        self._open_quotes: set[str] = set()
        self._previous, self._attaches_next = "\n", True

    def add(self, token: str) -> str:
        if token == EOS:
            self._start_line()
            return "\n"
        if token in ("'", '"'):
            attaches_back = token in self._open_quotes
            attaches_after = not attaches_back
            self._open_quotes ^= {token}
        else:
            attaches_back = token in CLOSING or token in JOINING
            attaches_after = token in OPENING or token in JOINING
        attached = self._previous == "\n" or (
            (attaches_back or self._attaches_next) and _stay_apart(self._previous, token)
        )
        self._previous, self._attaches_next = token, attaches_after
        return token if attached else f" {token}"

    def end(self) -> str:
        return ""


def _stay_apart(first: str, second: str) -> bool:
    """Whether two tokens are still two when they are written without a space."""
    return _prose_pattern().findall(first + second) == [first, second]
