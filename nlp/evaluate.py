"""How well a model foresees a text: the mean loss of its tokens, and the perplexity."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import minigrad
from nlp.models.rnn_lm import RNNLM
from nlp.text import IGNORED, EvaluationBatches, Tokenizer, Vocabulary

if TYPE_CHECKING:
    from nlp.run_folder import LanguageModel

__all__ = ["Evaluation", "TextEvaluation", "evaluate", "evaluate_text", "perplexity", "scored_ids"]

WINDOW = 256  # steps taken at a time when a text is read in one piece; only the speed depends on it


@dataclass(frozen=True)
class Evaluation:
    """The mean cross-entropy, in nats a token, over `tokens` tokens."""

    loss: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """Among how many equally likely tokens the model hesitates."""
        return perplexity(self.loss)


def perplexity(loss: float) -> float:
    """e to the loss (nats a token); infinite where that is too large for a float."""
    return math.exp(loss) if loss < 700 else math.inf


def evaluate(model: RNNLM, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> Evaluation:
    """The mean loss over every target of the batches, each `(input, target)` of shape (T, B).

    Targets that are `IGNORED` are left out. The state is carried from batch to batch, dropout is off; the model's mode
    is put back afterwards.
    """
    device = model.decoder.weight.device
    training = model.training
    model.eval()
    total, tokens, state = minigrad.zeros((), dtype=minigrad.float64, device=device), 0, None
    with minigrad.no_grad():
        for input, target in batches:
            loss, state = model.loss(
                minigrad.tensor(input, device=device), minigrad.tensor(target, device=device), state, reduction="sum"
            )
            total, tokens = total + loss, tokens + int(np.count_nonzero(target != IGNORED))
    model.train(training)
    return Evaluation(total.item() / tokens, tokens)


@dataclass(frozen=True)
class TextEvaluation:
    """How well a model foresees one text, and how many of its tokens it does not know."""

    model: Evaluation
    unigram_perplexity: float  # of a model that knows only how frequent the tokens are in the training text
    unknown: int


def evaluate_text(language_model: LanguageModel, text: str) -> TextEvaluation:
    """Judge a text token by token, in one piece: every token is scored once, after all of those before it.

    A token that the vocabulary lacks counts as `<unk>`.
    """
    vocabulary, tokenizer = language_model.vocabulary, language_model.tokenizer
    ids = scored_ids(text, tokenizer, vocabulary)
    return TextEvaluation(
        model=evaluate(language_model.model, EvaluationBatches(ids, 1, WINDOW)),
        unigram_perplexity=vocabulary.unigram_perplexity(ids[1:]),
        unknown=sum(token not in vocabulary for token in tokenizer.encode(text)),
    )


def scored_ids(text: str, tokenizer: Tokenizer, vocabulary: Vocabulary) -> np.ndarray:
    """The ids (N + 1) to evaluate a text of N tokens on: first a line end, to foretell the first from."""
    return np.concatenate([vocabulary.encode(tokenizer.encode("\n")), vocabulary.encode(tokenizer.encode(text))])
