"""What a person sees of a training run: what is trained, a bar that moves, a line for each epoch, the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from nlp.commands.figures import duration, figures, say, size, tokens_by_part, written
from nlp.config import Config
from nlp.evaluation.scoring import perplexity
from nlp.tasks.language_modelling import Results
from nlp.tasks.word_vectors import VectorResults
from nlp.training.events import Epoch, Step, Tick
from nlp.training.experiment import Experiment
from nlp.training.rehearsal import Rehearsal
from nlp.training.stopping import listening_for_stop

__all__ = ["Display", "LanguageModelDisplay", "VectorDisplay", "reading", "show_rehearsal", "show_until_stopped"]

EPOCH_LINE = "{:>5}  {:>10}  {:>10}  {:>9}  {:>8}  {:>7}  {}"


@contextmanager
def reading(console: Console) -> Iterator[Callable[[str, float], None]]:
    """A bar while the text is read: yields what is to be told (what is done, its share from 0 to 1)."""
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def note(what: str, share: float) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=1.0)
            bar.update(tasks[what], completed=share)

        yield note


Event = TypeVar("Event", contravariant=True)


class Shows(Protocol[Event]):
    """What shows the events of something long; a context manager around it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, event: Event) -> None: ...


def show_until_stopped(events: Iterable[Event], display: Shows[Event], save: Callable[[], None], going_on: str) -> None:
    """Show the events to the end, or until Ctrl-C or SIGTERM asks to stop: then save, name the command for `going_on`,
    and exit as a program does that the signal ended."""
    with listening_for_stop() as stop, display:
        for event in events:
            display.show(event)
            if stop:
                save()
                break
    if stop:
        typer.echo(f"nlp: stopped, and everything is saved: go on with {going_on}", err=True)
        raise typer.Exit(stop.exit_code)


class Display:
    """Shows one run on a console: what is about to be trained, then its events; a context manager around the training.

    Where the console is no terminal there is no bar, only the lines. A display of its own kind says what it trains, how
    a loss is shown, and the results.
    """

    MEASURE = "loss"  # the heading of what `measured` gives, short

    def __init__(self, console: Console, experiment: Experiment) -> None:
        self.console, self.experiment = console, experiment
        self.epochs = experiment.config.epochs
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(self.epochs)),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.3f}{task.fields[more]}  {task.fields[speed]:,.0f} tokens/s"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=None, epoch=1, loss=0.0, more="", speed=0.0, visible=False)

    def __enter__(self) -> Self:
        self._opening()
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def _opening(self) -> None:
        """What is about to be trained, on what, and where it goes."""
        grid = self.about()
        grid.add_row("run folder", str(self.experiment.folder.path))
        self.console.print(grid)
        for note in self.experiment.notes:
            say(self.console, f"Note: {note}.")
        self.console.print()
        measures = f"train {self.MEASURE}", f"valid {self.MEASURE}"
        say(self.console, EPOCH_LINE.format("epoch", *measures, "lr", "tokens/s", "time", ""))

    def show(self, event: Tick | Step | Epoch) -> None:
        """Move the bar, or write an epoch's line."""
        if isinstance(event, Tick):
            self.bar.update(
                self.task,
                total=self.epochs * event.steps,
                completed=(event.epoch - 1) * event.steps + event.step,
                epoch=event.epoch,
                visible=True,
            )
        elif isinstance(event, Step):
            more = "" if self.MEASURE == "loss" else f"  {self.MEASURE} {self.measured(event.loss)}"
            self.bar.update(self.task, loss=event.loss, more=more, speed=event.tokens_per_second)
        else:
            self._epoch(event)

    def _epoch(self, event: Epoch) -> None:
        notes = ("" if event.improved else "not better", "averaged" if event.averaged else "", event.end)
        say(
            self.console,
            EPOCH_LINE.format(
                event.epoch,
                self.measured(event.train_loss),
                self.measured(event.valid_loss),
                f"{event.lr:.3g}",
                f"{event.tokens_per_second:,.0f}",
                duration(event.seconds),
                "; ".join(part for part in notes if part),
            ),
        )

    def about(self) -> Table:
        """What is about to be trained, and on what: a grid of two columns."""
        raise NotImplementedError

    def measured(self, loss: float) -> str:
        """A loss as it is shown."""
        return written(loss, 4)

    def results(self, results: Any) -> None:
        """What the run came to."""
        raise NotImplementedError


