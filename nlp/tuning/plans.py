"""What `nlp tune` searches: options that all trials share, ranges that each trial draws its own from, and how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any

from nlp.config import Config
from nlp.errors import NlpError
from nlp.options import flag
from nlp.tuning.ranges import draw_options, parse_range

__all__ = ["STRATEGIES", "Plan", "Rung", "plan"]

STRATEGIES = ("random", "halving")
MOST_TRIALS = 1000


@dataclass(frozen=True)
class Rung:
    """So many trials are trained until they have had so many epochs."""

    trials: int
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is searched and how; `plan` makes one. Raises NlpError for anything that could not run.

    options: what all trials have in common. ranges: by option, in the words that `nlp.tuning.ranges.parse_range` reads.
    """

    options: Mapping[str, Any]
    ranges: Mapping[str, str]
    trials: int = 20
    strategy: str = "random"
    eta: int = 3
    min_epochs: int = 1

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise NlpError(f"--strategy is one of {', '.join(STRATEGIES)}, not {self.strategy!r}")
        for name, low, high in (("trials", 1, MOST_TRIALS), ("eta", 2, math.inf), ("min_epochs", 1, math.inf)):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                limits = f"at least {low}" if math.isinf(high) else f"from {low} to {high}"
                raise NlpError(f"{flag(name)} must be a whole number, {limits}, not {value!r}")
        if not self.ranges:
            raise NlpError("there is nothing to search: give a --range, such as --range lr=0.001..0.01")
        schedules = {config.schedule for config in self.configs}  # with it, what cannot be trained is refused
        if self.strategy == "halving" and "cosine" in schedules:
            raise NlpError(
                "--strategy halving goes on with trials, and --schedule cosine ends: choose another schedule"
            )
        if self.strategy == "halving" and len(self.rungs) == 1:
            raise NlpError(
                f"--strategy halving with --eta {self.eta} needs at least {self.eta} --trials and "
                f"{self.eta * self.min_epochs} --epochs, not {self.trials} and {self.epochs}"
            )

    @property
    def epochs(self) -> int:
        """What a trial is trained if it comes through all rungs."""
        return self.configs[0].epochs

    @cached_property
    def drawn(self) -> list[dict[str, Any]]:
        """The options that are searched, for each trial."""
        ranges = {name: parse_range(name, words) for name, words in self.ranges.items()}
        return draw_options(ranges, Config.choose(seed=self.options.get("seed")).seed, self.trials)

    @cached_property
    def configs(self) -> list[Config]:
        """The complete configuration of each trial."""
        return [self._config(number, drawn) for number, drawn in enumerate(self.drawn, 1)]

    def _config(self, number: int, drawn: dict[str, Any]) -> Config:
        try:
            return Config.choose_heard({**self.options, **drawn})
        except NlpError as error:
            values = " ".join(f"{flag(name)} {value}" for name, value in drawn.items())
            raise NlpError(f"trial {number} ({values}) cannot be trained: {error}") from error

    @cached_property
    def rungs(self) -> list[Rung]:
        """Random search has one. Of successive halving (Jamieson and Talwalkar 2016) the last has all epochs, each
        before it an eta-th of the next one's epochs and eta times its trials (Li et al. 2018, algorithm 1), as far down
        as there are trials and `min_epochs` for."""
        halvings, eta = 0, self.eta
        while self.strategy == "halving" and self._allows(halvings + 1):
            halvings += 1
        return [Rung(self.trials // eta**n, self.epochs // eta ** (halvings - n)) for n in range(halvings + 1)]

    def _allows(self, halvings: int) -> bool:
        factor = self.eta**halvings
        return self.trials >= factor and self.epochs >= factor * self.min_epochs


def plan(
    ranges: Mapping[str, str],
    *,
    preset: str | None = None,
    file: str | PathLike[str] | None = None,
    trials: int = 20,
    strategy: str = "random",
    eta: int = 3,
    min_epochs: int = 1,
    **options: Any,
) -> Plan:
    """A plan with these ranges; the other options as `nlp.config.choose` takes them.

    A range goes before what the preset or the file says of its option. `plan({"lr": "0.001..0.01"}, hidden=300)`.
    strategy: "random" trains every trial to the end; "halving" trains all a little, and the best `eta`-th of them on
    and on. Raises NlpError for an option that has a value and a range, and for all that makes no search.
    """
    if preset is not None:
        Config.choose(preset)  # refuses one that there is not
    ranges = {name.replace("-", "_"): words for name, words in ranges.items()}
    given = {name: value for name, value in Config.known(options).items() if value is not None}
    if both := sorted(set(given) & set(ranges)):
        raise NlpError(f"{flag(both[0])} has both one value and a --range: leave one of them out")
    said = {**({} if file is None else Config.read(file)), **given}
    options = {**Config.PRESETS.get(preset or "", {}), **said}
    options = {name: value for name, value in options.items() if name not in ranges}
    made = Plan(options=options, ranges=ranges, trials=trials, strategy=strategy, eta=eta, min_epochs=min_epochs)
    _expect_heard(made, said)
    return made


def _expect_heard(plan: Plan, said: Mapping[str, Any]) -> None:
    """NlpError for an option that was given, with one value or a range, and means nothing to any of the trials."""
    for name, with_what in plan.configs[0].unheard().items():
        unusual = name in plan.ranges or said.get(name) not in (None, Config.fields()[name].default)
        if unusual and all(name in config.unheard() for config in plan.configs):
            raise NlpError(f"{flag(name)} goes with {with_what}: leave it out")
