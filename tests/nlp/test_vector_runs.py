"""Word vectors as a run: learned, left and resumed to the same bytes, loaded, and what does not go refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from nlp_helpers import PATTERN, as_words, call, finish, leave, same_run, told_in_one_sentence, written

import minigrad
import nlp
from nlp.errors import NlpError
from nlp.keyed_vectors import KeyedVectors
from nlp.options import flag
from nlp.run_folder import BEST, LAST, RunFolder
from nlp.tasks import word_vectors
from nlp.text import EOS, UNK, Corpus
from nlp.training.experiment import Experiment
from nlp.vector_config import WORD2VEC, Model, VectorConfig

CASES: dict[str, dict[str, Any]] = {
    **{model: {"model": model} for model in get_args(Model)},
    "hierarchical": {"model": "skip-gram", "negatives": 0},
    "shared": {"model": "cbow", "shared": 8},
    "glove in pieces": {"model": "glove", "batch_size": 7},
}


def config_of(case: str, **options: Any) -> VectorConfig:
    return VectorConfig.choose(**{"size": 6, "window": 2, "epochs": 2, "min_count": 1, **CASES[case], **options})


def two_worlds(sentences: int) -> Corpus:
    """Sentences of two kinds, whose words never meet."""
    draw = np.random.default_rng(0)
    kinds = (["sun", "moon", "star", "sky"], ["fish", "boat", "sea", "salt"])
    lines = [" ".join(draw.choice(kinds[number % 2], 30)) + "\n" for number in range(sentences)]
    return Corpus.of_texts("worlds", "two kinds of sentences", train="".join(lines), valid="".join(lines[:20]))


@pytest.mark.parametrize("case", [case for case in CASES if case != "glove in pieces"])
def test_words_that_stand_together_come_near_to_each_other(case: str, tmp_path: Path) -> None:
    model = CASES[case]["model"]
    word2vec = {"subsample": 0.0, "batch_size": 10, "lr": 0.05} if model in WORD2VEC else {}
    config = config_of(case, **{"epochs": 8, **word2vec, **({"epochs": 60} if model == "glove" else {})})
    results = finish(Experiment.create(config, two_worlds(150), tmp_path / "run"))
    assert np.isfinite(results.valid_loss)
    vectors = nlp.load(tmp_path / "run")
    assert isinstance(vectors, KeyedVectors)
    assert sorted(vectors.words) == sorted(["sun", "moon", "star", "sky", "fish", "boat", "sea", "salt"])
    own, other = (
        np.mean([vectors.unit[vectors.index(a)] @ vectors.unit[vectors.index(b)] for a, b in pairs])
        for pairs in ([("sun", "moon"), ("sky", "star"), ("fish", "sea")], [("sun", "fish"), ("sky", "boat")])
    )
    assert own > other + 0.2


def test_words_too_short_to_say_much_are_shown_where_there_are_no_others(tmp_path: Path) -> None:
    corpus = Corpus.of_texts("letters", "two letters in turn", train="a b " * 200, valid="a b " * 20)
    results = finish(Experiment.create(config_of("skip-gram", subsample=0.0), corpus, tmp_path / "run"))
    assert {word: [near for near, _ in others] for word, others in results.neighbours.items()} == {
        "a": ["b"],
        "b": ["a"],
    }


def test_an_update_is_of_three_stretches_where_the_windows_of_cbow_share_noise(tmp_path: Path) -> None:
    lengths = {}
    for case, options in (("cbow", {}), ("shared", {"shared": 64}), ("shared", {"batch_size": 7})):
        with Experiment.create(config_of(case, **options), two_worlds(9), tmp_path / f"{len(lengths)}") as experiment:
            lengths[case, *options] = experiment.train_windows.bptt
    assert lengths["shared", "shared"] == 3 * lengths["cbow",] > 0
    assert lengths["shared", "batch_size"] == 7


@pytest.mark.parametrize(
    ("case", "options", "share"),
    [
        ("skip-gram", {"window": 5, "negatives": 5}, 1),
        ("skip-gram", {"window": 2, "negatives": 3}, 1),  # never longer
        ("skip-gram", {"window": 11, "negatives": 5}, 1 / 2),
        ("skip-gram", {"window": 5, "negatives": 17}, 1 / 3),
        ("skip-gram", {"window": 20, "negatives": 0}, 1),
        ("skip-gram", {"window": 5, "negatives": 5, "shared": 64}, 1),
        ("skip-gram", {"window": 5, "negatives": 5, "shared": 8}, 1 / 8),
        ("cbow", {"window": 19, "negatives": 19}, 1),
        ("cbow", {"window": 24, "negatives": 63}, 1 / 4),
        ("cbow", {"window": 5, "negatives": 17, "shared": 64}, 3 / 3 / 3.4),
        ("cbow", {"window": 5, "negatives": 5, "shared": 1}, 3 / 64),
    ],
)
def test_an_update_is_of_fewer_words_where_each_moves_vectors_more_often(
    case: str, options: dict[str, int], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_vectors, "stretch_length", lambda counts, subsample: 720)
    config = VectorConfig.choose(model=case, **options)
    assert word_vectors._stretch(config, np.array([3, 2])) == pytest.approx(720 * share, abs=1)


@pytest.mark.parametrize(
    "options",
    [
        {"model": "skip-gram", "window": 10, "negatives": 15, "shared": 64},
        {"model": "cbow", "window": 50, "negatives": 50},
    ],
    ids=lambda options: " ".join(f"{name} {value}" for name, value in options.items()),
)
def test_wide_windows_and_much_noise_teach_more_than_chance(options: dict[str, Any], tmp_path: Path) -> None:
    draw, words = np.random.default_rng(0), np.array([f"w{number}" for number in range(3000)])
    frequent = 1 / np.arange(1, 3001)  # Zipf's law
    text = " ".join(draw.choice(words, 60_000, p=frequent / frequent.sum()))
    corpus = Corpus.of_texts("zipf", "words by their frequency", train=text, valid=text[:20_000])
    results = finish(Experiment.create(VectorConfig.choose(size=20, epochs=1, **options), corpus, tmp_path / "run"))
    assert results.valid_loss < results.chance == (1 + options.get("negatives", 5)) * np.log(2)


def test_vectors_that_are_worth_nothing_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words: list[object] = [
        "words",
        "train",
        "--text",
        written("t", b"the cat sat on a mat in the hat " * 300)(),
        "--out",
    ]
    said = "These vectors are worth nothing: their loss is not below the 4.1589 of chance."
    assert said not in call(*words, "good", "--subsample", 0, "--batch-size", 20).output
    assert said in call(*words, "bad", "--subsample", 0, "--batch-size", 2000, "--lr", 0.02).output


def test_words_that_spoil_windows_are_drawn_as_the_option_says(tmp_path: Path) -> None:
    noise = []
    for power in (0.0, 1.0):
        config = config_of("collobert-weston", power=power)
        with Experiment.create(config, two_worlds(9), tmp_path / f"{power}") as experiment:
            noise.append(experiment.train_windows.noise.probabilities)
            counts = np.array(experiment.vocabulary.counts)
    np.testing.assert_allclose(noise[0][noise[0] > 0], 1 / np.count_nonzero(noise[0]))
    known = noise[1] > 0
    np.testing.assert_allclose(noise[1][known], counts[known] / counts[known].sum())


def test_the_beginning_of_the_validation_text_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_vectors, "VALIDATED", 50)
    with Experiment.create(config_of("cbow"), two_worlds(9), tmp_path / "run") as experiment:
        assert experiment.valid_windows.steps == 50
        assert experiment.train_windows.steps > 200


def test_a_checkpoint_says_that_it_is_of_word_vectors(tmp_path: Path) -> None:
    run = tmp_path / "run"
    finish(Experiment.create(config_of("cbow", epochs=1), two_worlds(9), run))
    checkpoint = minigrad.load(run / LAST)
    assert checkpoint["kind"] == "minigrad word vectors, to go on with"
    minigrad.save({**checkpoint, "kind": "minigrad language model, to go on with"}, run / LAST)
    with pytest.raises(NlpError, match=r"is no checkpoint of nlp words train: it holds something else"):
        Experiment.resume(run)


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_left_goes_on_to_the_same_bytes(case: str, tmp_path: Path) -> None:
    corpus = Corpus.of_texts("pattern", "a sentence repeated", train=PATTERN * 40, valid=PATTERN * 6)
    config = config_of(case, **({} if "batch_size" in CASES[case] else {"batch_size": 60}))
    finish(Experiment.create(config, corpus, tmp_path / "straight"))
    leave(Experiment.create(config, corpus, tmp_path / "left"), after=5)
    with Experiment.resume(tmp_path / "left") as experiment:
        leave(experiment, after=4)
    finish(Experiment.resume(tmp_path / "left"))
    same_run(tmp_path / "left", tmp_path / "straight")


def test_the_vectors_are_those_of_words_alone_in_the_order_of_the_vocabulary(tmp_path: Path) -> None:
    run = tmp_path / "run"
    finish(Experiment.create(config_of("skip-gram", min_count=350), two_worlds(100), run))
    vectors = nlp.load(run)
    content = json.loads((run / "vocabulary.json").read_text(encoding="utf-8"))
    assert UNK in json.dumps(content)
    assert UNK not in vectors.words
    assert EOS not in vectors.words
    with Experiment.resume(run) as experiment:
        ids = [experiment.vocabulary.id_of(word) for word in vectors.words]
        np.testing.assert_array_equal(vectors.vectors, experiment.model.vectors()[ids])


# ---- options --------------------------------------------------------------------------------------------------------

WRONG: dict[str, list[Any]] = {
    "lowercase": ["yes"],
    "max_minutes": [0.0],
    "seed": [-1],
    "device": [0],
    "threads": [0],
    "checkpoint_minutes": [0.0],
    "min_count": [0],
    "vocab_size": [1],
    "model": ["word2vec"],
    "size": [0],
    "window": [0],
    "subsample": [-1e-3],
    "negatives": [-1],
    "shared": [-1],
    "x_max": [0.0],
    "alpha": [0.0],
    "hidden": [0],
    "activation": ["relu"],
    "power": [-1.0],
    "optimizer": ["adamw"],
    "lr": [0.0],
    "schedule": ["cosine"],
    "batch_size": [1],
    "epochs": [0],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_refused_by_its_option_s_name(name: str, value: Any) -> None:
    with pytest.raises(NlpError) as caught:
        VectorConfig(**{**VectorConfig.choose().to_json(), name: value})
    assert str(caught.value).startswith(flag(name))


def test_every_option_has_a_wrong_value_above() -> None:
    assert set(WRONG) == set(VectorConfig.fields())


@pytest.mark.parametrize("model", get_args(Model))
def test_every_model_s_defaults_go_together_and_can_be_given_again(model: str) -> None:
    config = VectorConfig.choose(model=model)
    assert VectorConfig.choose(**config.to_json()) == config
    assert all(str(getattr(config, name)) in said for name, said in VectorConfig.defaults_in_words().items())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shared": 5, "negatives": 0}, "--shared noise words are negatives"),
        ({"optimizer": "adagrad"}, "--model skip-gram adds up a stretch of updates"),
        ({"model": "glove", "negatives": 3}, "--negatives goes with --model skip-gram or cbow, not with glove"),
        ({"model": "cbow", "hidden": 3}, "--hidden goes with --model collobert-weston, not with cbow"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(NlpError) as caught:
        VectorConfig.choose(**options)
    assert str(caught.value).startswith(said)


# ---- the command line -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of nlp words train."""
    home = tmp_path_factory.mktemp("words")
    (home / "text.txt").write_text("".join(PATTERN for _ in range(60)))
    options = ("--min-count", 1, "--size", 5, "--epochs", 1, "--out", home / "run")
    result = call("words", "train", "--text", home / "text.txt", *options)
    assert result.exit_code == 0, result.output
    assert "nearest words" in result.stdout
    return home / "run"


