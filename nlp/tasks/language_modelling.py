"""The task of language models: to foresee the next token of a text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import minigrad
from nlp.config import SAMPLED, Config
from nlp.evaluation.scoring import WINDOW, Evaluation, evaluate, perplexity
from nlp.generation.writing import generate
from nlp.language_model import LanguageModel
from nlp.models.deep_transition_lm import DeepTransitionLM
from nlp.models.jordan_lm import JordanLM
from nlp.models.maxent import MaxEntLM
from nlp.models.ngram import NGramLM
from nlp.models.ngram_counts import check_countable
from nlp.models.output_layers import OUTPUT_LAYERS
from nlp.models.rnn_lm import CELLS, RNNLM
from nlp.models.token_model import TokenModel
from nlp.models.window_lm import WindowLM
from nlp.tasks import on_device
from nlp.text import BpttBatches, EvaluationBatches, Prepared, Tokenizer, Vocabulary
from nlp.training.count_trainer import CountingTrainer
from nlp.training.curves import draw_curves
from nlp.training.trainer import Trainer

if TYPE_CHECKING:
    from nlp.training.experiment import Experiment

__all__ = ["LanguageModelling", "Results", "sample"]

VALID_STREAMS = 10  # side by side in the validation after each epoch; the final one reads the text in one piece
SAMPLE_TEMPERATURE = 0.8
TRAINER_OPTIONS = (
    "optimizer",
    "lr",
    "momentum",
    "weight_decay",
    "schedule",
    "decay",
    "decay_after",
    "bptt_drawn",
    "clip",
    "nt_asgd",
    "patience",
    "epochs",
    "max_minutes",
)
RECURRENT_OPTIONS = (  # beside those of every network
    "layers",
    "tied",
    "dropout_input",
    "dropout_between",
    "locked",
    "dropout_words",
    "weight_drop",
    "dropout_recurrent",
    "skip",
    "activation_penalty",
    "change_penalty",
    "initial_range",
)


@dataclass(frozen=True)
class Results:
    """What a finished run came to: for each part of the corpus the model's evaluation and the unigram perplexity."""

    model: dict[str, Evaluation]
    unigram: dict[str, float]
    corpus: dict[str, Any]  # its description: how many tokens, words, characters and bytes a part has
    sample: str

    def word_perplexity(self, part: str) -> float:
        """Per word between white space, line ends counted, whatever the tokens are; infinite where there are none."""
        words = self.corpus["parts"][part]["words"]
        return perplexity(self._nats(part) / words) if words else math.inf

    def bits_per_character(self, part: str) -> float:
        """The bits that an ideal coder with the model would need for a character."""
        return self._nats(part) / math.log(2) / self.corpus["parts"][part]["characters"]

    def _nats(self, part: str) -> float:
        return self.model[part].loss * self.model[part].tokens

    def to_json(self) -> dict[str, float]:
        """The figures as plain values."""
        figures = {}
        for part, evaluation in self.model.items():
            figures[f"{part}_perplexity"] = evaluation.perplexity
            figures[f"{part}_unigram_perplexity"] = self.unigram[part]
            figures[f"{part}_word_perplexity"] = self.word_perplexity(part)
            figures[f"{part}_bits_per_character"] = self.bits_per_character(part)
        return figures


