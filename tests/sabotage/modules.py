"""Modules that are wrong in what a module does besides computing: holding, switching, copying, saving, showing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad import Tensor, nn
from minigrad.testing.module_spec import Batch, ModuleSpec
from minigrad.testing.strategies import arrays

from .making import Sabotage


class Scale(nn.Module):
    """x * weight, which is right; the sabotaged ones below differ from it in one thing."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.weight = nn.Parameter(minigrad.rand(features))

    def forward(self, input: Tensor) -> Tensor:
        return input * self.weight

    def extra_repr(self) -> str:
        return f"features={self.features}"


class WeightIsATensor(Scale):
    """Its weight is no Parameter, so nobody knows of it."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        del self.weight
        self.weight = minigrad.rand(features).requires_grad_()


class Linear(nn.Linear):
    """Its bias is saved and shown as PyTorch's is, and never trained."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features)
        values = self.bias.detach()
        del self.bias
        self.register_buffer("bias", values)


class StateBeside(Scale):
    """It uses a number that its state dict does not have."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.offset = minigrad.rand(features).double()

    def forward(self, input: Tensor) -> Tensor:
        return input * self.weight + self.offset.to(input.dtype)


class EvalIgnored(Scale):
    """It drops half of its results, in evaluation, too."""

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.dropout(input * self.weight, 0.5, training=True)


class TrainingNeverNoticed(Scale):
    """A constant is added in training, which is no noise."""

    def forward(self, input: Tensor) -> Tensor:
        return input * self.weight + (1.0 if self.training else 0.0)


class WritesItsInput(Scale):
    """It multiplies in place."""

    def forward(self, input: Tensor) -> Tensor:
        with minigrad.no_grad():
            input.mul_(1.0)
        return input * self.weight


class MixesTheBatch(Scale):
    """It takes off the mean of the batch."""

    def forward(self, input: Tensor) -> Tensor:
        return (input - input.mean(0)) * self.weight


class CutsTheGraph(Scale):
    """Its weight gets no gradient."""

    def forward(self, input: Tensor) -> Tensor:
        return input * self.weight.detach()


class InFloat64(Scale):
    """A constant makes float64 of everything."""

    def forward(self, input: Tensor) -> Tensor:
        return input * self.weight * minigrad.tensor(np.ones(1))


class SharedByCopies(Scale):
    """A deep copy of it has the same weight."""

    def __deepcopy__(self, memo: Any) -> SharedByCopies:
        twin = SharedByCopies(self.features)
        twin.weight = self.weight
        return twin


class ShowsTooLittle(Scale):
    """Its repr leaves its only argument out."""

    def extra_repr(self) -> str:
        return ""


class OnTheHost(Scale):
    """It goes through NumPy, which is on the host."""

    def forward(self, input: Tensor) -> Tensor:
        return minigrad.tensor(np.asarray(input.detach())) * 0 + input * self.weight


class LoadsAnything(Scale):
    """It loads what fits, and says nothing of the rest."""

    def load_state_dict(self, state_dict: Any, strict: bool = True) -> Any:
        return super().load_state_dict({"weight": self.weight.detach(), **state_dict}, strict=False)


@st.composite
def _calls(draw: st.DrawFn) -> Any:
    features = draw(st.integers(1, 3))
    return {"features": features}, [draw(arrays((draw(st.integers(0, 3)), features)))]


def spec_of(module: Callable[..., nn.Module], reference: Any = None) -> ModuleSpec:
    """What `Scale` should do, asked of another module."""
    wanted = reference or (lambda state, input, features: input * state["weight"])
    return ModuleSpec(module, _calls(), wanted, batch=lambda case: Batch((0,), (0,)))


def _offset(state: Any, input: Any, features: int) -> Any:
    return input * state["weight"] + state["offset"]


def _centred(state: Any, input: Any, features: int) -> Any:
    return (input - input.sum(0) / max(len(input), 1)) * state["weight"]


_LINEAR = ModuleSpec(
    Linear,
    arrays((2, 3)).map(lambda x: ({"in_features": 3, "out_features": 2}, [x])),
    lambda state, input, **sizes: input @ state["weight"].T + state["bias"],
    torch="Linear",
)

SABOTAGES = [
    Sabotage("a parameter that is not registered", spec_of(WeightIsATensor), "equals_reference", "weight"),
    Sabotage("a buffer in a parameter's place", _LINEAR, "equals_pytorch", "gradient of bias"),
    Sabotage(
        "state that is not in the state dict",
        spec_of(StateBeside),
        "state_dict_round_trips",
        "state dict",
        users="StateBeside: output 0",
    ),
    Sabotage(
        "eval() ignored",
        spec_of(EvalIgnored),
        "train_and_eval_switch",
        "draws random numbers in evaluation",
        users="EvalIgnored: output 0",
    ),
    Sabotage("training changes the values", spec_of(TrainingNeverNoticed), "train_and_eval_switch", "training"),
    Sabotage("a module that writes its input", spec_of(WritesItsInput), "writes_nothing", "written|read-only|memory"),
    Sabotage("examples of a batch mixed", spec_of(MixesTheBatch, _centred), "batch_equals_one_by_one", ""),
    Sabotage("a parameter cut off the graph", spec_of(CutsTheGraph), "gradients_are_numeric", "is wrong in|grad"),
    Sabotage("a module that widens the dtype", spec_of(InFloat64), "equals_reference", "float64"),
    Sabotage("copies that share a parameter", spec_of(SharedByCopies), "copies_are_independent", "shares weight"),
    Sabotage("an argument missing in the repr", spec_of(ShowsTooLittle), "repr_is_the_constructors", "features"),
    Sabotage("a module that goes through the host", spec_of(OnTheHost), "runs_on_another_device", ""),
    Sabotage("a wrong state dict taken", spec_of(LoadsAnything), "wrong_state_dicts_are_refused", "takes a state dict"),
]
