"""Specs of the public functions in minigrad/ops/reduction.py, extremum.py and cumulative.py made of primitives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, axis, axis_or_axes, broadcastable, shapes

from .arithmetic import OFF_GRID, each
from .calls import Call
from .reduction import _product, _running, _variance, at_rank, over, reduced, running

Arguments = tuple[list[Any], dict[str, Any]]

FLOAT64 = np.dtype(np.float64)


def in_float64(reference: Callable[..., Host]) -> Callable[..., Host]:
    """The same for a function that is asked for float64."""
    return lambda x, dtype, **settings: reference(x.astype(dtype), **settings)


def asked_for_float64(arguments: st.SearchStrategy[Arguments]) -> st.SearchStrategy[Arguments]:
    """The same arguments with `dtype=float64`, which float32 inputs are converted to first."""
    return arguments.map(lambda drawn: (drawn[0], {**drawn[1], "dtype": FLOAT64}))


# ---- the largest, the smallest, the middle --------------------------------------------------------------------------


@st.composite
def _all(draw: st.DrawFn) -> Arguments:
    return [draw(arrays(shapes(min_side=1), distinct=True))], {}


@st.composite
def _one_dim(draw: st.DrawFn, **choices: Any) -> Arguments:
    x = draw(arrays(shapes(min_side=1), distinct=True))
    settings = {"dim": draw(axis(x.ndim)), "keepdim": draw(st.booleans())}
    return [x], {**settings, **{name: draw(strategy) for name, strategy in choices.items()}}


@st.composite
def _two(draw: st.DrawFn) -> Arguments:
    one, other = draw(broadcastable(2))
    return [draw(arrays(one)), np.asarray(draw(arrays(other)) + OFF_GRID)], {}


@st.composite
def _kth(draw: st.DrawFn) -> Arguments:
    (x,), settings = draw(_one_dim())
    return [x], {**settings, "k": draw(st.integers(1, x.shape[settings["dim"]] if x.ndim else 1))}


def _found(rank: Callable[[list[float]], int]) -> Callable[..., tuple[Host, Host]]:
    """The element at a rank of each lane, and where it is."""

    def reference(x: Host, dim: int, keepdim: bool) -> tuple[Host, Host]:
        values = over(lambda lane: sorted(lane)[rank(lane)])(x, dim, keepdim)
        return values, over(lambda lane: lane.index(sorted(lane)[rank(lane)]), np.int64)(x, dim, keepdim)

    return reference


def _middle(lane: list[float]) -> int:
    return (len(lane) - 1) // 2


# ---- spreads and norms ----------------------------------------------------------------------------------------------


@st.composite
def _spread(draw: st.DrawFn) -> Arguments:
    """Two degrees of freedom at least, in the words PyTorch has for them: `unbiased`, or `correction`."""
    x = draw(arrays(shapes(min_dims=1, min_side=2), distinct=True))
    settings = {"dim": draw(axis_or_axes(x.ndim)), "keepdim": draw(st.booleans())}
    freedom: list[dict[str, Any]] = [{"unbiased": True}, {"unbiased": False}, {"correction": 0}, {"correction": 1}, {}]
    return [x], {**settings, **draw(st.sampled_from(freedom))}


def _spread_of(function: Callable[[list[float], float], float]) -> Callable[..., Host]:
    def reference(x: Host, unbiased: bool = True, correction: float | None = None, **settings: Any) -> Host:
        taken = int(unbiased) if correction is None else correction
        return over(lambda lane: function(lane, taken))(x, **settings)

    return reference


def _norm(x: Host, p: Any, dim: Any, keepdim: bool) -> Host:
    def of(lane: list[float]) -> float:
        sizes = [abs(one) for one in lane]
        if p in ("fro", 2):
            return math.hypot(*sizes)
        if p == 0:
            return sum(one != 0 for one in sizes)
        if math.isinf(p):
            return max(sizes) if p > 0 else min(sizes)
        return math.fsum(one**p for one in sizes) ** (1 / p)

    return over(of)(x, dim, keepdim)


@st.composite
def _normed(draw: st.DrawFn) -> Arguments:
    """Away from 0, where norms have kinks; no two of one size, which would tie for the largest."""
    shape = draw(shapes(min_side=1))
    sizes = np.array(draw(st.permutations(range(1, 31)))[: math.prod(shape)]) / 8
    signs = draw(arrays(shape, domain=(-3, 3), kinks=(0,)))
    settings = {"p": draw(st.sampled_from(["fro", 1, 2, 3, 0.5, 0, math.inf, -math.inf]))}
    dim = draw(axis_or_axes(len(shape)))
    return [np.asarray(sizes.reshape(shape) * np.sign(signs))], {**settings, "dim": dim, "keepdim": draw(st.booleans())}


# ---- along a dimension ----------------------------------------------------------------------------------------------


@st.composite
def _diff(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes(min_dims=1, max_side=4)))
    dim = draw(axis(x.ndim))
    at = dim % x.ndim
    ends = []
    for _ in range(2):
        size = draw(st.integers(0, 2))
        ends.append(draw(arrays((*x.shape[:at], size, *x.shape[at + 1 :]))) if draw(st.booleans()) else None)
    return [x, *ends], {"n": draw(st.integers(0, 3)), "dim": dim}


def _differences(x: Host, prepend: Any, append: Any, n: int, dim: int) -> Host:
    if n == 0:
        return x
    joined = np.concatenate([part for part in (prepend, x, append) if part is not None], dim)
    for _ in range(min(n, joined.shape[dim])):
        later, sooner = (np.take(joined, range(at, joined.shape[dim] - 1 + at), dim) for at in (1, 0))
        joined = later - sooner
    return joined


def _diff_in_order(function: Any, x: Any, prepend: Any, append: Any, **settings: Any) -> Any:
    return function(x, prepend=prepend, append=append, **settings)


# ---- two numbers, further settings ----------------------------------------------------------------------------------


@st.composite
def _multiple(draw: st.DrawFn) -> Arguments:
    one, other = draw(broadcastable(2))
    return [draw(arrays(one)), draw(arrays(other))], {"alpha": draw(st.sampled_from([1, 2, -0.5]))}


@st.composite
def _rounded_quotient(draw: st.DrawFn) -> Arguments:
    """A dividend between two multiples of its divisor, where a rounded quotient does not step."""
    one, other = draw(broadcastable(2))
    divisor = draw(arrays(other, domain=(-3, 3), kinks=(0, 1 / 16, -1 / 16)))
    share = draw(arrays(np.broadcast_shapes(one, other), domain=(0.2, 0.8)))
    whole = np.floor(draw(arrays(share.shape)))
    return [np.asarray(divisor * (whole + share)), divisor], {
        "rounding_mode": draw(st.sampled_from([None, "floor", "trunc"]))
    }


def _quotient(x: Host, y: Host, rounding_mode: str | None) -> Host:
    rounded = {None: float, "floor": math.floor, "trunc": math.trunc}[rounding_mode]
    return each(lambda x, y: rounded(x / y))(x, y)


PUBLIC = {
    "add": OpSpec(minigrad.add, lambda x, y, alpha: each(lambda x, y: x + alpha * y)(x, y), _multiple()),
    "sub": OpSpec(minigrad.sub, lambda x, y, alpha: each(lambda x, y: x - alpha * y)(x, y), _multiple()),
    "rsub": OpSpec(minigrad.rsub, lambda x, y, alpha: each(lambda x, y: y - alpha * x)(x, y), _multiple()),
    "div": OpSpec(minigrad.div, _quotient, _rounded_quotient()),
    "sum": OpSpec(minigrad.sum, in_float64(over(math.fsum)), asked_for_float64(reduced()), floats_keep_dtype=False),
    "mean": OpSpec(
        minigrad.mean,
        in_float64(over(lambda lane: math.fsum(lane) / len(lane))),
        asked_for_float64(reduced(min_side=1)),
        floats_keep_dtype=False,
    ),
    "prod": OpSpec(
        minigrad.prod, in_float64(over(math.prod)), asked_for_float64(_product()), floats_keep_dtype=False, exact=False
    ),
    "cumsum": OpSpec(
        minigrad.cumsum,
        in_float64(running(lambda total, one: total + one, 0.0)),
        asked_for_float64(_running()),
        floats_keep_dtype=False,
    ),
    "cumprod": OpSpec(
        minigrad.cumprod,
        in_float64(running(lambda total, one: total * one, 1.0)),
        asked_for_float64(_running()),
        floats_keep_dtype=False,
        exact=False,
    ),
    "max": OpSpec(minigrad.max, over(max), _all()),
    "min": OpSpec(minigrad.min, over(min), _all()),
    "max/dim": OpSpec(minigrad.max, at_rank(-1), _one_dim()),
    "min/dim": OpSpec(minigrad.min, at_rank(0), _one_dim()),
    "max/other": OpSpec(minigrad.max, each(max), _two()),
    "min/other": OpSpec(minigrad.min, each(min), _two()),
    "median": OpSpec(minigrad.median, over(lambda lane: sorted(lane)[_middle(lane)]), _all()),
    "median/dim": OpSpec(minigrad.median, _found(_middle), _one_dim()),
    "kthvalue": OpSpec(
        minigrad.kthvalue, lambda x, k, dim, keepdim: _found(lambda lane: k - 1)(x, dim, keepdim), _kth()
    ),
    "var": OpSpec(minigrad.var, _spread_of(_variance), _spread()),
    "std": OpSpec(minigrad.std, _spread_of(lambda lane, taken: math.sqrt(_variance(lane, taken))), _spread()),
    "norm": OpSpec(minigrad.norm, _norm, _normed()),
    "diff": OpSpec(Call(minigrad.diff, _diff_in_order), _differences, _diff()),
}
