"""Named ranges of options, as `nlp tune` searches them: read from words, checked, drawn from.

lr=0.001..0.01           any number between: log-uniformly, as many between 0.001 and 0.003 as 0.003 and 0.01
dropout=0.1..0.6         uniformly, as any share of 1; `:log` or `:linear` at the end decides otherwise
hidden=100..400          any whole number
optimizer=sgd,adam       one of these
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from nlp.config import Config
from nlp.errors import NlpError, did_you_mean
from nlp.options import flag
from nlp.run_options import TEXT

__all__ = ["Choice", "Interval", "draw_options", "parse_range", "split_ranges"]

DIGITS = 4  # that a drawn number has, so that it can be typed again as it is shown
ATTEMPTS = 10_000  # draws for one trial, until it is none that there was before


@dataclass(frozen=True)
class Interval:
    """The numbers from `low` to `high`, whole ones or not, drawn uniformly or, `log`, by their order of magnitude."""

    low: float
    high: float
    log: bool
    whole: bool

    def at(self, share: float) -> float:
        """The number below which this share of all draws lies; `share` from 0 to below 1."""
        low, high = self.low, self.high + self.whole  # a whole number has the place up to the next one
        place = low * math.exp(share * math.log(high / low)) if self.log else low + share * (high - low)
        number = math.floor(place) if self.whole else float(f"{place:.{DIGITS}g}")
        return min(max(number, self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """Some values, each as likely as the others."""

    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """The value at this share of their row; `share` from 0 to below 1."""
        return self.values[int(share * len(self.values))]


# ---- drawing --------------------------------------------------------------------------------------------------------


def draw_options(ranges: Mapping[str, Interval | Choice], seed: int, trials: int) -> list[dict[str, Any]]:
    """The options of each trial.

    What a trial is given depends on the seed, its number and the option's name alone: more trials or ranges change
    nothing of it. Only where a trial would repeat an earlier one is it drawn anew. Raises NlpError where the ranges
    have no more to give.
    """
    drawn: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number in range(1, trials + 1):
        attempts = (
            {name: one.at(_share(seed, number, n, name)) for name, one in ranges.items()} for n in range(ATTEMPTS)
        )
        fresh = next((options for options in attempts if tuple(options.values()) not in drawn), None)
        if fresh is None:
            raise NlpError(f"the ranges have too few values for --trials {trials}: trial {number} would repeat another")
        drawn[tuple(fresh.values())] = fresh
    return list(drawn.values())


def _share(seed: int, trial: int, attempt: int, name: str) -> float:
    """A random number from 0 to below 1 that belongs to these four."""
    (bits,) = np.random.SeedSequence([seed, trial, attempt, *name.encode()]).generate_state(1, np.uint64)
    return (int(bits) >> 11) * 2.0**-53


# ---- reading --------------------------------------------------------------------------------------------------------


def split_ranges(words: Sequence[str]) -> dict[str, str]:
    """`["lr=0.001..0.01", "batch-size=10,20"]` by name: `{"lr": "0.001..0.01", "batch_size": "10,20"}`."""
    ranges: dict[str, str] = {}
    for word in words:
        name, equals, values = word.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not equals:
            raise NlpError(f"--range is NAME=LOW..HIGH or NAME=A,B,C, such as lr=0.001..0.01, not {word!r}")
        if name in ranges:
            raise NlpError(f"--range {name} is given twice: leave one of them out")
        ranges[name] = values.strip()
    return ranges


def parse_range(name: str, words: Any) -> Interval | Choice:
    """What `words` (`"0.001..0.01"`, `"1..9:log"`, `"a,b"`) say of the option `name`.

    Raises NlpError for an option that there is not or that is not to be searched, for a range that is empty or
    reversed, and for a value that the option may not have.
    """
    if name not in Config.fields():
        raise NlpError(
            f"--range {name}: there is no such option{did_you_mean(name, Config.fields())}; nlp tune --help lists them"
        )
    if reason := _not_searched(name):
        raise NlpError(f"{flag(name)} cannot be searched, as it {reason}: give it one value")
    if not isinstance(words, str):
        raise NlpError(f"--range {name} is written as text, such as '0.1..0.6' or '128,256', not {words!r}")
    return _interval(name, words) if ".." in words else _choice(name, words)


def _not_searched(name: str) -> str:
    if Config.fields()[name].metadata["panel"] == TEXT:
        return "decides what the tokens are, and all trials share one text"
    if name == "seed":
        return "is where the draws come from"
    return "says how long to train or on what machine, not what" if name in Config.CHANGEABLE and name != "clip" else ""


def _interval(name: str, words: str) -> Interval:
    ends, colon, scale = words.partition(":")
    kind = Config.kind(name)
    if kind not in (int, float):
        raise NlpError(f"--range {name}={words}: {flag(name)} is no number, so name its values: {name}=A,B")
    if colon and scale not in ("log", "linear"):
        raise NlpError(f"--range {name}={words}: after the colon stands log or linear, not {scale!r}")
    low, high = (_value(name, end) for end in ends.split("..", 1))
    if not low < high:
        raise NlpError(f"--range {name}={words}: the first number must be below the second")
    log = scale == "log" if colon else kind is float and not _is_share(name)
    if log and low <= 0:
        raise NlpError(f"--range {name}={words} has no orders of magnitude from 0 on: begin above 0, or add :linear")
    return Interval(low, high, log, kind is int)


def _choice(name: str, words: str) -> Choice:
    values = tuple(_value(name, word) for word in words.split(","))
    if len(values) == 1:
        raise NlpError(f"--range {name}={words} is one value: give {flag(name)} instead, or LOW..HIGH or A,B,C")
    if twice := [value for place, value in enumerate(values) if value in values[:place]]:
        raise NlpError(f"--range {name}={words} has {twice[0]} twice: leave one out")
    return Choice(values)


def _is_share(name: str) -> bool:
    return Config.fields()[name].metadata["range"].high == 1


def _value(name: str, word: str) -> Any:
    """The value that a word stands for, one that the option may have."""
    word, kind = word.strip(), Config.kind(name)
    if kind in (int, float):
        return _number(name, word, kind)
    allowed = {"true": True, "false": False} if kind is bool else {one: one for one in get_args(kind)}
    if word not in allowed:
        raise NlpError(f"--range {name}: a value is one of {', '.join(allowed)}, not {word!r}")
    return allowed[word]


def _number(name: str, word: str, kind: type[int] | type[float]) -> float:
    try:
        number = kind(word)
    except ValueError as error:
        what = "a whole number" if kind is int else "a number"
        raise NlpError(f"--range {name}: a value is {what}, not {word!r}") from error
    try:
        Config.check_option(name, number)
    except NlpError as error:
        raise NlpError(f"--range {name}: {error}") from error
    return number
