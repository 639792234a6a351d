"""Places that there are not: every op that takes numbers of rows, columns or classes names them, and writes nothing.

Right numbers are drawn, and one of them is exchanged for a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor
from minigrad.ops.bounds import first_outside
from minigrad.testing.strategies import Host, arrays, axis, integers, shapes


def _ahead(x: Tensor, dim: int) -> tuple[slice, ...]:
    return (slice(None),) * (dim % x.ndim)


def _set_item(x: Tensor, dim: int, index: Tensor) -> None:
    x[(*_ahead(x, dim), index)] = 1.0


def _slices(x: Tensor, dim: int, index: Any) -> Tensor:
    """A slice of ones for each place."""
    sizes = list(x.shape)
    sizes[dim] = len(index)
    return minigrad.ones(sizes, dtype=x.dtype)


@dataclass(frozen=True)
class Slices:
    """An op on slices: (tensor, dim, index of places); what its errors begin with; whether -1 is the last place."""

    call: Callable[[Tensor, int, Tensor], Any]
    said: str
    from_end: bool = True


# Of slices along one dimension, for a vector of places.
SLICES = {
    "x[...]": Slices(lambda x, dim, index: x[(*_ahead(x, dim), index)], ""),
    "x[...], a list": Slices(lambda x, dim, index: x[(*_ahead(x, dim), index.tolist())], ""),
    "x[...] = y": Slices(_set_item, ""),
    "select": Slices(lambda x, dim, index: [x.select(dim, int(one)) for one in index], "select: "),
    "index_select": Slices(lambda x, dim, index: x.index_select(dim, index), "index_select: "),
    "index_fill_": Slices(lambda x, dim, index: x.index_fill_(dim, index, 1.0), "index_fill: "),
    "index_add_": Slices(lambda x, dim, index: x.index_add_(dim, index, _slices(x, dim, index)), "index_add: "),
    "index_copy_": Slices(lambda x, dim, index: x.index_copy_(dim, index, _slices(x, dim, index)), "index_copy: "),
    "index_put_": Slices(
        lambda x, dim, index: x.transpose(dim, 0).index_put_((index,), minigrad.ones(1, dtype=x.dtype)), "index_put: "
    ),
}
# Along one dimension, with a place for each element.
ELEMENTS = {
    "gather": Slices(lambda x, dim, index: x.gather(dim, index), "gather: ", False),
    "take_along_dim": Slices(lambda x, dim, index: x.take_along_dim(index, dim), "take_along_dim: "),
    "scatter_": Slices(lambda x, dim, index: x.scatter_(dim, index, value=1.0), "scatter: ", False),
    "scatter_add_": Slices(
        lambda x, dim, index: x.scatter_add_(dim, index, minigrad.ones(index.shape, dtype=x.dtype)),
        "scatter_add: ",
        False,
    ),
}  # fmt: skip


@st.composite
def _with_a_wrong_one(draw: st.DrawFn, right: Host, size: int, from_end: bool) -> tuple[Host, int]:
    """Places of which one is wrong, just beyond an end or far from it."""
    beyond = draw(st.one_of(st.just(0), st.integers(0, 40)))
    wrong = size + beyond if draw(st.booleans()) else -beyond - 1 - size * from_end
    places = right.copy()
    places[tuple(draw(st.integers(0, side - 1)) for side in right.shape)] = wrong
    return places, wrong


@pytest.mark.parametrize("name", [*SLICES, *ELEMENTS])
@given(data=st.data())
def test_a_place_that_is_not_there_is_named_and_nothing_is_written(name: str, data: st.DataObject) -> None:
    case, draw = {**SLICES, **ELEMENTS}[name], data.draw
    x = draw(arrays(shapes(min_dims=1, min_side=1)))
    dim = draw(axis(x.ndim).filter(lambda dim: name != "index_put_" or dim in (0, -x.ndim)))
    size = x.shape[dim]
    sizes = list(x.shape)
    sizes[dim] = draw(st.integers(1, 4))
    right = draw(integers(tuple(sizes) if name in ELEMENTS else (sizes[dim],), -size if case.from_end else 0, size))
    dtype = draw(st.sampled_from([np.int64, np.int32, np.int8]))
    index, wrong = draw(_with_a_wrong_one(right, size, case.from_end))

    tensor = minigrad.tensor(x)
    version = tensor._version
    said = rf"^{case.said}index {wrong} is out of range for dimension {dim % x.ndim} of size {size}\b"
    with pytest.raises(IndexError, match=said):
        case.call(tensor, dim, minigrad.tensor(index.astype(dtype)))
    np.testing.assert_array_equal(tensor.numpy(), x)
    assert tensor._version == version
    case.call(tensor, dim, minigrad.tensor(right.astype(dtype)))  # with the right ones alone it works


# ---- rows of a table, and classes -----------------------------------------------------------------------------------


@given(st.data(), st.sampled_from([None, 0.5]))
def test_a_row_that_the_table_lacks_is_named_and_nothing_is_written(data: st.DataObject, max_norm: Any) -> None:
    table = data.draw(arrays(shapes(min_dims=2, max_dims=2, min_side=1)))
    V = len(table)
    index, wrong = data.draw(_with_a_wrong_one(data.draw(integers(shapes(min_side=1), 0, V)), V, False))
    weight = minigrad.tensor(table)
    place = list(map(int, np.argwhere((index < 0) | (index >= V))[0])) if index.ndim else ""
    with pytest.raises(IndexError) as refused:
        F.embedding(minigrad.tensor(index), weight, max_norm=max_norm)
    assert f"embedding: input{place} is row {wrong}, the table has {V} rows, 0 to {V - 1}" in str(refused.value)
    np.testing.assert_array_equal(weight.numpy(), table)


def _by_classes(function: Any) -> Callable[[Tensor, Tensor, int | None], Any]:
    """A loss of scores (N, C, ...) that may ignore a class."""
    return lambda x, target, ignored: function(x, target, **({} if ignored is None else {"ignore_index": ignored}))


def _projected(x: Tensor, target: Tensor, ignored: int | None) -> Any:
    rows = x.movedim(1, -1)
    table = minigrad.ones(x.shape[1], x.shape[1], dtype=x.dtype)
    return F.linear_cross_entropy(rows, table, target, ignore_index=ignored)


LOSSES = {
    "cross_entropy": _by_classes(F.cross_entropy),
    "nll_loss": _by_classes(F.nll_loss),
    "linear_cross_entropy": _projected,
}


@pytest.mark.parametrize("name", LOSSES)
@given(data=st.data())
def test_a_class_that_there_is_not_is_named(name: str, data: st.DataObject) -> None:
    draw = data.draw
    x = draw(arrays(shapes(min_dims=2, min_side=1)))
    C = x.shape[1]
    right = draw(integers((x.shape[0], *x.shape[2:]), 0, C))
    target, wrong = draw(_with_a_wrong_one(right, C, False))
    ignored = draw(st.one_of(st.none(), st.integers(-60, 60).filter(lambda one: one != wrong)))
    if ignored is not None:  # among the right ones it is no mistake, wherever it stands
        first = tuple(draw(st.integers(0, side - 1)) for side in target.shape)
        target[first] = ignored if target[first] != wrong else wrong
    place = list(map(int, np.argwhere(target == wrong)[0]))
    said = f"{name}: target{place} is class {wrong}, there are {C} classes, 0 to {C - 1} (ignore_index is "
    with pytest.raises(IndexError) as refused:
        LOSSES[name](minigrad.tensor(x), minigrad.tensor(target), ignored)
    assert f"{said}{-100 if ignored is None else ignored})" in str(refused.value)


@pytest.mark.parametrize("name", LOSSES)
@given(data=st.data())
def test_a_class_that_is_ignored_need_not_be_there(name: str, data: st.DataObject) -> None:
    x = data.draw(arrays(shapes(min_dims=2, min_side=1)))
    ignored = data.draw(st.integers(-60, 60))
    target = data.draw(integers((x.shape[0], *x.shape[2:]), 0, x.shape[1]))
    target[tuple(data.draw(st.integers(0, side - 1)) for side in target.shape)] = ignored
    LOSSES[name](minigrad.tensor(x), minigrad.tensor(target), ignored)


# ---- what is no index at all ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["index_select", "index_fill_", "index_add_", "index_copy_"])
def test_a_mask_is_no_index_of_slices_and_uint8_is_one(name: str) -> None:
    x = minigrad.ones(2, 3)
    for mask in (minigrad.tensor([True, False]), [True, False], minigrad.tensor([0.0])):
        with pytest.raises(IndexError, match=f"{name.rstrip('_')}: .* of integers"):
            SLICES[name].call(x, 0, mask)
    places = minigrad.tensor([1, 1, 0])
    expected = SLICES[name].call(x.clone(), 1, places)
    found = SLICES[name].call(x.clone(), 1, places.to(minigrad.uint8))
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.parametrize("name", ELEMENTS)
def test_an_index_of_elements_is_a_tensor_of_integers_that_fits(name: str) -> None:
    call, said, x = ELEMENTS[name].call, ELEMENTS[name].said, minigrad.zeros(2, 3)
    for index, found in ((minigrad.zeros(2, 3), "float32"), (minigrad.ones(2, 3).bool(), "bool")):
        with pytest.raises(TypeError, match=f"^{said}the index must be a tensor of integers, got {found}"):
            call(x, 0, index)
    with pytest.raises(RuntimeError, match=f"^{said}the index has 1 dimensions, the tensor 2"):
        call(x, 0, minigrad.tensor([0]))
    if name == "take_along_dim":
        with pytest.raises(RuntimeError, match=r"^take_along_dim: .*broadcast"):
            call(x, 0, minigrad.zeros(1, 4).long())
    else:
        with pytest.raises(RuntimeError, match=rf"^{said}the index has shape \(1, 4\), .* except in dimension 0"):
            call(x, 0, minigrad.zeros(1, 4).long())
    call(x, 1, minigrad.zeros(2, 4).long())


@pytest.mark.parametrize("name", ["scatter", "scatter_add"])
def test_each_place_has_an_element_of_its_own(name: str) -> None:
    x, index = minigrad.zeros(3, 4), minigrad.tensor([[0, 1]])
    for shape in ((1, 1), (0, 2), (2,)):
        with pytest.raises(RuntimeError, match=f"^{name}: src has shape .* an element of src for each place"):
            getattr(x, name)(0, index, minigrad.ones(shape))


@given(
    st.lists(st.lists(st.integers(-3, 9), min_size=3, max_size=3), max_size=4),
    st.sampled_from([np.int8, np.int32, np.int64, np.dtype(">i8")]),
    st.integers(0, 8),
    st.sampled_from([None, -1, 8]),
    st.sampled_from(["C", "F"]),
)
def test_the_first_number_outside(rows: Any, dtype: Any, size: int, ignored: int | None, order: Any) -> None:
    index = np.array(rows, dtype, order=order)
    inside = [0 <= number < size or number == ignored for number in index.ravel().tolist()]
    place = first_outside(index, size, ignored)
    assert place == (None if all(inside) else np.unravel_index(inside.index(False), index.shape))
