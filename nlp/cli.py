"""The command line: `nlp train` and what is done with its runs.

What is wrong with an option, a file or a run folder is said in one sentence on stderr, with exit code 2.
"""

from __future__ import annotations

import io
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from nlp.commands import results, study, train, train_words, tune, use, words
from nlp.errors import INTERRUPTED, NlpError

__all__ = ["app", "main"]


class OneSentence(TyperGroup):
    """The commands, with every mistake of the user's told in one sentence."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run the command that the arguments name, and exit."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a console that lacks a character is no reason to stop
        try:
            code = super().main(*args, **{**settings, "standalone_mode": False})
        except (typer.TyperException, NlpError) as error:
            message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
            if message:  # there is none where help was shown for want of a command
                typer.echo(f"nlp: {message}", err=True)
            sys.exit(2)
        except MemoryError as error:
            typer.echo(
                f"nlp: there is not enough memory ({error}): make the model, the batch or the text smaller", err=True
            )
            sys.exit(2)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Ctrl-C is told here, as what is around it makes nothing but an exit code of it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("nlp: stopped", err=True)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=OneSentence,
    help="Train language models and word vectors, judge them, and let them write.",
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
train.register(app)
tune.register(app)
use.register(app)
study.register(app)
words.register(app)
train_words.register(words.words)
results.register(app)


def main() -> None:
    """The command `nlp`."""
    app(prog_name="nlp")