class LanguageModelDisplay(Display):
    """Shows the training of a language model, by its perplexity."""

    MEASURE = "ppl"

    def about(self) -> Table:
        """Text, tokens, vocabulary and model."""
        experiment = self.experiment
        return _about(experiment.config, experiment.corpus, len(experiment.vocabulary), parameters_of(experiment.model))

    def measured(self, loss: float) -> str:
        """The perplexity per token."""
        return f"{perplexity(loss):,.2f}"

    def results(self, results: Results) -> None:
        """The perplexities beside those of the unigram model, and the sample."""
        path = self.experiment.folder.path
        headings = ("best weights on", "tokens", "perplexity", "unigram", "per word", "bits/char")
        rows = [
            (
                part,
                evaluation.tokens,
                evaluation.perplexity,
                results.unigram[part],
                results.word_perplexity(part),
                results.bits_per_character(part),
            )
            for part, evaluation in results.model.items()
        ]
        self.console.print()
        self.console.print(figures(headings, rows, digits={"bits/char": 4}))
        self.console.print()
        say(self.console, results.sample)
        self.console.print()
        say(self.console, f"everything is in {path}; write more with: nlp generate {path}")


class VectorDisplay(Display):
    """Shows the learning of word vectors, by its loss."""

    def about(self) -> Table:
        """Text, tokens, vocabulary and model."""
        experiment = self.experiment
        config, corpus = experiment.config, experiment.corpus
        grid = Table.grid(padding=(0, 2))
        grid.add_row("text", corpus["source"])
        grid.add_row("tokens", tokens_by_part(corpus))
        grid.add_row("vocabulary", f"{len(experiment.vocabulary):,}")
        shape = f"{config.model}, vectors of {config.size}, windows of {config.window} on each side"
        grid.add_row("model", f"{shape}, {parameters_of(experiment.model):,} parameters")
        return grid

    def results(self, results: VectorResults) -> None:
        """The words that are near to some frequent ones."""
        path = self.experiment.folder.path
        self.console.print()
        say(self.console, f"validation loss {self.measured(results.valid_loss)}; nearest words:")
        for word, near in results.neighbours.items():
            say(self.console, f"  {word}: {', '.join(other for other, _ in near)}")
        self.console.print()
        if results.chance is not None and results.valid_loss >= results.chance:
            say(
                self.console,
                f"These vectors are worth nothing: their loss is not below the {self.measured(results.chance)} of "
                "chance. Start a new run with a smaller --batch-size, with a lower --lr, or with a longer text.",
            )
        say(self.console, f"everything is in {path}; see more with: nlp words near {path} WORD")


def parameters_of(model: Any) -> int:
    """How many numbers the parameters of a model are."""
    return sum(parameter.numel() for parameter in model.parameters())


def show_rehearsal(console: Console, config: Config, rehearsal: Rehearsal) -> None:
    """The model parameter by parameter, and what training it would take."""
    table = Table(box=None, pad_edge=False)
    for heading, justify in (("parameter", "left"), ("shape", "left"), ("numbers", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for name, shape in rehearsal.layers:
        count = 1
        for length in shape:
            count *= length
        table.add_row(name, " x ".join(f"{length:,}" for length in shape), f"{count:,}")
    console.print(table)
    console.print()
    grid = _about(config, rehearsal.corpus, rehearsal.vocabulary, rehearsal.parameters)
    memory = "this system does not say" if rehearsal.memory is None else f"{size(rehearsal.memory)} at the most so far"
    grid.add_row("memory", memory)
    grid.add_row("checkpoint", f"{size(rehearsal.checkpoint_bytes)} on the disk")
    epoch, total = duration(rehearsal.epoch_seconds), duration(rehearsal.total_seconds)
    grid.add_row(
        "time", f"about {epoch} an epoch of {rehearsal.updates:,} updates, {total} for {config.epochs} on this machine"
    )
    console.print(grid)


def _about(config: Config, corpus: dict[str, Any], vocabulary: int, parameters: int) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_row("text", corpus["source"])
    grid.add_row("tokens", f"{tokens_by_part(corpus)}: {_KINDS[config.level]}")
    grid.add_row("vocabulary", f"{vocabulary:,}")
    counted = "" if config.model == "ngram" else f", {parameters:,} parameters"
    grid.add_row("model", f"{_model_in_words(config)}{counted}")
    return grid


def _model_in_words(config: Config) -> str:
    if config.model == "ngram":
        return f"{config.order}-grams, {config.smoothing}"
    features = f"features of n-grams up to {config.maxent_order}, {config.maxent_size:,} weights"
    if config.model == "maxent":
        return features
    width = f"{config.hidden} units, embedding {config.embedding}"
    shape = {
        "window": f"window of {config.order - 1} tokens, {width}",
        "deep-transition": f"layers {config.input_depth} in, {config.transition_depth} between, "
        f"{config.output_depth} out, {width}",
        "jordan": f"output recurrence, {width}",
    }.get(config.model, f"{config.model.upper()}, {config.layers} x {width}{' (tied)' if config.tied else ''}")
    output = "" if config.output == "full" else f", output {config.output}"
    return f"{shape}{output}{f', {features}' if config.maxent_order else ''}"


_KINDS = {"word": "words and marks", "char": "characters", "byte": "bytes", "bpe": "pieces of words"}
