"""One training step of an LSTM language model, written alike for minigrad and for PyTorch.

embedding -> nn.LSTM -> linear -> cross-entropy, backward, clip to norm 5, SGD. `fused=True` takes
`F.linear_cross_entropy` for the last two layers, in both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Size:
    """V: vocabulary, H: hidden and embedding, L: layers, T: steps, B: sequences."""

    V: int
    H: int
    L: int
    T: int
    B: int

    def __str__(self) -> str:
        return f"V {self.V:,} H {self.H} x {self.L} T {self.T} B {self.B}"


SIZES = [Size(10_000, 200, 2, 20, 20), Size(10_000, 650, 2, 35, 20)]


def minigrad_step(size: Size, fused: bool) -> Callable[[], object]:
    """The step in minigrad, as a function of no arguments."""
    import minigrad
    import minigrad.nn.functional as F
    from minigrad import nn, optim

    minigrad.manual_seed(0)
    return _step(minigrad, nn, F, optim, size, fused)


def torch_step(size: Size, fused: bool) -> Callable[[], object]:
    """The step in PyTorch, as a function of no arguments."""
    import torch
    import torch.nn.functional as F
    from torch import nn, optim

    torch.manual_seed(0)
    return _step(torch, nn, F, optim, size, fused)


def _step(library: Any, nn: Any, F: Any, optim: Any, size: Size, fused: bool) -> Callable[[], object]:
    class Model(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(size.V, size.H)
            self.lstm = nn.LSTM(size.H, size.H, size.L)
            self.decoder = nn.Linear(size.H, size.V)

        def forward(self, words: Any, state: Any) -> Any:
            return self.lstm(self.embedding(words), state)

    rng = np.random.default_rng(0)
    words = library.tensor(rng.integers(0, size.V, (size.T, size.B)))
    target = library.tensor(rng.integers(0, size.V, size.T * size.B))
    model = Model()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    state = (library.zeros(size.L, size.B, size.H), library.zeros(size.L, size.B, size.H))

    def step() -> Any:
        nonlocal state
        state = tuple(one.detach() for one in state)
        optimizer.zero_grad()
        output, state = model(words, state)
        hidden = output.reshape(-1, size.H)
        if fused:
            loss = F.linear_cross_entropy(hidden, model.decoder.weight, target, linear_bias=model.decoder.bias)
        else:
            loss = F.cross_entropy(model.decoder(hidden), target)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return loss

    return step
