"""What a module should compute, and how it is built and called: one `ModuleSpec`, from which every check follows.

    def scaled(state, input, features):
        return input * state["weight"]

    ModuleSpec(Scale, st.builds(lambda x: ({"features": 3}, [x]), arrays((2, 3))), scaled)

A case is one module, by its constructor's arguments, and one call of it. Its parameters are drawn anew, from a seed:
what a constructor puts there (ones, zeros, a row of zeros) would hide mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad import backend
from minigrad.core.tensor import Tensor, wrap
from minigrad.nn.module import Module
from minigrad.testing.example import code_of_check
from minigrad.testing.strategies import Host
from minigrad.testing.trying import Spec

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these

Reference = Callable[..., Any]
Calls = st.SearchStrategy[tuple[dict[str, Any], Sequence[Any]]]

# What is done to one input to see it refused; "another kind" makes real numbers of whole ones.
FLAWS = (
    "one dimension less", "one dimension more", "a longer last dimension", "a longer first dimension", "another kind",
)  # fmt: skip


@dataclass(frozen=True)
class Beside:
    """The same module in PyTorch.

    Args:
        name: in `torch.nn`.
        rtol: of its values and gradients in float64.
        takes: the cases that PyTorch can take; by default all.
        flaws: those of `FLAWS` that both refuse.
        same_repr: PyTorch shows it in the same words.
    """

    name: str
    rtol: float = 1e-10
    takes: Callable[[ModuleCase], bool] | None = None
    flaws: Sequence[str] = FLAWS
    same_repr: bool = True


class Batch(NamedTuple):
    """Where a module keeps its examples apart: the batch's dimension in each input and output, None where it has none.

    Inputs and outputs are counted as they stand in the call, those of a tuple one by one.
    """

    inputs: Sequence[int | None]
    outputs: Sequence[int | None]


@dataclass(frozen=True)
class ModuleCase:
    """A module and a call of it: the constructor's arguments, the inputs of `forward()` (NumPy arrays, tuples of them,
    None), and the seed of its parameters."""

    arguments: dict[str, Any]
    inputs: tuple[Any, ...]
    seed: int = 0

    def arrays(self) -> list[Host]:
        """The arrays among the inputs, those of a tuple one by one."""
        return list(leaves(self.inputs))

    def with_arrays(self, arrays: Sequence[Host]) -> ModuleCase:
        """The same call on other arrays."""
        return replace(self, inputs=rebuilt(self.inputs, iter(arrays)))

    def copy(self) -> ModuleCase:
        """The same call with arrays of its own."""
        return self.with_arrays([one.copy() for one in self.arrays()])

    def cast(self, dtype: Any) -> ModuleCase:
        """The floating point inputs as `dtype`."""
        return self.with_arrays([one.astype(dtype) if one.dtype.kind == "f" else one for one in self.arrays()])


def leaves(values: Any) -> Iterator[Any]:
    """The arrays or Tensors in nested tuples, in order."""
    if isinstance(values, (tuple, list)):
        for one in values:
            yield from leaves(one)
    elif isinstance(values, (np.ndarray, Tensor)):
        yield values


def rebuilt(values: Any, new: Iterator[Any]) -> Any:
    """The same nested tuples around the leaves that `new` gives."""
    if isinstance(values, (tuple, list)):
        return tuple(rebuilt(one, new) for one in values)
    return next(new) if isinstance(values, (np.ndarray, Tensor)) else values


@dataclass(frozen=True, eq=False)
class ModuleSpec(Spec):
    """One module's contract.

    Args:
        module: the class, or any function that builds a Module.
        calls: draws `(arguments of the constructor, inputs of forward)`: NumPy arrays, floats as float64, or None, or
            tuples of those. Arrays among the arguments become Tensors. Only a single given case needs none.
        reference: what `forward` should give, in NumPy, called as `reference(state, *inputs, **arguments)` with the
            module's state dict in arrays; returns an array or tuples of them. Of a random module: what it gives in
            evaluation. Without it values are not checked, everything else is.
        differentiable: the positions of the input arrays that get a gradient; by default all that are floating point.
        smooth: how many derivatives are compared with numeric ones: 0, 1 or 2.
        exact: `backward()`, a second one, and `create_graph` agree to the bit, as those of primitives do; fused ones
            agree to rounding.
        rtol: of values in float64, relative to the largest one; in float32 it is at least 2e-5.
        own_gradient: tells of a case whether its gradient is another than the derivative, on purpose, as that of a
            padding row is zero; then it is not compared with numeric ones.
        noise: of a module that draws random numbers in training: called as `noise(output, state, *inputs, **arguments)`
            with an output in training, it raises AssertionError for one that cannot have come about.
        batch: says of a case where the examples lie, or None for one without a batch; without it, batches are not
            taken apart.
        packs: the module also takes a PackedSequence in the place of its first input (T, B, ...).
        untold: arguments that the repr leaves out.
        torch: the same in PyTorch, if it has it: a name in `torch.nn`, or a `Beside` that says more.
        covers: the class that this spec is about, where `module` is a function or wraps it.
        waits: the module needs a value on the host, and so waits for a device.
    """

    module: Callable[..., Module]
    calls: Calls | None = None
    reference: Reference | None = None
    differentiable: Sequence[int] | None = None
    smooth: int = 2
    exact: bool = False
    rtol: float = 1e-11
    own_gradient: Callable[[ModuleCase], bool] | None = None
    noise: Callable[..., None] | None = None
    batch: Callable[[ModuleCase], Batch | None] | None = None
    packs: bool = False
    untold: Sequence[str] = ()
    torch: str | Beside | None = None
    covers: type | None = None
    waits: bool = False

    @property
    def name(self) -> str:
        """The module's name."""
        return (self.covers or self.module).__name__

    @property
    def beside(self) -> Beside | None:
        """The same module in PyTorch."""
        return Beside(self.torch) if isinstance(self.torch, str) else self.torch

    def cases(self) -> st.SearchStrategy[ModuleCase]:
        """Modules with a call each. Raises TypeError without `calls`."""
        if not isinstance(self.calls, st.SearchStrategy):
            raise TypeError(
                f"{self.name}: a module's check needs to know how it is called: give it calls, a hypothesis strategy "
                f"that draws (arguments of the constructor, inputs of forward); got {self.calls!r:.60}"
            )
        calls = self.calls

        @st.composite
        def case(draw: st.DrawFn) -> ModuleCase:
            arguments, inputs = self._read(draw(calls))
            return ModuleCase(arguments, inputs, draw(st.integers(0, 99)))

        return case()

    def _read(self, call: Any) -> tuple[dict[str, Any], tuple[Any, ...]]:
        """What `calls` drew, if it is what it should be."""
        fits = isinstance(call, (tuple, list)) and len(call) == 2
        if not (fits and isinstance(call[0], dict) and isinstance(call[1], (tuple, list))):
            raise TypeError(
                f"{self.name}: calls must draw pairs: the constructor's arguments as a dictionary, and a list of the "
                f"inputs of forward, such as ({{'features': 3}}, [np.ones(3)]); it drew {call!r:.80}"
            )
        if any(isinstance(one, Tensor) for one in leaves(tuple(call[1]))):
            raise TypeError(f"{self.name}: calls drew a Tensor as an input: draw NumPy arrays, and Tensors are made")
        return call[0], tuple(call[1])

    def code(self, case: ModuleCase, prop: str, draws: Sequence[Any]) -> str:
        """A program that tries one property on one case; "" if it is too long to paste."""
        drawing = {"calls", "covers"}
        return code_of_check("check_module", self, case, prop, draws, drawing=drawing, asked_by=_ASKED_BY)

    def construct(self, case: ModuleCase, floats: Any = np.float64, **more: Any) -> Module:
        """The module as its constructor leaves it, always the same for one case; `floats` is the dtype of the arrays
        among the arguments, `more` are further arguments."""
        minigrad.manual_seed(case.seed)
        module = self.module(**tensors_among(case.arguments, floats), **more)
        if not isinstance(module, Module):
            raise TypeError(f"{self.name} builds an object of {type(module).__name__}, which is no Module")
        return module

    def build(self, case: ModuleCase, dtype: Any = np.float64, device: str = "cpu") -> Module:
        """The module in evaluation, with parameters of `case.seed` that float32 and float64 hold alike."""
        module = self.construct(case, dtype).to(np.dtype(dtype)).eval()
        rng = np.random.default_rng(case.seed)
        for parameter in module.parameters():
            values = rng.uniform(-1, 1, tuple(parameter.shape)).astype(np.float32).astype(parameter.dtype)
            parameter.data = wrap(np.asarray(values))
        return module if device == "cpu" else module.to(device)

    def differentiable_in(self, case: ModuleCase) -> list[int]:
        """The positions of the input arrays that get a gradient in this call."""
        floating = [at for at, one in enumerate(case.arrays()) if one.dtype.kind == "f"]
        return floating if self.differentiable is None else [at for at in floating if at in self.differentiable]

    def expected(self, case: ModuleCase, state: Mapping[str, Host]) -> list[Host]:
        """The reference's outputs, those of a tuple one by one."""
        assert self.reference is not None
        with np.errstate(all="ignore"):
            results = self.reference(dict(state), *case.inputs, **case.arguments)
        return [np.asarray(one) for one in (leaves(results) if isinstance(results, (tuple, list)) else [results])]


# Fields that one property alone asks for, or those with a word in their names; a program for another leaves them out.
_ASKED_BY = {"reference": "reference", "torch": "pytorch", "batch": "batch", "packs": "packed", "untold": "repr"}


def tensors_among(arguments: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
    """The arguments with a Tensor for each array, floats as `dtype`."""
    return {
        name: _tensor(value, dtype) if isinstance(value, np.ndarray) else value for name, value in arguments.items()
    }


def _tensor(array: Host, dtype: Any) -> Tensor:
    return minigrad.tensor(array.astype(dtype) if array.dtype.kind == "f" else array)


def tensor_on(array: Host, device: str, needs: bool = False) -> Tensor:
    """A Tensor around the very array (a copy if on another device)."""
    tensor = wrap(backend.transfer(array, device))
    return tensor.requires_grad_() if needs else tensor
