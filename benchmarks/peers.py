"""Other engines on NumPy at the small work, for the record: MyGrad and autograd, where they are installed."""

from __future__ import annotations

import importlib.util

import numpy as np

from benchmarks.libraries import Work
from benchmarks.small import LENGTH


def _data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=(8, 8)).astype(np.float32) for _ in range(2))
    return x, w


def mygrad_chain() -> Work:
    """`small.chain` in MyGrad."""
    import mygrad

    x, w = (mygrad.tensor(one) for one in _data())

    def run() -> object:
        y = x
        for _ in range(LENGTH):
            y = mygrad.tanh(y * w + w)
        loss = y.sum()
        loss.backward()
        return loss

    return run


def autograd_chain() -> Work:
    """`small.chain` in autograd: value and both gradients."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    def loss(x: np.ndarray, w: np.ndarray) -> object:
        y = x
        for _ in range(LENGTH):
            y = anp.tanh(y * w + w)
        return anp.sum(y)

    gradient = value_and_grad(loss, argnum=(0, 1))
    x, w = _data()
    return lambda: gradient(x, w)


CHAINS = {"mygrad": mygrad_chain, "autograd": autograd_chain}


def installed() -> list[str]:
    """Which of them can be imported here."""
    return [name for name in CHAINS if importlib.util.find_spec(name)]
