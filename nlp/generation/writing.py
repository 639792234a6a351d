"""Writing text with a language model: drawn token by token, or the likeliest text that can be found.

for piece in generate(language_model, "It was", temperature=0.8, top_p=0.95):
    print(piece, end="")
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from nlp.errors import NlpError, did_you_mean
from nlp.generation.beam import beam_search
from nlp.generation.sampling import Ids, Sampling, draw_ids
from nlp.language_model import LanguageModel
from nlp.text.writer import Writer

__all__ = ["LENGTHS", "generate", "generate_samples", "likeliest_text", "unknown_tokens"]

DRAWING = ("temperature", "top_k", "top_p")
LENGTHS = {"word": 120, "bpe": 200, "char": 800, "byte": 800}  # tokens: a short page


def generate(
    language_model: LanguageModel,
    prompt: str = "",
    *,
    length: int | None = None,
    stop: Sequence[str] = (),
    seed: int | None = None,
    **sampling: Any,
) -> Iterator[str]:
    """The prompt and a text that follows it, piece by piece as it is written.

    The model starts at the beginning of a line; `<unk>` is not written, unless the model foresees nothing else.

    Args:
        length: how many tokens to write, at most; by the level's `LENGTHS` if not said.
        stop: words or phrases: the text ends with the first of them that is written after the prompt. Where tokens are
            words, a stop must be whole words; `"\\n"` ends the text with its line.
        seed: the same seed gives the same text; without one it differs each time.
        sampling: `temperature`, `top_k` and `top_p`: see `nlp.generation.sampling.Sampling`.

    Raises NlpError for an option outside its range, before anything is written.
    """
    context, length, stops = _opening(language_model, prompt, length, stop)
    drawn = _draw(language_model, context, sampling, 1, seed)
    return _written(_Page(language_model, prompt, stops), (int(next(drawn)[0]) for _ in range(length)))


def generate_samples(
    language_model: LanguageModel,
    prompt: str = "",
    *,
    samples: int,
    length: int | None = None,
    stop: Sequence[str] = (),
    seed: int | None = None,
    **sampling: Any,
) -> list[str]:
    """Several texts after one prompt, drawn side by side, which takes little longer than one.

    The first is what `generate` writes with the same options, the next what it writes with `seed + 1`, and so on.
    Raises NlpError for an option outside its range.
    """
    if samples < 1:
        raise NlpError(f"--samples must be at least 1, not {samples}")
    context, length, stops = _opening(language_model, prompt, length, stop)
    pages = [_Page(language_model, prompt, stops) for _ in range(samples)]
    texts = [page.opening for page in pages]
    drawn = _draw(language_model, context, sampling, samples, seed)
    for _ in range(length):
        for row, id in enumerate(next(drawn).tolist()):
            texts[row] += pages[row].add(id)
        if all(page.ended for page in pages):
            break
    return [text + page.end() for text, page in zip(texts, pages, strict=True)]


def likeliest_text(
    language_model: LanguageModel,
    prompt: str = "",
    *,
    beam: int,
    length: int | None = None,
    stop: Sequence[str] = (),
) -> str:
    """The prompt and the likeliest text after it that a beam search of this width finds.

    `<unk>` is left out, unless the model foresees nothing else.

    All texts have `length` tokens but those that a stop ends; texts of different lengths compare by the mean
    log-probability of their tokens. Raises NlpError for an option outside its range.
    """
    context, length, stops = _opening(language_model, prompt, length, stop)
    tokenizer, vocabulary = language_model.tokenizer, language_model.vocabulary
    best, *_ = beam_search(
        language_model.model,
        context,
        length,
        beam,
        never=_never(language_model),
        ended=lambda ids: stops.end(tokenizer.decode(vocabulary.decode(ids))) is not None,
    )
    return "".join(_written(_Page(language_model, prompt, stops), iter(best.ids)))


def unknown_tokens(language_model: LanguageModel, text: str) -> list[str]:
    """The tokens of a text that the model does not know and reads as `<unk>`, each once, in the text's order."""
    tokens = language_model.tokenizer.encode(text)
    return list(dict.fromkeys(token for token in tokens if token not in language_model.vocabulary))


