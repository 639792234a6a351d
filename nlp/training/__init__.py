"""Training: the trainer, the run around it, and what it leaves behind."""

from nlp.training.experiment import Experiment, Results
from nlp.training.trainer import Epoch, Step, Tick, Trainer

__all__ = ["Epoch", "Experiment", "Results", "Step", "Tick", "Trainer"]
