"""Every language model as a run: trained, left and resumed to the same bytes, loaded, judged, writing, compared."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, get_args

import pytest
from nlp_helpers import call, finish, leave, pattern_corpus, same_run, told_in_one_sentence

import nlp
from nlp.config import NETWORKS, TRAINED, Config, Model, Output
from nlp.evaluation.scoring import evaluate
from nlp.generation import generate
from nlp.run_folder import BEST
from nlp.text import EvaluationBatches
from nlp.training.experiment import Experiment

SMALL: dict[str, Any] = {
    "irnn": {"lr": 0.005},
    "maxent": {"maxent_size": 2000, "lr": 0.2},
    "deep-transition": {"input_depth": 2, "output_depth": 2},
    "window": {"order": 4},
    "jordan": {"teacher_forcing": 0.5},
    "ngram": {"order": 3},
}
CASES = {
    **{model: {"model": model, **SMALL.get(model, {})} for model in get_args(Model)},
    **{f"output {output}": {"model": "gru", "output": output} for output in get_args(Output)},
    "window nce": {"model": "window", "output": "nce"},
    "skip": {"model": "lstm", "layers": 2, "skip": True},
    "dropout_recurrent": {"model": "gru", "dropout_recurrent": 0.3, "dropout": 0.2, "locked": True},
    "maxent beside": {"model": "rnn", "maxent_order": 2, "maxent_size": 1000},
}


def config_of(case: str) -> Config:
    options = CASES[case]
    model = options["model"]
    if "output" in options and options["output"] in get_args(Output)[3:]:
        options = {**options, "samples": 5}
    if model not in TRAINED:
        return Config.choose(min_count=1, **options)
    sizes = {"embedding": 12, "hidden": 12, "dropout": 0.0} if model in NETWORKS else {}
    layers = {"layers": 1} if model in ("lstm", "gru", "rnn", "irnn") else {}
    training = {"bptt": 8, "batch_size": 4, "epochs": 2, "lr": 0.02, "min_count": 1}
    return Config.choose(**{**sizes, **layers, **training, **options})


@pytest.mark.parametrize("case", CASES)
def test_a_run_of_every_model_is_whole(case: str, tmp_path: Path) -> None:
    config = config_of(case)
    run = tmp_path / "run"
    results = finish(Experiment.create(config, pattern_corpus(), run))
    assert results.model["test"].perplexity < results.unigram["test"]
    loaded = nlp.load(run)
    with Experiment.resume(run) as experiment:
        again = evaluate(loaded.model, EvaluationBatches(experiment.prepared.ids["valid"], 1, 50))
    assert again.loss == pytest.approx(results.model["valid"].loss, rel=1e-4)
    written = "".join(generate(loaded, "the cat", length=12, seed=3))
    assert written == "".join(generate(nlp.load(run), "the cat", length=12, seed=3))
    assert len(written.split()) >= 12
    assert (run / "curves.png").exists()


@pytest.mark.parametrize("case", CASES)
def test_a_run_of_every_model_that_is_left_goes_on_to_the_same_bytes(case: str, tmp_path: Path) -> None:
    config = config_of(case)
    finish(Experiment.create(config, pattern_corpus(20), tmp_path / "straight"))
    leave(Experiment.create(config, pattern_corpus(20), tmp_path / "left"), after=4)
    finish(Experiment.resume(tmp_path / "left"))
    same_run(tmp_path / "left", tmp_path / "straight")


def test_models_of_all_kinds_are_compared_and_mixed(tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("ngram", "lstm", "window")]
    for run in runs:
        finish(Experiment.create(config_of(run.name), pattern_corpus(), run))
    shown = call("compare", *runs, "--out", tmp_path / "picture.png")
    assert shown.exit_code == 0, shown.output
    mixed = call("mix", *runs)
    assert mixed.exit_code == 0, mixed.output


def test_what_a_model_of_counts_cannot_do_is_told(tmp_path: Path) -> None:
    run = tmp_path / "ngram"
    config = Config.choose(model="ngram", order=2, smoothing="ml", min_count=1)
    results = finish(Experiment.create(config, pattern_corpus(), run))
    assert math.isfinite(results.model["test"].perplexity)  # the test text has no new pair of words
    assert call("inspect", run).exit_code == 0
    for near in (["inspect", run, "--word", "cat"], ["words", "near", run, "cat"]):
        told_in_one_sentence(near, "of the kind ngram has no vector for each token, so that no words can be compared")
    dry = call("train", "--dry-run", "--model", "ngram")
    assert dry.exit_code == 2
    assert "--model ngram makes none" in dry.stderr
    assert (run / BEST).exists()


def test_what_is_never_written_is_where_nothing_else_is_foreseen(tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = Config.choose(model="ngram", order=2, smoothing="ml", min_count=61)
    finish(Experiment.create(config, pattern_corpus(), run))
    for way in (("--seed", 1), ("--beam", 3)):
        written = call("generate", run, "--prompt", "the", "--length", 2, *way)  # all words but "the" are unknown
        assert written.exit_code == 0, written.output
        assert written.stdout.split()[:2] == ["the", "<unk>"]
