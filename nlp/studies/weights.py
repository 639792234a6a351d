"""L1 and L2 on the recurrent weights alone: what they do to W_h and to the perplexity.

Either keeps W_h small. Where that brings its largest singular value below 1, gradients cannot explode, and the network
forgets within a few steps (Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
2013, sections 2.1 and 3.1). The two figures that are shown enclose that value: the Frobenius norm is never smaller, the
spectral radius never larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from minigrad import Tensor
from nlp.models.rnn_lm import RNNLM
from nlp.models.token_model import State, TokenModel
from nlp.pictures import GREY, colour, finite, new_figure, plain
from nlp.studies.result import Ask, Row, never_stop
from nlp.studies.size import Size
from nlp.studies.training import Curve, part_of, recurrent_weight, spectral_radius, start, train
from nlp.text import Prepared

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["STRENGTHS", "Penalised", "PenalisedRNN", "Weights", "study_weights"]

STRENGTHS = {"l1": (1e-5, 1e-4, 1e-3, 1e-2), "l2": (1e-4, 1e-3, 1e-2, 1e-1)}
LR, CLIP = 0.004, 1.0  # Adam's
SMALL = 1e-3  # a weight below is as good as none


class PenalisedRNN(TokenModel):
    """A simple RNN of one layer whose objective has l1 * sum |W_h| + l2 * sum W_h^2 added."""

    def __init__(self, model: RNNLM, *, l1: float = 0.0, l2: float = 0.0) -> None:
        super().__init__()
        self.model, self.l1, self.l2 = model, l1, l2

    def forward(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The model's own scores."""
        return self.model(input, state)

    def loss(self, input: Tensor, target: Tensor, state: State = None, reduction: str = "mean") -> tuple[Tensor, State]:
        """The model's own loss, without the penalty."""
        return self.model.loss(input, target, state, reduction)

    def objective(self, input: Tensor, target: Tensor, state: State = None) -> tuple[Tensor, Tensor, State]:
        """The model's objective with the penalty, its loss, and the state."""
        objective, loss, state = self.model.objective(input, target, state)
        weight = self.model.layers[0].weight_hh_l0
        if self.l1:
            objective = objective + self.l1 * weight.abs().sum()
        if self.l2:
            objective = objective + self.l2 * (weight * weight).sum()
        return objective, loss, state


@dataclass(frozen=True)
class Penalised:
    """One training and the W_h that it ended with: Frobenius norm, spectral radius, share of weights below 0.001."""

    kind: str  # "none", "l1" or "l2"
    strength: float
    curve: Curve
    norm: float
    radius: float
    small: float


@dataclass(frozen=True)
class Weights:
    """A training without penalty, and one for each strength of each."""

    results: list[Penalised] = field(default_factory=list)

    def table(self) -> tuple[Sequence[str], list[Row]]:
        """A row for each training."""
        headings = ("penalty", "strength", "valid ppl", "norm of W_h", "spectral radius", "below 0.001")
        return headings, [
            (one.kind, f"{one.strength:g}", one.curve.best, one.norm, one.radius, f"{one.small:.1%}")
            for one in self.results
        ]

    def draw(self) -> Figure:
        """Perplexity, norm and spectral radius against the strength; without penalty as a dashed line."""
        figure = new_figure(12, 4.4, "a tanh RNN with L1 or L2 on W_h alone")
        perplexities, norms, radii = figure.subplots(1, 3)
        self._draw(perplexities, "validation perplexity", [one.curve.best for one in self.results])
        self._draw(norms, "Frobenius norm of W_h", [one.norm for one in self.results])
        self._draw(radii, "spectral radius of W_h", [one.radius for one in self.results])
        handles = perplexities.get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False)
        return figure

    def _draw(self, axes: Axes, title: str, values: Sequence[float]) -> None:
        for number, kind in enumerate(STRENGTHS):
            points = [(one.strength, value) for one, value in zip(self.results, values) if one.kind == kind]
            if points:
                strengths, heights = zip(*points)
                axes.plot(strengths, finite(heights), "o-", color=colour(number), lw=2, ms=5, label=kind.upper())
        for one, value in zip(self.results, values):
            if one.kind == "none" and np.isfinite(value):
                axes.axhline(value, color=GREY, lw=1, ls="--", label="no penalty")
        axes.set_xscale("log")
        axes.set_xlabel("strength")
        plain(axes, title)


def study_weights(prepared: Prepared, size: Size, ask: Ask = never_stop) -> Weights:
    """Train a tanh RNN by Adam once without penalty and once for each of `STRENGTHS`."""
    study = Weights()
    config = size.config(model="rnn", lr=LR, clip=CLIP)
    planned = [("none", 0.0), *((kind, one) for kind, strengths in STRENGTHS.items() for one in strengths)]
    for number, (kind, strength) in enumerate(planned):
        trainer, model = start(config, prepared)
        if strength:
            trainer.model = PenalisedRNN(model, **{kind: strength})
        name = f"{kind} {strength:g}" if strength else "no penalty"
        curve = train(name, trainer, config, prepared, part_of(ask, name, number, len(planned)))
        if curve.stopped:
            break
        weight = recurrent_weight(model)
        norm, small = float(np.linalg.norm(weight)), float((np.abs(weight) < SMALL).mean())
        study.results.append(Penalised(kind, strength, curve, norm, spectral_radius(weight), small))
    return study
