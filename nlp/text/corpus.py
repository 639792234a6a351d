"""A corpus: one text to train on, one to choose the best model by, one to judge it by.

`load_corpus` reads them from the user's files, `default_corpus` from the documentation that every CPython brings along.
"""

import codecs
import hashlib
import os
import platform
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from nlp.errors import NlpError
from nlp.text.python_docs import python_documentation

__all__ = ["Corpus", "default_corpus", "load_corpus", "read_text"]

TRAIN_SHARE, VALID_SHARE, TEST_SHARE = 0.90, 0.05, 0.05
BLOCK = 10  # paragraphs of the default corpus that stay together in one part

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Corpus:
    """Texts for training, validation and, where there is one, test; `source` says in words where they come from."""

    name: str
    source: str
    train: str
    valid: str
    test: str | None = None

    @cached_property
    def sha256(self) -> str:
        """The hash of the three texts one after the other, as UTF-8: equal hashes mean equal experiments."""
        digest = hashlib.sha256()
        for part in (self.train, self.valid, self.test or ""):
            digest.update(part.encode())
        return digest.hexdigest()


# ---- the default corpus -------------------------------------------------------------------------------------------


def default_corpus(stdlib: Path | None = None) -> Corpus:
    """Python's own documentation: about a million characters of English prose, a paragraph a line.

    Blocks of ten paragraphs are dealt out 90/5/5, every tenth block in turn to validation and to test, so that each
    part speaks of every subject. No paragraph occurs twice. The text differs between Python versions; `source` names
    the version and `sha256` the text. `stdlib`: a standard library's sources, by default those of the running Python.

    Raises NlpError where the sources are absent.
    """
    paragraphs = python_documentation(stdlib)
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for start in range(0, len(paragraphs), BLOCK):
        tens, tenth = divmod(start // BLOCK, 10)
        part = "train" if tenth != 9 else "valid" if tens % 2 == 0 else "test"
        parts[part].extend(paragraphs[start : start + BLOCK])
    texts = {part: "".join(f"{paragraph}\n" for paragraph in lines) for part, lines in parts.items()}
    where = f"Python {platform.python_version()}" if stdlib is None else str(stdlib)
    return Corpus(name="python-docs", source=f"the documentation and docstrings of {where}, split 90/5/5", **texts)


# ---- the user's own texts -----------------------------------------------------------------------------------------


def load_corpus(
    text: Sequence[StrPath] = (),
    *,
    train: StrPath | None = None,
    valid: StrPath | None = None,
    test: StrPath | None = None,
) -> Corpus:
    """A corpus from UTF-8 files; with no argument, the default corpus.

    - `text`: the files are joined in order and split 90/5/5, in order and at line ends (see `split_text`).
    - `train`, `valid`, `test`: each file is taken as it is. Without `valid`, the last 5% of `train` is set aside for
      it; without `test` there is none.

    Raises NlpError for files that `read_text` refuses, for `text` and `train` together, and for `valid` or `test`
    without `train`.
    """
    if text and (train or valid or test):
        raise NlpError("--text splits its files by itself: give either --text, or --train with --valid and --test")
    if text:
        joined = "".join(_with_line_end(read_text(path)) for path in text)
        first, second, third = split_text(joined, (TRAIN_SHARE, VALID_SHARE, TEST_SHARE))
        source = f"{', '.join(map(str, text))}, split 90/5/5 in order"
        return Corpus(Path(text[0]).stem, source, first, second, third)
    if train:
        return _corpus_from_parts(train, valid, test)
    if valid or test:
        raise NlpError("--valid and --test need --train FILE beside them: there is no text to train on")
    return default_corpus()


def _corpus_from_parts(train: StrPath, valid: StrPath | None, test: StrPath | None) -> Corpus:
    train_text = read_text(train)
    test_text = None if test is None else read_text(test)
    if valid is None:
        train_text, valid_text = split_text(train_text, (1 - VALID_SHARE, VALID_SHARE))
        source = f"{train}, its last {VALID_SHARE:.0%} set aside for validation"
    else:
        valid_text = read_text(valid)
        source = f"{train}, validated on {valid}"
    if test is not None:
        source += f", tested on {test}"
    return Corpus(Path(train).stem, source, train_text, valid_text, test_text)


def _with_line_end(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def split_text(text: str, shares: Sequence[float]) -> list[str]:
    """`text` cut, in order, into parts of about these `shares` (which add up to 1); joined they are `text` again.

    A cut falls on the line end nearest to its mark. Where none lies within half the smallest share of the mark, as in
    a text of one endless line, it falls on the mark itself, between two characters.

    Raises NlpError for a text with fewer characters than the parts need.
    """
    reach = int(min(shares) / 2 * len(text))
    cuts = [0]
    done = 0.0
    for share in shares[:-1]:
        done += share
        cuts.append(_nearest_line_end(text, round(done * len(text)), reach))
    cuts.append(len(text))
    parts = [text[start:end] for start, end in pairwise(cuts)]
    if not all(parts):
        raise NlpError(
            f"a text of {len(text)} characters is too short to be split into {len(shares)} parts: give a longer one"
        )
    return parts


def _nearest_line_end(text: str, mark: int, reach: int) -> int:
    """The place after a newline that is nearest to `mark` and at most `reach` away, else `mark`."""
    before = text.rfind("\n", max(mark - reach - 1, 0), mark) + 1  # 0 where there is none
    after = text.find("\n", mark, mark + reach) + 1
    candidates = [place for place in (before, after) if place]
    return min(candidates, key=lambda place: abs(place - mark), default=mark)


# ---- one file -----------------------------------------------------------------------------------------------------


def read_text(path: StrPath) -> str:
    """The text of a UTF-8 file, line ends as ``\\n`` whatever the system it comes from, a byte order mark left out.

    Raises NlpError for a file that is missing, unreadable, no regular file, empty, binary, or not UTF-8.
    """
    data = _read_bytes(path)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise NlpError(f"{path} is UTF-16, not UTF-8: convert it, for example with iconv -f UTF-16 -t UTF-8")
    if b"\0" in data:
        raise NlpError(f"{path} is a binary file (byte {data.index(0)} is NUL), not a text: give a UTF-8 text file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NlpError(
            f"{path} is not UTF-8: byte {error.start} is 0x{data[error.start]:02X} ({error.reason}); "
            "convert the file to UTF-8 first"
        ) from error
    text = re.sub(r"\r\n?", "\n", text.removeprefix("\ufeff"))
    if not text.strip():
        raise NlpError(f"{path} is empty: give a file with text in it")
    return text


def _read_bytes(path: StrPath) -> bytes:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise NlpError(f"{path} is a directory: give the text files in it one by one")
        if not stat.S_ISREG(mode):  # reading a pipe could wait for ever
            raise NlpError(f"{path} is a pipe or a device: save its text in a file, and give that")
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise NlpError(f"{path} does not exist: check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path itself
        raise NlpError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
