"""Every property of `minigrad.testing.module_properties` on every module; one without a spec fails, by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase
from hypothesis import strategies as st
from specs.modules import MODULES

import minigrad
from minigrad import Tensor, nn
from minigrad.testing import GradcheckError, ModuleSpec, check_module
from minigrad.testing.catalogue import Property, verify
from minigrad.testing.module_properties import MODULE_PROPERTIES
from minigrad.testing.module_spec import Batch
from minigrad.testing.strategies import arrays

# What is public and has no spec, and why.
WITHOUT = {
    "Module": "the base of all: it has no forward, and tests/nn/test_module.py looks at what it does",
    "RNNBase": "the base of RNN, LSTM and GRU: it has no step of its own",
}


def test_every_module_has_a_spec() -> None:
    public = {name for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    modules = {name for name in public if issubclass(getattr(nn, name), nn.Module)}
    without = sorted(modules - {spec.name for spec in MODULES} - WITHOUT.keys())
    assert not without, f"write a ModuleSpec in tests/specs/modules for {', '.join(without)}"
    assert modules >= WITHOUT.keys(), f"no module is called {sorted(WITHOUT.keys() - modules)}"


def test_no_module_has_two_specs() -> None:
    names = [spec.name for spec in MODULES]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)


def _cases() -> list[object]:
    found: list[object] = []
    for spec in MODULES:
        for prop in MODULE_PROPERTIES.of(spec):
            marks = [pytest.mark.oracle] if "pytorch" in prop.name else []
            found.append(pytest.param(spec, prop, id=f"{spec.name}-{prop.name}", marks=marks))
    return found


@pytest.mark.parametrize(("spec", "prop"), _cases())
def test_property(spec: ModuleSpec, prop: Property[ModuleSpec]) -> None:
    if "pytorch" in prop.name:
        pytest.importorskip("torch")
    verify(spec, prop)


# ---- the checks are checked -----------------------------------------------------------------------------------------


class Scale(nn.Module):
    """input * weight, a right module of a user's own; those below are each wrong in one way."""

    def __init__(self, features: int, dtype: Any = None) -> None:
        super().__init__()
        self.features = features
        self.weight = nn.Parameter(minigrad.ones(features, dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:
        return input * self.weight

    def extra_repr(self) -> str:
        return f"features={self.features}"


class WritesItsInput(Scale):
    def forward(self, input: Tensor) -> Tensor:
        input.detach().mul_(2)
        return super().forward(input)


class RoundsToSingle(Scale):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.float().double()).to(input.dtype) + 1e-9 * input.float().mean().double()


class CutsTheGraph(Scale):
    def forward(self, input: Tensor) -> Tensor:
        return input * self.weight.detach()


class LooksAtTheBatch(Scale):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input - input.mean(0))


class DrawsInEvaluation(Scale):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(minigrad.nn.functional.dropout(input, 0.5))


class TrainsOtherwise(Scale):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input * 2 if self.training else input)


class HidesItsWeight(Scale):
    """The weight is in a list, which a module does not look into."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.hidden = [minigrad.randn(features)]

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * self.hidden[0].to(input.dtype)


class ReadsRawMemory(Scale):
    def forward(self, input: Tensor) -> Tensor:
        flat = input._array.reshape(-1, order="K").reshape(input.shape)
        return super().forward(input - input.detach() + minigrad.Tensor(flat).to(input.dtype))


class ShowsNothing(Scale):
    def extra_repr(self) -> str:
        return "features=1"


class IgnoresItsDtype(Scale):
    def __init__(self, features: int, dtype: Any = None) -> None:
        super().__init__(features)


class StaysOnTheHost(Scale):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * float(input.detach().sum() > -1e9)


class Remembers(Scale):
    """What it gave last goes into what it gives next."""

    last: float = 0.0

    def forward(self, input: Tensor) -> Tensor:
        result = super().forward(input) * (1 + self.last)
        self.last += 1.0
        return result


SABOTAGED = {
    WritesItsInput: "writes_nothing",
    RoundsToSingle: "gradients_are_numeric",
    CutsTheGraph: "gradients_are_numeric",
    LooksAtTheBatch: "batch_equals_one_by_one",
    DrawsInEvaluation: "train_and_eval_switch",
    TrainsOtherwise: "train_and_eval_switch",
    HidesItsWeight: "state_dict_round_trips",
    ReadsRawMemory: "layout_does_not_matter",
    ShowsNothing: "repr_is_the_constructors",
    IgnoresItsDtype: "takes_dtype_and_device",
    StaysOnTheHost: "runs_on_another_device",
    Remembers: "used_twice_adds_up",
}


@st.composite
def _scales(draw: st.DrawFn) -> tuple[dict[str, Any], list[Any]]:
    features = draw(st.integers(1, 3))
    return {"features": features}, [draw(arrays((draw(st.integers(1, 3)), features)))]


def _by_rows(module: type[nn.Module]) -> ModuleSpec:
    return ModuleSpec(module, _scales(), batch=lambda case: Batch((0,), (0,)))


def test_a_right_module_passes_every_check() -> None:
    check_module(Scale, _scales(), max_examples=10)
    check_module(_by_rows(Scale), max_examples=10)


@pytest.mark.parametrize("module", SABOTAGED)
def test_a_wrong_module_is_caught(module: type[nn.Module]) -> None:
    prop = MODULE_PROPERTIES.properties[SABOTAGED[module]]
    with pytest.raises((AssertionError, RuntimeError, ValueError)):
        verify(_by_rows(module), prop, max_examples=100, phases=[Phase.generate])


def test_check_module_tells_what_is_wrong_and_when() -> None:
    with pytest.raises(GradcheckError, match="analytic 0") as caught:
        check_module(CutsTheGraph, _scales(), max_examples=10)
    assert "ModuleCase(arguments={'features': 1}" in "\n".join(caught.value.__notes__)


def test_a_class_alone_is_not_enough() -> None:
    with pytest.raises(TypeError, match="needs to know how it is called"):
        check_module(Scale)


# ---- found by these properties --------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [nn.HuberLoss(), nn.SmoothL1Loss()])
def test_quadratic_losses_have_their_second_derivative_at_zero(loss: nn.Module) -> None:
    x = minigrad.tensor([0.0, 0.5, -2.0], requires_grad=True)
    (first,) = minigrad.autograd.grad(loss(x, minigrad.zeros(3)) * 3, x, create_graph=True)
    (second,) = minigrad.autograd.grad(first.sum(), x)
    assert second.tolist() == [1.0, 1.0, 0.0]


def test_soft_margin_loss_makes_no_more_losses_than_scores() -> None:
    with pytest.raises(RuntimeError, match=r"input \(3,\) and target \(3, 1\) would make losses of shape \(3, 3\)"):
        nn.SoftMarginLoss()(minigrad.ones(3), minigrad.ones(3, 1))
    assert nn.SoftMarginLoss(reduction="none")(minigrad.ones(3, 2), minigrad.ones(2)).shape == (3, 2)


def test_the_divergence_of_single_numbers_is_batchmean_of_one() -> None:
    loss = nn.KLDivLoss(reduction="batchmean")(minigrad.tensor(-1.0), minigrad.tensor(1.0))
    assert loss.item() == 1.0
