"""A user's own primitive and fused op: the vocabulary of rules, and what fails when it is broken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import fused, primitive
from minigrad.backend import Array, namespace
from minigrad.core.primitive import registry
from minigrad.testing import gradcheck, gradgradcheck


def leaf(data: Any) -> minigrad.Tensor:
    return minigrad.tensor(np.asarray(data, dtype=np.float64), requires_grad=True)


@primitive
def cube(input):
    """`input` cubed."""
    return input * input * input


cube.vjp(input=lambda g, input: g * 3.0 * input * input)


@primitive(outputs=("product", "difference"))
def product_and_difference(input, other, *, factor=1.0):
    """Two results, and a setting."""
    return input * other * factor, input - other


product_and_difference.vjp(
    input=lambda g_product, g_difference, other, factor: g_product * other * factor + g_difference,
    other=lambda g_product, g_difference, input, factor: g_product * input * factor - g_difference,
)


@primitive
def total(*tensors):
    """Any number of inputs."""
    result = tensors[0]
    for one in tensors[1:]:
        result = result + one
    return result * 1.0


total.vjp(tensors=lambda g, needs: [g if need else None for need in needs])


@primitive(outputs="*")
def slices(input):
    """A number of results that only the input knows."""
    return tuple(input[at].copy() for at in range(input.shape[0]))


slices.vjp(input=lambda g: joined(*g))


@primitive
def joined(*tensors):
    """What `slices` took apart."""
    return namespace(tensors[0]).stack(tensors)


joined.vjp(tensors=lambda g, tensors_shape: [g[at] for at in range(len(tensors_shape))])


@primitive
def scaled(input, weight=None, *, power=2):
    """An optional input."""
    return input**power if weight is None else weight * input**power


scaled.vjp(
    input=lambda g, input, weight, power: _times(g, weight) * float(power) * _power(input, power - 1),
    weight=lambda g, input, power: g * _power(input, power),
)


def _times(g, weight):
    return g if weight is None else g * weight


def _power(x, power):
    result = 1.0
    for _ in range(power):
        result = x * result
    return result


def test_one_input() -> None:
    x = leaf([[1.0, -2.0], [0.5, 3.0]])
    assert gradcheck(cube, x, exact=True)
    assert gradgradcheck(cube, x)
    (cube(x)).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 * x.detach().numpy() ** 2)


def test_several_outputs() -> None:
    x, y = leaf([1.0, 2.0]), leaf([3.0, -1.0])
    assert gradcheck(lambda x, y: product_and_difference(x, y, factor=2.5), (x, y), exact=True)
    assert gradgradcheck(lambda x, y: product_and_difference(x, y, factor=2.5), (x, y))
    product, _ = product_and_difference(x, y)
    product.sum().backward()
    assert x.grad.tolist() == [3, -1]


def test_any_number_of_inputs() -> None:
    tensors = [leaf([1.0, 2.0]), minigrad.tensor(np.array([5.0, 5.0])), leaf([3.0, 4.0])]
    total(*tensors).sum().backward()
    assert [None if one.grad is None else one.grad.tolist() for one in tensors] == [[1, 1], None, [1, 1]]
    assert gradcheck(lambda x, y, z: total(x, y, z), tensors)


def test_a_varying_number_of_outputs() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert gradcheck(slices, x, exact=True)
    assert gradgradcheck(lambda x: tuple(cube(one) for one in slices(x)), x)
    first, _, third = slices(x)
    (first * third).sum().backward()
    assert x.grad.tolist() == [[5, 6], [0, 0], [1, 2]]


def test_an_optional_input() -> None:
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    assert gradcheck(scaled, (x, w))
    assert gradcheck(lambda x: scaled(x, power=3), x)
    assert gradgradcheck(lambda x, w: scaled(x, w, power=3), (x, w))


def test_raw_arrays_give_raw_arrays() -> None:
    result = cube(np.array([2.0]))
    assert isinstance(result, np.ndarray)
    assert result.tolist() == [8]


def test_a_users_primitive_is_not_in_the_registry() -> None:
    assert "cube" not in registry


def test_a_broadcast_is_undone_for_a_rule_that_knows_nothing_of_it() -> None:
    @primitive
    def times(input, other):
        return input * other

    times.vjp(input=lambda g, other: g * other, other=lambda g, input: g * input)
    assert gradcheck(times, (leaf(np.ones((2, 3))), leaf([[2.0], [3.0]])), exact=True)
    assert gradcheck(times, (leaf(3.0), leaf([[2.0], [3.0]])), exact=True)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda g, weight: g, "asks for 'weight', which is not in its vocabulary: .*ans.*g.*input"),
        (lambda grad: grad, "asks for 'grad'"),
    ],
)
def test_a_word_outside_the_vocabulary_fails_at_definition(rule: Any, said: str) -> None:
    @primitive
    def op(input):
        return input

    with pytest.raises(TypeError, match=said):
        op.vjp(input=rule)


def test_a_rule_for_no_input_fails_at_definition() -> None:
    @primitive
    def op(input, *, factor=2):
        return input * factor

    with pytest.raises(TypeError, match=r"'factor' is not an input but a setting \(.*\); its inputs are input"):
        op.vjp(factor=lambda g: g)
    with pytest.raises(TypeError, match="'other' is not an input; its inputs are input"):
        op.vjp(other=lambda g: g)


def test_an_input_without_a_rule_gets_no_gradient() -> None:
    @primitive
    def half(input, other):
        return input * other

    half.vjp(input=lambda g, other: g * other, other=None)
    x, y = leaf([1.0]), leaf([2.0])
    half(x, y).sum().backward()
    assert x.grad.tolist() == [2]
    assert y.grad is None


def test_calling_as_python_does() -> None:
    x, y = leaf([1.0]), leaf([2.0])
    assert product_and_difference(other=y, input=x, factor=3.0)[0].tolist() == [6]
    with pytest.raises(TypeError, match=r"cube\(\) takes 1 arguments, 2 were given"):
        cube(x, y)
    with pytest.raises(TypeError, match=r"cube\(\) has no argument factor"):
        cube(x, factor=2)
    with pytest.raises(TypeError, match=r"cube\(\) needs input"):
        cube()
    with pytest.raises(TypeError, match=r"got input twice"):
        cube(x, input=x)
    with pytest.raises(TypeError, match=r"needs a Tensor among its inputs, got 2.0"):
        cube(2.0)
    with pytest.raises(TypeError, match=r"other must be a Tensor or a number, got list"):
        x * [1.0]


def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(
        RuntimeError, match=r"mul: shapes \(2,\) and \(3,\) do not broadcast: dimension -1 has sizes 2 and 3"
    ):
        leaf([1.0, 2.0]) * leaf([1.0, 2.0, 3.0])


def test_the_librarys_complaint_names_the_op() -> None:
    @primitive
    def reshaped_to(input, *, sizes):
        return input.reshape(sizes)

    with pytest.raises(RuntimeError, match=r"reshaped_to\(float64\[2\], sizes=tuple\)|reshaped_to\(float64\[2\]"):
        reshaped_to(leaf([1.0, 2.0]), sizes=(3,))


# ---- fused ----------------------------------------------------------------------------------------------------------


def plain_norm(input, weight, *, eps=0.5):
    """The composite: weight * tanh(input) + eps."""
    return weight * input.tanh() + eps


@fused(composite=plain_norm)
def quick_norm(input: Array, weight: Array, *, eps: float = 0.5, keep: bool = False) -> Any:
    """The same by hand."""
    t = np.tanh(input)
    return weight * t + eps, (t, weight) if keep else None


@quick_norm.backward
def quick_norm_backward(residuals, g, needs):
    """Both gradients."""
    t, weight = residuals
    return g * weight * (1 - t * t) if needs[0] else None, g * t if needs[1] else None


def test_a_fused_op_and_its_composite() -> None:
    x, w = leaf([0.1, -0.4, 1.0]), leaf([2.0, 0.5, -1.0])
    assert gradcheck(quick_norm, (x, w))
    assert gradgradcheck(quick_norm, (x, w))


def test_a_fused_op_whose_inputs_depend_on_each_other() -> None:
    """A path from one input to the other is counted once."""
    x = leaf([0.1, -0.4, 1.0])
    assert gradcheck(lambda x: quick_norm(x, x * x), x)
    assert gradgradcheck(lambda x: quick_norm(x, x * x), x)


def test_a_fused_op_keeps_nothing_that_no_one_needs() -> None:
    kept = []

    @fused(composite=lambda input: input * 2.0)
    def op(input: Array, *, keep: bool = False) -> Any:
        kept.append(keep)
        return input * 2.0, None

    op.backward(lambda residuals, g, needs: (g * 2.0,))
    op(minigrad.tensor([1.0]))
    with minigrad.no_grad():
        op(leaf([1.0]))
    op(leaf([1.0]))
    assert kept == [False, False, True]
