"""Vanishing gradients: the norm of dJ(t)/dh(t-k) by k, for RNN, IRNN, GRU and LSTM, before and after training.

A step back multiplies the gradient with the transposed Jacobian of the recurrence, W_h^T diag(tanh'), so that it falls
or grows like a power: where the largest singular value of W_h is below 1 it must vanish, as tanh' is at most 1 (Bengio,
Simard and Frasconi, "Learning long-term dependencies with gradient descent is difficult", 1994; Pascanu, Mikolov and
Bengio, "On the difficulty of training recurrent neural networks", 2013, section 2.1). The spectral radius, which is
never larger, decides in the long run where the network is linear; with tanh it is a guide and no bound. ReLUs whose W_h
is the identity hand the gradient on as it is at first (Le, Jaitly and Hinton, "A simple way to initialize recurrent
networks of rectified linear units", 2015); the cell c of an LSTM does where its forget gate is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

import minigrad
from nlp.config import Config
from nlp.errors import NlpError, counted
from nlp.models.rnn_lm import RNNLM
from nlp.pictures import GREY, colour, finite, log_axis, new_figure, plain, whole_numbers
from nlp.studies.gradients import Reach, reach
from nlp.studies.result import Ask, Row, never_stop
from nlp.studies.size import Size
from nlp.studies.training import Curve, part_of, recurrent_weight, spectral_radius, start, train
from nlp.text import Prepared, batchify
from nlp.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["RADII", "Vanishing", "scale_to_radius", "study_vanishing"]

CELLS = ("rnn", "irnn", "gru", "lstm")
RADII = (0.5, 0.75, 1.0, 1.25, 1.5)
TIMES, TEXTS = 16, 20  # that a norm is averaged over
LR = {"rnn": 0.004, "irnn": 0.001, "gru": 0.004, "lstm": 0.004}  # Adam's


@dataclass(frozen=True)
class Vanishing:
    """How far gradients reach: by cell before (`fresh`) and after training (`trained`), and of a fresh RNN whose W_h is
    scaled to each of `radii` (`scaled`); and the trainings."""

    lags: int
    fresh: list[Reach] = field(default_factory=list)
    trained: list[Reach] = field(default_factory=list)
    radii: list[float] = field(default_factory=list)
    scaled: list[Reach] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    def table(self) -> tuple[Sequence[str], list[Row]]:
        """What is left of the norm ten steps and K steps back, and what each step multiplies it by.

        Where gradients are 0 their share is told, and no factor: the norms are those of the others.
        """
        places = sorted({min(10, self.lags), self.lags})
        headings = ("gradient of", "when", *(f"left at {k}" for k in places), "factor a step", "valid ppl")
        perplexities = {curve.name: curve.last for curve in self.curves}
        rows: list[Row] = []
        for when, group in (("fresh", self.fresh), ("trained", self.trained), ("scaled", self.scaled)):
            for one in group:
                shares = [f"{one.share(k):.2g}{_lost(one, k)}" for k in places]
                ppl = perplexities.get(one.name) if when == "trained" else None
                factor = "" if one.zeros[-1] else f"{one.factor:.3f}"
                rows.append((_named(one), when, *shares, factor, ppl))
        return headings, rows

    def draw(self) -> Figure:
        """Three panels of norms by k, and what a step multiplies them by against the spectral radius."""
        figure = new_figure(11, 8, "norm of the gradient of one step's loss by the state k steps before")
        (fresh, trained), (scaled, factors) = figure.subplots(2, 2)
        trained.sharey(fresh)
        _draw_reaches(fresh, "by cell, before training", self.fresh, list(map(_place, self.fresh)))
        _draw_reaches(trained, "by cell, after training", self.trained, list(map(_place, self.trained)))
        title = "tanh RNN before training, by the spectral radius of W_h"
        _draw_reaches(scaled, title, self.scaled, [(number, "-") for number in range(len(self.scaled))])
        for axes in (fresh, trained, scaled):
            _finish(axes)
        self._draw_factors(factors)
        return figure

    def _draw_factors(self, axes: Axes) -> None:
        axes.plot(self.radii, self.radii, color=GREY, lw=1, ls="--", label="linear, in the long run: the radius")
        axes.plot(self.radii, [one.factor for one in self.scaled], "o-", color=colour(0), lw=2, label="tanh RNN")
        for curve, one in self._trained_rnn():
            axes.plot(curve.radii[-1], one.factor, "*", color=colour(1), ms=13, label="the same, trained")
        axes.set_xlabel("spectral radius of W_h")
        plain(axes, "what a step back multiplies the norm by")
        if self.radii:
            axes.legend(frameon=False, fontsize=9)

    def _trained_rnn(self) -> list[tuple[Curve, Reach]]:
        """The simple RNN's training and what came of it, where that is done."""
        return [(curve, one) for curve in self.curves for one in self.trained if curve.name == one.name == "rnn"]


