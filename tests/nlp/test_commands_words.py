"""nlp words: what the commands show is what the functions give; mistakes are told in one sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from nlp_helpers import PATTERN, TINY, as_words, call, told_in_one_sentence, written

from nlp.evaluation.analogies import evaluate_analogies, read_analogies
from nlp.evaluation.word_similarity import evaluate_similarity, read_pairs
from nlp.keyed_vectors import KeyedVectors, load_vectors

pytest.importorskip("typer.testing", reason="the command line needs the nlp extra")

QUESTIONS = b": family\nman woman King queen\nking queen man woman\nman woman x y\n: gram1\nman king woman queen\n"
PAIRS = b"Word 1,Word 2,Human\nking,queen,8\nman,apple,1\nMan,woman,7\nzebra,king,2\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five words in a file, questions and pairs beside it in the place of NLP_DATA's; the current folder is theirs."""
    rows = [[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1.5], [0, 0.3, -1]]
    vectors = KeyedVectors(("man", "woman", "king", "queen", "apple"), np.array(rows, dtype=np.float32))
    vectors.save(tmp_path / "v.bin")
    (tmp_path / "word2vec-eval").mkdir()
    (tmp_path / "word2vec-eval" / "questions-words.txt").write_bytes(QUESTIONS)
    (tmp_path / "word2vec-eval" / "wordsim353_combined.csv").write_bytes(PAIRS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NLP_DATA", raising=False)
    return Path("v.bin")


def test_near_shows_the_nearest(file: Path) -> None:
    result = call("words", "near", file, "king", "woman", "--minus", "man", "-k", 2)
    assert result.exit_code == 0, result.output
    (first, one), (second, other) = KeyedVectors.read(file).most_similar(["king", "woman"], ["man"], 2)
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["word", "cosine"],
        [first, f"{one:.4f}"],
        [second, f"{other:.4f}"],
    ]
    assert first == "queen"
    assert len(call("words", "near", file, "king").stdout.splitlines()) == 1 + 4


def test_eval_shows_what_the_functions_give(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLP_DATA", ".")
    result = call("words", "eval", file, "--json", "all.json")
    assert result.exit_code == 0, result.output
    for name in ("word2vec-eval/questions-words.txt", "word2vec-eval/wordsim353_combined.csv"):
        assert name in result.stdout  # by what they were judged
    vectors = KeyedVectors.read(file)
    questions, pairs = Path("word2vec-eval/questions-words.txt"), Path("word2vec-eval/wordsim353_combined.csv")
    answered = evaluate_analogies(vectors, read_analogies(questions))
    judged = evaluate_similarity(vectors, read_pairs(pairs))
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line}
    for one in (*answered.sections, answered.semantic, answered.syntactic, answered.total):
        assert rows[one.name] == [f"{one.accuracy:.2%}", str(one.correct), str(one.asked), str(one.left_out)]
    assert answered.total.asked == 3
    assert f"Spearman's rho {judged.rho:.4f} over 3 pairs, 1 left out." in result.stdout
    content = json.loads(Path("all.json").read_text(encoding="utf-8"))
    assert content["analogies"] == {"file": str(questions), **answered.to_json()}
    assert content["pairs"] == {"file": str(pairs), **judged.to_json()}
    assert (content["vectors"], content["words"]) == ("v.bin", 5)


def test_eval_by_files_that_are_named(file: Path) -> None:
    Path("q.txt").write_bytes(QUESTIONS)
    Path("p.csv").write_bytes(PAIRS)
    result = call("words", "eval", file, "--analogies", "q.txt")
    assert "Spearman" not in result.stdout
    assert re.search(r"^family +\S+ +\d +2 +1 *$", result.stdout, re.MULTILINE)
    with_case = call("words", "eval", file, "--analogies", "q.txt", "--match-case").stdout
    assert re.search(r"^family +\S+ +\d +1 +2 *$", with_case, re.MULTILINE)
    few = call("words", "eval", file, "--analogies", "q.txt", "--restrict", 3).stdout
    assert re.search(r"^total +0 +0 +4 *$", few, re.MULTILINE)
    pairs = call("words", "eval", file, "--pairs", "p.csv", "--restrict", 2).stdout
    assert pairs == "Pairs of p.csv: Spearman's rho not defined over 1 pair, 3 left out.\n"
    assert "over 2 pairs, 2 left out" in call("words", "eval", file, "--pairs", "p.csv", "--match-case").stdout


