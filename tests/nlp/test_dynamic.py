"""Dynamic evaluation: the weights follow the text by the papers' rules, a token is judged before it is learnt from, and
the model gets its own weights back."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nlp_helpers import char_vocabulary, tiny

import minigrad
from minigrad import Tensor, nn
from minigrad.testing import standin
from nlp.errors import NlpError, NotFiniteError
from nlp.evaluation.dynamic import EPSILON, Rule, _learning, dynamic_losses, evaluate_dynamically, gradient_rms
from nlp.evaluation.scoring import evaluate_text
from nlp.language_model import LanguageModel
from nlp.models.rnn_lm import RNNLM
from nlp.models.token_model import State, TokenModel
from nlp.text import make_tokenizer

V = 7
Weights = dict[str, np.ndarray]
rates, decays = st.floats(0, 1), st.sampled_from([0.0, 0.1, 1.0])
texts = st.lists(st.integers(0, V - 1), min_size=2, max_size=24).map(np.array)


def elman(seed: int = 0, cell: str = "rnn") -> RNNLM:
    """A small network in float64, with weights large enough to matter."""
    minigrad.manual_seed(seed)
    return RNNLM(V, 3, 4, 1, 0.4, cell, initial_range=0.8).double()


def weights_of(model: nn.Module) -> Weights:
    return {name: weight.detach().numpy().copy() for name, weight in model.named_parameters()}


# ---- by hand --------------------------------------------------------------------------------------------------------


def read_by_hand(weights: Weights, ids: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray, Weights]:
    """An Elman network over one segment: the loss of each id after the first, the state after it, and the gradient of
    the mean loss, backpropagated to the segment's beginning."""
    E, W, U = weights["embedding.weight"], weights["layers.0.weight_ih_l0"], weights["layers.0.weight_hh_l0"]
    D, bias = weights["decoder.weight"], weights["layers.0.bias_ih_l0"] + weights["layers.0.bias_hh_l0"]
    states, losses, errors = [h], [], []
    for now, following in pairwise(ids):
        states.append(np.tanh(W @ E[now] + U @ states[-1] + bias))
        scores = D @ states[-1] + weights["decoder.bias"]
        share = np.exp(scores - scores.max())
        share /= share.sum()
        losses.append(-np.log(share[following]))
        errors.append((share - np.eye(V)[following]) / (len(ids) - 1))
    gradient = {name: np.zeros_like(value) for name, value in weights.items()}
    later = np.zeros_like(h)
    for step in reversed(range(len(losses))):
        gradient["decoder.weight"] += np.outer(errors[step], states[step + 1])
        gradient["decoder.bias"] += errors[step]
        inside = (D.T @ errors[step] + later) * (1 - states[step + 1] ** 2)
        gradient["embedding.weight"][ids[step]] += W.T @ inside
        gradient["layers.0.weight_ih_l0"] += np.outer(inside, E[ids[step]])
        gradient["layers.0.weight_hh_l0"] += np.outer(inside, states[step])
        gradient["layers.0.bias_ih_l0"] += inside
        gradient["layers.0.bias_hh_l0"] += inside
        later = U.T @ inside
    return np.array(losses), states[-1], gradient


def dynamic_by_hand(trained: Weights, ids: np.ndarray, rule: Rule, rms: Weights | None = None) -> np.ndarray:
    """The papers' loop: judge a segment, then theta -= lr * g / (rms + eps) - decay * norm * (trained - theta)."""
    weights, h, losses = dict(trained), np.zeros(4), []
    mean = 1.0 if rms is None else np.concatenate([one.ravel() for one in rms.values()]).mean()
    for start in range(0, len(ids) - 1, rule.steps):
        segment, h, gradient = read_by_hand(weights, ids[start : start + rule.steps + 1], h)
        losses.append(segment)
        for name, g in gradient.items():
            pull = rule.decay if rms is None else np.minimum(rule.decay * rms[name] / mean, 1)
            step = g if rms is None else g / (rms[name] + EPSILON * mean)
            weights[name] = weights[name] - rule.rate * step + pull * (trained[name] - weights[name])
    return np.concatenate(losses)


