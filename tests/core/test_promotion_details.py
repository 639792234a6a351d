"""Whole numbers at the ends of their range, and pairs of one category: `in_range` and `promote_types`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.core import dtypes

INTEGERS = ["uint8", "int8", "int16", "int32", "int64"]


@given(st.sampled_from(INTEGERS), st.integers(-(2**63), 2**64 - 1))
def test_an_int_counts_modulo_the_range_of_its_dtype(name: str, value: int) -> None:
    held = dtypes.in_range(value, np.dtype(name))
    info = np.iinfo(name)
    assert info.min <= held <= info.max
    assert (held - value) % 2 ** (8 * np.dtype(name).itemsize) == 0


@pytest.mark.parametrize(("value", "expected"), [(-(2**63), -(2**63)), (2**64 - 1, -1), (2**63, -(2**63))])
def test_the_ends_of_64_bits_are_held(value: int, expected: int) -> None:
    assert dtypes.in_range(value, minigrad.int64) == expected


@pytest.mark.parametrize("value", [-(2**63) - 1, 2**64, 2**64 + 1, 2**65 - 1, -(2**64)])
def test_beyond_the_ends_it_is_refused(value: int) -> None:
    with pytest.raises(OverflowError, match=f"{value} has more than 64 bits"):
        dtypes.in_range(value, minigrad.int64)


@pytest.mark.parametrize("value", [2.5, True, 2 + 1j])
def test_what_is_no_int_is_left_as_it_is(value: Any) -> None:
    assert dtypes.in_range(value, minigrad.uint8) is value
    assert dtypes.in_range(300, minigrad.float32) == 300


@pytest.mark.parametrize("value", [True, False])
def test_a_truth_is_a_bool(value: bool) -> None:
    assert dtypes.number_dtype(value) == minigrad.bool
    assert (minigrad.tensor([True, False]) * value).dtype == minigrad.bool
