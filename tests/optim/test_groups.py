"""Parameter groups, names, and mistakes in either."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from nn.oracle import array, close, torch

import minigrad
from minigrad import nn, optim
from optim.papers import SETTINGS, Settings

every = pytest.mark.parametrize("name", SETTINGS)


def test_groups_have_settings_of_their_own() -> None:
    a, b, c = (minigrad.ones(1, requires_grad=True) for _ in range(3))
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": [c], "lr": 0.0})
    (a + b + c).sum().backward()
    optimizer.step()
    close(minigrad.cat([a, b, c]), np.array([0.9, 0.5, 1.0], np.float32))
    optimizer.param_groups[0]["lr"] = 1.0
    optimizer.step()
    assert a.item() == pytest.approx(-0.1)
    assert "Parameter Group 2" in repr(optimizer)
    assert [group["params"] for group in optimizer.state_dict()["param_groups"]] == [[0], [1], [2]]


@pytest.mark.oracle
@every
def test_repr_is_pytorchs(name: str) -> None:
    ours = getattr(optim, name)([minigrad.ones(1, requires_grad=True)])
    theirs = getattr(torch().optim, name)([torch().ones(1, requires_grad=True)])
    only_there = {"foreach", "differentiable", "fused", "capturable", "decoupled_weight_decay"} - ours.defaults.keys()
    lines = [line for line in repr(theirs).split("\n") if line.split(":")[0].strip() not in only_there]
    assert repr(ours).split("\n") == lines


@pytest.mark.parametrize(
    ("params", "error", "sentence"),
    [
        (list, ValueError, "got no parameters"),
        (lambda: minigrad.ones(1, requires_grad=True), TypeError, "got a Tensor: give it model.parameters"),
        (lambda: nn.Linear(1, 1), TypeError, "got a Linear: give it model.parameters"),
        (lambda: {minigrad.ones(1)}, TypeError, "got a set"),
        (lambda: [1.0], TypeError, "parameter 0 is a float"),
        (lambda: [(minigrad.ones(1), "weight")], TypeError, "parameter 0 is a tuple"),
        (lambda: [("a", minigrad.ones(1)), minigrad.ones(1)], ValueError, "1 of 2 parameters have a name"),
        (
            lambda: [{"params": [("a", minigrad.ones(1))]}, {"params": [minigrad.ones(1)]}],
            ValueError,
            "one group has names and another has none",
        ),
        (lambda: [minigrad.ones(1, requires_grad=True) * 2], ValueError, "only leaves are optimized"),
        (lambda: [minigrad.ones(3)] * 2, ValueError, r"parameter 1 of shape \(3,\) is in a group already"),
        (lambda: [{"lr": 1}], TypeError, "a dictionary with 'params'"),
    ],
)
def test_parameters_that_cannot_be_optimized(params: Any, error: Any, sentence: str) -> None:
    with pytest.raises(error, match=f"SGD.*{sentence}"):
        optim.SGD(params(), lr=0.1)


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("SGD", {"lr": -1}, "SGD: lr must be at least 0, got -1"),
        ("SGD", {"lr": math.nan}, "SGD: lr must be at least 0, got nan"),
        ("SGD", {"momentum": -0.1}, "SGD: momentum must be at least 0"),
        ("SGD", {"nesterov": True}, "nesterov=True needs momentum above 0"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov=True needs momentum above 0"),
        ("Adagrad", {"lr_decay": -1}, "Adagrad: lr_decay must be at least 0"),
        ("Adagrad", {"initial_accumulator_value": -1}, "Adagrad: initial_accumulator_value must be"),
        ("RMSprop", {"alpha": -1}, "RMSprop: alpha must be at least 0"),
        ("RMSprop", {"eps": -1}, "RMSprop: eps must be at least 0"),
        ("Adam", {"betas": (1.0, 0.9)}, r"Adam: betas must be two numbers, at least 0 and below 1, got \(1.0, 0.9\)"),
        ("AdamW", {"weight_decay": -1}, "AdamW: weight_decay must be at least 0"),
        ("Adadelta", {"rho": 1.5}, "Adadelta: rho must be between 0 and 1, got 1.5"),
        ("Adadelta", {"eps": -1}, "Adadelta: eps must be at least 0"),
        ("Adamax", {"betas": (0.9, 1)}, "Adamax: betas must be two numbers"),
        ("NAdam", {"momentum_decay": -1}, "NAdam: momentum_decay must be at least 0"),
        ("RAdam", {"betas": (0.9,)}, "RAdam: betas must be two numbers"),
        ("ASGD", {"lr": -1}, "ASGD: lr must be at least 0"),
        ("Rprop", {"etas": (0.5, 0.9)}, r"Rprop: etas are a factor between 0 and 1 and one above 1, got \(0.5, 0.9\)"),
        ("SparseAdam", {"eps": -1}, "SparseAdam: eps must be at least 0"),
        ("LBFGS", {"history_size": 0}, "LBFGS: history_size must be at least 1, got 0"),
        ("LBFGS", {"max_iter": 0}, "LBFGS: max_iter must be at least 1"),
        ("LBFGS", {"line_search_fn": "armijo"}, "LBFGS: line_search_fn is 'strong_wolfe' or None, got 'armijo'"),
        ("LBFGS", {"tolerance_grad": -1}, "LBFGS: tolerance_grad must be at least 0"),
        ("ConjugateGradient", {"c2": 0.5}, "c2 must lie between 1e-4 and 0.5, got 0.5"),
    ],
)
def test_settings_out_of_range(name: str, settings: Settings, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        getattr(optim, name)([minigrad.ones(1, requires_grad=True)], **settings)
    leaf = minigrad.ones(1, requires_grad=True)
    with pytest.raises(ValueError, match=sentence):
        getattr(optim, name)([{"params": [leaf], **settings}])


@pytest.mark.parametrize(
    ("name", "settings", "error", "sentence"),
    [
        ("Adam", {"lr": minigrad.tensor(0.1)}, TypeError, r"Adam: lr must be a number, got a Tensor: give it lr\.item"),
        ("SGD", {"lr": "a"}, TypeError, "SGD: lr must be a number, got a str$"),
        ("RMSprop", {"momentum": None}, TypeError, "RMSprop: momentum must be a number, got a NoneType$"),
        ("LBFGS", {"lr": "a"}, TypeError, "LBFGS: lr must be a number, got a str$"),
        ("Adam", {"betas": 0.9}, ValueError, "Adam: betas must be two numbers, at least 0 and below 1, got 0.9"),
        ("Adam", {"betas": ("a", 0.9)}, ValueError, "Adam: betas must be two numbers"),
        ("Adadelta", {"rho": "a"}, ValueError, "Adadelta: rho must be between 0 and 1, got a"),
    ],
)
def test_settings_that_are_no_numbers(name: str, settings: Settings, error: Any, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        getattr(optim, name)([minigrad.ones(1, requires_grad=True)], **settings)


def test_numpys_numbers_are_numbers() -> None:
    leaf = minigrad.ones(1, requires_grad=True)
    optimizer = optim.Adam([leaf], lr=np.float32(0.5))  # type: ignore[arg-type]
    (leaf * 3).sum().backward()
    optimizer.step()
    close(leaf, np.array([0.5], np.float32), 1e-5)


def test_names_stay_with_their_group_and_change_nothing() -> None:
    net = nn.Linear(2, 1)
    optimizer = optim.SGD(net.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.param_groups[0]["params"] == [net.weight, net.bias]
    other = optim.SGD([{"params": [("w", net.weight)]}, {"params": [("b", net.bias)], "lr": 0.5}], lr=0.1)
    assert [group["param_names"] for group in other.param_groups] == [["w"], ["b"]]
    before = array(net.weight)
    net(minigrad.ones(1, 2)).sum().backward()
    optimizer.step()
    close(net.weight, before - 0.1, 1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("names_here", [True, False])
@pytest.mark.parametrize("names_there", [True, False])
def test_names_are_loaded_as_pytorch_loads_them(names_here: bool, names_there: bool) -> None:
    found = []
    for library, optimizers in ((minigrad, optim), (torch(), torch().optim)):

        def make(name: str | None, library: Any = library, optimizers: Any = optimizers) -> Any:
            leaf = library.ones(1, requires_grad=True)
            return optimizers.Adam([leaf if name is None else (name, leaf)])

        here, there = make("here" if names_here else None), make("there" if names_there else None)
        here.load_state_dict(there.state_dict())
        found.append(here.param_groups[0].get("param_names"))
    assert found[0] == found[1]


def test_settings_that_an_older_state_dict_lacks_stay_as_they_are() -> None:
    leaf = minigrad.ones(1, requires_grad=True)
    optimizer = optim.SGD([leaf], lr=0.1, maximize=True)
    state = optimizer.state_dict()
    del state["param_groups"][0]["maximize"]
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["maximize"] is True
