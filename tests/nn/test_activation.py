"""Every activation against its formula in plain NumPy, its numeric slope, PyTorch, and the stand-in device."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
import minigrad.nn.functional as F
from minigrad import nn
from nn.oracle import agree, array, close, runs_on_standin, tensor_in, torch

Array = Any


def logistic(x: Array) -> Array:
    return np.exp(-np.logaddexp(0, -x))


erf = np.vectorize(math.erf, otypes=[np.float64])


def arctan(nn: Any) -> Any:
    """`nn.Arctan`, which PyTorch has as a function only."""
    if hasattr(nn, "Arctan"):
        return nn.Arctan()
    return type("Arctan", (nn.Module,), {"forward": lambda self, x: x.atan()})()


# The module, its formula in float64, and where it has kinks.
CASES: dict[str, tuple[Callable[[Any], Any], Callable[[Array], Array], tuple[float, ...]]] = {
    "Tanh": (lambda nn: nn.Tanh(), np.tanh, ()),
    "Arctan": (arctan, np.arctan, ()),
    "Sigmoid": (lambda nn: nn.Sigmoid(), logistic, ()),
    "LogSigmoid": (lambda nn: nn.LogSigmoid(), lambda x: -np.logaddexp(0, -x), ()),
    "ReLU": (lambda nn: nn.ReLU(), lambda x: np.maximum(x, 0), (0,)),
    "ReLU6": (lambda nn: nn.ReLU6(), lambda x: np.clip(x, 0, 6), (0, 6)),
    "LeakyReLU": (lambda nn: nn.LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x), (0,)),
    "ELU": (lambda nn: nn.ELU(1.5), lambda x: np.where(x > 0, x, 1.5 * np.expm1(np.minimum(x, 0))), (0,)),
    "CELU": (lambda nn: nn.CELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(np.minimum(x, 0) / 0.5)), (0,)),
    "SELU": (
        lambda nn: nn.SELU(),
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
        (0,),
    ),
    "GELU": (lambda nn: nn.GELU(), lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2))), ()),
    "GELU tanh": (
        lambda nn: nn.GELU("tanh"),
        lambda x: x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        (),
    ),
    "SiLU": (lambda nn: nn.SiLU(), lambda x: x * logistic(x), ()),
    "Mish": (lambda nn: nn.Mish(), lambda x: x * np.tanh(np.logaddexp(0, x)), ()),
    "Softplus": (lambda nn: nn.Softplus(2.0, 30.0), lambda x: np.logaddexp(0, 2 * x) / 2, (15,)),
    "Softsign": (lambda nn: nn.Softsign(), lambda x: x / (1 + np.abs(x)), (0,)),  # a kink of the slope
    "Tanhshrink": (lambda nn: nn.Tanhshrink(), lambda x: x - np.tanh(x), ()),
    "Hardtanh": (lambda nn: nn.Hardtanh(-2, 0.5), lambda x: np.clip(x, -2, 0.5), (-2, 0.5)),
    "Hardsigmoid": (lambda nn: nn.Hardsigmoid(), lambda x: np.clip(x / 6 + 0.5, 0, 1), (-3, 3)),
    "Hardswish": (lambda nn: nn.Hardswish(), lambda x: x * np.clip(x / 6 + 0.5, 0, 1), (-3, 3)),
    "Hardshrink": (lambda nn: nn.Hardshrink(0.7), lambda x: np.where(np.abs(x) > 0.7, x, 0), (-0.7, 0.7)),
    "Softshrink": (
        lambda nn: nn.Softshrink(0.7), lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.7, 0), (-0.7, 0.7)
    ),
    "Threshold": (lambda nn: nn.Threshold(0.1, 20.0), lambda x: np.where(x > 0.1, x, 20), (0.1,)),
    "PReLU": (lambda nn: nn.PReLU(), lambda x: np.where(x > 0, x, 0.25 * x), (0,)),
    "Softmax": (
        lambda nn: nn.Softmax(-1), lambda x: np.exp(x - np.logaddexp.reduce(x, axis=-1, keepdims=True)), ()
    ),
    "LogSoftmax": (
        lambda nn: nn.LogSoftmax(-1), lambda x: x - np.logaddexp.reduce(x, axis=-1, keepdims=True), ()
    ),
    "Softmin": (
        lambda nn: nn.Softmin(-1), lambda x: np.exp(-x - np.logaddexp.reduce(-x, axis=-1, keepdims=True)), ()
    ),
}  # fmt: skip
every = pytest.mark.parametrize("name", CASES)

values = st.floats(-20, 20, width=32)
arrays = hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=3, max_side=4), elements=values)


@every
@given(x=arrays)
def test_value_is_the_formulas(name: str, x: Array) -> None:
    make, formula, _ = CASES[name]
    close(make(nn).double()(minigrad.tensor(x)), formula(x), 1e-12)


@every
@given(x=arrays, seed=st.integers(0, 9))
def test_gradient_is_the_numeric_one(name: str, x: Array, seed: int) -> None:
    make, formula, kinks = CASES[name]
    for kink in kinks:
        x = np.where(np.abs(x - kink) < 1e-3, kink + 0.01, x)
    weights = np.random.default_rng(seed).normal(size=x.shape)
    leaf = minigrad.tensor(x, requires_grad=True)
    (make(nn).double()(leaf) * minigrad.tensor(weights)).sum().backward()
    step, numeric = 1e-5, np.empty_like(x)
    for place in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        numeric[place] = ((formula(moved[0]) - formula(moved[1])) * weights).sum() / (2 * step)
    np.testing.assert_allclose(array(leaf.grad), numeric, atol=1e-6, rtol=1e-6)


@every
@pytest.mark.oracle
@given(x=hnp.arrays(np.float32, (2, 3), elements=st.floats(-30, 30, width=32)))
def test_value_and_gradient_are_pytorchs(name: str, x: Array) -> None:
    make, _, _ = CASES[name]
    agree(make(nn), make(torch().nn), x, tolerance=2e-6)


@every
@pytest.mark.oracle
def test_the_slope_at_a_kink_is_pytorchs(name: str) -> None:
    make, _, kinks = CASES[name]
    at = np.array([[*kinks, 0.0]])
    agree(make(nn).double(), make(torch().nn).double(), at)


@every
def test_huge_values_overflow_nowhere(name: str) -> None:
    leaf = minigrad.tensor([[1e4, -1e4, 900.0, -900.0]], requires_grad=True)
    result = CASES[name][0](nn)(leaf)
    result.sum().backward()
    assert np.isfinite(array(result)).all()
    assert np.isfinite(array(leaf.grad)).all()


@every
def test_second_derivatives_exist(name: str) -> None:
    make, formula, _ = CASES[name]
    x = np.array([[0.3, -1.4, 2.2, 4.5]])
    leaf = minigrad.tensor(x, requires_grad=True)
    module = make(nn).double()
    (first,) = minigrad.grad(module(leaf)[0, 0], leaf, create_graph=True)
    if not first.requires_grad:  # straight lines
        assert name in {"ReLU", "ReLU6", "LeakyReLU", "Hardtanh", "Hardsigmoid", "Hardshrink", "Softshrink",
                        "Threshold", "PReLU", "Hardswish"}  # fmt: skip
        return
    (second,) = minigrad.grad(first[0, 0], leaf, allow_unused=True, materialize_grads=True)
    step = np.array([[1e-4, 0, 0, 0]])
    numeric = (formula(x + step) - 2 * formula(x) + formula(x - step))[0, 0] / 1e-8
    assert array(second)[0, 0] == pytest.approx(numeric, abs=1e-5)


@every
def test_it_runs_on_the_standin_device(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    runs_on_standin(CASES[name][0](nn), x)


@pytest.mark.parametrize("name", ["ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Hardsigmoid", "Hardswish", "LeakyReLU",
                                  "ELU", "CELU", "Hardtanh", "Threshold"])  # fmt: skip
def test_inplace_writes_into_the_input(name: str) -> None:
    x = np.array([-1.0, 0.5, 7.0], np.float32)
    leaf = minigrad.tensor(x, requires_grad=True)
    plain = minigrad.tensor(x, requires_grad=True)
    doubled = leaf * 2
    settings = (0.7, 3.0) if name == "Threshold" else ()
    result = getattr(nn, name)(*settings, inplace=True)(doubled)
    assert result is doubled
    getattr(nn, name)(*settings)(plain * 2).sum().backward()
    result.sum().backward()
    close(result, getattr(nn, name)(*settings)(minigrad.tensor(2 * x)))
    close(leaf.grad, plain.grad)


# ---- those with a shape or a weight ---------------------------------------------------------------------------------


@given(rows=st.integers(1, 3), half=st.integers(1, 3), dim=st.sampled_from([0, 1, -1]))
def test_glu_is_a_half_gated_by_the_other(rows: int, half: int, dim: int) -> None:
    shape = (2 * half, rows) if dim == 0 else (rows, 2 * half)
    x = np.random.default_rng(0).normal(size=shape)
    first, second = np.split(x, 2, axis=dim)
    close(nn.GLU(dim)(minigrad.tensor(x)), first * logistic(second), 1e-12)
    runs_on_standin(nn.GLU(dim), x.astype(np.float32))


def test_glu_refuses_an_odd_size() -> None:
    with pytest.raises(RuntimeError, match=r"dimension -1 .* odd: 3"):
        F.glu(minigrad.ones(2, 3))


@pytest.mark.oracle
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (2, 3, 2, 2)])
def test_prelu_with_a_slope_for_each_channel(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    agree(nn.PReLU(3, 0.1), torch().nn.PReLU(3, 0.1), x)
    runs_on_standin(nn.PReLU(3, 0.1), x)
    with pytest.raises(RuntimeError, match="one for each of the 3 channels, got 2"):
        nn.PReLU(2)(minigrad.tensor(x))


def test_softmax_without_dim_warns_and_follows_the_old_rule() -> None:
    for ndim, dim in ((1, 0), (2, 1), (3, 0), (4, 1)):
        x = minigrad.randn(*(2,) * ndim)
        for module, function in (
            (nn.Softmax(), F.softmax),
            (nn.LogSoftmax(), F.log_softmax),
            (nn.Softmin(), F.softmin),
        ):
            with pytest.warns(UserWarning, match=f"takes dim={dim} for an input of {ndim} dimensions") as caught:
                found = module(x)
            assert caught[0].filename == __file__
            close(found, function(x, dim))


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="max_val must be above min_val"):
        nn.Hardtanh(1, -1)
    with pytest.raises(RuntimeError, match="lambd must be at least 0"):
        F.softshrink(minigrad.ones(1), -1)
    with pytest.raises(RuntimeError, match="'none' or 'tanh'"):
        F.gelu(minigrad.ones(1), "erf")


# ---- the rest of nn.functional --------------------------------------------------------------------------------------


@given(x=hnp.arrays(np.int64, hnp.array_shapes(min_dims=0, max_dims=3, max_side=3), elements=st.integers(0, 4)))
def test_one_hot(x: Array) -> None:
    given_count = F.one_hot(minigrad.tensor(x), 6)
    close(given_count, np.eye(6, dtype=np.int64)[x])
    assert F.one_hot(minigrad.tensor(x)).shape == (*x.shape, int(x.max()) + 1)


def test_one_hot_refuses_what_has_no_place() -> None:
    with pytest.raises(RuntimeError, match="from -1 to 2"):
        F.one_hot(minigrad.tensor([2, -1]), 3)
    with pytest.raises(RuntimeError, match="from 0 to 3, and the classes from 0 to 2"):
        F.one_hot(minigrad.tensor([0, 3]), 3)
    with pytest.raises(RuntimeError, match="whole numbers"):
        F.one_hot(minigrad.ones(2), 3)
    with pytest.raises(RuntimeError, match="give num_classes"):
        F.one_hot(minigrad.zeros(0, dtype=minigrad.int64))


@pytest.mark.oracle
@given(x=hnp.arrays(np.float64, (3, 4), elements=st.floats(-3, 3)), dim=st.sampled_from([0, 1, -1]))
def test_normalize_and_cosine_similarity_are_pytorchs(x: Array, dim: int) -> None:
    y = np.cos(np.arange(12.0)).reshape(3, 4)
    x = np.where(np.abs(x) < 0.1, 0.5, x)
    functions: list[Callable[[Any, Any, Any], Any]] = [
        lambda functional, a, b: functional.normalize(a, dim=dim),
        lambda functional, a, b: functional.normalize(a, 1.0, dim),
        lambda functional, a, b: functional.cosine_similarity(a, b, dim),
    ]
    for function in functions:
        results = []
        for library, functional in ((minigrad, F), (torch(), torch().nn.functional)):
            a, b = tensor_in(library, x, True), tensor_in(library, y, True)
            out = function(functional, a, b)
            (out * out * out).sum().backward()
            results.append([out, a.grad, b.grad])
        for found, expected in zip(*results, strict=True):
            assert (found is None) == (expected is None)
            if found is not None:
                close(found, expected, 1e-10)


def test_cosine_similarity_of_zeros_is_zero() -> None:
    assert F.cosine_similarity(minigrad.zeros(1, 3), minigrad.ones(1, 3)).item() == 0


def test_every_public_name_exists_and_nothing_warns_on_import() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(hasattr(F, name) for name in F.__all__)
        assert all(hasattr(nn, name) for name in nn.__all__)
