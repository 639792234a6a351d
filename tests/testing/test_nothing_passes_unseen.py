"""What `check_op` must not do: pass without looking, hide what it left out, or find fault with what is right."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase
from sabotage.right import SignedSquare

import minigrad
from minigrad import primitive
from minigrad.backend import Array
from minigrad.testing import GradcheckError, OpSpec, check_case, check_op, gradcheck, gradgradcheck
from minigrad.testing.properties import PROPERTIES, verify
from minigrad.testing.strategies import arrays
from testing.wrong_ops import cube

pytest_plugins = ["pytester"]

QUICK: dict[str, Any] = {"max_examples": 10, "derandomize": True, "database": None}


def wrong(x: Any) -> Any:
    return x * x.detach()


def ones(count: int = 2) -> minigrad.Tensor:
    return minigrad.ones(count, dtype=minigrad.float64, requires_grad=True)


# ---- passing without looking ----------------------------------------------------------------------------------------

UNSEEN: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "Tensors": (wrong, {"arguments": arrays((2,)).map(lambda x: ([minigrad.tensor(x)], {}))}, "give NumPy arrays"),
    "lists": (lambda x: minigrad.tensor(x) * 1.0, {"arguments": st.just(([[1.0]], {}))}, "give NumPy arrays"),
    "an input that is not there": (wrong, {"differentiable": [1]}, "names input 1, and the op is called with 1"),
    "no outputs": (lambda x: (), {}, "gave no outputs"),
    "no outputs, said how to call": (
        lambda x: (),
        {"arguments": arrays((2,)).map(lambda x: ([x], {})), "smooth": 0},
        "gives no outputs",
    ),
    "whole numbers": (lambda x: x * 2, {"arguments": st.just(([np.array([1, 2])], {}))}, "smooth=0"),
    "constants": (lambda x: minigrad.zeros_like(x), {}, "no gradient to compare.*smooth=0"),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_nothing_passes_without_being_looked_at(name: str) -> None:
    op, options, said = UNSEEN[name]
    with pytest.raises((TypeError, ValueError), match=said):
        check_op(op, **options, **QUICK)


def test_an_op_without_a_gradient_may_say_so() -> None:
    assert "gradient_is_numeric" not in check_op(lambda x: minigrad.zeros_like(x), smooth=0, **QUICK).examples


def test_the_report_counts_only_calls_that_were_looked_at() -> None:
    one = check_op(lambda x: x * x, **QUICK)
    assert one.skipped["repeated_input_adds_up"] == "no call had anything for it to look at"
    two = check_op(lambda x, y: x * y, **QUICK)
    assert 0 < two.examples["repeated_input_adds_up"] < two.examples["gradient_is_numeric"]


def test_gradgradcheck_refuses_what_gradcheck_refuses() -> None:
    for check in (gradcheck, gradgradcheck):
        with pytest.raises(TypeError, match="output 0 is no Tensor but float"):
            check(lambda x: 3.0, ones())
        with pytest.raises(ValueError, match="set requires_grad=True on one of the inputs"):
            check(lambda x: x, minigrad.ones(2))
        with pytest.raises(ValueError, match="func gives no outputs"):
            check(lambda x: (), ones())
    with pytest.raises(ValueError, match="no output of func requires grad"):
        gradgradcheck(lambda x: x.detach(), ones())


# ---- what is tried --------------------------------------------------------------------------------------------------


def test_dimensions_are_drawn_and_what_is_none_is_tried_as_an_array() -> None:
    seen: set[Any] = set()

    def op(x: Any, bias: Any = None, dim: int = 0, n: int = 2) -> Any:
        seen.add((bias is None, dim, n))
        return x.cumsum(dim) * n if bias is None else x.cumsum(dim) * n + bias

    report = check_op(op, **{**QUICK, "max_examples": 30})
    assert report.notes[:2] == ["inputs: x, bias, shapes that broadcast, numbers in (-3, 3)", "settings: dim"]
    assert {(without, dim) for without, dim, _ in seen} >= {(a, b) for a in (False, True) for b in (-2, -1, 0, 1)}
    assert "n=2" in report.skipped


def test_a_rule_that_is_right_for_the_default_dimension_alone_is_found() -> None:
    def op(x: Any, dim: int = 0) -> Any:
        return x.cumsum(dim) if dim == 0 or x.ndim < 2 else x.detach().cumsum(dim) + 0 * x

    with pytest.raises(GradcheckError):
        check_op(op, **{**QUICK, "max_examples": 30})


def test_what_is_none_and_takes_no_array_is_left_at_none() -> None:
    def op(x: Any, mode: Any = None) -> Any:
        return x * {None: 2.0, "half": 0.5}[mode]

    assert "mode=None" in check_op(op, **QUICK).skipped


def test_numbers_of_both_signs_are_tried_where_zero_alone_is_no_input() -> None:
    notes = check_op(lambda x: 1 / x, **QUICK).notes
    assert notes[0] == "inputs: x, any shape, numbers in (-3, 3) without 0"


@pytest.mark.parametrize("op", [SignedSquare, SignedSquare.apply])
def test_a_function_of_ones_own_is_called_as_its_forward_says(op: Any) -> None:
    report = check_op(op, **QUICK)
    assert (report.name, report.notes[0]) == ("SignedSquare.apply", "inputs: input, any shape, numbers in (-3, 3)")


def test_batches_of_matrices_are_found() -> None:
    assert "batches of matrices that multiply" in check_op(minigrad.bmm, **QUICK).notes[0]


def test_a_zero_and_a_tie_are_corners() -> None:
    def unequal(x: Any) -> Any:
        return x * (3 if x.numel() > 1 and len(np.unique(x.numpy())) < x.numel() else 2)

    rows: Any = arrays((3,)).map(lambda x: ([x], {}))
    spec = OpSpec(unequal, lambda x: x * 2, rows)
    with pytest.raises(AssertionError):
        verify(spec, PROPERTIES["equals_reference"], **{**QUICK, "max_examples": 1})


# ---- kinks ----------------------------------------------------------------------------------------------------------

AT_ZERO: dict[str, Callable[[Any], Any]] = {
    "x |x|": lambda x: x * x.abs(),
    "relu squared": lambda x: minigrad.relu(x) ** 2,
    "relu": minigrad.relu,
    "abs": lambda x: x.abs(),
    "sign": lambda x: x.sign(),
    "amax": lambda x: x.reshape(-1).amax(0),
}


@pytest.mark.parametrize("name", AT_ZERO)
@pytest.mark.parametrize("prop", ["gradient_is_numeric", "second_gradient_is_numeric", "ties_keep_the_gradient"])
def test_right_rules_are_right_at_kinks(name: str, prop: str) -> None:
    for inputs in (np.array(0.0), np.zeros(2)):
        check_case(OpSpec(AT_ZERO[name], exact=False), prop, inputs=[inputs])


@primitive
def steep(input: Array) -> Array:
    """relu with a slope at 0 that is on neither side."""
    return np.maximum(input, 0)


steep.vjp(input=lambda g, input: g * ((input > 0) + 2.0 * (input == 0)))


def test_a_slope_outside_of_both_sides_is_wrong_at_a_kink() -> None:
    with pytest.raises(GradcheckError, match="seems to have a kink"):
        check_case(OpSpec(steep), "gradient_is_numeric", inputs=[np.array(0.0)])


def test_the_report_counts_kinks_and_gradcheck_refuses_them() -> None:
    report = check_op(minigrad.relu, **QUICK)
    assert report.kinks["gradient_is_numeric"] > 0
    assert "at kinks: compared with one side" in str(report)
    with pytest.raises(GradcheckError, match="seems to have a kink"):
        gradcheck(minigrad.relu, minigrad.zeros(2, dtype=minigrad.float64, requires_grad=True))


def test_ties_can_be_kept_out() -> None:
    check_op(lambda x: x.sort(dim=-1)[0], distinct=True, **{**QUICK, "max_examples": 40})


def test_the_tolerance_reaches_the_complex_step() -> None:
    def cancels(x: Any) -> Any:
        return (x * 1e6).sum() - (x * 1e6).sum() + x.sum()

    check_case(OpSpec(cancels, rtol=1e-9), "gradient_is_numeric", inputs=[np.array(1.0)])
    with pytest.raises(GradcheckError):
        check_case(OpSpec(cancels), "gradient_is_numeric", inputs=[np.array(1.0)])


# ---- time, the database, and what is said ---------------------------------------------------------------------------


def test_how_slow_an_op_is_says_nothing_about_it() -> None:
    def slow(x: Any) -> Any:
        time.sleep(0.15)
        return x * x

    verify(OpSpec(slow), PROPERTIES["writes_nothing"], max_examples=2, database=None)


def test_what_passes_leaves_the_failures_of_others_in_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hypothesis.core, "global_force_seed", None)  # with a seed, hypothesis asks no database
    kept: dict[bytes, set[bytes]] = {}
    database = InMemoryExampleDatabase()
    database.data = kept
    options: dict[str, Any] = {"database": database, "derandomize": False}
    with pytest.raises(GradcheckError):
        verify(OpSpec(cube), PROPERTIES["gradient_is_numeric"], max_examples=20, **options)
    failures = {key: set(found) for key, found in kept.items() if found}
    assert failures
    verify(OpSpec("exp"), PROPERTIES["gradient_is_numeric"], max_examples=5, **options)
    verify(OpSpec(cube), PROPERTIES["writes_nothing"], max_examples=5, **options)
    assert all(kept[key] >= found for key, found in failures.items())


def test_a_failing_check_shows_none_of_our_frames(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from minigrad.testing import check_op
        def test_wrong():
            check_op(lambda x: x * x.detach(), max_examples=5)
        """
    )
    said = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--tb=long").stdout.str()
    assert "GradcheckError" in said
    assert "def elements_agree" not in said
    assert "def try_once" not in said
    assert "def check_op" not in said


