"""The folder a training run leaves behind, and what comes out of it again.

    config.json         every option, where the text is, the tokenizer, the versions, the machine and the date
    vocabulary.json     the tokens and how often they occurred in training; tokenizer.json beside it for BPE
    data/               the text as token ids, and its description
    best.safetensors    the best weights so far, under the names of the model's state_dict, and which run they are of
    last.safetensors    all that training needs to go on: weights, optimizer, schedule, random numbers, place in text
    metrics.jsonl       one JSON object a line: steps, epochs, and at the end the results
    curves.png          loss, perplexity, learning rate and gradient norm over the epochs
    sample.txt          a text that the model wrote
    tensorboard/        the metrics once more, where tensorboardX is installed

Every file is data: nothing in it is ever executed. Files are replaced whole, so that a crash leaves the old one or the
new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import minigrad
from nlp import strict_json
from nlp.disk import TEMPORARY, disk_errors, missing_folders, remove_empty, write_bytes, write_json, write_text
from nlp.errors import NlpError
from nlp.metrics import expect_record
from nlp.options import Options
from nlp.tasks import COMMANDS, Task, task_named
from nlp.text import Prepared, Tokenizer, Vocabulary, make_tokenizer
from nlp.versions import circumstances, versions

__all__ = ["RunFolder"]

CONFIG, VOCABULARY, BEST, LAST = "config.json", "vocabulary.json", "best.safetensors", "last.safetensors"
METRICS, CURVES, SAMPLE, LOCK = "metrics.jsonl", "curves.png", "sample.txt", ".lock"
RUN = "run"  # what a file of weights calls the identity of its run
_IN_CHECKPOINT = {"kind", RUN, "metrics", "versions", "trainer"}
_CIRCUMSTANCES = ("versions", dict), ("machine", dict), ("date", str)
TUNE, CHOSEN = "tune.json", "best.json"  # in a folder of nlp tune, whose trials are run folders: see nlp.tuning.search
RUNS = Path("runs")  # where runs go that name no folder
StrPath = str | os.PathLike[str]


class RunFolder:
    """The files of one run; `create` makes a new folder, `open` takes one that is there."""

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)
        self._content: dict[str, Any] | None = None  # of config.json, once it was read or written
        self._made: list[Path] = []  # the folders that `create` made, the innermost first

    @classmethod
    def create(cls, out: StrPath | None, name: str) -> RunFolder:
        """A new, empty folder: `out`, or else the first of runs/NAME-1, runs/NAME-2, … that is free.

        Raises NlpError where `out` exists and has something in it, or cannot be made.
        """
        try:
            if out is None:
                folder = cls(_first_free(RUNS, name))
                folder._made = [folder.path, RUNS]
                return folder
            folder = cls(out)
            folder._made = missing_folders(folder.path)
            folder.path.mkdir(parents=True, exist_ok=True)
            if any(folder.path.iterdir()):
                raise NlpError(f"the run folder {out} is not empty, and nothing is overwritten: name another")
            return folder
        except OSError as error:
            raise NlpError(f"the run folder {out or RUNS} cannot be made: {error.strerror}") from error

    @classmethod
    def open(cls, path: StrPath) -> RunFolder:
        """The folder of an earlier run. Raises NlpError where there is none."""
        folder = cls(path)
        if not folder.path.is_dir():
            what = "is a file, not a run folder" if folder.path.exists() else "does not exist"
            raise NlpError(f"the run folder {path} {what}: give a folder that nlp train or nlp words train made")
        if (folder.path / TUNE).exists() and not (folder.path / CONFIG).exists():
            raise NlpError(f"{path} is a folder of nlp tune, not of one run: {_what_to_take(folder.path)}")
        return folder

    def discard(self) -> None:
        """Remove what is in the folder, and the folders that `create` made: before there is anything to keep."""
        for one in self.path.iterdir():
            shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
        remove_empty(self._made)  # those without other runs

    @contextmanager
    def locked(self) -> Iterator[None]:
        """For one process alone, until the block is left or the process ends, however it ends.

        Raises NlpError where another process has it. What a killed process left half-written is removed.
        """
        lock = FileLock(self.path / LOCK)
        with disk_errors(self.path / LOCK):
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise NlpError(f"another process is training in {self.path}: wait for its end, or stop it") from error
        self._content = None  # another process may have written it since it was read
        try:
            for leftover in self.path.rglob(f".*{TEMPORARY}"):  # named so by nlp.disk, and by minigrad.io just alike
                leftover.unlink(missing_ok=True)
            yield
        finally:
            lock.release()

    # ---- writing ----------------------------------------------------------------------------------------------------

    def write_config(self, config: Options, text: Mapping[str, Any] | None, prepared: Prepared | None = None) -> None:
        """What the run was asked for; `text` says which files it reads, None for a text that was in memory; tokenizer
        and vocabulary are known once the text is prepared."""
        content = {
            "task": config.TASK,
            "options": config.to_json(),
            "text": None if text is None else dict(text),
            "tokenizer": None if prepared is None else prepared.tokenizer.settings(),
            "vocabulary": None if prepared is None else _digest(prepared.vocabulary),
            **circumstances(),
        }
        write_json(self.path / CONFIG, content)
        self._content = content

    def write_best(self, weights: dict[str, Any]) -> None:
        """A model's state_dict."""
        self._save(BEST, {**weights, RUN: self._identity()})

    def write_checkpoint(self, trainer: dict[str, Any]) -> None:
        """The trainer's state_dict, and how far metrics.jsonl belongs to it."""
        content = {
            "kind": self._kind(),
            RUN: self._identity(),
            "metrics": self._flushed(METRICS),
            "versions": versions(),
            "trainer": trainer,
        }
        self._save(LAST, content)

    def write_sample(self, text: str) -> None:
        """A text that the model wrote."""
        write_text(self.path / SAMPLE, text + "\n")

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """One line more in metrics.jsonl, as `nlp.strict_json` writes it."""
        with disk_errors(self.path / METRICS), (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(strict_json.dumps(record) + "\n")

    def keep_metrics(self, size: int) -> bool:
        """Cut metrics.jsonl off after `size` bytes, as the lines after a checkpoint are written anew; False where it is
        shorter than that, and lines are missing."""
        path = self.path / METRICS
        content = path.read_bytes() if path.exists() else b""
        kept = content[:size] if len(content) >= size else content[: content.rfind(b"\n") + 1]
        if kept != content:
            write_bytes(path, kept)
        return len(kept) == size

    def _flushed(self, name: str) -> int:
        """The size of a file, once all of it is on the disk; 0 where there is none."""
        path = self.path / name
        if not path.exists():
            return 0
        with disk_errors(path), path.open("rb+") as file:
            os.fsync(file.fileno())
        return path.stat().st_size

    def _identity(self) -> str:
        """What weights must have been made with to be this run's: options that may not change, and vocabulary.

        An option at its default counts as one that is not there, as it is not in a run from before there was one.
        """
        content = self._config()
        kind = self.task().options
        usual = {name: field.default for name, field in kind.fields().items()}
        options = {
            name: value
            for name, value in content["options"].items()
            if name not in kind.CHANGEABLE and not (name in usual and value == usual[name])
        }
        made_with = [options, content.get("tokenizer"), content.get("vocabulary")]
        return hashlib.sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()

    def _save(self, name: str, content: dict[str, Any]) -> None:
        with disk_errors(self.path / name):
            minigrad.save(content, self.path / name)

    # ---- reading ----------------------------------------------------------------------------------------------------

    def load(self, device: str = "cpu") -> Any:
        """The model with its best weights, its vocabulary and tokenizer: see `nlp.load`.

        Where best.safetensors is not there, before the first epoch is done above all, the weights of the checkpoint.
        """
        content = self._config()
        config = self.read_config(device=device)
        if content.get("tokenizer") is None:
            raise NlpError(f"{self.path} is not trained yet: go on with {self.command()} --resume {self.path}")
        tokenizer, vocabulary = self._tokenizer(content["tokenizer"]), self._vocabulary()
        self.check_vocabulary(vocabulary)
        model = self.task().make_model(config, vocabulary)
        if (self.path / BEST).exists() or (checkpoint := self.read_checkpoint(config.device)) is None:
            self._load_best(model, config.device)
        else:
            self._load_weights(model, LAST, checkpoint["trainer"]["best"] or checkpoint["trainer"]["model"])
        return self.task().loaded(config, model, vocabulary, tokenizer)

    def task(self) -> Task:
        """What the run trains."""
        name = self._config().get("task", "language model")  # earlier versions knew no other
        try:
            return task_named(name)
        except NlpError as error:
            raise NlpError(f"{self.path / CONFIG} cannot be used: {error}") from error

    def _kind(self) -> str:
        """What last.safetensors says of itself."""
        return f"minigrad {self.task().options.TASK}, to go on with"

    def command(self) -> str:
        """What the run was begun with."""
        return COMMANDS[self.task().options.TASK]

    def read_config(self, **changes: Any) -> Any:
        """The run's configuration, with these options changed."""
        content = self._config()
        try:
            return self.task().options.from_json({**content["options"], **changes})
        except (KeyError, TypeError) as error:
            raise NlpError(f"{self.path / CONFIG} is no configuration of a run: {error} is missing or wrong") from error
        except NlpError as error:
            raise NlpError(f"{self.path / CONFIG} cannot be used: {error}") from error

    def read_text_sources(self) -> dict[str, Any] | None:
        """Which files the run reads, as `nlp.text.load_corpus` takes them; None for a text that was in memory."""
        text = self._config().get("text", "")
        if text is not None and not isinstance(text, dict):
            raise NlpError(f"{self.path / CONFIG} does not say which text the run reads")
        return text

    def circumstances(self) -> dict[str, Any]:
        """Versions, machine and date of the process that trained the run, or was the last to go on with it; those that
        a run from before they were kept lacks are not there."""
        kept = {name: self._config()[name] for name, _ in _CIRCUMSTANCES if name in self._config()}
        if wrong := [name for name, kind in _CIRCUMSTANCES if name in kept and not isinstance(kept[name], kind)]:
            raise NlpError(f"{self.path / CONFIG} is no configuration of a run: its {wrong[0]} cannot be read")
        return kept

    def has_checkpoint(self) -> bool:
        """Whether there is something to go on from."""
        return (self.path / LAST).exists()

    def has_results(self) -> bool:
        """Whether there is something that training from the beginning would replace."""
        return (self.path / BEST).exists() or (
            (self.path / METRICS).exists() and any(line["kind"] == "epoch" for line in self.metrics())
        )

    def read_checkpoint(self, device: str) -> dict[str, Any] | None:
        """What `write_checkpoint` wrote, None where there is none yet. Raises NlpError for any other file."""
        if not self.has_checkpoint():
            return None
        content = self._saved(LAST, device)
        if not isinstance(content, dict) or content.get("kind") != self._kind() or not content.keys() >= _IN_CHECKPOINT:
            raise NlpError(f"{self.path / LAST} is no checkpoint of {self.command()}: it holds something else")
        if content[RUN] != self._identity():
            raise NlpError(f"{self.path / LAST} is the checkpoint of another run, with other options or another text")
        return content

    def refuse_checkpoint(self, error: Exception) -> NlpError:
        """What to say where a checkpoint's content does not fit the run."""
        reason = " ".join(str(error).split())
        return NlpError(f"{self.path / LAST} does not fit the run's configuration and vocabulary: {reason}")

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The lines of metrics.jsonl, infinite numbers too, without one that a crash left half-written at the end."""
        text = self._read(METRICS)
        whole = text[: text.rfind("\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            where = f"line {number} of {self.path / METRICS}"
            yield expect_record(_parse(line, where), where)

    def _config(self) -> dict[str, Any]:
        if self._content is None:
            self._content = _parse(self._read(CONFIG), str(self.path / CONFIG))
        return self._content

    def _tokenizer(self, settings: Any) -> Tokenizer:
        try:
            return make_tokenizer(**settings, folder=self.path)
        except (TypeError, NlpError) as error:
            raise NlpError(f"the tokenizer that {self.path / CONFIG} describes cannot be made: {error}") from error

    def was_trained_with(self, vocabulary: Vocabulary) -> bool:
        """Whether the run was begun with this vocabulary: with the same tokens, as often in the training text."""
        return self._config().get("vocabulary") == _digest(vocabulary)

    def check_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Raise NlpError where this, of vocabulary.json, is not the one that the run was begun with."""
        if not self.was_trained_with(vocabulary):
            raise NlpError(
                f"{self.path / VOCABULARY} is not the vocabulary that this run was trained with: put that one back"
            )

    def _vocabulary(self) -> Vocabulary:
        text = self._read(VOCABULARY)
        try:
            return Vocabulary.from_json(text)
        except NlpError as error:
            raise NlpError(f"{self.path / VOCABULARY} cannot be used: {error}") from error

    def _saved(self, name: str, device: str) -> Any:
        path = self._existing(name)
        try:
            return minigrad.load(path, map_location=device)
        except (ValueError, OSError) as error:
            raise NlpError(f"{path} is damaged: {' '.join(str(error).split())}") from error

    def _load_best(self, model: Any, device: str) -> None:
        content = self._saved(BEST, device)
        run = content.pop(RUN, None) if isinstance(content, dict) else None
        self._load_weights(model, BEST, content)
        if run != self._identity():
            raise NlpError(
                f"{self.path / BEST} does not hold the weights of this run, but of one with other options or another "
                f"text: put this run's back, as {self.command()} --resume {self.path} does where there is a checkpoint"
            )

    def _load_weights(self, model: Any, name: str, weights: Any) -> None:
        try:
            model.load_state_dict(weights)
        except (ValueError, RuntimeError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise NlpError(f"{self.path / name} does not fit the run's configuration: {reason}") from error

    def _read(self, name: str) -> str:
        try:
            return self._existing(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise NlpError(f"{self.path / name} cannot be read: {error}") from error

    def _existing(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            raise NlpError(f"the run folder {self.path} has no {name}: a training did not make it, or broke off early")
        return path


def _digest(vocabulary: Vocabulary) -> str:
    return hashlib.sha256(vocabulary.to_json().encode()).hexdigest()


def _what_to_take(tuned: Path) -> str:
    """Which run is meant where someone names a folder of nlp tune: that of its best trial, once there is one."""
    try:
        run = tuned / json.loads((tuned / CHOSEN).read_text(encoding="utf-8"))["run"]
    except (OSError, ValueError, KeyError, TypeError):
        return f"finish its search with nlp tune --resume {tuned}, which then names the run of its best trial"
    return f"give {run}, the run of its best trial"


def _first_free(parent: Path, name: str) -> Path:
    """Make parent/name-N with the lowest N that is free. `mkdir` decides, so two runs at once get two folders."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = parent / f"{name}-{number}"
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise NlpError(f"{where} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise NlpError(f"{where} is not a JSON object")
    return content
