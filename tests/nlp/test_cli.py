"""The command line: the three commands do what they say, and every mistake is told in one sentence, exit code 2."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from nlp_helpers import PATTERN, TINY

from nlp.run_folder import CURVES, METRICS, WEIGHTS
from nlp.train import Epoch, Trainer

typer_testing = pytest.importorskip("typer.testing", reason="the command line needs the nlp extra")

from nlp.cli import app  # noqa: E402 - after the check that typer is there

SMALL = [part for name, value in TINY.items() for part in ("--" + name.replace("_", "-"), str(value))]


def call(*words: object):
    return typer_testing.CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text to train on, in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "book.txt"
    path.write_text(PATTERN * 80, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of nlp train."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "book.txt").write_text(PATTERN * 80, encoding="utf-8")
    result = call("train", "--text", folder / "book.txt", "--out", folder / "run", *SMALL, "--epochs", 8)
    assert result.exit_code == 0, result.output
    return folder / "run"


def test_training_tells_what_it_does_and_leaves_a_run_folder(text: Path) -> None:
    result = call("train", "--text", text.name, *SMALL)
    assert result.exit_code == 0, result.output
    assert "runs/book-1" in result.stdout
    lines = [line.split() for line in result.stdout.splitlines()]
    epochs = [line for line in lines if line[:1] in (["1"], ["2"])]
    assert len(epochs) == 2
    assert float(epochs[1][2]) < float(epochs[0][2])  # validation perplexity falls
    for part in ("valid", "test"):
        (row,) = [line for line in lines if line[:1] == [part]]
        assert float(row[2]) < float(row[3])  # below the unigram's
    assert (Path("runs/book-1") / CURVES).is_file()
    assert call("train", text.name, *SMALL, "--epochs", 1).exit_code == 0  # without --text, and into a second folder
    assert Path("runs/book-2").is_dir()


def test_several_texts_and_texts_taken_whole(text: Path) -> None:
    Path("more.txt").write_text("a line more\n" * 40, encoding="utf-8")
    assert call("train", "--text", "more.txt", "book.txt", *SMALL, "--out", "a").exit_code == 0
    assert "line" in (Path("a") / "vocabulary.json").read_text()
    Path("valid.txt").write_text(PATTERN * 3, encoding="utf-8")
    result = call("train", "--train", "book.txt", "--valid", "valid.txt", *SMALL, "--out", "b")
    assert result.exit_code == 0
    assert "45 valid" in result.stdout


def test_generate_writes_the_prompt_and_what_follows(trained: Path) -> None:
    result = call("generate", trained, "--prompt", "the cat sat on", "--length", 12, "--temperature", 0)
    assert result.exit_code == 0
    assert result.stdout == "the cat sat on the mat and the dog ran to the red barn\nthe\n"
    assert call("generate", trained, "--seed", 4).stdout == call("generate", trained, "--seed", 4).stdout
    wild = [call("generate", trained, "--temperature", 5).stdout for _ in range(2)]
    assert wild[0] != wild[1]


def test_eval_gives_the_perplexity_and_counts_what_is_unknown(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text("the zebra sat on the mat\n", encoding="utf-8")
    result = call("eval", trained, "--text", path, trained.parent / "book.txt")
    assert result.exit_code == 0
    rows = [line.split()[-4:] for line in result.stdout.splitlines() if re.search(r"\d$", line)]
    assert [row[:2] for row in rows] == [["7", "1"], ["1,200", "0"]]
    assert float(rows[1][2]) < 1.5 < float(rows[1][3])
    assert "<unk>" in result.stdout
    assert "<unk>" not in call("eval", trained, "--text", trained.parent / "book.txt").stdout


def written(name: str, content: bytes) -> Callable[[], Path]:
    def make() -> Path:
        Path(name).write_bytes(content)
        return Path(name)

    return make


MISTAKES: dict[str, tuple[list[object], str]] = {
    "no such file": (["train", "--text", "nowhere.txt"], "nowhere.txt does not exist"),
    "an empty file": (["train", "--text", written("empty.txt", b"")], "empty.txt is empty"),
    "a binary file": (["train", "--text", written("x.bin", b"PNG\0\1")], "byte 3 is NUL"),
    "not UTF-8": (["train", "--text", written("latin.txt", b"caf\xe9 au lait")], "byte 3 is 0xE9"),
    "a directory": (["train", "--text", "."], "is a directory"),
    "too short": (["train", "--text", written("short.txt", b"so short\na text\nit is\n" * 3)], "too short"),
    "text and train": (["train", "--text", "book.txt", "--train", "book.txt"], "give either --text, or --train"),
    "valid alone": (["train", "--valid", "book.txt"], "--train FILE"),
    "an unknown level": (["train", "--text", "book.txt", "--level", "sound"], "--level is one of word, char"),
    "an unknown model": (["train", "--text", "book.txt", "--model", "gpt"], "--model is one of lstm, gru, rnn"),
    "an unknown optimizer": (["train", "--text", "book.txt", "--optimizer", "x"], "--optimizer is one of sgd, adam"),
    "no layer": (["train", "--text", "book.txt", "--layers", 0], "--layers must be at least 1"),
    "dropout of all": (["train", "--text", "book.txt", "--dropout", 1], "--dropout must be at least 0 and below 1"),
    "not a number": (["train", "--text", "book.txt", "--hidden", "many"], "--hidden"),
    "an unknown option": (["train", "--text", "book.txt", "--hiden", 3], "--hiden"),
    "an unknown command": (["trian"], "trian"),
    "a folder in use": (["train", "--text", "book.txt", "--out", "."], "not empty"),
    "no card": (["train", "--text", "book.txt", "--device", "warp"], "--device warp"),
    "no such run": (["generate", "nowhere"], "nowhere does not exist"),
    "an empty run": (["generate", "."], "has no config.json"),
    "no run named": (["generate"], "RUN"),
    "a temperature below 0": (["generate", "RUN", "--temperature", -1], "--temperature must be"),
    "no length": (["generate", "RUN", "--length", 0], "--length must be"),
    "no text named": (["eval", "RUN"], "--text"),
    "no such text": (["eval", "RUN", "--text", "nowhere.txt"], "nowhere.txt does not exist"),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_is_told_in_one_sentence(name: str, text: Path, trained: Path) -> None:
    words, message = MISTAKES[name]
    made = [word() if callable(word) else trained if word == "RUN" else word for word in words]
    result = call(*made)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("nlp: ")
    assert result.stderr.count("\n") == 1
    assert message.lower() in result.stderr.lower()
    assert "Traceback" not in result.output
    assert not Path("runs").exists()  # nothing was begun


def test_ctrl_c_keeps_the_best_and_says_where_it_is(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Trainer.train

    def interrupted(*args: object):
        for event in whole(*args):  # type: ignore[arg-type]
            yield event
            if isinstance(event, Epoch):
                raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "train", interrupted)
    result = call("train", "--text", text, *SMALL)
    assert result.exit_code == 130
    assert result.stderr.count("\n") == 1
    assert "best weights so far" in result.stderr
    assert "runs/book-1" in result.stderr
    assert call("generate", "runs/book-1").exit_code == 0


@pytest.mark.skipif(os.name != "posix", reason="a process is sent SIGINT")
def test_ctrl_c_to_the_program_itself(text: Path) -> None:
    words = ["train", "--text", str(text), *SMALL, "--epochs", "100000", "--patience", "100000"]
    process = subprocess.Popen([sys.executable, "-m", "nlp", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while not Path("runs/book-1", WEIGHTS).exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert stderr.decode().startswith("nlp: stopped; the best weights so far")
    assert Path("runs/book-1", METRICS).read_text().endswith("}\n")
    assert call("generate", "runs/book-1").exit_code == 0


def test_help_names_every_command_and_default() -> None:
    result = call("--help")
    assert result.exit_code == 0
    for command in ("train", "generate", "eval"):
        assert command in result.stdout
    options = " ".join(call("train", "-h").stdout.replace("│", " ").split())
    assert "Default: sgd 20, adam 0.004, adagrad" in options
