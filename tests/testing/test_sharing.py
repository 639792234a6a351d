"""The properties about inputs that are not independent, about batches and about corners: each finds what it is for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import Phase
from hypothesis import strategies as st

from minigrad import fused, primitive, sin
from minigrad.backend import Array
from minigrad.testing import Case, OpSpec
from minigrad.testing.properties import PROPERTIES, Property, verify
from minigrad.testing.strategies import arrays, shapes
from minigrad.testing.trying import Corner, at_corner
from testing.wrong_ops import centred, remembers

QUICK: dict[str, Any] = {"max_examples": 40, "derandomize": True, "database": None}


def holds(spec: OpSpec, name: str) -> None:
    verify(spec, PROPERTIES[name], **QUICK)


def test_an_op_that_mixes_up_views_is_found() -> None:
    pairs: Any = st.tuples(st.tuples(arrays((2, 2)), arrays((2, 2))), st.just({}))
    holds(OpSpec("mul", None, pairs), "views_of_one_memory_add_up")
    with pytest.raises(AssertionError, match="views of one array"):
        holds(OpSpec(remembers, None, pairs), "views_of_one_memory_add_up")


def test_a_path_that_counts_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    @fused(composite=lambda input, other: sin(input) * other)
    def right(input: Array, other: Array, *, keep: bool = False) -> Any:
        return np.sin(input) * other, (input, other) if keep else None

    right.backward(lambda residuals, g, needs: (g * np.cos(residuals[0]) * residuals[1], g * np.sin(residuals[0])))
    spec = OpSpec(right, exact=False)
    holds(spec, "inputs_may_depend_on_each_other")
    # The composite on the live inputs, in place of aliases: what comes through h(x) is then in the gradient twice.
    monkeypatch.setattr("minigrad.core.fused.make_alias", lambda array, edge, *rest: _live(array, edge))
    with pytest.raises(AssertionError, match=r"is a function of it \(create_graph\)"):
        holds(spec, "inputs_may_depend_on_each_other")


def _live(array: Any, edge: Any) -> Any:
    from minigrad.core.tensor import wrap

    tensor = wrap(array)
    tensor._edge = edge
    return tensor


def test_an_example_that_is_not_alone_in_its_batch_is_found() -> None:
    rows = arrays(shapes(min_dims=2, max_dims=2, min_side=1)).map(lambda x: ([x], {}))
    holds(OpSpec("softmax", None, rows.map(lambda call: (call[0], {"dim": 1})), batched=[0]), "batch_equals_one_by_one")
    with pytest.raises(AssertionError, match="of example 0 alone"):
        holds(OpSpec(centred, None, rows, batched=[0]), "batch_equals_one_by_one")


def test_a_batch_may_lie_in_any_dimension_and_share_a_weight() -> None:
    x_and_w = st.tuples(st.tuples(arrays((2, 3, 2)), arrays((2, 2))), st.just({}))
    spec = OpSpec(lambda x, w: x @ w, None, x_and_w, batched=[1, None], batched_outputs=[1], exact=False)
    holds(spec, "batch_equals_one_by_one")
    assert spec.batch_of(Case((np.zeros((2, 3, 2)), np.zeros((2, 2))), {})) == (3, [1, None], [1])
    assert spec.batch_of(Case((np.zeros(()), np.zeros((2, 2))), {})) is None


def test_elementwise_ops_have_batches_without_being_told() -> None:
    assert OpSpec("exp", np.exp).elementwise
    assert OpSpec("exp", np.vectorize(float)).elementwise
    assert not OpSpec("exp", lambda x: np.exp(x)).elementwise
    with pytest.raises(AssertionError, match="of example 0 alone"):
        holds(OpSpec(centred, np.exp), "batch_equals_one_by_one")


def test_every_run_sees_an_empty_input_a_0d_one_and_a_dimension_of_one() -> None:
    seen: list[tuple[int, ...]] = []

    def look(spec: OpSpec, case: Case, draw: Any) -> None:
        seen.append(case.inputs[0].shape)

    tried = verify(OpSpec("exp"), Property(look, lambda spec: True), max_examples=2, derandomize=True, database=None)
    assert tried.examples == len(seen) <= 13
    assert () in seen
    assert any(0 in shape for shape in seen)
    assert any(1 in shape for shape in seen)


def test_an_op_that_is_wrong_at_a_corner_alone_is_found() -> None:
    def twice_unless(corner: Any) -> Any:
        @primitive
        def op(input: Array) -> Array:
            return input * (3 if corner(input.shape) else 2)

        op.vjp(input=lambda g: g * 2)
        return OpSpec(op, lambda x: x * 2)

    few = {**QUICK, "max_examples": 2}
    for corner in (lambda shape: shape == (), lambda shape: 1 in shape):
        with pytest.raises(AssertionError, match="output 0"):
            verify(twice_unless(corner), PROPERTIES["equals_reference"], **few)


@primitive
def tripled_in_three_dimensions(input: Array) -> Array:
    """2 x, but 3 x where there are as many dimensions."""
    return input * (3 if len(input.shape) == 3 else 2)


tripled_in_three_dimensions.vjp(input=lambda g, input_shape: g * (3 if len(input_shape) == 3 else 2))


@primitive
def tripled_beside_zero(input: Array) -> Array:
    """2 x, but 3 x where an element is zero."""
    return input * (2 if input.all() else 3)


tripled_beside_zero.vjp(input=lambda g: g * 2)

SMALLEST: dict[str, tuple[Any, Any, str]] = {
    "three dimensions": (tripled_in_three_dimensions, shapes(), "inputs=[np.array([[[1.0]]])]"),
    "a zero": (tripled_beside_zero, (2,), "inputs=[np.array([1.0, 0.0])]"),
}


@pytest.mark.parametrize("name", SMALLEST)
def test_of_a_corner_the_smallest_call_is_shown(name: str) -> None:
    op, shape, expected = SMALLEST[name]
    spec = OpSpec(op, lambda x: x * 2, arrays(shape).map(lambda x: ([x], {})))
    few = {**QUICK, "max_examples": 1}  # which is the simplest call, in which nothing is wrong
    with pytest.raises(AssertionError, match="output 0") as caught:
        verify(spec, PROPERTIES["equals_reference"], **few)
    assert expected in "\n".join(caught.value.__notes__)


def test_without_shrinking_a_corner_is_shown_as_it_is() -> None:
    calls: list[Case] = []

    def look(spec: OpSpec, case: Case, draw: Any) -> None:
        calls.append(case)
        assert case.inputs[0].ndim < 3

    few: dict[str, Any] = {**QUICK, "max_examples": 1, "phases": [Phase.generate]}
    with pytest.raises(AssertionError):
        verify(OpSpec("exp"), Property(look), **few)
    assert len({case.inputs[0].tobytes() for case in calls if case.inputs[0].ndim == 3}) == 1


def test_a_corner_of_which_no_other_call_is_drawn_is_shown_as_it_is() -> None:
    case = Case((np.full((2, 1, 1), 2.5),), {})
    spec = OpSpec(tripled_in_three_dimensions, lambda x: x * 2)
    seldom = Corner(case, spec.cases().filter(lambda case: False))
    with pytest.raises(AssertionError, match="output 0") as caught:
        at_corner(spec, [PROPERTIES["equals_reference"]], seldom, QUICK)
    assert "inputs=[np.array([[[2.5]], [[2.5]]])]" in "\n".join(caught.value.__notes__)


def test_several_properties_can_be_tried_on_the_same_calls() -> None:
    calls: list[str] = []

    def first(spec: OpSpec, case: Case, draw: Any) -> None:
        calls.append("first")

    def second(spec: OpSpec, case: Case, draw: Any) -> None:
        calls.append("second")
        raise AssertionError("never right")

    both = [Property(check, lambda spec: True) for check in (first, second)]
    with pytest.raises(AssertionError, match="never right") as caught:
        verify(OpSpec("exp"), both, **QUICK)
    assert "exp lacks the property second" in caught.value.__notes__
    assert calls[:2] == ["first", "second"]
