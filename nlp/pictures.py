"""What the pictures of runs have in common: colours, axes, lines of many points, and how they come into a file."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nlp.disk import write_bytes
from nlp.errors import NlpError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "GREY",
    "Values",
    "binned",
    "colour",
    "dashes",
    "finite",
    "is_empty",
    "log_axis",
    "new_figure",
    "picture_format",
    "plain",
    "save",
    "whole_numbers",
]

Values = NDArray[np.float64]

# Those of Okabe and Ito (2008), which people who see fewer colours tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
GREY = "#6b6b6b"
SURFACE, INK, GRID = "#ffffff", "#222222", "#e6e6e6"
FORMATS = ("png", "svg", "pdf")
POINTS = 1000  # of a line: more than a picture has columns


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure (inches). Without pyplot, so that no window system is asked."""
    from matplotlib.figure import Figure  # here, as it takes half a second

    figure = Figure(figsize=(width, height), layout="constrained", facecolor=SURFACE)
    figure.suptitle(title, color=INK, fontsize=12, x=0.02, ha="left")
    return figure


def picture_format(path: Path) -> str:
    """Which of `FORMATS` the end of the name asks for. Raises NlpError for any other."""
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise NlpError(f"{path} does not say what kind of picture it is: let its name end in .png, .svg or .pdf")
    return ending


def save(figure: Figure, path: Path) -> None:
    """Write the picture as `picture_format` says, whole or not at all. Raises NlpError where it cannot be written."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=picture_format(path), dpi=120)
    write_bytes(path, buffer.getvalue())


def plain(axes: Axes, title: str) -> None:
    """A panel with a light grid and no frame, its title above it at the left."""
    axes.set_title(title, color=INK, fontsize=10, loc="left")
    axes.set_facecolor(SURFACE)
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=GREY, length=0, labelsize=9)
    axes.xaxis.label.set_color(GREY)
    for side in axes.spines.values():
        side.set_visible(False)


def is_empty(axes: Axes) -> bool:
    """Whether no line of the panel has a point."""
    return not any(np.isfinite(line.get_ydata()).any() for line in axes.get_lines())


def whole_numbers(axes: Axes) -> None:
    """At most eight labels below the panel, at whole numbers if it spans one."""
    from matplotlib.ticker import MaxNLocator

    left, right = axes.get_xlim()
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=right - left >= 1))


def log_axis(axes: Axes) -> None:
    """A logarithmic scale upwards that has a few labels in plain numbers, however much or little it spans.

    Call it once everything is drawn; where no line has a value above 0, the scale stays as it is.
    """
    from matplotlib.ticker import FixedLocator, NullLocator

    if not any((np.asarray(line.get_ydata()) > 0).any() for line in axes.get_lines()):
        return
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(FixedLocator(_log_ticks(low, high)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
    axes.set_ylim(low, high)


def _log_ticks(low: float, high: float) -> list[float]:
    """Some three to eight round numbers between two positive ones."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    if high / low < 8:
        from matplotlib.ticker import MaxNLocator

        return [
            float(tick) for tick in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= tick <= high
        ]
    leading = (1, 2, 5) if high / low < 300 else (1,)
    every = -(-len(decades) // 8)
    return [
        digit * 10.0**power for power in decades[::every] for digit in leading if low <= digit * 10.0**power <= high
    ]


def finite(values: Iterable[float]) -> Values:
    """The values with gaps (NaN) where they are infinite: a line is drawn up to there."""
    array = np.array(list(values), dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def binned(x: Values, y: Values, points: int = POINTS) -> tuple[Values, Values, Values, Values]:
    """A line of any length as one of at most `points`: the mean x of each bin, and the mean, least and largest y.

    The bins hold equally many of the points, but for one; points without a finite y are left out.
    """
    known = np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) <= points:
        return x, y, y, y
    starts = np.linspace(0, len(x), points, endpoint=False).astype(int)
    sizes = np.diff(starts, append=len(x))
    mean_x, mean_y = np.add.reduceat(x, starts) / sizes, np.add.reduceat(y, starts) / sizes
    return mean_x, mean_y, np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)


def colour(number: int) -> str:
    """The colour of the line of that number, from 0; they come again after six."""
    return COLOURS[number % len(COLOURS)]


def dashes(number: int) -> str:
    """How the line of that number is drawn: in one piece for the first six, dashed for the next."""
    return ("-", "--", ":", "-.")[number // len(COLOURS) % 4]