def dynamic(model: TokenModel, ids: np.ndarray, rule: Rule) -> np.ndarray:
    return np.concatenate(list(dynamic_losses(model, ids, rule)))


@settings(max_examples=30)
@given(texts, rates, st.integers(1, 6), decays, st.integers(0, 9))
def test_sgd_is_the_loop_by_hand(ids: np.ndarray, lr: float, steps: int, decay: float, seed: int) -> None:
    model, rule = elman(seed), Rule(lr, steps, decay)
    np.testing.assert_allclose(dynamic(model, ids, rule), dynamic_by_hand(weights_of(model), ids, rule), rtol=1e-7)


@settings(max_examples=30)
@given(texts, st.floats(0, 0.3), st.integers(1, 6), decays, st.integers(0, 9))
def test_rms_is_the_loop_by_hand(ids: np.ndarray, lr: float, steps: int, decay: float, seed: int) -> None:
    model = elman(seed)
    draw = np.random.default_rng(seed)
    rms = {name: draw.exponential(size=value.shape) for name, value in weights_of(model).items()}
    rule = Rule(lr, steps, decay, tuple(minigrad.tensor(value) for value in rms.values()))
    by_hand = dynamic_by_hand(weights_of(model), ids, rule, rms)
    np.testing.assert_allclose(dynamic(model, ids, rule), by_hand, rtol=1e-7)


