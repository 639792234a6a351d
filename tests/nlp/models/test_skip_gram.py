"""Skip-gram and its two output layers beside the papers' equations written out plainly in float64."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import Tensor, optim
from minigrad.testing import standin
from nlp.errors import NlpError
from nlp.models.skip_gram import SkipGram
from nlp.models.word2vec_outputs import NoiseOutput
from nlp.text.contexts import ContextWindows, stretch_length
from nlp.text.huffman import huffman_codes

V, D = 7, 4
COUNTS = np.array([50, 30, 12, 9, 5, 2, 1])
Update = dict[str, np.ndarray]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def make(seed: int, **options: int) -> SkipGram:
    """A small model in float64 with weights of some size: those it starts with are zeros in part."""
    minigrad.manual_seed(seed)
    model = SkipGram(COUNTS, D, **options).double()
    for weight in model.parameters():
        weight.data = minigrad.randn(*weight.shape, dtype=minigrad.float64)
    return model


def stretch(seed: int, M: int, window: int = 2) -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(seed).integers(0, V, M)
    return ContextWindows(ids, COUNTS, window=window, subsample=0.0).window(0, M)


def weights(model: SkipGram) -> tuple[np.ndarray, np.ndarray]:
    output = model.output.vectors if isinstance(model.output, NoiseOutput) else model.output.nodes
    return model.embedding.weight.detach().numpy(), output.weight.detach().numpy()


def gradients(model: SkipGram) -> tuple[np.ndarray, np.ndarray]:
    output = model.output.vectors if isinstance(model.output, NoiseOutput) else model.output.nodes
    found = []
    for weight in (model.embedding.weight, output.weight):
        assert weight.grad.is_sparse
        found.append(weight.grad.to_dense().numpy())
    return found[0], found[1]


def word2vec_update(
    v: np.ndarray, outputs: np.ndarray, labels: np.ndarray, rate: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """One pair as word2vec.c goes through it: g = (label - sigmoid(f)) * alpha; neu1e += g * syn1neg; syn1neg += g * v.

    Returns the loss, and what is added to v and to each of the outputs.
    """
    neu1e, moved, loss = np.zeros(D), np.zeros_like(outputs), 0.0
    for place, (row, label) in enumerate(zip(outputs, labels, strict=True)):
        f = row @ v
        loss -= np.log(sigmoid(f) if label else sigmoid(-f))
        g = (label - sigmoid(f)) * rate
        neu1e += g * row
        moved[place] += g * v
    return loss, neu1e, moved


@given(st.integers(0, 100), st.integers(2, 9), st.integers(1, 3))
def test_negative_sampling_adds_up_the_papers_updates(seed: int, M: int, k: int) -> None:
    model = make(seed, negatives=k)
    words, pairs = stretch(seed, M)
    drawn: list[np.ndarray] = []
    noise = model.output.noise  # type: ignore[union-attr]
    draw = noise.draw
    noise.draw = lambda shape: drawn.append(draw(shape)) or drawn[0]  # type: ignore[func-returns-value, method-assign, assignment]
    objective, mean, state = model.objective(minigrad.tensor(words), minigrad.tensor(pairs))
    objective.backward()
    v, u = weights(model)
    loss, dv, du = 0.0, np.zeros_like(v), np.zeros_like(u)
    for number, pair in enumerate(pairs):
        centre, other = words[pair // M], words[pair % M]
        outputs = np.array([other, *drawn[0][number]])
        one, neu1e, moved = word2vec_update(v[centre], u[outputs], np.array([1] + [0] * k), rate=1.0)
        loss += one
        dv[centre] += neu1e
        np.add.at(du, outputs, moved)
    assert drawn[0].shape == (len(pairs), k)
    np.testing.assert_allclose(objective.item(), loss, rtol=1e-10)
    np.testing.assert_allclose(mean.item(), loss / len(pairs), rtol=1e-10)
    for found, expected in zip(gradients(model), (dv, du), strict=True):
        np.testing.assert_allclose(found, -expected, atol=1e-10)
    assert state is None


@given(st.integers(0, 100), st.integers(2, 9))
def test_the_hierarchical_softmax_adds_up_the_papers_updates(seed: int, M: int) -> None:
    model = make(seed, negatives=0)
    words, pairs = stretch(seed, M, window=1)
    objective, _, _ = model.objective(minigrad.tensor(words), minigrad.tensor(pairs))
    objective.backward()
    v, nodes = weights(model)
    paths, codes, lengths = huffman_codes(COUNTS)
    loss, dv, dn = 0.0, np.zeros_like(v), np.zeros_like(nodes)
    for pair in pairs:
        centre, other = words[pair // M], words[pair % M]
        path = paths[other, : lengths[other]]
        one, neu1e, moved = word2vec_update(v[centre], nodes[path], 1 - codes[other, : lengths[other]], rate=1.0)
        loss += one
        dv[centre] += neu1e
        np.add.at(dn, path, moved)
    np.testing.assert_allclose(objective.item(), loss, rtol=1e-10)
    assert model.loss(minigrad.tensor(words), minigrad.tensor(pairs), reduction="sum")[0].item() == objective.item()
    for found, expected in zip(gradients(model), (dv, dn), strict=True):
        np.testing.assert_allclose(found, -expected, atol=1e-10)


def test_steps_behind_the_end_of_a_path_are_no_visits() -> None:
    model = make(0, negatives=0)
    paths, codes, lengths = huffman_codes(COUNTS)
    hidden = minigrad.randn(60, D, dtype=minigrad.float64)
    words = np.array([int(lengths.argmax())] + [int(lengths.argmin())] * 59)  # node 0, and 59 short paths
    model.output.objective(hidden, minigrad.tensor(words), None).backward()
    found = model.output.nodes.weight.grad.to_dense().numpy()[0]  # type: ignore[union-attr]
    assert paths[words[0], lengths[words[0]] - 1] == 0
    slope = sigmoid(hidden.numpy()[0] @ weights(model)[1][0]) - (1 - codes[words[0], lengths[words[0]] - 1])
    np.testing.assert_allclose(found, slope * hidden.numpy()[0], atol=1e-12)


def test_a_node_on_many_paths_moves_by_a_mean() -> None:
    model = make(0, negatives=0)
    M = 50  # one pair a vector: all foretell word 0, at the end of the shortest path
    hidden = minigrad.randn(M, D, dtype=minigrad.float64)
    table = model.output.nodes.weight  # type: ignore[union-attr]
    (root,) = huffman_codes(COUNTS)[0][0, :1]
    grads = []
    for rows in (hidden, hidden[:30]):  # more visits than 32, and fewer
        table.grad = None
        model.output.objective(rows, minigrad.zeros(len(rows), dtype=minigrad.int64), None).backward()
        grads.append(table.grad.to_dense().numpy()[root])
    slopes = sigmoid(hidden.numpy() @ weights(model)[1][root]) - (1 - huffman_codes(COUNTS)[1][0, 0])  # M
    np.testing.assert_allclose(grads[0], 32 * (slopes[:, None] * hidden.numpy()).mean(0), atol=1e-12)
    np.testing.assert_allclose(grads[1], (slopes[:30, None] * hidden.numpy()[:30]).sum(0), atol=1e-12)


@given(st.integers(0, 100))
def test_the_hierarchical_softmax_is_a_distribution(seed: int) -> None:
    model = make(seed, negatives=0)
    hidden = minigrad.randn(1, D, dtype=minigrad.float64)
    spent = [model.output.loss(hidden, minigrad.tensor([word]), None).item() for word in range(V)]
    assert np.exp(-np.array(spent)).sum() == pytest.approx(1)
    pairs = minigrad.tensor(np.arange(V))  # the first of V vectors with each of V words
    assert model.output.loss(hidden.expand(V, D), minigrad.arange(V), pairs).item() == pytest.approx(sum(spent))


def numeric(model: SkipGram, weight: Tensor, call: Any) -> np.ndarray:
    """Central differences of `call` by each element of a weight."""
    found, step = np.zeros(weight.shape), 1e-5
    array = weight.detach().numpy()
    for place in itertools.product(*map(range, weight.shape)):
        values = []
        for sign in (1, -1):
            moved = array.copy()
            moved[place] += sign * step
            weight.data = minigrad.tensor(moved)
            values.append(call())
        found[place] = (values[0] - values[1]) / (2 * step)
    weight.data = minigrad.tensor(array)
    return found


@pytest.mark.parametrize("options", [{}, {"shared": 3}, {"negatives": 0}])
def test_the_gradient_is_the_numeric_one(options: dict[str, int]) -> None:
    model = make(1, **options)
    words, pairs = (minigrad.tensor(array) for array in stretch(1, 6, window=1))

    def objective() -> Tensor:
        minigrad.manual_seed(2)
        return model.objective(words, pairs)[0]

    objective().backward()
    expected = [numeric(model, weight, lambda: objective().item()) for weight in model.parameters()]
    for weight, one in zip(model.parameters(), expected, strict=True):
        np.testing.assert_allclose(weight.grad.to_dense().numpy(), one, atol=1e-7)


@pytest.mark.parametrize("shared", [0, 2, 50])
def test_the_loss_is_what_the_objective_is_on_average(shared: int) -> None:
    model = make(3, negatives=2, shared=shared)
    words, pairs = (minigrad.tensor(array) for array in stretch(3, 5))
    draws = [model.objective(words, pairs)[0].item() for _ in range(400)]
    loss = model.loss(words, pairs, reduction="sum")[0].item()
    assert abs(np.mean(draws) - loss) < 4 * np.std(draws) / np.sqrt(len(draws))
    assert model.loss(words, pairs)[0].item() == pytest.approx(loss / len(pairs))


@given(st.integers(0, 100), st.integers(2, 8), st.integers(1, 4))
def test_shared_noise_weighs_each_pair_s_share(seed: int, M: int, K: int) -> None:
    model = make(seed, negatives=3, shared=K)
    words, pairs = stretch(seed, M)
    minigrad.manual_seed(seed)
    objective = model.objective(minigrad.tensor(words), minigrad.tensor(pairs))[0].item()
    minigrad.manual_seed(seed)
    noise = model.output.noise.draw((K,))  # type: ignore[union-attr]
    v, u = weights(model)
    expected = 0.0
    for pair in pairs:
        centre, other = v[words[pair // M]], u[words[pair % M]]
        expected -= np.log(sigmoid(other @ centre)) + 3 / K * np.log(sigmoid(-u[noise] @ centre)).sum()
    assert objective == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("options", [{}, {"shared": 4}, {"negatives": 0}])
def test_a_stretch_without_pairs_trains_nothing(options: dict[str, int]) -> None:
    model = make(0, **options)
    nothing = minigrad.zeros(0, dtype=minigrad.int64)
    objective, mean, _ = model.objective(nothing, nothing)
    objective.backward()
    assert objective.item() == mean.item() == model.loss(nothing, nothing)[0].item() == 0
    optim.SGD(model.parameters(), lr=1.0).step()


def test_it_starts_as_word2vec_does() -> None:
    model = SkipGram(np.ones(2000), 20)
    assert model.vectors().shape == (2000, 20)
    assert model.vectors().dtype == np.float32
    assert 0.024 < abs(model.vectors()).max() <= 0.025
    assert not model.output.vectors.weight.detach().numpy().any()  # type: ignore[union-attr]
    assert sorted(model.state_dict()) == ["embedding.weight", "output.vectors.weight"]
    words, pairs = (minigrad.tensor(array) for array in stretch(0, 6))
    assert model.loss(words, pairs)[0].item() == pytest.approx(6 * np.log(2), rel=1e-5)  # all scores are 0


@pytest.mark.parametrize(("name", "value", "least"), [("size", 0, 1), ("negatives", -1, 0), ("shared", -3, 0)])
def test_what_makes_no_model_is_refused_in_a_sentence(name: str, value: int, least: int) -> None:
    with pytest.raises(NlpError, match=f"SkipGram: {name} is {value}, it must be at least {least}$"):
        SkipGram([5, 3], **{name: value})


def test_shared_noise_words_without_noise_words_are_refused() -> None:
    with pytest.raises(NlpError, match="SkipGram: shared noise words are negatives, and negatives=0 takes none"):
        SkipGram([5, 3], negatives=0, shared=5)


def two_topics(N: int) -> np.ndarray:
    """Runs of words 0 to 4, and runs of words 5 to 9."""
    draw = np.random.default_rng(0)
    return (draw.integers(0, 5, (N // 8, 8)) + 5 * draw.integers(0, 2, (N // 8, 1))).ravel()


def topics_told_apart(vectors: np.ndarray) -> bool:
    """Whether every word is nearest to the words of its own topic."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = unit @ unit.T
    return bool(min(alike[:5, :5].min(), alike[5:, 5:].min()) > alike[:5, 5:].max())


