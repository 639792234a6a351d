"""The trainer: it learns what is certain, cannot learn what is not, keeps the best, and goes the same way twice."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nlp_helpers import PATTERN

import minigrad
from minigrad import Tensor
from minigrad.testing import standin
from nlp.errors import NlpError
from nlp.models.rnn_lm import CELLS, RNNLM
from nlp.text import BpttBatches, EvaluationBatches
from nlp.train import DECAY, OPTIMIZERS, REPORT_EVERY, Epoch, Step, Trainer

RATES = {"sgd": 4.0, "adam": 0.02, "adagrad": 0.2, "rmsprop": 0.01}


def pattern_ids(repeats: int = 60) -> tuple[np.ndarray, int]:
    """The words of one sentence again and again, as ids; and how many different ones there are."""
    words = PATTERN.split()
    names = sorted(set(words))
    return np.array([names.index(word) for word in words * repeats], dtype=np.int32), len(names)


def train(
    seed: int = 0, epochs: int = 3, cell: str = "lstm", ids: np.ndarray | None = None, **options: object
) -> tuple[Trainer, list[Step | Epoch]]:
    known, size = pattern_ids()
    ids = known if ids is None else ids
    minigrad.manual_seed(seed)
    trainer = Trainer(RNNLM(size, 12, 12, 1, 0.1, cell), **options)  # type: ignore[arg-type]
    events = list(trainer.train(BpttBatches(ids, 4, 8), EvaluationBatches(ids[:200], 4, 8), epochs))
    return trainer, events


def weights(trainer: Trainer) -> bytes:
    return b"".join(value.numpy().tobytes() for value in trainer.best.values())


def epochs_of(events: list[Step | Epoch]) -> list[Epoch]:
    return [event for event in events if isinstance(event, Epoch)]


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_every_optimizer_learns_a_repeated_sentence(optimizer: str) -> None:
    trainer, _ = train(epochs=12, optimizer=optimizer, lr=RATES[optimizer], clip=0.25 if optimizer == "sgd" else 1.0)
    # "the" is followed by four words, each foretold by what stands before it: nothing is left to chance
    assert math.exp(trainer.best_loss) < 1.1


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_every_cell_learns_a_repeated_sentence(cell: str) -> None:
    trainer, _ = train(epochs=10, cell=cell, lr=0.02)
    assert math.exp(trainer.best_loss) < 1.1


def test_what_is_random_cannot_be_learnt() -> None:
    size = pattern_ids()[1]
    ids = np.random.default_rng(5).integers(0, size, 3000)
    trainer, events = train(epochs=4, ids=ids, lr=0.02)
    assert math.exp(epochs_of(events)[0].train_loss) > 0.8 * size
    assert math.exp(trainer.best_loss) > 0.6 * size  # it may learn some of the 3,000 by heart, but not soon


@settings(max_examples=4)
@given(st.integers(0, 2**63 - 1))
def test_the_same_seed_gives_the_same_bytes(seed: int) -> None:
    first, second, other = train(seed), train(seed), train(seed ^ 1)
    assert weights(first[0]) == weights(second[0])
    assert [event.train_loss for event in epochs_of(first[1])] == [event.train_loss for event in epochs_of(second[1])]
    assert weights(first[0]) != weights(other[0])


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_a_trainer_that_is_saved_and_loaded_goes_on_to_the_same_bytes(optimizer: str, tmp_path) -> None:
    ids, size = pattern_ids(20)
    batches, valid = BpttBatches(ids, 4, 8), EvaluationBatches(ids[:100], 4, 8)

    def fresh(seed: int) -> Trainer:
        minigrad.manual_seed(seed)
        return Trainer(RNNLM(size, 12, 12, 2, 0.3), optimizer=optimizer, lr=RATES[optimizer])

    straight = fresh(1)
    list(straight.train(batches, valid, 4))
    stopped = fresh(1)
    list(stopped.train(batches, valid, 2))
    minigrad.save(stopped.state_dict(), tmp_path / "state.safetensors")
    resumed = fresh(99)
    resumed.load_state_dict(minigrad.load(tmp_path / "state.safetensors"))
    list(resumed.train(batches, valid, 4))
    assert weights(resumed) == weights(straight)
    assert resumed.best_loss == straight.best_loss
    assert resumed.epoch == 4


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    """Let the validation losses be these, one an epoch."""
    coming: Iterator[float] = iter(losses)
    monkeypatch.setattr("nlp.train.evaluate", lambda model, batches: type("E", (), {"loss": next(coming)}))


def test_the_best_epoch_s_weights_are_kept_and_training_ends_without_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [3.0, 2.0, 2.5, 2.1, 1.0])
    ids, size = pattern_ids(5)
    trainer = Trainer(RNNLM(size, 8, 8, 1), patience=2, lr=0.08)
    snapshots, reports = [], []
    for event in trainer.train(BpttBatches(ids, 4, 8), EvaluationBatches(ids, 4, 8), 10):
        if isinstance(event, Epoch):
            snapshots.append({name: value.numpy().copy() for name, value in trainer.model.state_dict().items()})
            reports.append(event)
    assert [report.improved for report in reports] == [True, True, False, False]
    assert reports[-1].end == "no progress for 2 epochs"
    assert [report.lr for report in reports] == [0.08, 0.08, 0.08, 0.08 / DECAY]
    assert trainer.best_loss == 2.0
    for name, value in trainer.best.items():
        np.testing.assert_array_equal(value.numpy(), snapshots[1][name])
    assert any(not np.array_equal(snapshots[1][name], snapshots[3][name]) for name in snapshots[1])


def test_a_loss_that_is_no_number_stops_training_and_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    ids, size = pattern_ids()
    trainer = Trainer(RNNLM(size, 8, 8, 1), optimizer="sgd", lr=0.1)
    batches, valid = BpttBatches(ids, 4, 8), EvaluationBatches(ids, 4, 8)
    list(trainer.train(batches, valid, 1))
    kept = weights(trainer)
    with minigrad.no_grad():
        trainer.model.decoder.weight[0, 0] = float("nan")
    with pytest.raises(NlpError, match="the loss became nan in epoch 2; lower --lr"):
        list(trainer.train(batches, valid, 2))
    assert weights(trainer) == kept
    monkeypatch.setattr(Trainer, "_pass", _no_pass)
    with pytest.raises(NlpError, match="the validation loss became nan in epoch 2"):
        list(trainer.train(batches, valid, 2))
    assert weights(trainer) == kept


def _no_pass(trainer: Trainer, batches: BpttBatches) -> Iterator[Step]:
    return 1.0, 1.0
    yield  # a generator that yields nothing


@settings(max_examples=10)
@given(st.integers(1, 7), st.integers(1, 12), st.integers(40, 400))
def test_the_reports_add_up_to_the_epoch(batch_size: int, bptt: int, length: int) -> None:
    ids, size = pattern_ids(40)
    batches = BpttBatches(ids[:length], batch_size, bptt)
    trainer = Trainer(RNNLM(size, 4, 4, 1))
    *steps, epoch = trainer.train(batches, EvaluationBatches(ids[:50], 1, 50), 1)
    sizes = [target.size for _, target in batches]
    ends = [step.step for step in steps]
    assert ends[-1] == len(batches)
    assert all(end % REPORT_EVERY == 0 for end in ends[:-1])
    counts = [sum(sizes[start:end]) for start, end in zip([0, *ends], ends)]
    expected = np.average([step.loss for step in steps], weights=counts)
    np.testing.assert_allclose(epoch.train_loss, expected, rtol=1e-6)


def test_the_state_is_carried_from_window_to_window_and_is_fresh_in_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    ids, size = pattern_ids(4)
    model = RNNLM(size, 4, 4, 1)
    given, returned = [], []
    whole = RNNLM.loss

    def watched(self: RNNLM, input: Tensor, target: Tensor, state: Any = None, reduction: str = "mean") -> Any:
        loss, after = whole(self, input, target, state, reduction)
        if self.training:
            given.append(state)
            returned.append([part.detach().numpy().copy() for part in after])
        return loss, after

    monkeypatch.setattr(RNNLM, "loss", watched)
    batches = BpttBatches(ids, 4, 5)
    list(Trainer(model).train(batches, EvaluationBatches(ids, 2, 5), 2))
    assert len(given) == 2 * len(batches) > 4
    for window, state in enumerate(given):
        if window % len(batches) == 0:
            assert state is None
            continue
        for part, before in zip(state, returned[window - 1]):
            np.testing.assert_array_equal(part.numpy(), before)
            assert not part.requires_grad


def test_time_that_is_up_ends_training_with_a_validation() -> None:
    trainer, events = train(epochs=50, max_minutes=1e-9)
    assert [type(event) for event in events] == [Step, Epoch]
    assert events[0].step == 1
    assert events[-1].end == "the time is up"
    assert trainer.best


@pytest.mark.parametrize("clip", [0.0, 0.01])
def test_clipping_bounds_the_step(clip: float) -> None:
    ids, size = pattern_ids(5)
    minigrad.manual_seed(3)
    model = RNNLM(size, 8, 8, 1)
    trainer = Trainer(model, optimizer="sgd", lr=1.0, clip=clip)
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    input, target = next(iter(BpttBatches(ids, 4, 8)))
    trainer._step(minigrad.tensor(input), minigrad.tensor(target), None)
    moved = math.sqrt(sum(((value.numpy() - before[name]) ** 2).sum() for name, value in model.state_dict().items()))
    if clip:
        np.testing.assert_allclose(moved, clip, rtol=1e-3)
    else:
        assert moved > 0.05


def test_a_training_step_does_not_wait_for_the_device() -> None:
    standin.install()
    ids, size = pattern_ids(5)
    model = RNNLM(size, 8, 8, 2, 0.2).to("standin")
    trainer = Trainer(model, lr=0.01)
    input, target = (minigrad.tensor(part, device="standin") for part in next(iter(BpttBatches(ids, 4, 8))))
    _, state = trainer._step(input, target, None)
    with standin.no_synchronisation():
        trainer._step(input, target, state)


def test_training_on_the_stand_in_device_follows_the_cpu() -> None:
    standin.install()
    ids, size = pattern_ids(8)
    losses = []
    for device in ("cpu", "standin"):
        minigrad.manual_seed(7)
        trainer = Trainer(RNNLM(size, 8, 8, 1, 0.0).to(device), lr=0.02)
        events = trainer.train(BpttBatches(ids, 4, 8), EvaluationBatches(ids, 2, 8), 2)
        losses.append([event.valid_loss for event in events if isinstance(event, Epoch)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
