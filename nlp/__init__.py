"""nlp: language models and word vectors trained on minigrad.

From the command line: `nlp train`, `nlp generate RUN`, `nlp eval RUN --text FILE`, `nlp words train` and more. From
Python:

    import nlp
    from nlp.generation import generate

    language_model = nlp.load("runs/python-docs-1")
    print("".join(generate(language_model, "The function")))

Where things are: `text` goes from files to batches of token ids, `models` has a file for each model, `tasks` says how
options become a model and what comes out of it, `training` trains, `evaluation` judges, `generation` writes, `tuning`
looks for good options, `studies` shows what is difficult, `results` has what was measured, `commands` is the command
line. `config` has the options of a language model, `vector_config` those of word vectors, `run_folder` all files of a
run. A new model: its file in `models`, its options in the config, its line in the task.
"""

from __future__ import annotations

import os
from typing import Any

from nlp.errors import NlpError

__all__ = ["NlpError", "load"]

# After a product OpenBLAS's threads spin in wait for the next, for 2^26 cycles, on the cores where minigrad's threads
# would work on its rows. 2^18 still bridges the small products of a recurrent step; the loss over 33,278 words takes 83
# milliseconds for 90, the whole step a tenth less. It is read as NumPy is loaded: who did that before decides himself.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")


def load(run: str | os.PathLike[str], device: str = "cpu") -> Any:
    """What a run folder has come to, ready to use: a `LanguageModel` (dropout off), or the `KeyedVectors` of its words.

    Raises NlpError for a folder that is missing or lacks a file, and for a file that is damaged or fits no other.
    """
    from nlp.run_folder import RunFolder  # here, so that `nlp.text` can be used without the engine

    return RunFolder.open(run).load(device)
