"""Writing text with a language model: one token is drawn, fed back, and the next one is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import minigrad
from minigrad.backend import to_host
from nlp.errors import NlpError
from nlp.models.rnn_lm import RNNLM
from nlp.run_folder import LanguageModel
from nlp.text.tokens import Tokenizer
from nlp.text.vocabulary import Vocabulary

__all__ = ["generate", "sample_ids"]

LENGTHS = {"word": 120, "char": 800}  # tokens


def generate(
    language_model: LanguageModel,
    prompt: str = "",
    *,
    length: int | None = None,
    temperature: float = 1.0,
    seed: int | None = None,
) -> Iterator[str]:
    """The prompt and a text of `length` further tokens (a short page if not said), piece by piece as it is written.

    Every token is drawn from the model's probabilities, sharpened or flattened by the temperature (see `sample_ids`).
    The model starts at the beginning of a line; `<unk>` is never written. Raises NlpError for a length below 1 and for
    what `sample_ids` refuses.
    """
    length = LENGTHS[language_model.config.level] if length is None else length
    if length < 1:
        raise NlpError(f"--length must be at least 1 token, not {length}")
    model, vocabulary, tokenizer = language_model.model, language_model.vocabulary, language_model.tokenizer
    prompted = tokenizer.encode(prompt)
    context = vocabulary.encode([*tokenizer.encode("\n"), *prompted])
    drawn = sample_ids(model, context, temperature=temperature, seed=seed, never=[vocabulary.unk_id])
    return _as_text(tokenizer, vocabulary, prompted, (next(drawn) for _ in range(length)))


def sample_ids(
    model: RNNLM,
    context: np.ndarray,
    *,
    temperature: float = 1.0,
    seed: int | None = None,
    never: Sequence[int] = (),
) -> Iterator[int]:
    """Token after token that may follow the ids `context` (T), without end.

    A token is drawn with a probability in proportion to exp(score / temperature); at temperature 0 it is the one with
    the highest score. The ids in `never` are not drawn. The same seed gives the same tokens; without one they differ
    each time. Raises NlpError for a temperature that is negative or infinite.
    """
    if not (temperature >= 0 and math.isfinite(temperature)):
        raise NlpError(f"--temperature must be a number of at least 0, not {temperature}")
    generator = minigrad.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return _draw(model, context, temperature, generator, never)


def _draw(
    model: RNNLM, context: np.ndarray, temperature: float, generator: minigrad.Generator, never: Sequence[int]
) -> Iterator[int]:
    ids, state = context, None
    while True:
        scores, state = _next_scores(model, ids, state)
        scores[list(never)] = -np.inf
        if temperature:
            weights = np.exp((scores - scores.max()) / temperature)
            chosen = int(generator.multinomial(weights, 1)[0])
        else:
            chosen = int(scores.argmax())
        yield chosen
        ids = np.array([chosen])


def _next_scores(model: RNNLM, ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
    """The scores (V) of what follows the ids (T), as float64 on the host, and the state after them."""
    device = model.decoder.weight.device
    model.eval()
    with minigrad.no_grad():  # not around a yield, where it would stay on for the caller
        features, state = model.features(minigrad.tensor(ids.reshape(-1, 1), device=device), state)
        scores = model.decoder(features[-1, 0])  # only those of the last place
    return to_host(scores._array).astype(np.float64), state


def _as_text(tokenizer: Tokenizer, vocabulary: Vocabulary, prompted: list[str], drawn: Iterator[int]) -> Iterator[str]:
    """What each token adds to the text. How a token is written depends on those before it in its line, no further."""
    line: list[str] = []
    written = ""

    def write(token: str) -> str:
        nonlocal written
        line.append(token)
        text = tokenizer.decode(line)
        piece, written = text[len(written) :], text
        if text.endswith("\n"):
            line.clear()
            written = ""
        return piece

    yield "".join(write(token) for token in prompted)
    for id in drawn:
        (token,) = vocabulary.decode([id])
        yield write(token)
