"""Preparation: the ids on disk are those of the text, at every level, and whatever is damaged is noticed."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nlp import disk
from nlp.errors import NlpError
from nlp.text import CharTokenizer, Corpus, Vocabulary, WordTokenizer, files, load_corpus
from nlp.text.encode import Measure, id_dtype, writing_ids
from nlp.text.prepare import Prepared, _open_ids, encode_text, is_prepared, link_prepared, load_prepared, prepare

one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
texts = st.lists(
    st.sampled_from(["the cat, ", "don't ", "\n", "<unk> ", "é€𝄞 ", "  ", "A", ".", "<eos>", "\u2028"]), min_size=1
).map("".join)
corpora = st.tuples(texts, texts, texts)
LEVELS = ["word", "char", "byte", "bpe"]


def options(level: str, **changes: Any) -> dict[str, Any]:
    if level == "bpe":
        pytest.importorskip("tokenizers")
    return {"level": level, "vocab_size": 270 if level == "bpe" else None, **changes}


def of(train: str, valid: str = "valid\n", test: str = "test\n") -> Corpus:
    return Corpus.of_texts("name", "where from", train=train, valid=valid, test=test)


# ---- what is written ----------------------------------------------------------------------------------------------


@one_folder
@pytest.mark.parametrize("level", LEVELS)
@given(parts=corpora, lowercase=st.booleans(), min_count=st.integers(1, 2))
def test_ids_are_those_of_the_text(
    tmp_path: Path, level: str, parts: tuple[str, str, str], lowercase: bool, min_count: int
) -> None:
    if level in ("word", "char") and min_count > 1:
        parts = (f"{parts[0]} e e ", *parts[1:])  # of which something is frequent enough
    corpus = of(*parts)
    prepared = prepare(corpus, tmp_path, **options(level, lowercase=lowercase, min_count=min_count))
    tokenizer, vocabulary = prepared.tokenizer, prepared.vocabulary
    line_end = vocabulary.encode(tokenizer.encode("\n")).tolist()
    assert len(line_end) == 1
    for part, text in zip(("train", "valid", "test"), parts):
        tokens = tokenizer.encode(text)
        expected = vocabulary.encode(tokens).tolist()
        ids = prepared.ids[part]
        assert isinstance(ids, np.memmap)
        assert ids.dtype == id_dtype(len(vocabulary))
        assert ids.tolist() == (expected if part == "train" else line_end + expected)
        assert prepared.corpus["parts"][part] == {
            "tokens": len(tokens),
            "words": len(text.split()) + text.count("\n"),
            "characters": len(text),
            "bytes": len(text.encode()),
            "unknown": sum(token not in vocabulary for token in tokens),
        }
        if level in ("byte", "bpe") and not lowercase:
            assert tokenizer.decode(tokens) == text
    assert np.array_equal(np.bincount(prepared.ids["train"], minlength=len(vocabulary)), vocabulary.counts)
    if level in ("word", "char"):
        built = Vocabulary.build(tokenizer.encode(parts[0]), min_count=min_count, specials=tokenizer.specials)
        assert vocabulary == built


@one_folder
@given(parts=corpora)
@pytest.mark.parametrize("level", LEVELS)
def test_the_size_of_a_piece_changes_nothing(tmp_path: Path, level: str, parts: tuple[str, str, str]) -> None:
    assume(all(part.strip() for part in parts))
    paths = [tmp_path / name for name in ("train", "valid", "test")]
    for path, part in zip(paths, parts):
        path.write_text(part, encoding="utf-8", newline="")
    found: list[Prepared] = []
    for piece in (32, 1 << 20):  # no word here is longer than 32 bytes
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files, "PIECE", piece)
            corpus = load_corpus(train=paths[0], valid=paths[1], test=paths[2])
            found.append(prepare(corpus, tmp_path / str(piece), **options(level)))
    small, large = found
    assert small.corpus == large.corpus or level == "bpe"  # a space at a cut is a token by itself at level bpe
    if level != "bpe":
        assert small.vocabulary == large.vocabulary
        assert all(np.array_equal(small.ids[part], large.ids[part]) for part in large.ids)


def test_the_hash_is_that_of_the_texts(tmp_path: Path) -> None:
    def sha256(corpus: Corpus) -> str:
        return str(prepare(corpus, tmp_path, level="char").corpus["sha256"])

    digest = sha256(Corpus.of_texts("n", "s", train="a\n", valid="b\n", test="c\n"))
    assert digest == "880553fca8fcea94e325ee2cfb48e5a985cc797f39a14cc6d3cedecfeb2ae4d2"
    assert sha256(Corpus.of_texts("other", "place", train="a\n", valid="b\n", test="c\n")) == digest
    assert sha256(Corpus.of_texts("n", "s", train="a\n", valid="b\n", test="d\n")) != digest


def test_a_pretokenized_text_is_noticed(tmp_path: Path) -> None:
    prepared = prepare(of("the cat , it sat .\n" * 9), tmp_path, level="word")
    assert prepared.tokenizer.settings()["pretokenized"] is True
    assert prepare(of("The cat, it sat.\n"), tmp_path, level="word").tokenizer.settings()["pretokenized"] is False


def test_progress_is_told_from_beginning_to_end(tmp_path: Path) -> None:
    heard: list[tuple[str, float]] = []
    prepare(of("a b\n", "c\n"), tmp_path, level="word", note=lambda what, share: heard.append((what, share)))
    assert [what for what, _ in heard] == ["counting tokens"] + ["writing ids"] * 3
    assert [share for what, share in heard if what == "writing ids"] == sorted(share for _, share in heard[1:])
    assert heard[0][1] == heard[-1][1] == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"level": "bpe"}, "needs the number of tokens to find: give --vocab-size"),
        ({"level": "byte", "vocab_size": 300}, "always has the 256 bytes as its tokens: leave --vocab-size out"),
        ({"level": "sound"}, "there is no token level 'sound'"),
        ({"level": "word", "vocab_size": 2}, "has no room for tokens beside"),
    ],
)
def test_impossible_options_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NlpError, match=message):
        prepare(of("a\n"), tmp_path, **changes)
    assert not is_prepared(tmp_path)


@pytest.mark.parametrize(("size", "dtype"), [(256, "u1"), (257, "u2"), (65536, "u2"), (65537, "i4")])
def test_ids_are_as_small_as_the_vocabulary_lets_them(size: int, dtype: str) -> None:
    assert id_dtype(size) == np.dtype(dtype)
    assert np.iinfo(id_dtype(size)).max >= size - 1


# ---- bad texts ----------------------------------------------------------------------------------------------------


def test_a_bad_held_out_file_is_told_before_the_training_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("a b c\n" * 100)
    (tmp_path / "valid").write_bytes(b"a\0b")
    heard: list[str] = []
    corpus = load_corpus(train=tmp_path / "train", valid=tmp_path / "valid")
    with pytest.raises(NlpError, match="valid is a binary file"):
        prepare(corpus, tmp_path / "run", level="word", note=lambda what, share: heard.append(what))
    assert heard == []


def test_an_empty_training_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NlpError, match=r"the training text \(where from\) is empty"):
        prepare(of(""), tmp_path, level="word")


def test_a_text_that_changes_between_two_readings_is_noticed(tmp_path: Path) -> None:
    class Changing:
        size, readings = 4, 0

        def pieces(self) -> Any:
            self.readings += 1
            yield "a b\n" if self.readings < 4 else "a c\n"  # looked at, told apart, counted; then the ids

    parts = of("", "v\n").parts
    corpus = Corpus("name", "where from", {**parts, "train": Changing()})
    with pytest.raises(NlpError, match=r"the training text \(where from\) changed between two readings"):
        prepare(corpus, tmp_path, level="word")
    assert not is_prepared(tmp_path)


def test_a_file_that_shrinks_between_two_readings_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("a b c\n" * 100)
    corpus = load_corpus([path])

    def shrink(what: str, share: float) -> None:
        if what == "counting tokens" and share == 1.0:
            os.truncate(path, 300)

    with pytest.raises(NlpError, match=r"book\.txt changed while it was being read"):
        prepare(corpus, tmp_path / "run", level="word", note=shrink)
    assert not is_prepared(tmp_path / "run")
    assert not [file for file in (tmp_path / "run" / "data").iterdir() if file.name.startswith(".")]


def test_an_endless_line_without_spaces_can_be_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PIECE", 1 << 12)
    path = tmp_path / "endless"
    path.write_text("abcde" * 20_000)
    for level in LEVELS:
        prepared = prepare(load_corpus([path]), tmp_path / level, **options(level))
        assert prepared.corpus["parts"]["train"]["characters"] == 90_001
        assert prepared.corpus["parts"]["train"]["words"] == 1


def test_a_full_disk_gets_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        """A file on a disk that takes the header and no more."""

        def __init__(self, file: Any) -> None:
            self.file, self.written = file, 0

        def write(self, data: bytes) -> int:
            self.written += len(data)
            if self.written > 200:
                raise OSError(28, "No space left on device")
            return int(self.file.write(data))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

    original = os.fdopen
    monkeypatch.setattr(disk.os, "fdopen", lambda *arguments: Full(original(*arguments)))
    with pytest.raises(NlpError, match=r"train\.npy cannot be written \(No space left on device\): see"):
        prepare(of("a b c\n" * 100), tmp_path, level="word")
    assert list((tmp_path / "data").iterdir()) == []
    assert not is_prepared(tmp_path)


# ---- opening again ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(of("the cat, the dog.\n" * 9), tmp_path / "run", level="word")
    return tmp_path / "run"


def same(one: Prepared, other: Prepared) -> bool:
    ids = all(np.array_equal(one.ids[part], other.ids[part]) for part in one.ids)
    settings_ = one.tokenizer.settings() == other.tokenizer.settings()
    return ids and settings_ and one.vocabulary == other.vocabulary and one.corpus == other.corpus


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("level", LEVELS)
def test_what_was_prepared_can_be_opened_and_shared(
    tmp_path: Path, level: str, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    made = prepare(of("the cat, the dog.\n" * 9), tmp_path / "one", **options(level))
    for _ in range(2):  # what is there already is replaced
        link_prepared(tmp_path / "one", tmp_path / "two" / "run")
    assert same(load_prepared(tmp_path / "one"), made)
    assert same(load_prepared(tmp_path / "two" / "run"), made)
    assert (os.stat(tmp_path / "one" / "data" / "train.npy").st_nlink == 2) == links


def test_only_what_is_prepared_can_be_opened_or_shared(tmp_path: Path) -> None:
    for use in (load_prepared, lambda path: link_prepared(path, tmp_path / "new")):
        with pytest.raises(NlpError, match=r"corpus\.json cannot be read"):
            use(tmp_path)


def edited(name: str, edit: Callable[[Any], Any]) -> Callable[[Path], Any]:
    def apply(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        edit(content)
        (folder / name).write_text(json.dumps(content))

    return apply


def rewritten(ids: list[Any], dtype: str = "u1") -> Callable[[Path], Any]:
    return lambda folder: np.save(folder / "data" / "valid.npy", np.array(ids, dtype=dtype))


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no ids": (lambda folder: (folder / "data" / "test.npy").unlink(), r"test\.npy is missing or damaged"),
    "ids cut off": (
        lambda folder: os.truncate(folder / "data" / "train.npy", 150),
        r"train\.npy is missing or",
    ),
    "a header cut off": (lambda folder: os.truncate(folder / "data" / "train.npy", 20), r"train\.npy is missing or"),
    "no bytes": (lambda folder: os.truncate(folder / "data" / "train.npy", 0), r"train\.npy is missing or"),
    "other ids": (rewritten([0, 1, 2, 3]), r"valid\.npy does not hold the 3 ids"),
    "wide ids": (rewritten([1, 0, 1], "i8"), r"valid\.npy does not hold the 3 ids"),
    "ids in rows": (rewritten([[1, 0, 1]]), r"valid\.npy does not hold the 3 ids"),
    "ids beyond": (rewritten([1, 0, 99]), r"valid\.npy is damaged, it has ids beyond the 7 tokens"),
    "objects": (lambda folder: np.save(folder / "data" / "valid.npy", np.array([{}], dtype=object)), "missing or dam"),
    "no vocabulary": (lambda folder: (folder / "vocabulary.json").unlink(), r"vocabulary\.json cannot be used"),
    "a bad vocabulary": (edited("vocabulary.json", lambda c: c.pop("counts")), r"vocabulary\.json cannot be used"),
    "another vocabulary": (edited("vocabulary.json", lambda c: c["tokens"].__setitem__(0, "x")), "does not go with"),
    "no JSON": (lambda folder: (folder / "data" / "corpus.json").write_text("{"), r"corpus\.json is damaged"),
    "a list": (lambda folder: (folder / "data" / "corpus.json").write_text("[]"), r"corpus\.json is damaged"),
    "a part unheard of": (
        edited("data/corpus.json", lambda c: c["parts"].update({"../x": c["parts"]["train"]})),
        "is damaged",
    ),
    "no length": (edited("data/corpus.json", lambda c: c["parts"]["train"].pop("tokens")), "is damaged"),
    "an odd length": (edited("data/corpus.json", lambda c: c["parts"]["train"].update(tokens="9")), "is damaged"),
    "no training": (edited("data/corpus.json", lambda c: c["parts"].pop("train")), "is damaged"),
    "an odd tokenizer": (edited("data/corpus.json", lambda c: c["tokenizer"].update(x=1)), r"corpus\.json is damaged"),
    "another level": (edited("data/corpus.json", lambda c: c["tokenizer"].update(level="x")), "no token level 'x'"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_noticed(folder: Path, damage: Callable[[Path], Any], message: str) -> None:
    damage(folder)
    with pytest.raises(NlpError, match=message) as caught:
        load_prepared(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("outside", [-1, 70_000])
def test_wide_ids_are_looked_at_on_both_sides(tmp_path: Path, outside: int) -> None:
    np.save(tmp_path / "ids.npy", np.array([0, 69_999, outside], dtype=np.int32))
    with pytest.raises(NlpError, match="has ids beyond the 70000 tokens"):
        _open_ids(tmp_path / "ids.npy", 3, 70_000)


def test_preparing_anew_begins_by_saying_that_nothing_is_ready(folder: Path) -> None:
    assert is_prepared(folder)
    with pytest.raises(NlpError, match="no token level"):
        prepare(of("a\n"), folder, level="x")
    assert not is_prepared(folder)


# ---- texts to be judged -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokenizer", [WordTokenizer(), CharTokenizer()])
def test_a_text_to_be_judged_is_encoded_on_disk(tmp_path: Path, tokenizer: WordTokenizer | CharTokenizer) -> None:
    vocabulary = Vocabulary.build(tokenizer.encode("the cat, the dog.\n"), specials=tokenizer.specials)
    text = "the bird, <unk> é\nthe"
    (tmp_path / "file").write_text(text, encoding="utf-8")
    for source in (text, tmp_path / "file"):
        encoded = encode_text(source, tokenizer, vocabulary, tmp_path)
        tokens = tokenizer.encode(text)
        assert isinstance(encoded.ids, np.memmap)
        assert encoded.ids.tolist() == vocabulary.encode([*tokenizer.encode("\n"), *tokens]).tolist()
        assert (encoded.tokens, encoded.words, encoded.characters) == (len(tokens), 6, len(text))
        assert (encoded.bytes, encoded.unknown) == (len(text) + 1, sum(token not in vocabulary for token in tokens))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@given(st.text(st.sampled_from("ab \n\u2028é")), st.lists(st.integers(0, 30)))
def test_a_measure_does_not_depend_on_where_pieces_end(text: str, cuts: list[int]) -> None:
    measure, start = Measure(), 0
    for cut in [*sorted(cuts), len(text)]:
        measure.add(text[start:cut], 0)
        start = max(start, cut)
    assert measure.words == len(text.split()) + text.count("\n")
    assert (measure.characters, measure.bytes) == (len(text), len(text.encode()))


@one_folder
@given(chunks=st.lists(st.lists(st.integers(0, 255), max_size=20), max_size=5))
def test_an_id_file_is_plain_npy(tmp_path: Path, chunks: list[list[int]]) -> None:
    path = tmp_path / "ids.npy"
    with writing_ids(path, np.dtype(np.uint16)) as append:
        for chunk in chunks:
            append(np.array(chunk, dtype=np.int64))
    read = np.load(path, allow_pickle=False)
    assert read.dtype == np.uint16
    assert read.tolist() == [id for chunk in chunks for id in chunk]


def test_an_id_file_is_whole_or_not_there(tmp_path: Path) -> None:
    def interrupted() -> None:
        with writing_ids(tmp_path / "ids.npy", np.dtype(np.uint8)) as append:
            append(np.arange(9))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
