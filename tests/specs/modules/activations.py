"""Specs of the activations: each element by itself, but for the softmax family and the gated unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad import nn
from minigrad.testing.module_spec import Batch, Beside, ModuleCase, ModuleSpec
from minigrad.testing.strategies import Host, arrays, axis, shapes

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946  # PyTorch's


def first_dimension(case: ModuleCase) -> Batch | None:
    """One input, whose examples lie along its first dimension."""
    (array,) = case.arrays()
    return Batch((0,), (0,)) if array.ndim else None


@st.composite
def _elementwise(
    draw: st.DrawFn, settings: st.SearchStrategy[dict[str, Any]], kinks: Sequence[float], domain: tuple[float, float]
) -> tuple[dict[str, Any], list[Any]]:
    return draw(settings), [draw(arrays(shapes(), domain=domain, kinks=kinks))]


def elementwise(
    module: Any,
    reference: Any,
    settings: st.SearchStrategy[dict[str, Any]] | None = None,
    *,
    kinks: Sequence[float] = (),
    domain: tuple[float, float] = (-3, 3),
    **more: Any,
) -> ModuleSpec:
    """An activation: `reference(x, **settings)`, which knows no state."""
    calls = _elementwise(st.just({}) if settings is None else settings, kinks, domain)
    return ModuleSpec(
        module, calls, lambda state, x, **given: reference(x, **given), batch=first_dimension, exact=True,
        **{"torch": module.__name__, **more},
    )  # fmt: skip


def _sigmoid(x: Host) -> Host:
    return 1 / (1 + np.exp(-x))


def _softplus(x: Host, beta: float = 1.0, threshold: float = 20.0) -> Host:
    return np.where(beta * x > threshold, x, np.log1p(np.exp(np.minimum(beta * x, 50))) / beta)


def _elu(x: Host, alpha: float = 1.0) -> Host:
    return np.where(x > 0, x, alpha * (np.exp(x) - 1))


def _erf(x: Host) -> Host:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def _gelu(x: Host, approximate: str = "none") -> Host:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + _erf(x / math.sqrt(2)))


def _softshrink(x: Host, lambd: float = 0.5) -> Host:
    return np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, 0))


def _settings(**each: Sequence[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the settings given, each one of its values; what is left out stays at its default."""
    return st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in each.items()})


# ---- along a dimension ----------------------------------------------------------------------------------------------


@st.composite
def _along(draw: st.DrawFn) -> tuple[dict[str, Any], list[Any]]:
    shape = draw(shapes(min_dims=1, min_side=1))
    return {"dim": draw(axis(len(shape)))}, [draw(arrays(shape))]


@st.composite
def _halves(draw: st.DrawFn) -> tuple[dict[str, Any], list[Any]]:
    shape = list(draw(shapes(min_dims=1, max_dims=3)))
    dim = draw(axis(len(shape)))
    shape[dim] *= 2
    return draw(st.sampled_from([{"dim": dim}, {}] if dim in (-1, len(shape) - 1) else [{"dim": dim}])), [
        draw(arrays(tuple(shape)))
    ]


def _other_dimension(case: ModuleCase) -> Batch | None:
    """The first dimension, unless it is the one that the module works along."""
    (array,) = case.arrays()
    return None if case.arguments.get("dim", -1) % array.ndim == 0 else Batch((0,), (0,))


def _softmax(x: Host, dim: int) -> Host:
    return np.exp(x) / np.exp(x).sum(dim, keepdims=True)


def _glu(state: Any, x: Host, dim: int = -1) -> Host:
    first, second = np.split(x, 2, dim)
    return first * _sigmoid(second)


# ---- learned --------------------------------------------------------------------------------------------------------


@st.composite
def _slopes(draw: st.DrawFn) -> tuple[dict[str, Any], list[Any]]:
    shape = draw(shapes(min_dims=2, min_side=1)) if draw(st.booleans()) else draw(shapes())
    arguments = (
        {} if len(shape) < 2 or not shape[1] else draw(st.sampled_from([{}, {"num_parameters": shape[1], "init": 0.5}]))
    )
    return arguments, [draw(arrays(shape, kinks=(0,)))]


def _prelu(state: Any, x: Host, num_parameters: int = 1, init: float = 0.25) -> Host:
    slopes = state["weight"]
    slopes = slopes.reshape([-1 if axis == 1 else 1 for axis in range(x.ndim)]) if num_parameters > 1 else slopes[0]
    return np.where(x > 0, x, slopes * x)