@pytest.mark.parametrize("options", [{}, {"shared": 16}, {"negatives": 0}])
def test_words_of_one_topic_become_alike(options: dict[str, int]) -> None:
    minigrad.manual_seed(0)
    ids = two_topics(2000)
    length = stretch_length(np.bincount(ids), 0.0)
    assert 30 < length <= 40
    model = SkipGram(np.bincount(ids), 8, **options)
    data = ContextWindows(ids, [1] * 10, window=2, subsample=0.0, bptt=length)
    optimizer = optim.SGD(model.parameters(), lr=0.025)
    first = model.loss(*map(minigrad.tensor, next(iter(data))))[0].item()
    for _ in range(9):
        for start in range(0, data.steps, length):
            optimizer.zero_grad()
            model.objective(*map(minigrad.tensor, data.window(start, length)))[0].backward()
            optimizer.step()
    assert topics_told_apart(model.vectors())
    assert model.loss(*map(minigrad.tensor, next(iter(data))))[0].item() < first


@pytest.mark.parametrize("options", [{}, {"shared": 4}, {"negatives": 0}])
def test_it_runs_the_same_on_the_stand_in_device(options: dict[str, int]) -> None:
    standin.install()
    words, pairs = (minigrad.tensor(array) for array in stretch(2, 8))
    results = []
    for device in ("cpu", "standin"):
        model = make(2, **options).to(device)
        minigrad.manual_seed(5)
        objective, _, _ = model.objective(words.to(device), pairs.to(device))
        if device == "standin":
            with standin.no_synchronisation():
                model.objective(words.to(device), pairs.to(device))[0].backward()
            model.zero_grad()
        objective.backward()
        results.append((objective.item(), *(weight.grad.to_dense().cpu().numpy() for weight in model.parameters())))
        assert model.device.type == device
        assert isinstance(model.vectors(), np.ndarray)
    for here, there in zip(*results, strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-10)
