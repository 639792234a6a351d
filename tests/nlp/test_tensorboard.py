"""TensorBoard events: every record comes into the file, and a run that goes on says what is void."""

from __future__ import annotations

import importlib.util
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nlp.training.tensorboard import FOLDER, events_writer

STEP = {"kind": "step", "loss": 4.5, "lr": 0.5, "gradient_norm": 2.5, "tokens_per_second": 1000.0}


def events(folder: Path) -> Iterator[Any]:
    """The records of all event files, as TensorFlow frames them: length, checksum, content, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted((folder / FOLDER).iterdir()):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (size,) = struct.unpack_from("<Q", content, place)
            yield Event.FromString(content[place + 12 : place + 12 + size])
            place += 12 + size + 4


def scalars(folder: Path) -> dict[tuple[str, int], float]:
    return {(value.tag, event.step): value.simple_value for event in events(folder) for value in event.summary.value}


def test_steps_and_epochs_stand_over_the_updates(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="writes the events")
    write = events_writer(tmp_path, 0)
    write({**STEP, "update": 10})
    write({**STEP, "update": 20, "loss": math.inf, "lr": 0.25})
    write({"kind": "epoch", "train_loss": 4.0, "valid_loss": 3.5})
    write({"kind": "results", "valid_perplexity": 33.0})
    del write  # nothing can be written any more: what was is on the disk
    found = scalars(tmp_path)
    assert found["train/loss", 10] == 4.5
    assert found["train/lr", 20] == 0.25
    assert found["epoch/valid_loss", 20] == 3.5
    assert ("train/loss", 20) not in found
    assert len(found) == 9


def test_what_comes_after_the_checkpoint_is_void(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="writes the events")
    events_writer(tmp_path, 0)({**STEP, "update": 30})
    assert not any(event.HasField("session_log") for event in events(tmp_path))
    write = events_writer(tmp_path, 20)
    write({"kind": "epoch", "train_loss": 4.0, "valid_loss": 3.5})
    del write
    (start,) = [event for event in events(tmp_path) if event.HasField("session_log")]
    assert start.step == 21
    assert ("epoch/train_loss", 20) in scalars(tmp_path)


def test_without_the_library_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    events_writer(tmp_path, 0)({**STEP, "update": 10})
    assert not list(tmp_path.iterdir())
