"""A corpus: one text to train on, one to choose the best model by, one to judge it by.

`load_corpus` takes them from the user's files, `default_corpus` from the documentation that every CPython brings along.
A corpus says where its texts are; they are read piece by piece when they are needed, and never lie in memory whole.
"""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from nlp.errors import NlpError, counted, did_you_mean
from nlp.text.files import JoinedFiles, StrPath, TextFile
from nlp.text.python_docs import python_documentation
from nlp.text.records import RecordPart, Records

__all__ = ["Corpus", "Part", "Text", "default_corpus", "load_corpus", "split"]

TRAIN_SHARE, VALID_SHARE, TEST_SHARE = 0.90, 0.05, 0.05
PIECE = 1 << 20  # characters of a text in memory, to its next line end, that are read at a time
SOURCES = ("text", "train", "valid", "test", "data", "field")  # what `load_corpus` calls its files
DEALT = 20  # documents: of so many one goes to validation and one to test
BLOCK = 10  # paragraphs of the default corpus that stay together in one part


class Part(Protocol):
    """A text that can be read again and again, in order, in pieces of bounded size."""

    @property
    def size(self) -> int:
        """About how many bytes there are, for showing how far a reader has come."""

    def pieces(self) -> Iterator[str]: ...


class Divisible(Protocol):
    """A text of which a stretch can be read by itself."""

    @property
    def size(self) -> int: ...

    @property
    def characters(self) -> int: ...

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[str]: ...


@dataclass(frozen=True)
class Text:
    """A text that is in memory already."""

    text: str

    @property
    def size(self) -> int:
        return len(self.text)

    @property
    def characters(self) -> int:
        return len(self.text)

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[str]:
        stop = self.characters if stop is None else min(stop, self.characters)
        while start < stop:
            end = self.text.find("\n", start + PIECE, stop) + 1 or stop
            yield self.text[start:end]
            start = end


@dataclass(frozen=True)
class Stretch:
    """Characters `start` to before `stop` of a longer text."""

    text: Divisible
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.text.size * (self.stop - self.start) // self.text.characters

    def pieces(self) -> Iterator[str]:
        return self.text.pieces(self.start, self.stop)


@dataclass(frozen=True)
class Corpus:
    """The parts "train", "valid" and, where there is one, "test"; `source` says in words where they come from."""

    name: str
    source: str
    parts: Mapping[str, Part]

    @classmethod
    def of_texts(cls, name: str, source: str, **texts: str) -> "Corpus":
        """A corpus of texts in memory: `Corpus.of_texts("n", "where from", train="…", valid="…")`."""
        return cls(name, source, {part: Text(text) for part, text in texts.items()})


# ---- the default corpus -------------------------------------------------------------------------------------------


