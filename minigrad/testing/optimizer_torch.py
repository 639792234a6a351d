"""An optimizer beside PyTorch's: the same steps from the same gradients, and the same state afterwards."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import numpy as np

from minigrad.backend import to_host
from minigrad.core.tensor import Tensor
from minigrad.testing.optimizer_running import Trial, bowl
from minigrad.testing.optimizer_spec import OptimizerCase, OptimizerSpec
from minigrad.testing.trying import Draw

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


def equals_pytorch(spec: OptimizerSpec, case: OptimizerCase, draw: Draw) -> None:
    """PyTorch's optimizer of that name goes to the same places, and has the same state under the same names."""
    torch, ours = importlib.import_module("torch"), Trial(spec, case)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # PyTorch keeps the numbers in its states in tensors of that dtype
    try:
        theirs = _Theirs(torch, spec, case)
        for t in range(len(case.steps)):
            ours.step(t)
            theirs.step(t)
            for place, (one, other) in enumerate(zip(ours.positions(), theirs.positions(), strict=True)):
                np.testing.assert_allclose(
                    one, other, spec.rtol, spec.rtol, err_msg=f"{spec.name}: parameter {place} after step {t + 1}"
                )
    finally:
        torch.set_default_dtype(before)
    _assert_same_state(spec, ours.optimizer.state_dict(), theirs.optimizer.state_dict())


class _Theirs:
    """PyTorch's optimizer on the same case."""

    def __init__(self, torch: Any, spec: OptimizerSpec, case: OptimizerCase) -> None:
        self.torch, self.spec, self.case = torch, spec, case
        self.parameters = [torch.tensor(case.start(at)).requires_grad_() for at in range(len(case.shapes))]
        kind = getattr(torch.optim, spec.torch or "")
        plain = {"foreach": False} if "foreach" in inspect.signature(kind).parameters else {}
        self.optimizer = kind(self.parameters, **case.settings, **plain)

    def positions(self) -> list[Any]:
        return [one.detach().numpy() for one in self.parameters]

    def step(self, t: int) -> None:
        if self.spec.closure:
            self.optimizer.step(lambda: self.loss(t))
            return
        for place, one in enumerate(self.parameters):
            gradient = self.case.gradient(t, place)
            one.grad = None if gradient is None else self.torch.tensor(gradient)
            if gradient is not None and self.spec.rows == "only":
                rows = self.torch.tensor(self.case.rows(t, place))
                values = self.torch.tensor(gradient)[rows]
                one.grad = self.torch.sparse_coo_tensor(
                    rows[None], values, one.shape, check_invariants=False, is_coalesced=False
                )
        self.optimizer.step()

    def loss(self, t: int) -> Any:
        self.optimizer.zero_grad()
        total = self.torch.zeros(())
        for place, one in enumerate(self.parameters):
            if self.case.steps[t][place] != "missing":
                total = total + bowl(one, self.torch.tensor(self.case.start(place)))
        if total.requires_grad:
            total.backward()
        return total


def _assert_same_state(spec: OptimizerSpec, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """The same names and values, but for what only PyTorch has, and counts in tensors."""
    full = {number: state for number, state in theirs["state"].items() if state}
    assert ours["state"].keys() == full.keys(), f"{spec.name}: states of {[*ours['state']]}, PyTorch of {[*full]}"
    for number, state in ours["state"].items():
        # "al" is where PyTorch's LBFGS keeps its notes during a step.
        other = {name: value for name, value in full[number].items() if value is not None and name != "al"}
        names = {name for name, value in state.items() if value is not None}
        assert names == other.keys(), f"{spec.name}: a state of {sorted(names)}, PyTorch's of {sorted(other)}"
        for name in names:
            _assert_same_value(spec, name, state[name], other[name])
    for group, other_group in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        assert group.items() <= other_group.items(), f"{spec.name}: groups {group}, PyTorch's {other_group}"


def _assert_same_value(spec: OptimizerSpec, name: str, one: Any, other: Any) -> None:
    if isinstance(one, list):
        for part, counterpart in zip(one, other, strict=True):
            _assert_same_value(spec, name, part, counterpart)
        return
    found = to_host(one._array) if isinstance(one, Tensor) else one
    expected = other.detach().numpy() if hasattr(other, "detach") else other
    np.testing.assert_allclose(found, expected, spec.rtol, spec.rtol, err_msg=f"{spec.name}: {name} in its state")
