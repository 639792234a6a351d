"""nlp study: the difficulties of recurrent networks, each shown by small trainings, a table and a picture."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from rich.console import Console

from nlp.commands.figures import figures, say
from nlp.commands.options import text_parameters, text_sources
from nlp.options import flag
from nlp.run_options import TEXT
from nlp.studies.size import Size

if TYPE_CHECKING:
    from nlp.studies.result import Ask, Study
    from nlp.text import Prepared

__all__ = ["register"]

SIZE = "The size"
OUT = Path("studies")

# By study, what differs from the defaults of `Size`: each takes a minute or two on two cores.
SIZES: dict[str, dict[str, Any]] = {
    "vanishing": {"tokens": 200_000, "epochs": 12},
    "exploding": {"epochs": 6},
    "optimizers": {"epochs": 8},
    "dropout": {"level": "word", "tokens": 30_000, "hidden": 128, "epochs": 10, "bptt": 35},
    "weights": {"epochs": 6},
}

Run = Callable[..., "Study"]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Show a difficulty of recurrent networks: a table and a picture.")
    for own in (vanishing, exploding, optimizers, dropout, weights):
        group.command(own.__name__)(_as_command(own))
    app.add_typer(group, name="study")


# ---- the studies, with the options of their own ---------------------------------------------------------------------


def vanishing(
    prepared: Prepared,
    size: Size,
    ask: Ask,
    *,
    lags: Annotated[int, typer.Option(help="Steps back, at most.")] = 50,
    radius: Annotated[
        list[float] | None,
        typer.Option(help="Spectral radius of W_h; may be repeated. Default: 0.5, 0.75, 1, 1.25 and 1.5."),
    ] = None,
) -> Study:
    """How far back gradients reach: RNN, IRNN, GRU, LSTM, and an RNN by the spectral radius of W_h."""
    from nlp.studies.vanishing import RADII, study_vanishing

    return study_vanishing(prepared, size, ask, lags=lags, radii=radius or RADII)


def exploding(
    prepared: Prepared,
    size: Size,
    ask: Ask,
    *,
    lr: Annotated[float, typer.Option(help="Learning rate of SGD, large enough to explode.")] = 5.0,
    clip: Annotated[
        list[float] | None,
        typer.Option(help="Largest norm of the gradient, 0 for any; may be repeated. Default: 0, 1 and 0.25."),
    ] = None,
) -> Study:
    """An RNN trained with and without clipping of its gradient, and the cliff in the error of a single unit."""
    from nlp.studies.exploding import CLIPS, study_exploding

    return study_exploding(prepared, size, ask, lr=lr, clips=clip or CLIPS)


def optimizers(
    prepared: Prepared,
    size: Size,
    ask: Ask,
    *,
    optimizer: Annotated[
        list[str] | None, typer.Option(help="Try this one; may be repeated. Default: all eight.", show_default=False)
    ] = None,
    model: Annotated[str, typer.Option(help="lstm, gru, rnn or irnn.")] = "lstm",
) -> Study:
    """Optimizers on the same model, text and batches, each at the best of a few learning rates."""
    from nlp.studies.optimizers import RATES, chosen_rates, study_optimizers

    return study_optimizers(prepared, size, ask, model=model, rates=chosen_rates(optimizer or list(RATES)))


def dropout(
    prepared: Prepared,
    size: Size,
    ask: Ask,
    *,
    rate: Annotated[float, typer.Option(help="With which probability things are dropped.")] = 0.5,
) -> Study:
    """No dropout, between layers, with one mask for all time steps, and of recurrent weights."""
    from nlp.studies.dropout import study_dropout

    return study_dropout(prepared, size, ask, rate=rate)


def weights(prepared: Prepared, size: Size, ask: Ask) -> Study:
    """L1 and L2 on the recurrent weights alone, in several strengths."""
    from nlp.studies.weights import study_weights

    return study_weights(prepared, size, ask)


# ---- what they share ------------------------------------------------------------------------------------------------


def _shared(
    level: Annotated[
        str | None, typer.Option(help="What a token is: word, char, byte or bpe.", rich_help_panel=TEXT)
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder for NAME.png and NAME.json, written over.")] = OUT,
    tokens: Annotated[int | None, typer.Option(help="To train on, at most.", rich_help_panel=SIZE)] = None,
    hidden: Annotated[int | None, typer.Option(help="Units of the layer.", rich_help_panel=SIZE)] = None,
    epochs: Annotated[int | None, typer.Option(help="Of each training.", rich_help_panel=SIZE)] = None,
    bptt: Annotated[
        int | None, typer.Option(help="Time steps that a gradient goes back in training.", rich_help_panel=SIZE)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Stretches of the text read side by side.", rich_help_panel=SIZE)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Where the random numbers start.", rich_help_panel=SIZE)] = None,
) -> None:
    """The options that every study has beside those of its text."""


def _as_command(own: Run) -> Callable[..., None]:
    """The study as a command: its own options behind those that all have, and their defaults in the help."""
    name = own.__name__

    def command(**given: Any) -> None:
        texts = text_sources(given)
        out = given.pop("out")
        chosen = {field.name: given.pop(field.name, None) for field in fields(Size)}
        size = Size(**{**SIZES[name], **{option: value for option, value in chosen.items() if value is not None}})
        _run(name, own, texts, out, size, given)

    parameters = [
        *text_parameters(test=False),
        *_parameters(_shared),
        *(one for one in _parameters(own) if one.kind is one.KEYWORD_ONLY),
    ]
    parameters = [one.replace(kind=one.KEYWORD_ONLY) for one in parameters]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    usual = {**{field.name: field.default for field in fields(Size)}, **SIZES[name]}
    sizes = ", ".join(f"{flag(option)} {value}" for option, value in usual.items())
    command.__doc__ = f"{own.__doc__}\n\nDefault: {sizes}."
    return command


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a command with their types as typer reads them."""
    own = [
        one for one in inspect.signature(function).parameters.values() if one.name not in ("prepared", "size", "ask")
    ]
    known = {**function.__globals__, "Prepared": Any, "Ask": Any, "Study": Any}
    hints = get_type_hints(function, known, include_extras=True)
    return [one.replace(annotation=hints[one.name]) for one in own]


def _run(name: str, own: Run, sources: dict[str, Any], out: Path, size: Size, options: dict[str, Any]) -> None:
    """Study to the end, or until a signal asks to stop; what is done is written either way."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from nlp.commands.progress import reading
    from nlp.studies.material import read_text
    from nlp.studies.result import folder_for, write
    from nlp.training.stopping import listening_for_stop

    console = Console()
    with reading(console) as note:
        prepared = read_text(sources or None, size, note)
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with folder_for(out), listening_for_stop() as stop, bar:
        task = bar.add_task(name, total=1.0)

        def ask(what: str, share: float) -> bool:
            bar.update(task, description=what, completed=share)
            return not stop

        study = own(prepared, size, ask, **options)
    console.print(figures(*study.table()))
    numbers, picture = write(study, name, out, size, prepared)
    say(console, f"\nthe picture is in {picture}, the numbers are in {numbers}")
    if stop:
        typer.echo("nlp: stopped: the trainings that were not done are left out", err=True)
        raise typer.Exit(stop.exit_code)
