"""Plans: what a node keeps on the lean way through an op, and how a rule gets what it names, whatever the order."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
from minigrad import primitive
from minigrad.core.call import CONSTANT
from minigrad.core.tensor import VersionCounter


def test_a_rule_may_name_the_gradient_anywhere() -> None:
    @primitive
    def product(input, other):
        return input * other

    product.vjp(input=lambda other, g: g * other, other=lambda input, g: g * input)
    x, y = minigrad.tensor([2.0], requires_grad=True), minigrad.tensor([5.0], requires_grad=True)
    product(x, y).backward()
    assert (x.grad.item(), y.grad.item()) == (5, 2)


def test_a_number_that_is_kept_is_not_watched() -> None:
    """... beside a shape as it is not alone, so that such a node can be gone through again; a tensor's memory is."""

    @primitive
    def times(input, other):
        return input * other

    times.vjp(input=lambda g, other, input_shape: g * other)
    x, own, first, second = np.ones((2, 3)), VersionCounter(), VersionCounter(), VersionCounter()
    second.count = 4
    keep = times.op.lean_plans[1].keep
    assert keep(x * 2.0, x, 2.0, own, first, CONSTANT) == (((2, 3), 2.0), ())
    assert keep(x * 2.0, x, 2.0, own, first, second) == (((2, 3), 2.0), (second, 4))


def test_the_shape_of_a_single_input_is_kept_as_it_is_of_two() -> None:
    @primitive
    def doubled(input):
        return input * 2

    doubled.vjp(input=lambda g, input_shape, ans: g * 2)
    x, own, first = np.ones((2, 3)), VersionCounter(), VersionCounter()
    saved, versions = doubled.op.lean_plans[1].keep(x * 2, x, None, own, first, CONSTANT)
    np.testing.assert_array_equal(saved[0], x * 2)
    assert saved[1] == (2, 3)
    assert versions == (own, 0)


def test_the_one_input_that_is_kept_is_watched() -> None:
    x, y = minigrad.tensor([2.0], requires_grad=True), minigrad.tensor([5.0])
    for result in (x * y, y * x, x / y):
        y.add_(1)
        with pytest.raises(RuntimeError, match="changed in place"):
            result.backward()
    doubled = x * 2.0
    doubled.backward()
    doubled.backward()  # nothing was kept that had to be freed
    assert x.grad.item() == 4
