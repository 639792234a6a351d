"""Words and the words around them: arrays say the same as loops do, and chance does what it should."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from nlp.errors import NlpError
from nlp.text.contexts import (
    ContextWindows,
    CorruptedWindows,
    bounds_of_windows,
    keep_probabilities,
    pairs_in_windows,
    stretch_length,
    words_in_windows,
)


@given(st.lists(st.integers(1, 6), max_size=25))
def test_pairs_are_those_of_a_double_loop(reach: list[int]) -> None:
    M = len(reach)
    expected = [
        centre * M + other
        for centre in range(M)
        for other in range(M)
        if other != centre and abs(other - centre) <= reach[centre]
    ]
    bounds = bounds_of_windows(np.array(reach, dtype=np.int64))
    assert pairs_in_windows(bounds).tolist() == expected
    for centre, (first, end) in enumerate(bounds.tolist()):
        inside = [place for place in range(M) if abs(place - centre) <= reach[centre]]
        assert inside == list(range(first, end))


@given(st.lists(st.integers(1, 6), max_size=25), st.integers(0, 3))
def test_words_in_windows_are_those_of_a_double_loop(reach: list[int], more: int) -> None:
    M, window = len(reach), max(reach, default=1) + more
    expected = np.zeros((M, 2 * window + 1), dtype=bool)
    for centre in range(M):
        for other in range(M):
            if 0 < abs(other - centre) <= reach[centre]:
                expected[centre, other - centre + window] = True
    np.testing.assert_array_equal(words_in_windows(np.array(reach, dtype=np.int64), window), expected)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20).filter(any), st.floats(1e-6, 1.0))
def test_the_probability_of_being_kept_is_word2vec_s(counts: list[int], threshold: float) -> None:
    total = sum(counts)
    for count, kept in zip(counts, keep_probabilities(counts, threshold), strict=True):
        # as in word2vec.c: (sqrt(cn / (sample * train_words)) + 1) * (sample * train_words) / cn
        wanted = (math.sqrt(count / (threshold * total)) + 1) * threshold * total / count if count else math.inf
        assert kept == pytest.approx(min(wanted, 1.0), rel=1e-12)
    assert keep_probabilities(counts, 0.0).tolist() == [1.0] * len(counts)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20).filter(any), st.sampled_from([0.0, 1e-3, 0.1]))
def test_the_most_frequent_word_is_met_a_few_times_in_a_stretch(counts: list[int], threshold: float) -> None:
    length = stretch_length(counts, threshold, most=5.0, longest=300)
    expected = length * max(np.array(counts) * keep_probabilities(counts, threshold)) / sum(counts)
    assert 2 <= length <= 300
    assert expected <= 5.0 or length == 2
    assert expected * (length + 1) / length > 5.0 or length == 300


def test_words_are_kept_as_often_as_they_should() -> None:
    ids = np.tile(np.repeat([0, 1, 2], [90, 9, 1]), 400)
    counts = np.bincount(ids)
    minigrad.manual_seed(3)
    words, _ = ContextWindows(ids, counts, subsample=0.01).window(0, len(ids))
    share = np.bincount(words, minlength=3) / counts
    expected = keep_probabilities(counts, 0.01)
    assert (abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / counts) + 1e-12).all()


def test_all_sizes_of_window_are_alike_often() -> None:
    minigrad.manual_seed(4)
    data = ContextWindows(np.zeros(4000, dtype=np.int32), [1], window=4, subsample=0.0, predict_centre=True)
    inside, words = data.window(0, 4000)
    assert len(words) == 4000
    inner = inside[4:-4]
    np.testing.assert_array_equal(inner, inner[:, ::-1])  # as many before as behind
    reach = inner[:, 5:].sum(1)
    assert (abs(np.bincount(reach, minlength=5)[1:] - 998) < 4 * math.sqrt(4000 * 3 / 16)).all()


@given(st.integers(2, 40), st.integers(1, 4), st.integers(2, 20), st.integers(0, 50))
def test_stretches_follow_each_other_and_both_ways_draw_alike(N: int, window: int, bptt: int, seed: int) -> None:
    ids = np.random.default_rng(seed).integers(0, 5, N).astype(np.int32)
    options: dict[str, Any] = {"window": window, "bptt": bptt, "subsample": 0.05}
    whole = ContextWindows(ids, np.bincount(ids), **{**options, "subsample": 0.0})
    read = [whole.window(start, bptt)[0] for start in range(0, N, bptt)]
    ends = N - N % bptt if N % bptt == 1 else N  # a last stretch of one word gives nothing
    np.testing.assert_array_equal(np.concatenate(read), ids[:ends])
    around = ContextWindows(ids, np.bincount(ids), **options)
    middle = ContextWindows(ids, np.bincount(ids), **options, predict_centre=True)
    for one, other in ((around, middle), (middle, around)):
        minigrad.manual_seed(seed)
        first = one.window(0, bptt)
        minigrad.manual_seed(seed)
        second = other.window(0, bptt)
        (words, pairs), (inside, targets) = (first, second) if one is around else (second, first)
        np.testing.assert_array_equal(words, targets)
        centre, entry = inside.nonzero()
        np.testing.assert_array_equal(pairs, centre * len(words) + centre + entry - window)
        assert len(words) != 1
        assert inside.shape == (len(words), 2 * window + 1)
        assert inside.dtype == bool
        assert all(array.dtype == np.int64 for array in (words, pairs, targets))


@pytest.mark.parametrize("kind", [ContextWindows, CorruptedWindows])
def test_validation_sees_the_same_each_time_and_training_does_not(kind: Any) -> None:
    ids = np.random.default_rng(0).integers(0, 30, 500)
    data = kind(ids, np.bincount(ids), bptt=100)
    before = minigrad.default_generator.get_state()
    first, second = list(data), list(data)
    assert minigrad.default_generator.get_state() == before
    assert len(first) == len(data) == 5
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one[1], other[1])
    assert not np.array_equal(data.window(0, 100)[1], data.window(0, 100)[1])


@given(st.integers(3, 40), st.integers(1, 3), st.integers(1, 12))
def test_windows_to_be_corrupted_are_all_of_the_text(N: int, window: int, bptt: int) -> None:
    ids, W = np.arange(N) % 7, 2 * window + 1
    if W > N:
        with pytest.raises(NlpError, match=r"needs a text as long.*: lower --window, or give a longer text"):
            CorruptedWindows(ids, [1] * 7, window=window)
        return
    data = CorruptedWindows(ids, [1] * 7, window=window, bptt=bptt)
    assert data.steps == N - W + 1
    parts = [data.window(start, bptt) for start in range(0, data.steps, bptt)]
    windows, instead = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    assert windows.tolist() == [ids[start : start + W].tolist() for start in range(data.steps)]
    assert len(instead) == data.steps
    assert ((instead >= 0) & (instead < 7)).all()


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_words_for_the_middle_are_drawn_by_a_power_of_their_counts(power: float) -> None:
    minigrad.manual_seed(0)
    counts = np.array([900, 100, 25, 4, 1, 0])
    data = CorruptedWindows(np.zeros(7002, dtype=np.int32), counts, window=1, power=power)
    _, instead = data.window(0, 7000)
    share = np.where(counts > 0, counts**power, 0) / (counts[:-1] ** power).sum()
    spread = np.sqrt(7000 * share * (1 - share))
    assert (abs(np.bincount(instead, minlength=6) - 7000 * share) <= 4 * spread).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ContextWindows(np.zeros(1, int), [1]), "needs 2 tokens, this one has 1"),
        (lambda: ContextWindows(np.zeros(9, int), [9], window=0), "at least 1 word a side"),
        (lambda: ContextWindows(np.zeros(9, int), [9], bptt=1), "a stretch 2 words"),
        (lambda: ContextWindows(np.zeros(9, int), [9], subsample=-1.0), "0 [(]none[)] or above"),
        (lambda: CorruptedWindows(np.zeros(9, int), [1], window=0), "at least 1 word a side"),
        (lambda: CorruptedWindows(np.zeros(9, int), [1], bptt=0), "a batch 1 window"),
    ],
)
def test_what_makes_no_windows_is_refused_in_words(make: Any, message: str) -> None:
    with pytest.raises(NlpError, match=message):
        make()
