"""Running an op once, forward and backward, and comparing what came out: what the properties are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.backend import to_host
from minigrad.core import engine
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor, wrap
from minigrad.testing.spec import Case, OpSpec
from minigrad.testing.strategies import Host


def cotangents(values: Sequence[Host], seed: int) -> list[Any]:
    """A gradient to send into each floating output, None for the others."""
    rng = np.random.default_rng(seed)
    return [
        rng.uniform(0.5, 1.5, value.shape).astype(value.dtype) if value.dtype.kind == "f" else None for value in values
    ]


def backward(outputs: Sequence[Tensor], gs: Sequence[Any]) -> None:
    backward_tensors(outputs, [None if g is None else wrap(g) for g in gs])


def backward_tensors(outputs: Sequence[Tensor], gs: Sequence[Any]) -> None:
    used = [(out, g) for out, g in zip(outputs, gs, strict=False) if g is not None and out.requires_grad]
    if used:
        engine.backward([out for out, _ in used], [g for _, g in used])


def gradient_of(tensor: Tensor) -> Host:
    gradient = tensor.grad
    if gradient is None:
        return np.zeros(tuple(tensor.shape), tensor.dtype)
    return to_host((gradient.to_dense() if isinstance(gradient, Rows) else gradient)._array)


def gradients_of(outputs: Sequence[Tensor], wanted: list[Tensor], gs: Sequence[Any], **options: bool) -> list[Host]:
    used = [(out, wrap(g)) for out, g in zip(outputs, gs, strict=True) if g is not None and out.requires_grad]
    if not used:
        return [np.zeros(tuple(one.shape), one.dtype) for one in wanted]
    gradients = engine.grad([o for o, _ in used], wanted, [g for _, g in used], materialize_grads=True, **options)
    return [to_host((one.to_dense() if isinstance(one, Rows) else one)._array) for one in gradients]


def run(
    spec: OpSpec, case: Case, needs: list[int], *, cotangents: Sequence[Any] | None = None, create_graph: bool = False
) -> tuple[list[Host], list[Host]]:
    """The values, and the gradients of the inputs in `needs`."""
    inputs = case.tensors(needs)
    outputs = spec.run(inputs, case.settings)
    values = [to_host(one._array) for one in outputs]
    if not needs:
        return values, []
    gs = cotangents(values, 0) if cotangents is None else cotangents
    return values, gradients_of(outputs, [inputs[at] for at in needs], gs, create_graph=create_graph)


def frozen(value: Any) -> Any:
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
    for kind, firsts, seconds in zip(("output", "gradient"), one, other, strict=True):
        for place, (first, second) in enumerate(zip(firsts, seconds, strict=True)):
            assert_close(second, first, spec, f"{kind} {place} with {what}")


def assert_close(value: Any, expected: Any, spec: OpSpec, what: str, slack: float = 1) -> None:
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
