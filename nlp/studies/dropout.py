"""Dropout in four ways on one LSTM and the same batches, with a text so small that without any it is soon learned by
heart: then the training loss goes on falling while the validation loss rises.

- Zaremba, Sutskever and Vinyals, "Recurrent neural network regularization" (2014): a new mask at every time step,
  between the layers alone.
- Gal and Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks" (2016): one mask
  for all time steps of a window ("locked"), and whole words.
- Merity, Keskar and Socher, "Regularizing and optimizing LSTM language models" (2018): recurrent weights are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nlp.errors import NlpError
from nlp.evaluation.scoring import perplexity
from nlp.pictures import colour, finite, log_axis, new_figure, plain, whole_numbers
from nlp.studies.result import Ask, Row, never_stop
from nlp.studies.size import Size
from nlp.studies.training import Curve, part_of, start, train
from nlp.text import Prepared

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Dropout", "study_dropout"]

LR = 0.004  # Adam's


def _kinds(rate: float) -> dict[str, dict[str, Any]]:
    """The options of each way."""
    return {
        "none": {},
        "Zaremba": {"dropout": rate},
        "Gal": {"dropout": rate, "locked": True, "dropout_words": rate / 5, "dropout_recurrent": rate},
        "weight drop": {"weight_drop": rate},
        "locked + weight drop": {"dropout": rate, "locked": True, "weight_drop": rate},
    }


@dataclass(frozen=True)
class Dropout:
    """A training for each way of dropout."""

    rate: float
    curves: list[Curve] = field(default_factory=list)

    def table(self) -> tuple[Sequence[str], list[Row]]:
        """The best validation perplexity of each, when that was, and what came after."""
        headings = ("dropout", "train ppl", "best valid ppl", "in epoch", "valid ppl at the end")
        rows: list[Row] = []
        for curve in self.curves:
            losses = curve.valid_losses
            epoch = losses.index(min(losses)) + 1 if losses else None
            trained = perplexity(curve.train_losses[-1]) if losses else None
            rows.append((curve.name, trained, curve.best, epoch, curve.last))
        return headings, rows

    def draw(self) -> Figure:
        """Training and validation perplexity over the epochs."""
        figure = new_figure(11, 5.4, f"an LSTM of one layer, with dropout of probability {self.rate:g}")
        training, validation = figure.subplots(1, 2)
        for number, curve in enumerate(self.curves):
            epochs = range(1, len(curve.valid_losses) + 1)
            look: dict[str, Any] = {"color": colour(number), "lw": 2, "marker": "o", "ms": 3}
            training.plot(epochs, finite(map(perplexity, curve.train_losses)), label=curve.name, **look)
            validation.plot(epochs, finite(map(perplexity, curve.valid_losses)), **look)
        for axes, title in (
            (training, "training perplexity, while dropping"),
            (validation, "validation perplexity, nothing dropped"),
        ):
            plain(axes, title)
            axes.set_xlabel("epochs")
            log_axis(axes)
            whole_numbers(axes)
        handles = training.get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False)
        return figure


def study_dropout(prepared: Prepared, size: Size, ask: Ask = never_stop, *, rate: float = 0.5) -> Dropout:
    """Train an LSTM of one layer once for each way of dropout. Raises NlpError for a rate not above 0 and below 1."""
    if not 0 < rate < 1:
        raise NlpError(f"--rate is a probability above 0 and below 1, not {rate:g}")
    study = Dropout(rate)
    kinds = _kinds(rate)
    for number, (name, options) in enumerate(kinds.items()):
        config = size.config(model="lstm", lr=LR, **options)
        trainer, _ = start(config, prepared)
        curve = train(name, trainer, config, prepared, part_of(ask, name, number, len(kinds)))
        if curve.stopped:
            break
        study.curves.append(curve)
    return study
