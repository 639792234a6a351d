"""Evaluation: the perplexity is the one a plain NumPy computation gives, every token scored once."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nlp_helpers import char_vocabulary, tiny

import minigrad
from nlp.errors import NlpError
from nlp.evaluation.scoring import Evaluation, evaluate, evaluate_text, evaluation_steps, perplexity
from nlp.language_model import LanguageModel
from nlp.models.rnn_lm import RNNLM
from nlp.text import IGNORED, EvaluationBatches, Vocabulary, make_tokenizer

LETTERS = "abc \n"  # those that the vocabulary has; "d" is unknown
letters = st.text("abcd \n", min_size=1, max_size=60)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def losses_by_hand(model: RNNLM, ids: np.ndarray) -> np.ndarray:
    """The loss of each token after the first, one time step after the other in float64: Hochreiter and Schmidhuber's
    LSTM as PyTorch writes it, gates in the order input, forget, cell, output."""
    weight = {name: value.numpy().astype(np.float64) for name, value in model.state_dict().items()}
    layers = len(model.layers)
    h = [np.zeros(weight[f"layers.{k}.weight_hh_l0"].shape[1]) for k in range(layers)]
    c = [np.zeros_like(part) for part in h]
    losses = []
    for now, following in pairwise(ids):
        x = weight["embedding.weight"][now]
        for k in range(layers):
            name = f"layers.{k}.{{}}_l0"
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


def judge_of(seed: int = 0, layers: int = 1) -> LanguageModel:
    """A model of the `LETTERS`."""
    vocabulary = char_vocabulary(LETTERS)
    return LanguageModel(
        wild_model(len(vocabulary), seed, layers), vocabulary, make_tokenizer("char"), tiny(level="char")
    )


def ids_of(text: str, judge: LanguageModel) -> np.ndarray:
    """The ids of a text after those of a line end."""
    return judge.vocabulary.encode(judge.tokenizer.encode("\n" + text))


# ---- batches --------------------------------------------------------------------------------------------------------


@given(letters, st.integers(2, 4), st.integers(1, 9))
def test_streams_side_by_side_score_every_token_once(text: str, streams: int, window: int) -> None:
    judge = judge_of(3)
    batches = EvaluationBatches(ids_of(text, judge), streams, window)
    total, counted = 0.0, 0
    columns = [np.concatenate(part, 0) for part in zip(*batches)]  # input and target, each (all steps, B)
    for input, target in zip(columns[0].T, columns[1].T):
        real = target[target != IGNORED]
        ids = np.concatenate([input[:1], real])
        total, counted = total + losses_by_hand(judge.model, ids).sum(), counted + len(real)
    evaluation = evaluate(judge.model, batches)
    assert evaluation.tokens == counted == len(text)
    np.testing.assert_allclose(evaluation.loss, total / counted, rtol=1e-4)


def test_an_unknowing_model_is_as_good_as_a_guess() -> None:
    model = wild_model(50, 0, 1)
    with minigrad.no_grad():
        model.decoder.weight.zero_()
        model.decoder.bias.zero_()
    ids = np.arange(50).repeat(3)
    np.testing.assert_allclose(evaluate(model, EvaluationBatches(ids, 3, 7)).perplexity, 50, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_s_mode_and_the_random_generator_are_left_alone(training: bool) -> None:
    judge = judge_of(0, 2)
    judge.model.train(training)
    before = minigrad.default_generator.get_state()
    first = evaluate(judge.model, EvaluationBatches(np.arange(5), 1, 4))
    evaluate_text(judge, "abc\ncab")
    assert judge.model.training is training
    assert minigrad.default_generator.get_state() == before
    assert evaluate(judge.model, EvaluationBatches(np.arange(5), 1, 4)) == first
    assert minigrad.is_grad_enabled()


def test_between_two_batches_the_model_trains_as_before() -> None:
    model = wild_model(9, 0, 1).train()
    batches = EvaluationBatches(np.arange(9), 1, 2)
    steps, modes = evaluation_steps(model, batches), []
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result = end.value
            break
        modes.append((model.training, minigrad.is_grad_enabled()))
    assert modes == [(True, True)] * len(batches)
    assert result == evaluate(model, batches)


def test_a_text_of_which_nothing_is_judged_is_told() -> None:
    batch = np.zeros((3, 1), dtype=np.int64)
    for batches in ([], [(batch, np.full_like(batch, IGNORED))]):
        with pytest.raises(NlpError, match="there is no token to judge by"):
            evaluate(wild_model(9, 0, 1), batches)


@given(st.floats(0, 1e6))
def test_perplexity_never_fails(loss: float) -> None:
    assert perplexity(loss) == Evaluation(loss, 1).perplexity >= 1
    if loss < 600:
        np.testing.assert_allclose(math.log(perplexity(loss)), loss, atol=1e-9)


# ---- texts ----------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(letters, st.integers(1, 2), st.integers(1, 9), st.integers(0, 1000))
def test_the_perplexity_of_a_text_equals_numpy_s(text: str, layers: int, window: int, seed: int) -> None:
    judge = judge_of(seed, layers)
    ids = ids_of(text, judge)
    by_hand = losses_by_hand(judge.model, ids)
    assert len(by_hand) == len(text)

    judged = evaluate_text(judge, text)
    assert judged.tokens == len(text)
    assert judged.unknown == text.count("d")
    np.testing.assert_allclose(judged.perplexity, np.exp(by_hand.mean()), rtol=1e-4)
    # in windows of any size: the state is carried over
    np.testing.assert_allclose(evaluate(judge.model, EvaluationBatches(ids, 1, window)).loss, by_hand.mean(), rtol=1e-4)


@given(st.text("abcé \n", min_size=1, max_size=60))
def test_one_total_is_divided_by_tokens_words_characters_and_bytes(text: str) -> None:
    judged = evaluate_text(judge_of(1), text)
    total = losses_by_hand(judge_of(1).model, ids_of(text, judge_of(1))).sum()
    words = len(text.split()) + text.count("\n")
    np.testing.assert_allclose(math.log(judged.perplexity) * len(text), total, rtol=1e-4)
    np.testing.assert_allclose(judged.bits_per_character * len(text) * math.log(2), total, rtol=1e-4)
    np.testing.assert_allclose(judged.bits_per_byte * len(text.encode()) * math.log(2), total, rtol=1e-4)
    if words:
        np.testing.assert_allclose(math.log(judged.word_perplexity) * words, total, rtol=1e-4)
    else:
        assert judged.word_perplexity == math.inf


def test_a_model_that_knows_only_frequencies_has_the_unigram_perplexity() -> None:
    text = "aaab bbc\n" * 9
    vocabulary, tokenizer = char_vocabulary(text), make_tokenizer("char")
    model = wild_model(len(vocabulary), 0, 1)
    with minigrad.no_grad():
        model.decoder.weight.zero_()
        model.decoder.bias.copy_(minigrad.tensor(np.log(vocabulary.counts + 1.0)))
    judged = evaluate_text(LanguageModel(model, vocabulary, tokenizer, tiny(level="char")), text)
    np.testing.assert_allclose(judged.perplexity, judged.unigram_perplexity, rtol=1e-5)


def test_unknown_words_are_counted_but_a_written_unk_is_known() -> None:
    tokenizer = make_tokenizer("word", pretokenized=True)
    vocabulary = Vocabulary.build(tokenizer.encode("the cat sat\n"))
    model = wild_model(len(vocabulary), 0, 1)
    judged = evaluate_text(LanguageModel(model, vocabulary, tokenizer, tiny()), "the <unk> dog sat\nzebra\n")
    assert judged.unknown == 2
    assert judged.tokens == judged.words == 7
    assert judged.unknown_share == 2 / 7


def test_a_file_is_judged_like_its_text_and_progress_is_told(tmp_path: Path) -> None:
    text = "abc cab\nbca\n" * 40
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    shares: list[float] = []
    judged = evaluate_text(judge_of(), tmp_path / "text.txt", progress=shares.append)
    assert judged == evaluate_text(judge_of(), text)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_long_text_is_read_in_pieces_and_many_documents_in_batches() -> None:
    judge = judge_of(5)
    letters = np.random.default_rng(0).choice(list("abc abc abc\n"), 900)
    text = "".join(letters)  # longer than what is read at a time
    ids = ids_of(text, judge)
    whole = evaluate(judge.model, EvaluationBatches(ids, 1, len(ids)))
    np.testing.assert_allclose(evaluate_text(judge, text).loss, whole.loss, rtol=1e-5)
    judged = evaluate_text(judge, text, documents="line")
    lines = documents_by_hand(text, "line")
    assert len(judged.documents) == len(lines) > 64
    for line, document in zip(lines, judged.documents, strict=True):
        np.testing.assert_allclose(document.loss, losses_by_hand(judge.model, ids_of(line, judge)).mean(), rtol=1e-4)


# ---- documents and windows ------------------------------------------------------------------------------------------


def documents_by_hand(text: str, kind: str) -> list[str]:
    """The text cut line by line: a new document begins with a line that is not blank, if one has been seen before and,
    for blocks, the last was blank."""
    documents, current = [], ""
    for line in text.splitlines(keepends=True):
        begins = line.strip() and current.strip() and (kind == "line" or not current.splitlines()[-1].strip())
        if begins:
            documents.append(current)
            current = ""
        current += line
    return [*documents, current]


@given(st.text("ab \n", min_size=1, max_size=40), st.sampled_from(["line", "blank"]))
def test_each_document_is_judged_by_itself(text: str, kind: str) -> None:
    judge = judge_of(2)
    judged = evaluate_text(judge, text, documents=kind)  # type: ignore[arg-type]
    parts = documents_by_hand(text, kind)
    assert [document.tokens for document in judged.documents] == [len(part) for part in parts]
    assert [document.first_token for document in judged.documents] == np.cumsum([0, *map(len, parts)])[:-1].tolist()
    by_hand = [losses_by_hand(judge.model, ids_of(part, judge)) for part in parts]
    for document, losses in zip(judged.documents, by_hand, strict=True):
        np.testing.assert_allclose(document.loss, losses.mean(), rtol=1e-4)
    np.testing.assert_allclose(judged.loss, np.concatenate(by_hand).mean(), rtol=1e-4)  # weighted by tokens


def test_one_document_alone_is_the_text_with_its_state_carried() -> None:
    text = "abc cab bca"
    whole = evaluate_text(judge_of(), text)
    for kind in ("line", "blank"):
        assert evaluate_text(judge_of(), text, documents=kind).nats == whole.nats  # type: ignore[arg-type]
    assert [document.perplexity for document in whole.documents] == [whole.perplexity]


@given(letters, st.integers(2, 12))
def test_a_window_slides_and_its_context_is_as_stated(text: str, window: int) -> None:
    judge = judge_of(4)
    ids, stride = ids_of(text, judge), window // 2
    losses = np.full(len(text), np.nan)
    for start in range(0, len(text), stride):
        here = losses_by_hand(judge.model, ids[start : start + window + 1])
        known = len(here) - np.isnan(losses[start : start + len(here)]).sum()  # reached by an earlier window
        losses[start + known : start + len(here)] = here[known:]
        if start and known < len(here):
            assert known + 1 >= window - stride + 1  # ids before the first that is scored
    judged = evaluate_text(judge, text, context=window)
    np.testing.assert_allclose(judged.nats, losses.sum(), rtol=1e-4)
    assert f"sliding windows of {window} tokens" in judged.context


@given(st.text("ab\n", min_size=1, max_size=40), st.integers(2, 6), st.sampled_from([None, "line", "blank"]))
def test_a_window_longer_than_the_documents_carries_their_state(text: str, more: int, kind: str | None) -> None:
    carried = evaluate_text(judge_of(), text, documents=kind)  # type: ignore[arg-type]
    windows = evaluate_text(judge_of(), text, documents=kind, context=len(text) + more)  # type: ignore[arg-type]
    np.testing.assert_allclose(windows.nats, carried.nats, rtol=1e-6)


def test_all_of_an_evaluation_is_plain_values() -> None:
    judged = evaluate_text(judge_of(), "abc\ncab\n", documents="line")
    content = json.loads(json.dumps(judged.to_json()))
    assert content["perplexity"] == judged.perplexity
    assert content["documents"][1]["first_token"] == 4
    assert {"word_perplexity", "bits_per_character", "bits_per_byte", "unknown_share", "context"} <= set(content)


@pytest.mark.parametrize("context", [1, 0, -5])
def test_a_context_too_short_is_refused(context: int) -> None:
    with pytest.raises(NlpError, match="--context is carried or a number of at least 2"):
        evaluate_text(judge_of(), "abc", context=context)
    with pytest.raises(NlpError, match="--documents is line or blank"):
        evaluate_text(judge_of(), "abc", documents="page")  # type: ignore[arg-type]
