"""A whole run from Python: deterministic, better than the unigram where there is something to learn, judged whole."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nlp_helpers import PATTERN, pattern_corpus, random_corpus, tiny

import minigrad
import nlp
from nlp.errors import NlpError
from nlp.evaluate import evaluate_text
from nlp.experiment import Experiment, Results, use_threads
from nlp.run_folder import SAMPLE, WEIGHTS, RunFolder
from nlp.text import Corpus


def run(folder: Path, corpus: Corpus | None = None, **options: object) -> tuple[Experiment, Results]:
    experiment = Experiment(tiny(**options), corpus or pattern_corpus())
    target = RunFolder.create(folder, "x")
    for _ in experiment.train(target):
        pass
    return experiment, experiment.finish(target)


@pytest.mark.parametrize("level", ["word", "char"])
def test_a_repeated_sentence_is_learnt_and_written(level: str, tmp_path: Path) -> None:
    options = {"bptt": 20, "hidden": 48, "embedding": 24, "clip": 5.0} if level == "char" else {}
    experiment, results = run(tmp_path / "run", level=level, epochs=16, **options)
    assert results.model["test"].perplexity < 1.15
    assert results.unigram["test"] > 6
    assert PATTERN.strip() in results.sample
    words = {"word": PATTERN.split(), "char": list(PATTERN)}[level]
    tokens = 6 * (len(words) + (level == "word"))  # the end of a line is a token too
    assert results.model["test"].tokens == tokens == experiment.describe_corpus()["tokens"]["test"]


def test_two_runs_of_one_seed_leave_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        run(tmp_path / name, random_corpus(1), seed=seed, dropout=0.4, layers=2)
    a, b, c = ((tmp_path / name / WEIGHTS).read_bytes() for name in "abc")
    assert a == b
    assert a != c
    assert (tmp_path / "a" / SAMPLE).read_bytes() == (tmp_path / "b" / SAMPLE).read_bytes()


def test_what_was_drawn_before_does_not_matter(tmp_path: Path) -> None:
    run(tmp_path / "a", seed=5, dropout=0.4, epochs=1)
    minigrad.default_generator.uniform((1000,))
    run(tmp_path / "b", seed=5, dropout=0.4, epochs=1)
    assert (tmp_path / "a" / WEIGHTS).read_bytes() == (tmp_path / "b" / WEIGHTS).read_bytes()


def test_evaluating_the_test_text_later_gives_the_run_s_own_result(tmp_path: Path) -> None:
    experiment, results = run(tmp_path / "run", random_corpus(2), min_count=40)  # so that some words are unknown
    judged = evaluate_text(nlp.load(tmp_path / "run"), experiment.corpus.test)
    assert judged.model == results.model["test"]
    assert judged.unigram_perplexity == results.unigram["test"]
    assert judged.unknown > 0


def test_the_best_weights_are_judged_not_the_last(tmp_path: Path) -> None:
    experiment = Experiment(tiny(epochs=1), pattern_corpus())
    folder = RunFolder.create(tmp_path / "run", "x")
    list(experiment.train(folder))
    with minigrad.no_grad():
        experiment.model.decoder.weight.fill_(9.0)  # what a later, worse epoch may do
    results = experiment.finish(folder)
    assert results.model["valid"].loss == pytest.approx(experiment.trainer.best_loss, rel=0.05)


def test_the_vocabulary_is_that_of_the_training_text_alone() -> None:
    corpus = dataclasses.replace(pattern_corpus(), valid="zebra " + PATTERN)
    experiment = Experiment(tiny(min_count=1), corpus)
    assert "zebra" not in experiment.vocabulary
    assert experiment.held_out["valid"][1] == experiment.vocabulary.unk_id
    assert len(Experiment(tiny(vocab_size=5), corpus).vocabulary) == 5
    assert len(Experiment(tiny(min_count=61), corpus).vocabulary) == 3  # <unk>, <eos>, and "the" four times a line


def test_a_corpus_without_test_text_is_judged_on_validation_alone(tmp_path: Path) -> None:
    _, results = run(tmp_path / "run", dataclasses.replace(pattern_corpus(), test=None), epochs=1)
    assert set(results.model) == set(results.unigram) == {"valid"}


def test_a_text_shorter_than_a_batch_is_refused_with_both_numbers() -> None:
    with pytest.raises(NlpError, match="too short") as caught:
        Experiment(tiny(batch_size=500), pattern_corpus(20))
    assert "300" in str(caught.value)
    assert "1000" in str(caught.value)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(NlpError, match="--device warp"):
        Experiment(tiny(device="warp"), pattern_corpus())


def test_threads_are_those_asked_for() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    before = minigrad.get_num_threads()
    with threadpoolctl.threadpool_limits():  # puts the library's threads back afterwards
        use_threads(1)
        assert minigrad.get_num_threads() == 1
        assert {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"} == {1}
        use_threads(None)
        assert minigrad.get_num_threads() == 1
    minigrad.set_num_threads(before)


def test_the_text_part_needs_no_engine() -> None:
    program = "import sys, nlp.text; sys.exit('minigrad' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_stopping_keeps_the_best_weights_or_else_those_of_now(tmp_path: Path) -> None:
    experiment = Experiment(tiny(), pattern_corpus())
    folder = RunFolder.create(tmp_path / "run", "x")
    events = experiment.train(folder)
    next(events)
    assert not (folder.path / WEIGHTS).exists()
    assert "unfinished first epoch" in experiment.keep(folder)
    now = folder.load().model.state_dict()
    for name, value in experiment.model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), now[name].numpy())
    while not experiment.trainer.best:
        next(events)
    best = (folder.path / WEIGHTS).read_bytes()
    next(events)
    assert "best weights so far" in experiment.keep(folder)
    assert (folder.path / WEIGHTS).read_bytes() == best
