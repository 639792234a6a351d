"""Several runs beside each other: where their options differ, how good they became, and how fast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp.errors import NlpError
from nlp.evaluation.scoring import perplexity
from nlp.language_model import load_language_model
from nlp.pictures import colour, dashes, finite, log_axis, new_figure, plain, save, whole_numbers
from nlp.run_folder import RunFolder
from nlp.run_options import MACHINE_OPTIONS
from nlp.text.prepare import CORPUS, DATA, read_description

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RunSummary", "differing_options", "draw_comparison", "not_comparable", "summarize"]


@dataclass(frozen=True)
class RunSummary:
    """What is known of a run, finished or not. Losses are in nats a token."""

    name: str
    options: dict[str, Any]
    corpus: dict[str, Any]  # the description in data/corpus.json
    vocabulary: tuple[str, ...]
    parameters: int
    valid_losses: tuple[float, ...]  # after each epoch
    seconds: tuple[float, ...]  # of training, up to the end of each epoch
    results: dict[str, Any]  # the last line of metrics.jsonl; empty while the run is not finished

    @property
    def best_valid_loss(self) -> float | None:
        """The lowest after any epoch; None before the first is done."""
        return min(self.valid_losses, default=None)

    @property
    def valid_perplexity(self) -> float | None:
        """Per token, of the best weights; None before the first epoch is done."""
        return None if self.best_valid_loss is None else perplexity(self.best_valid_loss)

    @property
    def word_perplexity(self) -> float | None:
        """The same per word: equal texts make it comparable, whatever the tokens are."""
        nats = self._valid_nats
        return None if nats is None else perplexity(nats / self._valid_text["words"])

    @property
    def bits_per_character(self) -> float | None:
        """The same in bits a character."""
        nats = self._valid_nats
        return None if nats is None else nats / math.log(2) / self._valid_text["characters"]

    @property
    def test_perplexity(self) -> float | None:
        """Per token, on the test text; None for a run without one, or not finished."""
        return self.results.get("test_perplexity")

    @property
    def tokens_per_word(self) -> float:
        """In the validation text."""
        return self._valid_text["tokens"] / self._valid_text["words"]

    @property
    def _valid_text(self) -> dict[str, int]:
        return self.corpus["parts"]["valid"]

    @property
    def _valid_nats(self) -> float | None:
        return None if self.best_valid_loss is None else self.best_valid_loss * self._valid_text["tokens"]

    def to_json(self) -> dict[str, Any]:
        """Everything but the vocabulary, as plain values."""
        names = ("valid_perplexity", "word_perplexity", "bits_per_character", "test_perplexity")
        plain_values = {name: value for name, value in asdict(self).items() if name != "vocabulary"}
        return {**plain_values, "vocabulary": len(self.vocabulary), **{name: getattr(self, name) for name in names}}


def summarize(runs: Sequence[Path]) -> list[RunSummary]:
    """Read the folders of some runs; where two have one name, the runs are called by their paths.

    Raises NlpError for a folder that is none of a run, not trained yet, or damaged.
    """
    names = [run.resolve().name for run in runs]
    shown = names if len(set(names)) == len(names) else [str(run) for run in runs]
    return [_summarize(RunFolder.open(run), name) for run, name in zip(runs, shown, strict=True)]


def _summarize(folder: RunFolder, name: str) -> RunSummary:
    language_model = load_language_model(folder.path)
    records = list(folder.metrics())
    epochs = [record for record in records if record["kind"] == "epoch"]
    results = [record for record in records if record["kind"] == "results"]
    return RunSummary(
        name=name,
        options=folder.read_config().to_json(),
        corpus=_read_corpus(folder.path),
        vocabulary=language_model.vocabulary.tokens,
        parameters=sum(parameter.numel() for parameter in language_model.model.parameters()),
        valid_losses=tuple(record["valid_loss"] for record in epochs),
        seconds=tuple(record["seconds"] for record in epochs),
        results=results[-1] if results else {},
    )


def _read_corpus(run: Path) -> dict[str, Any]:
    corpus = read_description(run)
    if "valid" not in corpus["parts"]:
        raise NlpError(f"{run / DATA / CORPUS} tells of no validation text, by which runs are compared")
    return corpus


# ---- beside each other ----------------------------------------------------------------------------------------------


def differing_options(summaries: Sequence[RunSummary]) -> dict[str, list[Any]]:
    """The options of which not all runs have the same value, and each run's; not those about the machine."""
    names = [name for name in summaries[0].options if name not in MACHINE_OPTIONS]
    values = {name: [one.options.get(name) for one in summaries] for name in names}
    return {name: of_runs for name, of_runs in values.items() if any(value != of_runs[0] for value in of_runs)}


def not_comparable(summaries: Sequence[RunSummary]) -> list[str]:
    """Why the figures of the runs do not stand for the same task, a sentence each; none where they do."""
    first, *others = summaries
    reasons = []
    if texts := [one.name for one in others if one.corpus["sha256"] != first.corpus["sha256"]]:
        reasons.append(f"not comparable: {_list([*texts, first.name])} were trained on different texts.")
    if tokens := [one.name for one in others if one.vocabulary != first.vocabulary]:
        remedy = "" if texts else "; compare the perplexities per word, or the bits per character"
        reasons.append(
            f"perplexities per token are not comparable: the tokens of {_list([*tokens, first.name])} differ{remedy}."
        )
        if unsure := [one.name for one in summaries if one.corpus["parts"]["valid"]["unknown"]]:
            reasons.append(
                f"{' and '.join(unsure)} did not know all tokens of the validation text and foresaw <unk> for them, "
                "which is easier: no figure of theirs stands beside one of other tokens."
            )
    return reasons


def _list(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


# ---- the picture ----------------------------------------------------------------------------------------------------


def draw_comparison(summaries: Sequence[RunSummary], path: Path) -> None:
    """Draw the validation perplexity of each run over its epochs and over the time it was trained (see `save`).

    It is that per token where all runs have the same tokens, otherwise that per word. Raises NlpError where the picture
    cannot be written.
    """
    same_tokens = all(one.vocabulary == summaries[0].vocabulary for one in summaries)
    figure = new_figure(11, 4.8, f"validation perplexity per {'token' if same_tokens else 'word'}")
    over_epochs, over_time = figure.subplots(1, 2, sharey=True)
    longest = max((one.seconds[-1] for one in summaries if one.seconds), default=0.0)
    unit, seconds = next((unit, size) for unit, size in UNITS if longest >= 2 * size or size == 1)
    for number, one in enumerate(summaries):
        factor = 1.0 if same_tokens else one.tokens_per_word
        values = finite(perplexity(loss * factor) for loss in one.valid_losses)
        look = {"color": colour(number), "ls": dashes(number), "lw": 2, "marker": "o", "ms": 4, "label": one.name}
        over_epochs.plot(range(1, len(values) + 1), values, **look)
        over_time.plot([time / seconds for time in one.seconds], values, **look)
    for axes, label in ((over_epochs, "epochs"), (over_time, f"{unit} of training")):
        _finish(axes, label)
    whole_numbers(over_epochs)
    figure.legend(*over_epochs.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    save(figure, path)


UNITS = (("hours", 3600), ("minutes", 60), ("seconds", 1))


def _finish(axes: Axes, label: str) -> None:
    axes.set_xlabel(label)
    axes.set_xlim(left=0)
    plain(axes, "")
    log_axis(axes)
