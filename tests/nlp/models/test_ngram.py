"""n-gram models: probabilities as the papers' equations give them, states that carry what was read, tables that come
back from a file as they were."""

from __future__ import annotations

from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ngram_reference import DictionaryModel

import minigrad
from minigrad.testing import standin
from nlp.errors import NlpError
from nlp.evaluation.scoring import evaluate
from nlp.generation.beam import beam_search
from nlp.generation.sampling import Sampling, draw_ids
from nlp.models.ngram import TABLES, NGramLM
from nlp.models.ngram_smoothing import SMOOTHINGS
from nlp.models.token_model import on_state
from nlp.text import EvaluationBatches

V = 4
smoothings = st.sampled_from(SMOOTHINGS)
orders = st.integers(1, 4)
# Texts in which the last word of the vocabulary is never seen.
few_words = st.lists(st.integers(0, V - 2), min_size=4, max_size=60)
some_words = st.integers(0, 1000).map(lambda seed: np.random.default_rng(seed).integers(0, V - 1, 40).tolist())
ks = st.floats(1e-3, 3)


def make(text: list[int], order: int, smoothing: str, k: float = 0.1) -> NGramLM:
    return NGramLM(V, order, smoothing, k=k).count(np.array(text))


def tensor(*words: Any) -> minigrad.Tensor:
    return minigrad.tensor(np.array(words, dtype=np.int64).T)


def probabilities(model: NGramLM, context: tuple[int, ...]) -> np.ndarray:
    """p (V,) after the context, at least one word."""
    scores, _ = model(tensor(context))
    return np.exp(scores.numpy()[-1, 0])


def some_text(seed: int, length: int = 300) -> list[int]:
    """Words of which each is likely to be the one before it, or the next."""
    return (np.random.default_rng(seed).integers(0, 3, length) // 2).cumsum().__mod__(V).tolist()


# ---- probabilities --------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(few_words | some_words, orders, smoothings, ks)
def test_they_are_those_of_the_papers_equations(text: list[int], order: int, smoothing: str, k: float) -> None:
    model, expected = make(text, order, smoothing, k), DictionaryModel(text, V, order, smoothing, k)
    contexts = tensor(*product(range(V), repeat=3))  # every one, seen or not: T = 3, B = V ** 3
    scores, _ = model(contexts)
    assert scores.dtype == np.float64
    assert scores.shape == (3, V**3, V)
    close = {"rtol": 1e-4, "atol": 1e-6} if smoothing == "jelinek-mercer" else {"rtol": 1e-9}
    for (t, b, word), p in np.ndenumerate(np.exp(scores.numpy())):
        context = tuple(contexts.numpy()[max(0, t + 2 - order) : t + 1, b]) if order > 1 else ()
        np.testing.assert_allclose(p, expected.p(word, context), **close)


@given(few_words, orders, smoothings, ks)
def test_they_add_up_to_one_after_every_context(text: list[int], order: int, smoothing: str, k: float) -> None:
    model = make(text, order, smoothing, k)
    p = np.exp(model(tensor(*product(range(V), repeat=3)))[0].numpy())
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-12)
    assert smoothing == "ml" or (p > 0).all()


@given(few_words, orders, smoothings, st.integers(1, 6), st.integers(1, 3), st.integers(0, 100))
def test_the_loss_is_that_of_the_scores(text: list[int], order: int, smoothing: str, T: int, B: int, seed: int) -> None:
    model = make(text, order, smoothing)
    random = np.random.default_rng(seed)
    input, target = random.integers(0, V, (T, B)), random.integers(0, V, (T, B))
    target[random.random((T, B)) < 0.3] = -100
    scores, state = model(minigrad.tensor(input))
    each, after = model.loss(minigrad.tensor(input), minigrad.tensor(target), reduction="none")
    looked_up = np.take_along_axis(scores.numpy(), np.maximum(target, 0)[..., None], -1)[..., 0]
    expected = np.where(target == -100, 0.0, -looked_up).ravel()
    assert each.shape == (T * B,)
    np.testing.assert_array_equal(each.numpy(), expected)  # to the bit
    np.testing.assert_array_equal(after.numpy(), state.numpy())
    total = model.loss(minigrad.tensor(input), minigrad.tensor(target), reduction="sum")[0].item()
    np.testing.assert_allclose(total, expected.sum(), rtol=1e-12)
    mean = model.loss(minigrad.tensor(input), minigrad.tensor(target))[0].item()
    scored = np.count_nonzero(target != -100)
    np.testing.assert_allclose(mean, expected.sum() / scored if scored else np.nan, rtol=1e-12)


