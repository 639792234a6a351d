"""Running an op once, forward and backward, and comparing what came out: what the properties are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from minigrad.backend import Array, to_host
from minigrad.core import engine
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor, wrap
from minigrad.testing.spec import Case, OpSpec
from minigrad.testing.strategies import Host

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


def cotangents(values: Sequence[Host], seed: int) -> list[Any]:
    """A gradient to send into each floating output, None for the others."""
    rng = np.random.default_rng(seed)
    return [
        np.asarray(rng.uniform(0.5, 1.5, value.shape), value.dtype) if value.dtype.kind == "f" else None
        for value in values
    ]


def carrying(outputs: Sequence[Tensor], gs: Sequence[Array | None]) -> tuple[list[Tensor], list[Tensor]]:
    """The outputs that a gradient flows into, and that gradient, as `backward` and `grad` take them."""
    used = [(out, wrap(g)) for out, g in zip(outputs, gs, strict=True) if g is not None and out.requires_grad]
    return [out for out, _ in used], [g for _, g in used]


def backward(outputs: Sequence[Tensor], gs: Sequence[Array | None]) -> None:
    """Send `gs` back to the leaves' `.grad`."""
    used, flowing = carrying(outputs, gs)
    if used:
        engine.backward(used, flowing)


def gradient_of(tensor: Tensor) -> Host:
    """A leaf's `.grad` on the host; zeros where nothing arrived."""
    if tensor.grad is None:
        return np.zeros(tuple(tensor.shape), tensor.dtype)
    return on_host(tensor.grad)


def gradients_of(
    outputs: Sequence[Tensor], wanted: list[Tensor], gs: Sequence[Array | None], **options: bool
) -> list[Host]:
    """What `minigrad.grad` gives for the wanted tensors, on the host; `options` are its own."""
    used, flowing = carrying(outputs, gs)
    if not used:
        return [np.zeros(tuple(one.shape), one.dtype) for one in wanted]
    gradients = engine.grad(used, wanted, flowing, materialize_grads=True, **options)
    return [on_host(one) for one in gradients]


def on_host(gradient: Any) -> Host:
    """A gradient's numbers; of one that has rows, those of the whole table."""
    return to_host((gradient.to_dense() if isinstance(gradient, Rows) else gradient)._array)


def run(
    spec: OpSpec, case: Case, needs: list[int], gs: Sequence[Array | None] | None = None, *, create_graph: bool = False
) -> tuple[list[Host], list[Host]]:
    """The values, and the gradients of the inputs in `needs`."""
    inputs = case.tensors(needs)
    outputs = spec.run(inputs, case.settings)
    values = [to_host(one._array) for one in outputs]
    if not needs:
        return values, []
    gs = cotangents(values, 0) if gs is None else gs
    return values, gradients_of(outputs, [inputs[at] for at in needs], gs, create_graph=create_graph)


def frozen(value: Any) -> Any:
    """An array that can no longer be written; anything else as it is."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    return value


def subsets(items: Sequence[int]) -> list[list[int]]:
    """Every subset of a few items; of many, the empty one, the single ones and those that leave one out."""
    if len(items) <= 3:
        return [[item for at, item in enumerate(items) if bits >> at & 1] for bits in range(2 ** len(items))]
    return [[], *([item] for item in items), *([one for one in items if one != item] for item in items)]


def assert_same_results(
    spec: OpSpec, one: tuple[list[Host], list[Host]], other: tuple[list[Host], list[Host]], what: str
) -> None:
    """Two answers of `run` are equal to the spec's tolerance."""
    for kind, firsts, seconds in zip(("output", "gradient"), one, other, strict=True):
        for place, (first, second) in enumerate(zip(firsts, seconds, strict=True)):
            assert_close(second, first, spec, f"{kind} {place} with {what}")


class Tolerance(Protocol):
    """What a spec says of how close is close."""

    @property
    def name(self) -> str:
        """Of what is compared."""

    @property
    def rtol(self) -> float:
        """In float64, relative to the largest element."""


def assert_close(value: Any, expected: Any, spec: Tolerance, what: str, slack: float = 1) -> None:
    """Equal to the spec's tolerance, relative to the largest element: a sum's rounding is that of its largest term."""
    value, expected = np.asarray(value), np.asarray(expected)
    assert value.shape == expected.shape, f"{spec.name}: {what} has shape {value.shape}, expected {expected.shape}"
    if value.dtype.kind != "f":
        np.testing.assert_array_equal(value, expected, f"{spec.name}: {what}")
        return
    single = np.float32 in (value.dtype, expected.dtype)
    rtol = (max(spec.rtol, 2e-5) if single else spec.rtol) * slack
    finite = np.abs(expected[np.isfinite(expected)])
    scale = float(finite.max()) if finite.size else 0.0
    np.testing.assert_allclose(value, expected, rtol=rtol, atol=rtol * max(scale, 1.0), err_msg=f"{spec.name}: {what}")
