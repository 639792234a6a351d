"""Specs of the primitives that minigrad.nn brings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.testing import OpSpec
from minigrad.testing.strategies import arrays, shapes


@st.composite
def _probabilities(draw: st.DrawFn) -> tuple[list[Any], dict[str, Any]]:
    shape = draw(shapes())
    return [draw(arrays(shape, domain=(0.1, 0.9))) for _ in range(2)], {}


_cross_entropy = np.vectorize(lambda x, t: -(t * math.log(x) + (1 - t) * math.log(1 - x)), otypes=[np.float64])

SPECS = [OpSpec("binary_cross_entropy_of", _cross_entropy, _probabilities())]
