"""Options that several commands have: those of a configuration, and where the text is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from nlp.config import Config
from nlp.options import Options
from nlp.run_options import PANELS, TEXT

__all__ = ["ConfigFile", "JsonFile", "Out", "Preset", "Resume", "text_parameters", "text_sources", "with_options"]

# The texts are no `Path` yet: that would make the folder "." of an empty name.
Files = Annotated[
    list[str] | None,
    typer.Argument(help="Further files, as with --text, or with --data where that is given.", show_default=False),
]
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
Data = Annotated[
    list[str] | None,
    typer.Option(
        help="A .csv, .tsv or .jsonl file of documents such as reviews, dealt out 90/5/5; may be repeated.",
        metavar="<path>",
        rich_help_panel=TEXT,
    ),
]
Field = Annotated[
    str | None,
    typer.Option(
        help="The field of --data that holds the text. Default: text.",
        metavar="<name>",
        show_default=False,
        rich_help_panel=TEXT,
    ),
]
Preset = Annotated[str | None, typer.Option(help=f"A paper's settings: {', '.join(Config.PRESETS)}.")]
ConfigFile = Annotated[Path | None, typer.Option(help="Options from a TOML or JSON file, or a run's config.json.")]


JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Write all of it into this file too.", show_default=False)
]
Out = Annotated[
    Path | None, typer.Option(help="The run folder. Default: the first free runs/NAME-N.", show_default=False)
]
Resume = Annotated[Path | None, typer.Option(help="Go on with the run in this folder, to the bit as if never stopped.")]

FEW = 4  # models that are named where an option is for them alone; of more, what is refused says so
_TEXTS = {
    "files": Files,
    "text": Texts,
    "train": Train,
    "valid": Valid,
    "test": Test,
    "data": Data,
    "field": Field,
}


def text_parameters(*, test: bool = True) -> list[inspect.Parameter]:
    """The options that say where the text is, for a command that is put together; `text_sources` takes them.

    `test`: whether there is one for a text to judge the result by.
    """
    return [_parameter(name, annotation) for name, annotation in _TEXTS.items() if test or name != "test"]


def text_sources(options: dict[str, Any]) -> dict[str, Any]:
    """The texts that were given, as `nlp.text.load_corpus` takes them; they are taken out of the options."""
    texts = {name: options.pop(name, None) for name in _TEXTS}
    kind = "data" if texts["data"] and not texts["text"] else "text"  # what files are of that stand without an option
    texts[kind] = [*(texts[kind] or ()), *(texts.pop("files") or ())]
    return {name: value for name, value in texts.items() if value not in (None, [])}


def with_options(kind: type[Options], *, test: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command with an option for each field of `kind`, and for each text (see `text_parameters`), in the place of its
    `**options`."""

    def panel(name: str) -> int:
        return PANELS.index(kind.fields()[name].metadata["panel"])

    def changed(command: Callable[..., Any]) -> Callable[..., Any]:
        hints = get_type_hints(command, include_extras=True)
        own = [one for one in inspect.signature(command).parameters.values() if one.kind is not one.VAR_KEYWORD]
        parameters = [
            *text_parameters(test=test),
            *(one.replace(annotation=hints[one.name], kind=one.KEYWORD_ONLY) for one in own),
            *(_parameter(name, _spoken(kind, name)) for name in sorted(kind.fields(), key=panel)),
        ]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return changed


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _spoken(options: type[Options], name: str) -> Any:
    """The type of an option on the command line, with its words for the help."""
    kind, about = options.kind(name), options.fields()[name].metadata
    few = about["models"] is not None and len(about["models"]) <= FEW
    goes_with = f" Only of --model {', '.join(about['models'])}." if few else ""
    spoken = typer.Option(
        help=f"{about['help']}{goes_with} Default: {options.default_in_words(name)}.",
        show_default=False,
        rich_help_panel=about["panel"],
    )
    return Annotated[(kind if isinstance(kind, type) else str) | None, spoken]  # str: a word of a few