# ---- ids into text --------------------------------------------------------------------------------------------------


def _opening(
    language_model: LanguageModel, prompt: str, length: int | None, stop: Sequence[str]
) -> tuple[Ids, int, _Stops]:
    """The ids to begin from, how many tokens to write, and what ends the text."""
    length = LENGTHS[language_model.config.level] if length is None else length
    if length < 1:
        raise NlpError(f"--length must be at least 1 token, not {length}")
    tokenizer = language_model.tokenizer
    context = language_model.vocabulary.encode([*tokenizer.encode("\n"), *tokenizer.encode(prompt)])
    return context, length, _Stops(language_model, stop)


def _draw(
    language_model: LanguageModel, context: Ids, sampling: dict[str, Any], rows: int, seed: int | None
) -> Iterator[Ids]:
    for name in sampling.keys() - set(DRAWING):
        meant = did_you_mean(name, (*DRAWING, "length", "stop", "seed"))
        raise NlpError(f"there is no option {name!r} for writing{meant}: how tokens are drawn say {', '.join(DRAWING)}")
    never = _never(language_model)
    return draw_ids(language_model.model, context, Sampling(**sampling), rows=rows, seed=seed, never=never)


def _never(language_model: LanguageModel) -> list[int]:
    """`<unk>`, where there is one."""
    unknown = language_model.vocabulary.unk_id
    return [] if unknown is None else [unknown]


class _Stops:
    """Finds the words and phrases that end a text, as the model would write them: in lower case, for one.

    Raises NlpError for a stop of nothing.
    """

    def __init__(self, language_model: LanguageModel, stop: Sequence[str]) -> None:
        tokenizer = language_model.tokenizer
        written = [tokenizer.decode(tokenizer.encode(one)) for one in stop]
        if "" in written:
            raise NlpError(f"--stop needs at least one word or character, not {stop[written.index('')]!r}")
        self.longest = max(map(len, written), default=0)
        word = tokenizer.level == "word"  # tokens are words: the end of what is written so far is the end of a word
        self.pattern = re.compile("|".join(map(_whole if word else re.escape, written)) or r"(?!)")

    def end(self, text: str, start: int = 0) -> int | None:
        """Where the first stop that begins at `start` or later ends; None where there is none."""
        match = self.pattern.search(text, start)
        return match and match.end()


def _whole(stop: str) -> str:
    """A pattern for the stop where no letter or digit joins one of its own."""
    before = r"(?<!\w)" if re.match(r"\w", stop) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", stop) else ""
    return before + re.escape(stop) + after


class _Page:
    """One text as it is written: a token goes in, what it adds to the text comes out, until a stop is reached."""

    def __init__(self, language_model: LanguageModel, prompt: str, stops: _Stops) -> None:
        self.vocabulary, self.stops = language_model.vocabulary, stops
        self.writer = Writer(language_model.tokenizer)
        self.opening = "".join(self.writer.add(token) for token in language_model.tokenizer.encode(prompt))
        self.tail = ""  # the end of what was written after the prompt, as long as the longest stop
        self.ended = False

    def add(self, id: int) -> str:
        """What the token adds; nothing once the text has ended."""
        if self.ended:
            return ""
        (token,) = self.vocabulary.decode([id])
        return self._upto_stop(self.writer.add(token))

    def end(self) -> str:
        """What is left to write after the last token."""
        return "" if self.ended else self._upto_stop(self.writer.end())

    def _upto_stop(self, piece: str) -> str:
        text, before = self.tail + piece, len(self.tail)
        end = self.stops.end(text, max(0, before - self.stops.longest + 1))
        if end is None:
            self.tail = text[-self.stops.longest :]
            return piece
        self.ended = True
        return text[before:end]


def _written(page: _Page, ids: Iterator[int]) -> Iterator[str]:
    yield page.opening
    for id in ids:
        if piece := page.add(id):
            yield piece
        if page.ended:
            return
    if piece := page.end():
        yield piece
