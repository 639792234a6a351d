"""Specs of the activations in minigrad.nn.functional. The references are Python's `math`, one number at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad.nn.functional as F
from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, axis, shapes

from .elementwise import each
from .public_reduction import asked_for_float64, in_float64
from .softmax import _probabilities

Arguments = tuple[list[Any], dict[str, Any]]


@st.composite
def _one(draw: st.DrawFn, kinks: tuple[float, ...] = (), reach: float = 6, **choices: Any) -> Arguments:
    """An array and further settings, each left out or drawn."""
    x = draw(arrays(shapes(), domain=(-reach, reach), kinks=kinks))
    drawn = {name: draw(strategy) for name, strategy in choices.items()}
    return [x], {name: value for name, value in drawn.items() if value is not None}


def maybe(*values: float) -> st.SearchStrategy[Any]:
    """One of the values, or None for the default."""
    return st.sampled_from([None, *values])


def numbers_of(function: Callable[..., float]) -> Callable[..., Host]:
    """A function of one number and settings, on every element."""
    return lambda x, **settings: each(lambda one: function(one, **settings))(x)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _softplus(x: float, beta: float = 1.0, threshold: float = 20.0) -> float:
    return x if x * beta > threshold else math.log1p(math.exp(beta * x)) / beta


def _gelu(x: float, approximate: str = "none") -> float:
    if approximate == "tanh":
        return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * math.erfc(-x / math.sqrt(2))


def _selu(x: float) -> float:
    """Its constants are the ones that keep mean 0 and variance 1, found anew from the paper's closed form."""
    error = math.erfc(1 / math.sqrt(2)) * math.exp(0.5) - 1
    alpha = -math.sqrt(2 / math.pi) / error
    lower, whole = math.erfc(math.sqrt(2)) * math.exp(2), math.erfc(1 / math.sqrt(2)) * math.exp(0.5)
    # The second moment of selu / scale is 1/2 above 0, and alpha² E[(e^x - 1)²; x < 0] below.
    below = alpha**2 * (0.5 * lower - whole + 0.5)
    scale = 1 / math.sqrt(0.5 + below)
    return scale * (x if x > 0 else alpha * math.expm1(x))


@st.composite
def _prelu(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(), kinks=(0,)))
    channels = x.shape[1] if x.ndim > 1 else 1
    return [x, draw(arrays((draw(st.sampled_from([1, channels])),)))], {}


def _prelu_of(x: Host, weight: Host) -> Host:
    result = np.empty(x.shape)
    for place in np.ndindex(*x.shape):
        slope = weight[0] if len(weight) == 1 else weight[place[1]]
        result[place] = x[place] if x[place] > 0 else slope * x[place]
    return result


@st.composite
def _halves(draw: st.DrawFn) -> Arguments:
    shape = list(draw(shapes(min_dims=1, max_side=2)))
    dim = draw(axis(len(shape)))
    shape[dim] *= 2
    return [draw(arrays(tuple(shape)))], {"dim": dim}


def _gated(x: Host, dim: int) -> Host:
    value, gate = np.split(x, 2, axis=dim)
    return value / (1 + np.exp(-gate))


@st.composite
def _along(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1)))
    return [x], {"dim": draw(axis(x.ndim))}


