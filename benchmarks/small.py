"""Small tensors, where the cost is that of the engine itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.libraries import Library, Work

LENGTH = 100  # of the chain
STEPS = 20  # of the cell


def chain(library: Library, length: int = LENGTH) -> Work:
    """x -> tanh(x * w + w), `length` times, on 8 x 8, with gradients for x and w."""
    lib = library.lib
    rng = np.random.default_rng(0)
    x = lib.tensor(rng.normal(size=(8, 8)).astype(np.float32), requires_grad=True)
    w = lib.tensor(rng.normal(size=(8, 8)).astype(np.float32), requires_grad=True)

    def run() -> Any:
        y = x
        for _ in range(length):
            y = (y * w + w).tanh()
        loss = y.sum()
        loss.backward()
        return loss

    return run


def mlp(library: Library) -> Work:
    """A training step of 16 -> 32 -> 32 -> 4 with ReLU and Adam, on 16 examples."""
    lib, nn, F = library.lib, library.nn, library.F
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = library.optim.Adam(model.parameters())
    x = lib.tensor(rng.normal(size=(16, 16)).astype(np.float32))
    target = lib.tensor(rng.integers(0, 4, 16))

    def run() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    return run


def cell(library: Library) -> Work:
    """An LSTMCell of 32 units over 8 sequences, unrolled for `STEPS` steps by hand, and back."""
    lib, nn = library.lib, library.nn
    rng = np.random.default_rng(0)
    layer = nn.LSTMCell(32, 32)
    xs = [lib.tensor(rng.normal(size=(8, 32)).astype(np.float32)) for _ in range(STEPS)]

    def run() -> Any:
        layer.zero_grad()
        h = c = lib.zeros(8, 32)
        for x in xs:
            h, c = layer(x, (h, c))
        loss = h.sum()
        loss.backward()
        return loss

    return run
