"""One training run from a text to a finished run folder: what `nlp train` does, for Python too.

experiment = Experiment(choose(hidden=300), load_corpus(["book.txt"]))
folder = RunFolder.create(None, experiment.corpus.name)
for event in experiment.train(folder):
    print(event)
results = experiment.finish(folder)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import minigrad
from nlp.config import Config
from nlp.curves import draw_curves
from nlp.evaluate import WINDOW, Evaluation, evaluate, perplexity, scored_ids
from nlp.generate import generate
from nlp.run_folder import LanguageModel, RunFolder, make_model
from nlp.text import BpttBatches, Corpus, EvaluationBatches, Vocabulary, looks_pretokenized, make_tokenizer
from nlp.train import Epoch, Step, Trainer

__all__ = ["Experiment", "Results"]

VALID_STREAMS = 10  # side by side in the validation after each epoch; the final one reads the text in one piece
SAMPLE_TEMPERATURE = 0.8


@dataclass(frozen=True)
class Results:
    """What a finished run came to: for each part of the corpus the model's evaluation and the unigram perplexity."""

    model: dict[str, Evaluation]
    unigram: dict[str, float]
    sample: str

    def to_json(self) -> dict[str, float]:
        """The perplexities as plain values."""
        return {f"{part}_perplexity": evaluation.perplexity for part, evaluation in self.model.items()} | {
            f"{part}_unigram_perplexity": value for part, value in self.unigram.items()
        }


class Experiment:
    """A configuration and a corpus, made ready: tokenizer, vocabulary, ids, model and trainer.

    Seeds minigrad's random generator, so that equal configurations, corpora and thread counts give equal weights.
    Raises NlpError for a corpus too short for the batch size and for a device that is not there.
    """

    def __init__(self, config: Config, corpus: Corpus) -> None:
        self.config, self.corpus = config, corpus
        use_threads(config.threads)
        pretokenized = config.level == "word" and looks_pretokenized(corpus.train)
        self.tokenizer = make_tokenizer(config.level, pretokenized=pretokenized, lowercase=config.lowercase)
        tokens = self.tokenizer.encode(corpus.train)
        self.vocabulary = Vocabulary.build(
            tokens, min_count=config.min_count, max_size=config.vocab_size, specials=self.tokenizer.specials
        )
        self.train_batches = BpttBatches(self.vocabulary.encode(tokens), config.batch_size, config.bptt)
        self.train_tokens = len(tokens)
        held_out = {"valid": corpus.valid} | ({"test": corpus.test} if corpus.test is not None else {})
        self.held_out = {part: scored_ids(text, self.tokenizer, self.vocabulary) for part, text in held_out.items()}
        minigrad.manual_seed(config.seed)
        self.model = make_model(config, len(self.vocabulary))
        self.trainer = Trainer(
            self.model,
            optimizer=config.optimizer,
            lr=config.lr,
            clip=config.clip,
            patience=config.patience,
            max_minutes=config.max_minutes,
        )

    def train(self, folder: RunFolder) -> Iterator[Step | Epoch]:
        """Train to the end, passing on what the trainer yields; everything worth keeping is in the folder at once."""
        folder.write_config(self.config, self.tokenizer, self.describe_corpus())
        folder.write_vocabulary(self.vocabulary)
        valid = EvaluationBatches(self.held_out["valid"], VALID_STREAMS, self.config.bptt)
        for event in self.trainer.train(self.train_batches, valid, self.config.epochs):
            if isinstance(event, Epoch) and event.improved:
                folder.write_weights(self.trainer.best)
            folder.append_metrics({"kind": type(event).__name__.lower(), **asdict(event)})
            yield event

    def keep(self, folder: RunFolder) -> str:
        """Leave training in the middle: see that there are weights in the folder, and say in words which.

        The best so far are there already; before the first epoch is over, those of now are written.
        """
        if self.trainer.best:
            return f"the best weights so far (validation perplexity {perplexity(self.trainer.best_loss):,.2f})"
        folder.write_weights(self.model.state_dict())
        return "the weights of the unfinished first epoch"

    def finish(self, folder: RunFolder) -> Results:
        """Judge the best weights on validation and test text, write a sample and draw the curves."""
        if self.trainer.best:
            self.model.load_state_dict(self.trainer.best)
        parts = self.held_out.items()
        results = Results(
            model={part: evaluate(self.model, EvaluationBatches(ids, 1, WINDOW)) for part, ids in parts},
            unigram={part: self.vocabulary.unigram_perplexity(ids[1:]) for part, ids in parts},
            sample=self.sample(),
        )
        folder.write_sample(results.sample)
        folder.append_metrics({"kind": "results", **results.to_json()})
        draw_curves(folder)
        return results

    def sample(self) -> str:
        """A text that the model writes, always the same for the same weights and seed."""
        language_model = LanguageModel(self.model, self.vocabulary, self.tokenizer, self.config)
        return "".join(generate(language_model, temperature=SAMPLE_TEMPERATURE, seed=self.config.seed))

    def describe_corpus(self) -> dict[str, Any]:
        """Where the text comes from and how large it is, in plain values."""
        return {
            "name": self.corpus.name,
            "source": self.corpus.source,
            "sha256": self.corpus.sha256,
            "tokens": {"train": self.train_tokens} | {part: len(ids) - 1 for part, ids in self.held_out.items()},
        }


def use_threads(count: int | None) -> None:
    """Compute with `count` threads: minigrad's kernels, and the library behind NumPy's matrix products. None: all."""
    if count is not None:
        from threadpoolctl import threadpool_limits  # NumPy itself has no way to say it

        minigrad.set_num_threads(count)
        threadpool_limits(count, user_api="blas")
