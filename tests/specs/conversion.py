"""Specs of minigrad/ops/conversion.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.backend import device
from minigrad.testing import OpSpec
from minigrad.testing.strategies import arrays, shapes


@st.composite
def _cast(draw: st.DrawFn) -> tuple[list[Any], dict[str, Any]]:
    return [draw(arrays(shapes()))], {"dtype": np.dtype(np.float64), "source": np.dtype(np.float64)}


@st.composite
def _move(draw: st.DrawFn) -> tuple[list[Any], dict[str, Any]]:
    return [draw(arrays(shapes()))], {"device": device("cpu"), "source": device("cpu")}


SPECS = [
    OpSpec("clone", lambda x: x),
    OpSpec("clone_contiguous", lambda x: x, shares_memory=True),
    # To another dtype and device, and back: tests/ops and tests/core; here the rules, at the dtype of the checks.
    OpSpec("cast", lambda x, dtype, source: x.astype(dtype), _cast(), floats_keep_dtype=False),
    OpSpec("move", lambda x, device, source: x, _move(), devices=False, shares_memory=True),
]
