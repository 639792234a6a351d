"""Rules that are wrong in what they compute: sign, factor, term, operand, order, language."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad import primitive
from minigrad.backend import Array, namespace
from minigrad.testing import OpSpec
from minigrad.testing.strategies import arrays, masks, shapes

from .making import Rule, Sabotage, cube, cubed, double, doubled, of_one, of_shapes, one_vector, product, times

NUMERIC = "gradient_is_numeric"
WRONG = "is wrong in"


def matrix_product(weight_rule: Rule) -> Any:
    """x @ w for square matrices."""

    @primitive
    def product_of_matrices(input: Array, weight: Array) -> Array:
        return input @ weight

    product_of_matrices.vjp(input=lambda g, weight: g @ weight.mT, weight=weight_rule)
    return product_of_matrices


def quotient(other_rule: Rule) -> Any:
    """x / y."""

    @primitive(promote="float")
    def divided(input: Array, other: Array) -> Array:
        return input / other

    divided.vjp(input=lambda g, other: g / other, other=other_rule)
    return divided


def softmax_of(rule: Rule) -> Any:
    """Softmax of a vector."""
    return of_one(lambda x: namespace(x).exp(x) / namespace(x).exp(x).sum(-1, keepdims=True), rule)


def larger(**rules: Rule) -> Any:
    """The larger of two; where they tie, each gets half of the gradient, or what the rules given say."""

    @primitive(promote=True)
    def larger_of_two(input: Array, other: Array) -> Array:
        return namespace(input).maximum(input, other)

    right = {
        "input": lambda g, input, other: g * (input > other) + g * 0.5 * (input == other),
        "other": lambda g, input, other: g * (other > input) + g * 0.5 * (input == other),
    }
    larger_of_two.vjp(**{**right, **rules})
    return larger_of_two


@st.composite
def without_ties(draw: st.DrawFn) -> Any:
    """Two arrays of one shape, the second off the grid that the first's numbers lie on."""
    shape = draw(shapes())
    return [draw(arrays(shape)), np.asarray(draw(arrays(shape)) + 1 / 32)], {}


def larger_spec(**rules: Rule) -> OpSpec:
    """Of `larger`, drawn away from its kinks."""
    return OpSpec(larger(**rules), np.maximum, without_ties())


@primitive
def masked(input: Array, *, mask: Any) -> Array:
    """Zero where the mask says."""
    return input * ~mask


masked.vjp(input=lambda g: g * 1.0)


@st.composite
def a_vector_and_a_mask(draw: st.DrawFn) -> Any:
    """The mask is a setting."""
    return [draw(arrays((3,)))], {"mask": draw(masks((3,)))}


@primitive
def three_x_squared(input: Array) -> Array:
    """3 x², whose derivative is 6 x and not 3 x."""
    return input * input * 3


three_x_squared.vjp(input=lambda g, input: g * 3.0 * input)


@primitive(outputs=("double", "triple"))
def two_results(input: Array) -> Any:
    """Two results, of which the rule counts only one."""
    return input * 2, input * 3


two_results.vjp(input=lambda g_double: g_double * 2)


@primitive(outputs=("double", "triple"))
def two_results_crossed(input: Array) -> Any:
    """Two results whose gradients are taken for one another."""
    return input * 2, input * 3


two_results_crossed.vjp(input=lambda g_double, g_triple: g_double * 3 + g_triple * 2)


def _softmax(x: Any) -> Any:
    return np.exp(x) / np.exp(x).sum(-1)


_SQUARES = of_shapes((2, 2), (2, 2))

SABOTAGES = [
    Sabotage("wrong sign", OpSpec(product(input=lambda g, other: -g * other), times), NUMERIC, WRONG),
    Sabotage("missing factor", OpSpec(product(other=lambda g: g), times), NUMERIC, WRONG),
    Sabotage("the other input's factor", OpSpec(product(other=lambda g, other: g * other), times), NUMERIC, WRONG),
    Sabotage("wrong constant", OpSpec(cubed(lambda g, input: g * 2.0 * input * input), cube), NUMERIC, WRONG),
    Sabotage("wrong power", OpSpec(cubed(lambda g, input: g * 3.0 * input), cube), NUMERIC, WRONG),
    Sabotage("a factor of 1.001", OpSpec(product(input=lambda g, other: g * other * 1.001), times), NUMERIC, WRONG),
    Sabotage(
        "wrong for negative numbers only",
        OpSpec(cubed(lambda g, input: g * 3.0 * input * input * (input > 0)), cube),
        NUMERIC,
        WRONG,
    ),
    Sabotage(
        "numerator and denominator exchanged",
        OpSpec(quotient(lambda g, input, other: -g * other / (input * input)), lambda x, y: x / y, domain=(1, 4)),
        NUMERIC,
        WRONG,
    ),
    Sabotage(
        "transposed",
        OpSpec(matrix_product(lambda g, input: (input.mT @ g).mT), lambda x, y: x @ y, _SQUARES),
        NUMERIC,
        WRONG,
    ),
    Sabotage(
        "transpose forgotten",
        OpSpec(matrix_product(lambda g, input: input @ g), lambda x, y: x @ y, _SQUARES),
        NUMERIC,
        WRONG,
    ),
    Sabotage(
        "a term of softmax missing", OpSpec(softmax_of(lambda g, ans: g * ans), _softmax, one_vector()), NUMERIC, WRONG
    ),
    Sabotage("mask dropped", OpSpec(masked, lambda x, mask: x * ~mask, a_vector_and_a_mask()), NUMERIC, WRONG),
    Sabotage("an unused output", OpSpec(two_results, lambda x: (x * 2, x * 3)), NUMERIC, WRONG),
    Sabotage("outputs exchanged", OpSpec(two_results_crossed, lambda x: (x * 2, x * 3)), NUMERIC, WRONG),
    Sabotage(
        "wrong second derivative",
        OpSpec(cubed(lambda g, input: g * three_x_squared(input)), cube),
        "second_gradient_is_numeric",
        WRONG,
    ),
    Sabotage(
        "a constant where the graph should go on",
        OpSpec(cubed(lambda g, input: g * 3.0 * getattr(input, "detach", lambda: input)() * input), cube),
        "second_gradient_is_numeric",
        WRONG,
    ),
    Sabotage(
        "not linear in g",
        OpSpec(cubed(lambda g, input: g * g * 3.0 * input * input), cube),
        "gradient_is_linear",
        "2 g - 3 h",
        users="is wrong in",
    ),
    Sabotage("wrong value", OpSpec(product(), lambda x, y: x + y), "equals_reference", "output 0"),
    Sabotage(
        "NumPy in a rule",
        OpSpec(of_one(lambda x: namespace(x).exp(x), lambda g, ans: np.multiply(g, ans)), np.exp),
        "rule_reads_as_a_rule",
        "np|numpy",
        users="does not support ufuncs",
    ),
    Sabotage(
        "a method that only arrays have",
        OpSpec(doubled(lambda g: g.copy() * 2), double),
        "rule_reads_as_a_rule",
        "copy",
    ),
    Sabotage(
        "the gradient lost at ties",
        larger_spec(input=lambda g, input, other: g * (input > other)),
        "ties_keep_the_gradient",
        "all elements",
    ),
    Sabotage(
        "the gradient counted twice at ties",
        larger_spec(input=lambda g, input, other: g * (input >= other)),
        "ties_keep_the_gradient",
        "all elements",
    ),
]