ACTIVATIONS = {
    "F.relu": OpSpec(F.relu, numbers_of(lambda x: max(x, 0.0)), _one(kinks=(0,))),
    "F.leaky_relu": OpSpec(
        F.leaky_relu,
        numbers_of(lambda x, negative_slope=0.01: x if x > 0 else negative_slope * x),
        _one(kinks=(0,), negative_slope=maybe(0.5, -1.0)),
    ),
    "F.prelu": OpSpec(F.prelu, _prelu_of, _prelu()),
    "F.elu": OpSpec(
        F.elu,
        numbers_of(lambda x, alpha=1.0: x if x > 0 else alpha * math.expm1(x)),
        _one(kinks=(0,), alpha=maybe(0.5, 2.0)),
    ),
    "F.celu": OpSpec(
        F.celu,
        numbers_of(lambda x, alpha=1.0: x if x > 0 else alpha * math.expm1(x / alpha)),
        _one(kinks=(0,), alpha=maybe(0.5, 2.0)),
    ),
    "F.selu": OpSpec(F.selu, numbers_of(_selu), _one(kinks=(0,))),
    "F.gelu": OpSpec(F.gelu, numbers_of(_gelu), _one(approximate=st.sampled_from(["none", "tanh"]))),
    "F.silu": OpSpec(F.silu, numbers_of(lambda x: x * _sigmoid(x)), _one()),
    "F.mish": OpSpec(F.mish, numbers_of(lambda x: x * math.tanh(_softplus(x))), _one()),
    "F.softplus": OpSpec(
        F.softplus,
        numbers_of(_softplus),
        st.sampled_from([{}, {"beta": 0.5}, {"beta": 2.0, "threshold": 2.5}]).flatmap(
            # Where the straight line begins there is a step of log(1 + e^-2.5).
            lambda settings: _one(kinks=(0, 1.25), **{name: st.just(value) for name, value in settings.items()})
        ),
    ),
    "F.hardtanh": OpSpec(
        F.hardtanh,
        numbers_of(lambda x, min_val=-1.0, max_val=1.0: min(max(x, min_val), max_val)),
        _one(kinks=(-1, 1, -2, 3), min_val=maybe(-2.0), max_val=maybe(3.0)),
    ),
    "F.relu6": OpSpec(F.relu6, numbers_of(lambda x: min(max(x, 0.0), 6.0)), _one(kinks=(0, 6), reach=8)),
    "F.hardsigmoid": OpSpec(F.hardsigmoid, numbers_of(lambda x: min(max(x + 3, 0.0), 6.0) / 6), _one(kinks=(-3, 3))),
    "F.hardswish": OpSpec(F.hardswish, numbers_of(lambda x: x * min(max(x + 3, 0.0), 6.0) / 6), _one(kinks=(-3, 3))),
    "F.hardshrink": OpSpec(
        F.hardshrink,
        numbers_of(lambda x, lambd=0.5: 0.0 if abs(x) <= lambd else x),
        _one(kinks=(-0.5, 0.5, -1, 1), lambd=maybe(1.0)),
    ),
    "F.softshrink": OpSpec(
        F.softshrink,
        numbers_of(lambda x, lambd=0.5: math.copysign(max(abs(x) - lambd, 0.0), x)),
        _one(kinks=(-0.5, 0.5, -1, 1), lambd=maybe(1.0)),
    ),
    "F.tanhshrink": OpSpec(F.tanhshrink, numbers_of(lambda x: x - math.tanh(x)), _one()),
    "F.softsign": OpSpec(F.softsign, numbers_of(lambda x: x / (1 + abs(x))), _one(kinks=(0,))),
    "F.threshold": OpSpec(
        F.threshold,
        numbers_of(lambda x, threshold, value: x if x > threshold else value),
        _one(kinks=(0.5,), threshold=st.just(0.5), value=st.sampled_from([-2.0, 0.25])),
    ),
    "F.glu": OpSpec(F.glu, _gated, _halves()),
    "F.softmax": OpSpec(F.softmax, _probabilities, _along()),
    "F.log_softmax": OpSpec(F.log_softmax, lambda x, dim: np.log(_probabilities(x, dim)), _along()),
    "F.softmin": OpSpec(F.softmin, lambda x, dim: _probabilities(-x, dim), _along()),
    "F.softmax/dtype": OpSpec(
        F.softmax, in_float64(_probabilities), asked_for_float64(_along()), floats_keep_dtype=False
    ),
    "F.log_softmax/dtype": OpSpec(
        F.log_softmax,
        in_float64(lambda x, dim: np.log(_probabilities(x, dim))),
        asked_for_float64(_along()),
        floats_keep_dtype=False,
    ),
    "F.softmin/dtype": OpSpec(
        F.softmin,
        in_float64(lambda x, dim: _probabilities(-x, dim)),
        asked_for_float64(_along()),
        floats_keep_dtype=False,
    ),
}
