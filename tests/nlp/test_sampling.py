"""Sampling: the restrictions meet where they should, the draws follow the probabilities, rows do not disturb rows."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
from nlp.errors import NlpError
from nlp.generation.sampling import Reader, Sampling, draw_ids, largest
from nlp.models.rnn_lm import CELLS, RNNLM

V = 9
few = st.lists(st.integers(-3, 3), min_size=1, max_size=30)  # so few different values that some are equal
scores = st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=30).map(np.array)


def wild(seed: int = 0, cell: str = "lstm", layers: int = 2) -> RNNLM:
    """A model whose every token depends much on those before it."""
    minigrad.manual_seed(seed)
    model = RNNLM(V, 6, 8, layers, 0.5, cell)
    with minigrad.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6.0)
    return model.eval()


def drawn(count: int, model: RNNLM, context: list[int], seed: int = 0, rows: int = 1, **sampling: object) -> np.ndarray:
    """So many ids (count, rows)."""
    steps = draw_ids(model, np.array(context), Sampling(**sampling), seed=seed, rows=rows)  # type: ignore[arg-type]
    return np.array(list(islice(steps, count)))


# ---- weights --------------------------------------------------------------------------------------------------------


@given(few, st.integers(1, 40))
def test_the_largest_are_found_and_equal_ones_in_their_order(values: list[int], count: int) -> None:
    in_order = sorted(range(len(values)), key=lambda place: (-values[place], place))
    assert largest(np.array(values, dtype=float), count).tolist() == in_order[:count]


@given(scores, st.floats(0.1, 5))
def test_without_restriction_the_weights_are_the_probabilities(scores: np.ndarray, temperature: float) -> None:
    weights = Sampling(temperature).weights(scores)
    expected = np.exp(scores / temperature - np.logaddexp.reduce(scores / temperature))
    np.testing.assert_allclose(weights / weights.sum(), expected, rtol=1e-9)
    all_of_them = Sampling(temperature, top_k=len(scores), top_p=1.0).weights(scores)
    np.testing.assert_array_equal(all_of_them, weights)


@given(scores)
def test_every_way_to_keep_one_token_keeps_the_likeliest(scores: np.ndarray) -> None:
    likeliest = scores.argmax()
    for sampling in (Sampling(0), Sampling(top_k=1), Sampling(top_p=1e-9), Sampling(temperature=1e-300)):
        weights = sampling.weights(scores)
        assert weights[likeliest] == 1
        assert np.count_nonzero(weights) == 1 or (sampling.temperature == 1e-300 and (scores == scores.max()).sum() > 1)


@given(scores, st.floats(0.01, 1), st.integers(1, 30))
def test_the_nucleus_is_the_smallest_set_that_holds_the_share(scores: np.ndarray, top_p: float, top_k: int) -> None:
    plain = Sampling(top_k=top_k).weights(scores)
    kept = np.flatnonzero(Sampling(top_k=top_k, top_p=top_p).weights(scores))
    share = plain[kept].sum() / plain.sum()
    assert len(kept) >= 1
    assert share >= top_p - 1e-9
    assert share - plain[kept].min() / plain.sum() < top_p + 1e-9  # without its least token it holds less
    left_out = np.setdiff1d(np.arange(len(scores)), kept)
    assert not len(left_out) or plain[left_out].max() <= plain[kept].min()


@given(scores, st.integers(1, 40))
def test_top_k_keeps_so_many(scores: np.ndarray, top_k: int) -> None:
    weights = Sampling(top_k=top_k).weights(scores)
    assert np.count_nonzero(weights) == min(top_k, len(scores))
    assert set(np.flatnonzero(weights)) == set(largest(scores, top_k).tolist())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "--temperature must be"),
        ({"temperature": float("nan")}, "--temperature must be"),
        ({"temperature": float("inf")}, "--temperature must be"),
        ({"top_k": 0}, "--top-k must be"),
        ({"top_p": 0.0}, "--top-p must be"),
        ({"top_p": 1.1}, "--top-p must be"),
        ({"top_p": float("nan")}, "--top-p must be"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(NlpError, match=message):
        Sampling(**options)  # type: ignore[arg-type]


# ---- draws ----------------------------------------------------------------------------------------------------------


@settings(max_examples=3)
@given(st.sampled_from([{}, {"temperature": 0.5}, {"temperature": 2.0, "top_k": 6}, {"top_p": 0.8}]))
def test_the_draws_follow_the_weights(options: dict[str, float]) -> None:
    """Pearson's chi-square: with the seed fixed, the test either always passes or never."""
    stats = pytest.importorskip("scipy.stats", reason="the chi-square distribution")
    scores = np.array([0.5, 1.0, -1.0, 0.0, 2.0, 0.3, -2.0, 1.2])
    sampling, generator = Sampling(**options), minigrad.Generator(5)  # type: ignore[arg-type]
    weights = sampling.weights(scores)
    kept = weights > 0
    counts = np.bincount([sampling.draw(scores, generator) for _ in range(4000)], minlength=len(scores))
    assert counts[~kept].sum() == 0
    assert stats.chisquare(counts[kept], 4000 * weights[kept] / weights.sum()).pvalue > 0.01


