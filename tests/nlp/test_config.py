"""The options of a run: every value outside its range is refused in one sentence."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.config import Config, Level, Model
from nlp.errors import NlpError
from nlp.options import flag
from nlp.presets import PRESETS
from nlp.run_options import MACHINE, MACHINE_OPTIONS
from nlp.vector_config import VectorConfig

WRONG = {
    "level": ["sentence", "", 3],
    "model": ["transformer", None],
    "optimizer": ["lion"],
    "embedding": [0, -1, 1.5, True, "200"],
    "hidden": [0],
    "layers": [0, 17],
    "dropout": [-0.1, 1.0, 1.5, float("nan")],
    "bptt": [0],
    "batch_size": [0],
    "epochs": [0],
    "lr": [0.0, -1.0, float("inf"), float("nan")],
    "clip": [-0.5, float("inf")],
    "patience": [-1],
    "momentum": [-0.1, 1.0],
    "weight_decay": [-1e-9],
    "schedule": ["step"],
    "decay": [0.5],
    "decay_after": [-1],
    "bptt_drawn": [0],
    "activation_penalty": [-1.0],
    "change_penalty": [float("nan")],
    "nt_asgd": [-1],
    "dropout_input": [1.0],
    "dropout_between": [-0.1],
    "dropout_words": [1.0],
    "weight_drop": [1.0, True],
    "locked": ["on"],
    "initial_range": [0.0],
    "unigram_bias": [1],
    "checkpoint_minutes": [0.0],
    "seed": [-1, 2**63, 10**400],
    "min_count": [0],
    "vocab_size": [1],
    "threads": [0],
    "max_minutes": [0.0, -2.0],
    "tied": [1],
    "lowercase": ["yes"],
    "device": [0],
    "dropout_recurrent": [1.0],
    "skip": ["on"],
    "input_depth": [0],
    "transition_depth": [0],
    "output_depth": [0],
    "shortcut": [1],
    "teacher_forcing": [1.1, -0.1],
    "order": [0],
    "direct": [0],
    "smoothing": ["laplace"],
    "add_k": [0.0],
    "maxent_order": [-1],
    "maxent_size": [0],
    "output": ["sampled"],
    "samples": [0],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_refused_by_its_option_s_name(name: str, value: object) -> None:
    with pytest.raises(NlpError) as caught:
        dataclasses.replace(Config.choose(), **{name: value})
    message = str(caught.value)
    assert message.startswith(flag(name))
    assert repr(value) in message or str(value) in message
    assert "\n" not in message


def test_every_option_has_a_wrong_value_above() -> None:
    assert set(WRONG) == {field.name for field in dataclasses.fields(Config)}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "level": st.sampled_from(["word", "char", "bpe"]),
            "model": st.sampled_from(["lstm", "gru", "rnn"]),
            "hidden": st.integers(1, 3000),
            "dropout": st.floats(0, 1, exclude_max=True),
            "lr": st.floats(1e-9, 100),
            "clip": st.integers(0, 5),  # a whole number where a number is asked for
            "vocab_size": st.none() | st.integers(2, 10**6),
            "tied": st.booleans(),
        },
    )
)
def test_json_and_back(options: dict[str, object]) -> None:
    config = Config.choose(**options)
    assert Config.from_json(config.to_json()) == config
    for name, value in options.items():
        if value is not None:
            assert getattr(config, name) == value


def test_a_configuration_from_elsewhere_is_refused() -> None:
    values = Config.choose().to_json()
    with pytest.raises(NlpError, match="'depth'"):
        Config.from_json({**values, "depth": 3})
    assert Config.from_json({name: value for name, value in values.items() if name != "seed"}) == Config.choose()
    del values["bptt"]
    with pytest.raises(NlpError, match="lacks the option 'bptt'"):
        Config.from_json(values)
    with pytest.raises(NlpError, match="not a JSON object"):
        Config.from_json([1, 2])


@given(st.integers(1, 3000), st.floats(0, 0.75, width=32), st.booleans())
def test_numpy_s_numbers_are_numbers(hidden: int, dropout: float, locked: bool) -> None:
    drawn = {"hidden": np.int32(hidden), "dropout": np.float32(dropout), "locked": np.bool_(locked)}
    config = Config.choose(**drawn, lr=np.float64(0.5))
    assert config == Config.choose(hidden=hidden, dropout=dropout, locked=locked, lr=0.5)
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert Config.choose().going_on("runs/a", {"epochs": np.int64(5)}).epochs == 5
    with pytest.raises(NlpError, match=r"--hidden takes a whole number, not 3\.0"):
        Config.choose(hidden=np.float64(3))


def test_an_option_that_there_is_not_is_told_with_the_nearest() -> None:
    said = r"does not know: 'hiden' \(the nearest is 'hidden'\)"
    with pytest.raises(NlpError, match=said):
        Config.choose(hiden=3)
    with pytest.raises(NlpError, match=said):
        Config.choose().going_on("runs/a", {"hiden": 3})
    with pytest.raises(NlpError, match=r"does not know: 'zzz'$"):
        Config.choose(zzz=3)


def test_words_are_tied_until_the_sizes_differ_and_characters_are_not() -> None:
    assert Config.choose().tied
    assert Config.choose(hidden=30).embedding == 30
    assert not Config.choose(hidden=30, embedding=20).tied
    assert Config.choose(hidden=30, tied=False).embedding == Config.choose().embedding
    assert not Config.choose(level="char").tied
    assert Config.choose(level="char", hidden=30).embedding == Config.choose(level="char").embedding


@pytest.mark.parametrize("given_size", [{"hidden": 64}, {"embedding": 64}])
def test_tied_sizes_follow_the_one_that_is_given(given_size: dict[str, int]) -> None:
    config = Config.choose(tied=True, **given_size)
    assert (config.embedding, config.hidden) == (64, 64)


def test_tied_sizes_that_differ_are_refused() -> None:
    with pytest.raises(NlpError, match="must be equal"):
        Config.choose(tied=True, embedding=10, hidden=20)


def test_the_defaults_in_words_are_the_defaults() -> None:
    for level in ("word", "char", "byte", "bpe"):
        config = Config.choose(level=level)
        for field in dataclasses.fields(Config):
            value = getattr(config, field.name)
            if field.name == "level" or value is None:
                continue
            spoken = {True: "on", False: "off"}[value] if isinstance(value, bool) else f"{value}"
            assert spoken in Config.default_in_words(field.name)
    assert Config.default_in_words("vocab_size") == "word no limit, char no limit, byte 256, bpe 4096"


# ---- options of one model ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"order": 3}, "--order goes with --model window or ngram, not with lstm: leave it out"),
        ({"model": "ngram", "hidden": 30}, "--hidden goes with --model lstm, gru, rnn, irnn"),
        ({"model": "ngram", "level": "char", "embedding": 256}, "--embedding goes with --model lstm, gru, rnn, irnn"),
        ({"model": "ngram", "epochs": 3}, "--epochs goes with --model lstm, gru, rnn, irnn"),
        ({"model": "window", "tied": True}, "--tied goes with --model lstm, gru, rnn or irnn, not with window"),
        ({"model": "maxent", "output": "nce"}, "--output goes with --model lstm, gru, rnn, irnn"),
        ({"model": "lstm", "smoothing": "ml"}, "--smoothing goes with --model ngram, not with lstm"),
        ({"preset": "awd", "model": "ngram"}, "--embedding of --preset awd goes with --model lstm, gru, rnn, irnn"),
    ],
)
def test_an_option_of_another_model_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(NlpError) as caught:
        Config.choose(**options)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("model", get_args(Model))
@pytest.mark.parametrize("level", get_args(Level))
def test_every_model_s_defaults_go_together_and_can_be_given_again(model: str, level: str, tmp_path: Path) -> None:
    config = Config.choose(model=model, level=level)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"options": config.to_json()}))
    assert Config.choose(file=path) == config
    assert Config.choose(**config.to_json()) == config


# ---- presets and files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_is_complete_but_for_what_a_paper_leaves_open(name: str) -> None:
    config = Config.choose(name)
    assert {option: getattr(config, option) for option in PRESETS[name]} == PRESETS[name]
    assert Config.choose(name, hidden=8, embedding=8, dropout=0.25).dropout == 0.25


def test_zaremba_s_presets_are_the_paper_s_numbers_for_summed_losses() -> None:
    for name, steps, clip in (("zaremba-small", 20, 5), ("zaremba-medium", 35, 5), ("zaremba-large", 35, 10)):
        config = Config.choose(name)
        # the gradient of a sum over the steps is `steps` times that of their mean
        assert config.lr / steps == 1
        assert config.clip * steps == pytest.approx(clip)
        assert (config.bptt, config.batch_size, config.layers) == (steps, 20, 2)


def test_the_awd_preset_is_the_paper_s_for_wikitext_2() -> None:
    config = Config.choose("awd")
    dropouts = (config.dropout_input, config.dropout_between, config.dropout, config.dropout_words, config.weight_drop)
    assert dropouts == (0.65, 0.3, 0.4, 0.1, 0.5)
    assert (config.embedding, config.hidden, config.layers, config.tied) == (400, 1150, 3, True)
    assert (config.lr, config.clip, config.bptt, config.batch_size, config.epochs) == (30, 0.25, 70, 80, 750)
    assert (config.activation_penalty, config.change_penalty, config.weight_decay) == (2, 1, 1.2e-6)
    assert (config.nt_asgd, config.patience, config.optimizer, config.bptt_drawn) == (5, 0, "sgd", True)


def test_a_preset_that_there_is_not_is_refused() -> None:
    with pytest.raises(NlpError, match=r"--preset is one of zaremba-small, .*, not 'gpt'"):
        Config.choose("gpt")
    with pytest.raises(NlpError, match=r"--preset is one of zaremba-small, .*, not \['awd'\]"):
        Config.choose(preset=["awd"])  # type: ignore[arg-type]


def test_options_go_before_the_file_and_the_file_before_the_preset(tmp_path) -> None:
    path = tmp_path / "options.toml"
    path.write_text("dropout = 0.1\nbatch-size = 7\n")
    config = Config.choose("zaremba-small", path, batch_size=3)
    assert (config.batch_size, config.dropout, config.hidden) == (3, 0.1, 200)


@given(st.sampled_from([None, *PRESETS]), st.floats(0, 0.9))
def test_a_run_s_configuration_can_be_given_to_the_next_run(
    tmp_path_factory: pytest.TempPathFactory, preset: str | None, dropout: float
) -> None:
    config = Config.choose(preset, dropout=dropout)
    path = tmp_path_factory.getbasetemp() / "config.json"
    path.write_text(json.dumps({"options": config.to_json(), "versions": {}}))
    assert Config.choose(file=path) == config


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("hidden = ", "neither TOML nor JSON"),
        ("{", "neither TOML nor JSON"),
        ("depth = 3", "an option that this version does not know: 'depth'"),
        ("hiden = 3", "does not know: 'hiden' (the nearest is 'hidden')"),
        ("batch-size = 3\nbatch_size = 4", "has one option twice, as batch-size and as batch_size"),
        ('{"batch_size": 3, "batch-size": 3}', "has one option twice, as batch-size and as batch_size"),
        ("options = 3", "not a JSON object of options"),
        ("hidden = 'wide'", "--hidden takes a whole number, not 'wide'"),
        ("hidden = 0", "--hidden must be at least 1, not 0"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(content: str, said: str, tmp_path) -> None:
    path = tmp_path / "options.toml"
    path.write_text(content)
    with pytest.raises(NlpError) as caught:
        Config.choose(file=path)
    assert said in str(caught.value)
    with pytest.raises(NlpError, match="cannot be read"):
        Config.read(tmp_path / "missing.toml")


# ---- going on with a run ------------------------------------------------------------------------------------------


def test_a_run_goes_on_with_its_own_options_or_those_that_do_not_matter() -> None:
    config = Config.choose(hidden=30)
    changed = config.going_on("runs/a", {"hidden": 30, "epochs": 40, "patience": 9, "lr": None})
    assert changed == dataclasses.replace(config, epochs=40, patience=9)
    with pytest.raises(NlpError) as caught:
        config.going_on("runs/a", {"hidden": 40, "lr": 0.1, "epochs": 40})
    message = str(caught.value)
    assert message.startswith("runs/a was started with --hidden 30, not 40; --lr 0.004, not 0.1: ")
    assert all(flag(name) in message for name in Config.CHANGEABLE)
    with pytest.raises(NlpError, match="--epochs 12, on which its --schedule cosine depends, not 13"):
        Config.choose(schedule="cosine").going_on("runs/a", {"epochs": 13})
    with pytest.raises(NlpError, match="its --schedule linear depends"):
        Config.choose(schedule="linear").going_on("runs/a", {"epochs": 13})
    with pytest.raises(NlpError, match=r"\(only --patience, --clip, .* may change\)"):  # --epochs may not
        Config.choose(schedule="linear").going_on("runs/a", {"hidden": 40})
    with pytest.raises(NlpError, match=r"--epochs goes with --model lstm, .*, not with ngram"):
        Config.choose(model="ngram").going_on("runs/a", {"epochs": 13})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"momentum": 0.9}, "--momentum goes with --optimizer sgd or rmsprop, not with adam"),
        ({"nt_asgd": 5}, "--nt-asgd averages what plain sgd does: it does not go with --optimizer adam"),
        ({"nt_asgd": 5, "optimizer": "sgd", "momentum": 0.5}, "--nt-asgd averages what plain sgd does"),
        ({"nt_asgd": 2, "optimizer": "sgd", "patience": 2}, "--patience 2 ends training before --nt-asgd 2"),
        ({"level": "byte", "lowercase": True}, "--lowercase changes characters"),
        ({"level": "byte", "min_count": 2}, "--level byte always knows the 256 bytes, so --min-count does not go"),
        ({"tied": True, "skip": True}, "--skip takes all layers to the output, where --tied has room for one"),
        ({"tied": True, "output": "adaptive"}, "--tied needs a row for each word, which --output adaptive lacks"),
        ({"weight_drop": 0.1, "dropout_recurrent": 0.1}, "--weight-drop and --dropout-recurrent both act"),
        ({"model": "deep-transition", "transition_depth": 1}, "--shortcut goes past layers"),
        ({"model": "window", "order": 1}, "--model window of --order 1 would look at no word"),
        (
            {"maxent_order": 2, "output": "nce"},
            "--maxent-order adds to the scores of all words, which --output nce does without: leave one of them out",
        ),
        ({"samples": 7}, "--samples goes with --output negative, nce, blackout, importance: leave it out"),
        ({"model": "ngram", "add_k": 3.0}, "--add-k goes with --smoothing add-k: leave it out"),
        ({"maxent_size": 100}, "--maxent-size goes with --maxent-order or --model maxent: leave it out"),
        ({"schedule": "constant", "decay": 2.0}, "--decay goes with --schedule plateau or exponential: leave it out"),
        ({"schedule": "linear", "decay": 2}, "--decay goes with --schedule plateau or exponential: leave it out"),
        ({"schedule": "constant", "decay_after": 3}, "--decay-after goes with --schedule exponential: leave it out"),
        ({"decay_after": 3}, "--decay-after goes with --schedule exponential: leave it out"),
        ({"dropout_between": 0.4}, "--dropout-between goes with --layers 2 or more: leave it out"),
        ({"preset": "awd", "decay": 2.0}, "--decay goes with --schedule plateau or exponential: leave it out"),
        ({"maxent_order": 2, "change_penalty": 1.0}, "--maxent-order trains on the words alone, so --change-penalty"),
        ({"model": "maxent", "maxent_order": 0}, "--model maxent is nothing without features"),
        ({"level": "byte", "vocab_size": 300}, "--level byte always knows the 256 bytes, so --vocab-size does not go"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(NlpError) as caught:
        Config.choose(**options)
    assert str(caught.value).startswith(said)


def test_what_a_file_says_in_vain_is_refused_and_what_a_preset_says_takes_its_default(tmp_path: Path) -> None:
    path = tmp_path / "options.toml"
    path.write_text("decay = 2.0\n")
    assert Config.choose(file=path).decay == 2
    with pytest.raises(NlpError) as caught:
        Config.choose(file=path, schedule="cosine")
    assert str(caught.value) == f"--decay of {path} goes with --schedule plateau or exponential: leave that out"
    usual = Config.choose()
    changed = Config.choose("zaremba-small", schedule="cosine")
    assert (changed.decay, changed.decay_after) == (usual.decay, usual.decay_after)
    assert Config.choose("awd", layers=1, hidden=400).dropout_between is None
    assert Config.choose(schedule="cosine", decay=usual.decay, decay_after=0, samples=usual.samples).decay == 4


def test_a_run_from_before_these_were_refused_is_read_and_goes_on() -> None:
    kept = {**Config.choose(schedule="constant").to_json(), "decay": 2.0, "dropout_between": 0.4}
    before = Config.from_json(kept)
    assert (before.decay, before.dropout_between) == (2.0, 0.4)
    for options in (kept, Config.choose(schedule="constant").to_json()):
        assert before.going_on("runs/a", options) == before
    with pytest.raises(NlpError, match=r"runs/a was started with --decay 2\.0, not 3\.0"):
        before.going_on("runs/a", {"decay": 3.0})


@pytest.mark.parametrize("kind", [Config, VectorConfig])
def test_the_options_of_the_machine_are_those_that_the_help_shows_so(kind: type[Config | VectorConfig]) -> None:
    shown = {name for name, field in kind.fields().items() if field.metadata["panel"] == MACHINE}
    assert shown == set(MACHINE_OPTIONS) <= set(kind.CHANGEABLE)
