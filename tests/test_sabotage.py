"""The checks are checked: wrong rules that each have to be caught, by the property named beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

import minigrad
from minigrad import fused, primitive
from minigrad.backend import Array
from minigrad.core import engine
from minigrad.testing import GradcheckError, OpSpec, check_op, gradcheck
from minigrad.testing.properties import PROPERTIES, verify
from minigrad.testing.strategies import arrays, shapes

Rule = Callable[..., Any]

# Enough to find the fault; how small the example can be made is not the question here.
QUICK = {
    "max_examples": 40,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
    "print_blob": False,
}

# What a property raises, and what a sabotaged op itself raises where the property puts it: on Tensors, read-only
# arrays, another device.
CAUGHT = (AssertionError, RuntimeError, TypeError, ValueError, AttributeError)


def product(**rules: Rule) -> Any:
    """x * y with the right rules, or with the ones given."""

    @primitive(promote=True)
    def times(input: Array, other: Array) -> Array:
        return input * other

    times.vjp(**{"input": lambda g, other: g * other, "other": lambda g, input: g * input, **rules})
    return times


def of_one(forward: Callable[[Any], Any], rule: Rule) -> Any:
    """An op of one input with the rule given."""

    @primitive
    def op(input: Array) -> Array:
        return forward(input)

    op.vjp(input=rule)
    return op


def cubed(rule: Rule) -> Any:
    """x ** 3 with the rule given."""
    return of_one(lambda x: x * x * x, rule)


def transposed_product(weight_rule: Rule) -> Any:
    """x @ w for square matrices."""

    @primitive
    def product_of_matrices(input: Array, weight: Array) -> Array:
        return input @ weight

    product_of_matrices.vjp(input=lambda g, weight: g @ weight.mT, weight=weight_rule)
    return product_of_matrices


@st.composite
def two_matrices(draw: st.DrawFn) -> Any:
    return [draw(arrays((2, 2))), draw(arrays((2, 2)))], {}


@st.composite
def stretched_pair(draw: st.DrawFn) -> Any:
    """Shapes (1, 2) and (2, 2, 2): a dimension in front, and one stretched from size 1."""
    return [draw(arrays((1, 2))), draw(arrays((2, 2, 2)))], {}


@st.composite
def one_vector(draw: st.DrawFn) -> Any:
    return [draw(arrays(shapes(min_dims=1, max_dims=1, min_side=1, max_side=4)))], {}


def softmax_of(rule: Rule) -> Any:
    return of_one(lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True), rule)


@primitive(outputs=("double", "triple"))
def two_results(input: Array) -> Any:
    """Two results, of which the rule counts only one."""
    return input * 2, input * 3


two_results.vjp(input=lambda g_double: g_double * 2)


@primitive
def written(input: Array) -> Array:
    """Writes to its input."""
    input *= 2
    return input * 1


written.vjp(input=lambda g: g * 2)


@primitive
def lent(input: Array) -> Array:
    """Gives its input away as its result."""
    return input


lent.vjp(input=lambda g: g)


@primitive
def in_float64(input: Array) -> Array:
    """Computes in float64, whatever comes in."""
    return input.astype(np.float64) * 2


in_float64.vjp(input=lambda g: g * 2)


@primitive
def on_the_host(input: Array) -> Array:
    """Calls NumPy where the array may be on another device."""
    return np.exp(input)


on_the_host.vjp(input=lambda g, ans: g * ans)


@primitive
def looks(input: Array) -> Array:
    """Reads a value, for which the host waits."""
    return input * 2 if input.size and input.reshape(-1)[:1].sum() > 100 else input * 1


looks.vjp(input=lambda g: g * 1)


@primitive
def rows_only(input: Array) -> Array:
    """Right only where the memory is in one piece."""
    return (np.frombuffer(input.tobytes("A"), input.dtype).reshape(input.shape)) * 2


rows_only.vjp(input=lambda g: g * 2)


@fused(composite=lambda input: input * 2.0)
def unlike_its_composite(input: Array, *, keep: bool = False) -> Any:
    """Three times, and the composite says twice."""
    return input * 3, None


unlike_its_composite.backward(lambda residuals, g, needs: (g * 3,))


flat = of_one(lambda x: x.reshape(-1) * 2, lambda g, input_shape: g.reshape(input_shape) * 2)


def doubles_in_place(g):
    """The gradient of x * 2, made in the memory of the one that flows in."""
    g *= 2
    return g


@primitive
def square_with_a_wrong_rule(input: Array) -> Array:
    """3 x², whose derivative is 6 x and not 3 x."""
    return input * input * 3


square_with_a_wrong_rule.vjp(input=lambda g, input: g * 3.0 * input)


def times(x: Any, y: Any) -> Any:
    return x * y


SABOTAGES: dict[str, tuple[OpSpec, str]] = {
    "wrong sign": (OpSpec(product(input=lambda g, other: -g * other), times), "gradient_is_numeric"),
    "missing factor": (OpSpec(product(other=lambda g: g), times), "gradient_is_numeric"),
    "the other's value": (OpSpec(product(other=lambda g, other: g * other), times), "gradient_is_numeric"),
    "constant factor": (OpSpec(cubed(lambda g, input: g * 2.0 * input * input), lambda x: x**3), "gradient_is_numeric"),
    "shifted input": (OpSpec(cubed(lambda g, input: g * 3.0 * input), lambda x: x**3), "gradient_is_numeric"),
    "tiny factor": (OpSpec(product(input=lambda g, other: g * other * 1.001), times), "gradient_is_numeric"),
    "transposed": (
        OpSpec(transposed_product(lambda g, input: (input.mT @ g).mT), lambda x, y: x @ y, two_matrices()),
        "gradient_is_numeric",
    ),
    "not transposed": (
        OpSpec(transposed_product(lambda g, input: input @ g), lambda x, y: x @ y, two_matrices()),
        "gradient_is_numeric",
    ),
    "wrong only when broadcast": (
        OpSpec(
            product(input=lambda g, other, input_shape: g * other * (2.0 if g.shape != input_shape else 1.0)), times
        ),
        "gradient_is_numeric",
    ),
    "wrong only for 0-d": (
        OpSpec(cubed(lambda g, input: g * 3.0 * input * (input if input.ndim else 1.0)), lambda x: x**3),
        "gradient_is_numeric",
    ),
    "wrong second derivative": (
        OpSpec(cubed(lambda g, input: g * square_with_a_wrong_rule(input)), lambda x: x**3),
        "second_gradient_is_numeric",
    ),
    "a constant where the graph should go on": (
        OpSpec(cubed(lambda g, input: g * 3.0 * getattr(input, "detach", lambda: input)() * input), lambda x: x**3),
        "second_gradient_is_numeric",
    ),
    "missing term of softmax": (
        OpSpec(softmax_of(lambda g, ans: g * ans), lambda x: np.exp(x) / np.exp(x).sum(-1), one_vector()),
        "gradient_is_numeric",
    ),
    "not linear in g": (
        OpSpec(cubed(lambda g, input: g * g * 3.0 * input * input), lambda x: x**3),
        "gradient_is_linear",
    ),
    "numpy in a rule": (OpSpec(of_one(np.exp, lambda g, ans: np.multiply(g, ans)), np.exp), "rule_reads_as_a_rule"),
    "a method arrays alone have": (
        OpSpec(of_one(lambda x: x * 2, lambda g: g.copy() * 2), lambda x: x * 2),
        "rule_reads_as_a_rule",
    ),
    "a write to g": (OpSpec(of_one(lambda x: x * 2, doubles_in_place), lambda x: x * 2), "writes_nothing"),
    "a write to the input": (OpSpec(written, lambda x: x * 2), "writes_nothing"),
    "an unused output": (OpSpec(two_results, lambda x: (x * 2, x * 3)), "gradient_is_numeric"),
    "the input as the result": (OpSpec(lent, lambda x: x), "keeps_its_memory_apart"),
    "a wider dtype": (OpSpec(in_float64, lambda x: x * 2), "equals_reference"),
    "a gradient of a wider dtype": (OpSpec(in_float64, lambda x: x * 2), "gradient_has_the_inputs_dtype"),
    "wrong value": (OpSpec(product(), lambda x, y: x + y), "equals_reference"),
    "wrong shape": (OpSpec(flat, lambda x: x * 2), "equals_reference"),
    "NumPy on another device": (OpSpec(on_the_host, np.exp), "runs_on_another_device"),
    "waiting for the device": (OpSpec(looks, lambda x: x * 1), "runs_on_another_device"),
    "only contiguous memory": (OpSpec(rows_only, lambda x: x * 2), "layout_does_not_matter"),
    "a composite of something else": (OpSpec(unlike_its_composite, lambda x: x * 3), "fused_equals_composite"),
}


@pytest.mark.parametrize("name", SABOTAGES)
def test_the_property_catches_the_sabotage(name: str) -> None:
    spec, prop = SABOTAGES[name]
    with pytest.raises(CAUGHT):
        verify(spec, PROPERTIES[prop], **QUICK)


@pytest.mark.parametrize("name", SABOTAGES)
def test_check_op_catches_the_sabotage(name: str) -> None:
    with pytest.raises(CAUGHT):
        check_op(SABOTAGES[name][0], **QUICK)


# ---- the engine sabotaged -------------------------------------------------------------------------------------------


def one_element_for_all(gradient: Any, sizes: tuple[int, ...]) -> Any:
    """Undoing a broadcast by taking an element where a sum is due."""
    extra = gradient.ndim - len(sizes)
    places = [slice(0, 1) if size == 1 else slice(None) for size in sizes]
    return gradient[(*[0] * extra, *places)]


def sum_over_new_dimensions_only(gradient: Any, sizes: tuple[int, ...]) -> Any:
    """Forgetting the dimensions that were stretched from size 1."""
    summed = gradient.sum(tuple(range(gradient.ndim - len(sizes))))
    return summed[tuple([slice(0, size) for size in sizes])]


@pytest.mark.parametrize("wrong", [one_element_for_all, sum_over_new_dimensions_only])
def test_a_dropped_sum_of_a_broadcast_is_caught(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "sum_to", wrong)
    with pytest.raises(GradcheckError, match="is wrong in"):
        verify(OpSpec(product(), times, arguments=stretched_pair()), PROPERTIES["gradient_is_numeric"], **QUICK)


def test_a_gradient_that_overwrites_another_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_add", lambda first, second: second)
    with pytest.raises(AssertionError, match="one tensor as inputs 0 and 1"):
        verify(OpSpec(product(), times), PROPERTIES["repeated_input_adds_up"], **QUICK)


def test_the_report_names_input_element_and_both_values() -> None:
    x = minigrad.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=minigrad.float64, requires_grad=True)
    wrong = cubed(lambda g, input: g * (3.0 * input * input + (input == 4.0)))
    with pytest.raises(GradcheckError) as caught:
        gradcheck(wrong, x)
    said = str(caught.value)
    assert "the gradient of input 0, shape (2, 2), is wrong in 1 of 4 elements, most at (1, 1): analytic" in said
    assert "numeric" in said
    assert "relative error 0.0204" in said
    assert "eps=1e-06" in said


# ---- and what is right passes ---------------------------------------------------------------------------------------


def test_check_op_passes_right_ops() -> None:
    check_op(OpSpec(product(), times), **QUICK)
    check_op(OpSpec(cubed(lambda g, input: g * 3.0 * input * input), lambda x: x * x * x), **QUICK)
