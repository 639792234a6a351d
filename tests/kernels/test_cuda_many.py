"""One launch for many arrays: what it computes is the plain version's, for every number and kind of arrays."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels.host_cupy import HostLaunch

import minigrad
from minigrad import kernels, nn, optim
from minigrad.kernels import reference
from minigrad.kernels.cuda_source import MANY
from minigrad.optim import gathered


@pytest.fixture(scope="module")
def many(cuda):
    """Its module goes with `cuda`, so what tests set in it does too."""
    del cuda
    return sys.modules["minigrad.kernels.cuda_many"]


@st.composite
def arrays(draw, kinds="fd", most=5):
    """Arrays of several shapes, dtypes and strides."""
    rng, found = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), []
    for _ in range(draw(st.integers(1, most))):
        shape = draw(st.lists(st.integers(0, 9), max_size=2))
        array = np.asarray(rng.normal(size=[2 * n for n in shape]), dtype=draw(st.sampled_from(kinds)))
        every_other = (*[slice(0, None, 2)] * len(shape), ...)
        found.append(draw(st.sampled_from([array, array[every_other], array.T])))
    return found


grids = {"block": st.sampled_from([1, 3, 256]), "blocks": st.sampled_from([8, 16, 1024])}


def assert_close(a, b, computed_in=()):
    """Within the rounding of the coarsest dtype that took part."""
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    digits = max({"e": 1e-2, "f": 1e-5, "d": 1e-12}[array.dtype.char] for array in (b, *computed_in))
    np.testing.assert_allclose(a, b, rtol=digits, atol=digits)


@settings(max_examples=50)
@given(arrays=arrays(), **grids)
def test_squared_norm(cuda, many, arrays, block, blocks):
    many.BLOCK, many.BLOCKS = block, blocks
    assert_close(cuda.squared_norm(arrays), reference.squared_norm(arrays), arrays)


@settings(max_examples=50)
@given(arrays=arrays("fde"), factor=st.sampled_from([0.5, 3, np.array(0.3), np.array(0.3, np.float32)]), **grids)
def test_scale(cuda, many, arrays, factor, block, blocks):
    many.BLOCK, many.BLOCKS = block, blocks
    wanted = [array.copy() for array in arrays]
    reference.scale(wanted, factor)
    cuda.scale(arrays, factor)
    for a, b in zip(arrays, wanted, strict=True):
        assert_close(a, b)


def test_arrays_of_one_call_that_differ_in_kind_go_alone(many):
    single, double = np.ones(3, np.float32), np.ones(3)
    groups, alone = many.grouped([(single, single), (single, double), (double, double), (single, single)])
    assert [len(group) for group in groups] == [2, 1]
    (mixed,) = alone
    assert mixed[0] is single
    assert mixed[1] is double


@pytest.mark.parametrize("count", [1, MANY - 1, MANY, MANY + 1, 2 * MANY + 1])
def test_as_few_launches_as_there_is_room_for(cuda, many, count):
    many.BLOCK, many.BLOCKS = 256, 1024
    rng, before = np.random.default_rng(count), HostLaunch.launches
    arrays = [rng.normal(size=at % 5).astype(np.float32) for at in range(count)]
    wanted = [0.5 * array for array in arrays]
    assert_close(cuda.squared_norm(arrays), reference.squared_norm(arrays))
    cuda.scale(arrays, np.array(0.5, np.float32))
    assert HostLaunch.launches - before == 2 * -(-count // MANY)
    for a, b in zip(arrays, wanted, strict=True):
        assert_close(a, b)


def updates(name, draw):
    """An update's settings, and how many state arrays it has or which of them are missing."""
    flag, options = (
        st.booleans(),
        {"lr": 0.1, "weight_decay": 0.1 * draw(st.booleans()), "maximize": draw(st.booleans())},
    )
    if name == "sgd":
        options |= {"momentum": 0.9, "dampening": 0.2 * draw(flag), "nesterov": draw(flag), "first": draw(flag)}
        return options, [draw(flag)]
    if name == "adagrad":
        return options | {"eps": 1e-3}, [True]
    if name == "rmsprop":
        momentum = 0.9 * draw(flag)
        return options | {"alpha": 0.9, "eps": 1e-3, "momentum": momentum}, [True, draw(flag), momentum > 0]
    options |= {"beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "decoupled": draw(flag), "step": draw(st.integers(1, 3))}
    return options, [True, True, draw(flag)]


@settings(max_examples=100)
@given(
    name=st.sampled_from(["sgd", "adagrad", "rmsprop", "adam"]), parameters=arrays(), data=st.data(), **grids
)  # fmt: skip
def test_updates_that_wait_are_those_done_one_by_one(cuda, many, name, parameters, data, block, blocks):
    many.BLOCK, many.BLOCKS = block, blocks
    kinds = [updates(name, data.draw) for _ in range(2)]  # two groups of parameters
    expected, calls = [], []
    for p in parameters:
        options, present = data.draw(st.sampled_from(kinds))
        g, *states = [np.asarray(np.cos(p + at)) for at in range(4)]
        for state in states:
            np.add(abs(state), 1, out=state)
        if name == "rmsprop":
            states[1] /= 4  # a mean: a mean of squares is never less than its square
        states = [state if there else None for state, there in zip(states, present, strict=False)]
        mine = [None if array is None else array.copy(order="K") for array in (p, *states)]
        getattr(reference, f"{name}_update")(mine[0], g, *mine[1:], **options)
        expected.append(mine)
        calls.append(((p, g, *states), options))
    before = HostLaunch.launches
    with cuda.together():
        for given_arrays, options in calls:
            getattr(cuda, f"{name}_update")(*given_arrays, **options)
        assert HostLaunch.launches == before
    assert HostLaunch.launches - before <= 2 * 2 * 2  # a group, a dtype, with or without an optional state
    for ((p, _, *states), _), wanted in zip(calls, expected, strict=True):
        for a, b in zip((p, *states), wanted, strict=True):
            if b is not None:
                assert_close(a, b)


@pytest.fixture
def everything_there(cuda, monkeypatch):
    """Optimizers take NumPy's arrays to the CUDA kernels."""
    monkeypatch.setattr(kernels, "of", lambda array: cuda)


def stepped(make, steps=3):
    """A model's parameters after some steps, and the launches of the last one."""
    minigrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = make(model.parameters())
    for step in range(steps):
        for at, parameter in enumerate(model.parameters()):
            parameter.grad = minigrad.full_like(parameter, 0.1 * (at + 1) * (step + 1))
        before = HostLaunch.launches
        optimizer.step()
    return [parameter.detach().numpy() for parameter in model.parameters()], HostLaunch.launches - before


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.1),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1, amsgrad=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_one_launch(cuda, everything_there, monkeypatch, name):
    monkeypatch.setattr(gathered, "SMALL", -1)  # here NumPy's arrays stand for a card's, which are not gathered
    found, launches = stepped(OPTIMIZERS[name])
    assert launches == 1
    monkeypatch.undo()
    wanted, launches = stepped(OPTIMIZERS[name])
    assert launches == 0
    for a, b in zip(found, wanted, strict=True):
        assert_close(a, b)


class _Halving(optim.SGD):
    """Reads what the update wrote, so that nothing may be put off."""

    def _update(self, p, g, state, group):
        super()._update(p, g, state, group)
        p *= 0.5


def test_an_update_of_ones_own_may_read_what_was_written(cuda, everything_there, monkeypatch):
    found, _ = stepped(lambda p: _Halving(p, lr=0.1))
    monkeypatch.undo()
    wanted, _ = stepped(lambda p: _Halving(p, lr=0.1))
    for a, b in zip(found, wanted, strict=True):
        assert_close(a, b)


def test_what_came_before_an_error_is_done(cuda):
    p, g = np.ones(3), np.ones(3)

    def failing():
        with cuda.together():
            cuda.adagrad_update(p, g, np.zeros(3), lr=0.5, weight_decay=0.0, eps=0.0, maximize=False)
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    np.testing.assert_allclose(p, 0.5)
    cuda.adagrad_update(p, g, np.zeros(3), lr=0.5, weight_decay=0.0, eps=0.0, maximize=False)  # nothing waits any more
    np.testing.assert_allclose(p, 0.0)
