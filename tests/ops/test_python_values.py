"""What leaves the tensors: Python numbers, bools and lists, NumPy arrays, text; and sizes given by name."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from beside_torch import Host, torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad
from minigrad.testing.strategies import arrays, broadcastable, shapes

DTYPES = [np.bool_, np.uint8, np.int64, np.float32, np.float64]


def any_arrays() -> st.SearchStrategy[Host]:
    """Of every kind of number, infinities and NaN among them."""
    return st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, shapes()))


@given(any_arrays())
def test_lists_numbers_and_arrays_are_numpys(x: Host) -> None:
    tensor = minigrad.tensor(x)
    np.testing.assert_array_equal(np.asarray(tensor.tolist(), x.dtype).reshape(x.shape), x)
    np.testing.assert_array_equal(tensor.numpy(), x)
    np.testing.assert_array_equal(np.asarray(tensor), x)
    assert tensor.numpy().dtype == np.asarray(tensor).dtype == x.dtype
    assert np.shares_memory(tensor.numpy(), tensor.numpy()) or not x.size
    if x.size == 1:
        assert type(tensor.item()) is type(x.item())
        np.testing.assert_equal(tensor.item(), x.item())
        assert bool(tensor) is bool(x.item())


@given(any_arrays())
def test_iterating_gives_the_rows(x: Host) -> None:
    tensor = minigrad.tensor(x)
    if not x.ndim:
        for impossible in (len, iter):
            with pytest.raises(TypeError, match="0-d"):
                impossible(tensor)
        return
    assert len(tensor) == len(x)
    rows = list(tensor)
    assert len(rows) == len(x)
    for row, expected in zip(rows, x, strict=True):
        np.testing.assert_array_equal(row.numpy(), expected)


@pytest.mark.parametrize("convert", [bool, int, float, complex])
def test_only_one_element_is_a_number(convert: Any) -> None:
    assert convert(minigrad.tensor([[2.5]])) == convert(2.5)
    for several in (minigrad.ones(2), minigrad.ones(0)):
        with pytest.raises((RuntimeError, ValueError), match=r"element|ambiguous"):
            convert(several)


@given(broadcastable(2), st.data(), st.booleans())
def test_allclose_is_numpys(both: Any, data: st.DataObject, equal_nan: bool) -> None:
    x, y = (data.draw(arrays(shape)) for shape in both)
    if x.size and data.draw(st.booleans()):
        x.flat[0] = np.nan
    if data.draw(st.booleans()):
        y = x * data.draw(st.sampled_from([1.0, 1 + 1e-7, 1 + 1e-4]))
    rtol = data.draw(st.sampled_from([0.0, 1e-5]))
    ours = minigrad.allclose(minigrad.tensor(x), minigrad.tensor(y), rtol=rtol, equal_nan=equal_nan)
    assert ours is bool(np.allclose(x, y, rtol=rtol, equal_nan=equal_nan))


@given(any_arrays(), any_arrays())
def test_equal_asks_for_shape_and_elements(x: Host, y: Host) -> None:
    a, b = minigrad.tensor(x), minigrad.tensor(x.copy())
    assert minigrad.equal(a, b) is bool((x == x).all())  # NaN is not equal to itself
    assert minigrad.equal(a, minigrad.tensor(x[None])) is False
    if x.dtype == y.dtype:
        assert minigrad.equal(a, minigrad.tensor(y)) is np.array_equal(x, y)


@given(arrays(shapes(min_side=1)), st.sampled_from([0.0, 1.0, 2.5, 99.0]))
def test_in_looks_for_a_number(x: Host, number: float) -> None:
    assert (number in minigrad.tensor(x)) is bool((x == number).any())


def test_comparisons_give_tensors_and_tensors_have_an_identity() -> None:
    x, y = minigrad.ones(2), minigrad.ones(2)
    assert (x == y).tolist() == [True, True]
    assert (x != y).tolist() == [False, False]
    assert len({x, y, x}) == 2
    assert copy.deepcopy(x) is not x


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "given_by_name"),
    [
        ("reshape", {"shape": (3, 2)}),
        ("view", {"size": (3, 2)}),
        ("expand", {"size": (4, 2, 3)}),
        ("broadcast_to", {"size": (4, 2, 3)}),
        ("permute", {"dims": (1, 0)}),
        ("flip", {"dims": (0, 1)}),
        ("repeat", {"repeats": (2, 1)}),
        ("tile", {"dims": (2,)}),
    ],
)
def test_sizes_by_name(name: str, given_by_name: dict[str, Any]) -> None:
    numbers = np.arange(6.0).reshape(2, 3)
    ours = getattr(minigrad.tensor(numbers), name)(**given_by_name)
    theirs = getattr(torch().tensor(numbers), name)(**given_by_name)
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    with pytest.raises(TypeError, match=r"got|unexpected"):
        getattr(minigrad.tensor(numbers), name)(1, **given_by_name)
