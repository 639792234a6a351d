"""The look inside a model: numbers as NumPy's, neighbours as a plain loop finds them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nlp_helpers import char_vocabulary, tiny

import minigrad
from nlp.errors import NlpError
from nlp.evaluation.look import frequent_tokens, nearest, summaries
from nlp.language_model import LanguageModel
from nlp.models.rnn_lm import RNNLM
from nlp.text import Vocabulary, make_tokenizer


def letters(seed: int = 0, tied: bool = False) -> LanguageModel:
    """A fresh model of a few letters."""
    vocabulary = char_vocabulary("aaabbbcc dd e\n")
    minigrad.manual_seed(seed)
    model = RNNLM(len(vocabulary), 6, 6, 2, 0.0, tied=tied)
    return LanguageModel(model.eval(), vocabulary, make_tokenizer("char"), tiny(level="char"))


@given(st.integers(0, 100), st.booleans())
def test_the_numbers_of_a_parameter_are_numpy_s(seed: int, tied: bool) -> None:
    model = letters(seed, tied).model
    rows = summaries(model)
    values = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    assert [row.name for row in rows] == list(values)
    assert ("decoder.weight" in values) != tied  # a weight that is used twice is one parameter
    assert sum(row.count for row in rows) == sum(parameter.numel() for parameter in model.parameters())
    for row in rows:
        array = values[row.name]
        assert row.shape == array.shape
        expected = (np.linalg.norm(array), array.mean(), array.std(), np.abs(array).max())
        np.testing.assert_allclose((row.norm, row.mean, row.deviation, row.largest), expected, rtol=1e-4, atol=1e-7)


@given(st.integers(0, 100), st.sampled_from("abcd e"), st.integers(1, 12))
def test_the_nearest_have_the_largest_cosine(seed: int, letter: str, k: int) -> None:
    looked_at = letters(seed)
    vectors = looked_at.model.embedding.weight.detach().numpy().astype(float)
    own = vectors[looked_at.vocabulary.id_of(letter)]

    def cosine(token: str) -> float:
        other = vectors[looked_at.vocabulary.id_of(token)]
        return sum(own * other) / math.sqrt(sum(own * own)) / math.sqrt(sum(other * other))

    others = [token for token in looked_at.vocabulary.tokens if token != letter]
    near = nearest(looked_at, [letter], k)[letter]
    assert [token for token, _ in near] == sorted(others, key=cosine, reverse=True)[:k]
    np.testing.assert_allclose([value for _, value in near], [cosine(token) for token, _ in near], rtol=1e-9)


def test_a_token_without_a_direction_is_near_to_none() -> None:
    looked_at = letters()
    with minigrad.no_grad():
        looked_at.model.embedding.weight[looked_at.vocabulary.id_of("a")] = 0.0
    assert {value for _, value in nearest(looked_at, ["a"], 3)["a"]} == {0.0}


def test_frequent_words_have_four_letters_and_frequent_tokens_any() -> None:
    tokenizer = make_tokenizer("word")
    vocabulary = Vocabulary.build(tokenizer.encode("the the the with with word, word, word, rare 2024 2024 2024\n"))
    looked_at = LanguageModel(letters().model, vocabulary, tokenizer, tiny())
    assert frequent_tokens(looked_at, 2) == ["word", "with"]
    assert frequent_tokens(looked_at, 3, words=False) == [",", "2024", "the"]


def test_mistakes_are_told() -> None:
    with pytest.raises(NlpError, match="does not know 'zebra'"):
        nearest(letters(), ["zebra"])
    with pytest.raises(NlpError, match="--count must be at least 1"):
        nearest(letters(), ["a"], 0)
    vocabulary = char_vocabulary("abc")
    without = LanguageModel(RNNLM(77, 6, 6), vocabulary, make_tokenizer("char"), tiny(level="char"))
    with pytest.raises(NlpError, match="no vector for each token"):
        nearest(without, ["a"])