def study_vanishing(
    prepared: Prepared,
    size: Size,
    ask: Ask = never_stop,
    *,
    cells: Sequence[str] = CELLS,
    radii: Sequence[float] = RADII,
    lags: int = 50,
) -> Vanishing:
    """Measure fresh models of each cell, fresh RNNs of each spectral radius, and trained models of each cell.

    The norms are averaged over 16 times t and 20 texts side by side, cut from the validation text.

    Raises NlpError for a cell there is not, a radius that is not positive, and a text too short for the lags.
    """
    for cell in cells:
        if cell not in CELLS:
            raise NlpError(f"a cell is one of {', '.join(CELLS)}, not {cell!r}")
    input, target = _stretches(prepared, lags)
    study = Vanishing(lags)
    for cell in cells:
        study.fresh.extend(reach(cell, _start(cell, size, prepared)[1], input, target, lags))
    for radius in radii:
        _, model = _start("rnn", size, prepared)
        scale_to_radius(model, radius)
        study.scaled.extend(reach(f"radius {radius:g}", model, input, target, lags))
        study.radii.append(radius)
    for number, cell in enumerate(cells):
        trainer, model = _start(cell, size, prepared)
        curve = train(
            cell, trainer, _config(cell, size), prepared, part_of(ask, f"training {cell}", number, len(cells))
        )
        if curve.stopped:
            break
        study.curves.append(curve)
        if not curve.broke:
            study.trained.extend(reach(cell, model, input, target, lags))
    return study


def _stretches(prepared: Prepared, lags: int) -> tuple[np.ndarray, np.ndarray]:
    """Input and target (T, B) from the beginnings of 20 stretches of the validation text."""
    if lags < 1:
        raise NlpError(f"--lags is at least 1, not {lags}")
    ids, length = prepared.ids["valid"], lags + TIMES
    if len(ids) < TEXTS * (length + 1):
        raise NlpError(
            f"the validation text has {counted(len(ids), 'token')}, and {counted(lags, 'step')} back are measured on "
            f"{TEXTS * (length + 1):,}: give a longer text or fewer --lags"
        )
    streams = batchify(ids, TEXTS).astype(np.int64)
    return streams[:length], streams[1 : length + 1]


# ---- models ---------------------------------------------------------------------------------------------------------


def _config(cell: str, size: Size) -> Config:
    return size.config(model=cell, lr=LR[cell], clip=1.0)


def _start(cell: str, size: Size, prepared: Prepared) -> tuple[Trainer, RNNLM]:
    return start(_config(cell, size), prepared)


def scale_to_radius(model: RNNLM, radius: float) -> None:
    """Multiply W_h of a simple RNN of one layer so that its spectral radius is `radius`. NlpError unless positive."""
    if not (radius > 0 and np.isfinite(radius)):
        raise NlpError(f"a spectral radius is a positive number, not {radius:g}")
    with minigrad.no_grad():
        model.layers[0].weight_hh_l0.mul_(radius / spectral_radius(recurrent_weight(model)))


# ---- the picture ----------------------------------------------------------------------------------------------------


def _named(one: Reach) -> str:
    return one.name if one.name.startswith("radius") else f"{one.name.upper()}, by {one.of}"


def _lost(one: Reach, k: int) -> str:
    """Which share of the gradients k steps back is 0, where that are any."""
    return f" ({100 * one.zeros[k]:.2g}% are 0)" if one.zeros[k] else ""


def _draw_reaches(axes: Axes, title: str, reaches: Sequence[Reach], looks: Sequence[tuple[int, str]]) -> None:
    """A line for each, and the quantiles around it as a band."""
    for one, (number, style) in zip(reaches, looks, strict=True):
        k = np.arange(len(one.mean))
        mean, low, high = (_positive(values) for values in (one.mean, one.low, one.high))
        axes.plot(k, mean, color=colour(number), ls=style, lw=2, label=_named(one) + _lost(one, -1))
        axes.fill_between(k, low, high, color=colour(number), alpha=0.12, lw=0)
    plain(axes, title)
    axes.set_xlabel("steps back, k")


def _finish(axes: Axes) -> None:
    """Scales and legend, once everything is drawn in this panel and in the one whose scale it shares."""
    if axes.get_lines():
        log_axis(axes)
        whole_numbers(axes)
        axes.legend(frameon=False, fontsize=9)


def _positive(values: Sequence[float]) -> np.ndarray:
    return finite(value if value > 0 else np.nan for value in values)


def _place(one: Reach) -> tuple[int, str]:
    """The colour's number and the style of a cell's line: the same in every panel, dashed by an LSTM's c."""
    return CELLS.index(one.name), "--" if one.of == "c" else "-"
