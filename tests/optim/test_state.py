"""States that cannot be gone on from, and settings that a group changes on the way."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from nn.oracle import array

import minigrad
from minigrad import optim
from optim.papers import SETTINGS
from optim.test_optimizers import gradient

every = pytest.mark.parametrize("name", SETTINGS)


@every
def test_a_state_of_other_shapes_or_with_something_missing_is_refused_at_once(name: str) -> None:
    leaf, other = minigrad.ones(3, requires_grad=True), minigrad.ones(2, requires_grad=True)
    settings = {"momentum": 0.9} if name == "SGD" else {}
    optimizer, target = (getattr(optim, name)([one], lr=0.1, **settings) for one in (leaf, other))
    leaf.sum().backward()
    optimizer.step()
    held = dict(target.state[other])
    with pytest.raises(ValueError, match=rf"{name}: .*parameter 0 has a '\w+' of shape \(3,\).*needs \(2,\)"):
        target.load_state_dict(optimizer.state_dict())
    again = getattr(optim, name)([leaf], lr=0.1)
    for key in optimizer.state[leaf] if name != "SGD" else ():  # its buffer may be missing
        state = optimizer.state_dict()
        del state["state"][0][key]
        with pytest.raises(ValueError, match=f"{name}: .*the state of parameter 0 lacks '{key}'"):
            again.load_state_dict(state)
    assert target.state[other].keys() == held.keys()
    again.load_state_dict(optimizer.state_dict())
    again.step()


def test_what_is_no_state_dict_is_refused() -> None:
    leaf = minigrad.ones(2, requires_grad=True)
    optimizer = optim.Adam([leaf])
    leaf.sum().backward()
    optimizer.step()
    for wrong in ([], {"state": {}}, {"state": {}, "param_groups": [{"lr": 1}]}):
        with pytest.raises(TypeError, match="Adam: a state dict has 'state' and 'param_groups', each group with"):
            optimizer.load_state_dict(wrong)  # type: ignore[arg-type]
    stray = optimizer.state_dict()
    stray["state"][7] = stray["state"][0]
    with pytest.raises(ValueError, match="Adam: the state dict has a state for parameter 7, which is in none of its"):
        optimizer.load_state_dict(stray)
    foreign = optimizer.state_dict()
    foreign["state"][0]["exp_avg"] = np.zeros(2)
    with pytest.raises(TypeError, match=r"'exp_avg' that is a numpy ndarray: make it a minigrad\.Tensor first"):
        optimizer.load_state_dict(foreign)
    wild = optimizer.state_dict()
    wild["param_groups"][0]["lr"] = "a"
    with pytest.raises(TypeError, match="Adam: lr must be a number, got a str"):
        optimizer.load_state_dict(wild)
    whole = optim.Adagrad([leaf]).state_dict()
    whole["state"].clear()
    with pytest.raises(ValueError, match=r"Adagrad: .*parameter 0 lacks 'step', 'sum'"):
        optim.Adagrad([leaf]).load_state_dict(whole)


# ---- settings that a group changes on the way -----------------------------------------------------------------------

SWITCHES = [("Adam", "amsgrad", True), ("AdamW", "amsgrad", True), ("RMSprop", "momentum", 0.9)]
SWITCHES += [("RMSprop", "centered", True), ("SGD", "momentum", 0.9)]


@pytest.mark.parametrize(("name", "setting", "on"), SWITCHES)
@given(early=st.integers(1, 3), late=st.integers(1, 3))
def test_a_setting_counts_from_when_its_group_has_it(name: str, setting: str, on: Any, early: int, late: int) -> None:
    """A run whose setting changes after some steps is a new one with that setting and the old one's memory."""
    for before, after in ((type(on)(0), on), (on, type(on)(0))):
        leaves = [minigrad.tensor([0.3, -1.2], dtype=minigrad.float64, requires_grad=True) for _ in range(2)]
        changing = getattr(optim, name)([leaves[0]], lr=0.1, **{setting: before})
        for t in range(early):
            leaves[0].grad = minigrad.tensor(gradient(array(leaves[0]), t) * 4 / (1 + t))
            changing.step()
        fresh = getattr(optim, name)([leaves[1]], lr=0.1, **{setting: after})
        only_on = {"max_exp_avg_sq", "momentum_buffer", "grad_avg"}
        state = changing.state_dict()
        state["param_groups"][0][setting] = after
        state["state"] = {
            number: {key: value for key, value in values.items() if key not in only_on}
            for number, values in state["state"].items()
        }
        fresh.load_state_dict(state)
        leaves[1].data = leaves[0].detach().clone()
        changing.param_groups[0][setting] = after
        for optimizer, leaf in ((changing, leaves[0]), (fresh, leaves[1])):
            for t in range(early, early + late):
                leaf.grad = minigrad.tensor(gradient(array(leaf), t) * 4 / (1 + t))
                optimizer.step()
        np.testing.assert_array_equal(array(leaves[0]), array(leaves[1]))
        kept = [key for key in fresh.state[leaves[1]] if key in only_on]
        assert len(kept) == bool(after)
