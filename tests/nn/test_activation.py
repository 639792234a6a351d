"""Activations where the properties that every module is tried with do not look: at kinks, far from 0, in words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.nn.functional as F
from minigrad import nn
from nn.oracle import agree, array, close, torch

# The module, and where it has kinks.
CASES: dict[str, tuple[Callable[[Any], Any], tuple[float, ...]]] = {
    "Tanh": (lambda nn: nn.Tanh(), ()),
    "Sigmoid": (lambda nn: nn.Sigmoid(), ()),
    "LogSigmoid": (lambda nn: nn.LogSigmoid(), ()),
    "ReLU": (lambda nn: nn.ReLU(), ()),
    "ReLU6": (lambda nn: nn.ReLU6(), (6,)),
    "LeakyReLU": (lambda nn: nn.LeakyReLU(0.2), ()),
    "ELU": (lambda nn: nn.ELU(1.5), ()),
    "CELU": (lambda nn: nn.CELU(0.5), ()),
    "SELU": (lambda nn: nn.SELU(), ()),
    "GELU": (lambda nn: nn.GELU(), ()),
    "GELU tanh": (lambda nn: nn.GELU("tanh"), ()),
    "SiLU": (lambda nn: nn.SiLU(), ()),
    "Mish": (lambda nn: nn.Mish(), ()),
    "Softplus": (lambda nn: nn.Softplus(2.0, 30.0), (15,)),
    "Softsign": (lambda nn: nn.Softsign(), ()),
    "Tanhshrink": (lambda nn: nn.Tanhshrink(), ()),
    "Hardtanh": (lambda nn: nn.Hardtanh(-2, 0.5), (-2, 0.5)),
    "Hardsigmoid": (lambda nn: nn.Hardsigmoid(), (-3, 3)),
    "Hardswish": (lambda nn: nn.Hardswish(), (-3, 3)),
    "Hardshrink": (lambda nn: nn.Hardshrink(0.7), (-0.7, 0.7)),
    "Softshrink": (lambda nn: nn.Softshrink(0.7), (-0.7, 0.7)),
    "Threshold": (lambda nn: nn.Threshold(0.1, 20.0), (0.1,)),
    "PReLU": (lambda nn: nn.PReLU(), ()),
    "Softmax": (lambda nn: nn.Softmax(-1), ()),
    "LogSoftmax": (lambda nn: nn.LogSoftmax(-1), ()),
    "Softmin": (lambda nn: nn.Softmin(-1), ()),
}
every = pytest.mark.parametrize("name", CASES)


@every
@pytest.mark.oracle
def test_the_slope_at_0_and_at_a_kink_is_pytorchs(name: str) -> None:
    make, kinks = CASES[name]
    at = np.array([[*kinks, 0.0]])
    agree(make(nn).double(), make(torch().nn).double(), at)


@every
@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_from_0_value_and_slope_are_pytorchs(name: str, dtype: Any) -> None:
    make, _ = CASES[name]
    ours, theirs = make(nn), make(torch().nn)
    if dtype is np.float64:
        ours, theirs = ours.double(), theirs.double()
    agree(ours, theirs, np.linspace(-40, 40, 47, dtype=dtype)[None], tolerance=2e-6)


@every
def test_huge_values_overflow_nowhere(name: str) -> None:
    leaf = minigrad.tensor([[1e4, -1e4, 900.0, -900.0]], requires_grad=True)
    result = CASES[name][0](nn)(leaf)
    result.sum().backward()
    assert np.isfinite(array(result)).all()
    assert np.isfinite(array(leaf.grad)).all()


@pytest.mark.parametrize("name", ["ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Hardsigmoid", "Hardswish", "LeakyReLU",
                                  "ELU", "CELU", "Hardtanh", "Threshold"])  # fmt: skip
def test_in_words_it_says_that_it_works_in_place(name: str) -> None:
    settings = (0.7, 3.0) if name == "Threshold" else ()
    assert "inplace=True" in repr(getattr(nn, name)(*settings, inplace=True))


# ---- mistakes and warnings ------------------------------------------------------------------------------------------


def test_glu_refuses_an_odd_size() -> None:
    with pytest.raises(RuntimeError, match=r"dimension -1 .* odd: 3"):
        F.glu(minigrad.ones(2, 3))


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (2, 3, 2, 2)])
def test_prelu_wants_a_slope_for_each_channel_or_one_for_all(shape: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError, match="one for each of the 3 channels, got 2"):
        nn.PReLU(2)(minigrad.ones(shape))


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
    for settings in ((1, -1), (1, 1)):
        with pytest.raises(ValueError, match="max_val must be above min_val"):
            nn.Hardtanh(*settings)
    with pytest.raises(RuntimeError, match="lambd must be at least 0"):
        F.softshrink(minigrad.ones(1), -1)
    with pytest.raises(RuntimeError, match="'none' or 'tanh'"):
        F.gelu(minigrad.ones(1), "erf")


def test_settings_at_their_bounds_are_taken() -> None:
    x = minigrad.tensor([-1.0, 2.0])
    assert F.softshrink(x, 0).tolist() == [-1, 2]
    assert F.hardtanh(x, 1, 1).tolist() == [1, 1]


# ---- the rest of nn.functional --------------------------------------------------------------------------------------


def test_one_hot_refuses_what_has_no_place() -> None:
    with pytest.raises(RuntimeError, match="from -1 to 2"):
        F.one_hot(minigrad.tensor([2, -1]), 3)
    with pytest.raises(RuntimeError, match="from 0 to 3, and the classes from 0 to 2"):
        F.one_hot(minigrad.tensor([0, 3]), 3)
    with pytest.raises(RuntimeError, match="whole numbers"):
        F.one_hot(minigrad.ones(2), 3)
    with pytest.raises(RuntimeError, match="give num_classes"):
        F.one_hot(minigrad.zeros(0, dtype=minigrad.int64))
    with pytest.raises(RuntimeError, match="one_hot of no numbers"):
        F.one_hot(minigrad.zeros(0, dtype=minigrad.int64), 0)


def test_cosine_similarity_of_zeros_is_zero() -> None:
    assert F.cosine_similarity(minigrad.zeros(1, 3), minigrad.ones(1, 3)).item() == 0


def test_every_public_name_exists_and_nothing_warns_on_import() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(hasattr(F, name) for name in F.__all__)
        assert all(hasattr(nn, name) for name in nn.__all__)
