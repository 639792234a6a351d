"""Reading text files piece by piece, so that a file larger than the memory costs no more than a small one.

Everything that is wrong with a file (no file at all, not UTF-8, binary, empty, changed while it was read) is one
`NlpError`, raised where it is met.
"""

import codecs
import os
import re
import stat
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import BinaryIO

from nlp.errors import NlpError

__all__ = ["JoinedFiles", "StrPath", "TextFile"]

PIECE = 1 << 20  # bytes read at a time

StrPath = str | os.PathLike[str]
Stamp = tuple[int, int, int]  # size, time of the last change, inode: what a file is recognised by


class TextFile:
    """A UTF-8 file, read in pieces with line ends as ``\\n`` whatever they are, a byte order mark left out.

    Making one looks at the file but does not read it. Raises NlpError for a path that is missing or no regular file,
    and while reading for what is unreadable, empty, binary, not UTF-8, or no longer the file that was looked at.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = path
        if not os.fspath(path):
            raise NlpError("the name of a text is empty: name a file")
        try:
            status = os.stat(path)
        except FileNotFoundError as error:
            raise NlpError(f"{path} does not exist: check the path") from error
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path itself
            raise _unreadable(path, error) from error
        if stat.S_ISDIR(status.st_mode):
            raise NlpError(f"{path} is a directory: give the text files in it one by one")
        if not stat.S_ISREG(status.st_mode):  # reading a pipe could wait for ever
            raise NlpError(f"{path} is a pipe or a device: save its text in a file, and give that")
        self._stamp = _stamp(status)
        self.size = status.st_size  # bytes

    def pieces(self) -> Iterator[str]:
        """The text in order, about a megabyte at a time, cut where `placed_pieces` says."""
        return (text for _, text in self.placed_pieces())

    def placed_pieces(self, start: int = 0) -> Iterator[tuple[int, str]]:
        """Each piece with the byte it begins at, from the piece at byte `start` on (0, or one that was given before).

        A piece ends after a line end; in a line longer than a piece before white space, so that no word is cut; where
        there is neither, between two characters. The same file is always cut at the same places.
        """
        blank, characters = start == 0, 0
        for offset, data in self._blocks(start):
            text = self._decode(data, offset)
            blank, characters = blank and not text.strip(), characters + len(text)
            yield offset, text
        if blank:
            found = "has no words, only white space" if characters else "is empty"
            raise NlpError(f"{self.path} {found}: give a file with text in it")

    def _blocks(self, offset: int) -> Iterator[tuple[int, bytes]]:
        try:
            with open(self.path, "rb") as file:
                self._expect_unchanged(file)
                file.seek(offset)
                while data := file.read(PIECE):
                    end = _cut(data) if len(data) == PIECE else len(data)
                    yield offset, data[:end]
                    offset += end
                    file.seek(offset)
                self._expect_unchanged(file)
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def _expect_unchanged(self, file: BinaryIO) -> None:
        if _stamp(os.fstat(file.fileno())) != self._stamp:
            raise NlpError(f"{self.path} changed while it was being read: leave it as it is, or give a copy of it")

    def _decode(self, data: bytes, offset: int) -> str:
        if offset == 0 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise NlpError(f"{self.path} is UTF-16, not UTF-8: convert it, for example with iconv -f UTF-16 -t UTF-8")
        if b"\0" in data:
            place = offset + data.index(0)
            raise NlpError(f"{self.path} is a binary file (byte {place} is NUL), not a text: give a UTF-8 text file")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise NlpError(
                f"{self.path} is not UTF-8: byte {offset + error.start} is 0x{data[error.start]:02X} ({error.reason}); "
                "convert the file to UTF-8 first"
            ) from error
        if offset == 0:
            text = text.removeprefix("\ufeff")
        return re.sub(r"\r\n?", "\n", text) if "\r" in text else text


def _cut(data: bytes) -> int:
    """Where to end a piece of these bytes, which more bytes follow: see `TextFile.placed_pieces`."""
    line = data.rfind(b"\n") + 1 or data.rfind(b"\r", 0, -1) + 1  # the last byte may be the first half of \r\n
    if line:
        return line
    space = max(data.rfind(b" "), data.rfind(b"\t"))
    if space > 0:
        return space
    place = len(data) - 1
    while place > len(data) - 4 and data[place] & 0xC0 == 0x80:  # back to the first byte of the last character
        place -= 1
    return place


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _unreadable(path: StrPath, error: Exception) -> NlpError:
    return NlpError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")


# ---- several files as one text ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where a piece begins: in which file, at which byte of it, and at which character of the whole text."""

    file: int
    byte: int
    character: int


class JoinedFiles:
    """The texts of files one after the other, of which any stretch can be read without reading what is before it.

    `line_ends`: whether a file whose last line has no end is given one.
    """

    def __init__(self, paths: Sequence[StrPath], *, line_ends: bool = True) -> None:
        self._files = [TextFile(path) for path in paths]
        self._line_ends = line_ends
        self.size = sum(file.size for file in self._files)  # bytes

    @property
    def characters(self) -> int:
        """The length of the text. The first time, every file is read from end to end."""
        return self._places[1]

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[str]:
        """The text from character `start` to before character `stop` (its end where that is None)."""
        places, total = self._places
        stop = total if stop is None else min(stop, total)
        first = max(bisect_right(places, start, key=lambda place: place.character) - 1, 0)
        character = places[first].character
        for _, text in self._from(places[first]):
            if character >= stop:
                return
            piece = text[max(start - character, 0) : stop - character]
            if piece:
                yield piece
            character += len(text)

    @cached_property
    def _places(self) -> tuple[list[Place], int]:
        """Where every piece begins, and the number of characters in all."""
        places, character = [], 0
        for (file, byte), text in self._from(Place(0, 0, 0)):
            places.append(Place(file, byte, character))
            character += len(text)
        return places, character

    def _from(self, place: Place) -> Iterator[tuple[tuple[int, int], str]]:
        """The pieces from `place` on, each with its file and byte."""
        byte = place.byte
        for number, file in islice(enumerate(self._files), place.file, None):
            held: tuple[int, str] | None = None  # one piece back, for the line end that the last one may need
            for following in file.placed_pieces(byte):
                if held:
                    yield (number, held[0]), held[1]
                held = following
            if held:
                last = held[1]
                yield (number, held[0]), last + "\n" if self._line_ends and not last.endswith("\n") else last
            byte = 0
