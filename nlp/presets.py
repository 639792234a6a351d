"""The settings of well-known papers, as options: `nlp train --preset zaremba-medium`.

An option of your own goes before the preset's. The papers' data is the Penn Treebank, or for AWD also WikiText-2.
"""

from __future__ import annotations

from typing import Any

__all__ = ["PRESETS"]


def _zaremba(hidden: int, steps: int, clip: float, **options: Any) -> dict[str, Any]:
    """Zaremba, Sutskever and Vinyals, "Recurrent neural network regularization" (2014), section 4.1.

    The paper adds the losses of the unrolled steps up where we take their mean. A gradient of theirs is `steps` times
    one of ours, so that their learning rate of 1 is `steps` here, and their clipping norm is divided by it.
    """
    shape = {"level": "word", "model": "lstm", "layers": 2, "embedding": hidden, "hidden": hidden, "tied": False}
    training = {"optimizer": "sgd", "lr": float(steps), "clip": clip / steps, "bptt": steps, "batch_size": 20}
    schedule = {"schedule": "exponential", "patience": 0, "vocab_size": 10_000, "min_count": 1}
    return {**shape, **training, **schedule, "unigram_bias": False, **options}


PRESETS: dict[str, dict[str, Any]] = {
    "zaremba-small": _zaremba(
        200, steps=20, clip=5, dropout=0.0, initial_range=0.1, epochs=13, decay=2.0, decay_after=4
    ),
    "zaremba-medium": _zaremba(
        650, steps=35, clip=5, dropout=0.5, initial_range=0.05, epochs=39, decay=1.2, decay_after=6
    ),
    "zaremba-large": _zaremba(
        1500, steps=35, clip=10, dropout=0.65, initial_range=0.04, epochs=55, decay=1.15, decay_after=14
    ),
    # Merity, Keskar and Socher, "Regularizing and optimizing LSTM language models" (2018), section 5, WikiText-2.
    "awd": {
        "level": "word",
        "model": "lstm",
        "layers": 3,
        "embedding": 400,
        "hidden": 1150,
        "tied": True,
        "dropout": 0.4,
        "dropout_input": 0.65,
        "dropout_between": 0.3,
        "dropout_words": 0.1,
        "weight_drop": 0.5,
        "locked": True,
        "activation_penalty": 2.0,
        "change_penalty": 1.0,
        "weight_decay": 1.2e-6,
        "optimizer": "sgd",
        "lr": 30.0,
        "clip": 0.25,
        "schedule": "constant",
        "nt_asgd": 5,
        "bptt": 70,
        "bptt_drawn": True,
        "batch_size": 80,
        "epochs": 750,
        "patience": 0,
        "min_count": 1,
        "unigram_bias": False,
    },
}
