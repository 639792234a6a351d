"""The switches in detail: as decorators, in each other, and what they say of themselves."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.core.modes import quiet


def _state() -> tuple[bool, bool]:
    return minigrad.is_grad_enabled(), minigrad.is_inference_mode_enabled()


@pytest.mark.parametrize(
    ("switch", "inside"),
    [
        (minigrad.no_grad, (False, False)),
        (minigrad.enable_grad, (True, False)),
        (minigrad.inference_mode, (False, True)),
        (lambda function: minigrad.no_grad()(function), (False, False)),
        (lambda function: minigrad.enable_grad()(function), (True, False)),
        (lambda function: minigrad.inference_mode()(function), (False, True)),
        (lambda function: minigrad.inference_mode(False)(function), (True, False)),
    ],
)
@pytest.mark.parametrize("outside", [minigrad.enable_grad, minigrad.no_grad, minigrad.inference_mode])
def test_a_decorated_function_runs_under_the_switch_alone(switch: Any, inside: Any, outside: Any) -> None:
    decorated = switch(_state)
    with outside():
        before = _state()
        now = decorated()
        if switch in (minigrad.no_grad, minigrad.enable_grad):
            assert now[0] is inside[0]
        elif before[1] is False:
            assert [*map(repr, now)] == [*map(repr, inside)]  # neither None nor 0 for False
        assert _state() == before
    assert _state() == (True, False)


@pytest.mark.parametrize("on", [True, False])
def test_inference_mode_sets_both_and_says_so_with_a_bool(on: bool) -> None:
    with minigrad.inference_mode(on):
        assert [*map(repr, _state())] == [repr(not on), repr(on)]


def test_quiet_lets_numpy_say_nothing() -> None:
    zero = np.zeros(1)
    with np.errstate(all="warn"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            np.divide(zero, zero)
        assert not caught
        np.divide(zero, zero)
        assert len(caught) == 1
