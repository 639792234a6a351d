"""Counting by arrays is counting by dictionaries: the same n-grams, each found again, with its followers and suffix."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.errors import NlpError
from nlp.models.ngram_counts import UNSEEN, NGramCounts, count_ngrams, counting_steps

V = 4
texts = st.lists(st.integers(0, V - 1), min_size=4, max_size=40)
orders = st.integers(1, 4)


def ngrams(text: list[int], order: int) -> Counter[tuple[int, ...]]:
    return Counter(tuple(text[start : start + order]) for start in range(len(text) - order + 1))


def written_out(counts: NGramCounts, order: int) -> list[tuple[int, ...]]:
    """The n-grams of one order by their nodes."""
    if order == 1:
        return [(word,) for word in range(counts.vocabulary)]
    shorter = written_out(counts, order - 1)
    return [(*shorter[key // counts.vocabulary], key % counts.vocabulary) for key in counts.keys[order - 2].tolist()]


@given(texts, orders, st.sampled_from(["uint8", "uint16", "int32", "int64"]))
def test_the_counts_are_a_counter_s(text: list[int], order: int, dtype: str) -> None:
    counts = count_ngrams(np.array(text, dtype=dtype), order, V)
    assert counts.order == order
    for length in range(1, order + 1):
        table = dict(zip(written_out(counts, length), counts.counts[length - 1].tolist(), strict=True))
        assert {ngram: count for ngram, count in table.items() if count} == ngrams(text, length)
        assert length == 1 or all(np.diff(counts.keys[length - 2]) > 0)


@given(texts, st.integers(2, 4), st.data())
def test_every_ngram_is_found_and_no_other(text: list[int], order: int, data: st.DataObject) -> None:
    counts = count_ngrams(np.array(text), order, V)
    words = data.draw(st.lists(st.integers(0, V - 1), min_size=order, max_size=order))
    for wanted in [tuple(words), *ngrams(text, order)]:
        node = np.array([wanted[0]])
        for length, word in enumerate(wanted[1:], 2):
            node = counts.find(length, node, np.array([word]))
        expected = ngrams(text, order)[wanted]
        assert (node[0] == UNSEEN) == (expected == 0)
        assert expected == 0 or counts.counts[order - 1][node[0]] == expected


@given(texts, st.integers(2, 4))
def test_the_followers_of_a_context_are_one_slice(text: list[int], order: int) -> None:
    counts = count_ngrams(np.array(text), order, V)
    contexts = np.arange(UNSEEN, len(counts.counts[order - 2]))
    starts, stops = counts.slices(order, contexts)
    names, longer = written_out(counts, order - 1), written_out(counts, order)
    followers = counts.followers(order)
    for context, start, stop in zip(contexts.tolist(), starts, stops, strict=True):
        expected = [one for one in sorted(ngrams(text, order)) if context >= 0 and one[:-1] == names[context]]
        assert longer[start:stop] == expected
        assert context < 0 or followers.totals[context] == sum(ngrams(text, order)[one] for one in expected)
        assert (followers.context[start:stop] == context).all()


@given(texts, orders)
def test_the_suffix_of_an_ngram_lacks_its_first_word(text: list[int], order: int) -> None:
    counts = count_ngrams(np.array(text), order, V)
    suffixes = counts.suffixes()
    assert len(suffixes) == order - 1
    for length, suffix in enumerate(suffixes, 2):
        shorter = written_out(counts, length - 1)
        assert [shorter[node] for node in suffix] == [one[1:] for one in written_out(counts, length)]


def test_a_memory_mapped_text_is_counted_and_left_as_it_is(tmp_path: Path) -> None:
    text = np.random.default_rng(0).integers(0, V, 200).astype(np.uint16)
    np.save(tmp_path / "ids.npy", text)
    mapped = np.load(tmp_path / "ids.npy", mmap_mode="r")
    there, here = count_ngrams(mapped, 3, V), count_ngrams(text, 3, V)
    for one, other in zip((*there.keys, *there.counts), (*here.keys, *here.counts), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(mapped, text)


@pytest.mark.parametrize(("dtype", "vocabulary"), [("uint8", 256), ("uint16", 65536), ("int32", 2**20)])
def test_ids_that_fill_their_dtype_give_keys_that_do_not_fit_it(dtype: str, vocabulary: int) -> None:
    last = vocabulary - 1
    counts = count_ngrams(np.array([last, last, 0, last], dtype=dtype), 2, vocabulary)
    assert counts.keys[0].tolist() == [last, last * vocabulary, last * vocabulary + last]
    assert counts.counts[0][[0, last]].tolist() == [1, 3]


def test_it_counts_an_order_at_a_step() -> None:
    assert list(counting_steps(np.array([0, 1, 2, 0, 1]), 4, 3)) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("ids", "order", "vocabulary", "message"),
    [
        ([], 1, 3, "an empty text has no n-grams"),
        ([0, 1], 3, 3, "a text of 2 tokens has no n-gram of 3: give a longer text, or an order of at most 2"),
        ([0, 1], 0, 3, "at least 1, not 0"),
        ([0, 0], 1, 1, "a vocabulary of 1 word"),
        ([0, 3], 1, 3, "the id 3 is not in this vocabulary of 3 words"),
        ([0, -1], 1, 3, "the id -1 is not in"),
        ([[0, 1]], 1, 3, "one row of whole numbers"),
        ([0.5, 1], 1, 3, "one row of whole numbers, not in float64"),
    ],
)
def test_what_cannot_be_counted_is_refused_in_words(ids: list, order: int, vocabulary: int, message: str) -> None:
    array = np.array(ids, dtype=None if ids else np.int64)
    with pytest.raises(NlpError, match=message):
        count_ngrams(array, order, vocabulary)
