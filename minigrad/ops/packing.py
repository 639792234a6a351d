"""Rows of sequences of different lengths: out of an array with padding, and into one."""

from __future__ import annotations

from typing import Any, TypeAlias

from minigrad.backend import Array, namespace
from minigrad.core.primitive import primitive

Places: TypeAlias = tuple[Array, Array]  # of each row in the first and the second dimension; no place comes twice


@primitive
def take_places(input: Array, *, places: Places) -> Array:
    """The rows at the places: (T, B, ...) -> (N, ...)."""
    return input[places]


@primitive
def put_places(src: Array, *, places: Places, sizes: tuple[int, int], value: Any) -> Array:
    """The rows (N, ...) at their places, and `value` everywhere else: (*sizes, ...)."""
    result = namespace(src).full((*sizes, *src.shape[1:]), value, dtype=src.dtype)
    result[places] = src
    return result


take_places.vjp(input=lambda g, input_shape, places: put_places(g, places=places, sizes=input_shape[:2], value=0))
put_places.vjp(src=lambda g, places: take_places(g, places=places))
