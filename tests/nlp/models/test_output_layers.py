"""Output layers: each is a distribution, its loss is exact, and what is trained in its place has the right limit."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import minigrad
from minigrad import Tensor, optim
from minigrad.testing import gradcheck, standin
from nlp.errors import NlpError
from nlp.models.output_layers import (
    NCE,
    OUTPUT_LAYERS,
    AdaptiveSoftmax,
    BlackOut,
    FullSoftmax,
    HierarchicalSoftmax,
    ImportanceSampling,
    NegativeSampling,
    OutputLayer,
    Sampled,
    adaptive,
)
from nlp.models.output_layers.adaptive import cheapest_cutoffs
from nlp.models.rnn_lm import RNNLM
from nlp.text.huffman import code_lengths, huffman_codes

H = 16  # features, enough for two clusters of the adaptive softmax
SAMPLED = [name for name, layer in OUTPUT_LAYERS.items() if issubclass(layer, Sampled)]
every_layer = pytest.mark.parametrize("name", OUTPUT_LAYERS)
every_sampled = pytest.mark.parametrize("name", SAMPLED)
counted = st.lists(st.integers(0, 60), min_size=2, max_size=12)
seeds = st.integers(0, 99)


def make(name: str, counts: Any, seed: int = 0, **options: Any) -> Any:
    """A layer in float64, with weights and biases that say something."""
    minigrad.manual_seed(seed)
    layer: Any = OUTPUT_LAYERS[name]
    made = layer(H, len(counts), np.asarray(counts), **options).double()
    rng = np.random.default_rng(seed)
    with minigrad.no_grad():
        for weight in made.parameters():
            weight.copy_(minigrad.tensor(rng.normal(0, 0.4, tuple(weight.shape))))
    return made


def features(N: int, seed: int = 0) -> Tensor:
    return minigrad.tensor(np.random.default_rng(seed + 1000).normal(size=(N, H)))


def probabilities(layer: OutputLayer, rows: Tensor) -> NDArray[np.float64]:
    """What the layer writes by (N, V): the softmax of its scores, in NumPy."""
    scores = layer(rows).detach().numpy()
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


# ---- every layer ----------------------------------------------------------------------------------------------------


@every_layer
@given(counts=counted, seed=seeds, data=st.data())
def test_the_loss_is_exactly_that_of_the_scores(name: str, counts: list[int], seed: int, data: st.DataObject) -> None:
    layer, rows = make(name, counts, seed), features(4, seed)
    words = np.array(data.draw(st.lists(st.integers(-1, len(counts) - 1), min_size=4, max_size=4)))
    target = np.where(words < 0, -100, words)
    expected = -np.log(probabilities(layer, rows))[np.arange(4), words] * (words >= 0)
    found = {one: layer.loss(rows, minigrad.tensor(target), one) for one in ("none", "sum", "mean")}
    np.testing.assert_allclose(found["none"].detach().numpy(), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["sum"].item(), expected.sum(), rtol=1e-9, atol=1e-12)
    if (target >= 0).any():
        np.testing.assert_allclose(found["mean"].item(), expected.sum() / (target >= 0).sum(), rtol=1e-9)


@every_layer
@given(counts=counted, seed=seeds)
def test_the_losses_of_all_words_are_one_distribution(name: str, counts: list[int], seed: int) -> None:
    layer, row = make(name, counts, seed), features(1, seed)
    V = len(counts)
    losses = layer.loss(row.expand(V, H), minigrad.arange(V), "none").detach().numpy()
    np.testing.assert_allclose(np.exp(-losses).sum(), 1)


@pytest.mark.parametrize("name", ["hierarchical", "adaptive"])
@given(counts=counted, seed=seeds)
def test_scores_of_trees_and_clusters_are_log_probabilities(name: str, counts: list[int], seed: int) -> None:
    layer = make(name, counts, seed)
    np.testing.assert_allclose(np.exp(layer(features(3, seed)).detach().numpy()).sum(1), 1)


@every_layer
@settings(max_examples=5)
@given(counts=st.lists(st.integers(0, 9), min_size=3, max_size=6), seed=seeds)
def test_gradients_are_the_numeric_ones(name: str, counts: list[int], seed: int) -> None:
    layer, target = make(name, counts, seed), minigrad.tensor([0, -100, len(counts) - 1, 0])
    parameters = list(layer.parameters())
    rows = features(4, seed).requires_grad_()
    gradcheck(lambda *_: layer.loss(rows, target), (rows, *parameters), fast_mode=True)
    gradcheck(lambda *_: layer(rows), (rows, *parameters), fast_mode=True)
    if isinstance(layer, Sampled):
        noise = minigrad.tensor([0, 2, 2])
        words = minigrad.tensor([0, 1, 2, 0])
        gradcheck(lambda *_: layer.against(rows, words, noise)[0], (rows, *parameters), fast_mode=True)


@pytest.mark.parametrize("name", [name for name in OUTPUT_LAYERS if name not in SAMPLED])
def test_layers_that_draw_nothing_train_what_they_are_judged_by(name: str) -> None:
    layer, target = make(name, [5, 3, 1]), minigrad.tensor([2, 0, -100, 1])
    objective, loss = layer.objective(features(4), target)
    assert objective.item() == loss.item() == layer.loss(features(4), target).item()


@every_layer
@given(counts=counted)
def test_without_weights_the_biases_foretell_words_as_often_as_they_occur(name: str, counts: list[int]) -> None:
    layer = make(name, counts)
    with minigrad.no_grad():
        for weight in layer.parameters():
            weight.zero_()
    layer.log_prior_(counts)
    expected = (np.array(counts) + 1) / (np.sum(counts) + len(counts))
    found = probabilities(layer, features(1))[0]
    if name == "adaptive":  # within a cluster all are alike
        rank, bounds = layer.rank.numpy(), [*range(layer.softmax.shortlist_size), *layer.softmax.cutoffs]
        cluster = np.searchsorted(bounds, rank, side="right")
        expected = (np.bincount(cluster, expected) / np.maximum(np.bincount(cluster), 1))[cluster]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@every_layer
def test_what_a_layer_starts_with_is_as_even_as_it_can_be(name: str) -> None:
    layer, counts = make(name, np.arange(1, 9)), np.arange(1, 9)
    layer.initialize(1e-9)
    found = probabilities(layer, features(1))[0]
    assert all(0 < abs(weight.detach().numpy()).max() <= 1e-9 for weight in layer.parameters() if weight.ndim == 2)
    if name == "negative":
        np.testing.assert_allclose(found, counts**0.75 / (counts**0.75).sum(), rtol=1e-6)
    elif name == "hierarchical":
        np.testing.assert_allclose(found, 0.5 ** code_lengths(counts), rtol=1e-6)
    if name in ("full", "nce", "blackout", "importance"):
        np.testing.assert_allclose(found, 1 / 8, rtol=1e-6)
    if name in ("nce", "negative"):  # m(w) is a logarithm of probabilities, as the theory has it: Z = 1
        np.testing.assert_allclose(np.exp(layer(features(1)).detach().numpy()).sum(), 1, rtol=1e-6)


@every_layer
def test_bad_counts_are_refused(name: str) -> None:
    if name != "full":  # which asks for none
        for wrong in ([1, 2], [1, 2, -1], [1, 2, math.nan], [[1, 2, 3]]):
            with pytest.raises(NlpError, match="an output layer for 3 words needs as many counts from 0 on, got"):
                OUTPUT_LAYERS[name](H, 3, wrong)  # type: ignore[call-arg]


def test_layers_that_cannot_be_built_say_why() -> None:
    for layer, words in ((HierarchicalSoftmax, "a tree of words"), (AdaptiveSoftmax, "an adaptive softmax")):
        with pytest.raises(NlpError, match=f"{words} needs at least 2 .*not 1: take the full softmax"):
            layer(H, 1)
    with pytest.raises(NlpError, match="at least 1 sample, not 0"):
        NCE(H, 3, samples=0)
    with pytest.raises(
        NlpError, match=r"of 1 cluster has words of 3 // 4\^1 features, .*: take 4 hidden units \(--hidden\)"
    ):
        AdaptiveSoftmax(3, 9)
    with pytest.raises(NlpError, match="cutoffs must be whole numbers that rise"):
        AdaptiveSoftmax(H, 9, cutoffs=[4, 2])


# ---- the tree -------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 12), min_size=2, max_size=60))
def test_the_tree_is_huffmans_with_the_words_of_one_depth_in_order(counts: list[int]) -> None:
    layer = HierarchicalSoftmax(2, len(counts), counts)
    signs, (_, _, lengths) = layer.signs.numpy(), huffman_codes(counts)
    np.testing.assert_array_equal((signs != 0).sum(1), lengths)
    for depth in np.unique(lengths):
        turns = (signs[lengths == depth, :depth] < 0).tolist()  # a canonical code: bits that rise with the words
        assert turns == sorted(turns)


@given(counted)
def test_the_ways_through_the_tree_all_differ(counts: list[int]) -> None:
    layer = HierarchicalSoftmax(2, len(counts), counts)
    nodes, signs = layer.nodes.numpy(), layer.signs.numpy()
    assert len(np.unique(np.where(signs, 2 * nodes + (signs > 0), -1), axis=0)) == len(counts)
    assert set(nodes[signs != 0]) == set(range(len(counts) - 1))  # every question is asked
    assert (nodes[:, 0] == 0).all()  # all begin at the root


# ---- clusters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("D", "div"), [(2, 2.0), (4, 2.0), (16, 2.0), (16, 4.0)])
@given(V=st.integers(2, 40), least=st.sampled_from([1, 5]), seed=seeds)
def test_the_cutoffs_are_the_cheapest(D: int, div: float, V: int, least: int, seed: int) -> None:
    counts = np.sort(np.random.default_rng(seed).integers(1, 60, V))[::-1]
    share = (counts / counts.sum()).tolist()

    def products(cutoffs: tuple[int, ...]) -> float:
        bounds = [*cutoffs, V]
        total = float(D * max(cutoffs[0] + len(cutoffs), least))
        for i, low in enumerate(cutoffs):
            small = D // div ** (i + 1)
            total += sum(share[low : bounds[i + 1]]) * (D * small + small * (bounds[i + 1] - low))
        return total

    clusters = 2 if V > 2 and div**2 <= D else 1  # a second one needs a word, and features
    choices = list(itertools.combinations(range(1, V), clusters))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adaptive, "CHOICES", 1000)  # so that every rank is among them
        found = tuple(cheapest_cutoffs(np.array(share), D, div, least))
    assert found in choices
    assert products(found) == pytest.approx(min(map(products, choices)))


@pytest.mark.oracle
@given(counts=counted, seed=seeds)
def test_the_adaptive_softmax_is_pytorchs_over_words_by_rank(counts: list[int], seed: int) -> None:
    torch = pytest.importorskip("torch")
    layer, rows = make("adaptive", counts, seed), features(5, seed)
    ours = layer.softmax
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(H, len(counts), ours.cutoffs[:-1], 4.0, head_bias=True).double()
    theirs.load_state_dict({name: torch.tensor(one.numpy()) for name, one in ours.state_dict().items()})
    by_count = sorted(range(len(counts)), key=lambda word: -max(counts[word], 1))
    expected = theirs.log_prob(torch.tensor(rows.numpy())).detach().numpy()
    np.testing.assert_allclose(layer(rows).detach().numpy()[:, by_count], expected)


# ---- noise ----------------------------------------------------------------------------------------------------------


@every_sampled
def test_noise_is_drawn_as_often_as_it_should_be_and_can_be_drawn_again(name: str) -> None:
    counts = np.array([0, 1, 16, 81, 400])
    layer: Any = OUTPUT_LAYERS[name]
    drawing = layer(H, 5, counts, samples=40_000)
    minigrad.manual_seed(3)
    first = drawing.draw().numpy()
    q = np.maximum(counts, 1) ** drawing.POWER
    q = q / q.sum()
    np.testing.assert_allclose(np.exp(drawing.log_noise.numpy()), q, rtol=1e-5)
    found = np.bincount(first, minlength=5) / len(first)
    assert (abs(found - q) < 5 * np.sqrt(q / len(first))).all()  # five standard deviations, of one fixed draw
    minigrad.manual_seed(3)
    np.testing.assert_array_equal(drawing.draw().numpy(), first)
    assert not np.array_equal(drawing.draw().numpy(), first)


@every_sampled
def test_a_sampled_layer_is_a_full_softmax_but_in_training(name: str) -> None:
    """Its weights are those of one; negative sampling adds the noise's logarithm to the scores."""
    layer, full = make(name, [5, 3, 1, 0]), make("full", [5, 3, 1, 0])
    full.load_state_dict(layer.state_dict())
    shift = layer.log_noise.numpy() + math.log(layer.samples) if name == "negative" else 0
    np.testing.assert_allclose(layer(features(3)).detach(), full(features(3)).detach().numpy() + shift)