def test_export_writes_both_formats(file: Path) -> None:
    result = call("words", "export", file, "v.txt")
    assert result.stdout == "5 words of 3 numbers are in v.txt\n"
    assert Path("v.txt").read_text(encoding="utf-8").startswith("5 3\nman 1 0 0\n")
    assert call("words", "export", "v.txt", "w.bin").exit_code == 0
    assert Path("w.bin").read_bytes() == file.read_bytes()


def test_map_draws_a_picture(file: Path) -> None:
    pytest.importorskip("matplotlib")
    result = call("words", "map", file)
    assert (result.exit_code, result.stdout) == (0, "the map is in map.png\n")
    assert Path("map.png").stat().st_size > 5_000
    for number, words in enumerate((["--words", 3], ["king", "queen", "man"], ["--method", "tsne"])):
        assert call("words", "map", file, *words, "--out", f"{number}.svg").exit_code == 0
        assert Path(f"{number}.svg").is_file()


def test_a_run_of_a_language_model_has_vectors_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(PATTERN * 80, encoding="utf-8")
    assert call("train", "--text", "book.txt", *as_words({**TINY, "epochs": 1}), "--out", "run").exit_code == 0
    assert call("words", "export", "run", "v.bin").exit_code == 0
    vectors = load_vectors("run")
    assert KeyedVectors.read("v.bin").vectors.tobytes() == vectors.vectors.tobytes()
    assert set(vectors.words) == set(PATTERN.split())
    assert vectors.words[0] == "the"  # the most frequent
    lines = call("words", "near", "run", "cat", "-k", 1).stdout.splitlines()
    inspected = call("inspect", "run", "--word", "cat", "-k", 3).stdout
    assert lines[1].split()[0] in inspected


MISTAKES: dict[str, tuple[list[object], str]] = {
    "no such run": (["near", "nowhere", "king"], "nowhere is no run folder and no file of word vectors"),
    "no such file": (["near", "nowhere.bin", "king"], "nowhere.bin cannot be read"),
    "an empty run": (["near", ".", "king"], "has no config.json"),
    "no word": (["near", "FILE"], "Missing argument 'word"),
    "an unknown word": (["near", "FILE", "Kinge"], "there is no vector for the word 'Kinge' (the nearest is 'king')"),
    "none to show": (["near", "FILE", "king", "-k", 0], "--count must be at least 1"),
    "a word less itself": (["near", "FILE", "king", "--minus", "king"], "add up to nothing"),
    "nothing to judge by": (["eval", "FILE"], "let NLP_DATA name the folder"),
    "no such questions": (["eval", "FILE", "--analogies", "nowhere"], "nowhere does not exist"),
    "three words": (["eval", "FILE", "--analogies", written("q", b": s\na b c\n")], "line 2 of q has 3 words"),
    "a pair alone": (["eval", "FILE", "--pairs", written("p", b"king,queen\n")], "line 1 of p is not two words and"),
    "no word to use": (["eval", "FILE", "--pairs", written("p", b"a,b,1\n"), "--restrict", 0], "at least 1, not 0"),
    "another ending": (["export", "FILE", "v.doc"], "v.doc is no file of word vectors by its name"),
    "no place for the file": (["export", "FILE", "no/where.bin"], "there is no folder no: make it"),
    "a picture of another kind": (["map", "nowhere", "--out", "x.jpg"], "let its name end in .png, .svg or .pdf"),
    "a map of two": (["map", "FILE", "king", "queen"], "at least 3 words, not 2"),
    "a map of none": (["map", "FILE", "--words", 0], "--words must be at least 3, not 0"),
    "another method": (["map", "FILE", "--method", "umap"], "--method is one of pca, tsne, not 'umap'"),
    "a damaged file": (["near", written("d.txt", b"2 2\na 1 2\na 3 4\n"), "a"], "it has the word 'a' twice"),
    "a short line": (["near", written("d.vec", b"2 2\na 1 2\nb 3   \n"), "a"], "line 3 has 1 numbers"),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_is_told_in_one_sentence(name: str, file: Path) -> None:
    words, message = MISTAKES[name]
    told_in_one_sentence(["words", *(file if word == "FILE" else word for word in words)], message)
