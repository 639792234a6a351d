"""Faults that show in some shapes only: broadcast, 0-d, empty, size 1, a dimension counted from the end."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from minigrad import primitive
from minigrad.backend import Array, namespace
from minigrad.core import engine
from minigrad.ops.shape import expand
from minigrad.testing import OpSpec
from minigrad.testing.strategies import arrays, axis, shapes

from .making import Patch, Rule, Sabotage, cube, cubed, double, of_one, of_shapes, product, times

NUMERIC = "gradient_is_numeric"
WRONG = "is wrong in"


def total(rule: Rule) -> Any:
    """The sum over one dimension."""

    @primitive
    def total_over(input: Array, *, dim: int, keepdim: bool) -> Array:
        return namespace(input).sum(input, axis=dim, keepdims=keepdim)

    total_over.vjp(input=rule)
    return total_over


def with_dim(g: Any, input_shape: Any, place: int) -> Any:
    """`g` with a dimension of size 1 at `place`."""
    return g.reshape((*input_shape[:place], 1, *input_shape[place + 1 :]))


def counted_from_the_wrong_end(g: Any, input_shape: Any, dim: int) -> Any:
    """As if -1 were the dimension before the last."""
    place = dim if dim >= 0 else (dim - 1) % len(input_shape)
    return expand(with_dim(g, input_shape, place), input_shape)


@st.composite
def _totals(draw: st.DrawFn, keepdims: Any) -> Any:
    # Square, so that what goes wrong is a number and not a shape.
    return [draw(arrays((2, 2)))], {"dim": draw(axis(2)), "keepdim": draw(keepdims)}


def _total(x: Any, dim: int, keepdim: bool) -> Any:
    return x.sum(axis=dim, keepdims=keepdim)


@primitive
def column_sums_plus(input: Array, other: Array) -> Array:
    """The sums of a matrix's columns, plus a vector; of no rows the gradient is forgotten."""
    return input.sum(0) + other


column_sums_plus.vjp(
    input=lambda g, input_shape: expand(g, input_shape),
    other=lambda g, input_shape: g * (1.0 if input_shape[0] else 0.0),
)


@st.composite
def _some_rows(draw: st.DrawFn) -> Any:
    rows = draw(st.integers(0, 3))
    return [draw(arrays((rows, 2))), draw(arrays((2,)))], {}


def one_element_for_all(gradient: Any, sizes: tuple[int, ...]) -> Any:
    """Undoing a broadcast by taking an element where a sum is due."""
    extra = gradient.ndim - len(sizes)
    places = [slice(0, 1) if size == 1 else slice(None) for size in sizes]
    return gradient[(*[0] * extra, *places)]


def sum_over_new_dimensions_only(gradient: Any, sizes: tuple[int, ...]) -> Any:
    """Forgetting the dimensions that were stretched from size 1."""
    summed = gradient.sum(tuple(range(gradient.ndim - len(sizes))))
    return summed[tuple([slice(0, size) for size in sizes])]


# A dimension in front, and one stretched from size 1.
_STRETCHED = OpSpec(product(), times, of_shapes((1, 2), (2, 2, 2)))


@st.composite
def _up_to_three_dimensions(draw: st.DrawFn) -> Any:
    """One array of two or three dimensions, with elements."""
    return [draw(arrays(shapes(min_dims=2, max_dims=3, min_side=1)))], {}


SABOTAGES = [
    Sabotage("dropped broadcast sum", _STRETCHED, NUMERIC, WRONG, Patch(engine, "sum_to", one_element_for_all)),
    Sabotage(
        "broadcast sum over new dimensions only",
        _STRETCHED,
        NUMERIC,
        WRONG,
        Patch(engine, "sum_to", sum_over_new_dimensions_only),
    ),
    Sabotage(
        "wrong only when broadcast",
        OpSpec(
            product(input=lambda g, other, input_shape: g * other * (2.0 if g.shape != input_shape else 1.0)), times
        ),
        NUMERIC,
        WRONG,
    ),
    Sabotage(
        "wrong only for 0-d",
        OpSpec(cubed(lambda g, input: g * 3.0 * input * (input if input.ndim else 1.0)), cube),
        NUMERIC,
        WRONG,
    ),
    Sabotage(
        "wrong only at size 1",
        OpSpec(cubed(lambda g, input: g * 3.0 * input * (1.0 if 1 in input.shape else input)), cube),
        NUMERIC,
        WRONG,
    ),
    Sabotage(
        "wrong only in three dimensions",
        OpSpec(
            cubed(lambda g, input: g * 3.0 * input * (input if input.ndim < 3 else 1.0)),
            cube,
            _up_to_three_dimensions(),
        ),
        NUMERIC,
        WRONG,
    ),
    Sabotage(
        "wrong only for empty inputs", OpSpec(column_sums_plus, lambda x, y: x.sum(0) + y, _some_rows()), NUMERIC, WRONG
    ),
    Sabotage(
        "fails for empty inputs",
        OpSpec(
            of_one(lambda x: x * (2 * x.size / x.size), lambda g: g * 2),
            double,
        ),
        "equals_reference",
        "division by zero",
    ),
    Sabotage(
        "keepdim forgotten",
        OpSpec(total(lambda g, input_shape: expand(g, input_shape)), _total, _totals(st.booleans())),
        NUMERIC,
        WRONG,
    ),
    Sabotage(
        "wrong for a negative dim",
        OpSpec(total(counted_from_the_wrong_end), _total, _totals(st.just(True))),
        NUMERIC,
        WRONG,
    ),
    Sabotage(
        "wrong shape",
        OpSpec(of_one(lambda x: x.reshape(-1) * 2, lambda g, input_shape: g.reshape(input_shape) * 2), double),
        "equals_reference",
        "shape",
    ),
]
