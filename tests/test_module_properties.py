"""Every property of `minigrad.testing.module_properties` on every module; one without a spec fails, by name."""

from __future__ import annotations

import sys
import time
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase
from sabotage.right import Bottleneck, Dropped, Silent
from specs.modules import MODULES
from testing.registered import each, holds, public, without_spec

import minigrad
from minigrad import Tensor, nn
from minigrad.testing import GradcheckError, ModuleSpec, check_module
from minigrad.testing.module_properties import MODULE_PROPERTIES
from minigrad.testing.module_spec import Batch
from minigrad.testing.strategies import arrays
from minigrad.testing.trying import Property, verify

# What is public and has no spec, and why.
WITHOUT = {
    "Module": "the base of all: it has no forward, and tests/nn/test_module.py looks at what it does",
    "RNNBase": "the base of RNN, LSTM and GRU: it has no step of its own",
}


def test_every_module_has_a_spec() -> None:
    without = without_spec(public(nn, nn.Module), MODULES, WITHOUT)
    assert not without, f"write a ModuleSpec in tests/specs/modules for {', '.join(without)}"


def test_no_module_has_two_specs() -> None:
    names = [spec.name for spec in MODULES]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)


@pytest.mark.parametrize(("spec", "prop"), each(MODULE_PROPERTIES, MODULES))
def test_property(spec: ModuleSpec, prop: Property[ModuleSpec]) -> None:
    holds(spec, prop)


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


class KeepsItsFirstInput(Scale):
    """What it was given first goes into all that it gives later."""

    def forward(self, input: Tensor) -> Tensor:
        if not hasattr(self, "first"):
            self.first = input.detach().sum()
        return super().forward(input) * self.first


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
    KeepsItsFirstInput: "calls_are_independent",
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


def _notes(error: BaseException) -> str:
    return "\n".join(error.__notes__)


def test_check_module_tells_what_is_wrong_and_when() -> None:
    with pytest.raises(GradcheckError, match=r"gradient of weight, shape .* analytic 0") as caught:
        check_module(CutsTheGraph, _scales(), max_examples=10)
    said = _notes(caught.value)
    assert "ModuleCase(arguments={'features': 1}" in said
    assert "CutsTheGraph lacks the property gradients_are_numeric: The gradients of inputs and parameters" in said
    for noise in ("<locals>", "Explanation", "reproduce this failure", "gradcheck("):
        assert noise not in said, noise


class Swaps(nn.Module):
    """Its second input has a gradient of the wrong sign."""

    def forward(self, left: Tensor, rest: Any) -> Tensor:
        return left - rest[1] + 2 * rest[1].detach()


def test_inputs_have_the_names_that_forward_gives_them() -> None:
    x = np.array([1.0, 2.0])
    with pytest.raises(GradcheckError, match=r"gradient of input rest\[1\], shape \(2,\), is wrong"):
        check_module(Swaps, st.just(({}, [x, (x, x)])), max_examples=5)


@pytest.mark.parametrize("module", [CutsTheGraph, DrawsInEvaluation, HidesItsWeight, KeepsItsFirstInput])
def test_the_program_in_the_report_fails_in_the_same_way(module: type[nn.Module], monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, module.__module__, sys.modules[__name__])
    with pytest.raises((AssertionError, RuntimeError)) as caught:
        check_module(module, _scales(), max_examples=20, derandomize=True, database=None)
    (note,) = [one for one in caught.value.__notes__ if one.startswith("To see it again")]
    with pytest.raises(type(caught.value)) as again:
        exec(note.split("\n", 1)[1], {})
    assert str(again.value) == str(caught.value)


def test_the_program_shows_what_came_in_although_the_module_writes_to_it() -> None:
    with pytest.raises(GradcheckError) as caught:
        check_module(WritesItsInput, _scales(), only="gradients_are_numeric", max_examples=10)
    assert 'case = ModuleCase({"features": 1}, (np.array([[1.0]]),), 0)' in _notes(caught.value)


