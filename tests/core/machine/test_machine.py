"""Random programs run in minigrad, in an engine of dual numbers and, where it is installed, in PyTorch."""

from __future__ import annotations

import pytest
from core.machine.programs import Programs
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

SETTINGS = settings(
    max_examples=settings().max_examples * 5, stateful_step_count=25, suppress_health_check=list(HealthCheck)
)


class WithoutTorch(Programs):
    beside_torch = False


def test_programs_are_right() -> None:
    run_state_machine_as_test(WithoutTorch, settings=SETTINGS)


@pytest.mark.oracle
def test_programs_agree_with_pytorch() -> None:
    pytest.importorskip("torch")
    run_state_machine_as_test(Programs, settings=SETTINGS)
