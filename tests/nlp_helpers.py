"""Small corpora and models for the tests of nlp, and what they have in common about commands and searches."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
from nlp.config import Config
from nlp.errors import NlpError
from nlp.options import flag
from nlp.run_folder import BEST, LAST, RunFolder
from nlp.text import Corpus, Vocabulary, make_tokenizer
from nlp.training.experiment import Experiment

PATTERN = "the cat sat on the mat and the dog ran to the red barn\n"
TINY = {"embedding": 12, "hidden": 12, "layers": 1, "dropout": 0.0, "bptt": 8, "batch_size": 4, "epochs": 2, "lr": 0.02}


def tiny(**options: object) -> Config:
    """A configuration that trains in a blink."""
    return Config.choose(**{**TINY, **options})


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


# ---- the command line -----------------------------------------------------------------------------------------------


def as_words(options: Mapping[str, object]) -> list[str]:
    """Options as they are given on the command line."""
    return [word for name, value in options.items() for word in (flag(name), str(value))]


def call(*words: object) -> Any:
    """What `nlp WORDS` returns and writes, in this process."""
    testing = pytest.importorskip("typer.testing", reason="the command line needs the nlp extra")
    from nlp.cli import app

    return testing.CliRunner(env={"COLUMNS": "150"}).invoke(app, [str(word) for word in words])


def written(name: str, content: bytes) -> Callable[[], Path]:
    """Makes a file in what is then the current folder."""

    def make() -> Path:
        Path(name).write_bytes(content)
        return Path(name)

    return make


def told_in_one_sentence(words: list[object], message: str, run: Path | None = None) -> None:
    """Call nlp with a mistake, where "RUN" is the run and files that `written` makes come to be: it is told so."""
    result = call(*(word() if callable(word) else run if word == "RUN" else word for word in words))
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("nlp: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert "Traceback" not in result.output


def refuses_a_file(read: Callable[[Path], object], path: Path, content: bytes | None, message: str) -> None:
    """Read a file with this content, or None for one that is not there: `message`, "{}" in it the path, is told."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NlpError) as told:
        read(path)
    assert message.format(path) in str(told.value)
    assert "\n" not in str(told.value)


# ---- searches -------------------------------------------------------------------------------------------------------


def trials_with_weights(search: Any) -> list[str]:
    """The trials of a search that have weights on the disk."""
    return sorted({path.parent.name for path in search.folder.path.glob("trials/*/*.safetensors")})


def timeless(results: list[Any]) -> list[tuple[Any, ...]]:
    """Results without what the clock decides."""
    return [(one.trial, one.rung, one.options, one.valid_loss, one.epochs, one.broken) for one in results]


def same_search(search: Any, other: Any) -> None:
    """The same table, the same best trial with the same weights, and no others kept."""
    assert timeless(search.results) == timeless(other.results)
    assert search.best.trial == other.best.trial
    best, others = (one.best_run / "best.safetensors" for one in (search, other))
    assert best.read_bytes() == others.read_bytes()
    assert trials_with_weights(search) == trials_with_weights(other)
    ours, theirs = (json.loads((one.folder.path / "best.json").read_text()) for one in (search, other))
    assert ours == theirs


# ---- runs -----------------------------------------------------------------------------------------------------------


def finish(experiment: Experiment) -> Any:
    """Train to the end; what it came to."""
    with experiment:
        for _ in experiment.train():
            pass
        return experiment.finish()


def leave(experiment: Experiment, after: int) -> None:
    """Stop after so many events, with a checkpoint there, and a few events later, which are lost."""
    with experiment:
        events = experiment.train()
        for _ in zip(range(after), events, strict=False):
            pass
        experiment.save()
        for _ in zip(range(3), events, strict=False):
            pass


def same_run(run: Path, other: Path) -> None:
    """The same weights byte by byte, the same checkpoint but for the clock, the same metrics."""
    assert (run / BEST).read_bytes() == (other / BEST).read_bytes()
    ours, theirs = (minigrad.load(one / LAST)["trainer"] for one in (run, other))
    for name, value in ours["model"].items():
        np.testing.assert_array_equal(value.numpy(), theirs["model"][name].numpy())
    lines, expected = (list(map(timeless_record, RunFolder.open(one).metrics())) for one in (run, other))
    assert lines == expected


def timeless_record(record: dict[str, Any]) -> dict[str, Any]:
    """Without what the clock decides, and without the reason of an end that was put off."""
    return {name: value for name, value in record.items() if name not in ("seconds", "tokens_per_second", "end")}
