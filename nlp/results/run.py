"""Making a result: its commands are run one after the other, and the numbers they leave are read.

What was trained is not trained again, and a training that was broken off goes on.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nlp
from nlp.errors import NlpError
from nlp.options import Options
from nlp.results.command_line import Command, TrainingCommand, understand
from nlp.results.plan import RUNS, Entry, Keys
from nlp.results.recorded import Recorded, Training
from nlp.run_folder import CONFIG, METRICS, RunFolder
from nlp.run_options import MACHINE_OPTIONS
from nlp.strict_json import number
from nlp.tasks import expect_device
from nlp.training.stopping import StopRequest
from nlp.versions import circumstances

__all__ = ["make", "make_ready"]

WAIT = 0.2  # seconds between two looks whether to stop


def make_ready(entry: Entry, data: Path, runs: Path) -> list[Command]:
    """The commands of a result. Raises NlpError for a folder of data that is not there, and for a command that could
    not be run, lacks its device or would find another's run in its folder: before hours are spent on those before
    it."""
    if not data.is_dir():
        raise NlpError(f"the folder of data {data} does not exist: name one with --data, or by NLP_DATA")
    commands = [understand(text, data.resolve(), runs.resolve()) for text in entry.commands]
    for command in commands:
        if isinstance(command, TrainingCommand):
            _expect_same(command)
            _expect_device(command)
    return commands


def make(entry: Entry, data: Path, runs: Path, say: Callable[[str], None], stop: StopRequest) -> Recorded | None:
    """Run the commands of a result, with files as seen from `data` and runs in `runs`, and read its numbers.

    `say` is told each command. None where `stop` broke it off: the same call goes on later. Raises NlpError, with what
    a command said, where one fails; and where there is no such number as the plan has.
    """
    commands = make_ready(entry, data, runs)
    for command in commands:
        say(command.text)
        words = _left_to_run(command)
        if words is None:
            say("was done before, and is not done again")
            continue
        if words != command.words:
            say(f"was begun before, and goes on: nlp {' '.join(words)}")
        _run(command, words, data, stop)
        if stop:
            return None
    trainings = [command for command in commands if isinstance(command, TrainingCommand)]
    return Recorded(
        name=entry.name,
        values=_values(entry, runs.resolve()),
        commands=entry.commands,
        runs={command.out.name: _training(command.out) for command in trainings},
        **_circumstances([command.out for command in trainings]),
    )


def _left_to_run(command: Command) -> tuple[str, ...] | None:
    """The words that finish what a command is for; None where a run is finished."""
    if not isinstance(command, TrainingCommand) or not (command.out / CONFIG).exists():
        return command.words
    return command.going_on if _results(command.out) is None else None


def _run(command: Command, words: Sequence[str], data: Path, stop: StopRequest) -> None:
    """Run a command to its end; where it is to stop it is told so once, and has the time to save what it has."""
    here = str(Path(nlp.__file__).parents[1])
    paths = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "nlp", *words],  # -P: what lies in the data's folder is no module
        cwd=data,
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        told = False
        while True:
            try:
                _, said = process.communicate(timeout=WAIT)
                break
            except subprocess.TimeoutExpired:
                if stop and not told:
                    process.terminate()
                    told = True
    if process.returncode == 0:
        sys.stderr.write(said)  # a remark, such as of words that are not known
    elif not stop:
        *_, last = ["", *said.strip().splitlines()]
        reason = last.removeprefix("nlp: ") or f"it ended with exit code {process.returncode}"
        raise NlpError(f"{command.text!r} failed: {reason}")


# ---- what the commands leave ----------------------------------------------------------------------------------------


def _expect_same(command: TrainingCommand) -> None:
    """NlpError where the run in the folder is not the one that the command begins."""
    if not (command.out / CONFIG).exists():
        return
    folder = RunFolder.open(command.out)
    same = folder.task().options is type(command.config)
    if not (same and _decisive(folder.read_config()) == _decisive(command.config)):
        difference = "has other options"
    elif folder.read_text_sources() != command.texts:
        difference = "reads another text"
    else:
        return
    raise NlpError(f"the run in {command.out} {difference} than {command.text!r}: remove it, or name another --runs")


def _expect_device(command: TrainingCommand) -> None:
    """NlpError where there is something left to train, and not the device for it."""
    if _left_to_run(command) is not None:
        try:
            expect_device(command.config.to_json()["device"])
        except NlpError as error:
            raise NlpError(f"{command.text!r} cannot be run: {error}") from error


def _decisive(config: Options) -> dict[str, Any]:
    return {name: value for name, value in config.to_json().items() if name not in MACHINE_OPTIONS}


def _results(run: Path) -> dict[str, Any] | None:
    """What a finished run came to; None for one that is not finished, or not there."""
    if not (run / METRICS).exists():
        return None
    results = [record for record in RunFolder.open(run).metrics() if record["kind"] == "results"]
    return results[-1] if results else None


def _training(run: Path) -> Training:
    folder = RunFolder.open(run)
    config = folder.read_config()
    epochs = [record for record in folder.metrics() if record["kind"] == "epoch"]
    if not epochs:
        raise NlpError(f"{run / METRICS} tells of no epoch, so that there is no time to record: train the run again")
    return Training(
        seconds=round(epochs[-1]["seconds"], 1),
        tokens_per_second=round(statistics.median(epoch["tokens_per_second"] for epoch in epochs)),
        epochs=len(epochs),
        seed=config.seed,
        device=config.device,
    )


def _circumstances(runs: Sequence[Path]) -> dict[str, Any]:
    """Versions, machine and day of the run that was trained last; what it lacks, being from before that was kept, is
    this process's."""
    kept = [RunFolder.open(run).circumstances() for run in runs]
    last = sorted(kept, key=lambda one: one.get("date", ""))[-1:]  # of those begun in one second, the last command's
    told = {**circumstances(), **(last[0] if last else {})}
    return {**told, "date": told["date"][: len("2026-11-21")]}


def _values(entry: Entry, runs: Path) -> dict[str, float]:
    source = Path(entry.source.replace(RUNS, str(runs)))
    content = _content(source) if source.suffix == ".json" else _results(source)
    if content is None:
        raise NlpError(f"{source} has no results, though the commands of {entry.name!r} have been run: see their --out")
    return {measure: _number(content, keys, source) for measure, keys in entry.values.items()}


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NlpError(f"{path}, in which the results should be, cannot be read: {error}") from error


def _number(content: Any, keys: Keys, source: Path) -> float:
    for key in keys:
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError) as error:
            raise NlpError(f"the results in {source} have no {' / '.join(map(str, keys))}") from error
    content = number(content)
    if type(content) not in (int, float):
        raise NlpError(f"{' / '.join(map(str, keys))} in {source} is no number: {content!r}")
    return content
