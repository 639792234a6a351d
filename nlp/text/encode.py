"""Token ids on disk: a text of any length, encoded piece by piece."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nlp.disk import disk_errors, replacing
from nlp.errors import NlpError
from nlp.text.bpe import BpeTokenizer
from nlp.text.byte_tokens import BYTE_NAMES, ByteTokenizer
from nlp.text.corpus import Part, Text
from nlp.text.files import TextFile
from nlp.text.tokens import UNICODE, UNK, CharTokenizer, Tokenizer
from nlp.text.vocabulary import Vocabulary

__all__ = ["Encoded", "Measure", "encode_text", "encoder", "expect_pair", "id_dtype", "writing_ids"]

Ids = NDArray[np.integer]
Encoder = Callable[[str], tuple[Ids, int]]


# ---- a text as ids ------------------------------------------------------------------------------------------------


def encoder(tokenizer: Tokenizer, vocabulary: Vocabulary) -> Encoder:
    """`vocabulary.encode(tokenizer.encode(text))` as fast as the level allows.

    A function from a text to its ids, shape (N,), and how many of its tokens the vocabulary lacks; the token `<unk>`
    written in a text is not among those. Raises NlpError where the tokenizer and the vocabulary do not belong together.
    """
    expect_pair(tokenizer, vocabulary)
    if isinstance(tokenizer, CharTokenizer):
        return _char_encoder(tokenizer, vocabulary)
    if isinstance(tokenizer, ByteTokenizer):
        return lambda text: (np.frombuffer(tokenizer.data(text), dtype=np.uint8), 0)
    if isinstance(tokenizer, BpeTokenizer):
        return lambda text: (tokenizer.ids(text), 0)

    def encode(text: str) -> tuple[Ids, int]:
        tokens = tokenizer.encode(text)
        ids = vocabulary.encode(tokens)
        return ids, int(np.count_nonzero(ids == vocabulary.unk_id)) - tokens.count(UNK)

    return encode


def _char_encoder(tokenizer: CharTokenizer, vocabulary: Vocabulary) -> Encoder:
    unk = vocabulary.id_of(UNK)
    id_of_code = np.full(UNICODE, unk, dtype=np.int32)
    for id, token in enumerate(vocabulary.tokens):
        if len(token) == 1:
            id_of_code[ord(token)] = id

    def encode(text: str) -> tuple[Ids, int]:
        ids = id_of_code[tokenizer.codes(text)]
        return ids, int(np.count_nonzero(ids == unk))

    return encode


def expect_pair(tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
    """Raise NlpError unless the vocabulary can be that of the tokenizer."""
    if isinstance(tokenizer, ByteTokenizer):
        fits = vocabulary.tokens == BYTE_NAMES
    elif isinstance(tokenizer, BpeTokenizer):
        fits = vocabulary.tokens == tokenizer.tokens
    else:
        fits = vocabulary.unk_id is not None and set(tokenizer.specials) <= set(vocabulary.tokens)
    if not fits:
        raise NlpError(
            f"a vocabulary of {len(vocabulary)} tokens does not go with this tokenizer of level {tokenizer.level}"
        )


def id_dtype(size: int) -> np.dtype[Any]:
    """The smallest of uint8, uint16 and int32 that holds the ids of a vocabulary of `size` tokens."""
    return np.dtype(np.uint8 if size <= 1 << 8 else np.uint16 if size <= 1 << 16 else np.int32)


# ---- how long a text is -------------------------------------------------------------------------------------------


@dataclass
class Measure:
    """The length of a text, as the user gave it, added up piece by piece.

    words: those between white space, and the line ends: the unit of the perplexities published for WikiText and the
    Penn Treebank, and the same at every level. characters: Unicode code points. bytes: of the text as UTF-8. unknown:
    tokens that the vocabulary lacks.
    """

    words: int = 0
    characters: int = 0
    bytes: int = 0
    unknown: int = 0
    _inside_word: bool = False  # the last piece ended with a word, which may go on

    def add(self, piece: str, unknown: int) -> None:
        """One more piece, and how many of its tokens are unknown."""
        if not piece:
            return
        goes_on = self._inside_word and not piece[0].isspace()
        self.words += len(piece.split()) + piece.count("\n") - goes_on
        self.characters += len(piece)
        self.bytes += len(piece) if piece.isascii() else len(piece.encode(errors="surrogatepass"))
        self.unknown += unknown
        self._inside_word = not piece[-1].isspace()

    def to_json(self) -> dict[str, int]:
        """The numbers as plain values."""
        return {
            "words": self.words,
            "characters": self.characters,
            "bytes": self.bytes,
            "unknown": self.unknown,
        }


# ---- the file -----------------------------------------------------------------------------------------------------


@contextmanager
def writing_ids(path: Path, dtype: np.dtype[Any]) -> Iterator[Callable[[Ids], None]]:
    """A function that appends ids to a new `path`, a .npy file of shape (N,), which is there when the block ends well.

    Raises NlpError where the disk is full, and leaves nothing behind.
    """
    with replacing(path) as file:
        length = 0

        def append(ids: Ids) -> None:
            nonlocal length
            file.write(ids.astype(dtype).tobytes())
            length += len(ids)

        _write_header(file, dtype, 0)
        start = file.tell()
        yield append
        file.seek(0)
        _write_header(file, dtype, length)
        assert file.tell() == start  # numpy leaves room in the header for a length that grows


def _write_header(file: IO[bytes], dtype: np.dtype[Any], length: int) -> None:
    npy.write_array_header_1_0(file, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)})


# ---- a text to be judged ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Encoded:
    """A text as ids on disk, (N + 1) for its N tokens: before the first stands a line end, to foretell it from.

    words, characters, bytes: see `Measure`. unknown: how many tokens the vocabulary lacks.
    """

    ids: Ids
    tokens: int
    words: int
    characters: int
    bytes: int
    unknown: int


def encode_text(
    path_or_text: "str | os.PathLike[str]", tokenizer: Tokenizer, vocabulary: Vocabulary, folder: Path
) -> Encoded:
    """A text, or with a `Path` the text of a file, as ids in a temporary file in `folder`.

    The file goes when the ids do. Raises NlpError for a file that `TextFile` refuses, and where the disk is full.
    """
    part: Part = Text(path_or_text) if isinstance(path_or_text, str) else TextFile(path_or_text)
    encode, dtype = encoder(tokenizer, vocabulary), id_dtype(len(vocabulary))
    measure = Measure()
    with disk_errors(folder), tempfile.TemporaryFile(dir=folder) as file:
        file.write(encode("\n")[0].astype(dtype).tobytes())
        for piece in part.pieces():
            ids, unknown = encode(piece)
            measure.add(piece, unknown)
            file.write(ids.astype(dtype).tobytes())
        file.flush()
        on_disk: Ids = np.memmap(file, dtype=dtype, mode="r")
    return Encoded(on_disk, tokens=len(on_disk) - 1, **measure.to_json())
