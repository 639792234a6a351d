"""nlp tune: a search for good options, new or going on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.console import Console

from nlp.commands.figures import say, tokens_by_part
from nlp.commands.options import ConfigFile, Preset, text_sources, with_options
from nlp.config import Config
from nlp.errors import NlpError
from nlp.options import flag

if TYPE_CHECKING:
    from nlp.tasks.language_modelling import Results
    from nlp.tuning.search import Result, Search, TrialEvent, TrialNote

__all__ = ["register"]

SEARCH = "The search"
PLACES = 10  # trials in the table at the end


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(tune)


@with_options(Config)
def tune(
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            help="What to search: NAME=LOW..HIGH or NAME=A,B,C, the name one of the options below; may be repeated. "
            "LOW..HIGH is drawn uniformly for whole numbers and for shares such as dropout, by orders of magnitude for "
            "the others such as lr; :linear or :log behind it decides otherwise.",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="How many to draw. Default: 20.", show_default=False, rich_help_panel=SEARCH)
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help="random: train each trial to its end; halving: train all a little, and the best of them on and on. "
            "Default: random.",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    eta: Annotated[
        int | None,
        typer.Option(
            help="With halving: one trial in so many goes on, to so many times the epochs. Default: 3.",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    min_epochs: Annotated[
        int | None,
        typer.Option(
            help="With halving: no trial is judged before. Default: 1.", show_default=False, rich_help_panel=SEARCH
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder. Default: the first free runs/NAME-tune-N.", show_default=False)
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with the search in this folder, to the bit as if never stopped; takes no other option."
        ),
    ] = None,
    preset: Preset = None,
    config: ConfigFile = None,
    **options: Any,
) -> None:
    """Search for good options: train trials with options drawn from ranges, keep the best by validation perplexity.

    nlp tune --text book.txt --range lr=0.001..0.01 --range hidden=128,256 --trials 20
    """
    texts = text_sources(options)
    searching = {"range": ranges, "trials": trials, "strategy": strategy, "eta": eta, "min_epochs": min_epochs}
    if resume is not None:
        others = {**texts, **searching, "out": out, "preset": preset, "config": config, **options}
        if refused := [name for name, value in others.items() if value not in (None, [])]:
            raise NlpError(f"--resume goes on with a search as it is, so {flag(refused[0])} does not go with it")
        _resume(Console(), resume)
        return
    if strategy != "halving" and (refused := [name for name in ("eta", "min_epochs") if searching[name] is not None]):
        raise NlpError(f"{flag(refused[0])} goes with --strategy halving: leave it out, or choose that")
    _begin(Console(), searching, {"preset": preset, "file": config, **options}, texts, out)


def _begin(
    console: Console, searching: dict[str, Any], options: dict[str, Any], texts: dict[str, Any], out: Path | None
) -> None:
    from nlp.commands.progress import reading
    from nlp.tuning.ranges import split_ranges
    from nlp.tuning.search import Search, plan

    ranges = split_ranges(searching.pop("range") or ())
    settings = {name: value for name, value in searching.items() if value is not None}
    planned = plan(ranges, **settings, **options)
    with reading(console) as note:
        search = Search.create(planned, texts, out, note)
    with search:
        _run(console, search)


def _resume(console: Console, folder: Path) -> None:
    from nlp.commands.progress import reading
    from nlp.tuning.search import Search

    with reading(console) as note:
        search = Search.resume(folder, note)
    with search:
        _run(console, search)


def _run(console: Console, search: Search) -> None:
    """Search to the end, or until a signal asks to stop; everything is saved either way."""
    from nlp.commands.progress import show_until_stopped

    display = _Display(console, search)
    show_until_stopped(search.run(), display, search.save, f"nlp tune --resume {search.folder.path}")
    display.end(search.finish())


class _Display:
    """Shows a search on a console: a line for each trial as it ends, a table at the end, a bar where it can move."""

    def __init__(self, console: Console, search: Search) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self.console, self.search = console, search
        columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left")
        self.bar = Progress(
            *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
        )
        self.trial = 0
        self.task = self.bar.add_task("", total=None, visible=False)

    def __enter__(self) -> Self:
        plan, corpus = self.search.plan, self.search.prepared.corpus
        rungs = ", then the best ".join(f"{rung.trials} to epoch {rung.epochs}" for rung in plan.rungs)
        say(self.console, f"text        {corpus['source']}")
        say(self.console, f"tokens      {tokens_by_part(corpus)}")
        say(self.console, f"trials      {rungs}")
        say(self.console, f"folder      {self.search.folder.path}\n")
        say(self.console, _row("trial", list(plan.ranges), "valid ppl", "epochs", "minutes"))
        for result in self.search.results:  # of a search that goes on
            self.result(result)
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, event: TrialEvent | TrialNote | Result) -> None:
        """Move the bar, or write a line."""
        from nlp.tuning.search import Result, TrialNote

        if isinstance(event, Result):
            self.result(event)
        elif isinstance(event, TrialNote):
            say(self.console, f"Note on trial {event.trial:03}: {event.text}.")
        else:
            self.progress(event)

    def progress(self, event: TrialEvent) -> None:
        """Move the bar."""
        from nlp.training.events import Tick

        if event.trial != self.trial:
            self.trial = event.trial
            self.bar.reset(self.task, description=f"trial {event.trial} of {self.search.plan.trials}", visible=True)
        if isinstance(tick := event.event, Tick):
            done = (tick.epoch - 1) * tick.steps + tick.step
            self.bar.update(self.task, total=event.rung.epochs * tick.steps, completed=done)

    def result(self, result: Result) -> None:
        """A line for a trial that has ended, or come to the end of a rung."""
        say(self.console, _result_row(result))

    def end(self, results: Results) -> None:
        """The best trials in order, how good the first one is, and how to use it."""
        search = self.search
        ranking = search.ranking()
        say(self.console, f"\nthe best{f' {PLACES} of {len(ranking)}' if len(ranking) > PLACES else ''}:\n")
        say(self.console, _row("trial", list(search.plan.ranges), "valid ppl", "epochs", "minutes"))
        for result in ranking[:PLACES]:
            say(self.console, _result_row(result))
        figures = ", ".join(
            f"{part} perplexity {evaluation.perplexity:,.2f} (unigram {results.unigram[part]:,.2f})"
            for part, evaluation in results.model.items()
        )
        say(self.console, f"\ntrial {search.best.trial}, its text read in one piece: {figures}")
        say(self.console, f"use it with: nlp generate {search.best_run}")


def _result_row(result: Result) -> str:
    perplexity = "-" if result.valid_perplexity is None else f"{result.valid_perplexity:,.2f}"
    minutes = f"{result.seconds / 60:.1f}"
    row = _row(f"{result.trial:03}", _written(result.options), perplexity, str(result.epochs), minutes)
    return f"{row}  {result.broken}".rstrip()


def _written(options: Mapping[str, Any]) -> list[str]:
    """Each option's value, as wide as its name."""
    words = {True: "on", False: "off"}
    values = (words[one] if isinstance(one, bool) else str(one) for one in options.values())
    return [f"{value:>{len(name)}}" for name, value in zip(options, values, strict=True)]


def _row(trial: str, options: Sequence[str], perplexity: str, epochs: str, minutes: str) -> str:
    columns = "  ".join(f"{one:>8}" for one in options)
    return f"{trial:>5}  {columns}  {perplexity:>10}  {epochs:>6}  {minutes:>7}"