@pytest.mark.parametrize("streams", [1, 3])
def test_the_statistics_are_those_of_segments(streams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlp.evaluation.dynamic.STATISTICS_STREAMS", streams)
    monkeypatch.setattr("nlp.evaluation.dynamic.STATISTICS_SEGMENTS", 4)
    model, ids, steps = elman(), np.random.default_rng(0).integers(0, V, 64), 5
    weights, length = weights_of(model), 64 // streams
    squares = {name: np.zeros_like(value) for name, value in weights.items()}
    states = [np.zeros(4)] * streams
    for start in range(0, 4 * steps, steps):
        mean = {name: np.zeros_like(value) for name, value in weights.items()}
        for stream in range(streams):
            first = stream * length + start
            last = min(first + steps, (stream + 1) * length - 1)
            _, states[stream], gradient = read_by_hand(weights, ids[first : last + 1], states[stream])
            for name in mean:
                mean[name] += gradient[name] / streams
        for name in squares:
            squares[name] += streams * mean[name] ** 2 / 4
    for square, one in zip(squares.values(), gradient_rms(model, ids, steps), strict=True):
        np.testing.assert_allclose(one.numpy(), np.sqrt(square), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("divided", [False, True])
def test_a_sparse_gradient_teaches_the_same(divided: bool) -> None:
    model, ids = elman(), np.array([1, 2, 3, 1, 4, 1, 2, 0, 5, 6, 1, 2])
    statistics, losses = [], []
    for sparse in (False, True):
        model.embedding.sparse = sparse
        rms = gradient_rms(model, ids, 2)
        statistics.append(rms)
        losses.append(dynamic(model, ids, Rule(0.3, 2, 0.1, rms if divided else None)))
    for dense, one in zip(*statistics, strict=True):
        np.testing.assert_allclose(one.numpy(), dense.numpy(), rtol=1e-10)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)


# ---- what it must keep to -------------------------------------------------------------------------------------------


@given(texts, texts, st.integers(1, 5), st.sampled_from(["rnn", "lstm", "gru"]))
def test_no_token_is_judged_by_weights_that_have_seen_it(
    ids: np.ndarray, other: np.ndarray, steps: int, cell: str
) -> None:
    # Whatever follows a place, the losses up to it are the same; a step taken too early would let them know.
    model, rule = elman(cell=cell), Rule(0.5, steps)
    known = len(ids) - 1
    for ending in (other, other[::-1]):
        longer = dynamic(model, np.concatenate([ids, ending]), rule)
        np.testing.assert_allclose(longer[:known], dynamic(model, ids, rule), rtol=1e-9)


def test_the_first_segment_is_judged_by_the_trained_weights_and_the_next_is_not() -> None:
    model, ids = elman(), np.array([1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6])
    still, moved = (dynamic(model, ids, Rule(lr, 4)) for lr in (0.0, 0.5))
    np.testing.assert_array_equal(moved[:4], still[:4])
    assert (moved[4:] != still[4:]).all()
    before = weights_of(model)
    for _ in dynamic_losses(model, ids[:5], Rule(0.5, 4)):  # no step where nothing follows that would profit
        np.testing.assert_equal(weights_of(model), before)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_gradient_statistics_without_a_size_are_refused(value: float, decay: float) -> None:
    model = elman()
    rms = tuple(minigrad.full_like(weight, value) for weight in model.parameters())
    with pytest.raises(NlpError, match=f"have no size to go by, as their mean is {value:g}"):
        dynamic(model, np.array([1, 2, 3, 4]), Rule(steps=1, decay=decay, rms=rms))


@given(st.text("abc \n", min_size=1, max_size=40), st.integers(1, 7), st.sampled_from([None, "line", "blank"]))
def test_without_learning_it_is_the_usual_evaluation(text: str, steps: int, documents: Any) -> None:
    judge = letters_model()
    usual = evaluate_text(judge, text, documents=documents)
    still = evaluate_dynamically(judge, text, Rule(0.0, steps), documents=documents)
    np.testing.assert_allclose(still.nats, usual.nats, rtol=1e-5)
    assert (still.tokens, still.words, still.bytes) == (usual.tokens, usual.words, usual.bytes)
    assert still.context.startswith(usual.context)


def letters_model() -> LanguageModel:
    vocabulary = char_vocabulary("abc \n")
    minigrad.manual_seed(0)
    model = RNNLM(len(vocabulary), 5, 6, 2, 0.3, initial_range=0.7)
    return LanguageModel(model, vocabulary, make_tokenizer("char"), tiny(level="char"))


def test_each_document_is_learnt_from_by_itself() -> None:
    judge, rule = letters_model(), Rule(0.8, 2)
    lines = ["abc abc\n", "cab\n", "abc abc\n", "bbbbbb"]
    judged = evaluate_dynamically(judge, "".join(lines), rule, documents="line")
    alone = [evaluate_dynamically(judge, line, rule).loss for line in lines]
    np.testing.assert_allclose([document.loss for document in judged.documents], alone, rtol=1e-6)
    together = evaluate_dynamically(judge, "".join(lines), rule)
    assert abs(together.nats - judged.nats) > 1e-3  # there the third line profits from the first


def test_what_repeats_is_learnt() -> None:
    judge, text = letters_model(), "abc cab\n" * 60
    usual = evaluate_text(judge, text).perplexity
    learnt = evaluate_dynamically(judge, text, Rule(1.0, 4)).perplexity
    assert learnt < 0.6 * usual
    held = evaluate_dynamically(judge, text, Rule(1.0, 4, decay=0.5)).perplexity
    assert learnt < held < usual  # pulled back, it learns less
    ids = judge.vocabulary.encode(judge.tokenizer.encode(text))
    rms = gradient_rms(judge.model, ids, 4)
    assert evaluate_dynamically(judge, text, Rule(0.1, 4, rms=rms)).perplexity < 0.6 * usual


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("broken", [True, False])
def test_the_model_is_left_as_it_was(training: bool, broken: bool) -> None:
    model, ids = elman(cell="lstm").train(training), np.arange(40) % V
    model.decoder.bias.grad = minigrad.ones(V, dtype=minigrad.float64)
    before, drawn = weights_of(model), minigrad.default_generator.get_state()
    pieces = dynamic_losses(model, ids, Rule(0.5, 1, 0.1, gradient_rms(model, ids, 2)))
    if broken:
        list(zip(range(1), pieces))
        pieces.close()  # type: ignore[attr-defined]
    else:
        list(pieces)
    for name, value in weights_of(model).items():
        np.testing.assert_array_equal(value, before[name])
    assert model.training is training
    assert minigrad.is_grad_enabled()
    assert minigrad.default_generator.get_state() == drawn  # no dropout was drawn
    assert model.embedding.weight.grad is None
    np.testing.assert_array_equal(model.decoder.bias.grad.numpy(), np.ones(V))


def test_only_what_may_be_trained_moves() -> None:
    model, ids = elman(), np.arange(40) % V
    model.embedding.weight.requires_grad_(False)
    seen: list[np.ndarray] = []
    for _ in dynamic_losses(model, ids, Rule(0.5, 1)):
        seen.append(model.embedding.weight.numpy().copy())
        assert not np.array_equal(model.decoder.bias.detach().numpy(), np.zeros(V))
    np.testing.assert_array_equal(seen[0], model.embedding.weight.numpy())


def test_a_file_is_judged_like_its_text_and_progress_is_told(tmp_path: Path) -> None:
    text = "abc cab\nbca\n" * 150
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    shares: list[float] = []
    judged = evaluate_dynamically(letters_model(), tmp_path / "text.txt", progress=shares.append)
    assert judged == evaluate_dynamically(letters_model(), text)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) > 1
    assert judged.context.endswith("learning from every 20 tokens once judged (sgd, lr 0.2, decay 0)")
    assert Rule().in_words() == "learning from every 5 tokens once judged (sgd, lr 0.2, decay 0)"


