"""Evaluation: the perplexity is the one a plain NumPy computation gives, every token scored once."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nlp_helpers import char_vocabulary, tiny

import minigrad
from nlp.evaluate import Evaluation, evaluate, evaluate_text, perplexity, scored_ids
from nlp.models.rnn_lm import RNNLM
from nlp.run_folder import LanguageModel
from nlp.text import IGNORED, EvaluationBatches, Vocabulary, make_tokenizer

letters = st.text("abcd \n", min_size=1, max_size=60)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def losses_by_hand(model: RNNLM, ids: np.ndarray) -> np.ndarray:
    """The loss of each token after the first, one time step after the other in float64: Hochreiter and Schmidhuber's
    LSTM as PyTorch writes it, gates in the order input, forget, cell, output."""
    weight = {name: value.numpy().astype(np.float64) for name, value in model.state_dict().items()}
    layers = model.recurrent.num_layers
    h = np.zeros((layers, model.recurrent.hidden_size))
    c = np.zeros_like(h)
    losses = []
    for now, following in pairwise(ids):
        x = weight["embedding.weight"][now]
        for k in range(layers):
            name = f"recurrent.{{}}_l{k}"
            gates = weight[name.format("weight_ih")] @ x + weight[name.format("bias_ih")]
            gates = gates + weight[name.format("weight_hh")] @ h[k] + weight[name.format("bias_hh")]
            i, f, g, o = np.split(gates, 4)
            c[k] = sigmoid(f) * c[k] + sigmoid(i) * np.tanh(g)
            h[k] = x = sigmoid(o) * np.tanh(c[k])
        scores = weight["decoder.weight"] @ x + weight["decoder.bias"]
        losses.append(np.log(np.exp(scores).sum()) - scores[following])
    return np.array(losses)


def wild_model(vocabulary: int, seed: int, layers: int) -> RNNLM:
    """A model with weights large enough that every token and all of the state matter."""
    minigrad.manual_seed(seed)
    model = RNNLM(vocabulary, 5, 7, layers, dropout=0.5)
    with minigrad.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return model


@settings(max_examples=20)
@given(letters, st.integers(1, 2), st.integers(1, 9), st.integers(0, 1000))
def test_the_perplexity_of_a_text_equals_numpy_s(text: str, layers: int, window: int, seed: int) -> None:
    vocabulary, tokenizer = char_vocabulary("abc \n"), make_tokenizer("char")  # "d" is unknown
    model = wild_model(len(vocabulary), seed, layers)
    ids = scored_ids(text, tokenizer, vocabulary)
    by_hand = losses_by_hand(model, ids)
    assert len(by_hand) == len(text)

    judged = evaluate_text(LanguageModel(model, vocabulary, tokenizer, tiny(level="char")), text)
    assert judged.model.tokens == len(text)
    assert judged.unknown == text.count("d")
    np.testing.assert_allclose(judged.model.perplexity, np.exp(by_hand.mean()), rtol=1e-4)
    # in windows of any size: the state is carried over
    np.testing.assert_allclose(evaluate(model, EvaluationBatches(ids, 1, window)).loss, by_hand.mean(), rtol=1e-4)


@given(letters, st.integers(2, 4), st.integers(1, 9))
def test_streams_side_by_side_score_every_token_once(text: str, streams: int, window: int) -> None:
    vocabulary = char_vocabulary("abc \n")
    model = wild_model(len(vocabulary), 3, 1)
    batches = EvaluationBatches(scored_ids(text, make_tokenizer("char"), vocabulary), streams, window)
    total, counted = 0.0, 0
    columns = [np.concatenate(part, 0) for part in zip(*batches)]  # input and target, each (all steps, B)
    for input, target in zip(columns[0].T, columns[1].T):
        real = target[target != IGNORED]
        ids = np.concatenate([input[:1], real])
        total, counted = total + losses_by_hand(model, ids).sum(), counted + len(real)
    evaluation = evaluate(model, batches)
    assert evaluation.tokens == counted == len(text)
    np.testing.assert_allclose(evaluation.loss, total / counted, rtol=1e-4)


def test_an_unknowing_model_is_as_good_as_a_guess() -> None:
    model = wild_model(50, 0, 1)
    with minigrad.no_grad():
        model.decoder.weight.zero_()
        model.decoder.bias.zero_()
    ids = np.arange(50).repeat(3)
    np.testing.assert_allclose(evaluate(model, EvaluationBatches(ids, 3, 7)).perplexity, 50, rtol=1e-5)


def test_a_model_that_knows_only_frequencies_has_the_unigram_perplexity() -> None:
    text = "aaab bbc\n" * 9
    vocabulary, tokenizer = char_vocabulary(text), make_tokenizer("char")
    model = wild_model(len(vocabulary), 0, 1)
    with minigrad.no_grad():
        model.decoder.weight.zero_()
        model.decoder.bias.copy_(minigrad.tensor(np.log(vocabulary.counts + 1.0)))
    judged = evaluate_text(LanguageModel(model, vocabulary, tokenizer, tiny(level="char")), text)
    np.testing.assert_allclose(judged.model.perplexity, judged.unigram_perplexity, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_s_mode_and_the_random_generator_are_left_alone(training: bool) -> None:
    model = wild_model(9, 0, 2).train(training)
    before = minigrad.default_generator.get_state()
    first = evaluate(model, EvaluationBatches(np.arange(9), 1, 4))
    assert model.training is training
    assert minigrad.default_generator.get_state() == before
    assert evaluate(model, EvaluationBatches(np.arange(9), 1, 4)) == first
    assert minigrad.is_grad_enabled()


def test_unknown_words_are_counted_but_a_written_unk_is_known() -> None:
    tokenizer = make_tokenizer("word", pretokenized=True)
    vocabulary = Vocabulary.build(tokenizer.encode("the cat sat\n"))
    model = wild_model(len(vocabulary), 0, 1)
    judged = evaluate_text(LanguageModel(model, vocabulary, tokenizer, tiny()), "the <unk> dog sat\nzebra\n")
    assert judged.unknown == 2
    assert judged.model.tokens == 7


@given(st.floats(0, 1e6))
def test_perplexity_never_fails(loss: float) -> None:
    assert perplexity(loss) == Evaluation(loss, 1).perplexity >= 1
    if loss < 600:
        np.testing.assert_allclose(math.log(perplexity(loss)), loss, atol=1e-9)
