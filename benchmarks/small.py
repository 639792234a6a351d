"""Small tensors, where the cost is that of the engine itself: a chain of elementwise ops, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

LENGTH = 100


def chain(library: Any) -> Callable[[], object]:
    """x -> tanh(x * w + w), `LENGTH` times, on 8 x 8, with gradients for x and w; works for both libraries."""
    rng = np.random.default_rng(0)
    x = library.tensor(rng.normal(size=(8, 8)).astype(np.float32), requires_grad=True)
    w = library.tensor(rng.normal(size=(8, 8)).astype(np.float32), requires_grad=True)

    def run() -> Any:
        y = x
        for _ in range(LENGTH):
            y = (y * w + w).tanh()
        loss = y.sum()
        loss.backward()
        return loss

    return run
