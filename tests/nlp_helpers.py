"""Small corpora and models for the tests of nlp."""

from __future__ import annotations

import numpy as np

from nlp.config import Config, choose
from nlp.text import Corpus, Vocabulary, make_tokenizer

PATTERN = "the cat sat on the mat and the dog ran to the red barn\n"
TINY = {"embedding": 12, "hidden": 12, "layers": 1, "dropout": 0.0, "bptt": 8, "batch_size": 4, "epochs": 2, "lr": 0.02}


def tiny(**options: object) -> Config:
    """A configuration that trains in a blink."""
    return choose(**{**TINY, **options})


def pattern_corpus(repeats: int = 60) -> Corpus:
    """One sentence again and again: what comes next is certain."""
    parts = {"train": PATTERN * repeats, "valid": PATTERN * 6, "test": PATTERN * 6}
    return Corpus.of_texts("pattern", "a sentence repeated", **parts)


def random_corpus(seed: int, words: int = 30, length: int = 900) -> Corpus:
    """Words in no order at all."""
    draw = np.random.default_rng(seed)

    def text(count: int) -> str:
        return "\n".join(" ".join(f"w{n}" for n in draw.integers(0, words, 9)) for _ in range(count // 10)) + "\n"

    parts = {"train": text(length), "valid": text(200), "test": text(200)}
    return Corpus.of_texts("random", "words drawn at random", **parts)


def char_vocabulary(text: str) -> Vocabulary:
    """The characters of a text."""
    return Vocabulary.build(make_tokenizer("char").encode(text), specials=("<unk>",))
