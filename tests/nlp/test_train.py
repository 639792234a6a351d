"""The trainer: it learns what is certain, cannot learn what is not, keeps the best, and goes the same way twice."""

from __future__ import annotations

import gc
import math
import tracemalloc
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
from nlp.training.events import Epoch, Step, Tick
from nlp.training.trainer import OPTIMIZERS, REPORT_EVERY, SCHEDULES, Trainer

RATES = {"sgd": 4.0, "adam": 0.02, "adamw": 0.02, "nadam": 0.02, "adagrad": 0.2, "adadelta": 4.0, "rmsprop": 0.01}


def pattern_ids(repeats: int = 60) -> tuple[np.ndarray, int]:
    """The words of one sentence again and again, as ids; and how many different ones there are."""
    words = PATTERN.split()
    names = sorted(set(words))
    return np.array([names.index(word) for word in words * repeats], dtype=np.int32), len(names)


def train(
    seed: int = 0, epochs: int = 3, cell: str = "lstm", ids: np.ndarray | None = None, **options: object
) -> tuple[Trainer, list[Tick | Step | Epoch]]:
    known, size = pattern_ids()
    ids = known if ids is None else ids
    minigrad.manual_seed(seed)
    trainer = Trainer(RNNLM(size, 12, 12, 1, 0.1, cell), epochs=epochs, **options)  # type: ignore[arg-type]
    events = list(trainer.train(BpttBatches(ids, 4, 8), EvaluationBatches(ids[:200], 4, 8)))
    return trainer, events


def weights(trainer: Trainer) -> bytes:
    return b"".join(value.numpy().tobytes() for value in trainer.best.values())


def epochs_of(events: list[Any]) -> list[Epoch]:
    return [event for event in events if isinstance(event, Epoch)]


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_every_optimizer_learns_a_repeated_sentence(optimizer: str) -> None:
    trainer, _ = train(epochs=12, optimizer=optimizer, lr=RATES[optimizer], clip=0.25 if optimizer == "sgd" else 1.0)
    # "the" is followed by four words, each foretold by what stands before it: nothing is left to chance
    assert math.exp(trainer.best_loss) < 1.1


@pytest.mark.parametrize("cell", sorted(CELLS.keys() - {"irnn"}))  # that one needs more steps: tests/nlp/models
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


BATCHES = BpttBatches(pattern_ids(12)[0], 3, 8)
VALID = EvaluationBatches(pattern_ids(12)[0][:60], 2, 8)
LAST_START = (len(BATCHES) - 1) * BATCHES.bptt  # where the last window of an epoch begins


def resumable(seed: int, **options: Any) -> Trainer:
    """A trainer with everything that draws random numbers or keeps a state."""
    minigrad.manual_seed(seed)
    model = RNNLM(pattern_ids()[1], 6, 8, 2, 0.3, tied=True, locked=True, dropout_words=0.2, weight_drop=0.3)
    return Trainer(model, epochs=4, patience=0, bptt_drawn=True, **options)


settings_of_trainers = st.one_of(
    st.fixed_dictionaries(
        {"optimizer": st.sampled_from(sorted(OPTIMIZERS)), "schedule": st.sampled_from(SCHEDULES)}
    ).map(lambda drawn: {**drawn, "lr": RATES[drawn["optimizer"]]}),
    st.just({"optimizer": "sgd", "lr": 30.0, "nt_asgd": 1, "schedule": "plateau"}),  # so fast that it must average
)


@settings(max_examples=25)
@given(settings_of_trainers, st.data())
def test_stopped_at_any_tick_and_resumed_it_comes_to_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, options: dict[str, Any], data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "state.safetensors"
    straight = resumable(1, **options)
    events = list(straight.train(BATCHES, VALID))
    going, again = iter(()), resumable(1, **options)
    seen: list[Any] = []
    stops = data.draw(st.lists(st.integers(1, len(events)), max_size=3, unique=True), label="stop after")
    for stop in [*sorted(stops), None]:
        going = again.train(BATCHES, VALID)
        while stop is None or len(seen) < stop or isinstance(seen[-1], Step):  # the Tick of that update follows
            event = next(going, None)
            if event is None:
                break
            seen.append(event)
        minigrad.save(again.state_dict(), path)
        if isinstance(seen[-1], Tick) and seen[-1].validating:  # the validation begins anew
            while isinstance(seen[-1], Tick) and seen[-1].validating:
                seen.pop()
        going.close()
        again = resumable(99, **options)
        again.load_state_dict(minigrad.load(path))
    assert weights(again) == weights(straight)
    assert {n: v.numpy().tobytes() for n, v in again.model.state_dict().items()} == {
        n: v.numpy().tobytes() for n, v in straight.model.state_dict().items()
    }
    assert [without_time(event) for event in seen] == [without_time(event) for event in events]


