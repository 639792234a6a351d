"""How large the trainings of a study are: models of one layer, small enough for minutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nlp.config import Config
from nlp.errors import NlpError

__all__ = ["Size"]

WORDS = 2_000  # that are known at level word; as many pieces at level bpe
LEAST_TOKENS = 1_000


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is trained in a study. The learning rate is constant, so that studies show one thing at a time.

    tokens: of the training text, from its beginning. epochs: of each training. Raises NlpError for what `Config`
    refuses, and for fewer than 1,000 tokens.
    """

    level: str = "char"
    tokens: int = 60_000
    hidden: int = 64
    epochs: int = 4
    bptt: int = 50
    batch_size: int = 20
    seed: int = 1

    def __post_init__(self) -> None:
        if self.tokens < LEAST_TOKENS:
            raise NlpError(f"--tokens is at least {LEAST_TOKENS:,} in a study, not {self.tokens:,}")
        self.config()

    def config(self, **options: Any) -> Config:
        """A model of one layer and its training, with these options of `Config`."""
        chosen: dict[str, Any] = {
            "level": self.level,
            "vocab_size": WORDS if self.level in ("word", "bpe") else None,
            "model": "rnn",
            "hidden": self.hidden,
            "embedding": self.hidden,
            "layers": 1,
            "tied": False,
            "dropout": 0.0,
            "schedule": "constant",
            "patience": 0,
            "epochs": self.epochs,
            "bptt": self.bptt,
            "batch_size": self.batch_size,
            "seed": self.seed,
        }
        return Config.choose(**{**chosen, **options})
