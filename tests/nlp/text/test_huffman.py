"""Huffman's code: a tree, and none is shorter."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.errors import NlpError
from nlp.text.huffman import code_lengths, huffman_codes

counts = st.lists(st.integers(0, 12), min_size=2, max_size=50)


def least_cost(counts: list[int]) -> int:
    """What joining the two lightest again and again costs in all: the sum of count times depth."""
    heap, cost = list(counts), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        cost += joined
        heapq.heappush(heap, joined)
    return cost


@given(counts)
def test_no_tree_is_shorter(counts: list[int]) -> None:
    _, _, lengths = huffman_codes(counts)
    assert int(lengths @ np.array(counts)) == least_cost(counts)
    np.testing.assert_array_equal(code_lengths(counts), lengths)


def test_a_tree_of_fibonaccis_counts_is_as_deep_as_can_be() -> None:
    counts = [1.0, 1.0]
    while len(counts) < 40:
        counts.append(counts[-1] + counts[-2])
    assert code_lengths(counts).tolist() == [39, *range(39, 0, -1)]


@given(counts)
def test_the_ways_are_those_of_one_binary_tree(counts: list[int]) -> None:
    paths, codes, lengths = huffman_codes(counts)
    V = len(counts)
    assert paths.shape == codes.shape == (V, lengths.max())
    children: dict[tuple[int, int], tuple[str, int]] = {}
    for word in range(V):
        steps = list(zip(paths[word, : lengths[word]].tolist(), codes[word, : lengths[word]].tolist(), strict=True))
        assert steps[0][0] == V - 2
        ends = [("node", node) for node, _ in steps[1:]] + [("word", word)]
        for step, end in zip(steps, ends, strict=True):
            assert children.setdefault(step, end) == end  # the same turn leads to the same place
        assert not paths[word, lengths[word] :].any()
        assert not codes[word, lengths[word] :].any()
    assert sorted(children) == [(node, turn) for node in range(V - 1) for turn in (0, 1)]


def test_a_tree_of_one_word_is_refused() -> None:
    with pytest.raises(NlpError, match="at least 2 of them, and this vocabulary has 1"):
        huffman_codes([4])
    with pytest.raises(NlpError, match="at least 2 of them, and this vocabulary has 1"):
        code_lengths([4])
