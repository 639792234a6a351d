"""What there is to train: each task says how a configuration becomes a model, what it reads, and what comes out of it.

All tasks share the rest: the options' reading (`nlp.options`), the text (`nlp.text`), the run folder, the trainer and
the experiment around it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

import minigrad
from minigrad import nn
from nlp.errors import NlpError
from nlp.options import Options
from nlp.text import Prepared, Tokenizer, Vocabulary

if TYPE_CHECKING:
    from nlp.training.experiment import Experiment

__all__ = ["COMMANDS", "Task", "expect_device", "on_device", "task_named", "task_of"]


COMMANDS = {"language model": "nlp train", "word vectors": "nlp words train"}  # what begins a run, by its task


class Task(Protocol):
    """A kind of training. `config` is always one of its `options`."""

    @property
    def options(self) -> type[Options]:
        """What may be chosen."""

    def make_model(self, config: Any, vocabulary: Vocabulary) -> Any:
        """The model that the configuration describes, with fresh weights, on its device.

        Raises NlpError where there is no such device.
        """

    def make_trainer(self, config: Any, vocabulary: Vocabulary) -> Any:
        """The model with its trainer (`Trainer`, or one with its face), seeded: the same every time."""

    def windows(self, config: Any, prepared: Prepared) -> tuple[Any, Iterable[Any]]:
        """What is trained on, and what is validated on after each epoch. Raises NlpError for a text too short."""

    def loaded(self, config: Any, model: Any, vocabulary: Vocabulary, tokenizer: Tokenizer) -> Any:
        """What `nlp.load` gives for a trained model."""

    def finish(self, experiment: Experiment) -> Any:
        """Judge the best weights, which the model has now, and leave results and pictures in the run folder."""


def task_of(config: Options) -> Task:
    """The task that a configuration is for."""
    return task_named(config.TASK)


def task_named(name: str) -> Task:
    """The task of that name, as a run's config.json has it. Raises NlpError where there is none."""
    if name == "language model":
        from nlp.tasks.language_modelling import LanguageModelling  # here, as it needs the engine and all models

        return LanguageModelling()
    if name == "word vectors":
        from nlp.tasks.word_vectors import WordVectorLearning

        return WordVectorLearning()
    raise NlpError(f"there is no task {name!r}: it is of a newer version of nlp, or damaged")


def expect_device(device: str) -> None:
    """NlpError where there is no such device: asked before a text is read, which may take long."""
    on_device(minigrad.empty(0), device)


def on_device(model: nn.Module | minigrad.Tensor, device: str) -> Any:
    """The model moved there. Raises NlpError where there is no such device."""
    try:
        return model.to(device)
    except (RuntimeError, ValueError) as error:
        raise NlpError(f"--device {device}: {error}") from error
