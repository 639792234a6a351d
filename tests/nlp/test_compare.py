"""Runs beside each other: what differs is shown, what cannot be compared is said."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nlp_helpers import PATTERN, tiny

from nlp.errors import NlpError
from nlp.evaluation.compare import RunSummary, differing_options, not_comparable, summarize
from nlp.text.prepare import CORPUS, DATA
from nlp.training.experiment import Experiment


def train(folder: Path, text: Path, **options: object) -> None:
    with Experiment.create(tiny(**options), {"text": [str(text)]}, folder) as experiment:
        list(experiment.train())
        experiment.finish()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run on words, one with another size, and one on characters, all on one text."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "book.txt").write_text(PATTERN.replace("barn", "café") * 60, encoding="utf-8")
    train(folder / "words", folder / "book.txt")
    train(folder / "wide", folder / "book.txt", hidden=20, embedding=20, threads=1)
    train(folder / "letters", folder / "book.txt", level="char", epochs=1)
    return [folder / "words", folder / "wide", folder / "letters"]


def test_a_summary_holds_what_the_run_wrote(runs: list[Path]) -> None:
    words, _, letters = summarize(runs)
    assert words.name == "words"
    assert len(words.valid_losses) == len(words.seconds) == 2
    assert words.valid_perplexity == math.exp(min(words.valid_losses))
    assert words.test_perplexity == words.results["test_perplexity"]
    assert words.parameters > 100
    text = letters.corpus["parts"]["valid"]
    assert letters.best_valid_loss is not None
    nats = letters.best_valid_loss * text["tokens"]
    np.testing.assert_allclose(letters.word_perplexity, math.exp(nats / text["words"]))
    np.testing.assert_allclose(letters.bits_per_character, nats / math.log(2) / text["characters"])
    content = words.to_json()
    assert content["valid_perplexity"] == words.valid_perplexity
    assert content["vocabulary"] == len(words.vocabulary)


def test_the_options_that_differ_are_found_but_not_those_of_the_machine(runs: list[Path]) -> None:
    words, wide, letters = summarize(runs)
    assert differing_options([words, wide]) == {"embedding": [12, 20], "hidden": [12, 20]}
    assert differing_options([words, words]) == {}
    assert differing_options([words, letters])["level"] == ["word", "char"]


def test_other_tokens_or_texts_cannot_be_compared(runs: list[Path]) -> None:
    words, wide, letters = summarize(runs)
    assert not_comparable([words, wide]) == []
    (reason,) = not_comparable([words, wide, letters])
    assert reason.startswith("perplexities per token are not comparable: the tokens of letters and words differ")
    assert "per word" in reason
    parts = {**words.corpus["parts"], "valid": {**words.corpus["parts"]["valid"], "unknown": 3}}
    unsure = replace(words, corpus={**words.corpus, "parts": parts})
    assert not_comparable([unsure, wide]) == []  # they do not know the same tokens
    assert not_comparable([unsure, letters])[1].startswith("words did not know all tokens of the validation text")
    other = replace(wide, name="other", corpus={**wide.corpus, "sha256": "0"})
    assert not_comparable([words, other, replace(other, name="third")]) == [
        "not comparable: other, third and words were trained on different texts."
    ]


def test_runs_of_one_name_are_called_by_their_paths(runs: list[Path]) -> None:
    assert [one.name for one in summarize([runs[0], runs[0]])] == [str(runs[0])] * 2


def test_a_run_that_has_not_come_to_an_epoch_has_no_figures() -> None:
    corpus = {"sha256": "x", "parts": {"valid": {"tokens": 1, "words": 1, "characters": 1}}}
    run = RunSummary("new", {}, corpus, ("a",), 1, (), (), {})
    assert run.valid_perplexity is run.word_perplexity is run.bits_per_character is run.test_perplexity is None


def test_what_is_no_run_is_told(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(NlpError, match="does not exist"):
        summarize([runs[0], tmp_path / "nowhere"])
    with pytest.raises(NlpError, match=r"has no config\.json"):
        summarize([tmp_path])
    damaged = runs[1] / DATA / CORPUS
    content = damaged.read_bytes()
    damaged.write_text("{", encoding="utf-8")
    with pytest.raises(NlpError, match=r"corpus\.json is damaged, it is not JSON"):
        summarize(runs)
    described = json.loads(content)
    for missing in ("parts", "sha256"):
        damaged.write_text(json.dumps({name: value for name, value in described.items() if name != missing}))
        with pytest.raises(NlpError, match=r"corpus\.json is damaged, it does not describe .*: delete \S+data, and"):
            summarize(runs)
    parts = described["parts"]
    damaged.write_text(json.dumps({**described, "parts": {"train": parts["train"]}}))
    with pytest.raises(NlpError, match="tells of no validation text"):
        summarize(runs)
    damaged.write_text(json.dumps({**described, "parts": {**parts, "valid": {"tokens": 9}}}))
    with pytest.raises(NlpError, match=r"corpus\.json is damaged"):
        summarize(runs)
    damaged.write_bytes(content)
