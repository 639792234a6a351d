"""Batches: no token is lost, none is scored twice, streams carry on from window to window."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.errors import NlpError
from nlp.text.batches import IGNORED, BpttBatches, EvaluationBatches, batchify

sizes = st.integers(1, 7)


@given(st.integers(0, 90), sizes)
def test_streams_are_the_text_in_order(spare: int, batch_size: int) -> None:
    ids = np.arange(2 * batch_size + spare, dtype=np.int32)
    streams = batchify(ids, batch_size)
    flat = streams.T.reshape(-1)
    assert np.array_equal(flat, ids[: len(flat)])
    assert 0 <= len(ids) - len(flat) < batch_size


@given(st.integers(0, 90), sizes, st.integers(1, 12))
def test_training_targets_are_the_stream_shifted_by_one(spare: int, batch_size: int, bptt: int) -> None:
    ids = np.arange(2 * batch_size + spare, dtype=np.int32)
    batches = BpttBatches(ids, batch_size, bptt)
    windows = list(batches)
    assert len(windows) == len(batches)
    assert all(len(input) == bptt for input, _ in windows[:-1])
    for window in windows:
        for part in window:
            assert part.dtype == np.int64
            assert part.flags.c_contiguous
            assert 0 < len(part) <= bptt
    streams = batchify(ids, batch_size)
    assert np.array_equal(np.concatenate([input for input, _ in windows]), streams[:-1])
    assert np.array_equal(np.concatenate([target for _, target in windows]), streams[1:])


@given(st.integers(2, 90), sizes, st.integers(1, 12))
def test_evaluation_scores_every_token_once_after_its_predecessor(count: int, batch_size: int, bptt: int) -> None:
    ids = np.arange(count, dtype=np.int32) + 3
    batches = EvaluationBatches(ids, batch_size, bptt)
    windows = list(batches)
    assert len(windows) == len(batches)
    input = np.concatenate([input for input, _ in windows])  # (T_total, B)
    target = np.concatenate([target for _, target in windows])
    assert input.dtype == target.dtype == np.int64
    scored = target != IGNORED
    assert sorted(target[scored]) == list(ids[1:])
    assert np.array_equal(input[scored] + 1, target[scored])
    assert batches.scored == scored.sum() == count - 1
    assert scored[:-1].all()  # only the last step may be padded
    assert scored[-1].any()
    streams = np.where(scored, target, 10**6)
    assert (np.diff(streams, axis=0)[:-1] == 1).all()  # each stream goes on where it was


@given(st.integers(2, 60), st.integers(1, 12))
def test_one_stream_evaluates_the_text_in_order(count: int, bptt: int) -> None:
    ids = np.random.default_rng(count).integers(0, 5, count)
    windows = list(EvaluationBatches(ids, 1, bptt))
    assert np.array_equal(np.concatenate([input[:, 0] for input, _ in windows]), ids[:-1])
    assert np.array_equal(np.concatenate([target[:, 0] for _, target in windows]), ids[1:])


def test_ids_may_lie_on_disk(tmp_path: Path) -> None:
    ids = np.arange(1000, dtype=np.int32)
    ids.tofile(tmp_path / "ids")
    mapped = np.memmap(tmp_path / "ids", dtype=np.int32, mode="r")
    assert isinstance(batchify(mapped, 4), np.memmap)
    for batches in (BpttBatches, EvaluationBatches):
        for there, here in zip(batches(mapped, 4, 7), batches(ids, 4, 7)):
            assert not isinstance(there[0], np.memmap)
            assert np.array_equal(there, here)


def test_windows_of_any_length_for_a_drawn_bptt() -> None:
    batches = BpttBatches(np.arange(20), 2, 5)  # two streams of ten
    input, target = batches.window(7, 100)
    assert np.array_equal(input, [[7, 17], [8, 18]])
    assert np.array_equal(target, [[8, 18], [9, 19]])


def test_a_short_text_gets_one_sentence_with_both_numbers() -> None:
    with pytest.raises(NlpError, match="7 tokens is too short for 20 streams, which need at least 40"):
        BpttBatches(np.arange(7), 20, 35)
    with pytest.raises(NlpError, match="a text of 1 token has no token to predict: at least 2"):
        EvaluationBatches(np.arange(1), 1, 35)


@pytest.mark.parametrize("batches", [BpttBatches, EvaluationBatches])
def test_sizes_are_at_least_one(batches: type[BpttBatches] | type[EvaluationBatches]) -> None:
    with pytest.raises(NlpError, match="batch size is at least 1, not 0"):
        batches(np.arange(9), 0, 5)
    with pytest.raises(NlpError, match="BPTT length is at least 1, not 0"):
        batches(np.arange(9), 2, 0)


@pytest.mark.parametrize("index", [-1, 2])
def test_windows_are_numbered_from_zero(index: int) -> None:
    with pytest.raises(IndexError, match="of 2"):
        BpttBatches(np.arange(20), 2, 5)[index]
