"""Everything that decides what a run trains, checked: the same from the command line, from a file and from Python.

Each option is declared once, as a field of `Config`: its kind, its range, its words in the help.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from nlp.errors import NlpError, did_you_mean
from nlp.presets import PRESETS

__all__ = [
    "CHANGEABLE",
    "Config",
    "check_option",
    "choose",
    "default_of",
    "flag",
    "known_options",
    "read_options",
    "refuse_change",
]

Level = Literal["word", "char", "byte", "bpe"]
Cell = Literal["lstm", "gru", "rnn"]
OptimizerName = Literal["sgd", "adam", "adamw", "nadam", "adagrad", "adadelta", "rmsprop"]
Schedule = Literal["plateau", "constant", "exponential", "cosine"]

# What is not chosen: by level, and the learning rate by optimizer.
_LETTERS = {"embedding": 64, "hidden": 256, "layers": 1, "dropout": 0.1, "tied": False, "bptt": 64, "min_count": 1}
_WORDS = {"embedding": 256, "hidden": 256, "layers": 1, "dropout": 0.5, "tied": True, "bptt": 35, "min_count": 2}
_LEVEL_DEFAULTS: dict[str, dict[str, Any]] = {
    "word": {**_WORDS, "vocab_size": None},
    "char": {**_LETTERS, "vocab_size": None},
    "byte": {**_LETTERS, "vocab_size": None},
    "bpe": {**_WORDS, "dropout": 0.3, "bptt": 48, "vocab_size": 4096},
}
_LEARNING_RATES = {
    "sgd": 20.0,
    "adam": 0.004,
    "adamw": 0.004,
    "nadam": 0.004,
    "adagrad": 0.05,
    "adadelta": 1.0,
    "rmsprop": 0.002,
}


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


_COUNT = Range(1)
_SHARE = Range(0, 1, open_high=True)
_POSITIVE = Range(0, open_low=True)
TEXT, MODEL, TRAINING, MACHINE = "The text", "The model", "The training", "The machine"


def _option(panel: str, help: str, range: Range | None = None, **default: Any) -> Any:
    """A field with its words for the help, and the numbers it may have; without a default one of `_LEVEL_DEFAULTS`."""
    return dataclasses.field(metadata={"panel": panel, "help": help, "range": range}, **default)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The complete choice; `choose` fills in what was not said. Raises NlpError for a value outside its range."""

    level: Level = _option(TEXT, "What a token is: word, char, byte or bpe.", default="word")
    lowercase: bool = _option(TEXT, "Lower-case the text first.", default=False)
    min_count: int = _option(
        TEXT,
        "How often a word must occur to be known; the others are <unk>. At level bpe: a pair, to be joined.",
        _COUNT,
    )
    vocab_size: int | None = _option(
        TEXT, "The number of tokens to know, the most frequent. Level byte always has 256.", Range(2)
    )

    model: Cell = _option(MODEL, "lstm, gru or rnn.", default="lstm")
    embedding: int = _option(MODEL, "Numbers that stand for a token.", _COUNT)
    hidden: int = _option(MODEL, "Units in a recurrent layer.", _COUNT)
    layers: int = _option(MODEL, "Recurrent layers.", Range(1, 16))
    tied: bool = _option(MODEL, "Use the embedding as the output layer too.")
    dropout: float = _option(MODEL, "Share of the last layer's outputs left out in training.", _SHARE)
    dropout_input: float | None = _option(MODEL, "The same of the embedded tokens.", _SHARE, default=None)
    dropout_between: float | None = _option(MODEL, "The same between the layers.", _SHARE, default=None)
    dropout_words: float = _option(MODEL, "Share of the tokens left out wherever they occur.", _SHARE, default=0.0)
    weight_drop: float = _option(MODEL, "Share of the recurrent weights left out.", _SHARE, default=0.0)
    locked: bool = _option(MODEL, "Leave out the same units at all time steps of a window.", default=False)
    initial_range: float | None = _option(
        MODEL, "Start all weights but the output bias in U(-R, R).", Range(0, 10, open_low=True), default=None
    )
    unigram_bias: bool = _option(
        MODEL, "Start the output bias at the logarithm of the tokens' counts, one added to each.", default=True
    )

    optimizer: OptimizerName = _option(
        TRAINING, "sgd, adam, adamw, nadam, adagrad, adadelta or rmsprop.", default="adam"
    )
    lr: float = _option(TRAINING, "Learning rate.", _POSITIVE)
    momentum: float = _option(TRAINING, "Momentum of sgd or rmsprop.", _SHARE, default=0.0)
    weight_decay: float = _option(TRAINING, "Pull of the weights to zero (L2).", Range(0), default=0.0)
    schedule: Schedule = _option(
        TRAINING,
        "How the learning rate falls: plateau (after an epoch without progress), exponential (after every epoch from "
        "--decay-after on), cosine (to 0 at the last epoch) or constant.",
        default="plateau",
    )
    decay: float = _option(TRAINING, "What plateau and exponential divide the rate by.", Range(1), default=4.0)
    decay_after: int = _option(TRAINING, "Epochs at the full rate before exponential begins.", Range(0), default=0)
    bptt: int = _option(TRAINING, "Time steps that a gradient goes back.", _COUNT)
    bptt_drawn: bool = _option(
        TRAINING, "Draw the time steps around --bptt for every window (Merity et al. 2018).", default=False
    )
    batch_size: int = _option(TRAINING, "Stretches of the text read side by side.", _COUNT, default=20)
    epochs: int = _option(TRAINING, "Passes over the text, at most.", _COUNT, default=12)
    clip: float = _option(TRAINING, "Largest norm of the gradient; 0: any.", Range(0), default=0.5)
    activation_penalty: float = _option(
        TRAINING, "Weight of the squared outputs in the objective.", Range(0), default=0.0
    )
    change_penalty: float = _option(
        TRAINING, "Weight of the squared change of the outputs from step to step.", Range(0), default=0.0
    )
    nt_asgd: int = _option(
        TRAINING,
        "Average the weights once the validation loss has not fallen for so many epochs (Merity et al. 2018); 0: no.",
        Range(0),
        default=0,
    )
    patience: int = _option(TRAINING, "Epochs without progress before training ends; 0: go on.", Range(0), default=2)
    max_minutes: float | None = _option(TRAINING, "End training after this time.", _POSITIVE, default=None)
    seed: int = _option(TRAINING, "Where the random numbers start.", Range(0, 2**63 - 1), default=1)

    device: str = _option(MACHINE, "cpu, cuda or cuda:N.", default="cpu")
    threads: int | None = _option(MACHINE, "Processor threads to compute with.", Range(1, 1024), default=None)
    checkpoint_minutes: float = _option(
        MACHINE, "Time between two checkpoints, beside the one after each epoch.", _POSITIVE, default=2.0
    )

    def __post_init__(self) -> None:
        for name in _FIELDS:
            check_option(name, getattr(self, name))
        if self.tied and self.embedding != self.hidden and self.layers == 1:
            raise NlpError(
                f"--tied uses the embedding as the output layer, so that with one layer --embedding "
                f"({self.embedding}) and --hidden ({self.hidden}) must be equal"
            )
        if self.momentum and self.optimizer not in ("sgd", "rmsprop"):
            raise NlpError(f"--momentum goes with --optimizer sgd or rmsprop, not with {self.optimizer}")
        if self.nt_asgd and (self.optimizer != "sgd" or self.momentum):
            other = f"--optimizer {self.optimizer}" if self.optimizer != "sgd" else "--momentum"
            raise NlpError(f"--nt-asgd averages what plain sgd does: it does not go with {other}")
        if 0 < self.patience <= self.nt_asgd:
            raise NlpError(
                f"--patience {self.patience} ends training before --nt-asgd {self.nt_asgd} can begin to average: "
                f"give --patience 0, or more than {self.nt_asgd}"
            )
        if self.lowercase and self.level == "byte":
            raise NlpError("--lowercase changes characters, and --level byte reads bytes: leave one of them out")
        if self.level == "byte" and (self.vocab_size is not None or self.min_count != 1):
            other = "--min-count" if self.vocab_size is None else "--vocab-size"
            raise NlpError(f"--level byte always knows the 256 bytes, so {other} does not go with it: leave it out")

    def to_json(self) -> dict[str, Any]:
        """The choice as plain values, in the order of the fields."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Config:
        """The choice that `to_json` wrote; NlpError where a field is missing, unknown or of the wrong kind."""
        given = known_options(values)
        if missing := [name for name in _FIELDS if name not in given]:
            raise NlpError(f"the configuration lacks the option {missing[0]!r}")
        return cls(**given)


_FIELDS = {field.name: field for field in dataclasses.fields(Config)}
_KINDS = get_type_hints(Config)

# What may differ when a run goes on: how long, with what, and how far a step may go, but not what is trained.
CHANGEABLE = ("epochs", "patience", "clip", "max_minutes", "device", "threads", "checkpoint_minutes")


def choose(preset: str | None = None, file: str | os.PathLike[str] | None = None, **options: Any) -> Config:
    """A Config of the options that are given; then those of the file (see `read_options`), then those of the preset;
    what is missing or None takes the default of its level.

    `choose(level="char", hidden=512)`. Where the weights are tied, whichever of embedding and hidden is not given
    follows the other; where both are given and differ, the weights are not tied unless you say so.

    Raises NlpError for an option outside its range, for a preset or option that there is not, and for a bad file.
    """
    if preset is not None and (not isinstance(preset, str) or preset not in PRESETS):
        raise NlpError(f"--preset is one of {', '.join(PRESETS)}, not {preset!r}")
    chosen = {name: value for name, value in options.items() if value is not None}
    given = {**PRESETS.get(preset or "", {}), **({} if file is None else read_options(file)), **known_options(chosen)}
    level, optimizer = given.get("level", Config.level), given.get("optimizer", Config.optimizer)
    check_option("level", level)
    check_option("optimizer", optimizer)
    defaults = {**_LEVEL_DEFAULTS[level], "lr": _LEARNING_RATES[optimizer]}
    for name, value in given.items():  # before one size sets another: what is named is what was given
        check_option(name, value)
    sizes = {given[name] for name in ("embedding", "hidden") if name in given}
    if len(sizes) == 2:
        defaults["tied"] = False
    elif given.get("tied", defaults["tied"]):
        defaults["embedding"] = defaults["hidden"] = sizes.pop() if sizes else defaults["hidden"]
    return Config(**{**defaults, **given})


def read_options(path: str | os.PathLike[str]) -> dict[str, Any]:
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
        options = known_options(content.get("options", content))
    except NlpError as error:
        raise NlpError(f"{path}: {error}") from error
    return {name: value for name, value in options.items() if value is not None}


def known_options(values: Any) -> dict[str, Any]:
    """The values by the names of Config's fields, - or _ in what is given; NumPy's numbers as Python's.

    Raises NlpError for what is no mapping, and for an option that there is not or that is there twice.
    """
    if not isinstance(values, Mapping):
        raise NlpError("the configuration is not a JSON object of options and their values")
    given: dict[str, Any] = {}
    for spelled, value in values.items():
        name = str(spelled).replace("-", "_")
        if name not in _FIELDS:
            meant = did_you_mean(name, _FIELDS)
            raise NlpError(f"the configuration has an option that this version does not know: {name!r}{meant}")
        if name in given:
            raise NlpError(f"the configuration has one option twice, as {flag(name)[2:]} and as {name}: leave one out")
        given[name] = value.item() if isinstance(value, np.generic) else value
    return given


def refuse_change(run: str, config: Config, options: Mapping[str, Any]) -> Config:
    """The run's configuration with those of the options that may change (`CHANGEABLE`).

    Raises NlpError that says the difference where another one is not what the run was started with.
    """
    given = {name: value for name, value in known_options(options).items() if value is not None}
    differing = [
        f"{flag(name)} {_in_words(getattr(config, name))}, not {_in_words(value)}"
        for name, value in given.items()
        if name not in CHANGEABLE and value != getattr(config, name)
    ]
    if "epochs" in given and given["epochs"] != config.epochs and config.schedule == "cosine":
        differing.append(f"--epochs {config.epochs}, on which its --schedule cosine depends, not {given['epochs']}")
    if differing:
        raise NlpError(
            f"{run} was started with {'; '.join(differing)}: go on without that, or start a new run "
            f"(only {', '.join(flag(name) for name in CHANGEABLE)} may change)"
        )
    return Config(**{**config.to_json(), **{name: given[name] for name in CHANGEABLE if name in given}})


def default_of(name: str) -> str:
    """What an option is when it is not given, in words, for the help text."""
    by_level = {level: defaults[name] for level, defaults in _LEVEL_DEFAULTS.items() if name in defaults}
    if name == "lr":
        return ", ".join(f"{optimizer} {rate:g}" for optimizer, rate in _LEARNING_RATES.items())
    if len(set(by_level.values())) > 1:
        return ", ".join(f"{level} {_default_in_words(name, value, level)}" for level, value in by_level.items())
    value = next(iter(by_level.values())) if by_level else _FIELDS[name].default
    return _default_in_words(name, value)


_NONE_MEANS = {
    "vocab_size byte": "256",
    "threads": "all",
    "dropout_input": "that of --dropout",
    "dropout_between": "that of --dropout",
    "initial_range": "each layer's own",
}


def _default_in_words(name: str, value: Any, level: str = "") -> str:
    if value is not None:
        return _in_words(value)
    return _NONE_MEANS.get(f"{name} {level}".rstrip(), "no limit")


def _in_words(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def flag(name: str) -> str:
    """The option as it is written on the command line: `batch_size` is `--batch-size`."""
    return "--" + name.replace("_", "-")


def check_option(name: str, value: Any) -> None:
    """Raise NlpError unless the value is of the option's kind and in its range."""
    _check_kind(name, value)
    _check_range(name, value)


def _check_kind(name: str, value: Any) -> None:
    """NlpError unless the value is what the field's annotation says: a run's config.json may be edited by hand."""
    hint = _KINDS[name]
    kinds = get_args(hint) or (hint,)
    if get_origin(hint) is Literal:
        if value not in kinds:
            raise NlpError(f"{flag(name)} is one of {', '.join(kinds)}, not {value!r}")
    elif type(value) not in kinds and not (type(value) is int and float in kinds):
        raise NlpError(f"{flag(name)} takes {_SPOKEN[kinds[0]]}, not {value!r}")


_SPOKEN = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


def _check_range(name: str, value: Any) -> None:
    allowed = _FIELDS[name].metadata["range"]
    if allowed is not None and value is not None and value not in allowed:
        finite = "" if -math.inf < value < math.inf else ": give a finite number"
        raise NlpError(f"{flag(name)} must be {allowed}, not {value}{finite}")