def test_a_run_goes_on_with_the_command_that_began_it(run: Path) -> None:
    again = call("words", "train", "--resume", run, "--epochs", 2)
    assert again.exit_code == 2  # the learning rate falls to the last epoch
    assert "--epochs 1, on which its --schedule linear depends, not 2" in again.stderr
    told_in_one_sentence(["train", "--resume", run], f"go on with nlp words train --resume {run}")
    assert call("words", "train", "--resume", run).exit_code == 0
    assert RunFolder.open(run).command() == "nlp words train"


@pytest.mark.parametrize("command", [["generate"], ["next"], ["inspect"], ["compare"]])
def test_what_needs_a_language_model_says_so(command: list[str], run: Path) -> None:
    told_in_one_sentence([*command, run], f"{run} was made by nlp words train: what is needed here is a language model")


@pytest.mark.parametrize(
    ("model", "content", "said"),
    [
        *((model, b"", "t is empty: give a file with text in it") for model in get_args(Model)),
        ("collobert-weston", b"a b\n", "a window of 11 words needs a text as long, and this one has 2 tokens"),
    ],
)
def test_texts_too_short_to_learn_from_are_told(
    model: str, content: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words: list[object] = ["words", "train", "--model", model, "--min-count", 1, "--train", written("t", content)]
    told_in_one_sentence([*words, "--valid", "t"], said)
    assert not Path("runs").exists()


@pytest.mark.parametrize("model", get_args(Model))
def test_a_validation_text_of_other_words_is_told(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train, valid = written("train", b"the cat sat on a mat " * 9), written("valid", b"der Hund lag im Korb")
    words = ["words", "train", "--model", model, "--min-count", 1, "--train", train, "--valid", valid]
    told_in_one_sentence(words, "the valid text has 0 words of the vocabulary")


@pytest.mark.parametrize("model", get_args(Model))
@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (b"the " * 300, {}, "takes 2 words, and the vocabulary has 1: give a text of more"),
        (b"the the the cat " * 99, {"min_count": 200}, "the vocabulary has 1: give a text of more, lower --min-count"),
        (b"the the the cat " * 99, {"vocab_size": 3}, "raise --vocab-size"),
        (b"\n" * 300, {}, "no words, only white space"),
        (b"the cat " * 99, {"min_count": 500}, "no token occurs 500 times, the most frequent one"),
    ],
)
def test_a_vocabulary_without_two_words_is_told_before_training(
    model: str, content: bytes, options: dict[str, int], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told_in_one_sentence(
        ["words", "train", "--model", model, "--text", written("t", content), *as_words(options)], said
    )
    assert not Path("runs").exists()


@pytest.mark.parametrize("model", WORD2VEC)
@pytest.mark.parametrize("frequent", ["b a\n", "a b a b\n"])
def test_a_validation_text_of_frequent_words_alone_is_told_before_training(
    model: str, frequent: str, tmp_path: Path
) -> None:
    corpus = Corpus.of_texts("frequent", "few words", train="a b c d " * 400, valid=frequent)
    with pytest.raises(NlpError) as told:
        Experiment.create(config_of(model, subsample=1e-6), corpus, tmp_path / "run")
    assert str(told.value).startswith("--subsample 1e-06 leaves no two words of the validation text side by side")
    assert not (tmp_path / "run").exists()
    results = finish(Experiment.create(config_of(model, subsample=0.0), corpus, tmp_path / "run"))
    assert np.isfinite(results.valid_loss)


@pytest.mark.parametrize("model", get_args(Model))
def test_windows_reach_from_one_line_into_the_next(model: str, tmp_path: Path) -> None:
    corpus = Corpus.of_texts("lines", "a word a line", train="a\nb\nc\n" * 40, valid="a\nb\nc\n" * 3)
    options = {"subsample": 0.0} if model in WORD2VEC else {}
    with Experiment.create(config_of(model, window=1, **options), corpus, tmp_path / "run") as experiment:
        assert all(target.size for _, target in experiment.valid_windows)


def test_the_last_weights_are_kept_whatever_the_validation_text_says(tmp_path: Path) -> None:
    corpus = two_worlds(40)  # its validation text has other counts of pairs, which GloVe's loss is about
    finish(Experiment.create(config_of("glove", epochs=3), corpus, tmp_path / "run"))
    content = minigrad.load(tmp_path / "run" / BEST)
    last = minigrad.load(tmp_path / "run" / LAST)["trainer"]["model"]
    assert all((content[name].numpy() == value.numpy()).all() for name, value in last.items())
    assert nlp.load(tmp_path / "run").vectors.shape == (8, 6)


def test_what_stands_for_no_word_is_never_seen(tmp_path: Path) -> None:
    config = config_of("skip-gram", min_count=350)
    with Experiment.create(config, two_worlds(100), tmp_path / "run") as experiment:
        none = [id for id, token in enumerate(experiment.vocabulary.tokens) if token in (UNK, EOS)]
        assert experiment.vocabulary.counts[none].any()
        windows = experiment.train_windows
        assert not np.isin(windows.ids, none).any()
        assert not experiment.model.output.noise.probabilities[none].any()
