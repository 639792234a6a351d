"""Optimizers where the properties that each is tried with do not look: PyTorch's defaults and states taken over, states
of other sizes, graphs, blocks and threads, averages."""

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
from minigrad.kernels import cpu_blocks, pool
from optim.papers import SETTINGS, Array, Settings

every = pytest.mark.parametrize("name", SETTINGS)

SPECIAL: dict[str, Settings] = {  # settings that take the ways the defaults do not
    "SGD": {"momentum": 0.9, "nesterov": True}, "RMSprop": {"momentum": 0.5, "centered": True, "eps": 1e-2},
    "Adam": {"amsgrad": True}, "NAdam": {"decoupled_weight_decay": True}, "RAdam": {"betas": (0.5, 0.9)},
    "ASGD": {"t0": 0, "maximize": True}, "Adamax": {"maximize": True},
}  # fmt: skip


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
def test_defaults_are_pytorchs(name: str) -> None:
    ours = getattr(optim, name)([minigrad.ones(1, requires_grad=True)])
    theirs = getattr(torch().optim, name)([torch().ones(1, requires_grad=True)])
    assert ours.defaults.items() <= theirs.defaults.items()
    missing = theirs.defaults.keys() - ours.defaults.keys()
    assert missing <= {"foreach", "differentiable", "fused", "capturable", "decoupled_weight_decay"}


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "settings"), [*((name, {}) for name in SETTINGS), *SPECIAL.items()])
def test_training_goes_on_from_pytorchs_state(name: str, settings: Settings) -> None:
    """Five steps there, then the state dict over, then five here: the same as ten there."""
    settings = {"lr": 0.03, **settings}
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


@pytest.mark.parametrize("betas", [(0.9,), (0.9, 1.0), (-0.1, 0.9), 0.9, ("a", 0.9), "ab"])
def test_what_is_no_pair_of_decays_is_refused(betas: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="Adam: betas"):
        optim.Adam([minigrad.ones(1, requires_grad=True)], betas=betas)


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


# ---- steps ----------------------------------------------------------------------------------------------------------


def test_a_graph_notices_a_step() -> None:
    leaves, loss = problem(minigrad)
    optimizer = optim.SGD(leaves, lr=0.1)
    first = loss()
    first.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="changed in place"):
        first.backward()


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
            patch.setattr(cpu_blocks, "BLOCK", block)
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


def test_a_subclass_may_begin_with_a_state_of_its_own() -> None:
    class Drifting(optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"lr": 0.1})

        def _first(self, group: Any) -> dict[str, float]:
            return {"velocity": 0.5}

        def _update(self, p: Any, g: Any, state: Any, group: Any) -> None:
            p -= group["lr"] * g * state["velocity"]._array

    parameter = minigrad.tensor([1.0, 2.0], requires_grad=True)
    parameter.grad = minigrad.ones(2)
    Drifting([parameter]).step()
    np.testing.assert_allclose(array(parameter), [0.95, 1.95], rtol=1e-6)
