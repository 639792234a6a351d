"""Running an optimizer step by step, and comparing where it went: what the properties are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import minigrad
from minigrad.backend import to_host
from minigrad.core.tensor import Tensor
from minigrad.nn import functional as F
from minigrad.testing.module_spec import tensor_on
from minigrad.testing.optimizer_spec import OptimizerCase, OptimizerSpec
from minigrad.testing.strategies import Host

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


class Trial:
    """An optimizer of a case's parameters, in one dtype and on one device, step by step."""

    def __init__(
        self,
        spec: OptimizerSpec,
        case: OptimizerCase,
        dtype: Any = np.float64,
        *,
        device: str = "cpu",
        places: Sequence[int] | None = None,
        parameters: list[Tensor] | None = None,
        groups: Callable[[list[Tensor]], list[Any]] = list,
        **settings: Any,
    ) -> None:
        """`places` are the parameters that take part; `groups` makes the optimizer's parameter groups of them;
        `settings` go over those of the case."""
        self.spec, self.case, self.dtype, self.device = spec, case, np.dtype(dtype), device
        self.places = list(range(len(case.shapes))) if places is None else list(places)
        self.parameters = parameters or [self._tensor(case.start(at)).requires_grad_() for at in self.places]
        self.optimizer = spec.optimizer(groups(self.parameters), **{**case.settings, **settings})

    def _tensor(self, array: Host) -> Tensor:
        return tensor_on(array.astype(self.dtype), self.device)

    def run(self, first: int = 0, last: int | None = None) -> list[Host]:
        """The steps from `first` on; the positions afterwards."""
        for t in range(first, len(self.case.steps) if last is None else last):
            self.step(t)
        return self.positions()

    def positions(self) -> list[Host]:
        """Where the parameters are, on the host."""
        return [to_host(one._array).copy() for one in self.parameters]

    def step(self, t: int) -> Any:
        """One step of the case; what `step` returns."""
        if self.spec.closure:
            return self.optimizer.step(lambda: self.loss(t))
        self.put_gradients(t)
        return self.optimizer.step()

    def put_gradients(self, t: int, sign: float = 1.0) -> None:
        """Give every parameter its gradient of step t."""
        for parameter, at in zip(self.parameters, self.places, strict=True):
            gradient = self.case.gradient(t, at)
            parameter.grad = None
            if gradient is not None and self.spec.rows == "only":
                self.look_up(parameter, t, at, sign)
            elif gradient is not None:
                parameter.grad = self._tensor(np.asarray(sign * gradient))

    def look_up(self, table: Tensor, t: int, place: int, sign: float = 1.0, *, sparse: bool = True) -> None:
        """Give a table the gradient of some of its rows."""
        rows, gradient = self.case.rows(t, place), self.case.gradient(t, place)
        assert gradient is not None
        index = tensor_on(rows, self.device)
        (F.embedding(index, table, sparse=sparse) * self._tensor(sign * gradient[rows])).sum().backward()

    def loss(self, t: int) -> Tensor:
        """What a closure does: a smooth bowl for each parameter that has a gradient at step t, summed, and backward."""
        self.optimizer.zero_grad()
        total = minigrad.zeros((), dtype=self.dtype, device=self.device)
        for parameter, at in zip(self.parameters, self.places, strict=True):
            if self.case.steps[t][at] != "missing":
                total = total + bowl(parameter, self._tensor(self.case.start(at)))
        if total.requires_grad:
            total.backward()
        return total


def bowl(parameter: Any, start: Any) -> Any:
    """A convex function whose bottom lies half way to zero; for tensors of either library."""
    distance = parameter - start * 0.5
    return (distance * distance * 0.5 + distance**4 * 0.1).sum()


def assert_same(spec: OptimizerSpec, found: Sequence[Host], expected: Sequence[Host], what: str, rtol: float) -> None:
    """Two runs went to the same places, to `rtol` of the largest number."""
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.shape == other.shape, f"{spec.name}: parameter {place} became {one.shape}, {what}"
        scale = max(1.0, float(np.abs(other).max(initial=0)))
        np.testing.assert_allclose(one, other, rtol, rtol * scale, err_msg=f"{spec.name}: parameter {place}, {what}")


def assert_same_bits(spec: OptimizerSpec, found: Sequence[Host], expected: Sequence[Host], what: str) -> None:
    """Two runs went to the same places to the bit."""
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_array_equal(one, other, f"{spec.name}: parameter {place}, {what}", strict=True)


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors anywhere in a state."""
    if isinstance(value, dict):
        return [one for part in value.values() for one in tensors_in(part)]
    if isinstance(value, (list, tuple)):
        return [one for part in value for one in tensors_in(part)]
    return [value] if isinstance(value, Tensor) else []


def held_in(state: Any) -> Any:
    """A state with arrays of its own in the place of tensors, to be compared with later."""
    if isinstance(state, dict):
        return {name: held_in(one) for name, one in state.items()}
    if isinstance(state, (list, tuple)):
        return [held_in(one) for one in state]
    return to_host(state._array).tolist() if isinstance(state, Tensor) else state
