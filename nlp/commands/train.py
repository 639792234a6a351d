"""nlp train: a new run, a run that goes on, or a rehearsal of one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from rich.console import Console

from nlp.config import TEXT, Config, choose, default_of, flag
from nlp.errors import NlpError
from nlp.presets import PRESETS

__all__ = ["register", "with_config_options"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(train)


def with_config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with an option for each field of Config in the place of its `**options`."""
    hints = get_type_hints(command, include_extras=True)
    own = [one for one in inspect.signature(command).parameters.values() if one.kind is not one.VAR_KEYWORD]
    parameters = [one.replace(annotation=hints[one.name]) for one in own]
    kinds = get_type_hints(Config)
    for name, field in Config.__dataclass_fields__.items():
        kind: Any = str if get_origin(kinds[name]) is Literal else (get_args(kinds[name]) or (kinds[name],))[0]
        spoken = typer.Option(
            help=f"{field.metadata['help']} Default: {default_of(name)}.",
            show_default=False,
            rich_help_panel=field.metadata["panel"],
        )
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, spoken]
            )
        )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


@with_config_options
def train(
    files: Annotated[list[Path] | None, typer.Argument(help="Texts, as with --text.", show_default=False)] = None,
    text: Annotated[
        list[Path] | None, typer.Option(help="A UTF-8 text, split 90/5/5; may be repeated.", rich_help_panel=TEXT)
    ] = None,
    train: Annotated[Path | None, typer.Option(help="A text to train on, taken whole.", rich_help_panel=TEXT)] = None,
    valid: Annotated[
        Path | None, typer.Option(help="A text to choose the best weights by, beside --train.", rich_help_panel=TEXT)
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="A text to judge the result by, beside --train.", rich_help_panel=TEXT)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder. Default: the first free runs/NAME-N.", show_default=False)
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run in this folder, to the bit as if never stopped.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help=f"A paper's settings: {', '.join(PRESETS)}.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Options from a TOML or JSON file, or a run's config.json.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure what the run would take, and leave nothing behind.")
    ] = False,
    **options: Any,
) -> None:
    """Train a language model, and leave it in a run folder. With no text of your own: on Python's documentation.

    Several texts: nlp train --text a.txt b.txt
    """
    texts = {"text": [*(text or ()), *(files or ())], "train": train, "valid": valid, "test": test}
    sources = {name: value for name, value in texts.items() if value}
    console = Console()
    if resume is not None:
        refused = [flag(name) for name in sources] + [
            name for name, value in (("--out", out), ("--preset", preset), ("--dry-run", dry_run)) if value
        ]
        if refused:
            raise NlpError(f"--resume goes on with a run's own text and options, so {refused[0]} does not go with it")
        _resume(console, resume, config, options)
    elif dry_run:
        _rehearse(console, choose(preset, config, **options), sources)
    else:
        _begin(console, choose(preset, config, **options), sources, out)


def _begin(console: Console, config: Config, sources: dict[str, Any], out: Path | None) -> None:
    from nlp.commands.progress import reading
    from nlp.training.experiment import Experiment

    with reading(console) as note:
        experiment = Experiment.create(config, sources, out, note)
    with experiment:
        _run(console, experiment)


def _resume(console: Console, run: Path, file: Path | None, options: dict[str, Any]) -> None:
    from nlp.commands.progress import reading
    from nlp.config import read_options
    from nlp.training.experiment import Experiment

    given = {name: value for name, value in options.items() if value is not None}
    with reading(console) as note:
        experiment = Experiment.resume(run, note, **{**({} if file is None else read_options(file)), **given})
    with experiment:
        _run(console, experiment)


def _run(console: Console, experiment: Any) -> None:
    """Train to the end, or until a signal asks to stop; everything is saved either way."""
    from nlp.commands.progress import Display
    from nlp.training.stopping import listening_for_stop

    folder = experiment.folder
    with listening_for_stop() as stop, Display(console, experiment.config.epochs) as display:
        display.opening(experiment)
        for event in experiment.train():
            display.show(event)
            if stop:
                experiment.save()
                break
    if stop:
        typer.echo(f"nlp: stopped, and everything is saved: go on with nlp train --resume {folder.path}", err=True)
        raise typer.Exit(stop.exit_code)
    display.results(experiment.finish(), folder)


def _rehearse(console: Console, config: Config, sources: dict[str, Any]) -> None:
    from nlp.commands.progress import reading, show_rehearsal
    from nlp.training.rehearsal import rehearse

    with reading(console) as note:
        rehearsal = rehearse(config, sources, note)
    show_rehearsal(console, config, rehearsal)
