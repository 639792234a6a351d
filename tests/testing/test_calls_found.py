"""How ops are called that say little of it, or say it unusually; which calls are tried, and what can be left out."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.autograd import Function
from minigrad.nn import functional as F
from minigrad.testing import GradcheckError, OpSpec, check_case, check_module, check_op, check_optimizer, gradcheck
from minigrad.testing.strategies import arrays
from testing.wrong_ops import cube

QUICK: dict[str, Any] = {"max_examples": 8, "derandomize": True, "database": None}


class Power(Function):
    """x to the power of n."""

    @staticmethod
    def forward(ctx: Any, x: Any, n: int = 2) -> Any:
        ctx.save_for_backward(x)
        ctx.n = n
        return x**n

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        (x,) = ctx.saved_tensors
        return gradient * ctx.n * x ** (ctx.n - 1), None


def x64(*numbers: float) -> minigrad.Tensor:
    return minigrad.tensor(np.array(numbers), requires_grad=True)


# ---- settings and inputs in their places ----------------------------------------------------------------------------


def test_a_setting_goes_where_it_arrives() -> None:
    def scaled(n: int, x: Any, *, shift: float = 0.0) -> Any:
        return x * n + shift

    report = check_op(Power, settings={"n": 3}, reference=lambda x, n: x**n, **QUICK)
    assert "equals_reference" in report.examples
    given = {"n": 3, "shift": 0.5}
    assert check_op(scaled, settings=given, reference=lambda n, x, shift: x * n + shift, **QUICK).examples
    check_case(OpSpec(scaled, lambda n, x, shift: x * n + shift), inputs=[np.ones(2)], settings=given)


def test_a_wrapper_says_itself_where_arguments_go() -> None:
    def scaled(n: int, x: Any) -> Any:
        return x * n

    @functools.wraps(scaled)
    def arranged(*inputs: Any, **settings: Any) -> Any:
        return scaled(settings["n"], *inputs)

    check_case(OpSpec(arranged, lambda x, n: x * n), inputs=[np.ones(2)], settings={"n": 3})


def test_a_function_may_be_given_as_its_class() -> None:
    assert gradcheck(Power, x64(1.0, 2.0))
    check_case(OpSpec(Power), inputs=[np.array([2.0])], settings={"n": 3})
    for op in (Power, Power.apply):
        report = check_op(OpSpec(op, lambda x: x**2, devices=False), **QUICK)
        assert (report.name, "equals_reference" in report.examples) == ("Power.apply", True)


def test_a_spec_reads_a_signature_as_check_op_does() -> None:
    assert check_op(OpSpec(F.relu, lambda x: np.maximum(x, 0)), **QUICK).examples
    with pytest.raises(ValueError, match="domain has 2 intervals, and the op 1 inputs"):
        check_op(OpSpec(lambda x: x * x, domain=[(0, 1), (2, 3)]))
    with pytest.raises(TypeError, match=r"'n' has no default.*in an OpSpec, with arguments="):
        check_op(OpSpec(lambda x, *, n: x * n))


def test_annotations_that_cannot_be_evaluated_are_no_obstacle() -> None:
    def strange(x: np.nonexistent, n: int | None = None, flag: bool = True) -> Any:  # type: ignore[name-defined]
        return x * (2 if n is None else n)

    def said(x: Any, n: Any = 2) -> Any:
        return x * n

    said.__annotations__ = {"x": "a float, really", "n": "int"}
    for op in (strange, said):
        assert check_op(op, **QUICK).notes[0] == "inputs: x, any shape, numbers in (-3, 3)"


@pytest.mark.parametrize("annotation", [tuple[int, ...], int | None, "int | None", "None | int"])
def test_what_holds_numbers_alone_is_a_setting(annotation: Any) -> None:
    def op(x: Any, size: Any) -> Any:
        return x * 2.0

    said = {"x": "a float, really"} if isinstance(annotation, str) else {}
    op.__annotations__ = {**said, "size": annotation}
    with pytest.raises(TypeError, match="the setting 'size' has no default"):
        check_op(op, **QUICK)


# ---- shapes and numbers ---------------------------------------------------------------------------------------------


def test_numbers_between_0_and_1_are_tried_before_whole_ones() -> None:
    report = check_op(F.binary_cross_entropy, max_examples=4, derandomize=True, database=None)
    assert report.notes[0].endswith("numbers in (0, 1)")
    with pytest.raises(TypeError, match="no arguments were found"):
        check_op(lambda x, y: (x - 10).log() * y, **QUICK)


def test_a_mask_is_found() -> None:
    report = check_op(lambda x, mask: x.masked_fill(mask, 0.0), **QUICK)
    assert report.notes[0] == "inputs: x, mask, shapes that broadcast, numbers in (-3, 3), mask True or False"


WRONG_AT: dict[str, Any] = {
    "four dimensions": lambda x: x.ndim >= 4,
    "a long side": lambda x: max(x.shape, default=0) >= 5,
    "the smallest numbers": lambda x: x.numel() and x.numpy().min() < -2.9,
    "the largest numbers": lambda x: x.numel() and x.numpy().max() > 2.9,
}


@pytest.mark.parametrize("where", WRONG_AT)
@pytest.mark.parametrize("as_spec", [False, True])
def test_a_rule_that_is_wrong_at_large_calls_and_numbers_alone_is_found(where: str, as_spec: bool) -> None:
    def op(x: Any) -> Any:
        return x * x.detach() if WRONG_AT[where](x.detach()) else x * x

    with pytest.raises(GradcheckError):
        check_op(OpSpec(op, exact=False) if as_spec else op, **QUICK)


def test_what_is_not_tried_is_said() -> None:
    def small(x: Any) -> Any:
        if x.ndim > 3:
            raise ValueError("three dimensions at most")
        return x * 2.0

    notes = check_op(small, **QUICK).notes
    assert "sizes: sides up to 3, and (9,)" in notes
    assert "nothing larger: for (2, 1, 3, 2) it raised ValueError: three dimensions at most" in notes
    rows = arrays((2,)).map(lambda x: ([x], {}))
    (said,) = check_op(lambda x: x * 2.0, arguments=rows, **QUICK).notes
    assert said == "sizes never drawn: empty, 0-d, 3-d, 4-d, size 1, one element, a side of 5 or more"


# ---- what a user says -----------------------------------------------------------------------------------------------


def test_a_property_can_be_left_out() -> None:
    with pytest.raises(GradcheckError):
        check_op(cube, **QUICK)
    numeric = ("gradient_is_numeric", "second_gradient_is_numeric", "ties_keep_the_gradient")
    report = check_op(cube, skip=numeric, **QUICK)
    assert all(report.skipped[name] == "left out by you: skip= names it" for name in numeric)
    assert "left out by you" in str(check_op(OpSpec(cube), skip=numeric, **QUICK))
    calls = arrays((2, 3)).map(lambda x: ({"in_features": 3, "out_features": 2}, [x]))
    assert "writes_nothing" in check_module(nn.Linear, calls, skip=["writes_nothing"], **QUICK).skipped
    assert "zero_grad_forgets" in check_optimizer(minigrad.optim.SGD, skip=["zero_grad_forgets"], **QUICK).skipped


def test_an_unknown_property_cannot_be_left_out() -> None:
    with pytest.raises(LookupError, match=r"there is no property 'speed'; there are .*gradient_is_numeric"):
        check_op(cube, skip=("speed",))
    with pytest.raises(TypeError, match=r"skip is a list of names: skip=\['speed'\]"):
        check_op(cube, skip="speed")


MISTAKEN: dict[str, tuple[dict[str, Any], str]] = {
    "kinks": ({"kinks": "a"}, "kinks is a list of numbers, and not 'a'"),
    "settings": ({"settings": [1]}, r"settings is a dictionary, .* and not \[1\]"),
    "reference": ({"reference": 3}, "reference is a function of NumPy arrays, and not 3"),
    "a reference without a result": ({"reference": lambda x: None}, "the reference gives None"),
}


@pytest.mark.parametrize("name", MISTAKEN)
def test_a_mistaken_option_is_said_in_a_sentence(name: str) -> None:
    options, said = MISTAKEN[name]
    with pytest.raises(TypeError, match=said):
        check_op(lambda x: x * x, **options, **QUICK)


def test_a_setting_that_the_op_writes_to_is_shown_as_it_was_given() -> None:
    def op(x: Any, cfg: Any) -> Any:
        cfg.append(1)
        return x * len(cfg)

    arguments = arrays((2,)).map(lambda x: ([x], {"cfg": [5]}))
    with pytest.raises(AssertionError) as caught:
        check_op(op, arguments=arguments, **QUICK)
    assert 'settings={"cfg": [5]}' in "\n".join(caught.value.__notes__)
