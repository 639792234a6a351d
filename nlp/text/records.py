"""Documents in a field of CSV, TSV or JSON-lines files, such as reviews: each becomes one line of a text.

White space in a document, its line ends among them, becomes single spaces, so that a line end is what ends a document:
a model that is trained on them knows where one begins and ends. Files are read piece by piece.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from nlp.errors import NlpError, counted, did_you_mean
from nlp.text.files import StrPath, TextFile

__all__ = ["RecordPart", "Records"]

TOGETHER = 1000  # documents that are handed on at a time
LONGEST_FIELD = 1 << 30  # characters; the csv module stops at 128 Ki unless told

Reader = Callable[[TextFile, str], Iterator[str]]  # the documents of a file in a field


class Records:
    """The documents of some files in order; those of nothing but white space are left out, and counted.

    `field` is the column's name in the first line of a CSV or TSV file, or the key in each JSON object. The ending of
    a file's name says what it is: .csv, .tsv, .jsonl or .ndjson. Raises NlpError for any other, for files that
    `TextFile` refuses, and, while reading, for a missing field, one named twice, and a malformed record, with its line.
    """

    def __init__(self, paths: Sequence[StrPath], field: str) -> None:
        self.field = field
        self._files = [(TextFile(path), _reader(path)) for path in paths]
        self.size = sum(file.size for file, _ in self._files)  # bytes

    def documents(self) -> Iterator[str]:
        """Each document as one line, without its end."""
        return (document for document in self._lines() if document)

    @cached_property
    def counts(self) -> tuple[int, int]:
        """How many documents there are, and how many empty ones were left out. Reads all files, the first time.

        Raises NlpError where there are none.
        """
        found = empty = 0
        for document in self._lines():
            found, empty = found + bool(document), empty + (not document)
        if not found:
            names = ", ".join(str(file.path) for file, _ in self._files)
            raise NlpError(f"{names} has no document in the field {self.field!r}: name another --field, or file")
        return found, empty

    def _lines(self) -> Iterator[str]:
        for file, read in self._files:
            for document in read(file, self.field):
                yield " ".join(document.split())


@dataclass(frozen=True)
class RecordPart:
    """The documents whose number, from 0, has one of these remainders by `divisor`; a `Part` of a corpus."""

    records: Records
    divisor: int
    remainders: range

    @property
    def size(self) -> int:
        return self.records.size * len(self.remainders) // self.divisor

    def pieces(self) -> Iterator[str]:
        chosen = (
            document
            for number, document in enumerate(self.records.documents())
            if number % self.divisor in self.remainders
        )
        while piece := "".join(f"{document}\n" for document in islice(chosen, TOGETHER)):
            yield piece


# ---- the formats ----------------------------------------------------------------------------------------------------


def _reader(path: StrPath) -> Reader:
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in _READERS:
        raise NlpError(
            f"{path} does not say how its records are written: let its name end in .csv, .tsv or .jsonl, or give a "
            "plain text with --text"
        )
    return _READERS[ending]


def _read_table(delimiter: str) -> Reader:
    def read(file: TextFile, field: str) -> Iterator[str]:
        csv.field_size_limit(LONGEST_FIELD)
        reader = csv.reader(_lines_of(file), delimiter=delimiter, strict=True)
        begins = 1  # a quoted field may have many lines
        try:
            names = next(reader, [])
            place = _place_of(field, names, file)
            begins = reader.line_num + 1
            for row in reader:
                if row and len(row) != len(names):
                    raise NlpError(
                        f"the record that begins in line {begins} of {file.path} has {counted(len(row), 'field')} "
                        f"where the first line names {len(names)}: a field with the delimiter in it must be in quotes"
                    )
                if row:
                    yield row[place]
                begins = reader.line_num + 1
        except csv.Error as error:
            raise NlpError(
                f"the record that begins in line {begins} of {file.path} is malformed ({_readable(error)}): a field "
                'that begins with " ends with one, and those inside it are doubled'
            ) from error

    return read


def _readable(error: csv.Error) -> str:
    return str(error).replace("\t", "tab")


def _place_of(field: str, names: list[str], file: TextFile) -> int:
    if field not in names:
        raise NlpError(
            f"{file.path} has no field {field!r}{did_you_mean(field, names)}: its first line names "
            f"{', '.join(map(repr, names)) or 'none'}"
        )
    if names.count(field) > 1:
        raise NlpError(f"the first line of {file.path} names {field!r} {names.count(field)} times: rename all but one")
    return names.index(field)


def _read_json_lines(file: TextFile, field: str) -> Iterator[str]:
    for number, line in enumerate(_lines_of(file), 1):
        if not line.strip():
            continue
        where = f"line {number} of {file.path}"
        try:
            record = json.loads(line.removesuffix("\n"))
        except (ValueError, RecursionError) as error:
            what = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
            raise NlpError(f"{where} is no JSON ({what}): each line holds one object, such as {_EXAMPLE}") from error
        if not isinstance(record, dict):
            raise NlpError(f"{where} is no JSON object: each line holds one, such as {_EXAMPLE}")
        yield _text_in(record, field, where)


_EXAMPLE = '{"text": "…"}'


def _text_in(record: dict[str, Any], field: str, where: str) -> str:
    if field not in record:
        named = ", ".join(map(repr, record)) or "none"
        raise NlpError(f"{where} has no field {field!r}{did_you_mean(field, record)}: it has {named}")
    if not isinstance(record[field], str):
        raise NlpError(f"{where} has {json.dumps(record[field]):.40} in the field {field!r}, which is no text")
    text: str = record[field]
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NlpError(
            f"{where} has half a character (of U+D800 to U+DFFF) in the field {field!r}: mend the record"
        ) from error
    return text


def _lines_of(file: TextFile) -> Iterator[str]:
    """The lines with their ends, whole even where a piece of the file ends inside one."""
    rest = ""
    for piece in file.pieces():
        *lines, rest = (rest + piece).split("\n")
        for line in lines:
            yield f"{line}\n"
    if rest:
        yield rest


_READERS: dict[str, Reader] = {
    ".csv": _read_table(","),
    ".tsv": _read_table("\t"),
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}
