"""Random tensors. Every draw takes `generator=`, and is otherwise made by the one that `manual_seed` seeds."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import random
from minigrad.backend import DeviceLike, namespace
from minigrad.core import dtypes
from minigrad.core.tensor import Tensor, wrap
from minigrad.ops.creation import dtype_or_default, finished, like, sizes_of
from minigrad.ops.method import function, method
from minigrad.random import Generator


def drawn_by(generator: Generator | None) -> Generator:
    """The generator that was given, or the default one."""
    return random.default_generator if generator is None else generator


# ---- of a size ------------------------------------------------------------------------------------------------------


@function()
def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers uniform in [0, 1)."""
    sizes = sizes_of(size, "rand")
    return finished(drawn_by(generator).uniform(sizes, dtype=dtype_or_default(dtype), device=device), requires_grad)


@function()
def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers of the standard normal distribution."""
    sizes = sizes_of(size, "randn")
    return finished(drawn_by(generator).normal(sizes, dtype=dtype_or_default(dtype), device=device), requires_grad)


@function()
def randint(
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Whole numbers from `low` up to but without `high`: `randint(high, size)` or `randint(low, high, size)`; int64."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None:
        raise TypeError("randint() needs a size: randint(high, (2, 3)) or randint(low, high, (2, 3))")
    wanted = dtypes.int64 if dtype is None else dtype
    values = drawn_by(generator).randint(sizes_of((size,), "randint"), low, high, dtype=wanted, device=device)
    return finished(values, requires_grad)


@function()
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """0, 1, …, n - 1 in random order, int64."""
    wanted = dtypes.int64 if dtype is None else dtype
    return finished(drawn_by(generator).permutation(n, dtype=wanted, device=device), requires_grad)


@function()
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers of this mean and standard deviation: numbers and a `size`, or tensors, for a draw an element."""
    draw = drawn_by(generator)
    if size is not None:
        sizes = sizes_of((size,), "normal")
        values = draw.normal(sizes, mean, std, dtype=dtype_or_default(dtype), device=device)
        return finished(values, requires_grad)
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        raise TypeError("normal() of two numbers needs a size: normal(0.0, 1.0, (2, 3))")
    mean, std = [one.detach() if isinstance(one, Tensor) else one for one in (mean, std)]
    spread = mean * 0 + std  # in the shape and dtype of the two together
    noise = draw.normal(tuple(spread.shape), dtype=spread.dtype, device=spread.device)
    return finished((mean + spread * wrap(noise))._array, requires_grad)


# ---- like another tensor --------------------------------------------------------------------------------------------


@function()
def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers uniform in [0, 1) in the input's shape, dtype and device."""
    return rand(input.shape, generator=generator, **like(input, dtype, device), requires_grad=requires_grad)


@function()
def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Standard normal numbers in the input's shape, dtype and device."""
    return randn(input.shape, generator=generator, **like(input, dtype, device), requires_grad=requires_grad)


@function()
def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Whole numbers from `low` (0 if left out) up to but without `high`, in the input's shape and dtype."""
    settings = like(input, dtype, device)
    return randint(low, high, input.shape, generator=generator, **settings, requires_grad=requires_grad)


# ---- by probabilities -----------------------------------------------------------------------------------------------


@method()
def bernoulli(input: Tensor, p: Any = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element is, 0 otherwise; with `p`, that is the probability everywhere.

    Raises RuntimeError for a tensor that is not floating point, or one on the host with a number outside [0, 1].
    """
    if input.dtype.kind != "f":
        raise RuntimeError(f"bernoulli: probabilities are floating point numbers, this tensor is {input.dtype}")
    probability = input._array if p is None else p._array if isinstance(p, Tensor) else p
    # On a GPU nobody waits for the answer.
    if isinstance(probability, (float, int, np.ndarray)) and not np.all((probability >= 0) & (probability <= 1)):
        raise RuntimeError("bernoulli: a probability lies between 0 and 1, and here one does not")
    uniform = drawn_by(generator).uniform(tuple(input.shape), dtype=input.dtype, device=input.device)
    return wrap(namespace(uniform).asarray(uniform < probability, dtype=input.dtype))


@method()
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Category numbers drawn in proportion to the weights `input`, (C,) or (R, C): int64, (num_samples,) or (R, ...).

    Without `replacement` no category comes twice. Raises RuntimeError for weights that are negative, not finite or all
    zero, and for more samples than there are categories to draw.
    """
    return wrap(drawn_by(generator).multinomial(input._array, num_samples, replacement))
