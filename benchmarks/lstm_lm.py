"""One training step of an LSTM language model, and the matrix products in it.

embedding -> nn.LSTM -> linear -> cross-entropy, backward, clip to norm 5, SGD. `fused=True` takes
`F.linear_cross_entropy` for the last two layers, in both libraries, as `nlp train` does in ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from benchmarks.libraries import Library, Work


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


SIZES = [
    Size(10_000, 200, 2, 20, 20),
    Size(10_000, 650, 2, 35, 20),
    Size(10_000, 1024, 1, 35, 64),
    Size(33_278, 200, 2, 35, 20),
]


def step(library: Library, size: Size, fused: bool) -> Work:
    """The step, as a function of no arguments."""
    lib, nn, F = library.lib, library.nn, library.F

    class Model(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(size.V, size.H)
            self.lstm = nn.LSTM(size.H, size.H, size.L)
            self.decoder = nn.Linear(size.H, size.V)

        def forward(self, words: Any, state: Any) -> Any:
            return self.lstm(self.embedding(words), state)

    rng = np.random.default_rng(0)
    words = lib.tensor(rng.integers(0, size.V, (size.T, size.B)))
    target = lib.tensor(rng.integers(0, size.V, size.T * size.B))
    model = Model()
    optimizer = library.optim.SGD(model.parameters(), lr=1.0)
    state = (lib.zeros(size.L, size.B, size.H), lib.zeros(size.L, size.B, size.H))

    def run() -> Any:
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

    return run


# ---- the floor ------------------------------------------------------------------------------------------------------


class Product(NamedTuple):
    """(M, K) @ (K, N), `times` times; a transposed operand lies in memory the other way round."""

    M: int
    K: int
    N: int
    times: int = 1
    first_transposed: bool = False
    second_transposed: bool = False

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.M * self.K * self.N * self.times


def products(size: Size) -> Iterator[Product]:
    """Every matrix product that one step cannot do without, operands lying as in our kernels."""
    V, H, L, T, B = size.V, size.H, size.L, size.T, size.B
    for _ in range(L):
        yield Product(4 * H, H, T * B, second_transposed=True)  # w_ih @ input.T
        yield Product(4 * H, H, B, times=T)  # w_hh @ h, sequences side by side: the faster way round
        yield Product(H, 4 * H, B, times=T, first_transposed=True)  # w_hh.T @ d_gates
        yield Product(T * B, 4 * H, H, first_transposed=True)  # d_gates.T @ w_ih; of layer 0 the embedding's gradient
        yield Product(4 * H, T * B, H)  # d_gates @ input
        yield Product(4 * H, T * B, H, second_transposed=True)  # d_gates @ h.T
    yield Product(T * B, H, V, second_transposed=True)  # hidden @ weight.T
    yield Product(T * B, V, H)  # d_logits @ weight
    yield Product(V, T * B, H, first_transposed=True)  # d_logits.T @ hidden


def flops(size: Size) -> int:
    """Of the step's matrix products."""
    return sum(one.flops for one in products(size))


def floor(size: Size) -> Work:
    """The step's matrix products alone, one after the other, into memory that is there."""
    rng = np.random.default_rng(0)
    jobs = []
    for one in products(size):
        first = rng.standard_normal((one.K, one.M) if one.first_transposed else (one.M, one.K), dtype=np.float32)
        second = rng.standard_normal((one.N, one.K) if one.second_transposed else (one.K, one.N), dtype=np.float32)
        first = first.T if one.first_transposed else first
        second = second.T if one.second_transposed else second
        jobs.append((first, second, np.empty((one.M, one.N), np.float32), one.times))

    def run() -> None:
        for first, second, out, times in jobs:
            for _ in range(times):
                np.matmul(first, second, out=out)

    return run
