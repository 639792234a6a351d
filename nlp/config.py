"""Everything that decides what a run trains, checked: the same from the command line and from Python."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from nlp.errors import NlpError

__all__ = ["Config", "choose", "default_of"]

Level = Literal["word", "char"]
Cell = Literal["lstm", "gru", "rnn"]
OptimizerName = Literal["sgd", "adam", "adagrad", "rmsprop"]

# What is not chosen: by level, and the learning rate by optimizer.
_LEVEL_DEFAULTS: dict[str, dict[str, Any]] = {
    "word": {"embedding": 256, "hidden": 256, "layers": 1, "dropout": 0.5, "tied": True, "bptt": 35, "min_count": 2},
    "char": {"embedding": 64, "hidden": 256, "layers": 1, "dropout": 0.1, "tied": False, "bptt": 64, "min_count": 1},
}
_LEARNING_RATES = {"sgd": 20.0, "adam": 0.004, "adagrad": 0.05, "rmsprop": 0.002}


@dataclass(frozen=True)
class Range:
    """The numbers an option may have: `low` to `high`, the ends included unless said otherwise."""

    low: float
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high) and math.isfinite(value)

    def __str__(self) -> str:
        low = f"{'above' if self.open_low else 'at least'} {self.low:g}"
        if math.isinf(self.high):
            return low
        return f"{low} and {'below' if self.open_high else 'at most'} {self.high:g}"


_COUNT = Range(1)
_RANGES = {
    "embedding": _COUNT,
    "hidden": _COUNT,
    "layers": Range(1, 16),
    "dropout": Range(0, 1, open_high=True),
    "bptt": _COUNT,
    "batch_size": _COUNT,
    "epochs": _COUNT,
    "lr": Range(0, open_low=True),
    "clip": Range(0),
    "patience": _COUNT,
    "seed": Range(0, 2**63 - 1),
    "min_count": _COUNT,
    "vocab_size": Range(2),
    "threads": Range(1, 1024),
    "max_minutes": Range(0, open_low=True),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """The complete choice; `choose` fills in what was not said. Raises NlpError for a value outside its range."""

    level: Level = "word"
    lowercase: bool = False
    model: Cell = "lstm"
    embedding: int
    hidden: int
    layers: int
    dropout: float
    tied: bool
    bptt: int
    batch_size: int = 20
    epochs: int = 12
    optimizer: OptimizerName = "adam"
    lr: float
    clip: float = 0.5  # largest norm of the gradient; 0: as it is
    patience: int = 2  # epochs without a better validation loss before training ends
    seed: int = 1
    vocab_size: int | None = None  # the most frequent words to keep; None: all
    min_count: int
    device: str = "cpu"
    threads: int | None = None  # None: as many as there are processors
    max_minutes: float | None = None

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            _check_kind(name, getattr(self, name), hint)
            _check_range(name, getattr(self, name))
        if self.tied and self.embedding != self.hidden:
            raise NlpError(
                f"--tied uses the embedding as the output layer, so --embedding ({self.embedding}) and "
                f"--hidden ({self.hidden}) must be equal"
            )

    def to_json(self) -> dict[str, Any]:
        """The choice as plain values, in the order of the fields."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Config:
        """The choice that `to_json` wrote; NlpError where a field is missing, unknown or of the wrong kind."""
        if not isinstance(values, dict):
            raise NlpError("the configuration is not a JSON object of options and their values")
        names = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - names):
            raise NlpError(f"the configuration has an option that this version does not know: {unknown[0]!r}")
        if missing := sorted(names - set(values)):
            raise NlpError(f"the configuration lacks the option {missing[0]!r}")
        return cls(**values)


def choose(**options: Any) -> Config:
    """A Config of the options that are given; what is missing or None takes the default of its level.

    `choose(level="char", hidden=512)`. Where the weights are tied, whichever of embedding and hidden is not given
    follows the other; where both are given and differ, they are not tied unless that is asked for.
    """
    given = {name: value for name, value in options.items() if value is not None}
    level, optimizer = given.get("level", Config.level), given.get("optimizer", Config.optimizer)
    _check_kind("level", level, Level)
    _check_kind("optimizer", optimizer, OptimizerName)
    defaults = {**_LEVEL_DEFAULTS[level], "lr": _LEARNING_RATES[optimizer]}
    for name, value in given.items():  # before one size sets another: what is named is what was given
        _check_range(name, value)
    sizes = {given[name] for name in ("embedding", "hidden") if name in given}
    if len(sizes) == 2:
        defaults["tied"] = False
    elif sizes and given.get("tied", defaults["tied"]):
        defaults["embedding"] = defaults["hidden"] = sizes.pop()
    return Config(**{**defaults, **given})


def _check_range(name: str, value: Any) -> None:
    allowed = _RANGES.get(name)
    if allowed is not None and value is not None and value not in allowed:
        raise NlpError(f"{flag(name)} must be {allowed}, not {value}")


def default_of(name: str) -> str:
    """What an option is when it is not given, in words, for the help text."""
    by_level = {level: defaults[name] for level, defaults in _LEVEL_DEFAULTS.items() if name in defaults}
    if name == "lr":
        return ", ".join(f"{optimizer} {rate:g}" for optimizer, rate in _LEARNING_RATES.items())
    if len(set(by_level.values())) > 1:
        return ", ".join(f"{level} {_in_words(value)}" for level, value in by_level.items())
    value = next(iter(by_level.values())) if by_level else getattr(Config, name)
    if value is None:
        return "all" if name == "threads" else "no limit"
    return _in_words(value)


def _in_words(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def flag(name: str) -> str:
    """The option as it is written on the command line: `batch_size` is `--batch-size`."""
    return "--" + name.replace("_", "-")


def _check_kind(name: str, value: Any, hint: Any) -> None:
    """NlpError unless the value is what the field's annotation says: a run's config.json may be edited by hand."""
    kinds = get_args(hint) or (hint,)
    if get_origin(hint) is Literal:
        if value not in kinds:
            raise NlpError(f"{flag(name)} is one of {', '.join(kinds)}, not {value!r}")
    elif type(value) not in kinds and not (type(value) is int and float in kinds):
        raise NlpError(f"{flag(name)} takes {_SPOKEN[kinds[0]]}, not {value!r}")


_SPOKEN = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
