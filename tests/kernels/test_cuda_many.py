"""One launch for many arrays: what it computes is the plain version's, for every number and kind of arrays."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels.host_cupy import HostLaunch

from minigrad.kernels import reference
from minigrad.kernels.cuda_source import MANY


@pytest.fixture(scope="module")
def many(cuda):
    """Its module goes with `cuda`, so what tests set in it does too."""
    del cuda
    return sys.modules["minigrad.kernels.cuda_many"]


@st.composite
def arrays(draw, kinds="fd", most=5):
    """Arrays of several shapes, dtypes and strides."""
    rng, found = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), []
    for _ in range(draw(st.integers(1, most))):
        shape = draw(st.lists(st.integers(0, 9), max_size=2))
        array = np.asarray(rng.normal(size=[2 * n for n in shape]), dtype=draw(st.sampled_from(kinds)))
        every_other = (*[slice(0, None, 2)] * len(shape), ...)
        found.append(draw(st.sampled_from([array, array[every_other], array.T])))
    return found


grids = {"block": st.sampled_from([1, 3, 256]), "blocks": st.sampled_from([8, 16, 1024])}


def assert_close(a, b, computed_in=()):
    """Within the rounding of the coarsest dtype that took part."""
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    digits = max({"e": 1e-2, "f": 1e-5, "d": 1e-12}[array.dtype.char] for array in (b, *computed_in))
    np.testing.assert_allclose(a, b, rtol=digits, atol=digits)


@settings(max_examples=50)
@given(arrays=arrays(), **grids)
def test_squared_norm(cuda, many, arrays, block, blocks):
    many.BLOCK, many.BLOCKS = block, blocks
    assert_close(cuda.squared_norm(arrays), reference.squared_norm(arrays), arrays)


@settings(max_examples=50)
@given(arrays=arrays("fde"), factor=st.sampled_from([0.5, 3, np.array(0.3), np.array(0.3, np.float32)]), **grids)
def test_scale(cuda, many, arrays, factor, block, blocks):
    many.BLOCK, many.BLOCKS = block, blocks
    wanted = [array.copy() for array in arrays]
    reference.scale(wanted, factor)
    cuda.scale(arrays, factor)
    for a, b in zip(arrays, wanted, strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("count", [1, MANY - 1, MANY, MANY + 1, 2 * MANY + 1])
def test_as_few_launches_as_there_is_room_for(cuda, many, count):
    many.BLOCK, many.BLOCKS = 256, 1024
    rng, before = np.random.default_rng(count), HostLaunch.launches
    arrays = [rng.normal(size=at % 5).astype(np.float32) for at in range(count)]
    wanted = [0.5 * array for array in arrays]
    assert_close(cuda.squared_norm(arrays), reference.squared_norm(arrays))
    cuda.scale(arrays, np.array(0.5, np.float32))
    assert HostLaunch.launches - before == 2 * -(-count // MANY)
    for a, b in zip(arrays, wanted, strict=True):
        assert_close(a, b)
