"""Generation: seeds are respected, the draws follow the model's probabilities, text comes out in readable pieces."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nlp_helpers import char_vocabulary, tiny

import minigrad
from nlp.errors import NlpError
from nlp.generate import generate, sample_ids
from nlp.models.rnn_lm import RNNLM
from nlp.run_folder import LanguageModel
from nlp.text import UNK, Vocabulary, make_tokenizer

TEXT = 'He said: "no, the cat (a cat) doesn\'t sit."\nNobody, it seems, did.\n'


def language_model(level: str = "char", seed: int = 0) -> LanguageModel:
    tokenizer = make_tokenizer(level)
    vocabulary = Vocabulary.build(tokenizer.encode(TEXT), specials=tokenizer.specials)
    minigrad.manual_seed(seed)
    model = RNNLM(len(vocabulary), 6, 8, 1, 0.5)
    return LanguageModel(model.eval(), vocabulary, tokenizer, tiny(level=level))


levels = st.sampled_from(["word", "char"])


@given(levels, st.integers(0, 2**63 - 1), st.floats(0.1, 3), st.integers(1, 60))
def test_the_seed_decides_the_text(level: str, seed: int, temperature: float, length: int) -> None:
    writer = language_model(level)
    options = {"length": length, "temperature": temperature, "seed": seed}
    assert list(generate(writer, "the cat", **options)) == list(generate(writer, "the cat", **options))


def test_other_seeds_and_no_seed_give_other_texts() -> None:
    writer = language_model()
    texts = {"".join(generate(writer, length=40, seed=seed)) for seed in range(5)}
    unseeded = {"".join(generate(writer, length=40)) for _ in range(5)}
    assert len(texts | unseeded) == 10


def test_writing_leaves_training_s_random_numbers_alone() -> None:
    writer = language_model()
    before = minigrad.default_generator.get_state()
    list(generate(writer, length=5, seed=1))
    assert minigrad.default_generator.get_state() == before
    assert minigrad.is_grad_enabled()


@given(levels, st.integers(0, 1000), st.integers(1, 80))
def test_the_pieces_are_the_prompt_and_so_many_tokens(level: str, seed: int, length: int) -> None:
    writer = language_model(level)
    prompt = "the cat (a" if level == "word" else "the cat\n(a"
    first, *pieces = generate(writer, prompt, length=length, seed=seed)
    assert first == prompt
    assert len(pieces) == length
    text = first + "".join(pieces)
    tokens = writer.tokenizer.encode(text)
    assert len(tokens) == len(writer.tokenizer.encode(prompt)) + length
    assert writer.tokenizer.decode(tokens) == text
    assert UNK not in tokens
    assert all(token in writer.vocabulary for token in tokens)


def test_a_word_the_model_does_not_know_stays_in_the_prompt_as_it_is_written() -> None:
    first, *_ = generate(language_model("word"), "Zebras, the cat", length=3, seed=0)
    assert first == "Zebras, the cat"


@settings(max_examples=3)
@given(st.sampled_from([0.5, 1.0, 2.0]))
def test_the_draws_follow_the_probabilities(temperature: float) -> None:
    vocabulary = char_vocabulary("abcd")
    minigrad.manual_seed(1)
    model = RNNLM(len(vocabulary), 4, 4, 1, 0.0)
    scores = np.array([0.5, 1.0, -1.0, 0.0, 2.0])
    with minigrad.no_grad():
        model.decoder.weight.zero_()  # what is drawn no longer depends on what stands before
        model.decoder.bias.copy_(minigrad.tensor(scores))
    never = [vocabulary.unk_id]
    drawn = islice(sample_ids(model, np.array([1]), temperature=temperature, seed=3, never=never), 4000)
    shares = np.bincount(np.fromiter(drawn, int), minlength=5) / 4000
    expected = np.exp(scores / temperature)
    expected[never] = 0
    expected /= expected.sum()
    assert shares[never] == 0
    np.testing.assert_allclose(shares, expected, atol=0.04)  # five standard deviations of a share of one half


def test_at_temperature_zero_the_likeliest_is_written_and_the_state_is_carried() -> None:
    writer = language_model(seed=5)
    with minigrad.no_grad():
        for parameter in writer.model.parameters():
            parameter.mul_(6.0)
    ids = writer.vocabulary.encode(["\n", *"the"]).tolist()
    drawn = list(islice(sample_ids(writer.model, np.array(ids), temperature=0), 30))
    for chosen in drawn:  # read from the beginning every time: no state
        scores, _ = writer.model(minigrad.tensor(np.array(ids).reshape(-1, 1)))
        assert chosen == scores[-1, 0].detach().numpy().argmax()
        ids.append(chosen)


@pytest.mark.parametrize("options", [{"length": 0}, {"temperature": -1.0}, {"temperature": float("nan")}])
def test_options_out_of_range_are_refused_before_anything_is_written(options: dict[str, float]) -> None:
    with pytest.raises(NlpError, match=f"--{next(iter(options))} must be"):
        generate(language_model(), **options)  # type: ignore[arg-type]
