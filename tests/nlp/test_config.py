"""The options of a run: every value outside its range is refused in one sentence."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.config import Config, choose, default_of, flag
from nlp.errors import NlpError

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
    "patience": [0],
    "seed": [-1, 2**63],
    "min_count": [0],
    "vocab_size": [1],
    "threads": [0],
    "max_minutes": [0.0, -2.0],
    "tied": [1],
    "lowercase": ["yes"],
    "device": [0],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_refused_by_its_option_s_name(name: str, value: object) -> None:
    with pytest.raises(NlpError) as caught:
        dataclasses.replace(choose(), **{name: value})
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
            "level": st.sampled_from(["word", "char"]),
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
    config = choose(**options)
    assert Config.from_json(config.to_json()) == config
    for name, value in options.items():
        if value is not None:
            assert getattr(config, name) == value


def test_a_configuration_from_elsewhere_is_refused() -> None:
    values = choose().to_json()
    with pytest.raises(NlpError, match="'depth'"):
        Config.from_json({**values, "depth": 3})
    del values["seed"]
    with pytest.raises(NlpError, match="lacks the option 'seed'"):
        Config.from_json(values)
    with pytest.raises(NlpError, match="not a JSON object"):
        Config.from_json([1, 2])


def test_words_are_tied_until_the_sizes_differ_and_characters_are_not() -> None:
    assert choose().tied
    assert choose(hidden=30).embedding == 30
    assert not choose(hidden=30, embedding=20).tied
    assert choose(hidden=30, tied=False).embedding == choose().embedding
    assert not choose(level="char").tied
    assert choose(level="char", hidden=30).embedding == choose(level="char").embedding


@pytest.mark.parametrize("given_size", [{"hidden": 64}, {"embedding": 64}])
def test_tied_sizes_follow_the_one_that_is_given(given_size: dict[str, int]) -> None:
    config = choose(tied=True, **given_size)
    assert (config.embedding, config.hidden) == (64, 64)


def test_tied_sizes_that_differ_are_refused() -> None:
    with pytest.raises(NlpError, match="must be equal"):
        choose(tied=True, embedding=10, hidden=20)


def test_the_defaults_in_words_are_the_defaults() -> None:
    for level in ("word", "char"):
        config = choose(level=level)
        for field in dataclasses.fields(Config):
            value = getattr(config, field.name)
            if field.name == "level" or value is None:
                continue
            spoken = {True: "on", False: "off"}[value] if isinstance(value, bool) else f"{value}"
            assert spoken in default_of(field.name)
