"""nlp tune on the command line: what it shows, how it stops, and mistakes told in one sentence."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from nlp_helpers import PATTERN, TINY, as_words, call, same_search, told_in_one_sentence

import minigrad
from nlp.run_folder import LAST
from nlp.training.events import Tick
from nlp.tuning.search import Search, TrialEvent, plan

pytest.importorskip("typer.testing", reason="the command line needs the nlp extra")

SMALL = {**TINY, "bptt": 12, "epochs": 4, "patience": 0}
WORDS = as_words({name: value for name, value in SMALL.items() if name != "lr"})
THREE = ["--range", "lr=0.001..0.05", "--trials", 3]


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text to train on, in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "book.txt"
    path.write_text(PATTERN * 60, encoding="utf-8")
    return path


def test_the_command_searches_and_says_what_to_use(text: Path) -> None:
    result = call("tune", "--text", text.name, *THREE, *WORDS)
    assert result.exit_code == 0, result.output
    search = Search.resume("runs/book-tune-1")
    rows = [line.split() for line in result.stdout.splitlines() if line.strip()[:3].isdigit()]
    assert [row[0] for row in rows[:3]] == ["001", "002", "003"]
    assert [int(row[0]) for row in rows[3:]] == [one.trial for one in search.ranking()]
    for row, one in zip(rows[:3], search.results):
        assert row[1:4] == [str(one.options["lr"]), f"{one.valid_perplexity:,.2f}", "4"]
    assert result.stdout.endswith(f"use it with: nlp generate {search.best_run}\n")
    assert call("generate", search.best_run, "--length", 3).exit_code == 0
    for command in (["generate"], ["eval", "--text", text], ["train", "--resume"], ["inspect"], ["compare"]):
        said = f"give {search.best_run}, the run of its best trial"
        told_in_one_sentence([*command, search.folder.path], said)


def test_halving_from_the_command_line(text: Path) -> None:
    result = call("tune", text, *THREE, *WORDS, "--strategy", "halving", "--min-epochs", 1, "--out", "out")
    assert result.exit_code == 0, result.output
    assert "3 to epoch 1, then the best 1 to epoch 4" in result.stdout
    assert Counter(one.rung for one in Search.resume("out").results) == {0: 3, 1: 1}


@pytest.mark.skipif(os.name != "posix", reason="processes are sent signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(
    number: signal.Signals, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("tune", text, *THREE, *WORDS, "--out", "quiet").exit_code == 0
    from nlp.commands.tune import _Display

    with monkeypatch.context() as patch:
        real = _Display.progress
        seen: list[TrialEvent] = []

        def progress(self: Any, event: TrialEvent) -> None:
            real(self, event)
            seen.append(event)
            if len([one for one in seen if isinstance(one.event, Tick)]) == 25:
                os.kill(os.getpid(), number)

        patch.setattr(_Display, "progress", progress)
        result = call("tune", text, *THREE, *WORDS, "--out", "out")
    assert result.exit_code == 128 + number
    assert result.stderr == "nlp: stopped, and everything is saved: go on with nlp tune --resume out\n"
    last = minigrad.load(Path("out") / "trials" / f"{seen[-1].trial:03}" / LAST)
    updates = [one for one in seen if one.trial == seen[-1].trial and isinstance(one.event, Tick)]
    assert last["trainer"]["update"] == len([one for one in updates if not one.event.validating]) > 0
    assert call("tune", "--resume", "out").exit_code == 0
    same_search(Search.resume("out"), Search.resume("quiet"))


def test_what_is_to_be_known_of_a_trial_that_goes_on_is_shown(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {name: value for name, value in SMALL.items() if name != "lr"}
    with Search.create(plan({"lr": "0.001..0.05"}, trials=2, **options), {"text": [text]}, "out") as search:
        next(search.run())
        search.save()
    monkeypatch.setattr("nlp.training.experiment.versions", lambda: {"numpy": "9.9"})
    result = call("tune", "--resume", "out")
    assert result.exit_code == 0, result.output
    assert re.search(r"^Note on trial 001: other versions than before, .* numpy 9\.9", result.stdout, re.MULTILINE)


MISTAKES: dict[str, tuple[list[object], str]] = {
    "no range": (["book.txt"], "there is nothing to search: give a --range"),
    "not a range": (["book.txt", "--range", "lr"], "--range is NAME=LOW..HIGH or NAME=A,B,C"),
    "twice": (["book.txt", "--range", "lr=1..2", "--range", "lr=1..3"], "--range lr is given twice"),
    "an unknown option": (["book.txt", "--range", "hiden=1..2"], "--range hiden: there is no such option"),
    "a value and a range": (["book.txt", *THREE, "--lr", 1], "--lr has both one value and a --range"),
    "a bad value": (["book.txt", *THREE, "--layers", 0], "--layers must be at least 1"),
    "no such text": (["nowhere.txt", *THREE], "nowhere.txt does not exist"),
    "eta without halving": (["book.txt", *THREE, "--eta", 2], "--eta goes with --strategy halving"),
    "an unknown strategy": (["book.txt", *THREE, "--strategy", "grid"], "--strategy is one of random, halving"),
    "no such search": (["--resume", "nowhere"], "has no tune.json: give one that nlp tune made"),
    "not a search": (["--resume", "."], "has no tune.json"),
    "a search and a text": (["book.txt", "--resume", "."], "--resume goes on with a search as it is, so --text"),
    "a search and an option": (["--resume", ".", "--hidden", 3], "so --hidden does not go with it"),
    "a search and a range": (["--resume", ".", "--range", "lr=1..2"], "so --range does not go with it"),
    "a folder in use": (["book.txt", *THREE, "--out", "."], "not empty"),
    "a text too short": (["book.txt", *THREE, "--batch-size", 9000], "too short for 9000 streams"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_one_sentence(name: str, text: Path) -> None:
    words, message = MISTAKES[name]
    told_in_one_sentence(["tune", *words], message)
    assert sorted(path.name for path in text.parent.iterdir()) == ["book.txt"]  # nothing was begun
