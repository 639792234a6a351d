"""How lines and numbers are shown: as they are; in tables of figures, durations, sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["Value", "duration", "figures", "say", "size", "tokens_by_part", "written"]

LARGE = 1e9  # from here on the digits before the point say less than the power of ten

Value = str | float | None


def figures(headings: Sequence[str], rows: Iterable[Sequence[Value]], digits: Mapping[str, int] | None = None) -> Table:
    """A table whose first column is words and whose others are figures, with so many digits after the point (or 2)."""
    table = Table(box=None, pad_edge=False)
    for position, heading in enumerate(headings):
        table.add_column(heading, justify="right" if position else "left", overflow="fold")
    places = [(digits or {}).get(heading, 2) for heading in headings]
    for row in rows:
        table.add_row(*(Text(written(value, places[column])) for column, value in enumerate(row)))
    return table


def written(value: Value, digits: int) -> str:
    """A value as it stands in a table: a number with so many digits after the point, or as a power of ten."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.{digits}f}" if abs(value) < LARGE else f"{value:.3g}"


def say(console: Console, text: str) -> None:
    """A line as it is: nothing in it is coloured, taken for markup or broken to the console's width."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def tokens_by_part(corpus: Mapping[str, Any]) -> str:
    """How many tokens each part of a prepared text has, by its description."""
    return ", ".join(f"{sizes['tokens']:,} {part}" for part, sizes in corpus["parts"].items())


def duration(seconds: float) -> str:
    """Minutes and seconds, and hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: int) -> str:
    """Bytes in MiB."""
    return f"{count / 2**20:,.1f} MiB"
