"""The dimensions a reduction goes over, as PyTorch lets one write them: None, a number, or several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigrad.ops import shape

Dims = int | Sequence[int] | None
Sizes = tuple[int, ...]


def axes(dim: Dims, ndim: int) -> Sizes | None:
    """The dimensions counted from the front, or None for all of them, which PyTorch also writes `()`.

    Raises IndexError for one that is out of range, RuntimeError for one named twice. A 0-d tensor has a dimension 0.
    """
    if dim is None or not ndim:
        named = () if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
        for one in named:
            checked(one, ndim)
        return None
    if isinstance(dim, int):
        return (checked(dim, ndim),)
    found = tuple([checked(one, ndim) for one in dim])
    if len(set(found)) < len(found):
        raise ValueError(f"a dimension appears twice in dim={tuple(dim)}")
    return found or None


def checked(dim: int, ndim: int) -> int:
    """One dimension counted from the front. Raises IndexError if it is out of range."""
    reach = ndim or 1
    if not -reach <= dim < reach:
        raise IndexError(f"dim {dim} is out of range, expected one from {-reach} to {reach - 1}")
    return dim % reach


def kept(sizes: Sizes, dim: Dims) -> Sizes:
    """The shape with the reduced dimensions of size 1."""
    gone = axes(dim, len(sizes))
    return tuple([1 if gone is None or place in gone else size for place, size in enumerate(sizes)])


def remaining(sizes: Sizes, dim: Dims, keepdim: bool) -> Sizes:
    """The shape of the result."""
    if keepdim:
        return kept(sizes, dim)
    gone = axes(dim, len(sizes))
    return () if gone is None else tuple([size for place, size in enumerate(sizes) if place not in gone])


def count(sizes: Sizes, dim: Dims) -> int:
    """How many elements become one."""
    gone = axes(dim, len(sizes))
    return math.prod(sizes if gone is None else [sizes[place] for place in gone])


def stretch(g: Any, sizes: Sizes, dim: Dims) -> Any:
    """The gradient of a reduction for each element that went into it: the same for all, so it takes no memory."""
    return shape.expand(g if dim is None else g.reshape(kept(sizes, dim)), sizes)
