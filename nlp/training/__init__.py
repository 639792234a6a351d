"""Training: the trainer, the run around it, and what it leaves behind."""

from nlp.training.events import Epoch, Step, Tick
from nlp.training.experiment import Experiment
from nlp.training.trainer import Trainer

__all__ = ["Epoch", "Experiment", "Step", "Tick", "Trainer"]
