"""nlp train: a new run, a run that goes on, or a rehearsal of one."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from nlp.commands.options import ConfigFile, Out, Preset, Resume, text_sources, with_options
from nlp.config import Config

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(train)


@with_options(Config)
def train(
    out: Out = None,
    resume: Resume = None,
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
    from nlp.commands.progress import LanguageModelDisplay
    from nlp.commands.running import begin, expect_nothing_beside_resume
    from nlp.commands.running import resume as go_on

    sources = text_sources(options)
    if resume is not None:
        expect_nothing_beside_resume(sources, out=out, preset=preset, dry_run=dry_run)
        go_on(resume, Config, config, options, LanguageModelDisplay)
    elif dry_run:
        _rehearse(Config.choose(preset, config, **options), sources)
    else:
        begin(Config.choose(preset, config, **options), sources, out, LanguageModelDisplay)


def _rehearse(config: Config, sources: dict[str, Any]) -> None:
    from nlp.commands.progress import reading, show_rehearsal
    from nlp.training.rehearsal import rehearse

    console = Console()
    with reading(console) as note:
        rehearsal = rehearse(config, sources, note)
    show_rehearsal(console, config, rehearsal)
