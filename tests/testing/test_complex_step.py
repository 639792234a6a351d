"""The complex step: what it finds that differences cannot, and what it must not believe."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

import minigrad
from minigrad.testing import GradcheckError, gradcheck, gradgradcheck
from minigrad.testing.strategies import arrays, shapes
from testing.wrong_ops import scaled


def leaf(data: Any) -> minigrad.Tensor:
    return minigrad.tensor(np.asarray(data, dtype=np.float64), requires_grad=True)


def softplus(x: Any) -> Any:
    """Stable for large numbers, and through abs(): analytic for nobody, and almost so far from 0."""
    return x.relu() + (-x.abs()).exp().log1p()


def smooth(x: Any, y: Any) -> Any:
    return (x * y).sin() / (x.exp() + y * y + 1.0), (x @ y.mT).tanh().sum(0)


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("method", ["complex", "auto"])
def test_right_gradients_of_analytic_functions_pass(method: Any, fast_mode: bool) -> None:
    inputs = leaf([[0.5, -1.0], [2.0, 0.25]]), leaf([[1.5, 0.5], [-0.75, 1.0]])
    assert gradcheck(smooth, inputs, method=method, fast_mode=fast_mode)
    assert gradgradcheck(smooth, inputs, method=method, fast_mode=fast_mode)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_a_factor_of_one_and_a_thousand_millionth_is_found(fast_mode: bool) -> None:
    x = leaf([1.0, 2.0])
    assert gradcheck(scaled, x, fast_mode=fast_mode), "differences have six digits: they cannot see it"
    for method in ("complex", "auto"):
        with pytest.raises(GradcheckError, match=r"relative error 1e-09 \(complex step 1e-20"):
            gradcheck(scaled, x, method=method, fast_mode=fast_mode)


@pytest.mark.parametrize("function", [lambda x: x.abs(), lambda x: (x * x).sqrt() * x.abs(), lambda x: softplus(x)])
def test_what_is_not_analytic_is_refused_or_left_to_differences(function: Any) -> None:
    x = leaf([1.0, -2.0])
    with pytest.raises(TypeError, match=r"not analytic here: its slope is .* use method='central'"):
        gradcheck(function, x, method="complex")
    assert gradcheck(function, x, method="auto")


@pytest.mark.parametrize("fast_mode", [False, True])
def test_what_is_almost_analytic_is_decided_by_a_difference_of_high_order(fast_mode: bool) -> None:
    # At 20 the axes agree to nine digits, and the complex step is wrong in the ninth.
    assert gradcheck(softplus, leaf([20.0, 22.0]), method="auto", fast_mode=fast_mode)


def test_what_takes_no_complex_numbers_is_refused_or_left_to_differences() -> None:
    x = leaf([0.5, 1.5])
    with pytest.raises(TypeError, match=r"func raises .* on complex numbers, .*use method='central'"):
        gradcheck(lambda x: x.erf(), x, method="complex")
    assert gradcheck(lambda x: x.erf(), x, method="auto")


def test_a_wrong_rule_on_a_function_that_is_not_analytic_is_found_all_the_same() -> None:
    # The complex step of abs() is 0: a rule that says so, too, must not be believed.
    with pytest.raises(GradcheckError, match="input 0"):
        gradcheck(lambda x: x.detach().abs() + 0 * x, leaf([1.0, 2.0]), method="auto")


def test_the_inputs_are_as_they_were() -> None:
    x = leaf([1.0, 2.0])
    array = x._array
    gradcheck(lambda x: x * x, x, method="complex")
    assert x._array is array


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="method is 'central', 'complex' or 'auto', not 'exact'"):
        gradcheck(lambda x: x, leaf([1.0]), method="exact")  # type: ignore[arg-type]


@given(arrays(shapes(max_dims=2, max_side=2)))
def test_both_methods_agree_where_both_can_be_had(x: np.ndarray) -> None:
    for method in ("central", "complex", "auto"):
        assert gradcheck(lambda x: x.tanh() * x.cos(), leaf(x), method=method)


def test_a_kink_is_said_to_be_one() -> None:
    with pytest.raises(GradcheckError, match=r"from the left .* is 0, from the right .* seems to have a kink or a tie"):
        gradcheck(lambda x: x.relu(), leaf([1.0, 0.0]))
    with pytest.raises(GradcheckError, match="take kinks= and arguments="):
        gradcheck(lambda x: x.amax(), leaf([1.0, 1.0, 1.0]))


def test_a_jump_is_said_to_be_one() -> None:
    with pytest.raises(GradcheckError, match="the function seems to jump there"):
        gradcheck(lambda x: (x > 1.0).double() + 0 * x, leaf([1.0, 2.0]))


def test_a_wrong_rule_is_not_said_to_be_a_kink() -> None:
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda x: x * x.detach(), leaf([1.0, 2.0]))
    assert "kink" not in str(caught.value)
    assert "jump" not in str(caught.value)
