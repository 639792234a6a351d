"""Each function that PyTorch has too gives the same values, dtypes, shapes and gradients on drawn calls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.testing import Case

from .both import BEYOND_PYTORCH, COARSE, WITHOUT_GRADIENT, assert_same, counterpart, in_minigrad, in_pytorch, shared

pytestmark = pytest.mark.oracle

_SHARED = shared()


def _never(case: Case) -> bool:
    return False


@pytest.mark.parametrize("name", _SHARED)
def test_values_and_gradients(name: str) -> None:
    spec = _SHARED[name]

    compared = spec.cases().filter(lambda case: not BEYOND_PYTORCH.get(name, _never)(case))
    rtol = COARSE.get(name, spec.rtol * 100)

    @given(case=compared, dtype=st.sampled_from([np.float64, np.float32]))
    def holds(case: Case, dtype: type) -> None:
        case = case.cast(dtype)
        with_gradient = spec.smooth and not WITHOUT_GRADIENT.get(name, _never)(case)
        needs = spec.differentiable_in(case) if with_gradient else []
        found, expected = in_minigrad(spec, case, needs), in_pytorch(name, spec, case, needs)
        assert_same(found.outputs, expected.outputs, "output", rtol)
        assert_same(found.gradients, expected.gradients, "gradient", rtol)

    holds()


@pytest.mark.parametrize("name", _SHARED)
def test_pytorch_has_it(name: str) -> None:
    assert callable(counterpart(name))
