"""The task of word vectors: a vector for each word, learned from the words around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import minigrad
from nlp.errors import NlpError, counted
from nlp.keyed_vectors import KeyedVectors
from nlp.models.cbow import CBOW
from nlp.models.collobert_weston import CollobertWeston
from nlp.models.glove import GloVe
from nlp.models.skip_gram import SkipGram
from nlp.models.word_vectors import WordVectors
from nlp.tasks import on_device
from nlp.text import EOS, UNK, Prepared, Tokenizer, Vocabulary
from nlp.text.contexts import ContextWindows, CorruptedWindows, stretch_length
from nlp.text.cooccurrence import CooccurrenceBatches, count_cooccurrences
from nlp.training.curves import draw_curves
from nlp.training.trainer import Trainer, Windows
from nlp.vector_config import WORD2VEC, VectorConfig

if TYPE_CHECKING:
    from nlp.training.experiment import Experiment

__all__ = ["VectorResults", "WordVectorLearning"]

ENTRIES, WINDOWS = 4096, 256  # in one update of glove, and of collobert-weston
# CBOW with shared noise takes so many stretches at once, for what an update costs beside its arithmetic: on WikiText-2
# 0.6 of the time, with vectors as good. Those of eight (`nlp words train --batch-size 3536`) are worth nothing.
STRETCHES = 3
# How often a vector may be moved each time its word occurs, in a stretch of full length: with wider windows or more
# noise it is shorter. A window has w + 1 words in the mean. On 1.2 MB of WikiText-2 the vectors went to infinity with
# windows of 20 words, or with 20 noise words of which 64 are shared. CBOW with noise of each word's own bears more.
MOVES, MOVES_ALONE = 36, 400
SHARED = 64 / 5  # noise words to be shared for each they stand for; where there are fewer, a stretch is shorter, too
# Words of the validation text that are looked at: with noise words by their expectation, over all of the vocabulary,
# all of WikiText-2's would take six times as long as an epoch of CBOW with shared noise.
VALIDATED = 20_000
Counts = NDArray[np.int64]

SHOWN, NEAR = 6, 5  # frequent words whose nearest ones are shown at the end, and how many of these


@dataclass(frozen=True)
class VectorResults:
    """What a finished run came to: its last validation loss, that of vectors that know nothing where it is known, and
    the words nearest to some frequent ones."""

    valid_loss: float
    chance: float | None
    neighbours: dict[str, list[tuple[str, float]]]


class WordVectorLearning:
    """A `Task` whose options are a `VectorConfig`."""

    options = VectorConfig

    def make_model(self, config: VectorConfig, vocabulary: Vocabulary) -> WordVectors:
        """The model that `config.model` names."""
        return on_device(_MODELS[config.model](config, len(vocabulary), _words_alone(vocabulary)), config.device)

    def make_trainer(self, config: VectorConfig, vocabulary: Vocabulary) -> Trainer:
        """Seeds minigrad's random generator."""
        minigrad.manual_seed(config.seed)
        return Trainer(
            self.make_model(config, vocabulary),
            optimizer=config.optimizer,
            lr=config.lr,
            schedule=config.schedule,
            clip=None,
            patience=0,
            keep_last=True,
            epochs=config.epochs,
            max_minutes=config.max_minutes,
        )

    def windows(self, config: VectorConfig, prepared: Prepared) -> tuple[Windows, Iterable[Any]]:
        """Words with those around them, of the training text and of the beginning of the validation text.

        What stands for no word, `<unk>` and line ends, is taken out before, so that windows reach across it. (In the
        program word2vec they reach across unknown words, and end with the line.) Raises NlpError for a text of fewer
        than two words that differ, and for a validation text that gives nothing to judge by.
        """
        counts = _words_alone(prepared.vocabulary)
        if (known := np.count_nonzero(counts)) < 2:
            raise NlpError(
                "word vectors tell words apart by those around them, which takes 2 words, and the vocabulary has "
                f"{known}: give a text of more, lower --min-count or raise --vocab-size"
            )
        windows = self._of_part("train", config, prepared, counts), self._of_part("valid", config, prepared, counts)
        if not any(target.size for _, target in windows[1]):
            raise NlpError(
                f"--subsample {config.subsample:g} leaves no two words of the validation text side by side, so that "
                "there is nothing to judge by: set --subsample 0, or give a longer text with --valid"
            )
        return windows

    def _of_part(self, part: str, config: VectorConfig, prepared: Prepared, counts: Counts) -> Any:
        ids = prepared.ids[part]
        known = ids[counts[ids] > 0]
        known = known[:VALIDATED] if part == "valid" else known
        try:
            return _windows(config, known, counts)
        except NlpError as error:
            raise NlpError(f"the {part} text has {counted(len(known), 'word')} of the vocabulary: {error}") from error

    def loaded(
        self, config: VectorConfig, model: WordVectors, vocabulary: Vocabulary, tokenizer: Tokenizer
    ) -> KeyedVectors:
        """The vectors of all words but the tokens that stand for none."""
        return KeyedVectors.of_vocabulary(vocabulary, model.vectors(), tokenizer.specials)

    def finish(self, experiment: Experiment) -> VectorResults:
        """See which words are near to each other, and draw the curves."""
        prepared = experiment.prepared
        vectors = self.loaded(experiment.config, experiment.model, prepared.vocabulary, prepared.tokenizer)
        telling = [word for word in vectors.words if word.isalpha() and len(word) > 3]
        chosen = (telling or vectors.words)[:SHOWN]
        neighbours = {word: vectors.most_similar([word], count=NEAR) for word in chosen}
        results = VectorResults(experiment.trainer.best_loss, _chance(experiment.config), neighbours)
        experiment.folder.append_metrics({"kind": "results", "valid_loss": results.valid_loss})
        draw_curves(experiment.folder, "loss", perplexities=False)
        return results


