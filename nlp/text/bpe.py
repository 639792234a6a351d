"""Pieces of words as tokens: byte-pair encoding by the `tokenizers` library.

P. Gage, "A New Algorithm for Data Compression" (1994); R. Sennrich, B. Haddow, A. Birch, "Neural Machine Translation of
Rare Words with Subword Units" (2016); on bytes: A. Radford et al., "Language Models are Unsupervised Multitask
Learners" (2019).
"""

import json
import re
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp.disk import write_text
from nlp.errors import NlpError
from nlp.text.byte_tokens import Utf8Tokens, name_of

__all__ = ["SMALLEST", "TOKENIZER", "BpeTokenizer"]

TOKENIZER = "tokenizer.json"
SMALLEST = 257  # tokens: every byte, and one pair
NEWLINE = b"\n"
LONGEST_WORD, LONGEST_RUN = 200, 2000  # characters without white space: of one word, and of what is learnt from


class BpeTokenizer(Utf8Tokens):
    """Pieces of words, found by joining again and again the two neighbours that stand together most often.

    It starts from bytes, so that any text has tokens and none is unknown: `decode(encode(text)) == text`, always (with
    `lowercase`, the text is lower-cased first). A token is never longer than a word with the space before it, and a
    line end is a token by itself. Tokens have the names of `name_of`.

    Attributes: `tokens`, their names in the order of the library's ids.
    """

    level = "bpe"

    def __init__(self, library: Any, *, lowercase: bool = False) -> None:
        """From a `tokenizers.Tokenizer`. `BpeTokenizer.train` and `BpeTokenizer.load` make one."""
        self.lowercase = lowercase
        self._library = library
        by_id = sorted(library.get_vocab(with_added_tokens=False).items(), key=lambda item: item[1])
        in_bytes = [_bytes_of_library_token(token) for token, _ in by_id]
        self.tokens = tuple(map(name_of, in_bytes))
        self._newline_id = in_bytes.index(NEWLINE)

    @classmethod
    def train(
        cls, pieces: Iterable[str], *, vocab_size: int, min_count: int = 1, lowercase: bool = False
    ) -> "BpeTokenizer":
        """The tokenizer of a text given in pieces, with at most `vocab_size` tokens; fewer for a small text.

        Pairs seen fewer than `min_count` times are not joined. The same text gives the same tokenizer.

        Raises NlpError for a size below 257, and where the `tokenizers` library is missing.
        """
        if vocab_size < SMALLEST:
            raise NlpError(
                f"a vocabulary of {vocab_size} is too small for level bpe, which starts from the 256 bytes: "
                f"choose a size of at least {SMALLEST}"
            )
        tokenizers = _tokenizers()
        library = _pipeline(tokenizers.models.BPE())
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=min_count,
            initial_alphabet=sorted(_BYTE_OF),
            special_tokens=[],
            show_progress=False,
        )
        library.train_from_iterator((_lines_to_learn_from(piece, lowercase) for piece in pieces), trainer)
        return cls(library, lowercase=lowercase)

    @classmethod
    def load(cls, path: Path, *, lowercase: bool = False) -> "BpeTokenizer":
        """The tokenizer of a file that `save` wrote. Only its vocabulary and its merges are looked at.

        Raises NlpError, saying what is wrong, for a file that is missing or damaged.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise NlpError(f"{path} cannot be read: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:  # not UTF-8, not JSON
            raise NlpError(f"{path} is damaged, it is not JSON: {error}") from error
        try:
            vocabulary, merges = _model_of(content)
            model = _tokenizers().models.BPE(vocab=vocabulary, merges=merges)
            return cls(_pipeline(model), lowercase=lowercase)
        except NlpError:
            raise
        except Exception as error:  # the library has no narrower class
            raise NlpError(f"{path} is damaged: {' '.join(str(error).split())}") from error

    def save(self, path: Path) -> None:
        """Write the tokenizer in the library's own format."""
        write_text(path, self._library.to_str(pretty=True))

    def ids(self, text: str) -> NDArray[np.int32]:
        """The ids of the text's tokens, shape (N,), as places in `tokens`."""
        lines = _lines(text, self.lowercase)
        ids: list[int] = []
        for encoding in self._library.encode_batch_fast(lines, add_special_tokens=False):
            ids += encoding.ids
            ids.append(self._newline_id)
        return np.array(ids[:-1], dtype=np.int32)  # the last line has no end

    def encode(self, text: str) -> list[str]:
        return [self.tokens[id] for id in self.ids(text).tolist()]


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise NlpError('level bpe needs the tokenizers library: pip install "minigrad[nlp]"') from error
    return tokenizers


def _pipeline(model: Any) -> Any:
    """The library's tokenizer around a model: line ends by themselves, then words with the space before them."""
    tokenizers = _tokenizers()
    before = tokenizers.pre_tokenizers
    library = tokenizers.Tokenizer(model)
    library.pre_tokenizer = before.Sequence(
        [before.Split("\n", behavior="isolated"), before.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    library.decoder = tokenizers.decoders.ByteLevel()
    return library


def _lines(text: str, lowercase: bool) -> list[str]:
    """The lines without their ends; what is no character, half a surrogate pair, as U+FFFD: the library refuses it."""
    whole = text.encode(errors="surrogatepass").decode(errors="replace")
    return (whole.lower() if lowercase else whole).split("\n")


def _lines_to_learn_from(text: str, lowercase: bool) -> list[str]:
    """The lines, and what is long without white space cut up: joining pairs takes a long word as long as it is.

    A language written without spaces loses nothing by it. What is far longer than a sentence is no language, and only
    its beginning is looked at.
    """
    return _lines(re.sub(r"\S+", _cut_up, text), lowercase)


def _cut_up(word: re.Match[str]) -> str:
    text = word[0][:LONGEST_RUN]
    return "\n".join(text[start : start + LONGEST_WORD] for start in range(0, len(text), LONGEST_WORD))


def _model_of(content: Any) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The vocabulary and the merges in the library's file, checked. Raises NlpError or what indexing raises."""
    vocabulary, merges = content["model"]["vocab"], content["model"]["merges"]
    ids = sorted(vocabulary.values())
    if ids != list(range(len(ids))):
        raise ValueError("its ids do not run from 0 without a gap")
    if missing := _BYTE_OF.keys() - vocabulary.keys():
        raise ValueError(f"it lacks the byte {_BYTE_OF[min(missing)]}")
    for token in vocabulary:
        _bytes_of_library_token(token)
    return vocabulary, [(first, second) for first, second in merges]


# ---- the library's alphabet ---------------------------------------------------------------------------------------


def _library_alphabet() -> dict[str, int]:
    """The byte that each character of the library stands for: the visible of Latin-1 their own, U+0100 on the rest."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    invisible = count(0x100)
    return {chr(byte if byte in visible else next(invisible)): byte for byte in range(256)}


_BYTE_OF = _library_alphabet()


def _bytes_of_library_token(token: str) -> bytes:
    return bytes(_BYTE_OF[character] for character in token)
