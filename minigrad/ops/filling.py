"""Writing every element of a tensor: with one number, with another tensor, with random numbers.

The graph knows of it: what is written gets the gradient, and the old values get zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.backend import Array, namespace
from minigrad.core import dtypes
from minigrad.core.inplace import check_writable, in_place
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor, wrap
from minigrad.ops.drawing import bernoulli, drawn_by
from minigrad.ops.elementwise import zeros_of
from minigrad.ops.method import method
from minigrad.random import Generator

# ---- with known values ----------------------------------------------------------------------------------------------


@primitive
def fill(input: Array, value: Array) -> Array:
    """The input's shape and dtype, with one number everywhere."""
    return namespace(input).full_like(input, value)


fill.vjp(input=lambda g: zeros_of(g), value=lambda g: g)


@primitive
def copy(input: Array, src: Array) -> Array:
    """`src` stretched to the input's shape; both have one dtype."""
    return namespace(input).broadcast_to(src, input.shape).copy()


copy.vjp(input=lambda g: zeros_of(g), src=lambda g: g)


@method(called="fill_", only=True)
def fill_(input: Tensor, value: Any) -> Tensor:
    """Write one number, or the value of a 0-d tensor, everywhere."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(f"fill_: the value must be one number, got shape {tuple(value.shape)}: use copy_()")
        value = value.to(input.dtype)
    return in_place(input, fill, value)


@method(called="zero_", only=True)
def zero_(input: Tensor) -> Tensor:
    """Write zeros."""
    check_writable(input, "zero_")
    return in_place(input, fill, 0)


@method(called="copy_", only=True)
def copy_(input: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Write the values of `src`, stretched to this shape, in this dtype and on this device. It gets the gradient."""
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_ takes a tensor, got {type(src).__name__}: fill_() takes a number")
    return in_place(input, copy, src.to(dtype=input.dtype, device=input.device))


# ---- with random values ---------------------------------------------------------------------------------------------


def _write_drawn(input: Tensor, values: Array, name: str) -> Tensor:
    check_writable(input, name)
    return in_place(input, copy, wrap(values))


@method(called="uniform_", only=True)
def uniform_(input: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Write numbers uniform in [from_, to)."""
    values = drawn_by(generator).uniform(tuple(input.shape), from_, to, dtype=input.dtype, device=input.device)
    return _write_drawn(input, values, "uniform_")


@method(called="normal_", only=True)
def normal_(input: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Write normal numbers of this mean and standard deviation."""
    values = drawn_by(generator).normal(tuple(input.shape), mean, std, dtype=input.dtype, device=input.device)
    return _write_drawn(input, values, "normal_")


@method(called="exponential_", only=True)
def exponential_(input: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Write numbers of the exponential distribution with rate `lambd`, whose mean is 1/lambd."""
    if not lambd > 0:
        raise RuntimeError(f"exponential_: the rate must be above 0, got {lambd}")
    uniform = drawn_by(generator).uniform(tuple(input.shape), dtype=input.dtype, device=input.device)
    # uniform lies in [0, 1), so the logarithm is that of something above 0
    return _write_drawn(input, -namespace(uniform).log1p(-uniform) / lambd, "exponential_")


@method(called="bernoulli_", only=True)
def bernoulli_(input: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Write 1 with probability `p` (a number, or a tensor of this shape), 0 otherwise."""
    floating = input if input.dtype.kind == "f" else input.to(dtypes.get_default_dtype())
    values = bernoulli(floating, p, generator=generator)
    return _write_drawn(input, values._array.astype(input.dtype, copy=False), "bernoulli_")


@method(called="random_", only=True)
def random_(input: Tensor, from_: int = 0, to: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Write whole numbers from `from_` up to but without `to`; `random_(to)` starts at 0.

    Without bounds: up to the largest number of the dtype, for floats the largest up to which all are whole numbers.
    """
    if to is None and from_:
        from_, to = 0, from_
    if to is None:
        to = _largest_whole(input.dtype) + 1
    values = drawn_by(generator).randint(tuple(input.shape), from_, to, dtype=input.dtype, device=input.device)
    return _write_drawn(input, values, "random_")


def _largest_whole(dtype: Any) -> int:
    if dtype.kind == "f":
        return 2 ** (np.finfo(dtype).nmant + 1)
    return 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)
