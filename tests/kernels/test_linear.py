"""The linear layer: NumPy's beside a sum in float64, for any number of threads, and on the stand-in device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.kernels import cpu, cpu_linear, memory, pool, reference
from minigrad.testing import standin
from minigrad.testing.running import frozen

Array = np.ndarray[Any, Any]


def drawn(N: int, D: int, C: int, bias: bool, seed: int, dtype: Any) -> tuple[Array, Array, Array | None]:
    rng = np.random.default_rng(seed)
    input, weight, offset = (frozen(rng.normal(size=shape).astype(dtype)) for shape in ((N, D), (C, D), (C,)))
    return input, weight, offset if bias else None


@given(
    sizes=st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(0, 7)),
    bias=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    threads=st.integers(1, 4),
)
def test_it_is_the_sum_over_features(sizes: Any, bias: bool, seed: int, dtype: Any, threads: int) -> None:
    input, weight, offset = drawn(*sizes, bias, seed, dtype)
    expected = np.einsum("nd,cd->nc", input.astype(np.float64), weight.astype(np.float64))
    expected = expected if offset is None else expected + offset
    pool.set_num_threads(threads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_linear, "GRAIN", 1)  # the rows are shared out however few they are
        for module in (reference, cpu):
            found = module.linear(input, weight, offset)
            assert found.dtype == dtype
            np.testing.assert_allclose(found, expected, rtol=0, atol=50 * np.finfo(dtype).eps)


@given(
    N=st.integers(0, 9),
    C=st.integers(0, 7),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([np.int64, np.float16, np.float32, np.float64]),
    contiguous=st.booleans(),
)
def test_rows_are_added_up(N: int, C: int, seed: int, dtype: Any, contiguous: bool) -> None:
    rows = (9 * np.random.default_rng(seed).normal(size=(N, 2 * C))).astype(dtype)[:, :: 1 if contiguous else 2]
    for module in (reference, cpu):
        found = module.sum_of_rows(frozen(rows))
        assert found.dtype == dtype
        eps = np.finfo(dtype).eps if np.dtype(dtype).kind == "f" else 0
        np.testing.assert_allclose(found, rows.astype(np.float64).sum(0), rtol=0, atol=400 * eps)


def test_ones_in_half_precision_are_counted_beyond_2048() -> None:
    assert cpu.sum_of_rows(np.ones((5000, 1), np.float16)).tolist() == [5000]


def test_memory_is_used_again_once_nobody_looks_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_blocks", [])
    input, weight, bias = drawn(256, 2, 512, True, 0, np.float32)
    first = cpu.linear(input, weight, bias)
    second = cpu.linear(input, weight, bias)
    assert not np.shares_memory(first, second)
    place = first.ctypes.data
    del first
    assert cpu.linear(input, weight, bias).ctypes.data == place


def test_it_runs_on_the_stand_in_device() -> None:
    standin.install()
    arrays = drawn(4, 3, 5, True, 1, np.float64)
    there = [standin.asarray(array) for array in arrays]
    with standin.no_synchronisation():
        found = reference.linear(*there)
    np.testing.assert_allclose(standin.asnumpy(found), cpu.linear(*arrays))
