"""Co-occurrence counts equal a plain loop, and a pass over them can be stopped anywhere."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from nlp.errors import NlpError
from nlp.text import cooccurrence
from nlp.text.cooccurrence import CooccurrenceBatches, count_cooccurrences


def counted_plainly(ids: list[int], window: int, symmetric: bool) -> dict[tuple[int, int], Fraction]:
    counts: Counter[tuple[int, int]] = Counter()
    for place, word in enumerate(ids):
        for distance in range(1, window + 1):
            if place >= distance:
                counts[word, ids[place - distance]] += Fraction(1, distance)
                if symmetric:
                    counts[ids[place - distance], word] += Fraction(1, distance)
    return dict(counts)


@given(st.lists(st.integers(0, 6), min_size=2, max_size=40), st.integers(1, 6), st.booleans(), st.integers(1, 9))
def test_counts_equal_a_plain_loop(ids: list[int], window: int, symmetric: bool, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cooccurrence, "CHUNK", chunk)
        pairs, counts = count_cooccurrences(np.array(ids, dtype=np.int16), 7, window=window, symmetric=symmetric)
    expected = counted_plainly(ids, window, symmetric)
    found = {(i, j): count for (i, j), count in zip(pairs.tolist(), counts.tolist(), strict=True)}
    assert list(found) == sorted(expected)
    for pair, count in expected.items():
        assert found[pair] == pytest.approx(float(count), rel=1e-12)


def test_memory_does_not_grow_with_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooccurrence, "CHUNK", 200)
    peaks = []
    for length in (2_000, 40_000):
        ids = np.random.default_rng(0).integers(0, 10, length)
        tracemalloc.start()
        pairs, _ = count_cooccurrences(ids, 10, window=4)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(pairs) == 100  # all there can be, of either length
    assert peaks[1] < 1.5 * peaks[0]


def some_batches(bptt: int = 4) -> CooccurrenceBatches:
    return CooccurrenceBatches(count_cooccurrences(np.arange(60) % 9, 9, window=3), bptt=bptt)


def test_a_pass_gives_each_entry_once_and_the_next_another_order() -> None:
    data = some_batches()
    passes = []
    for _ in range(2):
        parts = [data.window(start, 4) for start in range(0, data.steps, 4)]
        pairs, counts = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
        order = np.lexsort(pairs.T[::-1])
        np.testing.assert_array_equal(pairs[order], data.pairs)
        np.testing.assert_array_equal(counts[order], data.counts)
        passes.append(pairs)
    assert not np.array_equal(*passes)
    np.testing.assert_array_equal(np.concatenate([pairs for pairs, _ in data]), data.pairs)
    assert len(list(data)) == len(data)


@given(st.integers(0, 20), st.integers(0, 100))
def test_a_pass_that_was_stopped_goes_on_in_the_same_order(start: int, seed: int) -> None:
    minigrad.manual_seed(seed)
    data = some_batches()
    data.window(0, 4)
    stopped = data.state_dict()
    expected = data.window(start + 1, 4)
    other = some_batches()
    other.load_state_dict(stopped)
    minigrad.manual_seed(seed + 1)
    for one, two in zip(expected, other.window(start + 1, 4), strict=True):
        np.testing.assert_array_equal(one, two)


def test_what_has_no_pairs_is_refused_in_words() -> None:
    with pytest.raises(NlpError, match="a window of at least 1 word, not 0"):
        count_cooccurrences(np.arange(4), 4, window=0)
    with pytest.raises(NlpError, match="at least 2 tokens, and this one has 1"):
        count_cooccurrences(np.arange(1), 4)
    with pytest.raises(NlpError, match="at least 1 entry"):
        some_batches(0)
