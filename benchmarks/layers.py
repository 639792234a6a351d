"""Recurrent layers alone, forward and backward: RNN, GRU, LSTM, in two directions, and on packed sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.libraries import Library, Work
from benchmarks.lstm_lm import Size


def recurrent(library: Library, kind: str, size: Size, bidirectional: bool = False, packed: bool = False) -> Work:
    """`nn.RNN`, `nn.GRU` or `nn.LSTM` over a sequence and back; packed ones are from T down to T/2 steps long."""
    lib, nn = library.lib, library.nn
    layer = getattr(nn, kind)(size.H, size.H, size.L, bidirectional=bidirectional)
    rng = np.random.default_rng(0)
    x = lib.tensor(rng.standard_normal((size.T, size.B, size.H), dtype=np.float32), requires_grad=True)
    lengths = np.linspace(size.T, size.T // 2, size.B).astype(np.int64).tolist()

    def run() -> Any:
        layer.zero_grad()
        x.grad = None
        if packed:
            output = layer(nn.utils.rnn.pack_padded_sequence(x, lengths))[0].data
        else:
            output = layer(x)[0]
        loss = output.sum()
        loss.backward()
        return loss

    return run
