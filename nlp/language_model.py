"""What `nlp.load` gives for a run of `nlp train`."""

from __future__ import annotations

from dataclasses import dataclass

from nlp.config import Config
from nlp.models.token_model import TokenModel
from nlp.text import Tokenizer, Vocabulary

__all__ = ["LanguageModel"]


@dataclass(frozen=True)
class LanguageModel:
    """A trained model with what it needs to read and write text."""

    model: TokenModel
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    config: Config
