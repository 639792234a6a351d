"""Vocabularies: counts add up, ids are deterministic, files are checked."""

import json
import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.errors import NlpError
from nlp.text.tokens import EOS, UNK
from nlp.text.vocabulary import Vocabulary

token_lists = st.lists(st.sampled_from([*"abcdefg", UNK, EOS, "\ud800", "é"]) | st.text(min_size=1, max_size=3))


@st.composite
def texts_and_min_counts(draw: st.DrawFn) -> tuple[list[str], int]:
    """Tokens, and how often one occurs at least, which that of some token is."""
    tokens = draw(token_lists)
    most = max(Counter(one for one in tokens if one not in (UNK, EOS)).values(), default=4)
    return tokens, draw(st.integers(1, min(most, 4)))


@given(texts_and_min_counts(), st.none() | st.integers(3, 8))
def test_counts_add_up_to_the_text(drawn: tuple[list[str], int], max_size: int | None) -> None:
    tokens, min_count = drawn
    vocabulary = Vocabulary.build(tokens, min_count=min_count, max_size=max_size)
    ids = vocabulary.encode(tokens)
    assert np.array_equal(np.bincount(ids, minlength=len(vocabulary)), vocabulary.counts)
    assert len(ids) == len(tokens)
    assert max_size is None or len(vocabulary) <= max_size


@given(texts_and_min_counts())
def test_what_is_frequent_enough_is_known_and_comes_back(drawn: tuple[list[str], int]) -> None:
    tokens, min_count = drawn
    vocabulary = Vocabulary.build(tokens, min_count=min_count)
    counts = Counter(tokens)
    for token in counts.keys() - {UNK, EOS}:
        assert (token in vocabulary) == (counts[token] >= min_count)
    assert vocabulary.decode(vocabulary.encode(tokens)) == [token if token in vocabulary else UNK for token in tokens]


@given(token_lists, st.randoms(use_true_random=False))
def test_ids_depend_on_the_counts_alone(tokens: list[str], order: random.Random) -> None:
    shuffled = tokens.copy()
    order.shuffle(shuffled)
    assert Vocabulary.build(tokens) == Vocabulary.build(shuffled)


@given(token_lists)
def test_the_most_frequent_come_first(tokens: list[str]) -> None:
    vocabulary = Vocabulary.build(tokens)
    assert vocabulary.tokens[:2] == (UNK, EOS)
    order = [(-count, token) for token, count in zip(vocabulary.tokens[2:], vocabulary.counts[2:].tolist())]
    assert order == sorted(order)


@given(texts_and_min_counts())
def test_a_vocabulary_survives_json(drawn: tuple[list[str], int]) -> None:
    tokens, min_count = drawn
    vocabulary = Vocabulary.build(tokens, min_count=min_count)
    text = vocabulary.to_json()
    text.encode("ascii")
    assert Vocabulary.from_json(text) == vocabulary


@given(token_lists, st.lists(st.sampled_from(["a", "b", "z", UNK]), min_size=1))
def test_unigram_perplexity_is_the_formula(tokens: list[str], later: list[str]) -> None:
    vocabulary = Vocabulary.build(tokens)
    total, counts = len(tokens), Counter(tokens)
    unknown = counts[UNK]
    bits = 0.0
    for token in later:
        count = counts[token] if token in vocabulary else unknown
        bits -= math.log2((count + 1) / (total + len(vocabulary)))
    assert vocabulary.unigram_perplexity(vocabulary.encode(later)) == pytest.approx(2 ** (bits / len(later)))


def test_unigram_perplexity_takes_ids_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = Vocabulary.build("abcdabcda")
    ids = vocabulary.encode("dcbaabcdxa")
    whole = vocabulary.unigram_perplexity(ids)
    monkeypatch.setattr("nlp.text.vocabulary.CHUNK", 3)
    assert vocabulary.unigram_perplexity(ids) == pytest.approx(whole)


