"""Optimizers on one model, one start and the same batches, each at the best of a few learning rates.

The best rate is the one with the lowest validation perplexity at any epoch. Where it is the smallest or the largest
that was tried, a better one may lie beyond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nlp.config import RECURRENT, Config
from nlp.errors import NlpError, did_you_mean
from nlp.evaluation.scoring import perplexity
from nlp.pictures import colour, dashes, finite, log_axis, new_figure, plain, whole_numbers
from nlp.studies.result import Ask, Row, never_stop
from nlp.studies.size import Size
from nlp.studies.training import Curve, part_of, start, train
from nlp.text import Prepared

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RATES", "Optimizers", "Trial", "chosen_rates", "study_optimizers"]

RATES: dict[str, tuple[float, ...]] = {
    "sgd": (4.0, 16.0, 64.0),
    "momentum": (0.25, 1.0, 4.0),
    "adagrad": (0.03, 0.1, 0.3),
    "rmsprop": (0.003, 0.01, 0.03),
    "adam": (0.003, 0.01, 0.03),
    "adamw": (0.003, 0.01, 0.03),
    "nadam": (0.003, 0.01, 0.03),
    "adadelta": (10.0, 30.0, 100.0),
}
SETTINGS: dict[str, dict[str, Any]] = {  # beside the rate, where PyTorch's defaults leave the name without a meaning
    "momentum": {"optimizer": "sgd", "momentum": 0.9},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.01},
}


@dataclass(frozen=True)
class Trial:
    """One training: with which optimizer and rate."""

    optimizer: str
    lr: float
    curve: Curve


@dataclass(frozen=True)
class Optimizers:
    """Every training, and how many rates each optimizer was to be tried at."""

    rates: dict[str, list[float]]
    trials: list[Trial] = field(default_factory=list)

    def best(self) -> list[Trial]:
        """Each optimizer's best trial, of those that are done."""
        done = {name: [one for one in self.trials if one.optimizer == name] for name in self.rates}
        return [min(trials, key=lambda one: one.curve.best) for trials in done.values() if trials]

    def table(self) -> tuple[Sequence[str], list[Row]]:
        """A row for each optimizer, the best first."""
        headings = ("optimizer", "best rate", "of these", "valid ppl", "seconds", "")
        rows: list[Row] = []
        for one in sorted(self.best(), key=lambda one: one.curve.best):
            rates = self.rates[one.optimizer]
            at_the_end = len(rates) > 1 and one.lr in (min(rates), max(rates))
            note = "at an end" if at_the_end else ""
            seconds = one.curve.valid_seconds[-1] if one.curve.valid_seconds else None
            tried = ", ".join(f"{rate:g}" for rate in rates)
            rows.append((one.optimizer, f"{one.lr:g}", tried, one.curve.best, seconds, note))
        return headings, rows

    def draw(self) -> Figure:
        """Validation perplexity over the updates and over time, of each optimizer at its best rate."""
        figure = new_figure(11, 5.4, "validation perplexity, each optimizer at its best rate")
        over_updates, over_time = figure.subplots(1, 2, sharey=True)
        for number, name in enumerate(self.rates):
            for one in self.best():
                if one.optimizer != name:
                    continue
                values = finite(map(perplexity, one.curve.valid_losses))
                look: dict[str, Any] = {"color": colour(number), "ls": dashes(number), "lw": 2, "marker": "o", "ms": 3}
                over_updates.plot(one.curve.valid_updates, values, label=f"{name}, {one.lr:g}", **look)
                over_time.plot(one.curve.valid_seconds, values, **look)
        for axes, label in ((over_updates, "updates"), (over_time, "seconds of training")):
            axes.set_xlabel(label)
            axes.set_xlim(left=0)
            plain(axes, "")
            log_axis(axes)
            whole_numbers(axes)
        handles = over_updates.get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=4, frameon=False)
        return figure


def study_optimizers(
    prepared: Prepared,
    size: Size,
    ask: Ask = never_stop,
    *,
    model: str = "lstm",
    rates: Mapping[str, Sequence[float]] = RATES,
) -> Optimizers:
    """Train the model once for each optimizer and each of its `rates`.

    Beside the rate they have PyTorch's defaults; "momentum" is SGD with 0.9. The gradient is clipped for all of them at
    the default norm. Raises NlpError for a model that is not recurrent, for an optimizer that there is not, and for a
    rate that is not positive.
    """
    if model not in RECURRENT:
        raise NlpError(f"--model is one of {', '.join(RECURRENT)} in a study, not {model!r}")
    study = Optimizers({name: list(values) for name, values in rates.items()})
    planned = [(name, lr, _config(size, model, name, lr)) for name, values in rates.items() for lr in values]
    for number, (name, lr, config) in enumerate(planned):
        trainer, _ = start(config, prepared)
        what = f"{name}, rate {lr:g}"
        curve = train(what, trainer, config, prepared, part_of(ask, what, number, len(planned)))
        if curve.stopped:
            break
        study.trials.append(Trial(name, lr, curve))
    return study


def chosen_rates(names: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """The rates of these optimizers. NlpError for one that there is not."""
    for name in names:
        if name not in RATES:
            raise NlpError(f"an optimizer is one of {', '.join(RATES)}, not {name!r}{did_you_mean(name, RATES)}")
    return {name: RATES[name] for name in names}


def _config(size: Size, model: str, name: str, lr: float) -> Config:
    return size.config(**{"model": model, "optimizer": name, "lr": lr, **SETTINGS.get(name, {})})
