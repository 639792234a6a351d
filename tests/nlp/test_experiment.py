"""A whole run from Python: deterministic, better than the unigram where there is something to learn, judged whole."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nlp_helpers import PATTERN, pattern_corpus, random_corpus, tiny

import minigrad
import nlp
from nlp.errors import NlpError
from nlp.evaluation.scoring import WINDOW, evaluate, evaluate_text
from nlp.run_folder import BEST, SAMPLE
from nlp.tasks.language_modelling import Results
from nlp.text import Corpus, EvaluationBatches
from nlp.training.experiment import Experiment, use_threads


def run(folder: Path, corpus: Corpus | None = None, **options: object) -> tuple[Experiment, Results]:
    with Experiment.create(tiny(**options), corpus or pattern_corpus(), folder) as experiment:
        for _ in experiment.train():
            pass
        return experiment, experiment.finish()


def without(part: str) -> Corpus:
    corpus = pattern_corpus()
    return dataclasses.replace(corpus, parts={n: p for n, p in corpus.parts.items() if n != part})


@pytest.mark.parametrize("level", ["word", "char"])
def test_a_repeated_sentence_is_learnt_and_written(level: str, tmp_path: Path) -> None:
    options = {"bptt": 20, "hidden": 48, "embedding": 24, "clip": 5.0} if level == "char" else {}
    experiment, results = run(tmp_path / "run", level=level, epochs=16, **options)
    assert results.model["test"].perplexity < 1.15
    assert results.unigram["test"] > 6
    assert PATTERN.strip() in results.sample
    words = {"word": PATTERN.split(), "char": list(PATTERN)}[level]
    tokens = 6 * (len(words) + (level == "word"))  # the end of a line is a token too
    assert results.model["test"].tokens == tokens == experiment.corpus["parts"]["test"]["tokens"]


def test_two_runs_of_one_seed_leave_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        run(tmp_path / name, random_corpus(1), seed=seed, dropout=0.4, layers=2)
    a, b, c = ((tmp_path / name / BEST).read_bytes() for name in "abc")
    assert a == b
    assert a != c
    assert (tmp_path / "a" / SAMPLE).read_bytes() == (tmp_path / "b" / SAMPLE).read_bytes()


def test_what_was_drawn_before_does_not_matter(tmp_path: Path) -> None:
    run(tmp_path / "a", seed=5, dropout=0.4, epochs=1)
    minigrad.default_generator.uniform((1000,))
    run(tmp_path / "b", seed=5, dropout=0.4, epochs=1)
    assert (tmp_path / "a" / BEST).read_bytes() == (tmp_path / "b" / BEST).read_bytes()


def test_evaluating_the_test_text_later_gives_the_run_s_own_result(tmp_path: Path) -> None:
    corpus = random_corpus(2)
    _, results = run(tmp_path / "run", corpus, min_count=28)  # so that some words are unknown
    judged = evaluate_text(nlp.load(tmp_path / "run"), "".join(corpus.parts["test"].pieces()))
    assert judged.loss == pytest.approx(results.model["test"].loss, rel=1e-6)
    assert judged.tokens == results.model["test"].tokens
    assert judged.unigram_perplexity == pytest.approx(results.unigram["test"], rel=1e-9)
    assert judged.word_perplexity == pytest.approx(results.word_perplexity("test"), rel=1e-6)
    assert judged.bits_per_character == pytest.approx(results.bits_per_character("test"), rel=1e-6)
    assert judged.unknown > 0


def test_the_best_weights_are_judged_not_the_last(tmp_path: Path) -> None:
    with Experiment.create(tiny(epochs=1), pattern_corpus(), tmp_path / "run") as experiment:
        list(experiment.train())
        expected = evaluate(experiment.model, EvaluationBatches(experiment.prepared.ids["valid"], 1, WINDOW))
        with minigrad.no_grad():
            experiment.model.decoder.weight.fill_(9.0)  # what a later, worse epoch may do
        assert experiment.finish().model["valid"] == expected


def test_the_vocabulary_is_that_of_the_training_text_alone(tmp_path: Path) -> None:
    corpus = Corpus.of_texts("pattern", "x", train=PATTERN * 60, valid="zebra " + PATTERN * 6)
    sizes = []
    for number, options in enumerate(({"min_count": 1}, {"vocab_size": 5}, {"min_count": 61})):
        with Experiment.create(tiny(**options), corpus, tmp_path / f"{number}") as experiment:
            assert "zebra" not in experiment.vocabulary
            assert experiment.prepared.ids["valid"][1] == experiment.vocabulary.unk_id
            sizes.append(len(experiment.vocabulary))
    assert sizes[1:] == [5, 3]  # <unk>, <eos>, and "the" four times a line


def test_the_output_bias_starts_at_the_log_frequencies(tmp_path: Path) -> None:
    with Experiment.create(tiny(min_count=1), pattern_corpus(), tmp_path / "run") as experiment:
        counts = experiment.vocabulary.counts
        expected = np.log((counts + 1) / (counts.sum() + len(counts)))
        np.testing.assert_allclose(experiment.model.decoder.bias.detach().numpy(), expected, rtol=1e-5)
        unigram = experiment.vocabulary.unigram_perplexity(experiment.prepared.ids["valid"][1:])
        for parameter in (experiment.model.decoder.weight, experiment.model.embedding.weight):
            with minigrad.no_grad():
                parameter.zero_()
        results = experiment.finish()
    assert results.model["valid"].perplexity == pytest.approx(unigram, rel=1e-5)


def test_a_corpus_without_test_text_is_judged_on_validation_alone(tmp_path: Path) -> None:
    _, results = run(tmp_path / "run", without("test"), epochs=1)
    assert set(results.model) == set(results.unigram) == {"valid"}


def test_a_text_shorter_than_a_batch_is_refused_with_both_numbers_and_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(NlpError, match="too short") as caught:
        Experiment.create(tiny(batch_size=500), pattern_corpus(20), tmp_path / "run")
    assert "300" in str(caught.value)
    assert "1000" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NlpError, match="--device warp"):
        Experiment.create(tiny(device="warp"), pattern_corpus(), tmp_path / "run")


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"texts": ["book.txt"]}, r"a corpus has no 'texts' \(the nearest is 'text'\)"),
        ({"text": ""}, "the name of a text is empty"),
        ("book.txt", "the text is named by a dict such as .*, or is a Corpus, not 'book.txt'"),
    ],
)
def test_a_text_that_is_not_named_as_it_should_be_is_refused(text: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(NlpError, match=message):
        Experiment.create(tiny(), text, tmp_path / "run")
    assert not (tmp_path / "run").exists()
