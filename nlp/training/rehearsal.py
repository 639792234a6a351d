"""What a training run would take, measured: `nlp train --dry-run`. A few updates are made, and nothing is kept."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from nlp.errors import NlpError
from nlp.evaluation.scoring import evaluation_steps
from nlp.tasks import expect_device, task_of
from nlp.training.events import Tick
from nlp.training.experiment import Note, corpus_and_sources, prepare_text, use_threads

__all__ = ["Rehearsal", "rehearse"]

WARM, TIMED = 2, 6  # updates; the first ones find cold caches


@dataclass(frozen=True)
class Rehearsal:
    """The size and the speed of a run."""

    corpus: dict[str, Any]  # the description of the text
    vocabulary: int
    layers: list[tuple[str, tuple[int, ...]]]  # the parameters by name, and their shapes
    parameters: int
    checkpoint_bytes: int  # of last.safetensors once there are best weights
    memory: int | None  # bytes of this process at its largest; None where the system does not say
    updates: int  # in an epoch
    epoch_seconds: float
    total_seconds: float  # for all epochs, if training does not end before


def rehearse(config: Any, text: Mapping[str, Any], note: Note | None = None) -> Rehearsal:
    """Prepare the text and make the first updates of the run that `Experiment.create` would begin."""
    if config.model == "ngram":
        raise NlpError("--dry-run measures updates, of which --model ngram makes none: it takes seconds")
    expect_device(config.device)
    use_threads(config.threads)
    with tempfile.TemporaryDirectory(prefix="nlp-dry-run-") as folder:
        corpus, _ = corpus_and_sources(text)
        prepared = prepare_text(corpus, Path(folder), config, note)
        task = task_of(config)
        windows, valid = task.windows(config, prepared)
        trainer = task.make_trainer(config, prepared.vocabulary)
        updates = -(-windows.steps // windows.bptt)
        update = _median_time(event for event in trainer.train(windows, valid) if isinstance(event, Tick))
        judged = _median_time(evaluation_steps(trainer.model, valid))
        named = list(trainer.model.named_parameters())
        weights = sum(one.numel() * one.element_size() for _, one in named)
        moments = sum(
            value.numel() * value.element_size()
            for state in trainer.optimizer.state.values()
            for value in state.values()
            if hasattr(value, "numel")
        )
        epoch = update * updates + judged * sum(1 for _ in valid)
        return Rehearsal(
            corpus=prepared.corpus,
            vocabulary=len(prepared.vocabulary),
            layers=[(name, tuple(one.shape)) for name, one in named],
            parameters=sum(one.numel() for _, one in named),
            checkpoint_bytes=2 * weights + moments,
            memory=_peak_memory(),
            updates=updates,
            epoch_seconds=epoch,
            total_seconds=epoch * config.epochs,
        )


def _median_time(steps: Any) -> float:
    """The median seconds of a step, without the first ones; of fewer steps what there are."""
    times, began = [], time.perf_counter()
    for _ in islice(steps, WARM + TIMED):
        times.append(time.perf_counter() - began)
        began = time.perf_counter()
    return statistics.median(times[WARM:] or times)


def _peak_memory() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024
