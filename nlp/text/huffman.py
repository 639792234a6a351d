"""Huffman's code: frequent words get short paths through a binary tree (Huffman 1952)."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nlp.errors import NlpError

__all__ = ["huffman_codes"]


def huffman_codes(counts: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]]:
    """The way from the root to every word of V, where words occur `counts` (V,) times.

    Returns (paths, codes, lengths): word w's way has lengths[w] steps; step i stands at the inner node paths[w, i], a
    number from 0 to V - 2 with the root at V - 2, and turns by codes[w, i], 0 or 1. Both are (V, D) with D the longest
    way; beyond lengths[w] they are 0. The mean length, weighted by the counts, is the least that a tree can have.

    Raises NlpError for fewer than two words: there is no way to choose.
    """
    weights = np.asarray(counts).tolist()
    if len(weights) < 2:
        raise NlpError(f"a tree over words needs at least 2 of them, and this vocabulary has {len(weights)}")
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


def _build(weights: list[int]) -> tuple[list[int], list[int]]:
    """(the parent of each node, the turn that leads to it): words are nodes 0 to V - 1, inner nodes follow as made."""
    V = len(weights)
    parent, turn = [0] * (2 * V - 1), [0] * (2 * V - 1)
    heap = [(weight, node) for node, weight in enumerate(weights)]
    heapify(heap)
    for made in range(V, 2 * V - 1):
        (first, left), (second, right) = heappop(heap), heappop(heap)
        parent[left] = parent[right] = made
        turn[right] = 1
        heappush(heap, (first + second, made))
    return parent, turn
