"""A training from the command line: a new run, or one that goes on, to its end or until it is asked to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from nlp.commands.progress import Display, reading, show_until_stopped
from nlp.errors import INTERRUPTED, NlpError
from nlp.options import Options, flag
from nlp.run_folder import RunFolder
from nlp.tasks import COMMANDS
from nlp.training.experiment import Experiment

__all__ = ["begin", "expect_nothing_beside_resume", "resume"]


def expect_nothing_beside_resume(sources: dict[str, Any], **others: Any) -> None:
    """Raise NlpError where a run that goes on is given a text, or another option that a new run takes."""
    refused = [flag(name) for name, value in {**sources, **others}.items() if value]
    if refused:
        raise NlpError(f"--resume goes on with a run's own text and options, so {refused[0]} does not go with it")


def begin(config: Options, sources: dict[str, Any], out: Path | None, display: type[Display]) -> None:
    """Train a new run."""
    console = Console()
    with reading(console) as note:
        experiment = Experiment.create(config, sources, out, note)
    _run(console, experiment, display)


def resume(run: Path, kind: type[Options], file: Path | None, options: dict[str, Any], display: type[Display]) -> None:
    """Go on with a run whose options are of that kind. Raises NlpError for a run of another command."""
    console = Console()
    folder = RunFolder.open(run)
    if folder.task().options is not kind:
        raise NlpError(f"{run} was begun with {folder.command()}: go on with {folder.command()} --resume {run}")
    given = {name: value for name, value in options.items() if value is not None}
    with reading(console) as note:
        experiment = Experiment.resume(run, note, **{**({} if file is None else kind.read(file)), **given})
    _run(console, experiment, display)


def _run(console: Console, experiment: Experiment, display: type[Display]) -> None:
    """Train to the end, or until a signal asks to stop; everything is saved either way."""
    with experiment:
        shown = display(console, experiment)
        going_on = f"{COMMANDS[experiment.config.TASK]} --resume {experiment.folder.path}"
        show_until_stopped(experiment.train(), shown, experiment.save, going_on)
        try:
            shown.results(experiment.finish())
        except KeyboardInterrupt:
            typer.echo(f"nlp: stopped; what was trained is saved: {going_on} judges it", err=True)
            raise typer.Exit(INTERRUPTED) from None
