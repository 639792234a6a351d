"""`detect_anomaly` names the forward line that made a NaN or an infinity, and the line whose gradient did."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
from minigrad.core.errors import AnomalyError
from minigrad.core.modes import detect_anomaly
from minigrad.core.primitive import primitive


@primitive
def root(input):
    """A square root, whose derivative at zero is infinite."""
    return np.sqrt(input)


root.vjp(input=lambda g, ans: g / (2 * ans))


def test_forward() -> None:
    x = minigrad.tensor([1.0, float("inf")])
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"made NaN at .*test_anomaly\.py:\d+.*x - x"):
        x - x


def test_forward_of_an_infinity() -> None:
    x = minigrad.tensor([1e38])
    with (
        detect_anomaly(),
        pytest.raises(AnomalyError, match=r"mul\(.*\) made an infinity at .*x \* 1000"),
        np.errstate(over="ignore"),
    ):
        x * 1000.0


def test_backward_names_the_forward_line() -> None:
    x = minigrad.tensor([0.0], requires_grad=True)
    with np.errstate(divide="ignore"), detect_anomaly():
        y = root(x)  # the line to be named
        z = (y * 1.0).sum()
        with pytest.raises(
            AnomalyError, match=r"an infinity comes out of the gradient of 'root'.*test_anomaly\.py:\d+.*y = root\(x\)"
        ):
            z.backward()


def test_a_gradient_that_flows_in() -> None:
    x = minigrad.tensor([1.0], requires_grad=True)
    y = x * 2.0
    with detect_anomaly(), pytest.raises(AnomalyError, match="NaN flows into the gradient of 'mul'"):
        y.backward(minigrad.tensor([float("nan")]))


def test_off_by_default_and_switchable() -> None:
    x = minigrad.tensor([float("nan")])
    x * 1.0
    with detect_anomaly(check_nan=False):
        x * 1.0
    with detect_anomaly(), pytest.raises(AnomalyError):
        x * 1.0
    x * 1.0


def test_integers_are_not_checked() -> None:
    with detect_anomaly():
        assert (minigrad.tensor([1, 2]) * 2).tolist() == [2, 4]
