"""The command line: the three commands do what they say, and every mistake is told in one sentence, exit code 2."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from nlp_helpers import PATTERN, TINY, as_words, call, told_in_one_sentence, written

from nlp.run_folder import CURVES, RunFolder
from nlp.training.experiment import Experiment

pytest.importorskip("typer.testing", reason="the command line needs the nlp extra")

SMALL = as_words(TINY)


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


MISTAKES: dict[str, tuple[list[object], str]] = {
    "no such file": (["train", "--text", "nowhere.txt"], "nowhere.txt does not exist"),
    "an empty file": (["train", "--text", written("empty.txt", b"")], "empty.txt is empty"),
    "a binary file": (["train", "--text", written("x.bin", b"PNG\0\1")], "byte 3 is NUL"),
    "not UTF-8": (["train", "--text", written("latin.txt", b"caf\xe9 au lait")], "byte 3 is 0xE9"),
    "a directory": (["train", "--text", "."], "is a directory"),
    "a file of spaces": (["train", "--text", written("x", b" " * 5000)], "x has no words, only white space"),
    "a text without a name": (["train", "--text", ""], "the name of a text is empty: name a file"),
    "a file without a name": (["train", ""], "the name of a text is empty: name a file"),
    "train without a name": (["train", "--train", ""], "the name of a text is empty: name a file"),
    "bytes that are counted": (
        ["train", "--text", "book.txt", "--level", "byte", "--min-count", 3],
        "--min-count does not go with it",
    ),
    "too short": (["train", "--text", written("short.txt", b"so short\na text\nit is\n" * 3)], "too short"),
    "text and train": (["train", "--text", "book.txt", "--train", "book.txt"], "give either --text, or --train"),
    "valid alone": (["train", "--valid", "book.txt"], "--train FILE"),
    "an unknown level": (
        ["train", "--text", "book.txt", "--level", "sound"],
        "--level is one of word, char, byte, bpe",
    ),
    "an unknown model": (["train", "--text", "book.txt", "--model", "gpt"], "--model is one of lstm, gru, rnn"),
    "an unknown optimizer": (["train", "--text", "book.txt", "--optimizer", "x"], "--optimizer is one of sgd, adam"),
    "no layer": (["train", "--text", "book.txt", "--layers", 0], "--layers must be at least 1"),
    "dropout of all": (["train", "--text", "book.txt", "--dropout", 1], "--dropout must be at least 0 and below 1"),
    "not a number": (["train", "--text", "book.txt", "--hidden", "many"], "--hidden"),
    "an unknown option": (["train", "--text", "book.txt", "--hiden", 3], "--hiden"),
    "an unknown command": (["trian"], "trian"),
    "an unknown preset": (["train", "--text", "book.txt", "--preset", "x"], "--preset is one of zaremba-small"),
    "no such options": (["train", "--text", "book.txt", "--config", "x.toml"], "x.toml cannot be read"),
    "no such run to go on with": (["train", "--resume", "nowhere"], "nowhere does not exist"),
    "a folder in use": (["train", "--text", "book.txt", "--out", "."], "not empty"),
    "no card": (["train", "--text", "book.txt", "--device", "warp"], "--device warp"),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_is_told_in_one_sentence(name: str, text: Path, trained: Path) -> None:
    words, message = MISTAKES[name]
    told_in_one_sentence(words, message, trained)
    assert not Path("runs").exists()  # nothing was begun


def test_a_dry_run_measures_and_leaves_nothing(text: Path) -> None:
    result = call("train", "--text", text, *SMALL, "--dry-run")
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert "layers.0.weight_ih_l0 48 x 12 576" in said
    assert re.search(r"memory [\d,.]+ MiB", said)
    assert re.search(r"about \d+:\d\d an epoch of 34 updates, \d+:\d\d for 2 on this machine", said)
    assert sorted(path.name for path in text.parent.iterdir()) == ["book.txt"]


def test_a_preset_and_a_file_and_an_option(text: Path) -> None:
    Path("options.toml").write_text("epochs = 1\nbatch-size = 4\nbptt = 8\n")
    words = ["--preset", "zaremba-small", "--config", "options.toml", "--hidden", 6, "--embedding", 5]
    assert call("train", text, *words, "--out", "run").exit_code == 0
    options = json.loads(Path("run/config.json").read_text())["options"]
    assert (options["hidden"], options["embedding"], options["bptt"], options["layers"]) == (6, 5, 8, 2)


def test_a_run_goes_on_from_the_command_line(text: Path) -> None:
    assert call("train", text, *SMALL, "--out", "run").exit_code == 0
    result = call("train", "--resume", "run", "--epochs", 3)
    assert result.exit_code == 0, result.output
    epochs = [line.split()[0] for line in result.stdout.splitlines() if re.match(r" +\d ", line)]
    assert epochs == ["3"]
    for words, said in (
        (["--hidden", 5], "run was started with --hidden 12, not 5"),
        (["--text", text], "--text does not go with it"),
        (["--out", "other"], "--out does not go with it"),
    ):
        refused = call("train", "--resume", "run", *words)
        assert refused.exit_code == 2
        assert said in refused.stderr


def test_help_names_every_command_and_default() -> None:
    result = call("--help")
    assert result.exit_code == 0
    for command in ("train", "tune", "generate", "eval", "next", "compare", "inspect"):
        assert command in result.stdout
    options = " ".join(call("train", "-h").stdout.replace("│", " ").split())
    assert "Default: sgd 20, adam 0.004, adamw" in options


def test_what_a_console_cannot_show_stops_nothing(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nlp.cli import app

    words = ["train", "--text", "nЖwhere.txt"]
    shown = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stderr", shown)
    with pytest.raises(SystemExit) as ended:
        app(words, prog_name="nlp")
    assert ended.value.code == 2
    shown.flush()
    assert shown.buffer.getvalue() == b"nlp: n?where.txt does not exist: check the path\n"  # type: ignore[attr-defined]
    command = [sys.executable, "-m", "nlp", *words]
    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "latin-1"}, capture_output=True, check=False)
    assert done.stderr.replace(b"\r", b"") == b"nlp: n?where.txt does not exist: check the path\n"


@pytest.mark.skipif(sys.platform != "linux", reason="where file names are bytes")
def test_a_file_name_that_is_no_unicode_can_be_trained_on_and_gone_on_with(text: Path) -> None:
    name = os.fsdecode(b"b\xfcch.txt")
    text.rename(name)
    assert call("train", "--text", name, *SMALL, "--epochs", 1, "--out", "run").exit_code == 0
    assert RunFolder("run").read_text_sources() == {"text": [os.path.abspath(name)]}
    assert call("train", "--resume", "run", "--epochs", 2).exit_code == 0


# ---- Ctrl-C ---------------------------------------------------------------------------------------------------------


def test_ctrl_c_is_told(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("nlp.training.rehearsal.rehearse", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    try:
        result = call("train", text, *SMALL, "--dry-run")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (result.exit_code, result.stderr) == (130, "nlp: stopped\n")


@pytest.mark.parametrize(
    ("times", "said"),
    [(1, "nlp: stopped, and everything is saved: go on with nlp train --resume run\n"), (2, "nlp: stopped\n")],
)
def test_ctrl_c_in_training_is_told_once_and_the_second_one_too(
    times: int, said: str, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nlp.commands.progress import LanguageModelDisplay

    def interrupted(*_: object) -> None:
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(LanguageModelDisplay, "show", interrupted)
    result = call("train", text, *SMALL, "--out", "run")
    assert (result.exit_code, result.stderr) == (130, said)


# ---- a device that is not there -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["train"], ["train", "--dry-run"], ["words", "train"], ["tune", "--range", "lr=0.001..0.01"]]
)
def test_the_device_is_looked_at_before_a_text_is_read(words: list[object], text: Path) -> None:
    Path("book.txt").write_bytes(b"caf\xe9 au lait")  # which would be told, were it read
    told_in_one_sentence([*words, "--text", "book.txt", "--device", "warp"], "--device warp: 'warp' is no device")
    assert not Path("runs").exists()


def test_a_run_goes_on_only_on_a_device_that_is_there(text: Path) -> None:
    assert call("train", text, *SMALL, "--out", "run").exit_code == 0
    told_in_one_sentence(["train", "--resume", "run", "--epochs", 3, "--device", "warp"], "--device warp: 'warp' is no")
    assert RunFolder("run").read_config().device == "cpu"
    Experiment.resume("run", epochs=3).close()