def without_time(event: Any) -> dict[str, Any]:
    return {n: v for n, v in vars(event).items() if n not in ("seconds", "tokens_per_second")}


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    """Let the validation losses be these, one an epoch."""
    coming: Iterator[float] = iter(losses)

    def judge(model: Any, batches: Any) -> Iterator[None]:
        return type("Evaluation", (), {"loss": next(coming)})
        yield  # a generator that yields nothing

    monkeypatch.setattr("nlp.training.trainer.evaluation_steps", judge)


def test_the_best_epoch_s_weights_are_kept_and_training_ends_without_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [3.0, 2.0, 2.5, 2.1, 1.0])
    ids, size = pattern_ids(5)
    trainer = Trainer(RNNLM(size, 8, 8, 1), patience=2, lr=0.08, epochs=10)
    snapshots, reports = [], []
    for event in trainer.train(BpttBatches(ids, 4, 8), EvaluationBatches(ids, 4, 8)):
        if isinstance(event, Epoch):
            snapshots.append({name: value.numpy().copy() for name, value in trainer.model.state_dict().items()})
            reports.append(event)
    assert [report.improved for report in reports] == [True, True, False, False]
    assert reports[-1].end == "no progress for 2 epochs"
    assert [report.lr for report in reports] == [0.08, 0.08, 0.08, 0.08 / 4]
    assert trainer.best_loss == 2.0
    for name, value in trainer.best.items():
        np.testing.assert_array_equal(value.numpy(), snapshots[1][name])
    assert any(not np.array_equal(snapshots[1][name], snapshots[3][name]) for name in snapshots[1])


@pytest.mark.parametrize(
    ("nt_asgd", "losses", "averaged"),
    [
        (0, [3.0, 4.0, 5.0, 6.0, 7.0], [False] * 5),
        (1, [3.0, 2.5, 2.6, 2.0, 1.9], [False, False, False, False, False]),  # above the last, not the one before it
        (1, [3.0, 2.5, 2.6, 2.7, 2.0], [False, False, False, False, True]),
        (2, [3.0, 3.5, 3.4, 3.3, 3.0], [False, False, False, False, True]),
    ],
)
def test_averaging_begins_when_the_loss_is_above_the_least_of_n_epochs_before(
    nt_asgd: int, losses: list[float], averaged: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, losses)
    trainer = Trainer(RNNLM(pattern_ids()[1], 4, 4, 1), optimizer="sgd", lr=0.1, nt_asgd=nt_asgd, epochs=5, patience=0)
    assert [event.averaged for event in epochs_of(list(trainer.train(BATCHES, VALID)))] == averaged


def test_averaging_validates_and_keeps_the_mean_of_the_weights_and_trains_on_with_the_weights() -> None:
    minigrad.manual_seed(2)
    model = RNNLM(pattern_ids()[1], 4, 4, 1)
    trainer = Trainer(model, optimizer="sgd", lr=1.0, schedule="constant", epochs=1)
    trainer._begin_averaging()
    passed: list[np.ndarray] = []
    validated = []
    for event in trainer.train(BATCHES, VALID):
        value = model.decoder.weight.detach().numpy().copy()
        if isinstance(event, Tick):
            (validated if event.validating else passed).append(value)
    mean = np.mean(np.array(passed[1:], dtype=np.float64), axis=0)  # ASGD's mean begins with its second step
    np.testing.assert_allclose(validated[0], mean, atol=1e-5)
    np.testing.assert_allclose(trainer.best["decoder.weight"].numpy(), mean, atol=1e-5)
    np.testing.assert_array_equal(model.decoder.weight.detach().numpy(), passed[-1])


