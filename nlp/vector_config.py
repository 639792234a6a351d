"""Everything that decides what a training of word vectors does, checked: from the command line, a file, and Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nlp.errors import NlpError
from nlp.options import COUNT, POSITIVE, Range, option
from nlp.run_options import MODEL, TEXT, TRAINING, RunOptions

__all__ = ["VectorConfig"]

Model = Literal["skip-gram", "cbow", "glove", "collobert-weston"]
OptimizerName = Literal["sgd", "adagrad"]
Schedule = Literal["linear", "constant"]
Activation = Literal["hardtanh", "tanh"]

WORD2VEC = ("skip-gram", "cbow")

# What is not chosen, by model: the papers' (Collobert and Weston's by trial, as theirs is for far longer training).
_DEFAULTS: dict[str, dict[str, Any]] = {
    "skip-gram": {"size": 100, "window": 5, "optimizer": "sgd", "lr": 0.025, "schedule": "linear", "epochs": 5},
    "cbow": {"size": 100, "window": 5, "optimizer": "sgd", "lr": 0.05, "schedule": "linear", "epochs": 5},
    "glove": {"size": 100, "window": 10, "optimizer": "adagrad", "lr": 0.05, "schedule": "constant", "epochs": 25},
    "collobert-weston": {
        "size": 50,
        "window": 5,
        "optimizer": "adagrad",
        "lr": 0.05,
        "schedule": "constant",
        "epochs": 5,
    },
}


@dataclass(frozen=True, kw_only=True)
class VectorConfig(RunOptions):
    """All that decides which vectors a run learns; `VectorConfig.choose` fills in what was not said."""

    TASK = "word vectors"
    CHANGEABLE = ("epochs", *RunOptions.CHANGEABLE)
    NONE_MEANS = {**RunOptions.NONE_MEANS, "batch_size": "as many as the model stands"}

    min_count: int = option(TEXT, "How often a word must occur to get a vector.", COUNT, default=5)
    vocab_size: int | None = option(TEXT, "The number of words to know, the most frequent.", Range(2), default=None)

    model: Model = option(MODEL, "skip-gram, cbow, glove or collobert-weston.", default="skip-gram")
    size: int = option(MODEL, "Numbers in a vector.", COUNT)
    window: int = option(MODEL, "Words on each side that a word is learned from.", COUNT)
    subsample: float = option(
        MODEL,
        "Words more frequent than this share of the text are left out, the more often the more frequent they are; 0: "
        "none.",
        Range(0),
        default=1e-3,
        models=WORD2VEC,
    )
    negatives: int = option(
        MODEL,
        "Noise words beside a true one; 0: a hierarchical softmax.",
        Range(0),
        default=5,
        models=WORD2VEC,
    )
    shared: int = option(
        MODEL,
        "Draw so many noise words for hundreds of words together, in the place of --negatives for each pair: faster; "
        "0: do not.",
        Range(0),
        default=0,
        models=WORD2VEC,
    )
    x_max: float = option(
        MODEL, "The count from which on a pair of words weighs no more.", POSITIVE, default=100.0, models=("glove",)
    )
    alpha: float = option(
        MODEL, "The power of the count that it weighs below.", POSITIVE, default=0.75, models=("glove",)
    )
    hidden: int = option(MODEL, "Units that score a window.", COUNT, default=100, models=("collobert-weston",))
    activation: Activation = option(MODEL, "hardtanh or tanh.", default="hardtanh", models=("collobert-weston",))

    power: float = option(
        MODEL,
        "Words to spoil windows with are drawn by their counts to this power; 0: all alike, as in the paper.",
        Range(0),
        default=0.75,
        models=("collobert-weston",),
    )

    optimizer: OptimizerName = option(TRAINING, "sgd or adagrad.")
    lr: float = option(TRAINING, "Learning rate.", POSITIVE)
    schedule: Schedule = option(TRAINING, "Whether the rate falls, to 0 at the end: linear, or constant.")
    batch_size: int | None = option(
        TRAINING,
        "Tokens that are learned from in one update; of glove, pairs of words.",
        Range(2),
        default=None,
    )
    epochs: int = option(TRAINING, "Passes over the text.", COUNT)

    @classmethod
    def defaults(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the model."""
        return dict(_DEFAULTS[given.get("model", cls.model)])

    @classmethod
    def defaults_in_words(cls) -> dict[str, str]:
        """The same for the help."""
        by_option = {name: {model: values[name] for model, values in _DEFAULTS.items()} for name in _DEFAULTS["cbow"]}
        return {name: ", ".join(f"{model} {value}" for model, value in of.items()) for name, of in by_option.items()}

    @property
    def level(self) -> str:
        """What a token is: vectors stand for words."""
        return "word"

    def check(self) -> None:
        """NlpError where options do not go together."""
        if self.shared and not self.negatives:
            raise NlpError("--shared noise words are negatives, and --negatives 0 takes none: leave one of them out")
        if self.model in WORD2VEC and self.optimizer != "sgd":
            raise NlpError(
                f"--model {self.model} adds up a stretch of updates, which is meant for --optimizer sgd alone"
            )
