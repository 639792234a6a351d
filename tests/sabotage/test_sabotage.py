"""The checks are checked: every sabotage is caught, by the property named beside it and by what a user calls."""

from __future__ import annotations

import re
from unittest import mock

import pytest

import minigrad
from minigrad.testing import GradcheckError, OpSpec, gradcheck
from sabotage import SABOTAGES, Sabotage, making, modules, optimizers, pairs, right, rules
from sabotage.trying import by_its_property, by_the_users_check, users_check

_EACH = pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda one: one.what)


def _needs_what_it_needs(sabotage: Sabotage) -> None:
    if sabotage.caught_by == "equals_pytorch":
        pytest.importorskip("torch")


@_EACH
def test_the_property_catches_the_sabotage(sabotage: Sabotage) -> None:
    _needs_what_it_needs(sabotage)
    said = by_its_property(sabotage)
    assert said is not None, f"{sabotage.caught_by} lets it through"
    assert re.search(sabotage.says, said), f"caught, but for another reason: {said}"


@_EACH
def test_the_users_check_catches_the_sabotage(sabotage: Sabotage) -> None:
    _needs_what_it_needs(sabotage)
    said = by_the_users_check(sabotage)
    assert said is not None, "a user's check lets it through"
    known = [sabotage.says, *([sabotage.users] if sabotage.users else [])]
    assert any(re.search(one, said) for one in known), f"caught, but for another reason: {said}"


def test_no_two_sabotages_have_one_name() -> None:
    names = [one.what for one in SABOTAGES]
    assert len(names) == len(set(names))


# ---- what is right passes: what was caught above is the fault, and not the op it was put into -----------------------

RIGHT = {
    "product": OpSpec(making.product(), making.times),
    "cubed": OpSpec(making.cubed(lambda g, input: g * 3.0 * input * input), making.cube),
    "doubled": OpSpec(making.doubled(lambda g: g * 2), making.double),
    "larger": rules.larger_spec(),
    "matrix_product": OpSpec(
        rules.matrix_product(lambda g, input: input.mT @ g), lambda x, y: x @ y, making.of_shapes((2, 2), (2, 2))
    ),
    "a pair": OpSpec(pairs.product_by_hand(pairs.right), making.times, exact=False),
    "a module": modules.spec_of(modules.Scale),
    "an optimizer": optimizers.spec_of(optimizers.Adaptive),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name: str) -> None:
    users_check(RIGHT[name])


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", right.RIGHT)
def test_what_a_user_writes_right_passes(name: str, seed: int) -> None:
    with mock.patch("hypothesis.core.global_force_seed", seed):  # as --hypothesis-seed does
        report = right.RIGHT[name](**{**making.QUICK, "derandomize": False, "max_examples": 12})
    assert report.examples


def test_the_report_names_input_element_and_both_values() -> None:
    x = minigrad.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=minigrad.float64, requires_grad=True)
    wrong = making.cubed(lambda g, input: g * (3.0 * input * input + (input == 4.0)))
    with pytest.raises(GradcheckError) as caught:
        gradcheck(wrong, x)
    said = str(caught.value)
    assert "the gradient of input 0, shape (2, 2), is wrong in 1 of 4 elements, most at (1, 1): analytic" in said
    assert "numeric" in said
    assert "relative error 0.0204" in said
    assert "eps=1e-06" in said
