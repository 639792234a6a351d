"""What was measured: a JSON file for each result, with the commands, the machine and the date it is from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nlp.disk import disk_errors, write_json
from nlp.errors import NlpError
from nlp.results.plan import Plan
from nlp.strict_json import number

__all__ = ["Recorded", "Training", "read_recorded", "recorded_folder", "write_recorded"]


@dataclass(frozen=True)
class Training:
    """A run that a result is made of. Its time includes the validation after each epoch, its speed does not."""

    seconds: float
    tokens_per_second: float  # the median over the epochs
    epochs: int
    seed: int
    device: str


@dataclass(frozen=True)
class Recorded:
    """The numbers of a result, and all that says how they came about."""

    name: str
    values: dict[str, float]  # by measure
    commands: tuple[str, ...]
    runs: dict[str, Training]  # by the name of the run's folder
    machine: dict[str, Any]  # the processor, and how many of its cores could be used: by the last of the runs
    versions: dict[str, str]  # of that run, too
    date: str  # when it was begun or gone on with, as 2026-11-21

    @property
    def seconds(self) -> float:
        """Of training, all runs together."""
        return sum(run.seconds for run in self.runs.values())


def recorded_folder(plan: Plan) -> Path:
    """Where a plan's measured results are: beside it."""
    return plan.path.parent / "recorded"


def write_recorded(plan: Plan, recorded: Recorded) -> Path:
    """Keep a result, in the place of an older one; the file's path. Raises NlpError where the disk refuses."""
    folder = recorded_folder(plan)
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
    path = folder / f"{recorded.name}.json"
    write_json(path, asdict(recorded))
    return path


def read_recorded(plan: Plan) -> dict[str, Recorded]:
    """All that was measured for a plan, by name; files of results that the plan has no more are among them.

    Raises NlpError for a file that is damaged.
    """
    return {path.stem: _read(path) for path in sorted(recorded_folder(plan).glob("*.json"))}


def _read(path: Path) -> Recorded:
    again = f"remove it, and measure again with nlp results run {path.stem}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NlpError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise NlpError(f"{path} is damaged ({error}): {again}") from error
    try:
        runs = {name: Training(**run) for name, run in content.pop("runs").items()}
        values = {measure: number(value) for measure, value in content.pop("values").items()}
        recorded = Recorded(**{**content, "commands": tuple(content["commands"])}, values=values, runs=runs)
        _check(recorded, path.stem)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise NlpError(f"{path} is damaged ({error}): {again}") from error
    return recorded


def _check(recorded: Recorded, name: str) -> None:
    """Raise ValueError for a field of the wrong kind."""
    numbers = {f"the value of {measure}": value for measure, value in recorded.values.items()}
    for run in recorded.runs.values():
        numbers |= {"its seconds": run.seconds, "its tokens per second": run.tokens_per_second, "its seed": run.seed}
    if wrong := [what for what, number in numbers.items() if type(number) not in (int, float)]:
        raise ValueError(f"{wrong[0]} is no number")
    if recorded.name != name:
        raise ValueError(f"it is the result {recorded.name!r}")
    texts = [*recorded.commands, recorded.date, *recorded.versions.values(), recorded.machine.get("processor")]
    if not recorded.values or not all(isinstance(text, str) for text in texts):
        raise ValueError("a part of it is missing or no text")
