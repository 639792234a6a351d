"""Mixtures: the weights that are found are the best there are, and the loss is that of the mixed probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nlp_helpers import tiny

import minigrad
import nlp
from minigrad import Tensor
from minigrad.testing import standin
from nlp.errors import NlpError
from nlp.evaluation.mixture import CLOSE_ENOUGH, Mixture, _non_negative, best_weights, mix, mixture_loss, token_losses
from nlp.evaluation.scoring import evaluate, evaluate_text
from nlp.models.rnn_lm import RNNLM
from nlp.models.token_model import State, TokenModel
from nlp.text import Corpus, EvaluationBatches
from nlp.text.prepare import load_prepared
from nlp.training import Experiment

PARTS = ("valid", "test")


@st.composite
def losses_of(draw: st.DrawFn, models: int | None = None) -> np.ndarray:
    """Losses (M, N): what M models gave N tokens, of very different probability, some none at all."""
    M, N = models or draw(st.integers(1, 4)), draw(st.integers(1, 12))
    loss = st.floats(0, 30) | st.floats(0, 2000) | st.just(math.inf)
    return np.array(draw(st.lists(loss, min_size=M * N, max_size=M * N))).reshape(M, N)


def loss_by_hand(losses: np.ndarray, weights: np.ndarray) -> float:
    """The same in probabilities, each token's losses moved so that its likeliest model's is 0."""
    total = 0.0
    for token in losses.T:
        possible = token[weights > 0]
        least = possible.min()
        if least == math.inf:
            return math.inf
        total += least - math.log((weights[weights > 0] * np.exp(least - possible)).sum())
    return total / losses.shape[1]


def grid(models: int, parts: int) -> list[np.ndarray]:
    """All weights that are multiples of 1 / parts."""
    counts = (count for count in product(range(parts + 1), repeat=models) if sum(count) == parts)
    return [np.array(count) / parts for count in counts]


# ---- the weights ----------------------------------------------------------------------------------------------------


@given(losses_of(), st.integers(0, 99))
def test_the_loss_is_that_of_the_mixed_probabilities(losses: np.ndarray, seed: int) -> None:
    draw = np.random.default_rng(seed)
    weights = draw.dirichlet(np.ones(len(losses)))
    weights[draw.integers(len(losses))] *= draw.integers(2)  # 0 sometimes
    if not weights.sum():
        weights[0] = 1.0
    weights /= weights.sum()
    np.testing.assert_allclose(mixture_loss(losses, weights), loss_by_hand(losses, weights), rtol=1e-12, atol=1e-12)


@given(losses_of())
def test_no_weights_of_a_grid_are_better(losses: np.ndarray) -> None:
    weights = best_weights(losses)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(), 1)
    some = losses[:, np.isfinite(losses).any(axis=0)]
    if not some.size:
        return
    ours = mixture_loss(some, weights)
    slack = 1e-9 + CLOSE_ENOUGH
    for other in grid(len(losses), 200 if len(losses) == 2 else 12):
        assert ours <= loss_by_hand(some, other) + slack


@given(st.lists(st.sampled_from([0, 1]), min_size=1, max_size=30))
def test_models_that_are_each_certain_get_the_shares_of_their_tokens(which: list[int]) -> None:
    # w_0^k w_1^(n - k) is largest at w_0 = k / n: the one case whose best weights are known
    losses = np.where(np.array(which) == np.arange(2)[:, None], 0.0, math.inf)
    np.testing.assert_allclose(best_weights(losses), [1 - np.mean(which), np.mean(which)], atol=1e-12)


def test_a_weight_between_is_found_to_the_last_digits() -> None:
    draw = np.random.default_rng(0)
    losses = draw.exponential(3.0, (2, 400))
    fine = np.linspace(0, 1, 10_001)
    mixed = -np.log(fine[:, None] * np.exp(-losses[0]) + (1 - fine[:, None]) * np.exp(-losses[1])).mean(axis=1)
    weights = best_weights(losses)
    assert 0.1 < weights[0] < 0.9
    np.testing.assert_allclose(weights[0], fine[mixed.argmin()], atol=2e-3)
    assert mixture_loss(losses, weights) <= mixed.min() + CLOSE_ENOUGH


def similar(seed: int, spreads: Sequence[float], shifts: Sequence[float], count: int = 2_000) -> np.ndarray:
    """Losses (M, N) of models that are the first one with noise, each worse than it by its shift."""
    draw = np.random.default_rng(seed)
    first = draw.exponential(4.0, count)
    others = [first + shift + draw.normal(0, spread, count) for spread, shift in zip(spreads, shifts, strict=True)]
    return np.array([first, *others])


@given(st.integers(0, 999), st.lists(st.tuples(st.floats(0, 0.3), st.floats(-0.02, 0.02)), min_size=1, max_size=4))
def test_of_similar_models_too_no_others_are_better_by_more_than_said(
    seed: int, others: list[tuple[float, float]]
) -> None:
    losses = similar(seed, *zip(*others, strict=True), count=300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nlp.evaluation.mixture.MOST_ROUNDS", 12)
        weights = best_weights(losses)
    mixed = np.exp(-losses).T @ weights  # N
    gains = (np.exp(-losses) / mixed).mean(axis=1)
    assert math.log(gains.max()) <= CLOSE_ENOUGH  # by Jensen's inequality


CLOSE = {
    "two": ([0.02], [0.0], None),
    "nearly one": ([0.001], [0.0], None),
    "one alone": ([0.02], [0.01], [1, 0]),
    "three": ([0.05, 0.05], [0.0, 0.05], None),
    "the same three times": ([0.0, 0.0], [0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]),
}


@pytest.mark.parametrize("name", sorted(CLOSE))
def test_similar_models_need_few_rounds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """EM alone takes ten thousand and more for some of these."""
    spreads, shifts, expected = CLOSE[name]
    losses = similar(0, spreads, shifts, 20_000)
    monkeypatch.setattr("nlp.evaluation.mixture.MOST_ROUNDS", 12)
    weights = best_weights(losses)
    gains = np.exp(-losses - np.log(weights @ np.exp(-losses))).mean(axis=1)
    assert math.log(gains.max()) <= CLOSE_ENOUGH
    if expected is not None:
        np.testing.assert_allclose(weights, expected, atol=1e-3)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 9999))
def test_a_quadratic_over_what_is_not_negative_is_at_its_least(count: int, rank: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    root = draw.standard_normal((count, rank)) * 10 ** draw.uniform(-2, 0, (count, 1))
    curvature, slope = root @ root.T, root @ draw.standard_normal(rank)  # singular where the rank is below the count
    v = _non_negative(curvature, slope)
    falls = slope - curvature @ v
    assert (v >= 0).all()
    assert (falls <= 1e-9).all()
    np.testing.assert_allclose(falls[v > 0], 0, atol=1e-9)


@given(losses_of(2), st.integers(1, 5))
def test_long_texts_are_looked_at_in_pieces(losses: np.ndarray, chunk: int) -> None:
    whole = best_weights(losses)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nlp.evaluation.mixture.CHUNK", chunk)
        pieces = best_weights(losses)
        loss = mixture_loss(losses, whole)
    np.testing.assert_allclose(pieces, whole, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(loss, mixture_loss(losses, whole), rtol=1e-12)


def test_tokens_that_no_model_foresees_do_not_weigh() -> None:
    losses = np.array([[1.0, 2.0, math.inf], [2.0, 1.5, math.inf]])
    np.testing.assert_allclose(best_weights(losses), best_weights(losses[:, :2]))
    assert mixture_loss(losses, best_weights(losses)) == math.inf
    np.testing.assert_array_equal(best_weights(losses[:, 2:]), [0.5, 0.5])


@pytest.mark.parametrize("shape", [(3,), (2, 0), (0, 2)])
def test_losses_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(NlpError, match=r"\(models, tokens\)"):
        best_weights(np.zeros(shape))


def test_losses_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(NlpError, match="nan"):
        best_weights(np.array([[1.0, math.nan], [1.0, 2.0]]))


# ---- the losses -----------------------------------------------------------------------------------------------------


@given(st.integers(1, 700), st.booleans())
@settings(max_examples=8)
def test_the_losses_of_a_text_are_one_a_token_with_the_state_carried(count: int, training: bool) -> None:
    minigrad.manual_seed(0)
    model = RNNLM(9, 4, 5, 1, 0.5, initial_range=0.8).train(training)
    ids = np.random.default_rng(count).integers(0, 9, count + 1)
    losses = np.concatenate(list(token_losses(model, ids)))
    assert losses.shape == (count,)
    assert model.training is training
    whole, _ = model.eval().loss(minigrad.tensor(ids[:-1, None]), minigrad.tensor(ids[1:, None]), reduction="none")
    np.testing.assert_allclose(losses, whole.detach().numpy(), rtol=1e-4)
    np.testing.assert_allclose(losses.mean(), evaluate(model, EvaluationBatches(ids, 1, 256)).loss, rtol=1e-5)
    standin.install()
    there = np.concatenate(list(token_losses(model.to("standin"), ids)))
    np.testing.assert_allclose(there, losses, rtol=1e-4)


class Sure(TokenModel):
    """Knows one token, and gives every other the probability 0."""

    def __init__(self, tokens: int, known: int) -> None:
        super().__init__()
        scores = np.where(np.arange(tokens) == known, 0.0, -np.inf).astype(np.float32)
        self.register_buffer("scores", minigrad.tensor(scores))

    def forward(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        return self.scores.expand(*input.shape, len(self.scores)), None


def test_a_probability_of_0_is_no_end_of_the_mixture() -> None:
    ids = np.array([0, 1, 1, 2, 1])
    losses = np.array([np.concatenate(list(token_losses(Sure(3, known), ids))) for known in (1, 2)])
    np.testing.assert_array_equal(losses, [[0, 0, math.inf, 0], [math.inf, math.inf, 0, math.inf]])
    np.testing.assert_allclose(best_weights(losses), [0.75, 0.25])


# ---- runs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one text, `one` and `two`, and others that go with none: of another text, or of characters."""
    folder = tmp_path_factory.mktemp("mix")
    runs: dict[str, dict[str, object]] = {
        "one": {},
        "two": {"seed": 5, "model": "gru"},
        "letters": {"level": "char"},
        "elsewhere": {},
    }
    for name, options in runs.items():
        test = words(3 if name == "elsewhere" else 2, 150)
        corpus = Corpus.of_texts("words", "drawn at random", train=words(0, 900), valid=words(1, 150), test=test)
        with Experiment.create(tiny(epochs=1, **options), corpus, out=folder / name) as experiment:
            list(experiment.train())
    return folder


