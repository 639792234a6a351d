"""Everything that decides what a training of a language model does, checked: the same from the command line, from a
file and from Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nlp.errors import NlpError
from nlp.options import COUNT, POSITIVE, SHARE, Range, in_words, option
from nlp.presets import PRESETS
from nlp.run_options import MODEL, TEXT, TRAINING, RunOptions

__all__ = ["Config"]

Level = Literal["word", "char", "byte", "bpe"]
Model = Literal["lstm", "gru", "rnn", "irnn", "deep-transition", "jordan", "window", "maxent", "ngram"]
Output = Literal["full", "hierarchical", "adaptive", "negative", "nce", "blackout", "importance"]
Smoothing = Literal["ml", "add-k", "jelinek-mercer", "kneser-ney", "modified-kneser-ney"]
OptimizerName = Literal["sgd", "adam", "adamw", "nadam", "adagrad", "adadelta", "rmsprop"]
Schedule = Literal["plateau", "constant", "exponential", "cosine", "linear"]

# Which models an option is for, where it is not for all.
RECURRENT = ("lstm", "gru", "rnn", "irnn")
NETWORKS = (*RECURRENT, "deep-transition", "jordan", "window")
TRAINED = (*NETWORKS, "maxent")  # by gradients
SAMPLED = ("negative", "nce", "blackout", "importance")

# What is not chosen: by level, and the learning rate by optimizer.
_LETTERS = {"embedding": 64, "hidden": 256, "layers": 1, "dropout": 0.1, "tied": False, "bptt": 64, "min_count": 1}
_WORDS = {"embedding": 256, "hidden": 256, "layers": 1, "dropout": 0.5, "tied": True, "bptt": 35, "min_count": 2}
_LEVEL_DEFAULTS: dict[str, dict[str, Any]] = {
    "word": {**_WORDS, "vocab_size": None},
    "char": {**_LETTERS, "vocab_size": None},
    "byte": {**_LETTERS, "vocab_size": None},
    "bpe": {**_WORDS, "dropout": 0.3, "bptt": 48, "vocab_size": 4096},
}
_LEARNING_RATES = {
    "sgd": 20.0,
    "adam": 0.004,
    "adamw": 0.004,
    "nadam": 0.004,
    "adagrad": 0.05,
    "adadelta": 1.0,
    "rmsprop": 0.002,
}


@dataclass(frozen=True, kw_only=True)
class Config(RunOptions):
    """All that decides what a run trains; `Config.choose` fills in what was not said.

    Where the weights are tied, whichever of embedding and hidden is not given follows the other; where both are given
    and differ, the weights are not tied unless you say so.
    """

    TASK = "language model"
    PRESETS = PRESETS
    CHANGEABLE = ("epochs", "patience", "clip", *RunOptions.CHANGEABLE)
    NONE_MEANS = {
        **RunOptions.NONE_MEANS,
        "dropout_input": "that of --dropout",
        "dropout_between": "that of --dropout",
        "initial_range": "each layer's own",
    }

    level: Level = option(TEXT, "What a token is: word, char, byte or bpe.", default="word")
    min_count: int = option(
        TEXT,
        "How often a word must occur to be known; the others are <unk>. At level bpe: a pair, to be joined.",
        COUNT,
    )
    vocab_size: int | None = option(
        TEXT, "The number of tokens to know, the most frequent. Level byte always has 256.", Range(2)
    )

    model: Model = option(
        MODEL,
        "A recurrent network of lstm, gru, rnn or irnn layers; deep-transition: with layers inside its transitions; "
        "jordan: recurrent through its output; window: of the last words alone; maxent: features of n-grams; ngram: "
        "counts.",
        default="lstm",
    )
    embedding: int = option(MODEL, "Numbers that stand for a token.", COUNT, models=NETWORKS)
    hidden: int = option(MODEL, "Units in a recurrent layer.", COUNT, models=NETWORKS)
    layers: int = option(MODEL, "Recurrent layers.", Range(1, 16), models=RECURRENT)
    tied: bool = option(MODEL, "Use the embedding as the output layer too.", models=RECURRENT)
    dropout: float = option(MODEL, "Share of the last layer's outputs left out in training.", SHARE, models=NETWORKS)
    dropout_input: float | None = option(
        MODEL, "The same of the embedded tokens.", SHARE, default=None, models=RECURRENT
    )
    dropout_between: float | None = option(MODEL, "The same between the layers.", SHARE, default=None, models=RECURRENT)
    dropout_words: float = option(
        MODEL, "Share of the tokens left out wherever they occur.", SHARE, default=0.0, models=RECURRENT
    )
    weight_drop: float = option(MODEL, "Share of the recurrent weights left out.", SHARE, default=0.0, models=RECURRENT)
    locked: bool = option(
        MODEL, "Leave out the same units at all time steps of a window.", default=False, models=RECURRENT
    )
    initial_range: float | None = option(
        MODEL,
        "Start all weights but the output bias in U(-R, R).",
        Range(0, 10, open_low=True),
        default=None,
        models=RECURRENT,
    )
    unigram_bias: bool = option(
        MODEL,
        "Start at the logarithm of the tokens' counts, one added to each, before anything else is known.",
        default=True,
        models=TRAINED,
    )

    dropout_recurrent: float = option(
        MODEL,
        "Share of the state left out on its way to the next time step, the same units at all (Gal and Ghahramani "
        "2016).",
        SHARE,
        default=0.0,
        models=RECURRENT,
    )
    skip: bool = option(
        MODEL,
        "The input goes to every layer, and every layer to the output (Graves 2013).",
        default=False,
        models=RECURRENT,
    )
    input_depth: int = option(
        MODEL, "Layers from input to state (Pascanu et al. 2014).", COUNT, default=1, models=("deep-transition",)
    )
    transition_depth: int = option(MODEL, "Layers from state to state.", COUNT, default=2, models=("deep-transition",))
    output_depth: int = option(MODEL, "Layers from state to output.", COUNT, default=1, models=("deep-transition",))
    shortcut: bool = option(
        MODEL, "The state reaches the next one directly, too.", default=True, models=("deep-transition",)
    )
    teacher_forcing: float = option(
        MODEL,
        "Share of the time steps in training that are told the true token in place of the expected one.",
        Range(0, 1),
        default=0.0,
        models=("jordan",),
    )
    order: int = option(
        MODEL, "n: a token is foretold from the n-1 before it.", COUNT, default=5, models=("window", "ngram")
    )
    direct: bool = option(
        MODEL,
        "The window's vectors reach the output directly, too (Bengio et al. 2003).",
        default=True,
        models=("window",),
    )
    smoothing: Smoothing = option(
        MODEL,
        "What unseen n-grams get: ml (nothing), add-k, jelinek-mercer, kneser-ney or modified-kneser-ney.",
        default="modified-kneser-ney",
        models=("ngram",),
    )
    add_k: float = option(MODEL, "What add-k adds to every count.", POSITIVE, default=0.01, models=("ngram",))
    maxent_order: int = option(
        MODEL,
        "Add features of n-grams up to this n to the scores, found by hashing (Mikolov et al. 2011); 0: none.",
        Range(0),
        default=0,
        models=TRAINED,
    )
    maxent_size: int = option(MODEL, "Weights for these features.", COUNT, default=2**22, models=TRAINED)
    output: Output = option(
        MODEL,
        "The output layer: full, hierarchical or adaptive; or a full one trained on a sample of the words by negative "
        "sampling, nce, blackout or importance sampling. For large vocabularies.",
        default="full",
        models=NETWORKS,
    )
    samples: int = option(MODEL, "Words in such a sample.", COUNT, default=500, models=NETWORKS)

    optimizer: OptimizerName = option(
        TRAINING, "sgd, adam, adamw, nadam, adagrad, adadelta or rmsprop.", default="adam", models=TRAINED
    )
    lr: float = option(TRAINING, "Learning rate.", POSITIVE, models=TRAINED)
    momentum: float = option(TRAINING, "Momentum of sgd or rmsprop.", SHARE, default=0.0, models=TRAINED)
    weight_decay: float = option(TRAINING, "Pull of the weights to zero (L2).", Range(0), default=0.0, models=TRAINED)
    schedule: Schedule = option(
        TRAINING,
        "How the learning rate falls: plateau (after an epoch without progress), exponential (after every epoch from "
        "--decay-after on), cosine (to 0 at the last epoch), linear (the same, with every update) or constant.",
        default="plateau",
        models=TRAINED,
    )
    decay: float = option(
        TRAINING, "What plateau and exponential divide the rate by.", Range(1), default=4.0, models=TRAINED
    )
    decay_after: int = option(
        TRAINING, "Epochs at the full rate before exponential begins.", Range(0), default=0, models=TRAINED
    )
    bptt: int = option(TRAINING, "Time steps that a gradient goes back.", COUNT, models=TRAINED)
    bptt_drawn: bool = option(
        TRAINING,
        "Draw the time steps around --bptt for every window (Merity et al. 2018).",
        default=False,
        models=TRAINED,
    )
    batch_size: int = option(TRAINING, "Stretches of the text read side by side.", COUNT, default=20, models=TRAINED)
    epochs: int = option(TRAINING, "Passes over the text, at most.", COUNT, default=12, models=TRAINED)
    clip: float = option(TRAINING, "Largest norm of the gradient; 0: any.", Range(0), default=0.5, models=TRAINED)
    activation_penalty: float = option(
        TRAINING, "Weight of the squared outputs in the objective.", Range(0), default=0.0, models=RECURRENT
    )
    change_penalty: float = option(
        TRAINING,
        "Weight of the squared change of the outputs from step to step.",
        Range(0),
        default=0.0,
        models=RECURRENT,
    )
    nt_asgd: int = option(
        TRAINING,
        "Average the weights once the validation loss has not fallen for so many epochs (Merity et al. 2018); 0: no.",
        Range(0),
        default=0,
        models=TRAINED,
    )
    patience: int = option(
        TRAINING, "Epochs without progress before training ends; 0: go on.", Range(0), default=2, models=TRAINED
    )

    @classmethod
    def defaults(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """By level, model and optimizer; tied sizes are one."""
        level, optimizer = given.get("level", cls.level), given.get("optimizer", cls.optimizer)
        model = given.get("model", cls.model)
        defaults = {**_LEVEL_DEFAULTS[level], "lr": _LEARNING_RATES[optimizer]}
        if model == "maxent":
            defaults["maxent_order"] = 3
        if model == "ngram":
            defaults["epochs"] = 1
        if model not in RECURRENT or given.get("skip") or given.get("output") in ("hierarchical", "adaptive"):
            defaults["tied"] = False
        sizes = {given[name] for name in ("embedding", "hidden") if name in given}
        if len(sizes) == 2:
            defaults["tied"] = False
        elif given.get("tied", defaults["tied"]):
            defaults["embedding"] = defaults["hidden"] = sizes.pop() if sizes else defaults["hidden"]
        return defaults

    @classmethod
    def defaults_in_words(cls) -> dict[str, str]:
        """Those that the level decides, and the learning rate."""
        rates = ", ".join(f"{optimizer} {rate:g}" for optimizer, rate in _LEARNING_RATES.items())
        by_level = {name: _by_level(name) for name in _LEVEL_DEFAULTS["word"]}
        return {**by_level, "lr": rates, "maxent_order": "maxent 3, others 0"}

    def check(self) -> None:
        """NlpError where options do not go together."""
        self._check_model()
        self._check_training()
        self._check_text()

    def unheard(self) -> dict[str, str]:
        """The options that nothing asks for, and what would."""
        asked = {
            "dropout_between": (self.layers > 1, "--layers 2 or more"),
            "samples": (self.output in SAMPLED, f"--output {', '.join(SAMPLED)}"),
            "add_k": (self.smoothing == "add-k", "--smoothing add-k"),
            "maxent_size": (self.maxent_order > 0, "--maxent-order or --model maxent"),
            "decay": (self.schedule in ("plateau", "exponential"), "--schedule plateau or exponential"),
            "decay_after": (self.schedule == "exponential", "--schedule exponential"),
        }
        return {name: with_what for name, (heard, with_what) in asked.items() if not heard}

    def _check_model(self) -> None:
        if self.tied and self.embedding != self.hidden and self.layers == 1:
            raise NlpError(
                f"--tied uses the embedding as the output layer, so that with one layer --embedding "
                f"({self.embedding}) and --hidden ({self.hidden}) must be equal"
            )
        if self.tied and self.skip:
            raise NlpError(
                "--skip takes all layers to the output, where --tied has room for one alone: leave one of them out"
            )
        if self.tied and self.output in ("hierarchical", "adaptive"):
            raise NlpError(
                f"--tied needs a row for each word, which --output {self.output} lacks: leave one of them out"
            )
        if self.weight_drop and self.dropout_recurrent:
            raise NlpError("--weight-drop and --dropout-recurrent both act in the recurrence: leave one of them out")
        if self.model == "deep-transition" and self.shortcut and self.transition_depth == 1:
            raise NlpError("--shortcut goes past layers, and --transition-depth 1 has none between: give --no-shortcut")
        if self.model == "window" and self.order == 1:
            raise NlpError("--model window of --order 1 would look at no word at all: give --order 2 or more")
        if self.maxent_order and self.output != "full":
            raise NlpError(
                f"--maxent-order adds to the scores of all words, which --output {self.output} does without: leave one "
                "of them out"
            )
        if self.maxent_order and (self.activation_penalty or self.change_penalty):
            other = "--activation-penalty" if self.activation_penalty else "--change-penalty"
            raise NlpError(f"--maxent-order trains on the words alone, so {other} does not go with it: leave one out")
        if self.model == "maxent" and not self.maxent_order:
            raise NlpError("--model maxent is nothing without features: give --maxent-order 1 or more")

    def _check_training(self) -> None:
        if self.momentum and self.optimizer not in ("sgd", "rmsprop"):
            raise NlpError(f"--momentum goes with --optimizer sgd or rmsprop, not with {self.optimizer}")
        if self.nt_asgd and (self.optimizer != "sgd" or self.momentum):
            other = f"--optimizer {self.optimizer}" if self.optimizer != "sgd" else "--momentum"
            raise NlpError(f"--nt-asgd averages what plain sgd does: it does not go with {other}")
        if 0 < self.patience <= self.nt_asgd:
            raise NlpError(
                f"--patience {self.patience} ends training before --nt-asgd {self.nt_asgd} can begin to average: "
                f"give --patience 0, or more than {self.nt_asgd}"
            )

    def _check_text(self) -> None:
        if self.lowercase and self.level == "byte":
            raise NlpError("--lowercase changes characters, and --level byte reads bytes: leave one of them out")
        if self.level == "byte" and (self.vocab_size is not None or self.min_count != 1):
            other = "--min-count" if self.vocab_size is None else "--vocab-size"
            raise NlpError(f"--level byte always knows the 256 bytes, so {other} does not go with it: leave it out")


def _by_level(name: str) -> str:
    """The defaults of an option at each level, once where they are all one."""
    values = {level: defaults[name] for level, defaults in _LEVEL_DEFAULTS.items()}
    if name == "vocab_size":
        values["byte"] = 256
    words = {level: "no limit" if value is None else in_words(value) for level, value in values.items()}
    if len(set(words.values())) == 1:
        return words["word"]
    return ", ".join(f"{level} {value}" for level, value in words.items())
