"""A failing check prints Python that can be pasted: run, it fails in the same way."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import minigrad
from minigrad.backend import Array
from minigrad.testing import GradcheckError, OpSpec, check_case, check_op, gradcheck, gradgradcheck
from minigrad.testing.example import Source
from minigrad.testing.properties import PROPERTIES, verify
from minigrad.testing.strategies import arrays, shapes, special_arrays
from testing.wrong_ops import cube, cubed, doubled, doubled_and_one, product

QUICK = {"max_examples": 40, "derandomize": True, "database": None}


def pasted(error: BaseException) -> str:
    """The program in an exception's notes."""
    (note,) = [note for note in error.__notes__ if note.startswith("To see it again:")]
    return note.removeprefix("To see it again:\n\n").strip()


def raised_by(code: str, **names: Any) -> BaseException:
    try:
        exec(code, names)
    except (AssertionError, RuntimeError) as error:
        return error
    raise AssertionError(f"it raised nothing:\n{code}")


def leaf(data: Any) -> minigrad.Tensor:
    return minigrad.tensor(np.asarray(data, dtype=np.float64), requires_grad=True)


def test_gradcheck_prints_its_call() -> None:
    with pytest.raises(GradcheckError) as caught:
        gradcheck(cube, leaf([[1.0, 2.5]]), eps=1e-5, seed=3)
    code = pasted(caught.value)
    assert "from testing.wrong_ops import cube" in code
    assert "minigrad.tensor(np.array([[1.0, 2.5]]), requires_grad=True)" in code
    assert code.endswith("gradcheck(cube, inputs, eps=1e-05, seed=3)")
    assert str(raised_by(code)) == str(caught.value)


def test_gradgradcheck_prints_its_call() -> None:
    with pytest.raises(GradcheckError) as caught:
        gradgradcheck(cubed, leaf([1.0, 3.0]), method="auto")
    code = pasted(caught.value)
    assert "gradgradcheck(cubed, inputs" in code
    assert str(raised_by(code)) == str(caught.value)


WRONG = {"gradient_is_numeric": product, "second_gradient_is_numeric": cubed, "equals_reference": doubled_and_one}


@pytest.mark.parametrize("name", WRONG)
def test_a_property_prints_its_call(name: str) -> None:
    spec = OpSpec(WRONG[name], doubled)
    with pytest.raises((AssertionError, GradcheckError)) as caught:
        verify(spec, PROPERTIES[name], **QUICK)
    code = pasted(caught.value)
    assert f'check_case(spec, "{name}", inputs=' in code
    again = raised_by(code)
    assert type(again) is type(caught.value)
    assert str(again) == str(caught.value)


def test_settings_and_fields_are_printed_too() -> None:
    arguments = arrays(shapes()).map(lambda x: ([x], {"shift": 0.5}))
    with pytest.raises(GradcheckError) as caught:
        check_op(OpSpec(cube, arguments=arguments, smooth=1, devices=False), **QUICK)
    code = pasted(caught.value)
    assert "OpSpec(cube, smooth=1, devices=False)" in code
    assert 'settings={"shift": 0.5}' in code
    assert str(raised_by(code)) == str(caught.value)


def test_things_of_one_name_are_imported_under_two() -> None:
    source = Source("OpSpec", "check_case")
    said = [source.name(one, "op") for one in (minigrad.tanh, np.tanh, minigrad.tanh)]
    assert said == ["tanh", "tanh_", "tanh"]
    names: dict[str, Any] = {}
    exec(source.text(), names)
    assert (names["tanh"], names["tanh_"]) == (minigrad.tanh, np.tanh)


def test_an_alias_is_no_name_that_is_taken() -> None:
    source = Source("tanh")
    source.taken.add("tanh_")
    assert source.name(np.tanh, "op") == "tanh__"
    assert Source("OpSpec").name(max, "max") == "max"


def test_two_things_without_a_name_are_two_blanks() -> None:
    source, first, second = Source("OpSpec"), object(), object()
    assert source.literal([first, second, first]) == "[value, value_, value]"
    assert len(source.lines) == 2


def test_what_cannot_be_imported_is_left_to_fill_in() -> None:
    def mine(x: Any) -> Any:
        return x * x.detach()

    with pytest.raises(GradcheckError) as caught:
        gradcheck(mine, leaf([1.0]))
    code = pasted(caught.value)
    (line,) = [line for line in code.splitlines() if "your func here" in line]
    assert line.endswith("mine")
    assert str(raised_by(code.replace(line, ""), func=mine)) == str(caught.value)


def test_large_inputs_are_not_printed() -> None:
    with pytest.raises(GradcheckError) as caught:
        gradcheck(cube, leaf(np.ones(500)), fast_mode=True)
    (note,) = caught.value.__notes__
    assert note.startswith("To see it again: this example has more than 400 numbers")
    with pytest.raises(GradcheckError) as caught:
        check_case(OpSpec(cube), "gradient_is_numeric", inputs=[np.ones((21, 20))])
    assert "too many to paste" in caught.value.__notes__[-1]


def test_a_property_that_holds_says_nothing() -> None:
    check_case(OpSpec(doubled, doubled), inputs=[np.array([1.0, 2.0])])
    with pytest.raises(LookupError, match="no property 'speed'; there are runs_alike_twice"):
        check_case(OpSpec(doubled, doubled), "speed", inputs=[])


@st.composite
def any_array(draw: st.DrawFn) -> np.ndarray:
    dtype = draw(st.sampled_from(["float64", "float32", "int64", "int8", "uint8", "bool"]))
    shape = draw(shapes())
    if dtype.startswith("float"):
        return draw(special_arrays(shape, dtype))
    return np.asarray(draw(arrays(shape)) * 4).astype(dtype)


@given(any_array())
@example(np.asfortranarray(np.arange(6.0).reshape(2, 3)))
def test_an_array_is_printed_to_the_bit(array: np.ndarray) -> None:
    again = eval(Source("OpSpec").array(array), {"np": np})
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert again.tobytes() == array.tobytes()
    assert again.flags.f_contiguous == array.flags.f_contiguous


VALUES = [
    None, True, 3, -0.0, float("inf"), "a 'word'", (1,), [1, (2.5, None)], {"dim": -1}, slice(0, None, 2), ..., (),
    {2, 1}, set(), frozenset({1}), np.int64(3), np.float32(0.5), np.dtype("float32"), np.float64, np.True_,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_setting_is_printed_as_it_is(value: Any) -> None:
    source = Source("OpSpec")
    source.lines.append(f"result = {source.literal(value)}")
    names: dict[str, Any] = {}
    exec(source.text(), names)
    assert names["result"] == value
    assert type(names["result"]) is type(value)
    assert repr(names["result"]) == repr(value)


def test_an_op_that_writes_to_its_input_is_printed_with_what_came_in() -> None:
    @minigrad.primitive
    def writes(input: Array) -> Array:
        input += 1
        return input * 1

    writes.vjp(input=lambda g: g)
    inputs = [np.array([1.0])]
    with pytest.raises((AssertionError, ValueError, RuntimeError)) as caught:
        verify(
            OpSpec(writes, lambda x: x + 1, st.just((copy.deepcopy(inputs), {}))), PROPERTIES["writes_nothing"], **QUICK
        )
    assert "inputs=[np.array([1.0])]" in pasted(caught.value)