SAID: dict[str, tuple[dict[str, Any], str]] = {
    "domain reversed": ({"domain": (3, -3)}, r"low < high, and not \(3, -3\)"),
    "domain a number": ({"domain": 3}, "domain is an open interval"),
    "domain for two": ({"domain": [(0, 1), (0, 1)]}, "domain has 2 intervals, and the op 1 inputs"),
    "kinks a number": ({"kinks": 0}, r"kinks=\[0\]"),
    "arguments no strategy": ({"arguments": 3}, "arguments is a hypothesis strategy"),
    "arguments without settings": ({"arguments": arrays((2,))}, r"and not \(inputs, settings\)"),
    "no examples": ({"max_examples": 0}, "1 or more, and not 0"),
}


@pytest.mark.parametrize("name", SAID)
def test_a_mistaken_option_is_said_in_a_sentence(name: str) -> None:
    options, said = SAID[name]
    with pytest.raises((TypeError, ValueError), match=said):
        check_op(lambda x: x * x, **options)


def test_an_error_of_the_op_itself_is_said_at_once() -> None:
    def op(x: Any) -> Any:
        raise NameError("name 'epsilon' is not defined")

    with pytest.raises(TypeError, match="it raised NameError: name 'epsilon' is not defined, on whatever") as caught:
        check_op(op, **QUICK)
    assert isinstance(caught.value.__cause__, NameError)


def test_gradcheck_says_why_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(ValueError, match="eps is the step of a difference, more than 0"):
        gradcheck(lambda x: x, ones(), eps=0)
    with pytest.raises(GradcheckError, match="func itself gives nan there"):
        gradcheck(lambda x: (x - 100).log(), ones())
    with pytest.raises(GradcheckError, match="another result each time"):
        gradcheck(lambda x: x * minigrad.rand(2, dtype=minigrad.float64), ones())
    with pytest.raises(GradcheckError, match="the second derivative of input 0"):
        gradgradcheck(lambda x: x * x.detach() * x, ones())
    with pytest.raises(GradcheckError, match=r"the second derivative of grad_outputs\[0\]"):
        gradgradcheck(lambda x: x * minigrad.rand(2, dtype=minigrad.float64), ones())
