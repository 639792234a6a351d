"""How numbers are shown in tables."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nlp.commands.figures import Value, figures


def shown(value: Value, digits: int = 2) -> str:
    """The value as a table has it."""
    console = Console(width=400)
    with console.capture() as captured:
        console.print(figures(["what", "figure"], [["it", value]], {"figure": digits}))
    return captured.get().splitlines()[1].removeprefix("it").strip()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1234.5678, "1,234.57"),
        (-999_999_999.4, "-999,999,999.40"),
        (1e9, "1e+09"),
        (-1.2345e200, "-1.23e+200"),
        (math.inf, "inf"),
        (10**10, "10,000,000,000"),  # a count, to the last one
        ("[bold]", "[bold]"),
        (None, ""),
    ],
)
def test_a_value_is_shown_as(value: Value, expected: str) -> None:
    assert shown(value) == expected


@given(value=st.floats(-1e300, 1e300), digits=st.integers(0, 4))
def test_no_number_is_long_and_each_can_be_read_again(value: float, digits: int) -> None:
    written = shown(value, digits)
    assert len(written) <= 17
    assert float(written.replace(",", "")) == pytest.approx(value, rel=0.005, abs=0.5 * 10.0**-digits)
