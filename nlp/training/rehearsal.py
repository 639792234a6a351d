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

from nlp.config import Config
from nlp.evaluation.scoring import evaluation_steps
from nlp.text import BpttBatches, EvaluationBatches
from nlp.training.events import Tick
from nlp.training.experiment import VALID_STREAMS, Note, corpus_and_sources, make_trainer, prepare_text, use_threads

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


def rehearse(config: Config, text: Mapping[str, Any], note: Note | None = None) -> Rehearsal:
    """Prepare the text and make the first updates of the run that `Experiment.create` would begin."""
    use_threads(config.threads)
    with tempfile.TemporaryDirectory(prefix="nlp-dry-run-") as folder:
        corpus, _ = corpus_and_sources(text)
        prepared = prepare_text(corpus, Path(folder), config, note)
        trainer = make_trainer(config, prepared.vocabulary)
        windows = BpttBatches(prepared.ids["train"], config.batch_size, config.bptt)
        valid = EvaluationBatches(prepared.ids["valid"], VALID_STREAMS, config.bptt)
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
        epoch = update * len(windows) + judged * len(valid)
        return Rehearsal(
            corpus=prepared.corpus,
            vocabulary=len(prepared.vocabulary),
            layers=[(name, tuple(one.shape)) for name, one in named],
            parameters=sum(one.numel() for _, one in named),
            checkpoint_bytes=2 * weights + moments,
            memory=_peak_memory(),
            updates=len(windows),
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