def _chance(config: VectorConfig) -> float | None:
    """The loss (nats a pair, or a word) where every score is 0: that of a word, and those of its noise."""
    return (1 + config.negatives) * math.log(2) if config.model in WORD2VEC and config.negatives else None


# ---- which model, and what it reads ---------------------------------------------------------------------------------


def _words_alone(vocabulary: Vocabulary) -> Counts:
    """How often each word occurs (V,), 0 for tokens that stand for none."""
    stands_for_none = np.isin(vocabulary.tokens, (UNK, EOS))
    return np.where(stands_for_none, 0, vocabulary.counts)


def _windows(config: VectorConfig, ids: Any, counts: Counts) -> Any:
    if config.model == "glove":
        pairs = count_cooccurrences(ids, len(counts), window=config.window)
        return CooccurrenceBatches(pairs, bptt=config.batch_size or ENTRIES)
    if config.model == "collobert-weston":
        return CorruptedWindows(
            ids, counts, window=config.window, bptt=config.batch_size or WINDOWS, power=config.power
        )
    return ContextWindows(
        ids,
        counts,
        window=config.window,
        subsample=config.subsample,
        bptt=config.batch_size or _stretch(config, counts),
        predict_centre=config.model == "cbow",
    )


def _stretch(config: VectorConfig, counts: Counts) -> int:
    """How many tokens word2vec learns from in one update.

    `stretch_length` bounds how often a word occurs in it. A vector is moved more often than that, once for each word
    in the window and each noise word, which at other settings than the usual ones has to be made up for.
    """
    length: float = stretch_length(counts, config.subsample)
    if config.model == "cbow" and config.shared:
        length *= STRETCHES
    if config.negatives:
        bearable = MOVES if config.model == "skip-gram" or config.shared else MOVES_ALONE
        length *= min(1.0, bearable / ((config.window + 1) * (config.negatives + 1)))
    if config.shared:
        length *= min(1.0, config.shared / (SHARED * config.negatives))
    return max(2, int(length))


def _skip_gram(config: VectorConfig, V: int, counts: Counts) -> SkipGram:
    return SkipGram(counts, config.size, negatives=config.negatives, shared=config.shared)


def _cbow(config: VectorConfig, V: int, counts: Counts) -> CBOW:
    return CBOW(counts, config.size, negatives=config.negatives, shared=config.shared)


def _glove(config: VectorConfig, V: int, counts: Counts) -> GloVe:
    return GloVe(V, config.size, x_max=config.x_max, alpha=config.alpha)


def _collobert_weston(config: VectorConfig, V: int, counts: Counts) -> CollobertWeston:
    return CollobertWeston(V, config.size, config.hidden, window=config.window, activation=config.activation)


_MODELS: dict[str, Callable[[VectorConfig, int, Counts], WordVectors]] = {
    "skip-gram": _skip_gram,
    "cbow": _cbow,
    "glove": _glove,
    "collobert-weston": _collobert_weston,
}
