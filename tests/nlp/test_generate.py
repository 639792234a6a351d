"""Generation: seeds are respected, text comes out in readable pieces, and ends where it should."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nlp_helpers import tiny

import minigrad
from nlp.errors import NlpError
from nlp.generation.next_words import next_words, visible
from nlp.generation.writing import generate, generate_samples, likeliest_text, unknown_tokens
from nlp.language_model import LanguageModel
from nlp.models.rnn_lm import RNNLM
from nlp.text import UNK, Corpus
from nlp.text.prepare import prepare

TEXT = 'He said: "no, the cat (a cat) doesn\'t sit."\nNobody, it seems, did. Ça va?\n'
levels = st.sampled_from(["word", "char", "byte", "bpe"])


@cache
def language_model(level: str = "char", seed: int = 0, lowercase: bool = False) -> LanguageModel:
    """A model of few tokens that was never trained, and so writes all of them."""
    if level == "bpe":
        pytest.importorskip("tokenizers", reason="level bpe")
    corpus = Corpus.of_texts("text", "a text", train=TEXT * 3, valid=TEXT)
    with tempfile.TemporaryDirectory() as folder:
        size = 280 if level == "bpe" else None
        prepared = prepare(corpus, Path(folder), level=level, lowercase=lowercase, vocab_size=size)
    minigrad.manual_seed(seed)
    model = RNNLM(len(prepared.vocabulary), 6, 8, 1, 0.5)
    return LanguageModel(model.eval(), prepared.vocabulary, prepared.tokenizer, tiny(level=level))


# ---- drawing --------------------------------------------------------------------------------------------------------


@given(levels, st.integers(0, 2**63 - 1), st.floats(0.1, 3), st.integers(1, 60))
def test_the_seed_decides_the_text(level: str, seed: int, temperature: float, length: int) -> None:
    writer = language_model(level)
    options = {"length": length, "temperature": temperature, "seed": seed}
    assert list(generate(writer, "the cat", **options)) == list(generate(writer, "the cat", **options))


@given(levels, st.integers(0, 1000), st.integers(1, 5), st.integers(1, 40))
def test_sample_i_is_the_text_of_seed_plus_i(level: str, seed: int, samples: int, length: int) -> None:
    writer = language_model(level)
    together = generate_samples(writer, "the cat", samples=samples, length=length, seed=seed, stop=["did"])
    alone = ["".join(generate(writer, "the cat", length=length, seed=seed + i, stop=["did"])) for i in range(samples)]
    assert together == alone


def test_other_seeds_and_no_seed_give_other_texts() -> None:
    writer = language_model()
    texts = {"".join(generate(writer, length=40, seed=seed)) for seed in range(5)}
    unseeded = {"".join(generate(writer, length=40)) for _ in range(5)}
    assert len(texts | unseeded) == 10


def test_writing_leaves_training_s_random_numbers_alone() -> None:
    writer = language_model()
    before = minigrad.default_generator.get_state()
    list(generate(writer, length=5, seed=1))
    assert minigrad.default_generator.get_state() == before
    assert minigrad.is_grad_enabled()


@given(levels, st.integers(0, 1000), st.integers(1, 80))
def test_the_pieces_are_the_prompt_and_so_many_tokens(level: str, seed: int, length: int) -> None:
    writer = language_model(level)
    prompt = "the cat (a" if level == "word" else "the cat\n(a"
    first, *pieces = generate(writer, prompt, length=length, seed=seed)
    assert first == prompt
    assert all(pieces)
    assert len(pieces) <= length + 1
    text = first + "".join(pieces)
    assert UNK not in text
    if level in ("word", "char"):
        assert len(pieces) == length
        tokens = writer.tokenizer.encode(text)
        assert len(tokens) == len(writer.tokenizer.encode(prompt)) + length
        assert writer.tokenizer.decode(tokens) == text
        assert all(token in writer.vocabulary for token in tokens)


def test_a_word_the_model_does_not_know_stays_in_the_prompt_as_it_is_written_and_is_named() -> None:
    writer = language_model("word")
    first, *_ = generate(writer, "Zebras, the cat", length=3, seed=0)
    assert first == "Zebras, the cat"
    assert unknown_tokens(writer, "Zebras, the zebra saw Zebras") == ["Zebras", "zebra", "saw"]
    assert unknown_tokens(language_model("byte"), "Zebras, \N{SNOWMAN}") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "--length must be"),
        ({"temperature": -1.0}, "--temperature must be"),
        ({"top_k": 0}, "--top-k must be"),
        ({"top_p": 2.0}, "--top-p must be"),
        ({"seed": -1}, "--seed must be"),
        ({"stop": ["did", ""]}, "--stop needs"),
    ],
)
def test_options_out_of_range_are_refused_before_anything_is_written(options: dict[str, object], message: str) -> None:
    with pytest.raises(NlpError, match=message):
        generate(language_model(), **options)  # type: ignore[arg-type]


def test_no_samples_are_refused() -> None:
    with pytest.raises(NlpError, match="--samples must be"):
        generate_samples(language_model(), samples=0)


# ---- stops ----------------------------------------------------------------------------------------------------------


@given(
    levels, st.integers(0, 1000), st.lists(st.sampled_from(["cat", "e", "the", ".", "\n", "it s", "a cat"]), max_size=3)
)
def test_the_text_ends_with_the_first_stop(level: str, seed: int, stop: list[str]) -> None:
    writer = language_model(level)
    first, *pieces = generate(writer, "the cat", length=60, seed=seed)
    words = [(rf"(?<!\w){re.escape(one)}(?!\w)" if one[0].isalpha() else re.escape(one)) for one in stop]
    pattern = "|".join(words if level == "word" else map(re.escape, stop))
    expected = first
    for piece in pieces:
        expected += piece
        if stop and (match := re.compile(pattern).search(expected, len(first))):
            expected = expected[: match.end()]
            break
    assert "".join(generate(writer, "the cat", length=60, seed=seed, stop=stop)) == expected


class ByHeart:
    """A model that writes one text, whatever it reads: its state is how many tokens it has seen."""

    def __init__(self, ids: list[int], size: int) -> None:
        self.ids, self.size = ids, size
        self.device = minigrad.device("cpu")

    def eval(self) -> ByHeart:
        return self

    def __call__(self, input: minigrad.Tensor, state: minigrad.Tensor | None) -> tuple[object, object]:
        before = 0 if state is None else int(state[0, 0, 0].item())
        scores = np.zeros((*input.shape, self.size))
        scores[-1, :, self.ids[before + len(input) - 1]] = 9.0
        return minigrad.tensor(scores), minigrad.full((1, input.shape[1], 1), before + len(input))


KNOWN = "Nobody, it seems, did.\nHe said: the cat (a cat) sit."


@pytest.mark.parametrize("level", ["word", "char", "byte", "bpe"])
@pytest.mark.parametrize(
    ("stop", "end"),
    [
        (["cat"], "cat"),
        (["(a cat", "nowhere"], "(a cat"),
        (["body", "it seems"], "it seems"),  # the end of what is remembered begins in the middle of a word
        (["it seems", "seems"], "it seems"),
        (["seems", "it seems"], "it seems"),  # that which begins first, where they end at once
        (["\n", "sit"], "\n"),
        (["did. He", "cat (a"], "cat (a"),
    ],
)
def test_stops_are_found_wherever_they_lie(level: str, stop: list[str], end: str) -> None:
    other = language_model(level)
    ids = other.vocabulary.encode(other.tokenizer.encode(KNOWN)).tolist()
    writer = replace(other, model=ByHeart(ids, len(other.vocabulary)))
    expected = "Nobody" if "body" in stop and level != "word" else KNOWN[: KNOWN.index(end) + len(end)]
    assert "".join(generate(writer, temperature=0, stop=stop, length=len(ids))) == expected
    assert likeliest_text(writer, beam=1, stop=stop, length=len(ids)) == expected


def test_a_stop_is_written_as_the_model_writes() -> None:
    writer = language_model("word", lowercase=True)
    text = "".join(generate(writer, length=200, seed=3, stop=["CAT"]))
    assert text.endswith("cat")
    assert len(re.findall(r"\bcat\b", text)) == 1


def test_a_stop_of_the_prompt_s_does_not_count() -> None:
    text = "".join(generate(language_model(), "cat\n", length=30, seed=1, stop=["cat\n"]))
    assert len(text) == 34


# ---- searching ------------------------------------------------------------------------------------------------------


@given(levels, st.integers(0, 20), st.integers(1, 30))
def test_a_beam_of_one_writes_what_the_likeliest_tokens_make(level: str, seed: int, length: int) -> None:
    writer = language_model(level, seed)
    for stop in ([], ["a", "did"]):
        greedy = "".join(generate(writer, "the cat", length=length, temperature=0, stop=stop))
        assert likeliest_text(writer, "the cat", beam=1, length=length, stop=stop) == greedy


def test_a_beam_ends_with_a_stop() -> None:
    text = likeliest_text(language_model("char"), "the", beam=60, length=2, stop=["a"])
    assert text.startswith("the")
    assert "a" not in text[3:-1]


# ---- what comes next ------------------------------------------------------------------------------------------------


@given(levels, st.integers(1, 400))
def test_the_next_words_are_the_model_s_probabilities(level: str, k: int) -> None:
    writer = language_model(level)
    likeliest = next_words(writer, "the cat", k)
    ids = writer.vocabulary.encode(writer.tokenizer.encode("\nthe cat"))
    scores = writer.model(minigrad.tensor(ids[:, None].astype(np.int64)))[0][-1, 0].detach().numpy().astype(float)
    expected = np.exp(scores - np.logaddexp.reduce(scores))
    assert len(likeliest) == min(k, len(writer.vocabulary))
    assert [share for _, share in likeliest] == sorted((share for _, share in likeliest), reverse=True)
    for token, share in likeliest:
        np.testing.assert_allclose(share, expected[writer.vocabulary.id_of(token)], rtol=1e-4)
    np.testing.assert_allclose(likeliest[0][1], expected.max(), rtol=1e-4)


def test_no_next_word_is_refused() -> None:
    with pytest.raises(NlpError, match="--count must be"):
        next_words(language_model(), "the", 0)


@pytest.mark.parametrize(
    ("level", "token", "shown"),
    [("word", "cat", "cat"), ("word", "<eos>", "<eos>"), ("char", "\n", r"'\n'"), ("char", " ", "' '")]
    + [("byte", "<0x0A>", r"'\n'"), ("byte", "<0xC3>", "<0xC3>"), ("byte", "a", "'a'")],
)
def test_tokens_are_made_visible(level: str, token: str, shown: str) -> None:
    assert visible(language_model(level).tokenizer, token) == shown


def test_an_option_that_there_is_not_is_told_with_the_nearest() -> None:
    writer = language_model()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"temp": 3}, "temperature"),
        ({"lenght": 3}, "length"),
        ({"topk": 3}, "top_k"),
    ]
    for options, meant in cases:
        (name,) = options
        said = rf"there is no option '{name}' for writing \(the nearest is '{meant}'\)"
        with pytest.raises(NlpError, match=said):
            generate(writer, **options)
        with pytest.raises(NlpError, match=said):
            generate_samples(writer, samples=2, **options)
