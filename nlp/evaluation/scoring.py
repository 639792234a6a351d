"""How well a model foresees a text: the loss of its tokens, and what follows from it for words, characters and bytes.

A model that gives a text of N tokens the probability p has spent -log p nats on it. Divided by the tokens and made a
power of e, that is the perplexity per token. Tokens differ between models; words, characters and bytes do not, so the
same nats divided by those compare a model of characters with one of words.

Shapes: T time steps, B stretches of text side by side, N tokens of a text.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

import minigrad
from nlp.errors import NlpError
from nlp.evaluation.segments import Documents, Segments, segment_losses
from nlp.text import IGNORED
from nlp.text.prepare import encode_text

if TYPE_CHECKING:
    from nlp.language_model import LanguageModel

__all__ = [
    "CARRIED",
    "DocumentEvaluation",
    "Evaluation",
    "TextEvaluation",
    "evaluate",
    "evaluate_text",
    "evaluation_steps",
    "judge",
    "perplexity",
]

WINDOW = 256  # steps taken at a time when a text is read in one piece; only the speed depends on it
CARRIED: Final = "carried"
Context = Literal["carried"] | int


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
    """e to the loss (nats a token); infinite where that is too large for a float, no number where the loss is none."""
    return math.inf if loss >= 700 else math.exp(loss)


# ---- batches --------------------------------------------------------------------------------------------------------


def evaluate(model: Any, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> Evaluation:
    """The mean loss over every target of the batches, each `(input, target)` of shape (T, B).

    Targets that are `IGNORED` are left out. The state is carried from batch to batch, dropout is off; the model's mode
    is put back afterwards. Raises NlpError where no target is left.
    """
    steps = evaluation_steps(model, batches)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def evaluation_steps(model: Any, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> Generator[None, None, Evaluation]:
    """`evaluate` in steps: stops after each batch, so that whoever runs it can show how far it is, or leave.

    `evaluation = yield from evaluation_steps(model, batches)`. Between two steps the model is in the mode it came in.
    """
    device = model.device
    training = model.training
    total, tokens, state = minigrad.zeros((), dtype=minigrad.float64, device=device), 0, None
    for input, target in batches:
        model.eval()
        with minigrad.no_grad():
            loss, state = model.loss(
                minigrad.tensor(input, device=device), minigrad.tensor(target, device=device), state, reduction="sum"
            )
            total = total + loss
        tokens += int(np.count_nonzero(target != IGNORED))
        model.train(training)
        yield
    if not tokens:
        raise NlpError("there is no token to judge by: give a text that is longer")
    return Evaluation(total.item() / tokens, tokens)


# ---- texts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DocumentEvaluation:
    """One document of a text: where it begins (in tokens, from 0), how long it is, and its perplexity per token."""

    first_token: int
    tokens: int
    loss: float  # nats a token

    @property
    def perplexity(self) -> float:
        """e to the loss."""
        return perplexity(self.loss)


@dataclass(frozen=True)
class TextEvaluation:
    """How well a model foresees one text: the nats it spent, and what there was to foresee.

    `words` are what white space separates, and line ends, as in the perplexities reported for WikiText and PTB;
    `characters` are Unicode's, line ends included; `bytes` those of UTF-8. `unknown` counts the tokens that the
    vocabulary lacks: they stand as `<unk>`, which is easier to foresee than what it replaces.
    """

    context: str  # what each token was foreseen from, in words
    nats: float
    tokens: int
    words: int
    characters: int
    bytes: int
    unknown: int
    unigram_perplexity: float  # per token, of a model that knows only how frequent tokens are in the training text
    documents: tuple[DocumentEvaluation, ...]

    @property
    def loss(self) -> float:
        """Nats a token."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """Per token: among how many equally likely tokens the model hesitates."""
        return perplexity(self.loss)

    @property
    def word_perplexity(self) -> float:
        """Per word, whatever the model's tokens are; infinite for a text that has none, of spaces alone."""
        return perplexity(self.nats / self.words) if self.words else math.inf

    @property
    def bits_per_character(self) -> float:
        """The bits that an ideal coder with this model would need for a character."""
        return self.nats / math.log(2) / self.characters

    @property
    def bits_per_byte(self) -> float:
        """The same for a byte of UTF-8."""
        return self.nats / math.log(2) / self.bytes

    @property
    def unknown_share(self) -> float:
        """Unknown tokens among all."""
        return self.unknown / self.tokens

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        names = ("loss", "perplexity", "word_perplexity", "bits_per_character", "bits_per_byte", "unknown_share")
        documents = [{**asdict(document), "perplexity": document.perplexity} for document in self.documents]
        return {**asdict(self), **{name: getattr(self, name) for name in names}, "documents": documents}


