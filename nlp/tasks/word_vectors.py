"""The task of word vectors: a vector for each word, learned from the words around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import minigrad
from nlp.keyed_vectors import KeyedVectors
from nlp.models.cbow import CBOW
from nlp.models.collobert_weston import CollobertWeston
from nlp.models.glove import GloVe
from nlp.models.skip_gram import SkipGram
from nlp.models.word_vectors import WordVectors
from nlp.tasks import on_device
from nlp.text import Prepared, Tokenizer, Vocabulary
from nlp.text.contexts import ContextWindows, CorruptedWindows, stretch_length
from nlp.text.cooccurrence import CooccurrenceBatches, count_cooccurrences
from nlp.training.curves import draw_curves
from nlp.training.trainer import Trainer, Windows
from nlp.vector_config import VectorConfig

if TYPE_CHECKING:
    from nlp.training.experiment import Experiment

__all__ = ["VectorResults", "WordVectorLearning"]

ENTRIES, WINDOWS = 4096, 256  # in one update of glove, and of collobert-weston
SHOWN, NEAR = 6, 5  # frequent words whose nearest ones are shown at the end, and how many of these


@dataclass(frozen=True)
class VectorResults:
    """What a finished run came to: the loss of the best weights, and the words nearest to some frequent ones."""

    valid_loss: float
    neighbours: dict[str, list[tuple[str, float]]]


class WordVectorLearning:
    """A `Task` whose options are a `VectorConfig`."""

    options = VectorConfig

    def make_model(self, config: VectorConfig, vocabulary: Vocabulary) -> WordVectors:
        """The model that `config.model` names."""
        return on_device(_MODELS[config.model](config, vocabulary), config.device)

    def make_trainer(self, config: VectorConfig, vocabulary: Vocabulary) -> Trainer:
        """Seeds minigrad's random generator."""
        minigrad.manual_seed(config.seed)
        return Trainer(
            self.make_model(config, vocabulary),
            optimizer=config.optimizer,
            lr=config.lr,
            schedule=config.schedule,
            clip=None,
            patience=config.patience,
            epochs=config.epochs,
            max_minutes=config.max_minutes,
        )

    def windows(self, config: VectorConfig, prepared: Prepared) -> tuple[Windows, Iterable[Any]]:
        """Words with those around them, of the training and of the validation text."""
        counts, ids = prepared.vocabulary.counts, prepared.ids
        return _windows(config, ids["train"], counts), _windows(config, ids["valid"], counts)

    def loaded(
        self, config: VectorConfig, model: WordVectors, vocabulary: Vocabulary, tokenizer: Tokenizer
    ) -> KeyedVectors:
        """The vectors of all words but the tokens that stand for none."""
        return KeyedVectors.of_vocabulary(vocabulary, model.vectors(), tokenizer.specials)

    def finish(self, experiment: Experiment) -> VectorResults:
        """See which words are near to each other, and draw the curves."""
        prepared = experiment.prepared
        vectors = self.loaded(experiment.config, experiment.model, prepared.vocabulary, prepared.tokenizer)
        chosen = [word for word in vectors.words if word.isalpha() and len(word) > 3][:SHOWN]
        neighbours = {word: vectors.most_similar([word], count=NEAR) for word in chosen}
        results = VectorResults(experiment.trainer.best_loss, neighbours)
        experiment.folder.append_metrics({"kind": "results", "valid_loss": results.valid_loss})
        draw_curves(experiment.folder, "loss", perplexities=False)
        return results


# ---- which model, and what it reads ---------------------------------------------------------------------------------


def _windows(config: VectorConfig, ids: Any, counts: Any) -> Any:
    if config.model == "glove":
        pairs = count_cooccurrences(ids, len(counts), window=config.window)
        return CooccurrenceBatches(pairs, bptt=config.batch_size or ENTRIES)
    if config.model == "collobert-weston":
        return CorruptedWindows(ids, len(counts), window=config.window, bptt=config.batch_size or WINDOWS)
    return ContextWindows(
        ids,
        counts,
        window=config.window,
        subsample=config.subsample,
        bptt=config.batch_size or stretch_length(counts, config.subsample),
        predict_centre=config.model == "cbow",
    )


def _skip_gram(config: VectorConfig, vocabulary: Vocabulary) -> SkipGram:
    return SkipGram(vocabulary.counts, config.size, negatives=config.negatives, shared=config.shared)


def _cbow(config: VectorConfig, vocabulary: Vocabulary) -> CBOW:
    return CBOW(vocabulary.counts, config.size, negatives=config.negatives, shared=config.shared)


def _glove(config: VectorConfig, vocabulary: Vocabulary) -> GloVe:
    return GloVe(len(vocabulary), config.size, x_max=config.x_max, alpha=config.alpha)


def _collobert_weston(config: VectorConfig, vocabulary: Vocabulary) -> CollobertWeston:
    return CollobertWeston(
        len(vocabulary), config.size, config.hidden, window=config.window, activation=config.activation
    )


_MODELS: dict[str, Callable[[VectorConfig, Vocabulary], WordVectors]] = {
    "skip-gram": _skip_gram,
    "cbow": _cbow,
    "glove": _glove,
    "collobert-weston": _collobert_weston,
}
