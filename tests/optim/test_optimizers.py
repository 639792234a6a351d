"""Every optimizer against its paper's update in plain NumPy, PyTorch over ten steps, and the stand-in device."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from nn.oracle import array, close, torch

import minigrad
from minigrad import nn, optim
from minigrad.testing import standin

Array = Any
Settings = dict[str, Any]

rates = st.sampled_from([1e-3, 0.03, 0.5])
decays = st.sampled_from([0, 0.1])
flags = st.booleans()


@st.composite
def sgd_settings(draw: Any) -> Settings:
    nesterov = draw(flags)
    return {
        "lr": draw(rates),
        "momentum": draw(st.sampled_from([0.5, 0.9] if nesterov else [0, 0.5, 0.9])),
        "dampening": 0 if nesterov else draw(st.sampled_from([0, 0.3])),
        "weight_decay": draw(decays),
        "nesterov": nesterov,
        "maximize": draw(flags),
    }


adagrad_settings = st.fixed_dictionaries(
    {"lr": rates, "lr_decay": st.sampled_from([0, 0.2]), "weight_decay": decays, "maximize": flags,
     "initial_accumulator_value": st.sampled_from([0, 0.5]), "eps": st.sampled_from([1e-10, 1e-2])}
)  # fmt: skip
rmsprop_settings = st.fixed_dictionaries(
    {"lr": rates, "alpha": st.sampled_from([0.5, 0.99]), "eps": st.sampled_from([1e-8, 1e-2]), "weight_decay": decays,
     "momentum": st.sampled_from([0, 0.9]), "centered": flags, "maximize": flags}
)  # fmt: skip
adam_settings = st.fixed_dictionaries(
    {"lr": rates, "betas": st.sampled_from([(0.9, 0.999), (0.5, 0.7), (0.0, 0.9)]),
     "eps": st.sampled_from([1e-8, 1e-2]), "weight_decay": decays, "amsgrad": flags, "maximize": flags}
)  # fmt: skip
SETTINGS = {
    "SGD": sgd_settings(), "Adagrad": adagrad_settings, "RMSprop": rmsprop_settings, "Adam": adam_settings,
    "AdamW": adam_settings,
}  # fmt: skip
every = pytest.mark.parametrize("name", SETTINGS)


# ---- the papers' updates --------------------------------------------------------------------------------------------


def descent(p: Array, g: Array, s: Settings) -> Array:
    return (-g if s["maximize"] else g) + s["weight_decay"] * p


def sgd(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    g = descent(p, g, s)
    if s["momentum"]:
        memory["v"] = g if t == 1 else s["momentum"] * memory["v"] + (1 - s["dampening"]) * g
        g = g + s["momentum"] * memory["v"] if s["nesterov"] else memory["v"]
    return p - s["lr"] * g


def adagrad(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    g = descent(p, g, s)
    memory["G"] = memory.get("G", s["initial_accumulator_value"]) + g**2
    return p - s["lr"] / (1 + (t - 1) * s["lr_decay"]) * g / (np.sqrt(memory["G"]) + s["eps"])


def rmsprop(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    g = descent(p, g, s)
    memory["r"] = s["alpha"] * memory.get("r", 0) + (1 - s["alpha"]) * g**2
    memory["m"] = s["alpha"] * memory.get("m", 0) + (1 - s["alpha"]) * g
    step = g / (np.sqrt(memory["r"] - memory["m"] ** 2 if s["centered"] else memory["r"]) + s["eps"])
    memory["b"] = s["momentum"] * memory.get("b", 0) + step
    return p - s["lr"] * memory["b"]


def adam(p: Array, g: Array, memory: Settings, s: Settings, t: int, decoupled: bool = False) -> Array:
    b1, b2 = s["betas"]
    if decoupled:
        p = p - s["lr"] * s["weight_decay"] * p
        g = descent(p, g, {**s, "weight_decay": 0})
    else:
        g = descent(p, g, s)
    memory["m"] = b1 * memory.get("m", 0) + (1 - b1) * g
    memory["v"] = b2 * memory.get("v", 0) + (1 - b2) * g**2
    memory["largest"] = np.maximum(memory.get("largest", 0), memory["v"])
    v = (memory["largest"] if s["amsgrad"] else memory["v"]) / (1 - b2**t)
    return p - s["lr"] * memory["m"] / (1 - b1**t) / (np.sqrt(v) + s["eps"])


def adamw(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    return adam(p, g, memory, s, t, decoupled=True)


UPDATES: dict[str, Callable[..., Array]] = {
    "SGD": sgd, "Adagrad": adagrad, "RMSprop": rmsprop, "Adam": adam, "AdamW": adamw,
}  # fmt: skip


def gradient(p: Array, t: int) -> Array:
    """Of a bumpy function, so that no two steps are alike; not tiny, where centred RMSprop divides noise by noise."""
    return np.sin(3 * p + t) + 1.5 + 0.1 * t * p


@every
@given(data=st.data(), shape=st.sampled_from([(), (3,), (2, 3)]), seed=st.integers(0, 99))
def test_ten_steps_are_the_papers(name: str, data: Any, shape: tuple[int, ...], seed: int) -> None:
    settings = data.draw(SETTINGS[name])
    expected = np.random.default_rng(seed).normal(size=shape)
    parameter = minigrad.tensor(expected, requires_grad=True)
    optimizer = getattr(optim, name)([parameter], **settings)
    memory: Settings = {}
    for t in range(1, 11):
        expected = UPDATES[name](expected, gradient(expected, t), memory, settings, t)
        parameter.grad = minigrad.tensor(np.asarray(gradient(array(parameter), t)))
        held = array(parameter.grad)
        optimizer.step()
        np.testing.assert_array_equal(array(parameter.grad), held)
        close(parameter, expected, 1e-8)


# ---- beside PyTorch -------------------------------------------------------------------------------------------------


def problem(library: Any, dtype: Any = np.float64) -> tuple[list[Any], Callable[[], Any]]:
    """Four parameters, one of which never gets a gradient, and a curved loss that is bounded, for the maximizers."""
    rng = np.random.default_rng(0)
    shapes = [(3, 4), (4,), (4, 1), (2,)]
    leaves = [library.tensor(rng.normal(size=shape).astype(dtype), requires_grad=True) for shape in shapes]
    x, y = (library.tensor(rng.normal(size=shape).astype(dtype)) for shape in ((6, 3), (6, 1)))

    def loss() -> Any:
        error = (x @ leaves[0] + leaves[1]).tanh() @ leaves[2] - y
        return error.sin().mean() + leaves[1].sin().sum() * 0.3

    return leaves, loss


@every
@pytest.mark.oracle
@given(data=st.data())
def test_ten_steps_of_training_are_pytorchs(name: str, data: Any) -> None:
    settings = data.draw(SETTINGS[name])
    if name == "RMSprop" and settings["centered"]:
        settings["eps"] = 1e-2  # the root of a difference of near equals; a small eps would show its rounding alone
    paths = []
    for library, optimizers in ((minigrad, optim), (torch(), torch().optim)):
        leaves, loss = problem(library)
        groups = [{"params": leaves[:1], "lr": settings["lr"] / 2}, {"params": leaves[1:]}]
        optimizer = getattr(optimizers, name)(groups, **settings)
        path = []
        for _ in range(10):
            optimizer.zero_grad()
            value = loss()
            value.backward()
            optimizer.step()
            path.append([value, *leaves])
            path[-1] = [array(one) for one in path[-1]]
        paths.append((path, optimizer.state_dict()))
    for ours, theirs in zip(paths[0][0], paths[1][0], strict=True):
        for one, other in zip(ours, theirs, strict=True):
            close(one, other, 1e-7)
    same_state(paths[0][1], paths[1][1])


def same_state(ours: Settings, theirs: Settings) -> None:
    """The same state dict but for the group settings that only PyTorch has, and counts in tensors."""
    assert ours["state"].keys() == {number for number, values in theirs["state"].items() if values}
    for number, values in ours["state"].items():
        theirs_values = {key: value for key, value in theirs["state"][number].items() if value is not None}
        assert values.keys() == theirs_values.keys()
        for key, value in values.items():
            if key == "step":
                assert value == theirs_values[key].item()
            else:
                close(value, theirs_values[key], 1e-7)
    for group, other in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        assert group.items() <= other.items()


@every
@pytest.mark.oracle
def test_defaults_are_pytorchs(name: str) -> None:
    ours = getattr(optim, name)([minigrad.ones(1, requires_grad=True)])
    theirs = getattr(torch().optim, name)([torch().ones(1, requires_grad=True)])
    assert ours.defaults.items() <= theirs.defaults.items()
    missing = theirs.defaults.keys() - ours.defaults.keys()
    assert missing <= {"foreach", "differentiable", "fused", "capturable", "decoupled_weight_decay"}


@every
@pytest.mark.oracle
@given(data=st.data())
def test_training_goes_on_from_pytorchs_state(name: str, data: Any) -> None:
    """Five steps there, then the state dict over, then five here: the same as ten there."""
    settings = data.draw(SETTINGS[name])
    if name == "RMSprop" and settings["centered"]:
        settings["eps"] = 1e-2
    leaves, loss = problem(torch())
    theirs = getattr(torch().optim, name)(leaves, **settings)

    def train(optimizer: Any, loss: Any) -> None:
        for _ in range(5):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

    train(theirs, loss)
    own_leaves, own_loss = problem(minigrad)
    ours = getattr(optim, name)(own_leaves, lr=123.0)
    state = theirs.state_dict()
    for values in state["state"].values():
        for key, value in values.items():
            values[key] = None if value is None else minigrad.tensor(array(value))
    ours.load_state_dict(state)
    for one, other in zip(own_leaves, leaves, strict=True):
        one.data = minigrad.tensor(array(other))
    train(ours, own_loss)
    leaves2, loss2 = problem(torch())
    again = getattr(torch().optim, name)(leaves2, **settings)
    train(again, loss2)
    train(again, loss2)
    for one, other in zip(own_leaves, leaves2, strict=True):
        close(one, other, 1e-6)


# ---- state ----------------------------------------------------------------------------------------------------------


@every
@given(data=st.data())
def test_a_resumed_run_is_the_run_bit_for_bit(name: str, data: Any) -> None:
    settings = data.draw(SETTINGS[name])
    leaves, loss = problem(minigrad, np.float32)
    optimizer = getattr(optim, name)(leaves, **settings)

    def train(optimizer: Any, loss: Any) -> None:
        for _ in range(3):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

    train(optimizer, loss)
    saved = optimizer.state_dict()
    copies, copied_loss = problem(minigrad, np.float32)
    for copy, leaf in zip(copies, leaves, strict=True):
        copy.data = leaf.detach().clone()
    resumed = getattr(optim, name)(copies)
    resumed.load_state_dict(saved)
    train(optimizer, loss)
    train(resumed, copied_loss)
    for copy, leaf in zip(copies, leaves, strict=True):
        np.testing.assert_array_equal(array(copy), array(leaf))
        for key, value in optimizer.state[leaf].items():
            if isinstance(value, minigrad.Tensor):
                assert not np.shares_memory(value._array, resumed.state[copy][key]._array)


def test_a_state_of_other_sizes_is_refused_and_nothing_changes() -> None:
    leaves, _ = problem(minigrad)
    optimizer = optim.Adam(leaves, lr=0.5)
    other = optim.Adam([{"params": leaves[:1]}, {"params": leaves[1:]}])
    with pytest.raises(ValueError, match=r"groups of \[1, 3\] parameters, this optimizer of \[4\]"):
        optimizer.load_state_dict(other.state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_a_state_moves_to_the_parameters_dtype() -> None:
    leaves, loss = problem(minigrad)
    optimizer = optim.Adam(leaves)
    loss().backward()
    optimizer.step()
    small, _ = problem(minigrad, np.float32)
    other = optim.Adam(small)
    other.load_state_dict(optimizer.state_dict())
    assert other.state[small[0]]["exp_avg"].dtype == minigrad.float32
    assert other.state[small[0]]["step"] == 1


# ---- a step, and what it leaves alone -------------------------------------------------------------------------------


@every
def test_a_step_counts_its_write_and_leaves_no_graph(name: str) -> None:
    leaves, loss = problem(minigrad)
    optimizer = getattr(optim, name)(leaves, lr=0.1)
    first = loss()
    first.backward(retain_graph=True)
    before = array(leaves[3])
    memory = leaves[0]._array
    optimizer.step()
    assert leaves[0]._array is memory
    assert all(leaf.is_leaf and leaf.requires_grad for leaf in leaves)
    np.testing.assert_array_equal(array(leaves[3]), before)
    assert 3 not in {number for number, state in optimizer.state_dict()["state"].items() if state.get("step", 1)}
    with pytest.raises(RuntimeError, match="changed in place"):
        first.backward()


@every
def test_a_closure_is_called_once_and_its_loss_returned(name: str) -> None:
    leaves, loss = problem(minigrad)
    optimizer, calls = getattr(optim, name)(leaves, lr=0.1), []

    def closure() -> Any:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        calls.append(value)
        return value

    with minigrad.no_grad():
        assert optimizer.step(closure) is calls[0]
    assert len(calls) == 1
    assert optimizer.step() is None


def test_zero_grad_forgets_or_fills() -> None:
    leaves, loss = problem(minigrad)
    optimizer = optim.SGD(leaves, lr=0.1)
    loss().backward()
    held = leaves[0].grad
    optimizer.zero_grad(set_to_none=False)
    assert leaves[0].grad is held
    assert not array(held).any()
    assert leaves[3].grad is None
    optimizer.zero_grad()
    assert leaves[0].grad is None


@every
def test_it_runs_on_the_standin_device(name: str) -> None:
    standin.install()
    results = []
    for device in ("cpu", "standin"):
        values = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
        parameter = minigrad.tensor(values, device=device, requires_grad=True)
        settings = {"SGD": {"momentum": 0.9, "nesterov": True}, "RMSprop": {"momentum": 0.5, "centered": True},
                    "Adam": {"amsgrad": True}}.get(name, {})  # fmt: skip
        optimizer = getattr(optim, name)([parameter], lr=0.1, weight_decay=0.1, **settings)
        with standin.no_synchronisation():
            for _ in range(3):
                optimizer.zero_grad()
                (parameter * parameter).sum().backward()
                optimizer.step()
        assert parameter.device.type == device
        results.append(parameter)
    close(results[1], results[0], 1e-5)


# ---- sparse gradients -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("SGD", {}),
        ("SGD", {"maximize": True}),
        ("SGD", {"momentum": 0.9}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("Adagrad", {}),
        ("Adagrad", {"lr_decay": 0.1, "maximize": True, "initial_accumulator_value": 0.1}),
    ],
)
@given(batches=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=1, max_size=4))
def test_sparse_steps_are_the_dense_ones(name: str, settings: Settings, batches: list[list[int]]) -> None:
    tables = []
    for sparse in (True, False):
        minigrad.manual_seed(0)
        table = nn.Embedding(5, 2, sparse=sparse, dtype=minigrad.float64)
        optimizer = getattr(optim, name)(table.parameters(), lr=0.1, **settings)
        for batch in batches:
            optimizer.zero_grad()
            table(minigrad.tensor(batch)).square().sum().backward()
            assert getattr(table.weight.grad, "is_sparse", False) == sparse
            optimizer.step()
        tables.append(table.weight)
    close(tables[0], tables[1], 1e-12)


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@pytest.mark.parametrize(("name", "settings"), [("SGD", {}), ("SGD", {"momentum": 0.5}), ("Adagrad", {})])
def test_sparse_steps_are_pytorchs(name: str, settings: Settings) -> None:
    tables = []
    for library, modules, optimizers in ((minigrad, nn, optim), (torch(), torch().nn, torch().optim)):
        table = modules.Embedding(5, 2, sparse=True)
        weights = np.arange(10, dtype=np.float32).reshape(5, 2) / 7
        table.load_state_dict({"weight": library.tensor(weights)})
        optimizer = getattr(optimizers, name)(table.parameters(), lr=0.1, **settings)
        for batch in ([1, 1, 3], [0, 1], [4, 4, 4]):
            optimizer.zero_grad()
            (table(library.tensor(batch)) ** 2).sum().backward()
            optimizer.step()
        tables.append(table.weight)
    close(tables[0], tables[1], 1e-6)


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("Adam", {}, "Adam does not support sparse gradients"),
        ("AdamW", {}, "AdamW does not support sparse gradients"),
        ("RMSprop", {}, "RMSprop does not support sparse gradients"),
        ("SGD", {"weight_decay": 0.1}, "SGD: weight_decay moves every row"),
        ("Adagrad", {"weight_decay": 0.1}, "Adagrad: weight_decay moves every row"),
    ],
)
def test_who_cannot_take_sparse_gradients_says_so(name: str, settings: Settings, sentence: str) -> None:
    table = nn.Embedding(5, 2, sparse=True)
    optimizer = getattr(optim, name)(table.parameters(), lr=0.1, **settings)
    table(minigrad.tensor([1])).sum().backward()
    before = array(table.weight)
    with pytest.raises(RuntimeError, match=sentence):
        optimizer.step()
    np.testing.assert_array_equal(array(table.weight), before)


# ---- groups and mistakes --------------------------------------------------------------------------------------------


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
    only_there = ("foreach", "differentiable", "fused", "capturable", "decoupled_weight_decay")
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
        (lambda: [("weight", minigrad.ones(1))], TypeError, "parameter 0 is a tuple"),
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
    ],
)
def test_settings_out_of_range(name: str, settings: Settings, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        getattr(optim, name)([minigrad.ones(1, requires_grad=True)], **settings)
    leaf = minigrad.ones(1, requires_grad=True)
    with pytest.raises(ValueError, match=sentence):
        getattr(optim, name)([{"params": [leaf], **settings}])
