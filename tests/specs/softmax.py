"""Specs of minigrad/ops/softmax.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, axes, axis, shapes

Arguments = tuple[list[Any], dict[str, Any]]


@st.composite
def _along(draw: st.DrawFn, inputs: int = 1) -> Arguments:
    shape = draw(shapes(min_dims=1))
    return [draw(arrays(shape)) for _ in range(inputs)], {"dim": draw(axis(len(shape)))}


@st.composite
def _over(draw: st.DrawFn) -> Arguments:
    shape = draw(shapes(min_dims=1, min_side=1))
    dim = draw(st.one_of(axis(len(shape)), axes(len(shape))))
    return [draw(arrays(shape))], {"dim": dim, "keepdim": draw(st.booleans())}


def _probabilities(x: Host, dim: int) -> Host:
    powers = np.exp(x)
    return powers / powers.sum(dim, keepdims=True)


SPECS = [
    OpSpec("softmax", _probabilities, _along()),
    OpSpec("log_softmax", lambda x, dim: np.log(_probabilities(x, dim)), _along()),
    OpSpec("softmax_backward", lambda f, p, dim: p * f - p * (p * f).sum(dim, keepdims=True), _along(2)),
    OpSpec("log_softmax_backward", lambda f, log_p, dim: f - np.exp(log_p) * f.sum(dim, keepdims=True), _along(2)),
    OpSpec("logsumexp", lambda x, dim, keepdim: np.log(np.exp(x).sum(dim, keepdims=keepdim)), _over()),
]
