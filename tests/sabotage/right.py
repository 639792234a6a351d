"""Things that are right, as users write them, each of which must pass the check for its kind: a check that refuses
them is as wrong as one that lets a sabotage through."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad import Tensor, nn
from minigrad.autograd import Function
from minigrad.backend import Array, namespace
from minigrad.optim.optimizer import Optimizer, Settings, State
from minigrad.testing import check_module, check_op, check_optimizer
from minigrad.testing.strategies import arrays

from . import modules, optimizers
from .making import of_one, product

# ---- ops ------------------------------------------------------------------------------------------------------------


def _share(x: Any) -> Any:
    return minigrad.sigmoid(x)


class SignedSquare(Function):
    """x * |x|, whose derivative is 2 |x|."""

    @staticmethod
    def forward(ctx: Any, input: Tensor) -> Tensor:
        ctx.save_for_backward(input)
        return input * input.abs()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (input,) = ctx.saved_tensors
        return gradient * 2 * input.abs()


def total(input: Tensor, dim: int = -1) -> Tensor:
    return input.sum(dim) if input.ndim else input * 1


_softplus = of_one(lambda x: namespace(x).logaddexp(x, 0 * x), lambda g, input: g * _share(input))

OPS: dict[str, tuple[Any, dict[str, Any]]] = {
    "softplus, with a helper in its rule": (_softplus, {"reference": lambda x: np.logaddexp(x, 0)}),
    "x * |x|": (lambda x: x * x.abs(), {}),
    "relu squared": (lambda x: minigrad.relu(x) ** 2, {}),
    "x * |x| as a Function": (SignedSquare.apply, {"arguments": arrays((2, 3)).map(lambda x: ([x], {}))}),
    "a product": (product(), {"reference": lambda x, y: x * y}),
    "tanh": (lambda x: x.tanh(), {"reference": np.tanh}),
    "logarithm": (lambda x: x.log(), {"reference": np.log}),
    "softmax": (lambda x: minigrad.softmax(x, -1), {}),
    "a sum over a dimension": (total, {}),
    "a matrix product": (lambda a, b: a @ b, {"reference": lambda a, b: a @ b}),
    "two results": (lambda x, y: (x * y, x + y), {"reference": lambda x, y: (x * y, x + y)}),
    "a power": (lambda x: x**3, {"reference": lambda x: x**3}),
}

# ---- modules --------------------------------------------------------------------------------------------------------


class Silent(nn.Module):
    """input * weight, and its repr says nothing of how it was built, as most layers'."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(minigrad.rand(features))

    def forward(self, input: Tensor) -> Tensor:
        return input * self.weight


class Bottleneck(nn.Linear):
    """It has another constructor than the class whose repr it inherits."""

    def __init__(self, features: int) -> None:
        super().__init__(features, 1)


class Dropped(Silent):
    """In training a half of its results is dropped, the other doubled."""

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.dropout(super().forward(input), 0.5, self.training)


class TwoLayers(nn.Module):
    """Modules in a module."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, 2), nn.Tanh())
        self.register_buffer("shift", minigrad.ones(1))

    def forward(self, input: Tensor) -> Tensor:
        return self.layers(input) + self.shift


class Recurrence(nn.Module):
    """h <- tanh(W x + h), and its state is returned, not kept."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.inner = nn.Linear(features, features)

    def forward(self, input: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        state = minigrad.tanh(self.inner(input) + (0 if state is None else state))
        return state * 2, state


def _none_or_twice(output: Any, state: Any, input: Any, features: int) -> None:
    whole = input * state["weight"]
    found = minigrad.tensor(output).numpy()
    assert np.all(np.isclose(found, 0) | np.isclose(found, 2 * whole)), "neither dropped nor doubled"


_ROWS: Any = modules._calls()

MODULES: dict[str, tuple[Callable[..., nn.Module], dict[str, Any]]] = {
    "a layer without extra_repr": (Silent, {}),
    "a layer with extra_repr": (modules.Scale, {}),
    "a layer with an inherited extra_repr": (Bottleneck, {}),
    "dropout": (Dropped, {"noise": _none_or_twice}),
    "layers in a layer": (TwoLayers, {}),
    "a step of a recurrence": (Recurrence, {}),
    "a function that builds one": (lambda features: nn.Sequential(nn.Linear(features, 2), nn.Tanh()), {}),
}

# ---- optimizers -----------------------------------------------------------------------------------------------------


class Descent(Optimizer):
    """p <- p - lr g by a step of its own, as in a textbook: it asks nothing of its settings, and takes no Rows."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    def _check_settings(self, group: Settings) -> None:
        """Any number will do."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with minigrad.enable_grad():
                loss = closure()
        with minigrad.no_grad():
            for group in self.param_groups:
                for one in group["params"]:
                    if one.grad is not None:
                        one.add_(one.grad * -group["lr"])
        return loss


class HeavyBall(Optimizer):
    """m <- m / 2 + g, p <- p - lr m."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        ball = state.setdefault("ball", minigrad.zeros(p.shape, dtype=p.dtype, device=minigrad.Tensor(p).device))
        ball._array[...] = 0.5 * ball._array + g
        p -= group["lr"] * ball._array


def _descent(p: Any, g: Any, memory: dict[str, Any], settings: Settings, t: int) -> Any:
    return p - settings["lr"] * g


_RATES = st.fixed_dictionaries({"lr": st.sampled_from([0.1, 0.5])})

OPTIMIZERS: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "plain descent": (Descent, {}),
    "plain descent by the book": (Descent, {"settings": _RATES, "update": _descent}),
    "momentum": (HeavyBall, {"settings": _RATES}),
    "one of many settings": (optimizers.Adaptive, {}),
}

# By name, what a user calls.
RIGHT: dict[str, Callable[..., Any]] = {
    **{name: partial(check_op, op, **options) for name, (op, options) in OPS.items()},
    **{name: partial(check_module, module, _ROWS, **options) for name, (module, options) in MODULES.items()},
    **{name: partial(check_optimizer, one, **options) for name, (one, options) in OPTIMIZERS.items()},
}
