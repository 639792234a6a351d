"""`python -m benchmarks.output_layers TEXT`: tokens a second that a language model learns from, by its output layer.

One LSTM layer of 200 units and an embedding of 200 over all words of the text, trained as `nlp train` does, with every
output layer that there is. They take turns, in one process and with one thread; quoted are the median over the rounds,
and that of the ratio to the full softmax of the same round. How good they are is in `nlp results`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, get_args

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is loaded

from benchmarks.libraries import Work
from benchmarks.timing import timed
from nlp.config import Config, Output
from nlp.errors import NlpError
from nlp.tasks.language_modelling import LanguageModelling
from nlp.text import Prepared
from nlp.text.corpus import Corpus
from nlp.training.experiment import prepare_text, use_threads

SIZE = 200
FULL, TIED = "full", "full, tied"
LAYERS = (FULL, TIED, *(output for output in get_args(Output) if output != FULL))


def training(layer: str, prepared: Prepared) -> tuple[Work, int]:
    """What makes an update, and the tokens of one."""
    config = _config(layer)
    task = LanguageModelling()
    trainer: Any = task.make_trainer(config, prepared.vocabulary)
    windows, valid = task.windows(config, prepared)
    going = trainer.train(windows, valid)
    return lambda: next(going), windows.bptt * windows.batch_size


def _config(layer: str) -> Config:
    tied = layer == TIED
    return Config.choose(
        output=FULL if tied else layer, tied=tied, embedding=SIZE, hidden=SIZE, dropout=0.2, min_count=1, threads=1
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.output_layers", description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--updates", type=int, default=5, help="in a round, of each")
    arguments = parser.parse_args()
    try:
        text = arguments.text.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            corpus = Corpus.of_texts("text", str(arguments.text), train=text, valid=text[:1000])
            prepared = prepare_text(corpus, Path(folder), _config(FULL))
        layers = {layer: training(layer, prepared) for layer in LAYERS}
    except (NlpError, OSError, UnicodeDecodeError) as error:
        parser.error(str(error))
    if min(arguments.rounds, arguments.updates) < 1:
        parser.error("--rounds and --updates are at least 1")
    use_threads(1)
    for update, _ in layers.values():
        timed(update, 2)  # what only the first ones do
    times: dict[str, list[float]] = {layer: [] for layer in layers}
    for _ in range(arguments.rounds):
        for layer, (update, _) in layers.items():
            times[layer].append(timed(update, arguments.updates))
    print(f"{arguments.text.name}, {len(prepared.vocabulary):,} words, one thread: tokens/s, and full softmax = 1")
    for layer, (_, tokens) in layers.items():
        speed = tokens / statistics.median(times[layer])
        ratio = statistics.median(full / its for full, its in zip(times[FULL], times[layer], strict=True))
        print(f"{layer:14}{speed:10,.0f}{ratio:8.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
