"""Every property of `minigrad.testing.optimizer_properties` on every optimizer; one without a spec fails, by name."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import Phase
from hypothesis import strategies as st
from sabotage.right import Descent
from specs.optimizers import OPTIMIZERS
from testing.registered import each, holds, public, without_spec

import minigrad
from minigrad import optim
from minigrad.testing import OptimizerSpec, check_optimizer
from minigrad.testing.optimizer_properties import OPTIMIZER_PROPERTIES
from minigrad.testing.trying import Property, verify

WITHOUT = {"Optimizer": "the base of all: it has no update of its own"}


def test_every_optimizer_has_a_spec() -> None:
    without = without_spec(public(optim, optim.Optimizer), OPTIMIZERS, WITHOUT)
    assert not without, f"write an OptimizerSpec in tests/specs/optimizers.py for {', '.join(without)}"


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@pytest.mark.parametrize(("spec", "prop"), each(OPTIMIZER_PROPERTIES, OPTIMIZERS))
def test_property(spec: OptimizerSpec, prop: Property[OptimizerSpec]) -> None:
    holds(spec, prop)


# ---- the checks are checked -----------------------------------------------------------------------------------------


class Plain(optim.Optimizer):
    """Descent with a heavy ball, a right optimizer of a user's own; those below are each wrong in one way."""

    def __init__(self, params: Any, lr: float = 0.1, *, maximize: bool = False) -> None:
        super().__init__(params, {"lr": lr, "maximize": maximize})

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        ball = state.setdefault("ball", minigrad.zeros(p.shape, dtype=p.dtype, device=minigrad.Tensor(p).device))
        ball._array[...] = 0.5 * ball._array + (-g if group["maximize"] else g)
        p -= group["lr"] * ball._array


class ForgetsToMaximize(Plain):
    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        super()._update(p, g, state, {**group, "maximize": False})


class WritesTheGradient(Plain):
    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        g *= 0.5
        super()._update(p, g, state, group)


class KeepsItsStateToItself(Plain):
    """Under the optimizer's own attributes, which no state dict has."""

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        own = self.__dict__.setdefault("balls", {})
        super()._update(p, g, own.setdefault(id(p), {}), group)


class OneBallForAll(Plain):
    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        counts = self.__dict__.setdefault("counts", [0])
        counts[0] += 1
        super()._update(p, g / counts[0], state, group)


class IgnoresTheGroup(Plain):
    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        super()._update(p, g, state, {**group, "lr": self.defaults["lr"]})


class NeedsARate(IgnoresTheGroup):
    """There is no rate of its own that a program could leave out."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr)


class MovesWithoutGradient(Plain):
    def step(self, closure: Any = None) -> Any:
        result = super().step(closure)
        for group in self.param_groups:
            for one in group["params"]:
                one._array *= 0.999
        return result


class TakesOtherMemory(Plain):
    def step(self, closure: Any = None) -> Any:
        result = super().step(closure)
        for group in self.param_groups:
            for one in group["params"]:
                one.data = one.detach().clone()
        return result


class CountsInDouble(Plain):
    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        super()._update(p, g, state, group)
        state["total"] = minigrad.zeros(p.shape, dtype=minigrad.float64, device=minigrad.Tensor(p).device)


class AsksForTheNorm(Plain):
    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        if float((g * g).sum()) < 1e12:
            super()._update(p, g, state, group)


class ReturnsNothing(Plain):
    def step(self, closure: Any = None) -> Any:
        super().step(closure)


SABOTAGED = {
    ForgetsToMaximize: "maximize_is_descent_on_the_negative",
    WritesTheGradient: "gradients_are_only_read",
    KeepsItsStateToItself: "state_dict_round_trips",
    OneBallForAll: "parameters_move_alone",
    IgnoresTheGroup: "parameters_move_alone",
    MovesWithoutGradient: "without_gradient_nothing_moves",
    TakesOtherMemory: "writes_in_place",
    CountsInDouble: "keeps_the_dtype",
    AsksForTheNorm: "runs_on_another_device",
    ReturnsNothing: "returns_the_closures_loss",
}
_RATES = st.fixed_dictionaries({"lr": st.sampled_from([0.1, 0.5])})


def test_a_right_optimizer_passes_every_check() -> None:
    check_optimizer(Plain, max_examples=20)


@pytest.mark.parametrize("optimizer", SABOTAGED)
def test_a_wrong_optimizer_is_caught(optimizer: type[optim.Optimizer]) -> None:
    prop = OPTIMIZER_PROPERTIES.properties[SABOTAGED[optimizer]]
    with pytest.raises((AssertionError, RuntimeError, TypeError)):
        verify(OptimizerSpec(optimizer, _RATES), prop, max_examples=100, phases=[Phase.generate])


def test_a_wrong_update_is_caught() -> None:
    def update(p: Any, g: Any, memory: dict[str, Any], settings: dict[str, Any], t: int) -> Any:
        memory["ball"] = 0.5 * memory.get("ball", 0) + (-g if settings["maximize"] else g)
        return p - settings["lr"] * memory["ball"]

    check_optimizer(OptimizerSpec(Plain, _RATES, update), max_examples=10)
    with pytest.raises(AssertionError, match="by the paper"):
        check_optimizer(OptimizerSpec(Plain, _RATES, lambda *given: 1.01 * update(*given)), max_examples=10)


def test_of_a_users_class_nothing_is_asked_that_it_does_not_say() -> None:
    report = check_optimizer(Descent, max_examples=10)
    assert "rows=" in report.skipped["takes_sparse_gradients"]
    assert "refuses=True" in report.skipped["refuses_settings_out_of_range"]
    assert report.examples["parameters_move_alone"] >= 3
    assert "parameters_move_alone" in str(report)


@pytest.mark.parametrize(
    ("options", "prop"),
    [({"rows": "refused"}, "takes_sparse_gradients"), ({"refuses": True}, "refuses_settings_out_of_range")],
)
def test_what_it_says_is_asked(options: dict[str, Any], prop: str) -> None:
    with pytest.raises((AssertionError, TypeError)) as caught:
        check_optimizer(Descent, max_examples=10, **options)
    assert f"Descent lacks the property {prop}" in "\n".join(caught.value.__notes__)


@pytest.mark.parametrize("optimizer", [WritesTheGradient, OneBallForAll, NeedsARate, MovesWithoutGradient])
def test_the_program_in_the_report_fails_in_the_same_way(optimizer: type[optim.Optimizer], monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, optimizer.__module__, sys.modules[__name__])
    with pytest.raises(AssertionError) as caught:
        check_optimizer(optimizer, settings=_RATES, max_examples=20, derandomize=True, database=None)
    (note,) = [one for one in caught.value.__notes__ if one.startswith("To see it again")]
    with pytest.raises(AssertionError) as again:
        exec(note.split("\n", 1)[1], {})
    assert str(again.value) == str(caught.value)


@pytest.mark.parametrize(
    ("optimizer", "options", "said"),
    [
        (3, {}, "give it a class, not an object of int"),
        (Plain([minigrad.ones(1, requires_grad=True)]), {}, "give it a class, not an object of Plain"),
        (lambda parameters: [], {}, "builds an object of list, which is no Optimizer"),
        (list, {}, "list is no subclass of Optimizer"),
        (Plain, {"reference": 3}, "check_optimizer has no option reference: it takes the fields of OptimizerSpec"),
        (OptimizerSpec(Plain), {"rows": "refused"}, "says everything itself"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(optimizer: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        check_optimizer(optimizer, **options)
