"""`gradcheck` and `gradgradcheck` themselves: what passes, what is refused, and what they say."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.core.primitive import primitive
from minigrad.testing import GradcheckError, gradcheck, gradgradcheck


def leaf(data: Any) -> minigrad.Tensor:
    return minigrad.tensor(np.asarray(data, dtype=np.float64), requires_grad=True)


@primitive
def triple(input):
    """Three times, with a rule that says twice at the second element."""
    return input * 3


triple.vjp(input=lambda g: g * (3.0 - _at_second_place(g)))


def _at_second_place(g: Any) -> Any:
    """1 at the second element of a vector, 0 elsewhere."""
    zeros = g * 0
    return zeros + np.array([0.0, 1.0]) if isinstance(g, np.ndarray) else zeros + minigrad.tensor(np.array([0.0, 1.0]))


@pytest.mark.parametrize("fast_mode", [False, True])
def test_right_gradients_pass(fast_mode: bool) -> None:
    x, y = leaf([[0.3, -0.5], [1.0, 0.25]]), leaf([0.7, -1.1])
    assert gradcheck(lambda x, y: (x * y).tanh(), (x, y), fast_mode=fast_mode, exact=True)
    assert gradgradcheck(lambda x, y: (x * y).tanh(), (x, y), fast_mode=fast_mode)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_a_wrong_gradient_raises_or_is_false(fast_mode: bool) -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(GradcheckError, match="gradient of input 0"):
        gradcheck(triple, x, fast_mode=fast_mode)
    assert gradcheck(triple, x, fast_mode=fast_mode, raise_exception=False) is False


def test_the_message_says_where_and_by_how_much() -> None:
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda n, x: triple(x) * n, (2.0, leaf([1.0, 2.0])))
    said = str(caught.value)
    assert "the gradient of input 1, shape (2,), is wrong in 1 of 2 elements, most at (1,): analytic" in said
    assert "relative error 0.333 (eps=1e-06, atol=1e-05, rtol=0.001)" in said


def test_a_gradient_that_was_cut_off_is_found() -> None:
    with pytest.raises(GradcheckError, match="input 0"):
        gradcheck(lambda x: x * x.detach(), leaf([1.0, 2.0]))
    with pytest.raises(GradcheckError, match="input 0"):
        gradcheck(lambda x: (x * 1.0, x.detach() * 2.0), leaf([1.0, 2.0]))


def test_an_input_that_nothing_depends_on_has_gradient_zero() -> None:
    assert gradcheck(lambda x, y: x * 2.0, (leaf([1.0]), leaf([2.0])))


def test_several_outputs_of_several_shapes() -> None:
    assert gradcheck(lambda x: (x * x, x.sum(), (x > 0)), leaf([1.0, -2.0]))


def test_inputs_may_come_through_a_closure() -> None:
    weight, x = leaf([2.0, -1.0]), leaf([0.5, 0.25])
    assert gradcheck(lambda *_: (weight * x).tanh(), (weight, x))


def test_inputs_that_are_results_and_views() -> None:
    x = leaf([[0.5, 0.25], [1.0, 2.0]])
    assert gradcheck(lambda y: y * y, (x * 2.0)[0])


def test_what_requires_no_grad_is_passed_on() -> None:
    assert gradcheck(lambda x, places, power: x[places] ** power, (leaf([1.0, 2.0]), minigrad.tensor([1, 1]), 3))


def test_neither_the_inputs_nor_their_grad_are_touched() -> None:
    x = leaf([1.0, 2.0])
    x._array.flags.writeable = False
    assert gradcheck(lambda x: x * x, x)
    assert x.grad is None
    assert x.tolist() == [1, 2]


def test_randomness_is_found() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(GradcheckError, match="the second run"):
        gradcheck(lambda x: x * float(rng.uniform()), leaf([1.0]))
    assert gradcheck(lambda x: x * (1 + 1e-9 * float(rng.uniform())), leaf([1.0]), nondet_tol=1e-6)


def test_what_is_refused() -> None:
    with pytest.raises(TypeError, match=r"input 0 is float32.*use \.double\(\)"):
        gradcheck(lambda x: x * x, minigrad.tensor([1.0], requires_grad=True))
    with pytest.raises(ValueError, match="set requires_grad=True on one of the inputs"):
        gradcheck(lambda x: x * x, minigrad.tensor(np.array([1.0])))
    with pytest.raises(TypeError, match="output 0 is no Tensor but float"):
        gradcheck(lambda x: 1.0, leaf([1.0]))


def test_cotangents_can_be_given() -> None:
    x = leaf([1.0, 2.0])
    assert gradgradcheck(lambda x: x * x * x, x, minigrad.tensor(np.array([1.0, -1.0])))


def test_a_wrong_second_derivative_is_found() -> None:
    @primitive
    def square(input):
        return input * input

    square.vjp(input=lambda g, input: g * twice(input))

    @primitive
    def twice(input):
        return input * 2

    twice.vjp(input=lambda g: g * 3)
    assert gradcheck(square, leaf([1.0, 2.0]))
    with pytest.raises(GradcheckError, match="input 0"):
        gradgradcheck(square, leaf([1.0, 2.0]))


def test_empty_and_0d_inputs() -> None:
    assert gradcheck(lambda x: x * x, leaf(2.0))
    assert gradcheck(lambda x: x * x, leaf(np.zeros((0, 2))))
    assert gradgradcheck(lambda x: x * x, leaf(np.zeros((0, 2))))


def test_gradcheck_and_the_standin_need_no_hypothesis() -> None:
    program = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from minigrad.testing import gradcheck, standin\n"
        "try:\n"
        "    from minigrad.testing import check_op\n"
        "except ImportError as error:\n"
        "    assert 'pip install hypothesis' in str(error), error\n"
        "else:\n"
        "    raise SystemExit('check_op came without hypothesis')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
