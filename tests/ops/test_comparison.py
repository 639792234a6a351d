"""comparison beside PyTorch: equality, choosing by a condition, replacing what is not finite."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from beside_torch import agree, torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.ops.comparison import choose, keep_where
from minigrad.testing.strategies import arrays, broadcastable, masks, shapes

# ---- comparisons ----------------------------------------------------------------------------------------------------


def test_a_tensor_equals_nothing_that_is_no_number() -> None:
    x = minigrad.tensor([1.0, 2.0])
    assert (x == None) is False  # noqa: E711 - the operator is meant
    assert (x != None) is True  # noqa: E711
    assert (x == "1") is False
    assert (x == np.array([1.0, 3.0])).tolist() == [True, False]
    assert {x: 1}[x] == 1
    assert not (x == x).requires_grad


@pytest.mark.oracle
@given(st.data())
def test_where_of_three(data: st.DataObject) -> None:
    sizes = data.draw(broadcastable(3))
    condition = data.draw(masks(sizes[0]))
    x, y = data.draw(arrays(sizes[1])), data.draw(arrays(sizes[2]))
    agree(lambda library, condition, x, y: library.where(condition, x, y), condition, x, y)
    agree(lambda library, condition, x: library.where(condition, x, 0.5), condition, x)
    agree(lambda library, condition, x: x.where(condition, 2), condition, x)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "pair", list(itertools.product([1, 2.5, True], [0, 0.5, np.ones(2, np.int32), np.ones((), np.float64)]))
)
def test_dtypes_of_where(pair: Any) -> None:
    def chosen(library: Any, condition: Any) -> Any:
        return library.where(condition, *[library.tensor(one) if isinstance(one, np.ndarray) else one for one in pair])

    agree(chosen, np.array([True, False]))


def test_where_of_one_gives_the_places() -> None:
    rows, columns = minigrad.where(minigrad.tensor([[0, 1], [1, 1]]) > 0)
    assert (rows.tolist(), columns.tolist()) == ([0, 1, 1], [1, 0, 1])


def test_what_is_not_chosen_gets_no_infinite_gradient() -> None:
    x = minigrad.tensor([0.0, 4.0], requires_grad=True)
    for chosen in (minigrad.where(x > 1, x, 0), x.masked_fill(x <= 1, 0), (x - 1).relu()):
        (gradient,) = minigrad.grad(chosen.sqrt().sum(), x)  # the square root's slope at 0 is infinite
        assert gradient[0].item() == 0


@pytest.mark.oracle
@given(st.data())
def test_masked_fill(data: st.DataObject) -> None:
    first, second = data.draw(broadcastable(2))
    x, mask = data.draw(arrays(first)), data.draw(masks(second))
    agree(lambda library, x, mask: library.masked_fill(x, mask, -np.inf), x, mask)
    agree(lambda library, x, mask, value: x.masked_fill(mask, value), x, mask, np.array(1.5))
    agree(lambda library, x, mask: (x * 1).masked_fill_(mask, 2), x, np.broadcast_to(data.draw(masks(())), first))
    agree(lambda library, x, mask: x.masked_fill(mask, 2.5), np.array([1, 2]), np.array([True, False]))


@pytest.mark.oracle
@pytest.mark.parametrize("settings", [{}, {"nan": 1.0}, {"posinf": 3.0, "neginf": -4.0}])
def test_nan_to_num(settings: dict[str, float]) -> None:
    points = np.array([-np.inf, -2.5, -0.0, 0.0, 1e-300, 3, np.inf, np.nan])
    agree(lambda library, x: library.nan_to_num(x, **settings), points, order=2)


@pytest.mark.oracle
@given(st.data())
def test_equal_and_allclose(data: st.DataObject) -> None:
    oracle = torch()
    x = data.draw(arrays(shapes()))
    y = x + data.draw(st.sampled_from([0, 1e-9, 1e-6, 1]))
    for name in ("equal", "allclose"):
        found = getattr(minigrad, name)(minigrad.tensor(x), minigrad.tensor(y))
        assert found is getattr(oracle, name)(oracle.tensor(x), oracle.tensor(y))
    assert not minigrad.equal(minigrad.ones(2), minigrad.ones(2, 1))
    nan = minigrad.tensor([math.nan])
    assert not minigrad.allclose(nan, nan)
    assert minigrad.allclose(nan, nan, equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128])
def test_choosing_is_exact_in_numbers_of_any_size(dtype: Any) -> None:
    """It works on the bits of what has up to 64 of them."""
    x, y = minigrad.tensor(np.array([0.1, np.inf, -2.5], dtype)), minigrad.tensor(np.array([7, 0.3, np.nan], dtype))
    mask = minigrad.tensor([True, False, True])
    assert choose(mask, x, y).tolist() == [x[0].item(), y[1].item(), x[2].item()]
    assert keep_where(x, mask).tolist() == [x[0].item(), 0, x[2].item()]
    assert keep_where(x, mask).dtype == choose(mask, x, y).dtype == dtype


def test_a_condition_of_uint8_holds_where_it_is_not_0() -> None:
    condition, x = minigrad.tensor([0, 1, 2], dtype=minigrad.uint8), minigrad.tensor([1.0, 2.0, 3.0])
    assert minigrad.where(condition, x, -1).tolist() == [-1, 2, 3]
    assert x.masked_fill(condition, 0).tolist() == [1, 0, 0]