class LanguageModelling:
    """A `Task` whose options are a `Config`."""

    options = Config

    def make_model(self, config: Config, vocabulary: Vocabulary) -> TokenModel:
        """The model that `config.model` names."""
        model = _MODELS[config.model](config, vocabulary)
        if config.maxent_order and config.model != "maxent":
            model = _maxent(config, vocabulary, model)
        return on_device(model, config.device)

    def make_trainer(self, config: Config, vocabulary: Vocabulary) -> Trainer | CountingTrainer:
        """Seeds minigrad's random generator."""
        minigrad.manual_seed(config.seed)
        model = self.make_model(config, vocabulary)
        if isinstance(model, NGramLM):
            return CountingTrainer(model)
        if config.unigram_bias:
            model.start_at_frequencies(vocabulary.counts)
        return Trainer(model, **_chosen(config, *TRAINER_OPTIONS))

    def windows(self, config: Config, prepared: Prepared) -> tuple[Any, Iterable[tuple[Any, Any]]]:
        """The text in streams side by side, or as it is where it is counted."""
        if config.model == "ngram":
            check_countable(prepared.ids["train"], config.order, len(prepared.vocabulary))
            return prepared.ids["train"], EvaluationBatches(prepared.ids["valid"], 1, WINDOW)
        train = BpttBatches(prepared.ids["train"], config.batch_size, config.bptt)
        return train, EvaluationBatches(prepared.ids["valid"], VALID_STREAMS, config.bptt)

    def loaded(self, config: Config, model: TokenModel, vocabulary: Vocabulary, tokenizer: Tokenizer) -> LanguageModel:
        """A model that reads and writes text."""
        return LanguageModel(model.eval(), vocabulary, tokenizer, config)

    def finish(self, experiment: Experiment) -> Results:
        """Judge the model on validation and test text, write a sample and draw the curves."""
        model, vocabulary = experiment.model, experiment.vocabulary
        held_out = {part: ids for part, ids in experiment.prepared.ids.items() if part != "train"}
        results = Results(
            model={part: evaluate(model, EvaluationBatches(ids, 1, WINDOW)) for part, ids in held_out.items()},
            unigram={part: vocabulary.unigram_perplexity(ids[1:]) for part, ids in held_out.items()},
            corpus=experiment.corpus,
            sample=sample(self.loaded(experiment.config, model, vocabulary, experiment.prepared.tokenizer)),
        )
        experiment.folder.write_sample(results.sample)
        experiment.folder.append_metrics({"kind": "results", **results.to_json()})
        draw_curves(experiment.folder)
        return results


def sample(language_model: LanguageModel) -> str:
    """A text that the model writes, always the same for the same weights and seed."""
    return "".join(generate(language_model, temperature=SAMPLE_TEMPERATURE, seed=language_model.config.seed))


# ---- which model ----------------------------------------------------------------------------------------------------


def _chosen(config: Config, *names: str) -> dict[str, Any]:
    """These options, which the models and the trainer call by the same names."""
    return {name: getattr(config, name) for name in names}


def _network(config: Config, vocabulary: Vocabulary) -> dict[str, Any]:
    """What every network is made of."""
    layer: Any = OUTPUT_LAYERS[config.output]
    sampling = _chosen(config, "samples") if config.output in SAMPLED else {}
    output = partial(layer, counts=vocabulary.counts, **sampling)
    return {"vocabulary": len(vocabulary), "output": output, **_chosen(config, "embedding", "hidden", "dropout")}


def _recurrent(config: Config, vocabulary: Vocabulary) -> RNNLM:
    return RNNLM(cell=config.model, **_network(config, vocabulary), **_chosen(config, *RECURRENT_OPTIONS))


def _deep_transition(config: Config, vocabulary: Vocabulary) -> DeepTransitionLM:
    depths = _chosen(config, "input_depth", "transition_depth", "output_depth", "shortcut")
    return DeepTransitionLM(**_network(config, vocabulary), **depths)


def _jordan(config: Config, vocabulary: Vocabulary) -> JordanLM:
    return JordanLM(**_network(config, vocabulary), teacher_forcing=config.teacher_forcing)


def _window(config: Config, vocabulary: Vocabulary) -> WindowLM:
    return WindowLM(**_network(config, vocabulary), order=config.order, direct=config.direct)


def _maxent(config: Config, vocabulary: Vocabulary, inner: TokenModel | None = None) -> MaxEntLM:
    return MaxEntLM(len(vocabulary), config.maxent_order, config.maxent_size, inner)


def _ngram(config: Config, vocabulary: Vocabulary) -> NGramLM:
    return NGramLM(len(vocabulary), config.order, config.smoothing, k=config.add_k)


_MODELS: dict[str, Callable[[Config, Vocabulary], TokenModel]] = {
    **dict.fromkeys(CELLS, _recurrent),
    "deep-transition": _deep_transition,
    "jordan": _jordan,
    "window": _window,
    "maxent": _maxent,
    "ngram": _ngram,
}
