"""What a strategy gives, to look for something in it."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st


@cache
def many(strategy: st.SearchStrategy[Any], count: int = 500) -> list[Any]:
    """So many values of a strategy, always the same."""
    values: list[Any] = []

    @settings(
        max_examples=count, phases=[Phase.generate], derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def look(value: Any) -> None:
        values.append(value)

    look()
    return values
