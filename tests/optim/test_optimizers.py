"""Every optimizer against its paper's update in plain NumPy, PyTorch over ten steps, and the stand-in device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from nn.oracle import array, close, torch

import minigrad
from minigrad import optim
from minigrad.kernels import cpu_update, pool
from minigrad.testing import standin
from optim.papers import SETTINGS, UPDATES, Array, Settings

every = pytest.mark.parametrize("name", SETTINGS)


@contextmanager
def double_precision() -> Iterator[None]:
    """PyTorch keeps the numbers in its states in tensors of the default dtype."""
    before = torch().get_default_dtype()
    torch().set_default_dtype(torch().float64)
    try:
        yield
    finally:
        torch().set_default_dtype(before)


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
    if name == "RMSprop":
        settings["lr"] = min(
            settings["lr"], 0.03
        )  # its first step is lr / sqrt(1 - alpha), a leap to where tanh is flat
        if settings["centered"]:
            settings["eps"] = 1e-2  # the root of a difference of near equals; a small eps would show its rounding alone
    paths = []
    for library, optimizers in ((minigrad, optim), (torch(), torch().optim)):
        leaves, loss = problem(library)
        groups = [{"params": leaves[:1], "lr": settings["lr"] / 2}, {"params": leaves[1:]}]
        optimizer = getattr(optimizers, name)(groups, **settings)
        path = []
        with double_precision():
            for _ in range(10):
                optimizer.zero_grad()
                value = loss()
                value.backward()
                optimizer.step()
                path.append([array(one) for one in [value, *leaves]])
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
            if isinstance(value, (int, float)):
                assert value == pytest.approx(theirs_values[key].item(), rel=1e-12)
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
        with double_precision():
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
@given(data=st.data(), shape=st.sampled_from([(), (3, 7), (40,), (0, 2)]), turned=st.booleans())
def test_blocks_and_threads_make_no_difference(name: str, data: Any, shape: tuple[int, ...], turned: bool) -> None:
    settings, results, before = data.draw(SETTINGS[name]), [], pool.get_num_threads()
    start = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for block, threads in ((1 << 14, 1), (5, 2)):
        parameter = minigrad.tensor(start.T if turned else start, requires_grad=True)
        parameter = parameter.detach().T.requires_grad_() if turned else parameter  # not contiguous any more
        optimizer = getattr(optim, name)([parameter], **settings)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cpu_update, "BLOCK", block)
            patch.setattr(cpu_update, "GRAIN", 8)
            pool.set_num_threads(threads)
            try:
                for t in range(1, 4):
                    parameter.grad = minigrad.tensor(gradient(array(parameter), t))
                    optimizer.step()
            finally:
                pool.set_num_threads(before)
        assert parameter.dtype == minigrad.float32
        states = [value for value in optimizer.state[parameter].values() if isinstance(value, minigrad.Tensor)]
        assert all(state.dtype == minigrad.float32 for state in states)
        results.append([parameter, *states])
    for one, other in zip(*results, strict=True):
        close(one, other, 1e-6)


SPECIAL: dict[str, Settings] = {  # settings that take the ways the defaults do not
    "SGD": {"momentum": 0.9, "nesterov": True}, "RMSprop": {"momentum": 0.5, "centered": True},
    "Adam": {"amsgrad": True}, "NAdam": {"decoupled_weight_decay": True}, "RAdam": {"betas": (0.5, 0.9)},
    "ASGD": {"t0": 0, "maximize": True}, "Adamax": {"maximize": True},
}  # fmt: skip


@every
def test_it_runs_on_the_standin_device(name: str) -> None:
    standin.install()
    results = []
    for device in ("cpu", "standin"):
        values = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
        parameter = minigrad.tensor(values, device=device, requires_grad=True)
        settings = dict(SPECIAL.get(name, {}))
        settings |= {} if name == "Rprop" else {"weight_decay": 0.1}
        optimizer = getattr(optim, name)([parameter], lr=0.1, **settings)
        with standin.no_synchronisation():
            for _ in range(8):
                optimizer.zero_grad()
                (parameter * parameter).sum().backward()
                optimizer.step()
        assert parameter.device.type == device
        results.append(parameter)
    close(results[1], results[0], 1e-5)


@given(t0=st.integers(0, 4), steps=st.integers(1, 12))
def test_asgds_average_is_that_of_the_parameters_after_t0(t0: int, steps: int) -> None:
    parameter = minigrad.tensor([1.0, -2.0], dtype=minigrad.float64, requires_grad=True)
    optimizer = optim.ASGD([parameter], lr=0.3, t0=t0)
    path = []
    for t in range(1, steps + 1):
        parameter.grad = minigrad.tensor(gradient(array(parameter), t))
        optimizer.step()
        path.append(array(parameter))
    close(optimizer.state[parameter]["ax"], np.mean(path[min(t0 + 1, steps - 1) :], axis=0), 1e-12)
