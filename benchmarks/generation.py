"""Generating text one token at a time, as `nlp generate` does."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.libraries import Library, Work

TOKENS = 50


def generate(library: Library, V: int = 10_000, H: int = 128, L: int = 2) -> Work:
    """`TOKENS` words, each drawn from the softmax of the model's logits at temperature 0.8."""
    lib, nn, F = library.lib, library.nn, library.F
    embedding, lstm, decoder = nn.Embedding(V, H), nn.LSTM(H, H, L), nn.Linear(H, V)
    first = lib.tensor(np.zeros((1, 1), dtype=np.int64))

    def run() -> Any:
        word, state = first, None
        with lib.no_grad():
            for _ in range(TOKENS):
                output, state = lstm(embedding(word), state)
                logits = decoder(output[-1])
                word = lib.multinomial(F.softmax(logits / 0.8, dim=-1), 1)
        return word

    return run
