"""Specs of minigrad/ops/softmax.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, axes, axis, shapes

from .reduction import over

Arguments = tuple[list[Any], dict[str, Any]]


@st.composite
def _along(draw: st.DrawFn, inputs: int = 1) -> Arguments:
    shape = draw(shapes(min_dims=1))
    return [draw(arrays(shape)) for _ in range(inputs)], {"dim": draw(axis(len(shape)))}


@st.composite
def _over(draw: st.DrawFn) -> Arguments:
    shape = draw(shapes())
    dim = draw(st.one_of(axis(len(shape)), axes(len(shape)), axes(len(shape)).map(list)))
    return [draw(arrays(shape))], {"dim": dim, "keepdim": draw(st.booleans())}


def _probabilities(x: Host, dim: int) -> Host:
    powers = np.exp(x)
    return powers / powers.sum(dim, keepdims=True)


def _log_of_sum(lane: list[float]) -> float:
    return math.log(math.fsum(map(math.exp, lane))) if lane else -math.inf


SPECS = [
    OpSpec("softmax", _probabilities, _along()),
    OpSpec("log_softmax", lambda x, dim: np.log(_probabilities(x, dim)), _along()),
    OpSpec("softmax_backward", lambda f, p, dim: p * f - p * (p * f).sum(dim, keepdims=True), _along(2)),
    OpSpec("log_softmax_backward", lambda f, log_p, dim: f - np.exp(log_p) * f.sum(dim, keepdims=True), _along(2)),
    OpSpec("logsumexp", over(_log_of_sum), _over()),
]
