"""Each strategy gives what it says: all of it, and nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from minigrad.testing import strategies
from minigrad.testing.strategies import any_indices, arrays, broadcastable, einsums, indices, sequences, shapes
from testing.drawn import many

SHAPE = (2, 3, 2)
SEARCH = settings(
    max_examples=2000, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


def occurs(strategy: st.SearchStrategy[Any], wanted: Callable[[Any], bool]) -> Any:
    """The simplest value of a strategy that is wanted; fails if there is none."""
    return find(strategy, wanted, settings=SEARCH)


def parts(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


# ---- shapes and arrays ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [(), (1,), (0,), (2, 0), (1, 1, 1), (3, 3, 3)])
def test_shapes_have_the_odd_ones(wanted: tuple[int, ...]) -> None:
    assert occurs(shapes(), lambda shape: shape == wanted) == wanted


@given(st.data())
def test_shapes_keep_their_bounds(data: st.DataObject) -> None:
    shape = data.draw(shapes(min_dims=1, max_dims=2, min_side=2, max_side=3))
    assert 1 <= len(shape) <= 2
    assert all(2 <= side <= 3 for side in shape)


@given(st.integers(1, 4).flatmap(broadcastable))
def test_groups_broadcast(group: tuple[Any, ...]) -> None:
    np.broadcast_shapes(*group)


def test_groups_stretch_and_add_dimensions() -> None:
    groups = many(broadcastable(2))
    assert any(1 in one and 1 not in other and len(one) == len(other) > 0 for one, other in groups)
    assert any(len(one) < len(other) for one, other in groups)
    assert any(0 in other and len(one) == 2 for one, other in groups)


@given(st.data())
def test_arrays_stay_in_their_domain_and_away_from_kinks(data: st.DataObject) -> None:
    x = data.draw(arrays(shapes(), domain=(-1, 2), kinks=[0, 0.5]))
    assert ((x > -1) & (x < 2)).all()
    assert (abs(x) >= 1 / 16).all()
    assert (abs(x - 0.5) >= 1 / 16).all()
    assert (x.astype(np.float32) == x).all()
    assert abs(np.prod(np.square(x), dtype=np.float32)) < np.inf


@given(arrays((3, 3), distinct=True))
def test_distinct_arrays_have_no_ties(x: np.ndarray) -> None:
    assert len(np.unique(x)) == 9


def test_arrays_are_simplest_at_one() -> None:
    assert occurs(arrays((2,)), lambda x: True).tolist() == [1, 1]
    assert occurs(arrays((2,)), lambda x: x[0] != x[1]).tolist() in ([1, -1], [1, 2], [-1, 1], [2, 1])


def test_an_empty_domain_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no multiple of 1/16 lies in \(0.0, 0.1\) away from \(0.05,\): widen"):
        strategies.numbers((0, 0.1), kinks=[0.05])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values_are_all_there(dtype: Any) -> None:
    info = np.finfo(dtype)
    values = many(strategies.special_values(dtype))
    for wanted in (0.0, math.inf, -math.inf, info.max, -info.max, info.tiny, info.smallest_subnormal):
        assert wanted in values
    assert any(map(math.isnan, values))
    assert any(x == 0 and math.copysign(1, x) < 0 for x in values)
    mixed = many(strategies.special_arrays((3,), dtype))
    assert {one.dtype for one in mixed} == {np.dtype(dtype)}
    assert any(np.isnan(one).any() and np.isfinite(one).any() for one in mixed)


@given(arrays(shapes()), strategies.layouts())
def test_a_layout_changes_the_memory_alone(x: np.ndarray, manner: str) -> None:
    other = strategies.relaid(x, manner)
    np.testing.assert_array_equal(other, x)
    assert not np.shares_memory(other, x) or not x.size
    if x.size > 1 and x.ndim and x.shape[-1] > 1:
        plain = other.flags.c_contiguous and other.base is None
        assert not plain or manner == "transposed"


def test_each_layout_is_what_it_is_called() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert strategies.relaid(x, "transposed").flags.f_contiguous
    assert strategies.relaid(x, "strided").strides[-1] == 16
    assert strategies.relaid(x, "reversed").strides[-1] == -8
    assert strategies.relaid(x, "offset").base is not None


# ---- dimensions and indices -----------------------------------------------------------------------------------------


@given(st.integers(0, 3), st.data())
def test_axes_are_dimensions(ndim: int, data: st.DataObject) -> None:
    x = np.zeros((1,) * ndim)
    chosen = data.draw(strategies.axis_or_axes(ndim))
    if ndim or chosen in (None, ()):
        np.sum(x, axis=chosen)
    else:
        assert chosen in (0, -1)


@given(shapes(), st.data())
def test_indices_are_taken(shape: tuple[int, ...], data: st.DataObject) -> None:
    for strategy in (indices(shape), any_indices(shape)):
        index = data.draw(strategy)
        np.empty(shape)[index]
        assert all(part.step is None or part.step > 0 for part in parts(index) if isinstance(part, slice))


def is_mask(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype.kind == "b"


INDICES = any_indices(SHAPE)
FORMS: dict[str, Callable[[Any], bool]] = {
    "a part without a tuple": lambda index: not isinstance(index, tuple),
    "an int": lambda index: int in map(type, parts(index)),
    "a negative int": lambda index: any(type(part) is int and part < 0 for part in parts(index)),
    "a NumPy int": lambda index: any(isinstance(part, np.integer) for part in parts(index)),
    "a slice": lambda index: slice in map(type, parts(index)),
    "a slice with a step": lambda index: any(isinstance(part, slice) and part.step == 2 for part in parts(index)),
    "dots": lambda index: type(Ellipsis) in map(type, parts(index)),
    "dots in the middle": lambda index: len(parts(index)) == 3 and parts(index)[1] is Ellipsis,
    "None": lambda index: None in [part for part in parts(index) if part is None],
    "a bool": lambda index: any(type(part) is bool for part in parts(index)),
    "a list": lambda index: list in map(type, parts(index)),
    "a nested list": lambda index: any(isinstance(part, list) and isinstance(part[0], list) for part in parts(index)),
    "arrays that broadcast": lambda index: (
        len({part.shape for part in parts(index) if isinstance(part, np.ndarray) and part.dtype.kind == "i"}) > 1
    ),
    "a mask of several dimensions": lambda index: any(is_mask(part) and part.ndim > 1 for part in parts(index)),
    "a mask behind a slice": lambda index: (
        len(parts(index)) == 2 and isinstance(parts(index)[0], slice) and is_mask(parts(index)[1])
    ),
    "a mask beside an array": lambda index: {"b", "i"} <= {
        part.dtype.kind for part in parts(index) if isinstance(part, np.ndarray) and part.ndim
    },
    "an array between slices": lambda index: (
        len(parts(index)) == 3 and [isinstance(part, slice) for part in parts(index)] == [True, False, True]
    ),
    "arrays apart": lambda index: (
        len(parts(index)) == 3 and isinstance(parts(index)[1], slice)
        and all(isinstance(part, np.ndarray) and part.ndim for part in (parts(index)[0], parts(index)[2]))
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_index_occurs(form: str) -> None:
    assert any(map(FORMS[form], many(INDICES)))


# ---- einsum and sequences -------------------------------------------------------------------------------------------


@given(einsums())
def test_einsum_takes_the_equations(drawn: strategies.Einsum) -> None:
    np.einsum(drawn.equation, *drawn.operands)


SUMS = einsums()
EQUATIONS: dict[str, Callable[[str], bool]] = {
    "three operands": lambda equation: equation.count(",") == 2,
    "a sum over a letter that two operands share": lambda equation: bool(
        re.search(r"(\w).*,.*\1.*->(?!.*\1)", equation)
    ),
    "implicit": lambda equation: "->" not in equation,
    "a diagonal": lambda equation: bool(re.search(r"(\w)\w*\1\w*->.*\1", equation)),
    "a sum of all": lambda equation: equation.endswith("->"),
    "dots": lambda equation: equation.count("...") == 3,
    "a permuted result": lambda equation: bool(re.search(r"(\w)(\w)[^,]*->.*\2\w*\1", equation)),
}


@pytest.mark.parametrize("kind", EQUATIONS)
def test_every_kind_of_equation_occurs(kind: str) -> None:
    assert any(EQUATIONS[kind](drawn.equation) for drawn in many(SUMS, 250))


@given(st.booleans(), st.data())
def test_sequences_fill_their_batch(batch_first: bool, data: st.DataObject) -> None:
    drawn = data.draw(sequences(batch_first=batch_first, in_order=True, min_length=0))
    T = drawn.padded.shape[1 if batch_first else 0]
    assert drawn.lengths.max() in (T, 0)
    assert (np.diff(drawn.lengths) <= 0).all()
    for number, length in enumerate(drawn.lengths):
        assert drawn.sequence(number, batch_first=batch_first).shape == (length, drawn.padded.shape[2])


def test_sequences_come_in_any_order_and_with_noise_for_padding() -> None:
    drawn = occurs(sequences(), lambda drawn: len(drawn.lengths) > 1 and drawn.lengths[0] < drawn.lengths[-1])
    assert (drawn.padded[drawn.lengths[0] :, 0] != 0).all()
    assert not occurs(sequences(min_length=0), lambda drawn: 0 in drawn.lengths).lengths.all()