@pytest.mark.parametrize(
    ("schedule", "options", "rates"),
    [
        ("constant", {}, [1, 1, 1, 1, 1]),
        ("plateau", {"decay": 4.0}, [1, 1, 1, 1 / 4, 1 / 16]),
        ("plateau", {"decay": 1.0}, [1, 1, 1, 1, 1]),
        ("exponential", {"decay": 2.0, "decay_after": 2}, [1, 1, 1 / 2, 1 / 4, 1 / 8]),
        ("exponential", {"decay": 1.2, "decay_after": 0}, [1.2**-n for n in range(1, 6)]),
        ("cosine", {}, [(1 + math.cos(math.pi * n / 5)) / 2 for n in range(5)]),
        ("linear", {}, [1 - (epoch + LAST_START / BATCHES.steps) / 5 for epoch in range(5)]),
    ],
)
def test_the_learning_rate_falls_as_the_schedule_says(
    schedule: str, options: dict[str, float], rates: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [3.0, 2.0, 2.5, 2.1, 1.0])
    model = RNNLM(pattern_ids()[1], 4, 4, 1)
    trainer = Trainer(model, optimizer="sgd", lr=0.1, schedule=schedule, epochs=5, patience=0, **options)  # type: ignore[arg-type]
    events = epochs_of(list(trainer.train(BATCHES, VALID)))
    np.testing.assert_allclose([event.lr for event in events], [0.1 * rate for rate in rates], rtol=1e-12)


