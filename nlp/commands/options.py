"""Options that several commands have: those of Config, and where the text is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from nlp.config import TEXT, Config

__all__ = ["ConfigFile", "Files", "Preset", "Test", "Texts", "Train", "Valid", "text_sources", "with_config_options"]

# The texts are no `Path` yet: that would make the folder "." of an empty name.
Files = Annotated[list[str] | None, typer.Argument(help="Texts, as with --text.", show_default=False)]
Texts = Annotated[
    list[str] | None,
    typer.Option(help="A UTF-8 text, split 90/5/5; may be repeated.", metavar="<path>", rich_help_panel=TEXT),
]
Train = Annotated[
    str | None, typer.Option(help="A text to train on, taken whole.", metavar="<path>", rich_help_panel=TEXT)
]
Valid = Annotated[
    str | None,
    typer.Option(help="A text to choose the best weights by, beside --train.", metavar="<path>", rich_help_panel=TEXT),
]
Test = Annotated[
    str | None,
    typer.Option(help="A text to judge the result by, beside --train.", metavar="<path>", rich_help_panel=TEXT),
]
Preset = Annotated[str | None, typer.Option(help=f"A paper's settings: {', '.join(Config.PRESETS)}.")]
ConfigFile = Annotated[Path | None, typer.Option(help="Options from a TOML or JSON file, or a run's config.json.")]


def text_sources(
    files: list[str] | None, text: list[str] | None, train: str | None, valid: str | None, test: str | None
) -> dict[str, Any]:
    """The texts that were given, as `nlp.text.load_corpus` takes them."""
    texts = {"text": [*(text or ()), *(files or ())], "train": train, "valid": valid, "test": test}
    return {name: value for name, value in texts.items() if value not in (None, [])}


def with_config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with an option for each field of Config in the place of its `**options`."""
    hints = get_type_hints(command, include_extras=True)
    own = [one for one in inspect.signature(command).parameters.values() if one.kind is not one.VAR_KEYWORD]
    parameters = [one.replace(annotation=hints[one.name]) for one in own]
    for name, field in Config.fields().items():
        kind: Any = Config.kind(name) if isinstance(Config.kind(name), type) else str  # a word of a few
        spoken = typer.Option(
            help=f"{field.metadata['help']} Default: {Config.default_in_words(name)}.",
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
