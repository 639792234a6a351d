"""Counting with a trainer's face: what it yields, what it leaves, and how it goes on."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import minigrad
from nlp.errors import NlpError
from nlp.evaluation.scoring import evaluate
from nlp.models.ngram import NGramLM
from nlp.text import EvaluationBatches
from nlp.training.count_trainer import CountingTrainer
from nlp.training.events import Epoch, Tick

V = 5
TEXT = np.random.default_rng(0).integers(0, V - 1, 300).astype(np.uint16)
VALID = np.random.default_rng(1).integers(0, V - 1, 50).astype(np.uint16)


def valid() -> EvaluationBatches:
    return EvaluationBatches(VALID, 2, 7)


def test_one_epoch_with_ticks_on_the_way() -> None:
    trainer = CountingTrainer(NGramLM(V, 3))
    *ticks, epoch = list(trainer.train(TEXT, valid()))
    assert all(isinstance(tick, Tick) and tick.epoch == 1 for tick in ticks)
    assert [tick.step for tick in ticks if not tick.validating] == [100, 200, 300]
    assert sum(tick.validating for tick in ticks) == 1 + len(valid())
    assert isinstance(epoch, Epoch)
    expected = NGramLM(V, 3).count(TEXT)
    assert epoch.train_loss == evaluate(expected, EvaluationBatches(TEXT, 1, 1000)).loss
    assert epoch.valid_loss == evaluate(expected, valid()).loss == trainer.best_loss
    assert (epoch.epoch, epoch.improved, epoch.averaged, epoch.lr) == (1, True, False, 0.0)
    assert epoch.end
    assert epoch.tokens_per_second > 0
    assert (trainer.epoch, trainer.update, trainer.valid_losses) == (1, 1, [epoch.valid_loss])
    other = NGramLM(V, 3)
    other.load_state_dict(trainer.best)
    assert evaluate(other, valid()) == evaluate(expected, valid())


def test_the_loss_of_an_impossible_text_is_infinite() -> None:
    *_, epoch = CountingTrainer(NGramLM(V, 1, "ml")).train(TEXT, EvaluationBatches(np.array([0, V - 1]), 1, 2))
    assert isinstance(epoch, Epoch)
    assert math.isfinite(epoch.train_loss)
    assert epoch.valid_loss == epoch.valid_perplexity == math.inf


def test_a_text_of_one_token_has_no_training_loss() -> None:
    *_, epoch = CountingTrainer(NGramLM(V, 1)).train(TEXT[:1], valid())
    assert isinstance(epoch, Epoch)
    assert math.isnan(epoch.train_loss)
    assert math.isfinite(epoch.valid_loss)


@pytest.mark.parametrize("steps", [0, 2, 4])  # before the counting, within it, when the model is judged
def test_what_is_broken_off_begins_again(steps: int, tmp_path: Path) -> None:
    trainer = CountingTrainer(NGramLM(V, 3))
    events = trainer.train(TEXT, valid())
    for _ in range(steps):
        next(events)
    minigrad.save(trainer.state_dict(), tmp_path / "last.safetensors")
    other = CountingTrainer(NGramLM(V, 3))
    other.load_state_dict(minigrad.load(tmp_path / "last.safetensors"))
    assert other.epoch == 0
    assert not other.best
    *_, there = other.train(TEXT, valid())
    *_, here = events
    assert isinstance(there, Epoch)
    assert isinstance(here, Epoch)
    assert (there.train_loss, there.valid_loss) == (here.train_loss, here.valid_loss)


def test_what_is_counted_is_not_counted_again(tmp_path: Path) -> None:
    trainer = CountingTrainer(NGramLM(V, 3))
    *_, epoch = trainer.train(TEXT, valid())
    path = tmp_path / "last.safetensors"
    minigrad.save(trainer.state_dict(), path)
    tables = sum(table.numel() * table.element_size() for table in trainer.best.values())
    assert path.stat().st_size < 2 * tables  # they are in it once
    other = CountingTrainer(NGramLM(V, 3))
    other.load_state_dict(minigrad.load(path))
    assert list(other.train(TEXT, valid())) == []
    assert isinstance(epoch, Epoch)
    assert (other.epoch, other.update, other.best_loss, other.seconds) == (1, 1, epoch.valid_loss, epoch.seconds)
    assert evaluate(other.model, valid()) == evaluate(trainer.model, valid())
    assert other.best.keys() == trainer.best.keys()


def test_a_text_that_is_too_short_is_refused() -> None:
    with pytest.raises(NlpError, match="a text of 2 tokens has no n-gram of 3"):
        next(CountingTrainer(NGramLM(V, 3)).train(TEXT[:2], valid()))
