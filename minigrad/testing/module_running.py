"""Running a module once, forward and backward, and comparing what came out: what the properties are made of."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import minigrad
from minigrad.backend import to_host
from minigrad.core.tensor import Tensor
from minigrad.nn.module import Module
from minigrad.testing.module_spec import ModuleCase, ModuleSpec, leaves, rebuilt, tensor_on
from minigrad.testing.running import assert_close, cotangents, gradients_of
from minigrad.testing.strategies import Host

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these

Results = dict[str, Host]  # "output 0", "gradient of input 0", "gradient of weight"

Flow = Callable[[Sequence[Host]], list[Any]]  # from the outputs to the gradients that flow into them


def _drawn(values: Sequence[Host]) -> list[Any]:
    return cotangents(values, 0)


def steady(values: Sequence[Host]) -> list[Any]:
    """Gradients that hang on each value alone: an example gets the same ones in any batch."""
    return [np.asarray(np.cos(3 * value) + 2) if value.dtype.kind == "f" else None for value in values]


class Call:
    """A module with the inputs of a case, as Tensors; `training` puts it into that mode.

    Random numbers begin at the case's seed in every run, so that a random module is a function, too.
    """

    def __init__(
        self,
        spec: ModuleSpec,
        case: ModuleCase,
        dtype: Any = np.float64,
        *,
        device: str = "cpu",
        training: bool = False,
        module: Module | None = None,
    ) -> None:
        self.spec, self.case = spec, case.cast(dtype)
        self.module = (spec.build(case, dtype, device) if module is None else module).train(training)
        self.needs = spec.differentiable_in(case) if spec.smooth else []
        self.tensors = [tensor_on(one, device, at in self.needs) for at, one in enumerate(self.case.arrays())]

    @property
    def leaves(self) -> dict[str, Tensor]:
        """What gets a gradient, by name: inputs and parameters."""
        if not self.spec.smooth:
            return {}
        inputs = {f"input {at}": self.tensors[at] for at in self.needs if self.tensors[at].requires_grad}
        return inputs | {name: one for name, one in self.module.named_parameters() if one.requires_grad}

    @property
    def named_leaves(self) -> dict[str, Tensor]:
        """The leaves for a reader: "input x", where `forward` calls it x, and "weight"."""
        named = self._input_names()
        return {named.get(name, name): one for name, one in self.leaves.items()}

    def _input_names(self) -> dict[str, str]:
        """By "input 0", the name that `forward` gives it; of a tuple's, with its place in there."""
        parameters = list(inspect.signature(self.module.forward).parameters.values())
        names: list[str] = []
        for place, value in enumerate(self.case.inputs):
            ordinary = place < len(parameters) and parameters[place].kind is not inspect.Parameter.VAR_POSITIONAL
            count = len(list(leaves((value,))))
            name = parameters[place].name if ordinary else str(place)
            names += [f"{name}[{at}]" if isinstance(value, (tuple, list)) else name for at in range(count)]
        return {f"input {at}": f"input {name}" for at, name in enumerate(names) if name != "input"}

    def outputs(self) -> list[Tensor]:
        """Forward once: the outputs, those of a tuple one by one."""
        minigrad.manual_seed(self.case.seed)
        return list(leaves((self.module(*rebuilt(self.case.inputs, iter(self.tensors))),)))

    def results(self, flow: Flow = _drawn, **options: bool) -> Results:
        """Every output, and every leaf's gradient for what flows in; `options` are those of `grad`."""
        return results_of(self.outputs(), self.leaves, flow, **options)


def results_of(
    outputs: Sequence[Tensor], wanted: Mapping[str, Tensor], flow: Flow = _drawn, **options: bool
) -> Results:
    """The outputs and the gradients of what is wanted, all on the host."""
    values = [to_host(one._array) for one in outputs]
    results = {f"output {at}": value for at, value in enumerate(values)}
    if wanted:
        found = gradients_of(outputs, list(wanted.values()), flow(values), **options)
        results |= {f"gradient of {name}": one for name, one in zip(wanted, found, strict=True)}
    return results


def gradients_in(results: Results) -> Results:
    """The gradients among the results."""
    return {name: one for name, one in results.items() if name.startswith("gradient")}


def assert_same(spec: ModuleSpec, found: Results, expected: Results, what: str, slack: float = 1) -> None:
    """Two runs gave the same to the spec's tolerance: the same outputs, and a gradient for the same leaves."""
    assert found.keys() == expected.keys(), f"{spec.name}: {what}: {sorted(found)} where {sorted(expected)} belong"
    for name, one in expected.items():
        assert_close(found[name], one, spec, f"{name}, {what}", slack)


def assert_same_bits(spec: ModuleSpec, found: Results, expected: Results, what: str) -> None:
    """Two runs gave the same bits."""
    assert found.keys() == expected.keys(), f"{spec.name}: {what}: {sorted(found)} where {sorted(expected)} belong"
    for name, one in expected.items():
        assert found[name].dtype == one.dtype, f"{spec.name}: {name} is {found[name].dtype}, {one.dtype} {what}"
        np.testing.assert_array_equal(found[name], one, f"{spec.name}: {name}, {what}")


def state_of(module: Module) -> dict[str, Host]:
    """The state dict in arrays of its own on the host."""
    return {name: to_host(one._array).copy() for name, one in module.state_dict().items()}
