"""A corpus made ready for training: tokenizer, vocabulary, and token ids on disk.

    vocabulary.json     the tokens in the order of their ids, and how often they occur in the training text
    tokenizer.json      level bpe: how words are cut into pieces, in the format of the `tokenizers` library
    data/train.npy      the ids of the training text, shape (N,)
    data/valid.npy      those of the validation text, and in front the id of a line end, shape (N + 1,)
    data/test.npy       the same for the test text, where there is one
    data/corpus.json    what text it is, how long, its hash; written last, so that without it nothing is ready

The text is read twice: once to find the vocabulary, once to write the ids. At no time is more of it in memory than a
piece of a megabyte. The ids are memory-mapped.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp.disk import disk_errors, write_json, write_text
from nlp.errors import NlpError
from nlp.text.bpe import TOKENIZER, BpeTokenizer
from nlp.text.byte_tokens import BYTE_NAMES
from nlp.text.corpus import Corpus, Part
from nlp.text.counting import count_tokens
from nlp.text.encode import Encoded, Measure, encode_text, encoder, expect_pair, id_dtype, writing_ids
from nlp.text.tokens import Tokenizer, looks_pretokenized, make_tokenizer
from nlp.text.vocabulary import CHUNK, Vocabulary

__all__ = [
    "Encoded",
    "Prepared",
    "encode_text",
    "is_prepared",
    "link_prepared",
    "load_prepared",
    "prepare",
    "read_description",
]

VOCABULARY, DATA, CORPUS = "vocabulary.json", "data", "corpus.json"
PARTS = ("train", "valid", "test")
SIZES = ("tokens", "words", "characters", "bytes", "unknown")  # whole numbers, of each part
BPE_SAMPLE = 8 << 20  # bytes of text that level bpe looks for its tokens in
START = 1_000_000  # characters that show whether a text is pre-tokenised

Ids = NDArray[np.integer]
Note = Callable[[str, float], None]


@dataclass(frozen=True)
class Prepared:
    """What training and evaluation need of a corpus.

    ids: by part, memory-mapped; "train" has N ids for its N tokens, the others N + 1, the first of them a line end to
    foretell the first token from. corpus: the description, as in data/corpus.json:
    ``{"name", "source", "sha256", "tokenizer": {...}, "parts": {"train": {"tokens", "words", "characters", "bytes",
    "unknown"}, ...}}``.
    """

    tokenizer: Tokenizer
    vocabulary: Vocabulary
    ids: dict[str, Ids]
    corpus: dict[str, Any]


def prepare(
    corpus: Corpus,
    folder: Path,
    *,
    level: str,
    lowercase: bool = False,
    min_count: int = 1,
    vocab_size: int | None = None,
    note: Note | None = None,
) -> Prepared:
    """Read the corpus, write the files named above into `folder`, and open them.

    level: word, char, byte or bpe. vocab_size: the most tokens to keep, None for all; level bpe needs one, level byte
    has always 256. min_count: how often a token, or at level bpe a pair to be joined, occurs at least. note(what,
    share) is told what is being done and how much of it is, from 0 to 1.

    A large text has its pieces of words chosen by a sample, 8 MB from all over the training text.

    Raises NlpError for what is wrong with the text (see `TextFile`), for numbers that leave no vocabulary, and where
    the disk is full.
    """
    _look_at(corpus)
    with disk_errors(folder):
        (folder / DATA).mkdir(parents=True, exist_ok=True)
        (folder / DATA / CORPUS).unlink(missing_ok=True)
    first_reading = _Reading(corpus, "counting tokens", ["train"], note)
    tokenizer, vocabulary = _find_tokens(
        first_reading, folder, level=level, lowercase=lowercase, min_count=min_count, vocab_size=vocab_size
    )
    second_reading = _Reading(corpus, "writing ids", [part for part in PARTS if part in corpus.parts], note)
    sizes: dict[str, dict[str, int]] = {}
    for part in second_reading.parts:
        sizes[part], counts = _write_ids(second_reading, part, tokenizer, vocabulary, folder)
        if part == "train":
            _expect_same_text(first_reading, second_reading)
            vocabulary = Vocabulary(vocabulary.tokens, counts.tolist())
    _write_description(folder, corpus, tokenizer, vocabulary, second_reading.sha256, sizes)
    return load_prepared(folder)


class _Reading:
    """One reading of parts of a corpus: hashed, and with a word on how far it is."""

    def __init__(self, corpus: Corpus, what: str, parts: list[str], note: Note | None) -> None:
        self.corpus, self.parts = corpus, parts
        self._what, self._note = what, note
        self._digest = hashlib.sha256()
        self._size = sum(corpus.parts[part].size for part in parts)
        self._done = 0

    def pieces(self, part: str) -> Iterator[str]:
        for piece in self.corpus.parts[part].pieces():
            data = piece.encode(errors="surrogatepass")
            self._digest.update(data)
            self._done += len(data)
            yield piece
            if self._note:
                self._note(self._what, min(self._done / self._size, 1.0))

    @property
    def sha256(self) -> str:
        """The hash of all that was read, as UTF-8."""
        return self._digest.hexdigest()

    @property
    def has_begun(self) -> bool:
        return self._done > 0


def _look_at(corpus: Corpus) -> None:
    """Refuse a bad file before the long work on the training text, as far as its beginning shows that it is bad."""
    beginnings = {name: next(part.pieces(), "") for name, part in corpus.parts.items()}
    if not beginnings["train"]:
        raise NlpError(f"the training text ({corpus.source}) is empty: give one with text in it")


def _beginning(part: Part, characters: int) -> str:
    text = ""
    for piece in part.pieces():
        text += piece
        if len(text) >= characters:
            break
    return text[:characters]


def _expect_same_text(first: _Reading, second: _Reading) -> None:
    if first.has_begun and first.sha256 != second.sha256:
        raise NlpError(
            f"the training text ({first.corpus.source}) changed between two readings: leave it as it is, or train on a "
            "copy of it"
        )


# ---- first reading: which tokens there are ------------------------------------------------------------------------


def _find_tokens(
    reading: _Reading, folder: Path, *, level: str, lowercase: bool, min_count: int, vocab_size: int | None
) -> tuple[Tokenizer, Vocabulary]:
    """The tokenizer and the vocabulary; where the counts are not known yet, they are 0."""
    train = reading.corpus.parts["train"]
    if level == "bpe":
        if vocab_size is None:
            raise NlpError("level bpe needs the number of tokens to find: give --vocab-size")
        sample = _sample(reading.pieces("train"), train.size)
        bpe = BpeTokenizer.train(sample, vocab_size=vocab_size, min_count=min_count, lowercase=lowercase)
        bpe.save(folder / TOKENIZER)
        return bpe, Vocabulary(bpe.tokens, [0] * len(bpe.tokens))
    pretokenized = level == "word" and looks_pretokenized(_beginning(train, START))
    tokenizer = make_tokenizer(level, pretokenized=pretokenized, lowercase=lowercase)
    if level == "byte":
        if vocab_size is not None:
            raise NlpError("level byte always has the 256 bytes as its tokens: leave --vocab-size out")
        return tokenizer, Vocabulary(BYTE_NAMES, [0] * len(BYTE_NAMES))
    with count_tokens(reading.pieces("train"), tokenizer, folder / DATA) as counts:
        vocabulary = Vocabulary.from_counts(
            counts, min_count=min_count, max_size=vocab_size, specials=tokenizer.specials
        )
    return tokenizer, vocabulary


def _sample(pieces: Iterator[str], size: int) -> Iterator[str]:
    """Pieces from all over a text of `size` bytes, `BPE_SAMPLE` bytes together; all of a text that is no larger."""
    share = min(BPE_SAMPLE / size, 1.0)
    taken = seen = 0
    for piece in pieces:
        if taken <= seen * share:
            yield piece
            taken += len(piece)
        seen += len(piece)


# ---- second reading: the ids --------------------------------------------------------------------------------------


def _write_ids(
    reading: _Reading, part: str, tokenizer: Tokenizer, vocabulary: Vocabulary, folder: Path
) -> tuple[dict[str, int], NDArray[np.int64]]:
    """Write the ids of one part. How long it is, and how often each id occurs."""
    encode, measure = encoder(tokenizer, vocabulary), Measure()
    counts = np.zeros(len(vocabulary), dtype=np.int64)
    with writing_ids(folder / DATA / f"{part}.npy", id_dtype(len(vocabulary))) as append:
        if part != "train":
            append(encode("\n")[0])
        for piece in reading.pieces(part):
            ids, unknown = encode(piece)
            append(ids)
            counts += np.bincount(ids, minlength=len(vocabulary))
            measure.add(piece, unknown)
    return {"tokens": int(counts.sum()), **measure.to_json()}, counts


def _write_description(
    folder: Path,
    corpus: Corpus,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    sha256: str,
    sizes: dict[str, dict[str, int]],
) -> None:
    description = {
        "name": corpus.name,
        "source": corpus.source,
        "sha256": sha256,
        "tokenizer": tokenizer.settings(),
        "parts": sizes,
    }
    write_text(folder / VOCABULARY, vocabulary.to_json())
    write_json(folder / DATA / CORPUS, description)


# ---- what is on disk ----------------------------------------------------------------------------------------------


def is_prepared(folder: Path) -> bool:
    """Whether `prepare` has finished in this folder."""
    return (folder / DATA / CORPUS).is_file()


def load_prepared(folder: Path) -> Prepared:
    """What `prepare` has left in a folder. Raises NlpError for a file that is missing, damaged or fits no other."""
    path = folder / DATA / CORPUS
    corpus = read_description(folder)
    try:
        tokenizer = make_tokenizer(**corpus["tokenizer"], folder=folder)
    except TypeError as error:
        raise NlpError(f"{path} is damaged: its tokenizer has settings that there are not ({error})") from error
    try:
        vocabulary = Vocabulary.from_json(_read(folder / VOCABULARY, folder))
        expect_pair(tokenizer, vocabulary)
    except NlpError as error:
        raise NlpError(f"{folder / VOCABULARY} cannot be used: {error}") from error
    lengths = {part: sizes["tokens"] + (part != "train") for part, sizes in corpus["parts"].items()}
    ids = {part: _open_ids(folder / DATA / f"{part}.npy", length, len(vocabulary)) for part, length in lengths.items()}
    return Prepared(tokenizer, vocabulary, ids, corpus)


def _read(path: Path, folder: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NlpError(f"{path} cannot be read ({error}): {_remedy(folder / DATA)}") from error


def _remedy(data: Path) -> str:
    """What to do where a file is damaged that `prepare` left in this data folder or beside it."""
    return f"delete {data}, and going on with --resume reads the text again"


def read_description(folder: Path) -> dict[str, Any]:
    """What data/corpus.json says of the text (see `Prepared`). Raises NlpError where it is missing or damaged."""
    path = folder / DATA / CORPUS
    try:
        corpus = json.loads(_read(path, folder))
    except (ValueError, RecursionError) as error:
        raise NlpError(f"{path} is damaged, it is not JSON ({error}): {_remedy(folder / DATA)}") from error
    try:
        parts = corpus["parts"]
        sound = isinstance(corpus["tokenizer"], dict) and isinstance(corpus["sha256"], str)
        sound = sound and {"train"} <= set(parts) <= set(PARTS)
        sound = sound and all(type(sizes[name]) is int for sizes in parts.values() for name in SIZES)
    except (KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise NlpError(f"{path} is damaged, it does not describe a prepared text: {_remedy(folder / DATA)}")
    return dict(corpus)


def _open_ids(path: Path, length: int, vocabulary_size: int) -> Ids:
    """The ids in a file, memory-mapped, after a look at every one of them."""
    try:
        ids = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise NlpError(f"{path} is missing or damaged ({error}): {_remedy(path.parent)}") from error
    if not isinstance(ids, np.memmap) or ids.shape != (length,) or ids.dtype != id_dtype(vocabulary_size):
        raise NlpError(
            f"{path} does not hold the {length} ids that {CORPUS} promises, for a vocabulary of {vocabulary_size}: "
            f"{_remedy(path.parent)}"
        )
    for start in range(0, length, CHUNK):  # read, not mapped: pages that were looked at would count as memory in use
        chunk = np.fromfile(path, ids.dtype, min(CHUNK, length - start), offset=ids.offset + start * ids.itemsize)
        if not 0 <= chunk.min() <= chunk.max() < vocabulary_size:
            raise NlpError(f"{path} is damaged, it has ids beyond the {vocabulary_size} tokens: {_remedy(path.parent)}")
    return ids


def link_prepared(source: Path, target: Path) -> None:
    """Give the folder `target` the files that `prepare` left in `source`: many runs share one preparation.

    They take no space, being hard links, where the file system has those; elsewhere they are copies. Raises NlpError
    for a source that is not prepared, and where the disk is full.
    """
    parts = read_description(source)["parts"]
    files = [Path(VOCABULARY), *(Path(DATA, f"{part}.npy") for part in parts)]
    if (source / TOKENIZER).exists():
        files.append(Path(TOKENIZER))
    files.append(Path(DATA, CORPUS))  # last: it says that all are there
    with disk_errors(target):
        (target / DATA).mkdir(parents=True, exist_ok=True)
        for file in files:
            (target / file).unlink(missing_ok=True)
            try:
                os.link(source / file, target / file)
            except OSError:
                shutil.copyfile(source / file, target / file)
