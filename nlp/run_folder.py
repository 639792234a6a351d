"""The folder a training run leaves behind, and what comes out of it again.

    config.json         every option, the tokenizer, the corpus and its hash, the versions
    vocabulary.json     the words and how often they occurred in training
    model.safetensors   the best weights so far, under the names of the model's state_dict
    metrics.jsonl       one JSON object a line: steps, epochs, and at the end the results
    curves.png          loss, perplexity and learning rate over the epochs
    sample.txt          a text that the model wrote

Every file is data: nothing in it is ever executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minigrad
from minigrad.io import write_atomically
from nlp.config import Config
from nlp.errors import NlpError
from nlp.models.rnn_lm import RNNLM
from nlp.text.tokens import Tokenizer, make_tokenizer
from nlp.text.vocabulary import Vocabulary

__all__ = ["LanguageModel", "RunFolder", "make_model"]

CONFIG, VOCABULARY, WEIGHTS = "config.json", "vocabulary.json", "model.safetensors"
METRICS, CURVES, SAMPLE = "metrics.jsonl", "curves.png", "sample.txt"
StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class LanguageModel:
    """A trained model with what it needs to read and write text."""

    model: RNNLM
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    config: Config


def make_model(config: Config, vocabulary_size: int) -> RNNLM:
    """The model that the configuration describes, with fresh weights, on its device.

    Raises NlpError where there is no such device.
    """
    model = RNNLM(
        vocabulary_size,
        embedding=config.embedding,
        hidden=config.hidden,
        layers=config.layers,
        dropout=config.dropout,
        cell=config.model,
        tied=config.tied,
    )
    try:
        return model.to(config.device)
    except (RuntimeError, ValueError) as error:
        raise NlpError(f"--device {config.device}: {error}") from error


class RunFolder:
    """The files of one run; `create` makes a new folder, `open` takes one that is there."""

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, out: StrPath | None, name: str) -> RunFolder:
        """A new, empty folder: `out`, or else the first of runs/NAME-1, runs/NAME-2, … that is free.

        Raises NlpError where `out` exists and has something in it, or cannot be made.
        """
        try:
            if out is None:
                return cls(_first_free(Path("runs"), name))
            path = Path(out)
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise NlpError(f"the run folder {path} is not empty, and nothing is overwritten: name another")
            return cls(path)
        except OSError as error:
            raise NlpError(f"the run folder {out or 'runs'} cannot be made: {error.strerror}") from error

    @classmethod
    def open(cls, path: StrPath) -> RunFolder:
        """The folder of an earlier run. Raises NlpError where there is none."""
        folder = cls(path)
        if not folder.path.is_dir():
            what = "is a file, not a run folder" if folder.path.exists() else "does not exist"
            raise NlpError(f"the run folder {path} {what}: give a folder that nlp train made")
        return folder

    # ---- writing ----------------------------------------------------------------------------------------------------

    def write_config(self, config: Config, tokenizer: Tokenizer, corpus: Mapping[str, Any]) -> None:
        """What the run was asked for; `corpus` says in plain values what text it is trained on."""
        content = {
            "options": config.to_json(),
            "tokenizer": tokenizer.settings(),
            "corpus": dict(corpus),
            "versions": _versions(),
        }
        self._write(CONFIG, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def write_vocabulary(self, vocabulary: Vocabulary) -> None:
        """The words of the model, in the order of its rows."""
        self._write(VOCABULARY, vocabulary.to_json())

    def write_weights(self, weights: dict[str, Any]) -> None:
        """A model's state_dict; the file that was there stays whole until the new one is."""
        minigrad.save(weights, self.path / WEIGHTS)

    def write_sample(self, text: str) -> None:
        """A text that the model wrote."""
        self._write(SAMPLE, text + "\n")

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """One line more in metrics.jsonl."""
        with (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def _write(self, name: str, text: str) -> None:
        write_atomically(self.path / name, text.encode("utf-8"))

    # ---- reading ----------------------------------------------------------------------------------------------------

    def load(self, device: str = "cpu") -> LanguageModel:
        """The model with its best weights, its vocabulary and tokenizer: see `nlp.load`."""
        config, tokenizer = self._read_config(device)
        vocabulary = self._read_vocabulary()
        model = make_model(config, len(vocabulary))
        self._existing(WEIGHTS)
        try:
            model.load_state_dict(minigrad.load(self.path / WEIGHTS, map_location=config.device))
        except (ValueError, RuntimeError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise NlpError(f"{self.path / WEIGHTS} does not fit the run's configuration: {reason}") from error
        return LanguageModel(model.eval(), vocabulary, tokenizer, config)

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        for number, line in enumerate(self._read(METRICS).splitlines(), 1):
            yield _parse(line, f"line {number} of {self.path / METRICS}")

    def _read_config(self, device: str) -> tuple[Config, Tokenizer]:
        content = _parse(self._read(CONFIG), str(self.path / CONFIG))
        try:
            config = Config.from_json({**content["options"], "device": device})
            return config, make_tokenizer(**content["tokenizer"])
        except (KeyError, TypeError) as error:
            raise NlpError(f"{self.path / CONFIG} is no configuration of a run: {error} is missing or wrong") from error
        except NlpError as error:
            raise NlpError(f"{self.path / CONFIG} cannot be used: {error}") from error

    def _read_vocabulary(self) -> Vocabulary:
        text = self._read(VOCABULARY)
        try:
            return Vocabulary.from_json(text)
        except NlpError as error:
            raise NlpError(f"{self.path / VOCABULARY} cannot be used: {error}") from error

    def _read(self, name: str) -> str:
        try:
            return self._existing(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise NlpError(f"{self.path / name} cannot be read: {error}") from error

    def _existing(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            raise NlpError(f"the run folder {self.path} has no {name}: nlp train did not make it, or broke off early")
        return path


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


def _versions() -> dict[str, str]:
    import platform

    import numpy

    return {"minigrad": minigrad.__version__, "numpy": numpy.__version__, "python": platform.python_version()}