def test_the_linear_schedule_falls_with_every_update(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(RNNLM(pattern_ids()[1], 4, 4, 1), optimizer="sgd", lr=0.1, schedule="linear", epochs=2)
    rates, step = [], trainer.optimizer.step
    monkeypatch.setattr(trainer.optimizer, "step", lambda: rates.append(trainer.lr) or step())
    list(trainer.train(BATCHES, VALID))
    starts = [start / BATCHES.steps for start in range(0, BATCHES.steps, BATCHES.bptt)]
    left = [1 - (epoch + start) / 2 for epoch in range(2) for start in starts]
    np.testing.assert_allclose(rates, [0.1 * share for share in left], rtol=1e-12)


def test_a_loss_that_is_no_number_stops_training_before_the_weights_are_spoilt() -> None:
    ids, size = pattern_ids()
    trainer = Trainer(RNNLM(size, 8, 8, 1), optimizer="sgd", lr=0.1, epochs=2)
    events = trainer.train(BpttBatches(ids, 4, 8), EvaluationBatches(ids, 4, 8))
    while not isinstance(next(events), Epoch):
        pass
    kept, update = weights(trainer), trainer.update
    with minigrad.no_grad():
        trainer.model.layers[0].weight_hh_l0[0, 0] = 1e30
        trainer.model.decoder.weight[0] = float("inf")
    before = {name: value.numpy().copy() for name, value in trainer.model.state_dict().items()}
    with pytest.raises(NlpError, match=rf"broke off in update {update + 1} \(epoch 2\): .*; lower --lr") as caught:
        list(events)
    assert "the weight decoder.weight was no longer finite" in str(caught.value)
    for name, value in trainer.model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert weights(trainer) == kept


def test_a_weight_that_is_no_number_is_named() -> None:
    trainer = Trainer(RNNLM(pattern_ids()[1], 8, 8, 2), epochs=1)
    with minigrad.no_grad():
        trainer.model.layers[1].bias_ih_l0[3] = float("nan")
    with pytest.raises(NlpError, match=r"update 1 .* the weight layers\.1\.bias_ih_l0 was no longer finite"):
        list(trainer.train(BATCHES, VALID))


def test_on_a_device_that_is_not_waited_for_the_report_finds_the_update(monkeypatch: pytest.MonkeyPatch) -> None:
    standin.install()
    trainer = Trainer(RNNLM(pattern_ids()[1], 4, 4, 1).to("standin"), epochs=1, lr=0.01)
    real = RNNLM.objective

    def spoilt(self: RNNLM, *given: Any) -> Any:
        objective, loss, state = real(self, *given)
        factor = float("nan") if trainer.update == 4 else 1.0
        return objective * factor, loss * factor, state

    monkeypatch.setattr(RNNLM, "objective", spoilt)
    with pytest.raises(NlpError, match="broke off in update 5 "):
        list(trainer.train(BATCHES, VALID))
    with pytest.raises(NlpError, match="broke off in update 5 "):  # and such a state is not saved
        trainer.state_dict()


def test_a_validation_loss_that_is_no_number_stops_training(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [2.0, math.inf])
    trainer = Trainer(RNNLM(pattern_ids()[1], 4, 4, 1), epochs=3)
    with pytest.raises(NlpError, match="the validation loss became inf after epoch 2; lower --lr"):
        list(trainer.train(BATCHES, VALID))


@settings(max_examples=10)
@given(st.integers(1, 7), st.integers(1, 12), st.integers(40, 400))
def test_the_reports_add_up_to_the_epoch(batch_size: int, bptt: int, length: int) -> None:
    ids, size = pattern_ids(40)
    batches = BpttBatches(ids[:length], batch_size, bptt)
    trainer = Trainer(RNNLM(size, 4, 4, 1), epochs=1)
    *events, epoch = trainer.train(batches, EvaluationBatches(ids[:50], 1, 50))
    sizes = [target.size for _, target in batches]
    steps = [event for event in events if isinstance(event, Step)]
    ends = [step.update for step in steps]
    assert ends[-1] == len(batches)
    assert (steps[-1].step, steps[-1].steps) == (batches.steps, batches.steps)
    assert all(end % REPORT_EVERY == 0 for end in ends[:-1])
    counts = [sum(sizes[start:end]) for start, end in zip([0, *ends], ends)]
    expected = np.average([step.loss for step in steps], weights=counts)
    np.testing.assert_allclose(epoch.train_loss, expected, rtol=1e-6)


def test_the_state_is_carried_from_window_to_window_and_is_fresh_in_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    ids, size = pattern_ids(4)
    model = RNNLM(size, 4, 4, 1)
    given, returned = [], []
    whole = RNNLM.objective

    def watched(self: RNNLM, input: Tensor, target: Tensor, state: Any = None) -> Any:
        objective, loss, after = whole(self, input, target, state)
        given.append(None if state is None else state[0])
        returned.append([part.detach().numpy().copy() for part in after[0]])
        return objective, loss, after

    monkeypatch.setattr(RNNLM, "objective", watched)
    batches = BpttBatches(ids, 4, 5)
    list(Trainer(model, epochs=2).train(batches, EvaluationBatches(ids, 2, 5)))
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
    assert [type(event) for event in events if not isinstance(event, Tick)] == [Step, Epoch]
    assert events[0].update == 1
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
    trainer._update(input, target, 1.0)
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
    input, target = next(iter(BpttBatches(ids, 4, 8)))
    trainer._update(input, target, 1.0)
    with standin.no_synchronisation():
        trainer._update(input, target, 1.0)


def test_training_on_the_stand_in_device_follows_the_cpu() -> None:
    standin.install()
    ids, size = pattern_ids(8)
    losses = []
    for device in ("cpu", "standin"):
        minigrad.manual_seed(7)
        trainer = Trainer(RNNLM(size, 8, 8, 1, 0.0).to(device), lr=0.02, epochs=2)
        events = trainer.train(BpttBatches(ids, 4, 8), EvaluationBatches(ids, 2, 8))
        losses.append([event.valid_loss for event in events if isinstance(event, Epoch)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_memory_stays_flat() -> None:
    # 72 units: a bias and its gradient have more than the 1,024 bytes up to which NumPy keeps a freed array's memory
    # for the next of its size. That stock grows by chance, so blocks of such sizes are left out of the count.
    trainer = Trainer(RNNLM(pattern_ids()[1], 72, 72, 2, 0.2), epochs=16, patience=0, lr=0.001)
    held = []
    tracemalloc.start()
    try:
        for event in trainer.train(BATCHES, VALID):
            if isinstance(event, Epoch):
                gc.collect()
                sizes = [trace.size for trace in tracemalloc.take_snapshot().traces]
                held.append(sum(size for size in sizes if size > 1024))
    finally:
        tracemalloc.stop()
    assert trainer.update > 50
    # One array kept from every update would be 7,000 bytes and more an epoch.
    assert (held[-1] - held[3]) / (len(held) - 4) < 1000, held


def test_a_short_window_moves_the_weights_in_proportion() -> None:
    input, target = next(iter(BATCHES))
    moved = []
    for share in (1.0, 0.25):
        minigrad.manual_seed(5)
        trainer = Trainer(RNNLM(pattern_ids()[1], 8, 8, 1, 0.0), optimizer="sgd", lr=1.0, clip=0)
        before = trainer.model.decoder.weight.detach().numpy().copy()
        trainer._update(input, target, share)
        moved.append(trainer.model.decoder.weight.detach().numpy() - before)
        assert trainer.lr == 1.0
    np.testing.assert_allclose(moved[1], 0.25 * moved[0], atol=1e-7)


def test_drawn_windows_are_about_as_long_as_asked_and_one_in_twenty_half_as_long() -> None:
    minigrad.manual_seed(1)
    trainer = Trainer(RNNLM(pattern_ids()[1], 4, 4, 1), bptt_drawn=True)
    drawn = np.array([trainer._drawn_length(70) for _ in range(4000)])
    short = drawn < 52
    assert 0.04 < short.mean() < 0.06
    assert abs(drawn[~short].mean() - 69.5) < 0.5
    assert 4.5 < drawn[~short].std() < 5.5
    assert abs(drawn[short].mean() - 34.5) < 1.5
    assert min(trainer._drawn_length(1) for _ in range(50)) == 5
