"""What is wrong in the plainest way is said in the plainest words: an op that is random, writes, or has no rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import nn, primitive
from minigrad.backend import Array
from minigrad.nn import functional as F
from minigrad.testing import (
    GradcheckError,
    OpSpec,
    check_case,
    check_module,
    check_op,
    check_optimizer,
    gradcheck,
    gradgradcheck,
)
from minigrad.testing.properties import PROPERTIES
from minigrad.testing.strategies import arrays
from testing.wrong_ops import cube

QUICK: dict[str, Any] = {"max_examples": 20, "derandomize": True, "database": None}


def leaf(*numbers: float) -> minigrad.Tensor:
    return minigrad.tensor(np.array(numbers), requires_grad=True)


# ---- random, or with a memory ---------------------------------------------------------------------------------------


def counting() -> Callable[[Any], Any]:
    calls: list[int] = []

    def op(x: Any) -> Any:
        calls.append(1)
        return x * len(calls)

    return op


CHANGING: dict[str, Any] = {
    "random": lambda x: x * float(np.random.default_rng().random()),
    "dropout": F.dropout,
    "a memory": counting(),
}


@pytest.mark.parametrize("name", CHANGING)
def test_two_calls_that_differ_are_said_to(name: str) -> None:
    with pytest.raises(AssertionError, match="two calls on the same input differ: output 0 is"):
        check_op(CHANGING[name], **QUICK)


def test_what_fails_once_is_shown_itself() -> None:
    failures = iter([True])

    def op(x: Any) -> Any:
        assert not next(failures, False), "the first time"
        return x * 1.0

    arguments = arrays((2,)).map(lambda x: ([x], {}))
    with pytest.raises(AssertionError, match="the first time") as caught:
        check_op(op, arguments=arguments, **QUICK)
    assert "it draws random numbers, or remembers something" in caught.value.__notes__[-1]


def test_the_plainest_properties_come_first() -> None:
    assert list(PROPERTIES)[:2] == ["runs_alike_twice", "writes_nothing"]


# ---- writing to what is the caller's --------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_a_function_that_writes_to_its_input_is_said_to(check: Any) -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(GradcheckError, match="func wrote to input 1: compute out of place") as caught:
        check(lambda n, x: x.detach().add_(n) * x, (1.0, x))
    assert x.tolist() == [1.0, 2.0]
    assert "minigrad.tensor(np.array([1.0, 2.0]), requires_grad=True)" in caught.value.__notes__[0]


def test_an_op_that_writes_to_its_input_or_setting_is_found_early() -> None:
    def writes(x: Any, cfg: Any) -> Any:
        cfg[0] = 2
        return x * 2.0

    with pytest.raises(RuntimeError, match="cannot be written") as caught:
        check_op(lambda x: x.detach().add_(1) * x, **QUICK)
    assert "lacks the property writes_nothing" in caught.value.__notes__[0]
    with pytest.raises(AssertionError, match="the setting 'cfg' was written"):
        check_op(writes, arguments=arrays((2,)).map(lambda x: ([x], {"cfg": [5]})), **QUICK)


# ---- rules ----------------------------------------------------------------------------------------------------------


@primitive
def total(input: Array) -> Array:
    return input.sum()


total.vjp(input=lambda g: g)


@primitive
def scaled_by(input: Array, other: Array) -> Array:
    return input * other.sum()


scaled_by.vjp(input=lambda g, other: g * other.sum(), other=lambda g: g.sum())


@primitive
def without(input: Array) -> Array:
    return input * 2.27


@primitive
def half(input: Array, other: Array) -> Array:
    return input * other


half.vjp(input=lambda g, other: g * other)


def test_a_gradient_of_the_wrong_shape_is_named() -> None:
    said = (
        r"the rule of 'total' for 'input' gives a gradient of shape \(\), and the input has shape \(2,\) \(recorded at "
    )
    with pytest.raises(RuntimeError, match=said + r".*test_plain_faults\.py"):
        total(leaf(1.0, 2.0)).backward()
    with pytest.raises(RuntimeError, match=r"the rule of 'total' for 'input'"):
        gradcheck(total, leaf(1.0, 2.0))
    with pytest.raises(RuntimeError, match=r"the rule of 'total' for 'input'") as caught:
        check_op(total, **QUICK)
    assert "lacks the property runs_alike_twice" in caught.value.__notes__[0]


def test_of_several_inputs_the_one_is_named_whose_gradient_has_the_wrong_shape() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    for first in (x, x.detach()):
        with pytest.raises(RuntimeError, match=r"the rule of 'scaled_by' for 'other' gives a gradient of shape \(\)"):
            scaled_by(first, y).sum().backward()
    for create_graph in (False, True):
        with pytest.raises(RuntimeError, match=r"the rule of 'total' for 'input'"):
            minigrad.grad(total(x), [x], create_graph=create_graph)


def test_a_rule_that_is_missing_is_named() -> None:
    with pytest.raises(GradcheckError, match=r"without has no rule for `input`: give it one, without\.vjp\(input="):
        gradcheck(without, leaf(1.0))
    with pytest.raises(GradcheckError, match="half has no rule for `other`"):
        gradcheck(lambda x: half(x, x * 2), leaf(1.0))
    for op, said in ((without, "without has no rule for `input`"), (half, "half has no rule for `other`")):
        with pytest.raises(GradcheckError, match=said):
            check_op(op, **QUICK)
    with pytest.raises(GradcheckError, match="no output of func requires grad"):
        gradcheck(lambda x: x.detach() * 2, leaf(1.0))
    with pytest.raises(GradcheckError, match="is wrong in 1 of 1 elements"):
        gradcheck(cube, leaf(2.0))


def test_at_a_tie_that_is_no_kink_ties_are_mentioned() -> None:
    def median(x: Any) -> Any:
        return x.median(-1)[0]

    with pytest.raises(GradcheckError, match=r"other elements of the input are equal.*distinct=True"):
        check_case(OpSpec(median), "gradient_is_numeric", inputs=[np.ones(3)])
    assert check_op(median, distinct=True, **QUICK).examples
    with pytest.raises(GradcheckError) as caught:
        gradcheck(cube, leaf(2.0, 2.0))
    assert "equal" not in str(caught.value)


# ---- modules and optimizers -----------------------------------------------------------------------------------------


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return x * self.calls


class Deaf(minigrad.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        super().step()


class Silent(minigrad.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        super().step(closure)


def test_a_module_that_remembers_its_calls_is_said_to() -> None:
    calls = arrays((2,)).map(lambda x: ({}, [x]))
    with pytest.raises(AssertionError, match="after a call with other inputs"):
        check_module(Counting, calls, **QUICK)
    with pytest.raises(GradcheckError, match="does forward change an attribute") as caught:
        check_module(Counting, calls, only="gradients_are_numeric", **QUICK)
    assert "func" not in str(caught.value)


def test_what_an_optimizer_does_with_a_closure_is_said() -> None:
    with pytest.raises(AssertionError, match=r"Deaf\.step\(closure\) does not call the closure"):
        check_optimizer(Deaf, **QUICK)
    with pytest.raises(AssertionError, match=r"Silent\.step\(closure\) returns None: return the loss"):
        check_optimizer(Silent, **QUICK)
    with pytest.raises(TypeError, match="check_optimizer: dict is no subclass of Optimizer"):
        check_optimizer(dict, **QUICK)  # type: ignore[arg-type]
