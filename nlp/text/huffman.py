"""Huffman's code: frequent words get short paths through a binary tree (Huffman 1952)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nlp.errors import NlpError

__all__ = ["code_lengths", "huffman_codes"]


def huffman_codes(counts: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]]:
    """The way from the root to every word of V, where words occur `counts` (V,) times.

    Returns (paths, codes, lengths): word w's way has lengths[w] steps; step i stands at the inner node paths[w, i], a
    number from 0 to V - 2 with the root at V - 2, and turns by codes[w, i], 0 or 1. Both are (V, D) with D the longest
    way; beyond lengths[w] they are 0. The mean length, weighted by the counts, is the least that a tree can have.

    Raises NlpError for fewer than two words: there is no way to choose.
    """
    weights = _weights(counts)
    parent, turn = _build(weights)
    V, root = len(weights), 2 * len(weights) - 2
    ways: list[list[tuple[int, int]]] = [[]] * (2 * V - 1)
    for node in range(root - 1, -1, -1):  # a parent's number is above its children's
        above = parent[node]
        ways[node] = [*ways[above], (above - V, turn[node])]
    lengths = np.array([len(way) for way in ways[:V]], dtype=np.int64)
    paths = np.zeros((V, lengths.max()), dtype=np.int64)
    codes = np.zeros(paths.shape, dtype=np.int8)
    inside = np.arange(paths.shape[1]) < lengths[:, None]  # V, D
    steps = np.array([step for way in ways[:V] for step in way])
    paths[inside], codes[inside] = steps[:, 0], steps[:, 1]
    return paths, codes, lengths


def code_lengths(counts: ArrayLike) -> NDArray[np.int64]:
    """The length of the way to every word (V,) alone: what `huffman_codes` calls lengths, in a tenth of the time."""
    parent, _ = _build(_weights(counts))
    depth = [0] * len(parent)
    for node in range(len(parent) - 2, -1, -1):  # a parent's number is above its children's
        depth[node] = depth[parent[node]] + 1
    return np.array(depth[: (len(parent) + 1) // 2], dtype=np.int64)


def _weights(counts: ArrayLike) -> list[float]:
    weights = np.asarray(counts).tolist()
    if len(weights) < 2:
        raise NlpError(f"a tree over words needs at least 2 of them, and this vocabulary has {len(weights)}")
    return weights


def _build(weights: list[float]) -> tuple[list[int], list[int]]:
    """(the parent of each node, the turn that leads to it): words are nodes 0 to V - 1, inner nodes follow as made.

    Each inner node joins the two lightest that are left. With the words in order of weight the inner nodes come in
    order, too: so the lightest is at the head of one of two queues.
    """
    V = len(weights)
    parent, turn = [0] * (2 * V - 1), [0] * (2 * V - 1)
    words, next_word = sorted(range(V), key=weights.__getitem__), 0
    inner, next_inner = list[float](), 0  # the weights of the inner nodes made so far
    for made in range(V, 2 * V - 1):
        total = 0.0
        for side in (0, 1):
            is_word = next_word < V and (next_inner == len(inner) or weights[words[next_word]] <= inner[next_inner])
            if is_word:
                node, weight, next_word = words[next_word], weights[words[next_word]], next_word + 1
            else:
                node, weight, next_inner = V + next_inner, inner[next_inner], next_inner + 1
            parent[node], turn[node] = made, side
            total += weight
        inner.append(total)
    return parent, turn
