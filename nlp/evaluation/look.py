"""A look inside a trained model: its parameters in numbers, and which tokens it takes for alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.backend import to_host
from nlp.errors import NlpError
from nlp.generation.sampling import largest
from nlp.language_model import LanguageModel

__all__ = ["ParameterSummary", "embedding_of", "frequent_tokens", "has_embedding", "nearest", "summaries"]

SHORTEST = 4  # letters of a word that says something; below stand mostly "the", "of", "to"


@dataclass(frozen=True)
class ParameterSummary:
    """One parameter in numbers; `largest` is the largest absolute value."""

    name: str
    shape: tuple[int, ...]
    count: int
    norm: float
    mean: float
    deviation: float
    largest: float


def summaries(model: Any) -> list[ParameterSummary]:
    """The parameters of a model, each once, under the first of its names."""
    return [_summary(name, to_host(parameter._array)) for name, parameter in model.named_parameters()]


def _summary(name: str, values: np.ndarray) -> ParameterSummary:
    exact = values.astype(np.float64)
    return ParameterSummary(
        name,
        values.shape,
        values.size,
        norm=math.sqrt(float((exact * exact).sum())),
        mean=float(exact.mean()),
        deviation=float(exact.std()),
        largest=float(np.abs(exact).max()),
    )


def has_embedding(language_model: LanguageModel) -> bool:
    """Whether the model has a vector for each token: see `embedding_of`."""
    return _embedding(language_model) is not None


def embedding_of(language_model: LanguageModel) -> NDArray[np.float64]:
    """The vectors (V, E) that stand for the tokens: the model's first parameter with a row for each.

    Raises NlpError for a model that has none.
    """
    found = _embedding(language_model)
    if found is None:
        raise NlpError(
            f"a model of the kind {language_model.config.model} has no vector for each token, so that no words can be "
            "compared: name a run of a recurrent network, such as --model lstm, or one of nlp words train"
        )
    return to_host(found._array).astype(np.float64)


def _embedding(language_model: LanguageModel) -> Any:
    vocabulary = len(language_model.vocabulary)
    found = (one for one in language_model.model.parameters() if one.ndim == 2 and len(one) == vocabulary)
    return next(found, None)


def nearest(language_model: LanguageModel, tokens: list[str], k: int = 8) -> dict[str, list[tuple[str, float]]]:
    """For each token the `k` others whose vectors have the largest cosine with its own, and that cosine.

    Raises NlpError for a token that the vocabulary lacks, and for a k below 1.
    """
    if k < 1:
        raise NlpError(f"--count must be at least 1 token, not {k}")
    vocabulary = language_model.vocabulary
    if unknown := [token for token in tokens if token not in vocabulary]:
        raise NlpError(f"the model does not know {unknown[0]!r}: name a word of its vocabulary")
    vectors = embedding_of(language_model)  # V, E
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.maximum(length, np.finfo(np.float64).tiny)
    result = {}
    for token in tokens:
        own = vocabulary.id_of(token)
        cosine = directions @ directions[own]
        cosine[own] = -np.inf
        ids = largest(cosine, min(k, len(cosine) - 1))
        result[token] = list(zip(vocabulary.decode(ids), cosine[ids].tolist(), strict=True))
    return result


def frequent_tokens(language_model: LanguageModel, count: int = 6, words: bool = True) -> list[str]:
    """The most frequent tokens of the training text; with `words` only those that are words of four letters or more."""
    vocabulary = language_model.vocabulary
    by_count = (vocabulary.tokens[id] for id in np.argsort(-vocabulary.counts, kind="stable"))
    chosen = (token for token in by_count if not words or (token.isalpha() and len(token) >= SHORTEST))
    return list(islice(chosen, count))
