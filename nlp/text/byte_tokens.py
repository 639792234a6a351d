"""Bytes as tokens: any text in 256 of them, and none that is unknown. The names of byte sequences, for BPE too."""

import codecs
import re
from collections.abc import Iterable

__all__ = ["BYTE_NAMES", "ByteTokenizer", "Utf8Tokens", "bytes_of", "name_of"]

_ESCAPE = re.compile(r"<0x([0-9A-F]{2})>")


def name_of(data: bytes) -> str:
    """A readable name for bytes, different for different ones: their text where they are text.

    Control characters, and bytes that are no whole UTF-8 character, are written ``<0x0A>``; so is everything in a text
    that looks like that itself, which leaves no doubt what is meant.
    """
    text = data.decode("utf-8", "surrogateescape")
    if "<0x" in text:
        return "".join(_escape(byte) for byte in data)
    return "".join(_readable(character) for character in text)


def bytes_of(name: str) -> bytes:
    """The bytes that have this name."""
    parts = _ESCAPE.split(name)  # text, code, text, code, ..., text
    return b"".join(bytes.fromhex(part) if place % 2 else part.encode() for place, part in enumerate(parts))


def _readable(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how `surrogateescape` writes a byte that is no UTF-8
        return _escape(code - 0xDC00)
    return _escape(code) if code < 0x20 or code == 0x7F else character


def _escape(byte: int) -> str:
    return f"<0x{byte:02X}>"


BYTE_NAMES = tuple(name_of(bytes([byte])) for byte in range(256))


class Utf8Spelling:
    """Tokens that are bytes, spelled as soon as they make whole characters."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: str) -> str:
        return self._decoder.decode(bytes_of(token))

    def end(self) -> str:
        return self._decoder.decode(b"", final=True)


class Utf8Tokens:
    """What tokenizers have in common whose tokens are bytes or several of them, under the names of `name_of`."""

    level: str
    specials: tuple[str, ...] = ()
    lowercase: bool

    def decode(self, tokens: Iterable[str]) -> str:
        return b"".join(map(bytes_of, tokens)).decode("utf-8", "replace")

    def spelling(self) -> Utf8Spelling:
        return Utf8Spelling()

    def settings(self) -> dict[str, str | bool]:
        return {"level": self.level, "lowercase": self.lowercase}


class ByteTokenizer(Utf8Tokens):
    """The bytes of the text's UTF-8 are its tokens, under the names of `name_of`: ``a``, ``<0x0A>``, ``<0xC3>``.

    `decode(encode(text)) == text`, always (with `lowercase`, the text is lower-cased first). Tokens that are no UTF-8,
    which only a model writes, are decoded as U+FFFD.
    """

    level = "byte"

    def __init__(self, *, lowercase: bool = False) -> None:
        self.lowercase = lowercase

    def data(self, text: str) -> bytes:
        """The text as the bytes that are its tokens."""
        return (text.lower() if self.lowercase else text).encode(errors="surrogatepass")

    def encode(self, text: str) -> list[str]:
        return [BYTE_NAMES[byte] for byte in self.data(text)]
