"""The command line: nlp train, nlp generate, nlp eval.

What is wrong with an option, a file or a run folder is said in one sentence on stderr, with exit code 2.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from nlp.config import Config, choose, default_of
from nlp.errors import NlpError

__all__ = ["app", "main"]

INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended


class OneSentence(TyperGroup):
    """The commands, with every mistake of the user's told in one sentence."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run the command that the arguments name, and exit."""
        try:
            code = super().main(*args, **{**settings, "standalone_mode": False})
        except (typer.TyperException, NlpError) as error:
            message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
            if message:  # there is none where help was shown for want of a command
                typer.echo(f"nlp: {message}", err=True)
            sys.exit(2)
        sys.exit(code if isinstance(code, int) else 0)


app = typer.Typer(
    cls=OneSentence,
    help="Train recurrent language models, judge them, and let them write.",
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


TEXT, MODEL, TRAINING, MACHINE = "The text", "The model", "The training", "The machine"


def option(name: str, panel: str, help: str) -> Any:
    """An option of `nlp.config.Config`, in one of the panels of the help; its help ends with the default."""
    return typer.Option(help=f"{help} Default: {default_of(name)}.", show_default=False, rich_help_panel=panel)


@app.command()
def train(
    context: typer.Context,
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
    level: Annotated[str | None, option("level", TEXT, "What a token is: word or char.")] = None,
    lowercase: Annotated[bool | None, option("lowercase", TEXT, "Lower-case the text first.")] = None,
    min_count: Annotated[int | None, option("min_count", TEXT, "How often a word must occur to be known.")] = None,
    vocab_size: Annotated[
        int | None, option("vocab_size", TEXT, "The number of words to know, the most frequent.")
    ] = None,
    model: Annotated[str | None, option("model", MODEL, "lstm, gru or rnn.")] = None,
    embedding: Annotated[int | None, option("embedding", MODEL, "Numbers that stand for a word.")] = None,
    hidden: Annotated[int | None, option("hidden", MODEL, "Units in a recurrent layer.")] = None,
    layers: Annotated[int | None, option("layers", MODEL, "Recurrent layers.")] = None,
    dropout: Annotated[float | None, option("dropout", MODEL, "Share of units left out in training.")] = None,
    tied: Annotated[bool | None, option("tied", MODEL, "Use the embedding as the output layer too.")] = None,
    bptt: Annotated[int | None, option("bptt", TRAINING, "Time steps that a gradient goes back.")] = None,
    batch_size: Annotated[
        int | None, option("batch_size", TRAINING, "Stretches of the text read side by side.")
    ] = None,
    epochs: Annotated[int | None, option("epochs", TRAINING, "Passes over the text, at most.")] = None,
    optimizer: Annotated[str | None, option("optimizer", TRAINING, "sgd, adam, adagrad or rmsprop.")] = None,
    lr: Annotated[
        float | None, option("lr", TRAINING, "Learning rate; a quarter of it after an epoch without progress.")
    ] = None,
    clip: Annotated[float | None, option("clip", TRAINING, "Largest norm of the gradient; 0: any.")] = None,
    patience: Annotated[
        int | None, option("patience", TRAINING, "Epochs without progress before training ends.")
    ] = None,
    max_minutes: Annotated[float | None, option("max_minutes", TRAINING, "End training after this time.")] = None,
    seed: Annotated[int | None, option("seed", TRAINING, "Where the random numbers start.")] = None,
    device: Annotated[str | None, option("device", MACHINE, "cpu, cuda or cuda:N.")] = None,
    threads: Annotated[int | None, option("threads", MACHINE, "Processor threads to compute with.")] = None,
) -> None:
    """Train a language model, and leave it in a run folder. With no text of your own: on Python's documentation.

    Several texts: nlp train --text a.txt b.txt
    """
    from nlp.experiment import Experiment
    from nlp.progress import Display
    from nlp.run_folder import RunFolder
    from nlp.text import load_corpus

    names = {field.name for field in dataclasses.fields(Config)}
    config = choose(**{name: value for name, value in context.params.items() if name in names})
    corpus = load_corpus([*(text or ()), *(files or ())], train=train, valid=valid, test=test)
    experiment = Experiment(config, corpus)
    folder = RunFolder.create(out, corpus.name)
    try:
        with Display(Console(), config.epochs) as display:
            display.opening(experiment, folder)
            for event in experiment.train(folder):
                display.show(event)
        display.results(experiment.finish(folder), folder)
    except KeyboardInterrupt as interrupt:
        kept = experiment.keep(folder)
        typer.echo(f"nlp: stopped; {kept} are kept: write with them by nlp generate {folder.path}", err=True)
        raise typer.Exit(INTERRUPTED) from interrupt


@app.command()
def generate(
    run: Annotated[Path, typer.Argument(help="A folder that nlp train made.")],
    prompt: Annotated[str, typer.Option(help="The beginning of the text.")] = "",
    length: Annotated[
        int | None, typer.Option(help="Tokens to write. Default: word 120, char 800.", show_default=False)
    ] = None,
    temperature: Annotated[float, typer.Option(help="Below 1 safer, above 1 wilder, 0 always the likeliest.")] = 1.0,
    seed: Annotated[
        int | None, typer.Option(help="The same seed, the same text. Default: a new one each time.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
) -> None:
    """Write a text with a trained model, shown as it is written."""
    import nlp
    from nlp.generate import generate

    language_model = nlp.load(run, device)
    for piece in generate(language_model, prompt, length=length, temperature=temperature, seed=seed):
        typer.echo(piece, nl=False)
    typer.echo()


@app.command("eval")
def evaluate(
    run: Annotated[Path, typer.Argument(help="A folder that nlp train made.")],
    text: Annotated[list[Path], typer.Option(help="A UTF-8 text; may be repeated.")],
    files: Annotated[list[Path] | None, typer.Argument(help="Further texts.", show_default=False)] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
) -> None:
    """The perplexity per token of texts under a trained model; every token counts once, the state is carried."""
    import nlp
    from nlp.evaluate import evaluate_text
    from nlp.progress import show_evaluations
    from nlp.text import read_text

    paths = [*text, *(files or ())]
    texts = [read_text(path) for path in paths]
    language_model = nlp.load(run, device)
    judged = {str(path): evaluate_text(language_model, text) for path, text in zip(paths, texts, strict=True)}
    show_evaluations(Console(), judged)


def main() -> None:
    """The command `nlp`."""
    app(prog_name="nlp")