def _between(low: float, high: float) -> Any:
    return lambda x: np.minimum(np.maximum(x, low), high)


_HARDTANH = st.sampled_from([{}, {"min_val": -0.5, "max_val": 2.25}])

SPECS = [
    elementwise(nn.Tanh, np.tanh),
    elementwise(nn.Arctan, np.arctan, torch=None),  # PyTorch has the function alone
    elementwise(nn.Sigmoid, _sigmoid),
    elementwise(nn.LogSigmoid, lambda x: -np.log1p(np.exp(-x))),
    elementwise(nn.Softsign, lambda x: x / (1 + np.abs(x)), kinks=(0,)),  # the second derivative jumps at 0
    elementwise(nn.Tanhshrink, lambda x: x - np.tanh(x)),
    elementwise(nn.ReLU, lambda x: np.where(x > 0, x, 0), kinks=(0,)),
    elementwise(nn.ReLU6, _between(0, 6), kinks=(0, 6), domain=(-2, 8)),
    elementwise(nn.SELU, lambda x: SELU_SCALE * _elu(x, SELU_ALPHA), kinks=(0,)),
    elementwise(nn.SiLU, lambda x: x * _sigmoid(x)),
    elementwise(nn.Mish, lambda x: x * np.tanh(_softplus(x))),
    elementwise(nn.Hardsigmoid, lambda x: _between(0, 1)(x / 6 + 0.5), kinks=(-3, 3), domain=(-5, 5),
        torch=Beside("Hardsigmoid", rtol=1e-7),  # PyTorch has 1/6 in float32
    ),
    elementwise(nn.Hardswish, lambda x: x * _between(0, 6)(x + 3) / 6, kinks=(-3, 3), domain=(-5, 5)),
    elementwise(
        nn.LeakyReLU, lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
        _settings(negative_slope=[0.5, 0.0, 1.5]), kinks=(0,),
    ),
    elementwise(nn.ELU, _elu, _settings(alpha=[0.5, 2.0]), kinks=(0,)),
    elementwise(
        nn.CELU, lambda x, alpha=1.0: np.where(x > 0, x, alpha * (np.exp(x / alpha) - 1)), _settings(alpha=[0.5, 2.0]),
        kinks=(0,),
    ),
    elementwise(nn.GELU, _gelu, _settings(approximate=["none", "tanh"])),
    elementwise(
        nn.Hardtanh, lambda x, min_val=-1.0, max_val=1.0: _between(min_val, max_val)(x), _HARDTANH,
        kinks=(-1, 1, -0.5, 2.25),
    ),
    elementwise(
        nn.Hardshrink, lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, 0), _settings(lambd=[0.25, 1.0]),
        kinks=(-0.5, 0.5, -0.25, 0.25, -1, 1),
    ),
    elementwise(
        nn.Softshrink, _softshrink, _settings(lambd=[0.25, 1.0]), kinks=(-0.5, 0.5, -0.25, 0.25, -1, 1),
    ),
    # Above the threshold the result is x itself: a jump, at x = 1.5 for the last of the settings.
    elementwise(
        nn.Softplus, _softplus, st.sampled_from([{}, {"beta": 0.5}, {"beta": 2.0, "threshold": 3.0}]), kinks=(1.5,)
    ),
    elementwise(
        nn.Threshold, lambda x, threshold, value: np.where(x > threshold, x, value),
        st.sampled_from([{"threshold": 0.5, "value": -1.0}, {"threshold": -1.0, "value": 20.0}]), kinks=(0.5, -1),
    ),
    ModuleSpec(nn.PReLU, _slopes(), _prelu, torch="PReLU", untold=("init",)),
    ModuleSpec(nn.GLU, _halves(), _glu, torch="GLU", batch=_other_dimension),
    ModuleSpec(
        nn.Softmax, _along(), lambda state, x, dim: _softmax(x, dim), torch="Softmax", batch=_other_dimension
    ),
    ModuleSpec(
        nn.LogSoftmax, _along(), lambda state, x, dim: np.log(_softmax(x, dim)), torch="LogSoftmax",
        batch=_other_dimension, untold=("dim",),
    ),
    ModuleSpec(
        nn.Softmin, _along(), lambda state, x, dim: _softmax(-x, dim), torch="Softmin", batch=_other_dimension
    ),
]  # fmt: skip
