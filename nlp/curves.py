"""The picture of a training run: how the perplexity fell, and with which learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nlp.evaluate import perplexity
from nlp.run_folder import CURVES, RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_curves"]

SURFACE, INK, MUTED, GRID = "#ffffff", "#222222", "#6b6b6b", "#e6e6e6"
TRAIN, VALID = "#2a78d6", "#d6602a"


def draw_curves(folder: RunFolder) -> None:
    """Draw curves.png from the folder's metrics.jsonl: training and validation perplexity, and the learning rate."""
    from matplotlib.figure import Figure  # here, as it takes half a second; without pyplot no window system is asked

    records = list(folder.metrics())
    steps = [record for record in records if record["kind"] == "step"]
    epochs = [record for record in records if record["kind"] == "epoch"]
    results = [record for record in records if record["kind"] == "results"]
    figure = Figure(figsize=(8, 6), layout="constrained", facecolor=SURFACE)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _draw_perplexity(upper, steps, epochs, results)
    _draw_learning_rate(lower, epochs)
    figure.suptitle(folder.path.name, color=INK, fontsize=12, x=0.02, ha="left")
    figure.savefig(folder.path / CURVES, dpi=120)


def _draw_perplexity(axes: Axes, steps: list[Any], epochs: list[Any], results: list[Any]) -> None:
    done = [record["epoch"] - 1 + record["step"] / record["steps"] for record in steps]
    axes.plot(done, [perplexity(record["loss"]) for record in steps], color=TRAIN, lw=1, alpha=0.7, label="training")
    at, valid = [record["epoch"] for record in epochs], [perplexity(record["valid_loss"]) for record in epochs]
    axes.plot(at, valid, color=VALID, lw=2, marker="o", ms=4, label="validation")
    if results:
        unigram = results[-1]["valid_unigram_perplexity"]
        axes.axhline(unigram, color=MUTED, lw=1, ls="--", label=f"unigram on validation ({unigram:.0f})")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.set_ylabel("perplexity", color=INK)
    axes.legend(frameon=False, labelcolor=INK)
    _plain(axes)


def _draw_learning_rate(axes: Axes, epochs: list[Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    edges = [0, *(record["epoch"] for record in epochs)]
    axes.stairs([record["lr"] for record in epochs], edges, color=TRAIN, lw=2, baseline=None)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylabel("learning rate", color=INK)
    axes.set_xlabel("epoch", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.set_facecolor(SURFACE)
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=MUTED, length=0, labelsize=9)
    for side in axes.spines.values():
        side.set_visible(False)