def noise_of(V: int, K: int) -> Tensor:
    """Noise in which each word of V is exactly as often as evenly distributed noise has it on average."""
    return minigrad.tensor(np.tile(np.arange(V), K // V))


def log_sigmoid(x: Any) -> Any:
    return -np.log1p(np.exp(-x))


@pytest.mark.parametrize("name", ["nce", "negative"])
def test_the_mean_over_all_noise_is_the_expectation_in_the_paper(name: str) -> None:
    K, counts, words = 2, np.array([6, 3, 1]), np.array([0, 2])
    layer, rows = make(name, counts, samples=K), features(2)
    q = counts ** type(layer).POWER / (counts ** type(layer).POWER).sum()
    mean = np.zeros(2)
    for noise in itertools.product(range(3), repeat=K):
        losses, _ = layer.against(rows, minigrad.tensor(words), minigrad.tensor(list(noise)))
        mean += losses.detach().numpy() * np.prod(q[list(noise)])
    s = rows.numpy() @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    d = s if name == "negative" else s - np.log(K * q)
    expected = -log_sigmoid(d[[0, 1], words]) - K * (log_sigmoid(-d) @ q)
    np.testing.assert_allclose(mean, expected, rtol=1e-6)  # log q is kept in float32


@settings(max_examples=15)
@given(seed=seeds, noise=st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_blackout_is_the_papers_row_by_row(seed: int, noise: list[int]) -> None:
    counts, words = np.array([9, 5, 2, 1]), [0, 3, 1]
    layer, rows = make("blackout", counts, seed, samples=len(noise)), features(3, seed)
    found, _ = layer.against(rows, minigrad.tensor(words), minigrad.tensor(noise))
    weight = 1 / counts**0.4  # q_i of the paper, up to what all share
    u = np.exp(layer(rows).detach().numpy()) * weight
    for n, right in enumerate(words):
        others = [word for word in noise if word != right]
        total = u[n, right] + sum(u[n, word] for word in others)
        expected = math.log(u[n, right] / total) + sum(math.log(1 - u[n, word] / total) for word in others)
        np.testing.assert_allclose(found[n].item(), -expected, rtol=1e-5, atol=1e-6)


def test_blackout_stays_finite_where_noise_is_all_but_certain() -> None:
    layer, rows = make("blackout", [1, 1, 1], samples=1), features(1).requires_grad_()
    with minigrad.no_grad():
        layer.bias.copy_(minigrad.tensor([0.0, 200.0, 0.0]))
    loss, _ = layer.against(rows, minigrad.tensor([0]), minigrad.tensor([1]))
    loss.sum().backward()
    assert math.isfinite(loss.item())
    for leaf in (rows, layer.weight, layer.bias):
        assert np.isfinite(leaf.grad.numpy()).all()


def test_the_sum_of_importance_sampling_is_on_average_the_true_one() -> None:
    counts, words, K = np.array([6, 3, 1]), np.array([0, 2]), 3
    layer, rows = make("importance", counts, samples=K), features(2)
    q, u = counts / counts.sum(), np.exp(layer(rows).detach().numpy())
    mean = np.zeros(2)
    for noise in itertools.product(range(3), repeat=K):
        losses, nats = layer.against(rows, minigrad.tensor(words), minigrad.tensor(list(noise)))
        np.testing.assert_array_equal(losses.detach().numpy(), nats.numpy())
        mean += np.exp(losses.detach().numpy()) * u[[0, 1], words] * np.prod(q[list(noise)])
    np.testing.assert_allclose(mean, u.sum(1), rtol=1e-6)


@every_sampled
@given(seed=seeds)
def test_with_noise_of_every_word_the_loss_shown_is_the_exact_one(name: str, seed: int) -> None:
    V, words = 5, minigrad.tensor([0, 4, 2])
    layer, rows = make(name, [1] * V, seed, samples=10 * V), features(3, seed)
    _, nats = layer.against(rows, words, noise_of(V, 10 * V))
    np.testing.assert_allclose(nats.numpy(), layer.loss(rows, words, "none").detach().numpy(), rtol=1e-6)
    assert not nats.requires_grad


def test_the_gradient_of_nce_tends_to_that_of_the_softmax() -> None:
    """Mnih and Teh, section 3: for more and more noise, where the model is normalised."""
    V, words = 4, minigrad.tensor([0, 3, 3])
    errors = []
    for K in (4, 40, 400, 4000):
        layer, rows = make("nce", [1] * V, samples=K), features(3)
        with minigrad.no_grad():
            layer.weight.zero_()
            layer.bias.copy_(minigrad.tensor(np.log([0.4, 0.3, 0.2, 0.1])))
        losses, _ = layer.against(rows, words, noise_of(V, K))
        (found,) = minigrad.autograd.grad(losses.sum(), [layer.bias])
        (expected,) = minigrad.autograd.grad(layer.loss(rows, words, "sum"), [layer.bias])
        errors.append(np.abs(found.numpy() - expected.numpy()).max())
    assert errors[0] > 0.1
    assert all(7 < before / after < 13 for before, after in itertools.pairwise(errors[1:]))  # as 1 / K


@pytest.mark.parametrize("name", ["nce", "negative"])
def test_the_objective_is_least_where_the_model_is_the_distribution_of_the_words(name: str) -> None:
    """For negative sampling: where s = log(p / (K q)), so that p is the softmax of s + log q."""
    V, K, p = 4, 8, np.array([0.4, 0.3, 0.2, 0.1])
    layer, rows = make(name, [1] * V, samples=K), minigrad.zeros(V, H, dtype=minigrad.float64)
    with minigrad.no_grad():
        layer.bias.copy_(minigrad.tensor(np.log(p) - (math.log(K / V) if name == "negative" else 0)))
    np.testing.assert_allclose(probabilities(layer, rows)[0], p)
    losses, _ = layer.against(rows, minigrad.arange(V), noise_of(V, K))
    (gradient,) = minigrad.autograd.grad((losses * minigrad.tensor(p)).sum(), [layer.bias])
    np.testing.assert_allclose(gradient.numpy(), 0, atol=1e-7)


@every_sampled
def test_targets_that_are_not_scored_count_for_nothing(name: str) -> None:
    layer = make(name, [5, 3, 1, 0])
    minigrad.manual_seed(7)
    some = layer.objective(features(4), minigrad.tensor([1, -100, 2, -100]))
    minigrad.manual_seed(7)
    alone = layer.objective(features(4)[[0, 2]], minigrad.tensor([1, 2]))
    for found, expected in zip(some, alone, strict=True):
        np.testing.assert_allclose(found.item(), expected.item())


# ---- in a language model ---------------------------------------------------------------------------------------------


def markov_text(V: int, length: int) -> NDArray[np.int64]:
    """Tokens each of which leaves three to choose from."""
    rng = np.random.default_rng(0)
    successors = np.array([rng.permutation(V)[:3] for _ in range(V)])
    text = [0]
    for choice in rng.choice(3, length, p=[0.7, 0.2, 0.1]):
        text.append(int(successors[text[-1], choice]))
    return np.array(text)


def model_of(name: str, counts: Any) -> RNNLM:
    options = {"samples": 40} if name in SAMPLED else {"div_value": 2.0} if name == "adaptive" else {}
    return RNNLM(len(counts), 16, H, 1, 0.0, output=partial(OUTPUT_LAYERS[name], counts=counts, **options))


@every_layer
def test_a_model_that_is_trained_with_it_knows_more_than_frequencies(name: str) -> None:
    V, B = 20, 10
    text = markov_text(V, 3000)
    counts = np.bincount(text, minlength=V)
    minigrad.manual_seed(0)
    model = model_of(name, counts)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    streams = text[: len(text) // B * B].reshape(B, -1).T  # T, B
    for start in [*range(0, 280, 20)] * 5:
        window = minigrad.tensor(streams[start : start + 21])
        objective, shown, _ = model.objective(window[:-1], window[1:])
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()
    loss = model.loss(minigrad.tensor(streams[:-1]), minigrad.tensor(streams[1:]))[0].item()
    p = counts[counts > 0] / counts.sum()
    assert loss < -(p @ np.log(p)) - 0.6
    assert abs(shown.item() - loss) < 0.5


@every_layer
def test_it_trains_on_the_stand_in_device_without_waiting_for_it(name: str) -> None:
    standin.install()
    counts = np.arange(1, 31)
    minigrad.manual_seed(1)
    model = model_of(name, counts)
    input, target = (minigrad.tensor(np.random.default_rng(seed).integers(0, 30, (4, 3))) for seed in (0, 1))
    target[0, 0] = -100
    minigrad.manual_seed(2)
    objective, shown, _ = model.objective(input, target)
    exact = model.loss(input, target)[0].item()
    objective.backward()
    expected = [weight.grad for weight in model.parameters()]
    model.zero_grad()
    model.to("standin")
    there = [one.to("standin") for one in (input, target)]
    minigrad.manual_seed(2)
    with standin.no_synchronisation():
        objective_there, shown_there, _ = model.objective(*there)
        objective_there.backward()
        scores, _ = model(there[0])
        exact_there = model.loss(*there)[0]
    found = [objective_there.item(), shown_there.item(), exact_there.item()]
    np.testing.assert_allclose(found, [objective.item(), shown.item(), exact], rtol=1e-4)
    assert scores.shape == (4, 3, 30)
    for weight, gradient in zip(model.parameters(), expected, strict=True):
        np.testing.assert_allclose(weight.grad.cpu().numpy(), gradient.numpy(), atol=1e-5)


def test_a_full_softmax_is_what_a_model_has_unless_it_is_told() -> None:
    model = RNNLM(7, 4, 4, 1)
    assert type(model.decoder) is FullSoftmax
    assert [name for name in model.state_dict() if "decoder" in name] == ["decoder.weight", "decoder.bias"]
    for name in SAMPLED:  # what is drawn and how often is no part of the weights
        assert list(model_of(name, np.arange(7)).state_dict()) == list(model.state_dict())


def test_tied_weights_are_for_layers_with_a_row_a_word() -> None:
    for name in ("hierarchical", "adaptive"):
        with pytest.raises(NlpError, match=r"tied weights need a row for each word, which .*Softmax lacks"):
            RNNLM(40, H, H, 1, tied=True, output=OUTPUT_LAYERS[name])
    for layer in (NCE, NegativeSampling, BlackOut, ImportanceSampling):
        model = RNNLM(40, H, H, 1, tied=True, output=layer)
        assert model.decoder.weight is model.embedding.weight
        model.objective(minigrad.tensor([[3]]), minigrad.tensor([[5]]))[0].backward()
        assert isinstance(model.embedding.weight.grad, Tensor)


def test_what_is_trained_is_what_dropout_has_left() -> None:
    model, input, target = RNNLM(9, 6, 6, 1, 0.5), minigrad.tensor([[1], [2], [3]]), minigrad.tensor([[2], [3], [4]])
    minigrad.manual_seed(4)
    objective, shown, _ = model.objective(input, target)
    minigrad.manual_seed(4)
    assert objective.item() == shown.item() == model.loss(input, target)[0].item()
    assert objective.item() != model.eval().loss(input, target)[0].item()
