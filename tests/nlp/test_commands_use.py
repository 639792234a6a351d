"""The commands that judge and use a run: they show what the functions give, and tell mistakes in one sentence."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path

import pytest
from nlp_helpers import PATTERN, TINY, as_words, call, told_in_one_sentence, written

import nlp
from nlp.evaluation.dynamic import Rule, evaluate_dynamically, gradient_rms
from nlp.evaluation.mixture import mix
from nlp.evaluation.scoring import evaluate_text
from nlp.generation.next_words import next_words
from nlp.generation.writing import generate, generate_samples, likeliest_text
from nlp.text.prepare import load_prepared

pytest.importorskip("typer.testing", reason="the command line needs the nlp extra")

SMALL = as_words(TINY)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and runs on it: `run` and `brief`, of words, and `letters`."""
    folder = tmp_path_factory.mktemp("use")
    (folder / "book.txt").write_text(PATTERN * 80, encoding="utf-8")
    words = ["train", "--text", folder / "book.txt", *SMALL]
    assert call(*words, "--out", folder / "run", "--epochs", 8).exit_code == 0
    assert call(*words, "--out", folder / "brief", "--epochs", 1, "--seed", 2).exit_code == 0
    assert call(*words, "--out", folder / "letters", "--level", "char", "--epochs", 1).exit_code == 0
    return folder


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The run of words; the current folder is an empty one."""
    monkeypatch.chdir(tmp_path)
    return home / "run"


# ---- generate -------------------------------------------------------------------------------------------------------


def test_generate_writes_the_prompt_and_what_follows(run: Path) -> None:
    result = call("generate", run, "--prompt", "the cat sat on", "--length", 12, "--temperature", 0)
    assert result.exit_code == 0
    assert result.stdout == "the cat sat on the mat and the dog ran to the red barn\nthe\n"
    stopped = call("generate", run, "--prompt", "the cat", "--temperature", 0, "--stop", "zebra", "--stop", "dog")
    assert stopped.stdout == "the cat sat on the mat and the dog\n"
    line = call("generate", run, "--prompt", "the cat", "--temperature", 0, "--stop-at-line-end")
    assert line.stdout == PATTERN
    beam = call("generate", run, "--prompt", "the cat", "--beam", 4, "--length", 3)
    assert beam.stdout == likeliest_text(nlp.load(run), "the cat", beam=4, length=3) + "\n"


def test_generate_passes_its_options_on(run: Path) -> None:
    words = ["--prompt", "the", "--length", 20, "--temperature", 2, "--top-k", 9, "--top-p", 0.9, "--seed", 3]
    options = {"length": 20, "temperature": 2.0, "top_k": 9, "top_p": 0.9, "seed": 3}
    language_model = nlp.load(run)
    expected = "".join(generate(language_model, "the", **options))  # type: ignore[arg-type]
    assert call("generate", run, *words).stdout.removesuffix("\n") == expected.removesuffix("\n")
    several = generate_samples(language_model, "the", samples=3, **options)  # type: ignore[arg-type]
    shown = call("generate", run, *words, "--samples", 3).stdout
    parts = re.split(r"--- \d of 3 ---\n", shown)
    assert [part.rstrip("\n") for part in parts] == ["", *(text.rstrip("\n") for text in several)]
    unseeded = [call("generate", run, "--temperature", 5).stdout for _ in range(2)]
    assert unseeded[0] != unseeded[1]


def test_unknown_words_of_a_prompt_are_named(run: Path) -> None:
    result = call("generate", run, "--prompt", "the zebra and the emu", "--length", 2)
    assert result.stderr == "nlp: not known to the model, read as <unk>: zebra, emu\n"
    assert call("generate", run, "--prompt", "the cat", "--length", 2).stderr == ""
    assert "zebra" in call("next", run, "the zebra").stderr


# ---- next -----------------------------------------------------------------------------------------------------------


def test_next_shows_the_likeliest(run: Path, home: Path) -> None:
    result = call("next", run, "the cat sat on", "-k", 3)
    likeliest = next_words(nlp.load(run), "the cat sat on", 3)
    rows = [line.split() for line in result.stdout.splitlines()[:3]]
    assert [row[:2] for row in rows] == [[token, f"{share:.2%}"] for token, share in likeliest]
    assert rows[0][0] == "the"
    assert rows[0][2] == "█" * 40
    assert "All others together:" in result.stdout
    assert r"'\n'" in call("next", home / "letters", "barn", "--count", 99).stdout


# ---- eval -----------------------------------------------------------------------------------------------------------


def test_eval_shows_the_figures_and_counts_what_is_unknown(run: Path, home: Path) -> None:
    Path("other.txt").write_text("the zebra sat on the mat\n", encoding="utf-8")
    result = call("eval", run, "--text", "other.txt", home / "book.txt", "--json", "figures.json")
    assert result.exit_code == 0
    rows = [line.split()[-7:] for line in result.stdout.splitlines() if re.search(r"\.\d+$", line)]
    assert [row[:2] for row in rows] == [["7", "14.29%"], ["1,200", "0.00%"]]
    assert float(rows[1][2]) < 1.5 < float(rows[1][6])
    assert "Context of a token: all tokens before it in its text, the state carried along." in result.stdout
    assert "<unk>" in result.stdout
    content = json.loads(Path("figures.json").read_text(encoding="utf-8"))
    assert content["texts"]["other.txt"]["unknown"] == 1
    judged = evaluate_text(nlp.load(run), home / "book.txt")
    assert content["texts"][str(home / "book.txt")] == json.loads(json.dumps(judged.to_json()))
    assert "<unk>" not in call("eval", run, "--text", home / "book.txt").stdout


def test_eval_of_documents_and_windows(run: Path, home: Path) -> None:
    result = call("eval", run, "--text", home / "book.txt", "--documents", "line", "--context", 6)
    assert "Context of a token: sliding windows of 6 tokens in its line, 3 apart" in result.stdout
    row = result.stdout.splitlines()[-1].split()
    assert row[-6] == "80"
    judged = evaluate_text(nlp.load(run), home / "book.txt", documents="line", context=6)
    assert row[-4] == f"{min(document.perplexity for document in judged.documents):.2f}"


def test_eval_learns_from_the_text_if_asked_to(run: Path, home: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    Path("other.txt").write_text("the dog sat on the barn and ran to the mat\n" * 20, encoding="utf-8")
    words = ["eval", run, "--text", "other.txt", "--json", "figures.json"]

    def figures(*more: object) -> dict[str, object]:
        result = call(*words, *more)
        assert result.exit_code == 0, result.output
        judged = json.loads(Path("figures.json").read_text(encoding="utf-8"))["texts"]["other.txt"]
        assert f"Context of a token: {judged['context']}." in result.stdout
        return judged

    language_model, text = nlp.load(run), Path("other.txt")
    rule = Rule(0.3, 3, 0.01)
    sgd = evaluate_dynamically(language_model, text, rule, documents="line")
    chosen = ["--dynamic", "--dynamic-lr", 0.3, "--dynamic-steps", 3, "--dynamic-decay", 0.01, "--documents", "line"]
    assert figures(*chosen, "--dynamic-rule", "sgd")["documents"] == sgd.to_json()["documents"]
    rms = gradient_rms(language_model.model, load_prepared(run).ids["train"])
    usual = evaluate_dynamically(language_model, text, Rule(rms=rms))
    assert figures("--dynamic")["nats"] == usual.nats
    assert figures()["nats"] == evaluate_text(language_model, text).nats > usual.nats
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before

    result = call("eval", home / "letters", "--text", "other.txt", "--dynamic")
    assert "learning from every 20 tokens once judged (rms, lr 0.001, decay 0)" in result.stdout

    bare = tmp_path / "bare"  # a run whose training text is gone
    shutil.copytree(run, bare, ignore=shutil.ignore_patterns("data"))
    words[1] = bare
    assert "(sgd, lr 0.2, decay 0)" in str(figures("--dynamic")["context"])
    told_in_one_sentence([*words, "--dynamic", "--dynamic-rule", "rms"], "needs the training text, and ")


# ---- mix ------------------------------------------------------------------------------------------------------------


def test_mix_shows_weights_and_perplexities(run: Path, home: Path) -> None:
    result = call("mix", run, home / "brief", "--json", "mixture.json")
    assert result.exit_code == 0, result.output
    mixture = mix([run, home / "brief"])
    assert json.loads(Path("mixture.json").read_text(encoding="utf-8")) == json.loads(json.dumps(mixture.to_json()))
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0] == ["weight", "valid", "test"]
    for number, weight in enumerate(mixture.weights):
        alone = [f"{math.exp(text.alone[number]):.2f}" for text in mixture.texts]
        assert rows[1 + number][-3:] == [f"{weight:.4f}", *alone]
    assert rows[3] == ["mixture", *(f"{math.exp(text.mixture):.2f}" for text in mixture.texts)]
    assert "best on valid" in result.stdout
    book = home / "book.txt"
    given = call("mix", run, home / "brief", "--text", book, "--valid", book)
    assert given.exit_code == 0, given.output
    assert f"best on {book}" in given.stdout


# ---- compare and inspect --------------------------------------------------------------------------------------------


def test_compare_shows_what_differs_and_draws(run: Path, home: Path) -> None:
    result = call("compare", run, home / "letters", "--out", "both.png", "--json", "both.json")
    assert result.exit_code == 0, result.output
    lines = {line.split("  ")[0].strip(): line.split() for line in result.stdout.splitlines()}
    assert lines["--level"] == ["--level", "word", "char"]
    assert lines["epochs"][2] == "1"
    assert len(lines["epochs"]) == len(lines["valid perplexity"]) - 1 == 3
    assert "--seed" not in result.stdout
    assert "perplexities per token are not comparable" in result.stdout
    assert Path("both.png").stat().st_size > 10_000
    assert [one["name"] for one in json.loads(Path("both.json").read_text(encoding="utf-8"))] == ["run", "letters"]
    assert "comparable" not in call("compare", run).stdout
    assert Path("compare.png").is_file()


def test_inspect_shows_parameters_and_neighbours(run: Path, home: Path) -> None:
    result = call("inspect", run, "--word", "cat", "--word", "dog", "-k", 2)
    assert result.exit_code == 0, result.output
    total = sum(parameter.numel() for parameter in nlp.load(run).model.parameters())
    assert re.search(rf"^all +{total:,}", result.stdout, re.MULTILINE)
    assert len(re.findall(r"^(?:cat|dog) +\S+ -?\d\.\d\d, \S+ -?\d\.\d\d *$", result.stdout, re.MULTILINE)) == 2
    assert re.search(r"^barn  ", call("inspect", run).stdout, re.MULTILINE)  # the one word of four letters
    letters = call("inspect", home / "letters", "--tokens").stdout
    assert re.search(r"^' '  ", letters, re.MULTILINE)
    assert "Nearest" not in call("inspect", home / "letters").stdout  # of which none is a word


# ---- mistakes -------------------------------------------------------------------------------------------------------


BOOK = written("book.txt", PATTERN.encode())
MISTAKES: dict[str, tuple[list[object], str]] = {
    "no such run": (["generate", "nowhere"], "nowhere does not exist"),
    "an empty run": (["generate", "."], "has no config.json"),
    "no run named": (["generate"], "Missing argument 'run'"),
    "a temperature below 0": (["generate", "RUN", "--temperature", -1], "--temperature must be"),
    "no length": (["generate", "RUN", "--length", 0], "--length must be"),
    "a share above 1": (["generate", "RUN", "--top-p", 1.5], "--top-p must be"),
    "no sample": (["generate", "RUN", "--samples", 0], "--samples must be"),
    "no beam": (["generate", "RUN", "--beam", 0], "--beam must be"),
    "a beam that draws": (["generate", "RUN", "--beam", 2, "--top-k", 3], "--beam looks for the likeliest text"),
    "a stop of nothing": (["generate", "RUN", "--stop", ""], "--stop needs"),
    "a seed below 0": (["generate", "RUN", "--seed", -3], "--seed must be"),
    "no next word": (["next", "RUN", "the", "-k", 0], "--count must be"),
    "no text named": (["eval", "RUN"], "--text"),
    "no such text": (["eval", "RUN", "--text", BOOK, "nowhere.txt"], "nowhere.txt does not exist"),
    "an empty text": (["eval", "RUN", "--text", written("empty.txt", b"")], "empty.txt is empty"),
    "a text of spaces": (["eval", "RUN", "--text", written("x", b" " * 99)], "x has no words, only white space"),
    "a text without a name": (["eval", "RUN", "--text", ""], "the name of a text is empty: name a file"),
    "a context of words": (["eval", "RUN", "--text", BOOK, "--context", "all"], "--context is carried or a number"),
    "a context of one": (["eval", "RUN", "--text", BOOK, "--context", 1], "--context is carried or a number"),
    "documents of pages": (["eval", "RUN", "--text", BOOK, "--documents", "page"], "--documents is line or blank"),
    "no place for the figures": (
        ["eval", "RUN", "--text", BOOK, "--json", "no/where.json"],
        "there is no folder no: make it",
    ),
    "a folder for the figures": (["eval", "RUN", "--text", BOOK, "--json", "."], ". is a folder: name a file in it"),
    "a rate without --dynamic": (
        ["eval", "RUN", "--text", BOOK, "--dynamic-lr", 1],
        "--dynamic-lr goes with --dynamic",
    ),
    "a rule of thumb": (["eval", "RUN", "--text", BOOK, "--dynamic", "--dynamic-rule", "thumb"], "is sgd or rms"),
    "a rate below 0": (["eval", "RUN", "--text", BOOK, "--dynamic", "--dynamic-lr", -1], "--dynamic-lr must be"),
    "no steps": (["eval", "RUN", "--text", BOOK, "--dynamic", "--dynamic-steps", 0], "--dynamic-steps must be"),
    "a decay above 1": (["eval", "RUN", "--text", BOOK, "--dynamic", "--dynamic-decay", 2], "--dynamic-decay must be"),
    "windows that learn": (["eval", "RUN", "--text", BOOK, "--dynamic", "--context", 9], "leave --context out"),
    "a mixture of one": (["mix", "RUN"], "two runs at least"),
    "a mixture on no text": (["mix", "RUN", "RUN", "--text", "nowhere.txt"], "nowhere.txt does not exist"),
    "a mixture by no text": (["mix", "RUN", "RUN", "--valid", ""], "the name of a text is empty: name a file"),
    "no runs": (["compare"], "Missing argument 'runs'"),
    "no place for the picture": (["compare", "RUN", "--out", "no/where.png"], "there is no folder no: make it"),
    "a picture of another kind": (["compare", "RUN", "--out", "x.jpg"], "let its name end in .png, .svg or .pdf"),
    "a picture of no kind": (["compare", "RUN", "--out", "x"], "let its name end in .png, .svg or .pdf"),
    "an unknown word": (["inspect", "RUN", "--word", "zebra"], "does not know 'zebra'"),
    "no card": (["next", "RUN", "--device", "warp"], "--device"),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_is_told_in_one_sentence(name: str, run: Path) -> None:
    words, message = MISTAKES[name]
    told_in_one_sentence(words, message, run)


@pytest.mark.parametrize("words", [["eval", "RUN", "--text", BOOK], ["mix", "RUN", "RUN"], ["compare", "RUN"]])
def test_no_place_for_the_figures_is_told_before_anything_is_read(
    words: list[object], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlp.run_folder.RunFolder.open", lambda path: pytest.fail("a run was read"))
    told_in_one_sentence([*words, "--json", "no/where.json"], "no/where.json cannot be written, for there is", run)
