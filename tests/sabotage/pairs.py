"""Faults of hand-written pairs: forward and backward on raw arrays, beside the composite that says what they mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad import fused
from minigrad.backend import Array, namespace
from minigrad.core import fused as fused_ops
from minigrad.core.plan import attach
from minigrad.core.tensor import wrap
from minigrad.testing import OpSpec
from minigrad.testing.strategies import arrays, integers

from .making import Patch, Sabotage, times

NUMERIC = "gradient_is_numeric"
WRONG = "is wrong in"


def product_by_hand(backward: Any) -> Any:
    """x * y as a pair, with the backward given: `(x, y), g, needs` to a gradient for each."""

    @fused(composite=lambda input, other: input * other)
    def times_by_hand(input: Array, other: Array, *, keep: bool = False) -> Any:
        return input * other, (input, other)

    times_by_hand.backward(backward)
    return times_by_hand


def right(saved: Any, g: Any, needs: Any) -> Any:
    """The gradients of x * y."""
    return (g * saved[1] if needs[0] else None, g * saved[0] if needs[1] else None)


def halved_when_joint(saved: Any, g: Any, needs: Any) -> Any:
    """Right for one input or the other, wrong for both at once."""
    first, second = right(saved, g, needs)
    return (first, second * 0.5) if all(needs) else (first, second)


def first_whatever_is_needed(saved: Any, g: Any, needs: Any) -> Any:
    """Gives the first input's gradient where the second's is asked for alone."""
    return (g * saved[1], g * (saved[0] if needs[0] else saved[1]))


def nothing_when_alone(saved: Any, g: Any, needs: Any) -> Any:
    """Looks at the first input's need for both."""
    return (g * saved[1], g * saved[0]) if needs[0] else (None, None)


@fused(composite=lambda input: input * 2.0)
def unlike_its_composite(input: Array, *, keep: bool = False) -> Any:
    """Three times, and the composite says twice."""
    return input * 3, None


unlike_its_composite.backward(lambda residuals, g, needs: (g * 3,))


@fused(composite=lambda input: input * input * input.detach())
def composite_without_second_order(input: Array, *, keep: bool = False) -> Any:
    """x ** 3, whose composite forgets that one of the factors depends on x."""
    return input * input * input, input


composite_without_second_order.backward(lambda x, g, needs: (3 * x * x * g,))


# ---- embedding, sequences, randomness -------------------------------------------------------------------------------


@fused(composite=lambda weight, index: weight[index])
def rows_of(weight: Array, index: Array, *, keep: bool = False) -> Any:
    """weight[index]; a row that is looked up twice gets one of its two gradients."""
    return weight[index], (weight.shape, index)


@rows_of.backward
def _rows_once(saved: Any, g: Any, needs: Any) -> Any:
    shape, index = saved
    table = namespace(g).zeros(shape, g.dtype)
    table[index] = g
    return table, None


@st.composite
def _table_and_index(draw: st.DrawFn) -> Any:
    return [draw(arrays((2, 2))), draw(integers((3,), 0, 2))], {}


def _held_back(input: Any, lengths: Any) -> Any:
    """1 within a sequence, 0 in its padding; (T, B)."""
    return (np.arange(input.shape[0])[:, None] < np.asarray(lengths)).astype(input.dtype)


@fused(composite=lambda input, *, lengths: (input * wrap(_held_back(input._array, lengths))).sum(0))
def sums_of_sequences(input: Array, *, lengths: Any, keep: bool = False) -> Any:
    """The sum of each sequence of (T, B); its backward reaches into the padding."""
    return (input * _held_back(input, lengths)).sum(0), input.shape


sums_of_sequences.backward(lambda shape, g, needs: (np.broadcast_to(g, shape) * 1.0,))


@st.composite
def _padded(draw: st.DrawFn) -> Any:
    return [draw(arrays((3, 2)))], {"lengths": draw(st.lists(st.integers(1, 3), min_size=2, max_size=2))}


_draws = np.random.default_rng(0)


@fused(composite=lambda input, *, p: input * 1.0)
def dropout_redrawn(input: Array, *, p: float, keep: bool = False) -> Any:
    """Its backward draws another mask than its forward."""
    return input * (_draws.random(input.shape) >= p), p


dropout_redrawn.backward(lambda p, g, needs: (g * (_draws.random(g.shape) >= p),))


@st.composite
def _dropped(draw: st.DrawFn) -> Any:
    return [draw(arrays((4, 4)))], {"p": 0.5}


def _alias_of_the_live_input(array: Any, edge: Any, *counter: Any) -> Any:
    return attach(array, edge, *counter)


SABOTAGES = [
    Sabotage(
        "a composite of something else",
        OpSpec(unlike_its_composite, lambda x: x * 3),
        "fused_equals_composite",
        "composite",
        users="create_graph=True",
    ),
    Sabotage(
        "wrong second derivative of the composite",
        OpSpec(composite_without_second_order, lambda x: x**3, exact=False),
        NUMERIC,
        "backward\\(\\)|create_graph",
    ),
    Sabotage(
        "wrong only in the joint backward",
        OpSpec(product_by_hand(halved_when_joint), times, exact=False),
        "subsets_of_inputs_agree",
        "gradient of input",
    ),
    Sabotage(
        "the wrong input's gradient when one is needed",
        OpSpec(product_by_hand(first_whatever_is_needed), times, exact=False),
        "subsets_of_inputs_agree",
        "gradient of input 1",
    ),
    Sabotage(
        "no gradient for the second input alone",
        OpSpec(product_by_hand(nothing_when_alone), times, exact=False),
        "subsets_of_inputs_agree",
        "gradient of input 1",
    ),
    Sabotage(
        "rows duplicated and not summed",
        OpSpec(rows_of, lambda table, index: table[index], _table_and_index(), exact=False),
        NUMERIC,
        WRONG,
    ),
    Sabotage(
        "sequence lengths ignored",
        OpSpec(sums_of_sequences, lambda x, lengths: (x * _held_back(x, lengths)).sum(0), _padded(), exact=False),
        NUMERIC,
        WRONG,
    ),
    Sabotage(
        "randomness redrawn in backward",
        OpSpec(dropout_redrawn, lambda x, p: x, _dropped(), exact=False),
        NUMERIC,
        "the second run",
        users="two calls on the same input differ",
    ),
    Sabotage(
        "a path counted twice",
        OpSpec(product_by_hand(right), times, exact=False),
        "inputs_may_depend_on_each_other",
        "is a function of it",
        Patch(fused_ops, "make_alias", _alias_of_the_live_input),
    ),
]
