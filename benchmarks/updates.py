"""What comes after the gradients: optimizer steps, and the embedding's table."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.libraries import Library, Work

# Five million numbers as a model has them: tables, square weights, biases.
SHAPES = [(10_000, 200), (2600, 650), (800, 650), (1000, 780), (800,), (2600,), (6600,)]


def optimizer_step(library: Library, kind: str, **settings: Any) -> Work:
    """`optimizer.step()` on the five million, whose gradients stay as they are."""
    lib, rng = library.lib, np.random.default_rng(0)
    parameters = []
    for shape in SHAPES:
        parameter = lib.tensor(rng.standard_normal(shape, dtype=np.float32), requires_grad=True)
        parameter.grad = lib.tensor(rng.standard_normal(shape, dtype=np.float32))
        parameters.append(parameter)
    return getattr(library.optim, kind)(parameters, **settings).step


def embedding_step(library: Library, sparse: bool, V: int = 33_278, H: int = 200, T: int = 35, B: int = 20) -> Work:
    """Look up T x B words, send a gradient back, and update the table by SGD."""
    lib, rng = library.lib, np.random.default_rng(0)
    embedding = library.nn.Embedding(V, H, sparse=sparse)
    optimizer = library.optim.SGD(embedding.parameters(), lr=0.1)
    words = lib.tensor(rng.integers(0, V, (T, B)))
    g = lib.tensor(rng.standard_normal((T, B, H), dtype=np.float32))

    def run() -> None:
        optimizer.zero_grad()
        embedding(words).backward(g)
        optimizer.step()

    return run


def embedding_rows_step(library: Library) -> Work:
    """`embedding_step` with sparse rows on our side, and the gradient that PyTorch makes of itself on the other."""
    return embedding_step(library, sparse=library.name == "minigrad")
