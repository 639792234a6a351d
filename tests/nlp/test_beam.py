"""Beam search: wide enough it finds the true maximum, narrow it is greedy, and what it says of a text is true."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ngram_reference import DictionaryModel

import minigrad
from nlp.errors import NlpError
from nlp.generation.beam import beam_search
from nlp.models.ngram import NGramLM
from nlp.models.rnn_lm import CELLS, RNNLM

V = 4
CONTEXT = np.array([1, 3, 0])
seeds, cells = st.integers(0, 500), st.sampled_from(sorted(CELLS))


def wild(seed: int, cell: str = "lstm") -> RNNLM:
    """A model whose every token depends much on those before it."""
    minigrad.manual_seed(seed)
    model = RNNLM(V, 5, 6, 2, 0.5, cell)
    with minigrad.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5.0)
    return model.eval()


def log_probability(model: RNNLM, ids: tuple[int, ...], never: tuple[int, ...] = ()) -> float:
    """Of a continuation of CONTEXT, read in one go: no state, no search."""
    whole = np.array([*CONTEXT, *ids])
    with minigrad.no_grad():
        scores = model(minigrad.tensor(whole[:-1, None]))[0][len(CONTEXT) - 1 :, 0].numpy().astype(np.float64)
    scores[:, list(never)] = -np.inf
    return float(sum(row[id] - np.logaddexp.reduce(row) for row, id in zip(scores, ids, strict=True)))


@settings(max_examples=12)
@given(seeds, cells, st.integers(1, 3))
def test_nothing_is_passed_over_by_a_beam_of_all_texts(seed: int, cell: str, length: int) -> None:
    model = wild(seed, cell)
    found = beam_search(model, CONTEXT, length, V**length)
    every = {ids: log_probability(model, ids) for ids in product(range(V), repeat=length)}
    assert len(found) == len(every)
    assert {one.ids for one in found} == set(every)
    assert every[found[0].ids] >= max(every.values()) - 1e-4
    for one in found:
        np.testing.assert_allclose(one.log_probability, every[one.ids], atol=1e-4)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@given(seeds, cells, st.integers(1, 12), st.integers(2, 6))
def test_a_beam_of_one_is_greedy_and_a_wider_one_finds_as_many_texts(
    seed: int, cell: str, length: int, width: int
) -> None:
    model = wild(seed, cell)
    ids: list[int] = []
    for _ in range(length):  # read from the beginning every time
        with minigrad.no_grad():
            ids.append(int(model(minigrad.tensor(np.array([*CONTEXT, *ids])[:, None]))[0][-1, 0].numpy().argmax()))
    (narrow,) = beam_search(model, CONTEXT, length, 1)
    assert narrow.ids == tuple(ids)
    np.testing.assert_allclose(narrow.log_probability, log_probability(model, narrow.ids), atol=1e-4)
    wide = beam_search(model, CONTEXT, length, width)
    assert len({one.ids for one in wide}) == len(wide) == min(width, V**length)
    np.testing.assert_allclose(wide[0].log_probability, log_probability(model, wide[0].ids), atol=1e-4)


@given(seeds)
def test_what_must_never_be_written_is_not_and_the_rest_shares_its_probability(seed: int) -> None:
    model = wild(seed)
    found = beam_search(model, CONTEXT, 2, 99, never=[1])
    assert len(found) == (V - 1) ** 2
    assert all(1 not in one.ids for one in found)
    np.testing.assert_allclose(sum(np.exp(one.log_probability) for one in found), 1, rtol=1e-5)
    np.testing.assert_allclose(found[0].log_probability, log_probability(model, found[0].ids, (1,)), atol=1e-4)


@given(seeds, st.integers(2, 5))
def test_ended_texts_are_not_continued_and_compare_by_their_mean(seed: int, length: int) -> None:
    model = wild(seed)
    found = beam_search(model, CONTEXT, length, V**length, ended=lambda ids: ids[-1] == 2)
    assert found
    for one in found:
        assert 2 not in one.ids[:-1]
        assert len(one.ids) == length or one.ids[-1] == 2
        np.testing.assert_allclose(one.score, log_probability(model, one.ids) / len(one.ids), atol=1e-4)
    assert found[0].score == max(one.score for one in found)


# ---- models that find words impossible ------------------------------------------------------------------------------

few_words = st.lists(st.integers(0, V - 1), min_size=3, max_size=12)
NEVER = 3


def texts_after(model: DictionaryModel, context: tuple[int, ...], length: int) -> dict[tuple[int, ...], float]:
    """The probability of each possible text after the context, without NEVER where something else is possible."""
    if not length:
        return {(): 1.0}
    p = {word: model.p(word, context) for word in range(V)}
    possible = {word: one for word, one in p.items() if one and word != NEVER} or {NEVER: 1.0}
    return {
        (word, *rest): one / sum(possible.values()) * other
        for word, one in possible.items()
        for rest, other in texts_after(model, (*context, word)[1:], length - 1).items()
    }


@settings(deadline=None)
@given(few_words, st.integers(2, 3), st.integers(1, 4), st.integers(1, 4))
def test_what_is_never_written_is_where_nothing_else_is_possible(
    text: list[int], order: int, length: int, width: int
) -> None:
    model = NGramLM(V, order, "ml").count(np.array(text))
    start = text[: order - 1]
    every = texts_after(DictionaryModel(text, V, order, "ml", 0.0), tuple(start), length)
    found = beam_search(model, np.array(start), length, V**length, never=[NEVER])
    assert {one.ids for one in found} == set(every)
    narrow = beam_search(model, np.array(start), length, width, never=[NEVER])
    assert len(narrow) <= width
    assert len(narrow) == width or len(every) < width or length > 1
    assert narrow
    for one in (*found, *narrow):
        np.testing.assert_allclose(one.log_probability, np.log(every[one.ids]), atol=1e-9)


def test_a_beginning_that_must_go_on_with_what_is_never_written_hides_no_other() -> None:
    text = [0, 1, 3, 0, 2, 0, 1, 3, 0, 2]  # after 1 comes 3 alone
    model = NGramLM(V, 2, "ml").count(np.array(text))
    found = beam_search(model, np.array([0]), 2, 2, never=[NEVER])
    assert [one.ids for one in found] == [(1, 3), (2, 0)]
    ended = beam_search(model, np.array([0]), 9, 2, never=[NEVER], ended=lambda ids: ids[-1] == NEVER)
    assert ended[0].ids == (1, 3)
    assert all(one.ids[-1] == NEVER and NEVER not in one.ids[:-1] for one in ended)


def test_equal_texts_come_in_the_order_of_their_ids() -> None:
    model = wild(0)
    with minigrad.no_grad():
        model.decoder.weight.zero_()
        model.decoder.bias.zero_()
    found = beam_search(model, CONTEXT, 2, 5)
    assert [one.ids for one in found] == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)]


@pytest.mark.parametrize(("length", "width", "message"), [(0, 1, "--length"), (1, 0, "--beam")])
def test_options_out_of_range_are_refused(length: int, width: int, message: str) -> None:
    with pytest.raises(NlpError, match=f"{message} must be at least 1"):
        beam_search(wild(0), CONTEXT, length, width)
