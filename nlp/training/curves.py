"""The picture of a training run: loss, perplexity, learning rate and gradient norm over the epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp.evaluation.scoring import perplexity
from nlp.pictures import (
    COLOURS,
    GREY,
    Values,
    binned,
    finite,
    is_empty,
    log_axis,
    new_figure,
    plain,
    save,
    whole_numbers,
)
from nlp.run_folder import CURVES, RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_curves"]

TRAIN, VALID, RATE, NORM = COLOURS[:4]
Records = list[dict[str, Any]]


def draw_curves(folder: RunFolder, loss: str = "loss (nats a token)", *, perplexities: bool = True) -> None:
    """Draw curves.png from the folder's metrics.jsonl, as far as training has come.

    `loss` says what the loss is; the perplexity is left out where it has no meaning. The norm is that of the gradient
    before clipping. Of many steps the mean is drawn, and for the norm the range too. What is infinite is left out, and
    a training loss that is more than twice the first and twice any of validation. Raises NlpError where the picture
    cannot be written.
    """
    records = list(folder.metrics())
    steps = [record for record in records if record["kind"] == "step"]
    epochs = [record for record in records if record["kind"] == "epoch"]
    results = [record for record in records if record["kind"] == "results"]
    figure = new_figure(10, 7, folder.path.name)
    panels = figure.subplot_mosaic("lp\nrn" if perplexities else "ll\nrn")
    _draw_losses(panels["l"], loss, steps, epochs, lambda nats: nats)
    _cut_off(panels["l"], steps, epochs)
    if perplexities:
        _draw_losses(panels["p"], "perplexity", steps, epochs, perplexity)
        _draw_unigram(panels["p"], results)
        log_axis(panels["p"])
    _draw_rate(panels["r"], steps)
    _draw_norm(panels["n"], steps)
    end = max(_place(steps)[-1] if steps else 0.0, len(epochs)) or 1.0
    for axes in panels.values():
        _finish(axes, end)
    save(figure, folder.path / CURVES)


def _place(steps: Records) -> Values:
    """Where each step stands, in epochs."""
    return np.array([record["epoch"] - 1 + record["step"] / record["steps"] for record in steps])


def _draw_losses(axes: Axes, title: str, steps: Records, epochs: Records, shown: Callable[[float], float]) -> None:
    if steps:
        x, mean, _, _ = binned(_place(steps), finite(record["loss"] for record in steps))
        axes.plot(x, finite(map(shown, mean)), color=TRAIN, lw=1, alpha=0.8, label="training")
    if epochs:
        valid = finite(shown(record["valid_loss"]) for record in epochs)
        look: dict[str, Any] = {"color": VALID, "lw": 2, "marker": "o", "ms": 4, "clip_on": False}
        axes.plot([record["epoch"] for record in epochs], valid, label="validation", **look)
    plain(axes, title)


def _cut_off(axes: Axes, steps: Records, epochs: Records) -> None:
    """Leave out what is far above the others: one step gone wild would press them flat."""
    losses = finite(record["loss"] for record in steps)
    losses = losses[np.isfinite(losses)]
    valid = finite(record["valid_loss"] for record in epochs)
    top = 2 * max([*losses[:1], *valid[np.isfinite(valid)]], default=0.0)
    if len(losses) and losses.max() > top:
        axes.set_ylim(0.95 * losses.min(), top)


def _draw_unigram(axes: Axes, results: Records) -> None:
    """What a model that knows only how frequent the words are would come to."""
    if results and "valid_unigram_perplexity" in results[-1]:
        unigram = results[-1]["valid_unigram_perplexity"]
        axes.axhline(unigram, color=GREY, lw=1, ls="--", label=f"token frequencies alone ({unigram:,.1f})")


def _draw_rate(axes: Axes, steps: Records) -> None:
    x, _, least, _ = binned(_place(steps), finite(record["lr"] for record in steps))
    axes.step(x, least, color=RATE, lw=2, where="pre")
    plain(axes, "learning rate")
    log_axis(axes)


def _draw_norm(axes: Axes, steps: Records) -> None:
    x, mean, least, largest = binned(_place(steps), finite(record["gradient_norm"] for record in steps))
    axes.fill_between(x, least, largest, color=NORM, alpha=0.25, lw=0)
    axes.plot(x, mean, color=NORM, lw=1)
    plain(axes, "norm of the gradient, before clipping")
    log_axis(axes)


def _finish(axes: Axes, end: float) -> None:
    """The axis of the epochs, and what the lines are where there is more than one."""
    axes.set_xlim(0, end)
    axes.set_xlabel("epoch")
    whole_numbers(axes)
    if is_empty(axes):
        axes.set_yticks([])
    elif axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9)
