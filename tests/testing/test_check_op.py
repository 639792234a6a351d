"""`check_op` on an op nobody has described: what it finds out, what it says, and how small its examples are."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import strategies as st

import minigrad
from minigrad import primitive
from minigrad.backend import Array
from minigrad.testing import GradcheckError, OpSpec, check_op
from minigrad.testing.report import Report
from minigrad.testing.strategies import arrays, shapes
from testing.wrong_ops import cube, product, scaled

QUICK: dict[str, Any] = {"max_examples": 10, "derandomize": True, "database": None}
THOROUGH = {**QUICK, "max_examples": 100}


def inputs_of(report: Report) -> str:
    (said,) = [note for note in report.notes if note.startswith("inputs: ")]
    return said.removeprefix("inputs: ")


def pooled(x: Any, *, mode: Literal["mean", "sum"] = "mean", keepdim: bool = False, scale: float = 2.0) -> Any:
    return getattr(x, mode)(-1, keepdim=keepdim) * scale


FOUND = {
    "any shape": (lambda x: x.tanh(), "x, any shape, numbers in (-3, 3)"),
    "logarithm": (lambda x: x.log(), "x, any shape, numbers in (0, 3)"),
    "arc sine": (lambda x: x.asin() + (1 - x * x).log(), "x, any shape, numbers in (-1, 1)"),
    "from 1 on": (lambda x: x.acosh(), "x, any shape, numbers in (1, 4)"),
    "two that broadcast": (lambda x, y: x * y, "x, y, shapes that broadcast, numbers in (-3, 3)"),
    "two of one shape": (
        lambda x, y: x.reshape(-1).dot(y.reshape(-1)) * y,
        "x, y, one shape for all, numbers in (-3, 3)",
    ),
    "not empty": (lambda x: x.mean(), "x, one shape, not empty, numbers in (-3, 3)"),
    "a product of matrices": (lambda x, y: x @ y, "x, y, matrices that multiply, (n, k), (k, m), numbers in (-3, 3)"),
    "a layer": (
        lambda x, w, b: minigrad.nn.functional.linear(x, w, b),
        "x, w, b, rows and a weight, (n, k), (m, k), (m,), numbers in (-3, 3)",
    ),
    "a table": (
        lambda index, table: minigrad.nn.functional.embedding(index, table),
        "index, table, matrices and a number a row, (n, m), (n,), numbers in (-3, 3), in index whole ones from 0",
    ),
    "the right classes": (
        lambda x, labels: minigrad.nn.functional.nll_loss(x, labels),
        "x, labels, matrices and a number a row, (n, m), (n,), numbers in (-3, 3), in labels whole ones from 0",
    ),
    "an index like the input": (
        lambda x, index: x.gather(1, index),
        "x, index, matrices of one shape, (n, m), numbers in (-3, 3), in index whole ones from 0",
    ),
    "real numbers where they will do": (
        lambda x, target: minigrad.nn.functional.cross_entropy(x, target),
        "x, target, one shape of 1 dimension or more, not empty, numbers in (-3, 3)",
    ),
    "what one choice needs": (
        lambda x, flipped=False: (x.mT if flipped else x) @ x,
        "x, square matrices, (n, n), numbers in (-3, 3)",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_shapes_and_numbers_are_found_by_trial(name: str) -> None:
    op, expected = FOUND[name]
    report = check_op(op, **{**QUICK, "max_examples": 2})
    assert inputs_of(report) == expected


def test_settings_are_read_from_the_signature() -> None:
    seen: set[Any] = set()

    def op(x: Any, *, mode: Literal["mean", "sum"] = "mean", keepdim: bool = False, scale: float = 2.0) -> Any:
        seen.add((mode, keepdim, scale))
        return pooled(x, mode=mode, keepdim=keepdim, scale=scale)

    report = check_op(op, **QUICK)
    assert "settings: mode, keepdim" in report.notes
    said = 'nothing else tried: settings={"scale": ...} draws other values'
    assert report.skipped["scale=2.0"] == said
    assert said in str(report)
    assert seen == {(mode, keepdim, 2.0) for mode in ("mean", "sum") for keepdim in (False, True)}


def test_a_function_that_may_write_into_its_input_is_tried_without() -> None:
    report = check_op(minigrad.nn.functional.relu, kinks=[0], **QUICK)
    assert report.skipped["inplace=False"] == 'nothing else tried: settings={"inplace": ...} draws other values'
    report = check_op(minigrad.nn.functional.dropout, settings={"training": False}, **QUICK)
    assert {"p=0.5", "inplace=False"} <= report.skipped.keys()


def test_a_wrong_rule_behind_a_flag_or_an_index_is_found() -> None:
    def half_when_flipped(x: Any, flipped=False) -> Any:
        return (x + x.detach()) * x if flipped else x * x

    def one_row_at_most(x: Any, index: Any) -> Any:
        rows = x.index_select(0, index)
        return rows if len(set(index.tolist())) == len(index) else rows.detach() + 0 * rows

    for op, expected in ((half_when_flipped, "'flipped': True"), (one_row_at_most, "array([0, 0])")):
        with pytest.raises(GradcheckError) as caught:
            check_op(op, **{**QUICK, "max_examples": 40})
        assert expected in "\n".join(caught.value.__notes__)


def test_whole_numbers_are_indices_of_every_dimension() -> None:
    seen: set[tuple[Any, ...]] = set()

    def op(x: Any, index: Any) -> Any:
        assert index.dtype == minigrad.int64
        seen.update(index.reshape(-1).tolist())
        return x.gather(0, index) + x.gather(1, index)

    check_op(op, **{**QUICK, "max_examples": 20})
    assert seen == {0, 1, 2}


def test_a_choice_that_the_op_refuses_is_said() -> None:
    with pytest.raises(TypeError, match=r"raised AttributeError: .* \(with flag=True\), on whatever it is called with"):
        check_op(lambda x, flag=False: x.nothing if flag else x * 1, **QUICK)


def test_settings_and_arguments_can_be_given() -> None:
    def power(x: Any, n: int) -> Any:
        return x**n

    with pytest.raises(TypeError, match=r"the setting 'n' has no default: say what to draw with settings=\{'n'"):
        check_op(power, **QUICK)
    assert check_op(power, settings={"n": st.integers(2, 3)}, **QUICK).examples
    with pytest.raises(TypeError, match="it has no setting m; its settings are n"):
        check_op(power, settings={"n": 2, "m": 3}, **QUICK)
    arguments = st.tuples(st.tuples(arrays(shapes())), st.just({"n": 2}))
    assert check_op(power, arguments=arguments, **QUICK).examples


def test_a_primitive_says_itself_what_is_an_array() -> None:
    @primitive
    def shifted(input: Array, other: Array = None, *, by: float = 1.0) -> Array:
        return input * by if other is None else input * by + other

    shifted.vjp(input=lambda g, by: g * by, other=lambda g: g * 1.0)
    report = check_op(shifted, reference=lambda x, y, by: x + (0 if y is None else y), devices=True, **QUICK)
    assert inputs_of(report) == "input, other, shapes that broadcast, numbers in (-3, 3)"
    assert {"equals_reference", "runs_on_another_device", "rule_reads_as_a_rule"} <= report.examples.keys()


def test_the_report_says_what_ran_and_what_did_not() -> None:
    report = check_op(lambda x: x.log(), **QUICK)
    said = str(report).splitlines()
    assert said[0] == f"<lambda>: {len(report.examples)} properties hold"
    assert "  nothing wider: for (2, 3) in (-3, 3) it gave numbers that are not finite" in said
    assert any(line.split()[0] == "gradient_is_numeric" and line.endswith("examples") for line in said)
    assert any(line.endswith("no reference= to compare with") for line in said)
    assert all(count >= 4 for count in report.examples.values())


def test_what_cannot_be_checked_is_said_in_a_sentence() -> None:
    with pytest.raises(
        TypeError, match=r"no arguments were found .* raised RuntimeError: reshape.*arguments= a strategy"
    ):
        check_op(lambda x: x.reshape(7), **QUICK)
    with pytest.raises(TypeError, match="gave float, and no Tensor"):
        check_op(lambda x: 1.0, **QUICK)
    with pytest.raises(TypeError, match="its signature has no arrays"):
        check_op(lambda n=1: n, **QUICK)
    with pytest.raises(TypeError, match=r"this is a Module.*check_module"):
        check_op(minigrad.nn.Linear(2, 2), **QUICK)
    with pytest.raises(TypeError, match=r"no option examples: it takes the fields of OpSpec .*max_examples"):
        check_op(cube, examples=3)
    with pytest.raises(TypeError, match="an OpSpec says everything itself"):
        check_op(OpSpec(cube), kinks=[0])


# ---- what is wrong is shown at its smallest -------------------------------------------------------------------------


def pasted_call(error: BaseException) -> str:
    (note,) = [note for note in error.__notes__ if "check_case(" in note]
    return note.splitlines()[-1]


def test_a_wrong_rule_is_shown_at_one() -> None:
    with pytest.raises(GradcheckError, match=r"shape \(\), is wrong in 1 of 1 elements") as caught:
        check_op(cube, **THOROUGH)
    assert pasted_call(caught.value).startswith('check_case(spec, "gradient_is_numeric", inputs=[np.array(1.0)]')
    assert "How it was called:\n  inputs: input, any shape, numbers in (-3, 3)\n" in "\n".join(caught.value.__notes__)


def test_a_rule_that_is_wrong_where_it_broadcasts_is_shown_at_the_smallest_broadcast() -> None:
    with pytest.raises(GradcheckError) as caught:
        check_op(product, **THOROUGH)
    assert "inputs=[np.array(1.0), np.array([1.0])]" in pasted_call(caught.value)


def test_an_op_that_is_wrong_beyond_one_element_is_shown_with_two() -> None:
    @primitive
    def turned(input: Array) -> Array:
        return input * 2

    turned.vjp(input=lambda g: g[::-1] * 2 if len(g.shape) else g * 2)
    with pytest.raises(GradcheckError, match=r"shape \(2,\)"):
        check_op(turned, **THOROUGH)


def test_a_factor_that_differences_cannot_see_is_found() -> None:
    with pytest.raises(GradcheckError, match="relative error 1e-09"):
        check_op(scaled, **THOROUGH)
