"""nlp train: a new run, a run that goes on, or a rehearsal of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from nlp.commands.options import ConfigFile, Preset, text_sources, with_options
from nlp.config import Config
from nlp.errors import NlpError
from nlp.options import flag

if TYPE_CHECKING:
    from nlp.training.experiment import Experiment

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(train)


@with_options(Config)
def train(
    out: Annotated[
        Path | None, typer.Option(help="The run folder. Default: the first free runs/NAME-N.", show_default=False)
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run in this folder, to the bit as if never stopped.")
    ] = None,
    preset: Preset = None,
    config: ConfigFile = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure what the run would take, and leave nothing behind.")
    ] = False,
    **options: Any,
) -> None:
    """Train a language model, and leave it in a run folder. With no text of your own: on Python's documentation.

    Several texts: nlp train --text a.txt b.txt
    """
    sources = text_sources(options)
    console = Console()
    if resume is not None:
        refused = [flag(name) for name in sources] + [
            name for name, value in (("--out", out), ("--preset", preset), ("--dry-run", dry_run)) if value
        ]
        if refused:
            raise NlpError(f"--resume goes on with a run's own text and options, so {refused[0]} does not go with it")
        _resume(console, resume, config, options)
    elif dry_run:
        _rehearse(console, Config.choose(preset, config, **options), sources)
    else:
        _begin(console, Config.choose(preset, config, **options), sources, out)


def _begin(console: Console, config: Config, sources: dict[str, Any], out: Path | None) -> None:
    from nlp.commands.progress import reading
    from nlp.training.experiment import Experiment

    with reading(console) as note:
        experiment = Experiment.create(config, sources, out, note)
    with experiment:
        _run(console, experiment)


def _resume(console: Console, run: Path, file: Path | None, options: dict[str, Any]) -> None:
    from nlp.commands.progress import reading
    from nlp.training.experiment import Experiment

    given = {name: value for name, value in options.items() if value is not None}
    with reading(console) as note:
        experiment = Experiment.resume(run, note, **{**({} if file is None else Config.read(file)), **given})
    with experiment:
        _run(console, experiment)


def _run(console: Console, experiment: Experiment) -> None:
    """Train to the end, or until a signal asks to stop; everything is saved either way."""
    from nlp.commands.progress import Display, show_until_stopped

    display = Display(console, experiment)
    show_until_stopped(experiment.train(), display, experiment.save, f"nlp train --resume {experiment.folder.path}")
    display.results(experiment.finish())


def _rehearse(console: Console, config: Config, sources: dict[str, Any]) -> None:
    from nlp.commands.progress import reading, show_rehearsal
    from nlp.training.rehearsal import rehearse

    with reading(console) as note:
        rehearsal = rehearse(config, sources, note)
    show_rehearsal(console, config, rehearsal)