def default_corpus(stdlib: Path | None = None) -> Corpus:
    """Python's own documentation: about a million characters of English prose, a paragraph a line.

    Blocks of ten paragraphs are dealt out 90/5/5, every tenth block in turn to validation and to test, so that each
    part speaks of every subject. No paragraph occurs twice. The text differs between Python versions; `source` names
    the version. `stdlib`: a standard library's sources, by default those of the running Python.

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
    return Corpus.of_texts("python-docs", f"the documentation and docstrings of {where}, split 90/5/5", **texts)


# ---- the user's own texts -----------------------------------------------------------------------------------------


def load_corpus(
    text: StrPath | Sequence[StrPath] = (),
    *,
    train: StrPath | None = None,
    valid: StrPath | None = None,
    test: StrPath | None = None,
    data: StrPath | Sequence[StrPath] = (),
    field: str | None = None,
    **other: Any,
) -> Corpus:
    """A corpus from UTF-8 files; with no argument, the default corpus.

    - `text`: the files are joined in order and split 90/5/5, in order and at line ends (see `split`).
    - `train`, `valid`, `test`: each file is taken as it is. Without `valid`, the last 5% of `train` is set aside for
      it; without `test` there is none.
    - `data`: CSV, TSV or JSON-lines files with a document in the `field` ("text" if not said) of each record. Each
      document is a line (see `Records`); of every twenty, the last two go to validation and to test.

    Files that are split are read once here, to find the places; the others are only looked at. Raises NlpError for
    files that `TextFile` or `Records` refuse, for two of `text`, `train` and `data` together, for `valid` or `test`
    without `train`, for `field` without `data`, and for any `other` name.
    """
    for name in other:
        raise NlpError(f"a corpus has no {name!r}{did_you_mean(name, SOURCES)}: name its files {', '.join(SOURCES)}")
    if isinstance(text, str | os.PathLike):
        text = [text]
    if isinstance(data, str | os.PathLike):
        data = [data]
    _expect_paths({"text": text, "train": train, "valid": valid, "test": test, "data": data})
    held = [one for one in (train, valid, test) if one is not None]
    if data:
        if text or held:
            raise NlpError("--data splits its documents by itself: leave out --text, --train, --valid and --test")
        return _corpus_of_records(data, "text" if field is None else field)
    if field is not None:
        raise NlpError("--field names the text in the records of --data FILE, which is missing")
    if text and held:
        raise NlpError("--text splits its files by itself: give either --text, or --train with --valid and --test")
    if text:
        first, second, third = split(JoinedFiles(text), (TRAIN_SHARE, VALID_SHARE, TEST_SHARE))
        source = f"{', '.join(map(str, text))}, split 90/5/5 in order"
        return Corpus(Path(text[0]).stem, source, {"train": first, "valid": second, "test": third})
    if train is not None:
        return _corpus_from_parts(train, valid, test)
    if held:
        raise NlpError("--valid and --test need --train FILE beside them: there is no text to train on")
    return default_corpus()


def _expect_paths(sources: Mapping[str, Any]) -> None:
    for name, files in sources.items():
        several = name in ("text", "data") and isinstance(files, list | tuple)
        for one in files if several else () if files is None else [files]:
            if not isinstance(one, str | os.PathLike):
                kind = "the path of a file, or a list of them" if name in ("text", "data") else "the path of a file"
                raise NlpError(f"{name} is {kind}, not {one!r}")


def _corpus_of_records(paths: Sequence[StrPath], field: str) -> Corpus:
    if not isinstance(field, str) or not field:
        raise NlpError(f"--field is the name of the field that holds the text, not {field!r}")
    records = Records(paths, field)
    found, empty = records.counts
    if found < DEALT:
        raise NlpError(
            f"{', '.join(map(str, paths))} has only {counted(found, 'document')}: at least {DEALT} are needed to set "
            "some aside for validation and test"
        )
    train, valid, test = range(DEALT - 2), range(DEALT - 2, DEALT - 1), range(DEALT - 1, DEALT)
    left_out = f", {counted(empty, 'empty one')} left out" if empty else ""
    return Corpus(
        Path(paths[0]).stem,
        f"{found:,} documents in the field {field!r} of {', '.join(map(str, paths))}{left_out}, dealt out 90/5/5",
        {name: RecordPart(records, DEALT, part) for name, part in (("train", train), ("valid", valid), ("test", test))},
    )


def _corpus_from_parts(train: StrPath, valid: StrPath | None, test: StrPath | None) -> Corpus:
    held_out: dict[str, Part] = {} if test is None else {"test": TextFile(test)}
    train_part: Part
    valid_part: Part
    if valid is None:
        train_part, valid_part = split(JoinedFiles([train], line_ends=False), (1 - VALID_SHARE, VALID_SHARE))
        source = f"{train}, its last {VALID_SHARE:.0%} set aside for validation"
    else:
        train_part, valid_part = TextFile(train), TextFile(valid)
        source = f"{train}, validated on {valid}"
    if test is not None:
        source += f", tested on {test}"
    return Corpus(Path(train).stem, source, {"train": train_part, "valid": valid_part, **held_out})


def split(text: Divisible, shares: Sequence[float]) -> list[Stretch]:
    """`text` cut, in order, into parts of about these `shares` (which add up to 1); joined they are `text` again.

    A cut falls on the line end nearest to its mark. Where none lies within half the smallest share of the mark, as in
    a text of one endless line, it falls on the mark itself, between two characters.

    Raises NlpError for a text with fewer characters than the parts need.
    """
    length = text.characters
    reach = int(min(shares) / 2 * length)
    cuts = [0]
    done = 0.0
    for share in shares[:-1]:
        done += share
        cuts.append(_nearest_line_end(text, round(done * length), reach))
    cuts.append(length)
    if any(start >= end for start, end in pairwise(cuts)):
        raise NlpError(
            f"a text of {counted(length, 'character')} is too short to be split into {len(shares)} parts: give a "
            "longer one"
        )
    return [Stretch(text, start, end) for start, end in pairwise(cuts)]


def _nearest_line_end(text: Divisible, mark: int, reach: int) -> int:
    """The place after a newline that is nearest to `mark` and at most `reach` away, else `mark`."""
    before = _line_end(text, max(mark - reach - 1, 0), mark, last=True)
    after = _line_end(text, mark, mark + reach, last=False)
    candidates = [place for place in (before, after) if place is not None]
    return min(candidates, key=lambda place: abs(place - mark), default=mark)


def _line_end(text: Divisible, start: int, stop: int, *, last: bool) -> int | None:
    """The place after the last or the first newline among the characters `start` to before `stop`."""
    found = None
    for piece in text.pieces(start, stop):
        place = piece.rfind("\n") if last else piece.find("\n")
        if place >= 0:
            found = start + place + 1
            if not last:
                break
        start += len(piece)
    return found
