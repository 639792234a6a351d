"""Documents in CSV, TSV and JSON-lines files: each one a line, none lost, and what is wrong told with its line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nlp_helpers import call

from nlp.errors import NlpError
from nlp.run_folder import RunFolder
from nlp.text import files
from nlp.text.corpus import load_corpus
from nlp.text.records import Records

DOCUMENT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)
DELIMITERS = {".csv": ",", ".tsv": "\t"}


def written(documents: list[str], ending: str, field: str = "text") -> bytes:
    """The documents as a file of that kind, with a field before and one after."""
    buffer = io.StringIO(newline="")
    if ending == ".jsonl":
        for number, document in enumerate(documents):
            buffer.write(json.dumps({"id": number, field: document, "rest": None}, ensure_ascii=number % 2 == 0) + "\n")
    else:
        writer = csv.writer(buffer, delimiter=DELIMITERS[ending])
        writer.writerow(["id", field, "rest"])
        writer.writerows([number, document, "x"] for number, document in enumerate(documents))
    return buffer.getvalue().encode()


def one_line(document: str) -> str:
    return " ".join(document.split())


@given(data=st.data())
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_every_document_comes_out_as_one_line(
    ending: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    documents = data.draw(st.lists(DOCUMENT, min_size=1, max_size=8))
    piece = data.draw(st.integers(8, 64))
    path = tmp_path_factory.getbasetemp() / f"records{ending}"
    path.write_bytes(written(documents, ending))
    expected = [one_line(document) for document in documents if document.strip()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "PIECE", piece)  # so that pieces end anywhere
        records = Records([path, path], "text")
        assert list(records.documents()) == expected * 2
        if expected:
            assert records.counts == (2 * len(expected), 2 * (len(documents) - len(expected)))
        else:
            with pytest.raises(NlpError, match="has no document in the field 'text'"):
                assert records.counts


@given(count=st.integers(20, 90), each=st.integers(1, 3))
def test_documents_are_dealt_out_and_none_is_lost(
    count: int, each: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "dealt.csv"
    documents = [f"number {number}" for number in range(count)]
    path.write_bytes(written(documents, ".csv"))
    corpus = load_corpus(data=path if each == 1 else [path] * each)
    parts = {name: "".join(part.pieces()).splitlines() for name, part in corpus.parts.items()}
    assert parts["valid"] == [one for number, one in enumerate(documents * each) if number % 20 == 18]
    assert parts["test"] == [one for number, one in enumerate(documents * each) if number % 20 == 19]
    assert sorted(parts["train"] + parts["valid"] + parts["test"]) == sorted(documents * each)
    assert f"{count * each:,} documents" in corpus.source


WRONG = {
    "no such column": (
        ".csv",
        b"review,stars\ngood,5\n",
        "has no field 'text': its first line names 'review'",
    ),
    "two such columns": (".csv", b"text,stars,text\ngood,5,bad\n", "the first line of {} names 'text' 2 times: rename"),
    "a column too many": (
        ".csv",
        b"text,stars\n\ngood,5\nbad, really,1\n",
        "the record that begins in line 4 of {} has 3 fields where the first",
    ),
    "fields too few, of several lines": (
        ".tsv",
        b'text\tstars\n"very\ngood"\t5\n"quite\n\nbad"\n',
        "the record that begins in line 4 of {} has 1 field where the first",
    ),
    "an open quote": (
        ".csv",
        b'text,stars\n"very\ngood",5\n\n"good,5\n' + b"bad,1\n" * 9,
        'the record that begins in line 5 of {} is malformed (unexpected end of data): a field that begins with " ends',
    ),
    "an open quote in the first line": (
        ".csv",
        b'"text,stars\ngood,5\n',
        "the record that begins in line 1 of {} is malformed (unexpected end of data)",
    ),
    "a quote inside": (".csv", b'text,stars\n"go"od,5\n', "the record that begins in line 2 of {} is malformed ("),
    "a quote inside, with tabs": (".tsv", b'text\tstars\n"go"od\t5\n', "is malformed ('tab' expected after '\"')"),
    "half a character": (".jsonl", b'{"text": "a \\ud800 b"}\n', "line 1 of {} has half a character"),
    "only a header": (".csv", b"text,stars\n", "has no document in the field 'text'"),
    "all empty": (".csv", b'text,stars\n"",5\n" ",1\n', "has no document in the field 'text'"),
    "few": (".csv", b"text\ngood\nbad\n", "has only 2 documents: at least 20 are needed"),
    "half a line": (
        ".jsonl",
        b'{"text": "good"}\n\n{"text": "ba\n',
        "line 3 of {} is no JSON (Unterminated string starting at, column 10): each line",
    ),
    "half a line at the end": (
        ".jsonl",
        b'{"text": "good"',
        "line 1 of {} is no JSON (Expecting ',' delimiter, column 16)",
    ),
    "a number too long": (".jsonl", b'{"text": ' + b"9" * 5000 + b"}", "line 1 of {} is no JSON ("),
    "lists too deep": (".jsonl", b"[" * 100_000, "line 1 of {} is no JSON ("),
    "a list": (".jsonl", b'["good"]\n', "line 1 of {} is no JSON object"),
    "no such key": (".jsonl", b'{"text": "good"}\n{"texts": "bad"}\n', "line 2 of {} has no field 'text' (the nearest"),
    "a number": (".jsonl", b'{"text": 3}\n', "line 1 of {} has 3 in the field 'text', which is no text"),
    "an unknown format": (".xlsx", b"text\n", "{} does not say how its records are written"),
    "not UTF-8": (".csv", b"text\nb\xe4r\n", "{} is not UTF-8"),
    "empty": (".jsonl", b"", "{} is empty"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_is_wrong_is_told_in_one_sentence_and_leaves_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ending, content, said = WRONG[case]
    path = tmp_path / f"reviews{ending}"
    path.write_bytes(content)
    with pytest.raises(NlpError) as caught:
        load_corpus(data=[path])
    assert said.format(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    result = call("train", "--data", path)
    assert result.exit_code == 2
    assert not Path("runs").exists()


def test_a_column_that_is_not_asked_for_may_be_named_twice(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("note,text,note\na,good,b\n")
    assert list(Records([tmp_path / "reviews.csv"], "text").documents()) == ["good"]


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ({"data": "a.csv", "text": "b.txt"}, "--data splits its documents by itself"),
        ({"data": "a.csv", "train": "b.txt"}, "--data splits its documents by itself"),
        ({"field": "text"}, "--field names the text in the records of --data FILE, which is missing"),
        ({"data": "a.csv", "field": ""}, "--field is the name of the field"),
        ({"data": [3]}, "data is the path of a file, or a list of them, not 3"),
    ],
)
def test_sources_that_do_not_go_together_are_refused(sources: dict[str, object], said: str) -> None:
    with pytest.raises(NlpError) as caught:
        load_corpus(**sources)  # type: ignore[arg-type]
    assert str(caught.value).startswith(said)


def test_a_run_on_reviews_writes_one_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_bytes(written(["a fine film ,\nwith a plot", "a poor film"] * 60, ".jsonl", "review"))
    out = tmp_path / "run"
    small = ("--hidden", 12, "--epochs", 1, "--batch-size", 4, "--min-count", 1)
    assert call("train", "--data", path, "--field", "review", "--out", out, *small).exit_code == 0
    assert RunFolder(out).read_text_sources() == {"data": [str(path)], "field": "review"}
    review = call("generate", out, "--stop-at-line-end", "--seed", 1)
    assert review.exit_code == 0
    assert review.output.count("\n") == 1
    for file in (out / "data").iterdir():
        file.unlink()
    again = call("train", "--resume", out, "--epochs", 2)  # the field is known to the run
    assert again.exit_code == 0, again.output


def test_files_behind_one_of_data_are_data_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(written([f"number {number}" for number in range(40)], ".csv"))
    result = call("train", "--data", "a.csv", "b.csv", "--model", "ngram", "--order", 2, "--out", "run")
    assert result.exit_code == 0
    assert "80 documents" in result.output
