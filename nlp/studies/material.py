"""What every study needs first: a text cut to size."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nlp.studies.size import Size
from nlp.text import Corpus, Prepared
from nlp.training.experiment import corpus_and_sources, prepare_text

__all__ = ["read_text"]

VALID_TOKENS = 10_000  # of the validation text, at most


def read_text(
    text: Mapping[str, Any] | Corpus | None, size: Size, note: Callable[[str, float], None] | None = None
) -> Prepared:
    """The text as ids in memory, cut to size; `text` is what `Experiment.create` takes, None the default corpus.

    Raises NlpError for a text that cannot be read or is too short.
    """
    corpus, _ = corpus_and_sources(text)
    with tempfile.TemporaryDirectory(prefix="nlp-study-") as folder:
        prepared = prepare_text(corpus, Path(folder), size.config(), note)
        most = {"train": size.tokens, "valid": VALID_TOKENS}
        ids = {part: np.array(prepared.ids[part][:most]) for part, most in most.items()}
    return replace(prepared, ids=ids)
