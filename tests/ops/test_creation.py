"""creation, drawing and filling: sizes, dtypes, devices, what is shared, what is random, what the graph sees."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from beside_torch import agree, torch
from hypothesis import assume, given
from hypothesis import strategies as st

import minigrad
from minigrad.testing import standin
from minigrad.testing.strategies import arrays, broadcastable, shapes

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
OF_A_SIZE = ["zeros", "ones", "empty", "rand", "randn"]


def same(library_call: Any, *, values: bool = True) -> None:
    """The call gives the same dtype, shape and values in both libraries."""
    found, expected = library_call(minigrad), library_call(torch())
    assert str(expected.dtype) == f"torch.{found.dtype}"
    assert tuple(expected.shape) == tuple(found.shape)
    if values:
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6, atol=1e-6)


# ---- of a size ------------------------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("name", OF_A_SIZE)
@given(shape=shapes(min_dims=1))
def test_sizes_one_by_one_or_as_a_sequence(name: str, shape: tuple[int, ...]) -> None:
    for size in (shape, (shape,), (list(shape),)):
        same(lambda library, size=size: getattr(library, name)(*size), values=name in ("zeros", "ones"))
    assert getattr(minigrad, name)(minigrad.zeros(shape).shape).shape == shape
    assert getattr(minigrad, name)(()).shape == ()


@pytest.mark.parametrize("name", [*OF_A_SIZE, "eye"])
def test_sizes_that_are_none(name: str) -> None:
    make = getattr(minigrad, name)
    with pytest.raises(RuntimeError, match=f"{name}: a size cannot be negative, got"):
        make(2, -1)
    with pytest.raises(TypeError, match=f"{name}: the sizes must be whole numbers, got"):
        make(2.5, 1)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype: str) -> None:
    for name in ("zeros", "ones"):
        same(lambda library, name=name: getattr(library, name)(2, 3, dtype=getattr(library, dtype)))
    same(lambda library: library.eye(2, 3, dtype=getattr(library, dtype)))
    same(lambda library: library.full((2, 1), 1, dtype=getattr(library, dtype)))
    for name in ("zeros", "ones"):
        same(
            lambda library, name=name: getattr(library, f"{name}_like")(library.zeros(2, dtype=getattr(library, dtype)))
        )
        same(lambda library, name=name: getattr(library.zeros(2, dtype=getattr(library, dtype)), f"new_{name}")(3, 1))
    same(lambda library: library.full_like(library.zeros(2, dtype=getattr(library, dtype)), 1))
    same(lambda library: library.zeros(2, dtype=getattr(library, dtype)).new_full((2,), 1))
    same(lambda library: library.zeros(2, dtype=getattr(library, dtype)).new_tensor([[1, 0]]))
    same(lambda library: library.empty_like(library.zeros(2, dtype=getattr(library, dtype))), values=False)
    same(lambda library: library.zeros(2, dtype=getattr(library, dtype)).new_empty(4), values=False)
    same(lambda library: library.zeros(2, dtype=getattr(library, dtype)).new(4), values=False)
    same(lambda library: library.arange(5, dtype=getattr(library, dtype)) if dtype != "bool" else library.zeros(1))


def test_the_default_dtype_is_asked_for_each_time() -> None:
    minigrad.set_default_dtype(minigrad.float64)
    try:
        made = [minigrad.zeros(1), minigrad.rand(1), minigrad.full((1,), 0.5), minigrad.arange(0.5), minigrad.eye(1)]
    finally:
        minigrad.set_default_dtype(minigrad.float32)
    assert {one.dtype for one in made} == {minigrad.float64}
    assert minigrad.zeros(1).dtype == minigrad.float32


@pytest.mark.oracle
@pytest.mark.parametrize("value", [True, 3, -2.5, math.inf])
def test_full_takes_its_dtype_from_the_number(value: Any) -> None:
    same(lambda library: library.full((2, 3), value))
    assert minigrad.full(2, minigrad.tensor(value)).tolist() == [value, value]


@pytest.mark.parametrize("name", [*OF_A_SIZE, "eye"])
def test_every_one_takes_requires_grad_and_device(name: str) -> None:
    standin.install()
    x = getattr(minigrad, name)(2, 3, requires_grad=True, device="standin", dtype=minigrad.float64)
    assert x.is_leaf
    assert x.requires_grad
    assert (x.device.type, x.shape, x.dtype) == ("standin", (2, 3), minigrad.float64)
    for like in (minigrad.zeros_like, minigrad.randn_like, minigrad.empty_like):
        assert like(x).device.type == "standin"
        assert not like(x).requires_grad
        assert like(x, device="cpu", requires_grad=True).requires_grad


@pytest.mark.parametrize("make", [
    lambda device: minigrad.full((2,), 3, device=device), lambda device: minigrad.arange(3, device=device),
    lambda device: minigrad.linspace(0, 1, 3, device=device), lambda device: minigrad.randint(5, (3,), device=device),
    lambda device: minigrad.randperm(4, device=device), lambda device: minigrad.normal(0, 1, (2,), device=device),
    lambda device: minigrad.as_tensor(np.ones(2), device=device),
])  # fmt: skip
def test_every_other_one_takes_a_device(make: Any) -> None:
    standin.install()
    assert make("standin").device.type == "standin"


# ---- counting -------------------------------------------------------------------------------------------------------


@pytest.mark.oracle
@given(
    st.integers(-5, 5) | st.sampled_from([-1.5, 0.25]), st.integers(-5, 5), st.sampled_from([1, 2, 0.5, 0.1, -1, -0.75])
)
def test_arange(start: Any, end: Any, step: Any) -> None:
    assume((end - start) * step >= 0)
    same(lambda library: library.arange(start, end, step))
    if end >= 0:
        same(lambda library: library.arange(end))
    same(lambda library: library.arange(min(start, end), max(start, end)))


def test_arange_that_leads_nowhere() -> None:
    with pytest.raises(RuntimeError, match="arange: steps of 1 do not lead from 3 to 0"):
        minigrad.arange(3, 0)
    with pytest.raises(RuntimeError, match="steps of 0"):
        minigrad.arange(0, 3, 0)


@pytest.mark.oracle
@given(st.floats(-5, 5, width=16), st.floats(-5, 5, width=16), st.integers(0, 7))
def test_linspace(start: float, end: float, steps: int) -> None:
    found, expected = minigrad.linspace(start, end, steps), torch().linspace(start, end, steps)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6, atol=1e-6)
    assert found.dtype == minigrad.float32


# ---- of an array ----------------------------------------------------------------------------------------------------


def test_what_shares_memory() -> None:
    array = np.zeros(3)
    shared = [minigrad.from_numpy(array), minigrad.as_tensor(array), minigrad.asarray(array)]
    apart = [minigrad.tensor(array), minigrad.as_tensor(array, dtype=minigrad.float32), minigrad.as_tensor([0.0, 0, 0])]
    array[1] = 5
    assert [one[1].item() for one in shared + apart] == [5, 5, 5, 0, 0, 0]
    x = minigrad.ones(2, requires_grad=True)
    assert minigrad.as_tensor(x) is x
    with pytest.raises(TypeError, match=r"from_numpy takes a numpy.ndarray, got list: use tensor\(\)"):
        minigrad.from_numpy([1.0])
    with pytest.raises(TypeError, match="an array of numbers, got <U1"):
        minigrad.from_numpy(np.array(["a"]))


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["Float", "Double", "Half", "Long", "Int", "Short", "Char", "Byte", "Bool"])
def test_old_constructors(name: str) -> None:
    same(lambda library: getattr(library, f"{name}Tensor")([[1, 0], [1, 1]]))
    same(lambda library: getattr(library, f"{name}Tensor")(2, 3), values=False)
    same(lambda library: getattr(library, f"{name}Tensor")(4), values=False)


# ---- random ---------------------------------------------------------------------------------------------------------

DRAWS = [
    lambda **settings: minigrad.rand(3, 4, **settings),
    lambda **settings: minigrad.randn(3, 4, **settings),
    lambda **settings: minigrad.randint(100, (3, 4), **settings),
    lambda **settings: minigrad.randint(-50, 50, size=(3, 4), **settings),
    lambda **settings: minigrad.randperm(12, **settings),
    lambda **settings: minigrad.normal(1.0, 2.0, (3, 4), **settings),
    lambda **settings: minigrad.normal(minigrad.zeros(3, 1), minigrad.ones(4), **settings),
    lambda **settings: minigrad.rand_like(minigrad.ones(12), **settings),
    lambda **settings: minigrad.randint_like(minigrad.ones(12), 100, **settings),
    lambda **settings: minigrad.full((40,), 0.5).bernoulli(**settings),
    lambda **settings: minigrad.multinomial(minigrad.ones(40), 20, **settings),
    lambda **settings: minigrad.zeros(12).uniform_(-1, 1, **settings),
    lambda **settings: minigrad.zeros(12).normal_(**settings),
    lambda **settings: minigrad.zeros(12).exponential_(**settings),
    lambda **settings: minigrad.zeros(12).random_(100, **settings),
    lambda **settings: minigrad.zeros(40).bernoulli_(**settings),
]  # fmt: skip


@pytest.mark.parametrize("draw", DRAWS)
def test_a_seed_fixes_a_draw_and_generators_are_apart(draw: Any) -> None:
    minigrad.manual_seed(7)
    first, second = draw(), draw()
    assert first.numel() >= 12
    assert not minigrad.equal(first, second)
    own = minigrad.Generator().manual_seed(7)
    assert minigrad.equal(draw(generator=own), first)
    state = minigrad.default_generator.get_state()
    draw(generator=own)
    assert minigrad.default_generator.get_state() == state
    minigrad.manual_seed(7)
    assert minigrad.equal(draw(), first)


def test_random_numbers_are_where_they_should_be() -> None:
    minigrad.manual_seed(1)
    n = 20_000
    uniform, normal = minigrad.rand(n), minigrad.normal(3.0, 2.0, (n,))
    assert uniform.min().item() >= 0
    assert uniform.max().item() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.01)
    assert (normal.mean().item(), normal.std().item()) == pytest.approx((3, 2), abs=0.06)
    assert set(minigrad.randint(2, 5, (n,)).tolist()) == {2, 3, 4}
    assert minigrad.randint(2, 5, (3,)).dtype == minigrad.int64
    assert sorted(minigrad.randperm(50).tolist()) == list(range(50))
    spread = minigrad.normal(minigrad.tensor([0.0, 100.0]), minigrad.tensor([0.0, 1.0]))
    assert spread[0].item() == 0
    assert 90 < spread[1].item() < 110
    waits = minigrad.zeros(n).exponential_(4.0)
    assert waits.min().item() >= 0
    assert waits.mean().item() == pytest.approx(0.25, abs=0.01)
    assert minigrad.zeros(n).bernoulli_(0.3).mean().item() == pytest.approx(0.3, abs=0.02)


def test_bernoulli() -> None:
    p = minigrad.tensor([0.0, 1.0, 0.0, 1.0], dtype=minigrad.float64)
    assert minigrad.bernoulli(p).tolist() == [0, 1, 0, 1]
    assert minigrad.bernoulli(p).dtype == minigrad.float64
    assert minigrad.zeros(4, dtype=minigrad.int64).bernoulli_(p).tolist() == [0, 1, 0, 1]
    with pytest.raises(RuntimeError, match="a probability lies between 0 and 1"):
        minigrad.bernoulli(p * 2)
    with pytest.raises(RuntimeError, match="a probability lies between 0 and 1"):
        p.bernoulli_(1.5)
    with pytest.raises(RuntimeError, match="this tensor is int64"):
        minigrad.bernoulli(minigrad.tensor([1]))


def test_multinomial() -> None:
    weights = minigrad.tensor([[0.0, 3.0, 1.0], [0.0, 0.0, 5.0]])
    drawn = weights.multinomial(1000, replacement=True)
    assert (drawn.shape, drawn.dtype) == ((2, 1000), minigrad.int64)
    assert set(drawn[1].tolist()) == {2}
    assert (drawn[0] == 1).float().mean().item() == pytest.approx(0.75, abs=0.06)
    assert sorted(minigrad.multinomial(weights[0], 2).tolist()) == [1, 2]
    with pytest.raises(RuntimeError, match="cannot draw 3 different categories where only 2"):
        weights[0].multinomial(3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_without_bounds_fits_the_dtype(dtype: str) -> None:
    x = minigrad.zeros(200, dtype=np.dtype(dtype)).random_()
    assert x.dtype == np.dtype(dtype)
    assert x.min().item() >= 0
    assert len(set(x.tolist())) > 1
    assert np.isfinite(x.numpy()).all()
    if dtype != "bool":
        assert set(x.random_(3, 5).tolist()) == {3, 4}
        assert set(x.random_(2).tolist()) == {0, 1}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64"])
def test_random_without_bounds_reaches_the_largest_number(dtype: str) -> None:
    """Half of the draws lie in the upper half, and a float holds each of them exactly."""
    largest = 2 ** (np.finfo(dtype).nmant + 1) if dtype.startswith("f") else int(np.iinfo(dtype).max)
    x = minigrad.zeros(400, dtype=np.dtype(dtype)).random_()
    assert largest / 2 < x.max().item() <= largest
    assert 0.4 < (x.double() > largest / 2).double().mean().item() < 0.6


def test_random_bools_are_even() -> None:
    assert 0.45 < minigrad.zeros(2000, dtype=np.dtype(bool)).random_().float().mean().item() < 0.55


def test_arguments_that_are_missing() -> None:
    with pytest.raises(TypeError, match=r"randint\(\) needs a size"):
        minigrad.randint(3)
    with pytest.raises(TypeError, match=r"normal\(\) of two numbers needs a size"):
        minigrad.normal(0.0, 1.0)
    assert set(minigrad.randint(high=2, size=(50,)).tolist()) == {0, 1}
    assert set(minigrad.randint(2, size=(50,)).tolist()) == {0, 1}
    assert set(minigrad.randint(2, (50,)).tolist()) == {0, 1}


# ---- written everywhere ---------------------------------------------------------------------------------------------

FILLS = {
    "fill_": lambda x: x.fill_(2.5),
    "zero_": lambda x: x.zero_(),
    "copy_": lambda x: x.copy_(x.detach() * 2),
    "uniform_": lambda x: x.uniform_(),
    "normal_": lambda x: x.normal_(),
    "exponential_": lambda x: x.exponential_(),
    "bernoulli_": lambda x: x.bernoulli_(),
    "random_": lambda x: x.random_(),
}


@pytest.mark.parametrize("name", FILLS)
def test_the_old_value_gets_gradient_0(name: str) -> None:
    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    assert FILLS[name](y) is y
    (x * y).sum().backward()
    assert x.grad.tolist() == y.tolist()


@pytest.mark.parametrize("name", FILLS)
def test_a_leaf_is_refused_by_name(name: str) -> None:
    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=f"{name}: a leaf that requires grad is used in an in-place operation"):
        FILLS[name](x)
    assert x.tolist() == [1, 2]
    with minigrad.no_grad():
        FILLS[name](x)
    assert x.tolist() != [1, 2]
    assert x.is_leaf
    assert x.requires_grad


@pytest.mark.parametrize("name", FILLS)
def test_a_view_writes_through_on_every_device(name: str) -> None:
    standin.install()
    x = minigrad.full((2, 3), 7.0, device="standin")
    with standin.no_synchronisation():
        FILLS[name](x[:, 1])
    assert x.cpu()[:, 0].tolist() == x.cpu()[:, 2].tolist() == [7, 7]
    assert x.cpu()[:, 1].tolist() != [7, 7]


@pytest.mark.oracle
@given(st.data())
def test_copy_sends_the_gradient_to_its_source(data: st.DataObject) -> None:
    first, second = data.draw(broadcastable(2))
    assume(np.broadcast_shapes(first, second) == first)
    x, src = data.draw(arrays(first)), data.draw(arrays(second))
    agree(lambda library, x, src: (x * 2).copy_(src * src) * x, x, src, order=2)
    agree(lambda library, x, src: (x * 2).copy_(src * src) * x, x.astype(np.float32), src, rtol=1e-6)
    agree(lambda library, x, value: (x * 2).fill_(value * value) * x, x, np.array(1.5), order=2)


def test_what_cannot_be_written() -> None:
    x = minigrad.zeros(2)
    with pytest.raises(TypeError, match=r"copy_ takes a tensor, got float: fill_\(\) takes a number"):
        x.copy_(1.0)
    with pytest.raises(RuntimeError, match=r"copy"):
        x.copy_(minigrad.zeros(3))
    with pytest.raises(RuntimeError, match=r"fill_: the value must be one number, got shape \(2,\): use copy_\(\)"):
        x.fill_(x)
    with pytest.raises(RuntimeError, match="the rate must be above 0"):
        x.exponential_(0)
    assert minigrad.tensor([1, 2]).fill_(2.5).tolist() == [2, 2]
