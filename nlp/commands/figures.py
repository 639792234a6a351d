"""How numbers are shown: tables of figures, durations, sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table
from rich.text import Text

__all__ = ["Value", "duration", "figures", "size"]

Value = str | float | None


def figures(headings: Sequence[str], rows: Iterable[Sequence[Value]], digits: Mapping[str, int] | None = None) -> Table:
    """A table whose first column is words and whose others are figures, with so many digits after the point (or 2)."""
    table = Table(box=None, pad_edge=False)
    for position, heading in enumerate(headings):
        table.add_column(heading, justify="right" if position else "left", overflow="fold")
    places = [(digits or {}).get(heading, 2) for heading in headings]
    for row in rows:
        table.add_row(*(Text(_written(value, places[column])) for column, value in enumerate(row)))
    return table


def _written(value: Value, digits: int) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def duration(seconds: float) -> str:
    """Minutes and seconds, and hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: int) -> str:
    """Bytes in MiB."""
    return f"{count / 2**20:,.1f} MiB"