def words(seed: int, count: int) -> str:
    """Of thirty words, one after the other, drawn at random."""
    return " ".join(f"w{word}" for word in np.random.default_rng(seed).integers(0, 30, count)) + "\n"


def losses_of_runs(home: Path, ids: np.ndarray) -> np.ndarray:
    runs = (nlp.load(home / name) for name in ("one", "two"))
    return np.array([np.concatenate(list(token_losses(run.model, ids))) for run in runs])


def test_two_runs_are_mixed_on_their_own_texts(home: Path) -> None:
    shares: list[float] = []
    mixture = mix([home / "one", home / "two"], progress=shares.append)
    ids = load_prepared(home / "one").ids
    losses = {part: losses_of_runs(home, ids[part]) for part in PARTS}
    weights = best_weights(losses["valid"])
    np.testing.assert_allclose(mixture.weights, weights)
    assert tuple(text.name for text in mixture.texts) == PARTS
    for text in mixture.texts:
        assert text.tokens == len(ids[text.name]) - 1
        np.testing.assert_allclose(text.alone, losses[text.name].mean(axis=1))
        np.testing.assert_allclose(text.mixture, mixture_loss(losses[text.name], weights))
    assert mixture.texts[0].mixture <= min(mixture.texts[0].alone) + CLOSE_ENOUGH
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_nothing_is_said_to_be_done_before_the_weights_are_found(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.txt").write_text(words(10, 80), encoding="utf-8")
    shares, then = [], []

    def noting(losses: np.ndarray) -> np.ndarray:
        then.append(shares[-1])
        return best_weights(losses)

    monkeypatch.setattr("nlp.evaluation.mixture.best_weights", noting)
    text = tmp_path / "text.txt"
    mix([home / "one", home / "two"], valid=text, texts=[text], progress=shares.append)
    assert then == [pytest.approx(1 / 3)]  # two of three parts of the first of two texts
    assert shares[-1] == 1


def test_texts_may_be_given(home: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.txt").write_text(words(10 + number, 80), encoding="utf-8")
    runs, first, second = [home / "one", home / "two"], tmp_path / "1.txt", tmp_path / "2.txt"
    own = mix(runs)
    judged = mix(runs, texts=[first, second])
    assert [text.name for text in judged.texts] == ["valid", str(first), str(second)]
    assert judged.weights == own.weights
    np.testing.assert_allclose(judged.texts[1].alone[0], evaluate_text(nlp.load(runs[0]), first).loss, rtol=1e-6)
    found = mix(runs, valid=first)
    assert [text.name for text in found.texts] == [str(first), "test"]
    np.testing.assert_allclose(found.texts[1].alone, own.texts[1].alone)
    assert found.texts[0].alone == judged.texts[1].alone
    assert found.weights != own.weights


def test_runs_that_do_not_go_together_are_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(NlpError, match=r"tokens of .*one and .*letters differ"):
        mix([home / "one", home / "two", home / "letters"])
    with pytest.raises(NlpError, match=r"one and .*elsewhere were trained on different texts"):
        mix([home / "one", home / "elsewhere"])
    with pytest.raises(NlpError, match="two runs at least"):
        mix([home / "one"])
    text = tmp_path / "text.txt"
    text.write_text("w1 w2 w3\n", encoding="utf-8")
    with pytest.raises(NlpError, match="different texts"):
        mix([home / "one", home / "elsewhere"], texts=[text])
    assert isinstance(mix([home / "one", home / "elsewhere"], valid=text, texts=[text]), Mixture)