def test_what_maximum_likelihood_finds_impossible_has_an_infinite_loss() -> None:
    model = make([0, 1, 0, 1, 0, 2], 2, "ml")
    np.testing.assert_allclose(probabilities(model, (0,)), [0, 2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(probabilities(model, (2,)), [3 / 6, 2 / 6, 1 / 6, 0])  # nothing follows 2: the words'
    assert model.loss(tensor([0, 1]), tensor([3, 0]))[0].item() == np.inf
    judged = evaluate(model, EvaluationBatches(np.array([0, 3, 1, 0]), 1, 2))
    assert (judged.loss, judged.perplexity, judged.tokens) == (np.inf, np.inf, 3)


def test_kneser_and_ney_count_the_words_before_not_how_often() -> None:
    # 2 is frequent, but after 1 alone (Francisco after San); 0 is as frequent and stands after three words.
    text = [1, 2, 0, 1, 2, 3, 0, 1, 2, 0, 0, 3]
    model = make(text, 2, "kneser-ney")
    # Bigrams: 12 three times, 01 and 20 twice, 23, 30, 00, 03 once: n1 = 4, n2 = 2, D = 4 / 8. Before 0: 2, 3, 0;
    # before 1: 0; before 2: 1; before 3: 2, 0. Of these 7 n1 = 2, n2 = 1, D = 2 / 4.
    np.testing.assert_array_equal(model.numbers.numpy(), [[0.5], [0.5]])
    assert model.counts.numpy()[:V].tolist() == [3, 1, 1, 2]
    shorter = (np.array([3, 1, 1, 2]) - 0.5) / 7 + 0.5 * 4 / 7 / V
    np.testing.assert_allclose(probabilities(model, (3,)), [0.5, 0, 0, 0] + 0.5 * shorter)
    np.testing.assert_allclose(probabilities(model, (0,)), np.array([0.5, 1.5, 0, 0.5]) / 4 + 0.5 * 3 / 4 * shorter)


def test_what_only_the_text_s_beginning_has_counts_one() -> None:
    text = [3, 0, 1, 0, 1, 0]  # before 0 stand 3 and 1, before 1 stands 0, before 3 nothing
    for smoothing in ("kneser-ney", "modified-kneser-ney"):
        assert make(text, 2, smoothing).counts.numpy()[:V].tolist() == [2, 1, 0, 1]


def test_the_three_discounts_of_the_modified_kind() -> None:
    text = [word for word, count in ((0, 1), (1, 1), (2, 2), (3, 3), (4, 4)) for _ in range(count)]
    model = NGramLM(6, 1).count(np.array(text))  # n1 = 2, n2 = n3 = n4 = 1: Y = 1 / 2
    np.testing.assert_allclose(model.numbers.numpy(), [[0.5, 0.5, 1.0]])
    expected = (np.array([1, 1, 2, 3, 4, 0]) - [0.5, 0.5, 0.5, 1, 1, 0]) / 11 + 3.5 / 11 / 6
    np.testing.assert_allclose(probabilities(model, (0,)), expected)
    np.testing.assert_array_equal(make([0, 0, 0, 0], 1, "modified-kneser-ney").numbers.numpy(), [[0.5, 1.0, 1.5]])
    np.testing.assert_array_equal(make([0, 0, 0, 0], 1, "kneser-ney").numbers.numpy(), [[0.5]])


def test_the_longer_context_is_worth_more_where_it_tells_more() -> None:
    told = make([0, 1, 2] * 60, 2, "jelinek-mercer").numbers.numpy()
    random = make(np.random.default_rng(0).integers(0, 3, 180).tolist(), 2, "jelinek-mercer").numbers.numpy()
    bucket = 5  # of contexts seen about 60 times
    assert told[1, bucket] > 0.95
    assert random[1, bucket] < 0.7


@settings(deadline=None)
@given(few_words, st.integers(2, 4), smoothings)
def test_it_writes_only_what_may_come(text: list[int], order: int, smoothing: str) -> None:
    model = make(text, order, smoothing)
    for ids in ([0], text[:2]):
        drawn = np.array(list(islice(draw_ids(model, np.array(ids), Sampling(), rows=3, seed=0), 8)))
        assert drawn.shape == (8, 3)
        inputs = [[*ids, *row[:-1]] for row in drawn.T]
        targets = [[-100] * (len(ids) - 1) + [*row] for row in drawn.T]
        nats, _ = model.loss(tensor(*inputs), tensor(*targets))
        assert np.isfinite(nats.item())
    best, *_ = beam_search(model, np.array(text[:1]), 3, 64)
    nats, _ = model.loss(tensor([text[0], *best.ids[:-1]]), tensor(best.ids), reduction="sum")
    np.testing.assert_allclose(best.log_probability, -nats.item())


# ---- the state ------------------------------------------------------------------------------------------------------


@given(few_words, orders, smoothings, st.integers(2, 7), st.data())
def test_reading_in_pieces_is_reading_at_once(
    text: list[int], order: int, smoothing: str, T: int, data: st.DataObject
) -> None:
    model = make(text, order, smoothing)
    input = minigrad.tensor(np.random.default_rng(T).integers(0, V, (T, 3)))
    whole, end = model(input)
    cut = data.draw(st.integers(1, T - 1))
    first, state = model(input[:cut])
    assert state.shape == (min(cut, order - 1), 3)
    second, after = model(input[cut:], state)
    np.testing.assert_array_equal(np.concatenate([first.numpy(), second.numpy()]), whole.numpy())
    np.testing.assert_array_equal(after.numpy(), end.numpy())
    third, _ = model(input[cut:][:, [2, 0]], on_state(state, lambda part: part[:, [2, 0]]))
    np.testing.assert_array_equal(third.numpy(), second.numpy()[:, [2, 0]])


# ---- tables and files -----------------------------------------------------------------------------------------------


def scores_of(model: NGramLM) -> np.ndarray:
    return model(tensor(*product(range(V), repeat=3)))[0].numpy()


@given(orders, smoothings)
def test_a_loaded_model_scores_to_the_same_bits(order: int, smoothing: str) -> None:
    model, other = make(some_text(order), order, smoothing), NGramLM(V, order, smoothing, k=0.1)
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(scores_of(other), scores_of(model))
    other.count(np.array(some_text(7)))  # its tables are its own
    np.testing.assert_array_equal(scores_of(model), scores_of(make(some_text(order), order, smoothing)))


@pytest.mark.parametrize(("order", "smoothing"), [(1, "ml"), (2, "jelinek-mercer"), (3, "modified-kneser-ney")])
def test_through_a_file(order: int, smoothing: str, tmp_path: Path) -> None:
    model, other = make(some_text(0), order, smoothing), make(some_text(1), order, smoothing)
    minigrad.save(model.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(minigrad.load(tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(scores_of(other), scores_of(model))
    other.load_state_dict(NGramLM(V, order, smoothing).state_dict())
    with pytest.raises(NlpError, match="has counted no text yet"):
        other(tensor([0]))


@given(st.sampled_from(TABLES), st.integers(0, 400), st.integers(-(2**40), 2**40), smoothings)
def test_damaged_tables_are_refused_or_at_least_harmless(table: str, place: int, value: int, smoothing: str) -> None:
    model = make(some_text(0), 3, smoothing)
    before = scores_of(model)
    state = {name: one.numpy().copy() for name, one in model.state_dict().items()}
    if state[table].size:
        state[table].ravel()[place % state[table].size] = value
    damaged = {name: minigrad.tensor(one) for name, one in state.items()}
    try:
        model.load_state_dict(damaged)
    except ValueError as error:
        assert "n-gram tables" in str(error)  # noqa: PT017
        np.testing.assert_array_equal(scores_of(model), before)
    else:  # a count that might be, or a key beside the right one
        assert np.isfinite(scores_of(model).max(axis=-1)).all()


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("keys", lambda keys: keys[::-1].copy(), "the keys of order 2 do not rise"),
        ("keys", lambda keys: keys[:-1], "does not fit the sizes"),
        ("keys", lambda keys: keys.astype(np.float64), "keys are float64"),
        ("keys", lambda keys: np.append(keys[:-1], 2**60), "the keys of order 3 do not rise within their range"),
        ("counts", lambda counts: counts * 0, "occurs less than once"),
        ("counts", lambda counts: -counts, "occurs less than once"),
        ("counts", lambda counts: np.append(counts[:-1], 0), "occurs less than once"),
        ("sizes", lambda sizes: sizes[:2], "of order 2, where the model has order 3"),
        ("sizes", lambda sizes: sizes + 1, "of 5 words, where the model has 4"),
        ("sizes", lambda sizes: sizes - [0, 1, -1], "do not rise|does not fit"),
        ("numbers", lambda numbers: numbers[:, :1], "of another smoothing"),
        ("numbers", lambda numbers: numbers * np.nan, "discounts are not above 0"),
        ("numbers", lambda numbers: numbers + 3, "discounts are not above 0"),
    ],
)
def test_what_is_wrong_with_tables_is_said(table: str, change: Any, message: str) -> None:
    state = make(some_text(0), 3, "modified-kneser-ney").state_dict()
    state[table] = minigrad.tensor(change(state[table].numpy()))
    with pytest.raises(ValueError, match=message):
        NGramLM(V, 3).load_state_dict(state)


def test_other_names_are_refused_as_in_every_module() -> None:
    model = make(some_text(0), 2, "ml")
    before, state = model.state_dict(), make(some_text(1), 2, "ml").state_dict()
    with pytest.raises(RuntimeError, match=r'Unexpected key.*"more"'):
        model.load_state_dict({**state, "more": state["keys"]})
    with pytest.raises(RuntimeError, match=r'Missing key.*"counts"'):
        model.load_state_dict({name: one for name, one in state.items() if name != "counts"})
    for name, table in before.items():
        np.testing.assert_array_equal(getattr(model, name).numpy(), table.numpy())
    state = make(some_text(0), 2, "jelinek-mercer").state_dict()
    with pytest.raises(ValueError, match="its weights are not between 0 and 1"):
        NGramLM(V, 2, "jelinek-mercer").load_state_dict({**state, "numbers": state["numbers"] * 0})


def test_it_stays_on_the_cpu_and_exact() -> None:
    standin.install()
    model = make(some_text(0), 3, "modified-kneser-ney")
    before = scores_of(model)
    assert model.device.type == "cpu"
    assert list(model.parameters()) == []
    assert model.to("cpu").half() is model
    np.testing.assert_array_equal(scores_of(model), before)
    with pytest.raises(NlpError, match="counts on the CPU, and cannot move to standin"):
        model.to("standin")
    assert "3, modified-kneser-ney" in repr(model)


# ---- what cannot be -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 0}, "at least 1, not 0"),
        ({"smoothing": "kneser-nay"}, "the nearest is 'kneser-ney'"),
        ({"smoothing": "add-k", "k": 0}, "above 0, not 0"),
        ({"smoothing": "add-k", "k": float("nan")}, "above 0, not nan"),
    ],
)
def test_settings_outside_their_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NlpError, match=message):
        NGramLM(V, **options)


def test_a_model_is_used_only_for_what_it_can() -> None:
    model = NGramLM(V, 2)
    with pytest.raises(NlpError, match="counted no text yet"):
        model.loss(tensor([0]), tensor([1]))
    with pytest.raises(NlpError, match="a text of 1 token has no n-gram of 2"):
        model.count(np.array([0]))
    model.count(np.array([0, 1, 2]))
    with pytest.raises(NlpError, match="no weights to train"):
        model.objective(tensor([0]), tensor([1]))
    with pytest.raises(NlpError, match="the id 4 is not in"):
        model(tensor([4]))
    with pytest.raises(NlpError, match="the id -1 is not in"):
        model.loss(tensor([0]), tensor([-1]))
    with pytest.raises(ValueError, match="the reduction is"):
        model.loss(tensor([0]), tensor([1]), reduction="median")
