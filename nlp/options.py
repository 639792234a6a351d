"""Options as they are declared, chosen, read from a file and kept: what the configurations of all trainings share.

Each option is declared once, as a field of a subclass of `Options`: its kind, its range, its words in the help.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

import numpy as np

from nlp.errors import NlpError, did_you_mean

__all__ = ["COUNT", "POSITIVE", "SHARE", "Options", "Range", "flag", "in_words", "option"]


@dataclass(frozen=True)
class Range:
    """The numbers an option may have: `low` to `high`, the ends included unless said otherwise."""

    low: float
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high) and value < math.inf

    def __str__(self) -> str:
        low = f"{'above' if self.open_low else 'at least'} {self.low}"
        if math.isinf(self.high):
            return low
        return f"{low} and {'below' if self.open_high else 'at most'} {self.high}"


COUNT = Range(1)
SHARE = Range(0, 1, open_high=True)
POSITIVE = Range(0, open_low=True)


def option(
    panel: str, help: str, range: Range | None = None, *, models: tuple[str, ...] | None = None, **default: Any
) -> Any:
    """A field with its words for the help and the numbers it may have, for these models alone or, None, for all.

    One without a default takes one that depends on other options: see `Options.defaults`.
    """
    return dataclasses.field(metadata={"panel": panel, "help": help, "range": range, "models": models}, **default)


class Options:
    """A complete choice: a frozen dataclass whose fields are made by `option`.

    `TASK` is what they are for: see `nlp.tasks`. `CHANGEABLE` names what may differ when a run goes on: how long, with
    what, and how far a step may go, but not what is trained. `PRESETS` are options under a name. Raises NlpError for a
    value of the wrong kind or outside its range.
    """

    CHANGEABLE: ClassVar[tuple[str, ...]] = ()
    TASK: ClassVar[str] = ""
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    NONE_MEANS: ClassVar[Mapping[str, str]] = {}  # by option: what None is in words, where that is not "no limit"

    # ---- what a subclass says ---------------------------------------------------------------------------------------

    @classmethod
    def defaults(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is not given, as far as it depends on what is."""
        return {}

    @classmethod
    def defaults_in_words(cls) -> dict[str, str]:
        """The same for the help: by option, in words."""
        return {}

    def check(self) -> None:
        """Raise NlpError where options do not go together."""

    def unheard(self) -> dict[str, str]:
        """By option that means nothing beside the others, in words, what it would go with."""
        return {}

    # ---- choosing ---------------------------------------------------------------------------------------------------

    def __post_init__(self) -> None:
        for name in self.fields():
            self.check_option(name, getattr(self, name))
        self.check()

    @classmethod
    def choose(cls, preset: str | None = None, file: str | os.PathLike[str] | None = None, **options: Any) -> Self:
        """A choice of the options that are given; then those of the file (see `read`), then those of the preset; what
        is missing or None takes its default. `Config.choose(level="char", hidden=512)`.

        What a preset says that means nothing beside the other options takes its default, too. Raises NlpError for such
        an option that is given, for one outside its range or of another model, for a preset or option that there is
        not, and for a bad file.
        """
        if preset is not None and (not isinstance(preset, str) or preset not in cls.PRESETS):
            raise NlpError(f"--preset is one of {', '.join(cls.PRESETS)}, not {preset!r}")
        chosen = {name: value for name, value in options.items() if value is not None}
        of_preset = f" of --preset {preset}"
        sources = {
            of_preset: cls.PRESETS.get(preset or "", {}),
            f" of {file}": {} if file is None else cls.read(file),
            "": cls.known(chosen),
        }
        given = {name: value for options in sources.values() for name, value in options.items()}
        said_by = {name: source for source, options in sources.items() for name in options}
        choice = cls._complete(given, said_by)
        for name, with_what in choice.unheard().items():
            source = said_by.get(name, "")
            if getattr(choice, name) != cls.fields()[name].default and source != of_preset:
                raise NlpError(f"{flag(name)}{source} goes with {with_what}: {_remedy(source)}")
        return choice._heard()

    @classmethod
    def choose_heard(cls, options: Mapping[str, Any]) -> Self:
        """The same of options for a whole search, of which some mean nothing beside others here: these take their
        defaults."""
        given = cls.known({name: value for name, value in options.items() if value is not None})
        return cls._complete(given, {})._heard()

    @classmethod
    def _complete(cls, given: Mapping[str, Any], said_by: Mapping[str, str]) -> Self:
        """What is given, and the defaults; `said_by` as `_expect_own` takes it."""
        for name, value in given.items():  # before one sets another's default: what is named is what was given
            cls.check_option(name, value)
        cls._expect_own(given, said_by)
        return cls(**{**cls.defaults(given), **given})

    def _heard(self) -> Self:
        """With the defaults of the options that mean nothing beside the others."""
        usual = {name: self.fields()[name].default for name in self.unheard()}
        return type(self)(**{**self.to_json(), **usual})

    @classmethod
    def _expect_own(cls, given: Mapping[str, Any], said_by: Mapping[str, str]) -> None:
        """NlpError for an option that was given and means nothing to the model. A default means nothing anyhow.

        `said_by` is what to add to an option's name: where it comes from.
        """
        usual = {name: field.default for name, field in cls.fields().items()}
        model = given.get("model", usual.get("model"))
        others = {name: field.metadata["models"] for name, field in cls.fields().items()}
        others = {name: models for name, models in others.items() if models is not None and model not in models}
        usual.update(cls.defaults({name: value for name, value in given.items() if name not in others}))
        for name, models in others.items():
            if name in given and given[name] != usual[name]:
                *first, last = models
                named = f"{', '.join(first)} or {last}" if first else last
                source = said_by.get(name, "")
                raise NlpError(f"{flag(name)}{source} goes with --model {named}, not with {model}: {_remedy(source)}")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> dict[str, Any]:
        """The options in a TOML or JSON file: names as on the command line, with - or _; a run's config.json too.

        Raises NlpError for a file that is missing or neither, and for an option that there is not.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise NlpError(f"the configuration file {path} cannot be read: {reason}") from error
        try:
            content = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise NlpError(f"the configuration file {path} is neither TOML nor JSON: {error}") from error
        try:
            options = cls.known(content.get("options", content))
        except NlpError as error:
            raise NlpError(f"{path}: {error}") from error
        return {name: value for name, value in options.items() if value is not None}

    @classmethod
    def known(cls, values: Any) -> dict[str, Any]:
        """The values by the names of the fields, - or _ in what is given; NumPy's numbers as Python's.

        Raises NlpError for what is no mapping, and for an option that there is not or that is there twice.
        """
        if not isinstance(values, Mapping):
            raise NlpError("the configuration is not a JSON object of options and their values")
        given: dict[str, Any] = {}
        for spelled, value in values.items():
            name = str(spelled).replace("-", "_")
            if name not in cls.fields():
                meant = did_you_mean(name, cls.fields())
                raise NlpError(f"the configuration has an option that this version does not know: {name!r}{meant}")
            if name in given:
                raise NlpError(
                    f"the configuration has one option twice, as {flag(name)[2:]} and as {name}: leave one out"
                )
            given[name] = value.item() if isinstance(value, np.generic) else value
        return given

    # ---- keeping ----------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The choice as plain values, in the order of the fields."""
        return {name: getattr(self, name) for name in self.fields()}

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """The choice that `to_json` wrote; NlpError where a field is missing, unknown or of the wrong kind.

        An option that an earlier version did not have yet takes its default, where that depends on no other option.
        """
        given = cls.known(values)
        without = [name for name, field in cls.fields().items() if field.default is dataclasses.MISSING]
        if missing := [name for name in without if name not in given]:
            raise NlpError(f"the configuration lacks the option {missing[0]!r}")
        return cls(**given)

    def going_on(self, run: str, options: Mapping[str, Any]) -> Self:
        """The run's configuration with those of the options that may change (`CHANGEABLE`).

        Raises NlpError that says the difference where another one is not what the run was started with.
        """
        given = {name: value for name, value in self.known(options).items() if value is not None}
        self._expect_own({**self.to_json(), **given}, {})
        differing = [
            f"{flag(name)} {in_words(getattr(self, name))}, not {in_words(value)}"
            for name, value in given.items()
            if name not in self.CHANGEABLE and value not in (getattr(self, name), getattr(self._heard(), name))
        ]
        fixed = self._fixed_by_another(given)
        if differing or fixed:
            may_change = [flag(name) for name in self.CHANGEABLE if not (name == "epochs" and self._leads_to_an_end())]
            raise NlpError(
                f"{run} was started with {'; '.join(differing + fixed)}: go on without that, or start a new run "
                f"(only {', '.join(may_change)} may change)"
            )
        return type(self)(**{**self.to_json(), **{name: given[name] for name in self.CHANGEABLE if name in given}})

    def _fixed_by_another(self, given: Mapping[str, Any]) -> list[str]:
        """The schedules that lead to an end move with it."""
        epochs, schedule = getattr(self, "epochs", None), getattr(self, "schedule", None)
        if given.get("epochs", epochs) == epochs or not self._leads_to_an_end():
            return []
        return [f"--epochs {epochs}, on which its --schedule {schedule} depends, not {given['epochs']}"]

    def _leads_to_an_end(self) -> bool:
        """Whether the learning rate falls towards the last epoch."""
        return getattr(self, "schedule", None) in ("cosine", "linear")

    # ---- the fields -------------------------------------------------------------------------------------------------

    @classmethod
    def fields(cls) -> dict[str, dataclasses.Field[Any]]:
        """The options by name, in the order of the help."""
        this: Any = cls  # a type checker takes a dataclass that is none yet for unhashable
        return _fields(this)

    @classmethod
    def kind(cls, name: str) -> Any:
        """What an option is: int, float, bool, str, or the Literal of the words there are; None beside it or not."""
        hint = cls._hint(name)
        return hint if get_origin(hint) is Literal else (get_args(hint) or (hint,))[0]

    @classmethod
    def _hint(cls, name: str) -> Any:
        this: Any = cls
        return _hints(this)[name]

    @classmethod
    def check_option(cls, name: str, value: Any) -> None:
        """Raise NlpError unless the value is of the option's kind and in its range."""
        hint = cls._hint(name)
        kinds = get_args(hint) or (hint,)
        if get_origin(hint) is Literal:
            if value not in kinds:
                raise NlpError(f"{flag(name)} is one of {', '.join(kinds)}, not {value!r}")
        elif type(value) not in kinds and not (type(value) is int and float in kinds):
            raise NlpError(f"{flag(name)} takes {_SPOKEN[kinds[0]]}, not {value!r}")
        allowed = cls.fields()[name].metadata["range"]
        if allowed is not None and value is not None and value not in allowed:
            finite = "" if -math.inf < value < math.inf else ": give a finite number"
            raise NlpError(f"{flag(name)} must be {allowed}, not {value}{finite}")

    @classmethod
    def default_in_words(cls, name: str) -> str:
        """What an option is when it is not given, for the help text."""
        said = cls.defaults_in_words()
        if name in said:
            return said[name]
        value = cls.fields()[name].default
        return in_words(value) if value is not None else cls.NONE_MEANS.get(name, "no limit")


@cache
def _fields(kind: Any) -> dict[str, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(kind)}


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


_SPOKEN = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


def _remedy(source: str) -> str:
    return "leave that out" if source else "leave it out"


def flag(name: str) -> str:
    """The option as it is written on the command line: `batch_size` is `--batch-size`."""
    return "--" + name.replace("_", "-")


def in_words(value: Any) -> str:
    """A value as one says it: on and off for booleans."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
