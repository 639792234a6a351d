"""Commands of a plan, understood without being run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from nlp.errors import NlpError, did_you_mean
from nlp.options import Options
from nlp.results.plan import RUNS
from nlp.tasks import COMMANDS, task_named

__all__ = ["Command", "TrainingCommand", "understand"]


@dataclass(frozen=True)
class Command:
    """A command as it is run: the words behind `nlp`."""

    text: str  # as the plan has it
    words: tuple[str, ...]


@dataclass(frozen=True)
class TrainingCommand(Command):
    """One that trains: what it was asked for, and where the run goes."""

    program: str  # nlp train, or nlp words train
    config: Options
    texts: dict[str, Any]  # by absolute paths, as a run remembers them
    out: Path

    @property
    def going_on(self) -> tuple[str, ...]:
        """The words that go on with the run."""
        return (*self.program.split()[1:], "--resume", str(self.out))


def understand(text: str, data: Path, runs: Path) -> Command:
    """A command of a plan, for these folders.

    Raises NlpError for a command, an option or a value that there is not, and for a training that does not say where
    its run goes.
    """
    try:
        words = tuple(word.replace(RUNS, str(runs)) for word in shlex.split(text)[1:])  # once split: a path has spaces
        program, given = _parsed(words)
        for task, name in COMMANDS.items():
            if name == program:
                return _training(text, words, program, task_named(task).options, given, data)
    except ValueError as error:  # of shlex
        raise NlpError(f"{text!r} is no command: {error}") from error
    except NlpError as error:
        raise NlpError(f"{text!r} cannot be run: {error}") from error
    return Command(text, words)


def _parsed(words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The command's full name and its options, as the program reads them."""
    from nlp.cli import app  # here, as the program has the command that needs this

    command: Any = typer.main.get_command(app)
    path, rest = ["nlp"], list(words)
    while hasattr(command, "commands"):
        name = rest.pop(0) if rest else ""
        if name not in command.commands:
            raise NlpError(f"{' '.join(path)} has no command {name!r}{did_you_mean(name, command.commands)}")
        command = command.commands[name]
        path.append(name)
    try:
        return " ".join(path), command.make_context(path[-1], rest).params
    except typer.TyperException as error:
        raise NlpError(error.format_message()) from error


def _training(
    text: str, words: tuple[str, ...], program: str, kind: type[Options], given: dict[str, Any], data: Path
) -> TrainingCommand:
    from nlp.commands.options import text_sources

    out, preset, file = given.pop("out"), given.pop("preset", None), given.pop("config", None)
    if out is None or given.pop("resume", None) or given.pop("dry_run", False):
        raise NlpError("it has to begin a run and say in which folder: give --out")
    texts = {name: _absolute(name, files, data) for name, files in text_sources(given).items() if files}
    config = kind.choose(preset, None if file is None else data / file, **given)
    return TrainingCommand(text, words, program, config, texts, Path(out))


def _absolute(name: str, files: Any, data: Path) -> Any:
    if name == "field":
        return files
    if isinstance(files, str):
        return os.path.abspath(data / files)
    return [os.path.abspath(data / one) for one in files]