def test_a_vocabulary_that_lacks_nothing_needs_no_unk() -> None:
    vocabulary = Vocabulary(["a", "b"], [1, 2])
    assert vocabulary.unk_id is None
    assert vocabulary.encode("abba").tolist() == [0, 1, 1, 0]
    for use in (vocabulary.id_of, vocabulary.encode):
        with pytest.raises(NlpError, match="the token 'c' is not in this vocabulary, which has no <unk>"):
            use("c")


def test_a_uniform_text_has_the_perplexity_of_its_size() -> None:
    vocabulary = Vocabulary.build("abcdabcd", specials=(UNK,))
    probability = 3 / (8 + 5)
    assert vocabulary.unigram_perplexity(vocabulary.encode("abcd")) == pytest.approx(1 / probability)


def test_tokens_may_come_from_an_iterator() -> None:
    vocabulary = Vocabulary.build(iter("abca"))
    assert vocabulary.encode(iter("abx")).tolist() == [vocabulary.id_of("a"), vocabulary.id_of("b"), vocabulary.unk_id]
    assert vocabulary.encode([]).shape == (0,)
    assert vocabulary.eos_id == 1
    assert Vocabulary.build("abc", specials=(UNK,)).eos_id is None


@given(token_lists, st.integers(1, 9), st.none() | st.integers(3, 8))
def test_where_no_token_is_frequent_enough_that_is_told(tokens: list[str], more: int, max_size: int | None) -> None:
    counts = Counter(one for one in tokens if one not in (UNK, EOS))
    if not counts:  # nothing is left out
        assert Vocabulary.build(tokens, min_count=more, max_size=max_size).tokens == (UNK, EOS)
        return
    most = max(counts.values())
    with pytest.raises(NlpError, match=f"no token occurs {most + more} times, the most frequent one {most}: lower"):
        Vocabulary.build(tokens, min_count=most + more, max_size=max_size)
    assert len(Vocabulary.build(tokens, min_count=most, max_size=max_size)) > 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_count": 0}, "at least 1, not 0"),
        ({"max_size": 2}, "a size of at least 3"),
        ({"specials": (EOS,)}, "needs the token <unk>"),
    ],
)
def test_impossible_vocabularies_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(NlpError, match=message):
        Vocabulary.build("abc", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", 'one object with "tokens" and "counts"'),
        ('{"tokens": []}', 'one object with "tokens" and "counts"'),
        ('{"tokens": "ab", "counts": [1, 2]}', "are lists"),
        (json.dumps({"tokens": [UNK, 3], "counts": [1, 2]}), "a token is a string, .* 3"),
        (json.dumps({"tokens": [UNK], "counts": [-1]}), "whole number from 0, .* -1"),
        (json.dumps({"tokens": [UNK], "counts": [1.0]}), r"whole number from 0, .* 1\.0"),
        (json.dumps({"tokens": [UNK], "counts": [True]}), "whole number from 0, .* True"),
        (json.dumps({"tokens": [UNK], "counts": [2**63]}), "whole number from 0"),
        (json.dumps({"tokens": [UNK], "counts": [1, 2]}), "1 tokens needs as many counts, not 2"),
        (json.dumps({"tokens": [UNK, "a", "a"], "counts": [1, 2, 3]}), "'a' occurs twice"),
    ],
)
def test_a_bad_file_gets_one_clear_sentence(content: str, message: str) -> None:
    with pytest.raises(NlpError, match=message) as caught:
        Vocabulary.from_json(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("id_", [-1, 4])
def test_an_id_outside_is_refused(id_: int) -> None:
    vocabulary = Vocabulary.build("ab")
    with pytest.raises(NlpError, match=f"the id {id_} is not in this vocabulary of 4 tokens"):
        vocabulary.decode([0, id_])
    with pytest.raises(NlpError, match=f"the id {id_} is not in this vocabulary of 4 tokens"):
        vocabulary.unigram_perplexity(np.array([0, id_]))
    with pytest.raises(NlpError, match="at least one token"):
        vocabulary.unigram_perplexity(np.array([], dtype=np.int32))