@given(st.integers(0, 2**64 - 1), st.sampled_from(sorted(CELLS)), st.integers(2, 5))
def test_a_row_is_what_its_own_seed_gives(seed: int, cell: str, rows: int) -> None:
    model = wild(1, cell)
    together = drawn(12, model, [1, 2, 3], seed, rows)
    alone = [drawn(12, model, [1, 2, 3], (seed + row) % 2**64)[:, 0] for row in range(rows)]
    np.testing.assert_array_equal(together, np.stack(alone, axis=1))
    assert len(np.unique(together, axis=1).T) > 1  # and seeds differ


@given(st.integers(0, 1000), st.integers(1, 150))
def test_the_likeliest_follows_from_all_that_was_read_and_written(seed: int, context: int) -> None:
    model = wild(seed)
    ids = np.random.default_rng(seed).integers(0, V, context).tolist()  # longer than what is read at once, too
    for chosen in drawn(20, model, ids, temperature=0)[:, 0]:  # read from the beginning every time: no state
        with minigrad.no_grad():
            scores, _ = model(minigrad.tensor(np.array(ids).reshape(-1, 1)))
        last = scores[-1, 0].numpy()
        assert last[chosen] >= last.max() - 1e-4  # another order of adding up may make two change places
        ids.append(int(chosen))


def test_what_must_never_be_drawn_is_not() -> None:
    steps = draw_ids(wild(), np.array([0]), Sampling(temperature=9.0), seed=1, rows=4, never=[2, 5])
    ids = np.array(list(islice(steps, 50)))
    assert set(np.unique(ids)) == set(range(V)) - {2, 5}


def test_seeds_outside_64_bits_are_refused_and_none_is_another_each_time() -> None:
    for seed in (-1, 2**64):
        with pytest.raises(NlpError, match="--seed must be"):
            draw_ids(wild(), np.array([0]), Sampling(), seed=seed)
    texts = {tuple(np.array(list(islice(draw_ids(wild(), np.array([0]), Sampling()), 30))).ravel()) for _ in range(4)}
    assert len(texts) == 4


def test_spoilt_weights_are_told() -> None:
    model = wild()
    with minigrad.no_grad():
        model.decoder.bias.fill_(float("nan"))
    with pytest.raises(NlpError, match="scores are not finite"):
        next(draw_ids(model, np.array([0]), Sampling()))


def test_reading_leaves_grad_mode_alone_and_switches_dropout_off() -> None:
    model = wild().train()
    reader = Reader(model)
    first, _ = reader.begin(np.array([1, 2]))
    assert minigrad.is_grad_enabled()
    np.testing.assert_array_equal(first, reader.begin(np.array([1, 2]))[0])