def test_of_a_property_of_ones_own_no_program_is_printed() -> None:
    def never(spec: ModuleSpec, case: Any, draw: Any) -> None:
        """No module is right. Really."""
        raise AssertionError

    with pytest.raises(AssertionError) as caught:
        verify(_by_rows(Scale), Property(never), max_examples=1)
    assert "Scale lacks the property never: No module is right" in _notes(caught.value)
    assert "To see it again" not in _notes(caught.value)


def test_the_report_says_what_holds_and_what_was_left_out() -> None:
    report = check_module(Scale, _scales(), max_examples=10)
    assert report.examples["gradients_are_numeric"] >= 6
    assert "no reference=" in report.skipped["equals_reference"]
    assert "gradients_are_numeric" in str(report)
    assert [*check_module(Scale, _scales(), only="writes_nothing", max_examples=10).examples] == ["writes_nothing"]


@pytest.mark.parametrize("module", [Silent, Bottleneck])
def test_a_repr_that_says_nothing_is_not_asked(module: type[nn.Module]) -> None:
    report = check_module(module, _scales(), max_examples=10)
    assert "no extra_repr" in report.skipped["repr_is_the_constructors"]


class SaysTooLittle(Scale):
    def extra_repr(self) -> str:
        return ""


class SaysItInWords(Scale):
    def extra_repr(self) -> str:
        return f"{self.features} features"


@pytest.mark.parametrize("module", [SaysTooLittle, SaysItInWords])
def test_a_repr_that_does_not_build_one_is_told_so(module: type[nn.Module]) -> None:
    with pytest.raises(AssertionError, match=r"does not build one .* untold="):
        check_module(module, _scales(), max_examples=10)


def test_dropout_is_told_of_noise() -> None:
    with pytest.raises(AssertionError, match="If that is meant, as in dropout, say so with noise="):
        check_module(Dropped, _scales(), max_examples=10)
    check_module(Dropped, _scales(), noise=lambda output, state, input, features: None, max_examples=10)


def _no_module(features: int) -> int:
    return features


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ((Scale,), {}, "needs to know how it is called"),
        ((Scale, 3), {}, "a hypothesis strategy that draws .* got 3"),
        ((Scale, arrays((2, 3))), {}, "calls must draw pairs"),
        ((Scale, st.just(({"features": 2}, [minigrad.ones(2)]))), {}, "drew a Tensor as an input: draw NumPy arrays"),
        ((Scale, st.just(({"size": 2}, [np.ones(2)]))), {}, "unexpected keyword argument 'size'"),
        ((Scale, _scales()), {"wrong": 1}, "check_module has no option wrong: it takes the fields of ModuleSpec"),
        ((Scale(3), _scales()), {}, "give it a class, not an object of Scale"),
        ((3, _scales()), {}, "give it a class, not an object of int"),
        ((_no_module, _scales()), {}, "builds an object of int, which is no Module"),
        ((ModuleSpec(Scale, _scales()),), {"smooth": 1}, "says everything itself"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(given: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        check_module(*given, **options)


def test_a_property_that_holds_leaves_what_another_failed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hypothesis.core, "global_force_seed", None)  # with a seed, hypothesis asks no database
    known = InMemoryExampleDatabase()
    how: dict[str, Any] = {"max_examples": 20, "derandomize": False, "database": known}
    with pytest.raises(GradcheckError):
        check_module(CutsTheGraph, _scales(), only="gradients_are_numeric", **how)
    failed = {key: set(found) for key, found in known.data.items()}
    assert any(failed.values())
    check_module(CutsTheGraph, _scales(), only="writes_nothing", phases=[Phase.reuse, Phase.generate], **how)
    assert all(known.data[key] >= found for key, found in failed.items())


class Slow(Scale):
    def forward(self, input: Tensor) -> Tensor:
        time.sleep(0.03)
        return super().forward(input)


def test_a_slow_module_may_be_slow() -> None:
    before = settings.get_current_profile_name()
    settings.register_profile("impatient", deadline=20)
    settings.load_profile("impatient")
    try:
        check_module(Slow, _scales(), only="copies_are_independent", max_examples=10)
    finally:
        settings.load_profile(before)


def test_an_unknown_property_is_refused() -> None:
    with pytest.raises(LookupError, match="there is no property 'nice'; there are calls_are_independent, "):
        check_module(Scale, _scales(), only="nice")


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
