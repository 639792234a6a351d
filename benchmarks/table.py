"""What is measured, and what it should come to: the rows of the table, in groups with a target each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks import generation, layers, lstm_lm, small, updates
from benchmarks.libraries import Library, Work
from benchmarks.lstm_lm import Size


@dataclass(frozen=True)
class Row:
    """One piece of work; `flops` of its matrix products, where these are most of it."""

    name: str
    make: Callable[[Library], Work]
    flops: int = 0
    floor: Callable[[], Work] | None = None  # the matrix products alone
    alone: float | None = None  # a target of its own, besides the group's


@dataclass(frozen=True)
class Group:
    """Rows whose ratios' geometric mean, or with `each` the worst, is to be `target` at most. None: only measured."""

    name: str
    target: float | None
    rows: list[Row]
    each: bool = False
    floor_target: float | None = None  # for ours over the floor


def _step_rows(fused: bool) -> list[Row]:
    return [
        Row(
            f"LSTM-LM {size}{' fused loss' if fused else ''}",
            partial(lstm_lm.step, size=size, fused=fused),
            lstm_lm.flops(size),
            partial(lstm_lm.floor, size),
        )
        for size in lstm_lm.SIZES
    ]


def _layer_rows() -> list[Row]:
    sizes = [Size(0, 200, 2, 20, 20), Size(0, 650, 2, 35, 20), Size(0, 1024, 1, 35, 64)]
    rows = []
    for size in sizes:
        said = f"H {size.H} x {size.L} T {size.T} B {size.B}"
        for kind in ("RNN", "GRU"):
            rows.append(Row(f"{kind} {said}", partial(layers.recurrent, kind=kind, size=size)))
    for size in sizes[:2]:
        said = f"H {size.H} x {size.L} T {size.T} B {size.B}"
        for kind in ("LSTM", "GRU"):
            made = partial(layers.recurrent, kind=kind, size=size)
            rows.append(Row(f"{kind} bidirectional {said}", partial(made, bidirectional=True)))
            rows.append(Row(f"{kind} packed {said}", partial(made, packed=True)))
    return rows


GROUPS = {
    "step": Group("LSTM-LM training step", 0.80, _step_rows(fused=False), floor_target=1.3),
    "fused": Group("LSTM-LM training step, fused loss", 0.70, _step_rows(fused=True), floor_target=1.15),
    "layers": Group("recurrent layers, forward and backward", 0.90, _layer_rows()),
    "small": Group(
        "small tensors",
        0.60,
        [
            Row("300 ops on 8 x 8", small.chain, alone=0.80),
            Row("MLP of 3 layers, Adam", small.mlp),
            Row(f"LSTMCell, {small.STEPS} steps", small.cell),
        ],
    ),
    "generate": Group(
        "generating, a token at a time", 0.50, [Row(f"{generation.TOKENS} tokens, H 128 x 2", generation.generate)]
    ),
    "optim": Group(
        "optimizers, 5 million parameters",
        1.0,
        [
            Row("Adam", partial(updates.optimizer_step, kind="Adam", lr=1e-3)),
            Row("AdamW", partial(updates.optimizer_step, kind="AdamW", lr=1e-3)),
            Row("SGD, momentum", partial(updates.optimizer_step, kind="SGD", lr=1e-3, momentum=0.9)),
        ],
        each=True,
    ),
    "dense": Group(
        "embedding and update, sparse=False",
        1.0,
        [Row("embedding and SGD V 33,278", partial(updates.embedding_step, sparse=False))],
    ),
    "sparse": Group(
        "embedding and update, sparse rows",
        0.3,
        [Row("embedding and SGD V 33,278, sparse beside dense", updates.embedding_rows_step)],
    ),
    "sparse-both": Group(
        "embedding and update, sparse rows on both sides",
        None,
        [Row("embedding and SGD V 33,278, sparse=True", partial(updates.embedding_step, sparse=True))],
    ),
}
