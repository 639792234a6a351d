"""Word vectors as files that other programs read: the text and the binary format of the program word2vec.

Both begin with a line "V D". In the text format each of the V lines that follow is a word and its D numbers, all with a
space between; in the binary one each word is followed by a space, D float32 numbers, the low byte first, and a newline.
Gensim opens them with `KeyedVectors.load_word2vec_format(path, binary=...)`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nlp.disk import replacing
from nlp.errors import NlpError

__all__ = ["read_word2vec", "write_word2vec"]

Vectors = NDArray[np.float32]
FLOAT = np.dtype("<f4")
PIECE = 1 << 20  # bytes read at a time, at least
LONGEST_HEADER = 100  # bytes


def write_word2vec(path: Path, words: Sequence[str], vectors: Vectors, *, binary: bool) -> None:
    """Write V words and their vectors (V, D), whole or not at all. Read again, they are the same bits.

    Raises NlpError for a word that is empty, has white space in it or is no Unicode, for which the format has no room,
    for one that occurs twice, and where the disk does not take the file.
    """
    if vectors.ndim != 2 or len(vectors) != len(words):
        raise NlpError(f"{len(words)} words need as many vectors, not an array of shape {vectors.shape}")
    for word in words:
        if word.split() != [word]:
            raise NlpError(f"{path} cannot be written: word2vec's format has no room for the word {word!r}")
    if len(set(words)) < len(words):
        raise NlpError(f"{path} cannot be written: a word occurs twice among the {len(words)}")
    numbers = np.ascontiguousarray(vectors, dtype=FLOAT)
    line = " %.9g" * numbers.shape[1] + "\n"  # nine digits tell all float32 apart
    with replacing(path) as file:
        file.write(f"{len(words)} {numbers.shape[1]}\n".encode())
        for word, row in zip(words, numbers, strict=True):
            try:
                name = word.encode()
            except UnicodeEncodeError as error:
                raise NlpError(f"{path} cannot be written: the word {word!r} is no Unicode") from error
            file.write(name + b" " + row.tobytes() + b"\n" if binary else name + (line % tuple(row.tolist())).encode())


def read_word2vec(path: Path, *, binary: bool) -> tuple[list[str], Vectors]:
    """The words in a file, and their vectors (V, D); the file is read piece by piece.

    Raises NlpError, saying where, for a file that is missing, cut short, damaged, or of the other of the two formats.
    """
    try:
        with path.open("rb") as file:
            header = file.readline(LONGEST_HEADER)
            V, D = _sizes(path, header, os.fstat(file.fileno()).st_size - len(header), least=(4 if binary else 2))
            entries = _binary_entries(path, file, V, D) if binary else _text_entries(path, file, V, D)
            return _collected(path, entries, V, D)
    except OSError as error:
        raise NlpError(f"{path} cannot be read ({error.strerror or error}): give a file of word vectors") from error


def _collected(path: Path, entries: Iterator[tuple[bytes, Vectors]], V: int, D: int) -> tuple[list[str], Vectors]:
    words: dict[str, None] = {}
    vectors = np.empty((V, D), dtype=np.float32)
    for number, (name, row) in enumerate(entries):
        try:
            word = name.decode()
        except UnicodeDecodeError as error:
            raise _damaged(path, f"the name of word {number + 1} is not UTF-8") from error
        if not word:
            raise _damaged(path, f"word {number + 1} has no name, as where binary is text, or the other way about")
        if word in words:
            raise _damaged(path, f"it has the word {word!r} twice")
        words[word] = None
        vectors[number] = row
    if not np.isfinite(vectors).all():
        place = int(np.argmin(np.isfinite(vectors).all(axis=1)))
        raise _damaged(path, f"word {place + 1} has a number that is not finite")
    return list(words), vectors


def _sizes(path: Path, header: bytes, size: int, least: int) -> tuple[int, int]:
    """V and D, believed only where the rest of the file has room for so many numbers."""
    fields = header.split()
    whole = header.endswith(b"\n")
    if not whole or len(fields) != 2 or not all(field.isdigit() and len(field) < 16 for field in fields):
        raise _damaged(path, 'it does not begin with a line "number of words, number of dimensions"')
    V, D = int(fields[0]), int(fields[1])
    if V * (D * least + 2) > size + 1:  # a name, a space; the last newline may be missing
        raise _damaged(path, f"it is too short for the {V} words of {D} numbers that it promises")
    return V, D


def _binary_entries(path: Path, file: BinaryIO, V: int, D: int) -> Iterator[tuple[bytes, Vectors]]:
    piece, start = b"", 0
    for number in range(V):
        while (end := piece.find(b" ", start)) < 0 or end + 1 + D * FLOAT.itemsize > len(piece):
            more = file.read(max(PIECE, len(piece) - start))  # twice as much each time where no name ends
            if not more:
                raise _damaged(path, f"it ends in word {number + 1} of {V}")
            piece, start = piece[start:] + more, 0
        yield piece[start:end].lstrip(b"\n"), np.frombuffer(piece, FLOAT, D, offset=end + 1)  # some write no newline
        start = end + 1 + D * FLOAT.itemsize


def _text_entries(path: Path, file: BinaryIO, V: int, D: int) -> Iterator[tuple[bytes, Vectors]]:
    for number in range(V):
        name, *numbers = file.readline().strip().split(b" ")
        if len(numbers) != D:
            raise _damaged(path, f"line {number + 2} has {len(numbers)} numbers behind its word, not {D}")
        try:
            yield name, np.array(numbers, dtype=bytes).astype(np.float32)
        except ValueError as error:
            raise _damaged(path, f"line {number + 2} has something among its numbers that is none") from error


def _damaged(path: Path, what: str) -> NlpError:
    return NlpError(f"{path} cannot be read as word vectors: {what}; give a file in word2vec's text or binary format")
