"""Exploding gradients, with and without clipping, on one model, one start and the same batches.

Where W_h has grown enough, the gradient of a window grows like a power of its length, and one step of its size throws
the weights to where nothing is learned any more. Clipping takes a step in the same direction, of bounded length
(Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013, section 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nlp.errors import NlpError
from nlp.pictures import GREY, colour, finite, log_axis, new_figure, plain, whole_numbers
from nlp.studies.cliff import Cliff, draw_cliff, study_cliff
from nlp.studies.result import Ask, Row, never_stop
from nlp.studies.size import Size
from nlp.studies.training import Curve, part_of, start, train
from nlp.text import Prepared

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CLIPS", "Exploding", "study_exploding"]

CLIPS = (0.0, 1.0, 0.25)  # 0: none


@dataclass(frozen=True)
class Exploding:
    """A training for each of `clips`, and the error surface of a single unit."""

    lr: float
    cliff: Cliff
    clips: list[float] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    def table(self) -> tuple[Sequence[str], list[Row]]:
        """The largest norm and loss on the way, and what training came to."""
        headings = ("gradient", "largest norm", "largest loss", "last loss", "largest radius", "valid ppl", "")
        rows: list[Row] = []
        for curve in self.curves:
            columns = (curve.norms, curve.losses, curve.losses[-1:], curve.radii)
            largest = [f"{max(column, default=math.nan):.3g}" for column in columns]
            rows.append((curve.name, *largest, f"{curve.last:.4g}", "broke off" if curve.broke else ""))
        return headings, rows

    def draw(self) -> Figure:
        """Norm, loss and spectral radius over the updates, and the cliff."""
        figure = new_figure(11, 8, f"a tanh RNN trained by SGD at learning rate {self.lr:g}")
        (norm, loss), (radius, cliff) = figure.subplots(2, 2)
        self._draw(norm, "norm of the gradient before clipping (largest of ten updates)", "norms")
        self._draw(loss, "training loss (nats a token)", "losses")
        self._draw(radius, "spectral radius of W_h", "radii")
        radius.axhline(1.0, color=GREY, lw=1, ls="--")
        draw_cliff(cliff, self.cliff)
        return figure

    def _draw(self, axes: Axes, title: str, values: str) -> None:
        for number, curve in enumerate(self.curves):
            axes.plot(curve.updates, finite(getattr(curve, values)), color=colour(number), lw=1.5, label=curve.name)
        plain(axes, title)
        axes.set_xlabel("updates")
        if self.curves:
            log_axis(axes)
            whole_numbers(axes)
            axes.legend(frameon=False, fontsize=9)


def study_exploding(
    prepared: Prepared, size: Size, ask: Ask = never_stop, *, lr: float = 5.0, clips: Sequence[float] = CLIPS
) -> Exploding:
    """Train a tanh RNN by SGD once for each largest norm of the gradient; 0 leaves it as it is.

    A training whose numbers are no longer finite ends there and says so. Raises NlpError for a negative norm and for a
    rate that is not positive.
    """
    study = Exploding(lr, study_cliff())
    configs = [size.config(optimizer="sgd", lr=lr, clip=clip) for clip in clips]
    if not configs:
        raise NlpError("a study of clipping needs a norm to clip at: give one at least, 0 for none")
    for number, config in enumerate(configs):
        name = f"clip {config.clip:g}" if config.clip else "no clipping"
        trainer, _ = start(config, prepared)
        curve = train(name, trainer, config, prepared, part_of(ask, name, number, len(configs)))
        if curve.stopped:
            break
        study.clips.append(config.clip)
        study.curves.append(curve)
    return study
