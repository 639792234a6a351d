"""nlp: language models trained on minigrad.

From the command line: `nlp train`, `nlp generate RUN`, `nlp eval RUN --text FILE` and more. From Python:

    import nlp
    from nlp.generation import generate

    language_model = nlp.load("runs/python-docs-1")
    print("".join(generate(language_model, "The function")))

Where things are: `text` goes from files to batches of token ids, `models` has the networks, `training` trains them,
`evaluation` judges them, `generation` lets them write, `tuning` looks for good options, `commands` is the command line.
`config` has all options, `run_folder` all files of a run.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nlp.errors import NlpError

if TYPE_CHECKING:
    from nlp.language_model import LanguageModel

__all__ = ["NlpError", "load"]


def load(run: str | os.PathLike[str], device: str = "cpu") -> LanguageModel:
    """The model of a run folder with its best weights, its vocabulary and tokenizer, ready to use (dropout off).

    Raises NlpError for a folder that is missing or lacks a file, and for a file that is damaged or fits no other.
    """
    from nlp.run_folder import RunFolder  # here, so that `nlp.text` can be used without the engine

    return RunFolder.open(run).load(device)
