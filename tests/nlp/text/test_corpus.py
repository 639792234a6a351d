"""Corpora: what goes in comes out, split without loss, and bad files get one clear sentence."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.errors import NlpError
from nlp.text.batches import EvaluationBatches
from nlp.text.corpus import Corpus, Part, Text, default_corpus, load_corpus, split
from nlp.text.tokens import CharTokenizer, WordTokenizer, looks_pretokenized
from nlp.text.vocabulary import Vocabulary


def text_of(part: Part) -> str:
    return "".join(part.pieces())


def split_text(text: str, shares: tuple[float, ...]) -> list[str]:
    return [text_of(part) for part in split(Text(text), shares)]


# ---- splitting ----------------------------------------------------------------------------------------------------


@given(st.lists(st.text(st.characters(exclude_characters="\n"), max_size=60), min_size=200, max_size=300))
def test_a_text_of_many_lines_is_split_at_line_ends(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    parts = split_text(text, (0.9, 0.05, 0.05))
    assert "".join(parts) == text
    for part, share in zip(parts, (0.9, 0.05, 0.05)):
        assert abs(len(part) / len(text) - share) <= 0.051
    reach = int(0.025 * len(text))
    if reach > 61:  # then a line end lies within reach, however the lines fall
        assert all(part.endswith("\n") for part in parts)


@given(st.text(min_size=40), st.sampled_from([(0.9, 0.05, 0.05), (0.95, 0.05)]))
def test_no_text_is_lost_in_splitting(text: str, shares: tuple[float, ...]) -> None:
    parts = split_text(text, shares)
    assert "".join(parts) == text
    assert all(parts)


def test_one_endless_line_is_split_between_characters() -> None:
    assert list(map(len, split_text("x" * 1000, (0.9, 0.05, 0.05)))) == [900, 50, 50]
    assert list(map(len, split_text("title\n" + "x" * 994, (0.9, 0.05, 0.05)))) == [900, 50, 50]


def test_the_nearest_line_end_is_taken() -> None:
    lines = ["x" * 9 + "\n"] * 100
    assert list(map(len, split_text("".join(lines), (0.9, 0.05, 0.05)))) == [900, 50, 50]
    early, late = "x" * 898 + "\n" + "y" * 101, "x" * 902 + "\n" + "y" * 97
    assert len(split_text(early, (0.9, 0.1))[0]) == 899
    assert len(split_text(late, (0.9, 0.1))[0]) == 903


def test_a_text_too_short_to_split_says_so() -> None:
    with pytest.raises(NlpError, match="2 characters is too short to be split into 3 parts"):
        split_text("ab", (0.9, 0.05, 0.05))


# ---- the user's texts ---------------------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write_file


def test_files_are_joined_in_order_at_line_ends(write: Callable[[str, str], Path]) -> None:
    first, second = write("one.txt", "1\r\n" * 100 + "end"), write("two.txt", "2\n" * 100)
    corpus = load_corpus([first, second])
    assert "".join(map(text_of, corpus.parts.values())) == "1\n" * 100 + "end\n" + "2\n" * 100
    assert corpus.name == "one"
    assert "one.txt" in corpus.source
    assert "two.txt" in corpus.source


def test_given_parts_are_taken_as_they_are(write: Callable[[str, str], Path]) -> None:
    train, valid, test = write("a", "train"), write("b", "valid\n"), write("c", "test")
    corpus = load_corpus(train=train, valid=valid, test=test)
    assert {name: text_of(part) for name, part in corpus.parts.items()} == {
        "train": "train",
        "valid": "valid\n",
        "test": "test",
    }
    assert load_corpus(train=train, valid=valid).parts.keys() == {"train", "valid"}


def test_missing_validation_is_the_tail_of_training_and_says_so(write: Callable[[str, str], Path]) -> None:
    corpus = load_corpus(train=write("a", "line\n" * 100))
    assert [text_of(part) for part in corpus.parts.values()] == ["line\n" * 95, "line\n" * 5]
    assert "last 5% set aside for validation" in corpus.source


def test_contradicting_files_are_refused(write: Callable[[str, str], Path]) -> None:
    path = write("a", "text\n" * 99)
    with pytest.raises(NlpError, match="either --text, or --train"):
        load_corpus([path], train=path)
    with pytest.raises(NlpError, match="need --train FILE"):
        load_corpus(valid=path)


def test_a_missing_file_is_told_before_any_is_read(write: Callable[[str, str], Path], tmp_path: Path) -> None:
    path = write("a", "text\n" * 99)
    with pytest.raises(NlpError, match="absent does not exist"):
        load_corpus(train=path, valid=path, test=tmp_path / "absent")


# ---- the default corpus -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def python_docs() -> Corpus:
    try:
        return load_corpus()
    except NlpError as error:
        pytest.skip(str(error))


def test_the_default_corpus_is_large_and_split_90_5_5(python_docs: Corpus) -> None:
    sizes = [len(text_of(python_docs.parts[part])) for part in ("train", "valid", "test")]
    assert sum(sizes) > 600_000
    assert sizes[0] / sum(sizes) == pytest.approx(0.9, abs=0.03)


def test_no_paragraph_of_the_default_corpus_occurs_twice(python_docs: Corpus) -> None:
    lines = "".join(map(text_of, python_docs.parts.values())).splitlines()
    assert len(set(lines)) == len(lines)


def test_the_default_corpus_is_clean_prose(python_docs: Corpus) -> None:
    for line in text_of(python_docs.parts["train"]).splitlines():
        assert line.isprintable()
        assert line == " ".join(line.split())
        assert line.rstrip("\"')")[-1] in ".!?"
        assert not any(mark in line for mark in (">>>", "::", "``", "def __", "***", "---", "==", "{", "\\"))
    words = WordTokenizer().encode(text_of(python_docs.parts["train"]))
    assert words.count("the") / len(words) > 0.04  # as in English


def test_the_default_corpus_is_the_same_every_time(python_docs: Corpus) -> None:
    assert default_corpus().parts == python_docs.parts


def test_absent_sources_get_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(NlpError, match=r"no .*topics\.py: give a text of your own with --text FILE"):
        default_corpus(tmp_path)


def make_stdlib(folder: Path, **sources: str) -> Path:
    (folder / "pydoc_data").mkdir()
    (folder / "pydoc_data" / "topics.py").write_text(
        'topics = {"b": "This is the second topic.", "a": "This is the first."}'
    )
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    return folder


def test_docstrings_are_read_in_order_and_nothing_is_run(tmp_path: Path) -> None:
    source = (
        '"""This is the module."""\nraise SystemExit("the source was run")\n'
        'class A:\n    """This is the class."""\n    def f(self):\n        """This is the method."""\n'
        'async def g():\n    """This is the function."""\n'
    )
    stdlib = make_stdlib(tmp_path, json=source, abc='"""This is the class!"""', foreign='"""This is no part of it."""')
    kept = ("first.", "second topic.", "class!", "module.", "method.", "function.")  # the class comes back with a stop
    expected = "".join(f"This is the {what}\n" for what in kept)
    assert text_of(default_corpus(stdlib).parts["train"]) == expected


def test_a_broken_source_gets_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(NlpError, match=r"cannot read .*json\.py"):
        default_corpus(make_stdlib(tmp_path, json="def"))


# ---- real data ----------------------------------------------------------------------------------------------------


def data(name: str) -> Path:
    path = Path(os.environ.get("NLP_DATA", "")) / name
    if "NLP_DATA" not in os.environ or not path.exists():
        pytest.skip(f"set NLP_DATA to a folder with {name}")
    return path


def test_wikitext_2_has_its_known_numbers() -> None:
    folder = data("wikitext-2")
    corpus = load_corpus(train=folder / "train.txt", valid=folder / "valid.txt", test=folder / "test.txt")
    train = text_of(corpus.parts["train"])
    assert looks_pretokenized(train)
    tokenizer = WordTokenizer(pretokenized=True)
    tokens = tokenizer.encode(train)
    vocabulary = Vocabulary.build(tokens)
    assert (len(tokens), len(vocabulary)) == (2_088_628, 33_278)
    for part, count in (("valid", 217_646), ("test", 245_569)):
        ids = vocabulary.encode(tokenizer.encode(text_of(corpus.parts[part])))
        assert len(ids) == count
        assert EvaluationBatches(ids, 20, 35).scored == count - 1
        assert 900 < vocabulary.unigram_perplexity(ids) < 1000


@pytest.mark.parametrize("name", ["tinyshakespeare/input.txt", "timemachine/timemachine.txt"])
def test_real_prose_makes_the_round_trip(name: str) -> None:
    train = text_of(load_corpus([data(name)]).parts["train"])
    assert not looks_pretokenized(train)
    words, characters = WordTokenizer(), CharTokenizer()
    tokens = words.encode(train)
    assert words.encode(words.decode(tokens)) == tokens
    ids = Vocabulary.build(train, specials=characters.specials)
    assert characters.decode(ids.decode(ids.encode(train))) == train


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (
            {"texts": ["a"]},
            r"a corpus has no 'texts' \(the nearest is 'text'\): name its files text, train, valid, test",
        ),
        ({"zzz": "a"}, "a corpus has no 'zzz': name"),
        ({"text": {"texts": "a"}}, "text is the path of a file, or a list of them, not"),
        ({"text": [3]}, "text is the path of a file, or a list of them, not 3"),
        ({"text": 3}, "text is the path of a file, or a list of them, not 3"),
        ({"train": 1}, "train is the path of a file, not 1"),
        ({"train": ["a", "b"]}, r"train is the path of a file, not \['a', 'b'\]"),
        ({"text": ""}, "the name of a text is empty"),
        ({"train": ""}, "the name of a text is empty"),
    ],
)
def test_what_names_no_files_is_refused(sources: dict[str, Any], message: str) -> None:
    with pytest.raises(NlpError, match=message):
        load_corpus(**sources)
