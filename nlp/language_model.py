"""What `nlp.load` gives for a run of `nlp train`."""

from __future__ import annotations

from dataclasses import dataclass

from nlp.config import Config
from nlp.errors import NlpError
from nlp.models.token_model import TokenModel
from nlp.run_folder import RunFolder, StrPath
from nlp.text import Tokenizer, Vocabulary

__all__ = ["LanguageModel", "load_language_model"]


@dataclass(frozen=True)
class LanguageModel:
    """A trained model with what it needs to read and write text."""

    model: TokenModel
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    config: Config


def load_language_model(run: StrPath, device: str = "cpu") -> LanguageModel:
    """What `nlp.load` gives, where that is a language model. Raises NlpError as it does, and for any other run."""
    folder = RunFolder.open(run)
    loaded = folder.load(device)
    if not isinstance(loaded, LanguageModel):
        raise NlpError(f"{run} was made by {folder.command()}: what is needed here is a language model, of nlp train")
    return loaded
