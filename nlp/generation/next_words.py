"""What a language model expects next: the likeliest tokens after a text, with their probabilities."""

from __future__ import annotations

import numpy as np

from nlp.errors import NlpError
from nlp.generation.sampling import Reader, largest
from nlp.language_model import LanguageModel
from nlp.text.tokens import Tokenizer

__all__ = ["next_words", "visible"]


def next_words(language_model: LanguageModel, text: str = "", k: int = 10) -> list[tuple[str, float]]:
    """The `k` likeliest tokens after the text and the probability of each, the likeliest first.

    The model starts at the beginning of a line. `<unk>` is among the tokens: its probability is that of a word which
    the model does not know. Raises NlpError for a k below 1.
    """
    if k < 1:
        raise NlpError(f"--count must be at least 1 token, not {k}")
    tokenizer, vocabulary = language_model.tokenizer, language_model.vocabulary
    scores, _ = Reader(language_model.model).begin(
        vocabulary.encode([*tokenizer.encode("\n"), *tokenizer.encode(text)])
    )
    weights = np.exp(scores[0] - scores.max())
    ids = largest(scores[0], k)
    return list(zip(vocabulary.decode(ids), (weights[ids] / weights.sum()).tolist(), strict=True))


def visible(tokenizer: Tokenizer, token: str) -> str:
    """A token as it can be shown: a word as it is, anything else in quotes, with its spaces and line ends to be seen.

    A token that is not a whole character is shown by its name.
    """
    if tokenizer.level == "word":
        return token
    text = tokenizer.decode([token])
    return token if "\N{REPLACEMENT CHARACTER}" in text else repr(text)