def evaluate_text(
    language_model: LanguageModel,
    text: str | Path,
    *,
    context: Context = CARRIED,
    documents: Documents | None = None,
    progress: Callable[[float], None] | None = None,
) -> TextEvaluation:
    """Judge a text, or the file of a path: every token is scored once, the first of them after a line end.

    Args:
        context: what a token is foreseen from. "carried": all tokens of its document before it, the state carried.
            A number N: the text is read in windows of N tokens with N // 2 between their beginnings, each from a fresh
            state, and a window scores the tokens that those before it did not reach; so at least N - N // 2 + 1 and at
            most N tokens stand before each, except at the beginning of a document.
        documents: "line": each line is a document, "blank": what stands between blank lines, None: the text is one.
            Blank lines belong to the document before them. Each document is read from a fresh state, after a line end.
            The total is that of all tokens together.
        progress: is told the share that is done, 0 to 1.

    Raises NlpError for a text that is empty or cannot be read, and for a context below 2.
    """
    window = None if context == CARRIED else context
    if window is not None and window < 2:
        raise NlpError(f"--context is {CARRIED} or a number of at least 2 tokens, not {context}")

    def nats_of(ids: np.ndarray, segments: Segments) -> np.ndarray:
        return segment_losses(language_model.model, ids, segments, WINDOW, progress)

    return judge(language_model, text, nats_of, documents=documents, window=window)


def judge(
    language_model: LanguageModel,
    text: str | Path,
    nats_of: Callable[[np.ndarray, Segments], np.ndarray],
    *,
    documents: Documents | None = None,
    window: int | None = None,
    learning: str = "",
) -> TextEvaluation:
    """What the nats come to that `nats_of` finds for each of the segments of a text of ids (N + 1).

    learning: what the model learns from the text meanwhile, in words. Raises NlpError as `evaluate_text`.
    """
    vocabulary, tokenizer = language_model.vocabulary, language_model.tokenizer
    with tempfile.TemporaryDirectory(prefix="nlp-eval-") as folder:
        encoded = encode_text(text, tokenizer, vocabulary, Path(folder))
        segments = Segments.of(encoded.ids, language_model, documents, window)
        nats = nats_of(encoded.ids, segments)
        return TextEvaluation(
            context=_in_words(window, documents) + (f", {learning}" if learning else ""),
            nats=float(nats.sum()),
            tokens=encoded.tokens,
            words=encoded.words,
            characters=encoded.characters,
            bytes=encoded.bytes,
            unknown=encoded.unknown,
            unigram_perplexity=vocabulary.unigram_perplexity(encoded.ids[1:]),
            documents=_by_document(segments, nats),
        )


def _by_document(segments: Segments, nats: np.ndarray) -> tuple[DocumentEvaluation, ...]:
    tokens = np.bincount(segments.document, segments.scored).astype(int)
    total = np.bincount(segments.document, nats)
    first = np.concatenate([[0], np.cumsum(tokens)[:-1]])
    return tuple(
        DocumentEvaluation(int(start), int(count), float(spent / count))
        for start, count, spent in zip(first, tokens, total, strict=True)
    )


def _in_words(window: int | None, documents: Documents | None) -> str:
    whole = {None: "text", "line": "line", "blank": "block between blank lines"}[documents]
    if window is None:
        return f"all tokens before it in its {whole}, the state carried along"
    return f"sliding windows of {window} tokens in its {whole}, {window // 2} apart, each from a fresh state"
