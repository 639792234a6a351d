"""The options that every training has, whatever it trains, and the panels of the help that options stand in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from nlp.options import POSITIVE, Options, Range, option

__all__ = ["MACHINE", "MACHINE_OPTIONS", "MODEL", "PANELS", "TEXT", "TRAINING", "MachineOptions", "RunOptions"]

PANELS = TEXT, MODEL, TRAINING, MACHINE = "The text", "The model", "The training", "The machine"


@dataclass(frozen=True, kw_only=True)
class MachineOptions(Options):
    """On what machine, which decides nothing about what is trained."""

    device: str = option(MACHINE, "cpu, cuda or cuda:N.", default="cpu")
    threads: int | None = option(MACHINE, "Processor threads to compute with.", Range(1, 1024), default=None)
    checkpoint_minutes: float = option(
        MACHINE, "Time between two checkpoints, beside the one after each epoch.", POSITIVE, default=2.0
    )


MACHINE_OPTIONS = tuple(MachineOptions.fields())


@dataclass(frozen=True, kw_only=True)
class RunOptions(MachineOptions):
    """What is read, for how long, where the random numbers start, and on what machine."""

    CHANGEABLE: ClassVar[tuple[str, ...]] = ("max_minutes", *MACHINE_OPTIONS)
    NONE_MEANS: ClassVar[Mapping[str, str]] = {"threads": "all"}

    lowercase: bool = option(TEXT, "Lower-case the text first.", default=False)
    max_minutes: float | None = option(TRAINING, "End training after this time.", POSITIVE, default=None)
    seed: int = option(TRAINING, "Where the random numbers start.", Range(0, 2**63 - 1), default=1)