# ---- the device -----------------------------------------------------------------------------------------------------


def test_on_the_stand_in_device_it_is_the_same_and_waits_for_none_of_the_updates() -> None:
    standin.install()
    ids = np.random.default_rng(1).integers(0, V, 40)
    results = []
    for device in ("cpu", "standin"):
        model = elman(cell="lstm").to(device)
        rms = gradient_rms(model, ids, 3)
        results.append(dynamic(model, ids, Rule(0.02, 3, 0.1, rms)))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-6)
    with _learning(model, Rule(0.02, 3, 0.1, rms)) as learner:
        _, state = learner._judge_and_learn(ids[:4], None, last=False)
        with standin.no_synchronisation():
            learner._judge_and_learn(ids[3:7], state, last=False)


# ---- mistakes -------------------------------------------------------------------------------------------------------


class Counted(TokenModel):
    """A model without weights: every token is as likely as any other."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scores", minigrad.zeros(V))

    def forward(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        return self.scores.expand(*input.shape, V), None


@pytest.mark.parametrize("settings", [{"lr": -1.0}, {"lr": float("nan")}, {"steps": 0}, {"decay": 1.5}, {"decay": -1}])
def test_a_rule_that_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(NlpError, match=f"--dynamic-{next(iter(settings))} must be"):
        Rule(**settings)


def test_a_model_without_weights_is_refused() -> None:
    frozen = elman().requires_grad_(False)
    for model in (Counted(), frozen):
        with pytest.raises(NlpError, match="no weights that gradients move"):
            dynamic(model, np.arange(V), Rule())
        with pytest.raises(NlpError, match="no weights that gradients move"):
            gradient_rms(model, np.arange(V))


def test_statistics_of_another_model_are_refused() -> None:
    with pytest.raises(NlpError, match="of another model"):
        dynamic(elman(), np.arange(V), Rule(rms=gradient_rms(elman(cell="lstm"), np.arange(V))))


def test_learning_that_spoils_the_weights_is_told_where() -> None:
    model, ids = elman().float(), np.arange(300) % V
    before = weights_of(model)
    with pytest.raises(NotFiniteError, match=r"the loss of token \d+ became (nan|inf); lower --dynamic-lr"):
        dynamic(model, ids, Rule(1e38, 2))
    for name, value in weights_of(model).items():
        np.testing.assert_array_equal(value, before[name])


def test_learning_that_makes_every_token_impossible_is_told() -> None:
    text = "abc cab\nbca\n" * 9
    with pytest.raises(NotFiniteError, match=r"more than a perplexity can be told of; lower --dynamic-lr \(100000\)"):
        evaluate_dynamically(letters_model(), text, Rule(1e5, 2))
