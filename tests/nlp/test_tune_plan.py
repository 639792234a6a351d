"""What nlp tune searches: draws stay in their ranges and are spread as these say, and the rungs are the papers'."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nlp_helpers import TINY

from nlp.config import Config
from nlp.errors import NlpError
from nlp.tuning.plans import Plan, plan
from nlp.tuning.ranges import Choice, Interval, draw_options, parse_range, split_ranges

RANGES = {"lr": "0.001..0.05", "hidden": "6..12", "dropout": "0..0.5"}


def small(ranges: dict[str, str] = RANGES, **settings: Any) -> Plan:
    """A plan with the options of a tiny model."""
    options = {name: value for name, value in {**TINY, "epochs": 4}.items() if name not in ranges}
    return plan(ranges, **{**options, "tied": False, **settings})


# ---- ranges ---------------------------------------------------------------------------------------------------------

positive = st.floats(1e-6, 1e6)
share = st.floats(0, 1, exclude_max=True)


@given(positive, positive, share, share, st.booleans())
def test_a_drawn_number_is_inside_and_rises_with_its_share(
    a: float, b: float, one: float, two: float, log: bool
) -> None:
    interval = Interval(min(a, b), max(a, b), log, whole=False)
    assert interval.low <= interval.at(min(one, two)) <= interval.at(max(one, two)) <= interval.high


@given(positive, positive)
def test_half_of_the_draws_are_below_the_mean_of_their_kind(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    assert Interval(low, high, log=True, whole=False).at(0.5) == pytest.approx(math.sqrt(low * high), rel=1e-3)
    assert Interval(low, high, log=False, whole=False).at(0.5) == pytest.approx((low + high) / 2, rel=1e-3)


@given(st.integers(0, 50), st.integers(1, 30))
def test_whole_numbers_are_equally_likely(low: int, count: int) -> None:
    interval = Interval(low, low + count, log=False, whole=True)
    drawn = Counter(interval.at((n + 0.5) / (10 * (count + 1))) for n in range(10 * (count + 1)))
    assert drawn == dict.fromkeys(range(low, low + count + 1), 10)
    assert all(type(number) is int for number in drawn)


@given(st.integers(1, 50), st.integers(1, 30))
def test_whole_numbers_by_order_of_magnitude(low: int, count: int) -> None:
    high = low + count
    interval = Interval(low, high, log=True, whole=True)
    drawn = Counter(interval.at((n + 0.5) / 4000) for n in range(4000))
    for number in range(low, high + 1):
        expected = math.log((number + 1) / number) / math.log((high + 1) / low)
        assert drawn[number] / 4000 == pytest.approx(expected, abs=1 / 1000)


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_drawn_options_are_spread_as_their_range_says(seed: int) -> None:
    names = {"lr": "0.001..0.1", "dropout": "0.1..0.6", "hidden": "1..8", "optimizer": "sgd,adam"}
    drawn = draw_options({name: parse_range(name, words) for name, words in names.items()}, seed, 1500)
    rates, dropouts = (sorted(one[name] for one in drawn) for name in ("lr", "dropout"))
    for number in range(0, 1500, 50):  # the greatest distance of Kolmogorov and Smirnov: 1.63 / sqrt(1500) at 1%
        assert math.log(rates[number] / 0.001) / math.log(100) == pytest.approx(number / 1500, abs=0.042)
        assert (dropouts[number] - 0.1) / 0.5 == pytest.approx(number / 1500, abs=0.042)
    assert all(150 <= count <= 228 for count in Counter(one["hidden"] for one in drawn).values())
    together = Counter((one["optimizer"], one["lr"] > 0.01, one["dropout"] > 0.35) for one in drawn)
    assert len(together) == 8  # the options are drawn independently of each other
    assert all(140 <= count <= 235 for count in together.values())


@given(st.integers(0, 2**40), st.integers(1, 20), st.integers(0, 20))
def test_a_trial_is_drawn_from_the_seed_and_its_number_alone(seed: int, trials: int, more: int) -> None:
    ranges = {"lr": Interval(0.001, 0.1, log=True, whole=False), "clip": Interval(0.1, 2, log=False, whole=False)}
    drawn = draw_options(ranges, seed, trials)
    assert draw_options(ranges, seed, trials + more)[:trials] == drawn
    assert draw_options(dict(reversed(ranges.items())), seed, trials) == drawn
    rates = [one["lr"] for one in drawn]
    if len(set(rates)) == trials:  # of trials that are alike but for the clipping one would be drawn again
        assert [one["lr"] for one in draw_options({"lr": ranges["lr"]}, seed, trials)] == rates
    assert draw_options(ranges, seed + 1, trials) != drawn


def test_no_trial_repeats_another() -> None:
    ranges = {"hidden": Choice((1, 2, 3)), "tied": Choice((True, False))}
    drawn = draw_options(ranges, 1, 6)
    assert sorted((one["hidden"], one["tied"]) for one in drawn) == [(n, t) for n in (1, 2, 3) for t in (False, True)]
    with pytest.raises(NlpError, match="too few values for --trials 7: trial 7 would repeat another"):
        draw_options(ranges, 1, 7)


def test_what_a_range_is_read_as() -> None:
    words = {
        "lr=0.001..0.01": Interval(0.001, 0.01, log=True, whole=False),
        "weight_decay=1e-6..1e-3": Interval(1e-6, 1e-3, log=True, whole=False),
        "weight-decay=0..1e-3:linear": Interval(0, 1e-3, log=False, whole=False),
        "dropout=.1...6": Interval(0.1, 0.6, log=False, whole=False),
        "dropout=0.1..0.6:log": Interval(0.1, 0.6, log=True, whole=False),
        "batch-size=4..64": Interval(4, 64, log=False, whole=True),
        "hidden=8..512:log": Interval(8, 512, log=True, whole=True),
        "clip=0.1,1": Choice((0.1, 1.0)),
        "dropout-input=0,0.5": Choice((0.0, 0.5)),
        "model=gru, lstm": Choice(("gru", "lstm")),
        "locked=true,false": Choice((True, False)),
    }
    for word, expected in words.items():
        ((name, values),) = split_ranges([word]).items()
        assert parse_range(name, values) == expected, word


BAD_RANGES = {
    "lr": "NAME=LOW..HIGH or NAME=A,B,C",
    "hiden=1..2": "there is no such option (the nearest is 'hidden')",
    "lr=0.1..0.01": "the first number must be below the second",
    "lr=0.1..0.1": "the first number must be below the second",
    "lr=..0.1": "a value is a number, not ''",
    "lr=a..b": "a value is a number, not 'a'",
    "lr=nan,1": "--lr must be above 0, not nan",
    "lr=0..0.1:linear": "--lr must be above 0, not 0.0",
    "lr=0.1..inf": "--lr must be above 0, not inf",
    "lr=0.1..1:cubic": "log or linear, not 'cubic'",
    "lr=0.1": "is one value: give --lr instead",
    "lr=0.1,0.1": "has 0.1 twice",
    "weight-decay=0..0.1": "begin above 0, or add :linear",
    "dropout=0.5..1": "--dropout must be at least 0 and below 1, not 1.0",
    "hidden=1.5..3": "a value is a whole number, not '1.5'",
    "hidden=0..3": "--hidden must be at least 1, not 0",
    "model=lstm..gru": "--model is no number",
    "model=lstm,transformer": "one of lstm, gru, rnn, irnn, deep-transition, ",
    "tied=yes,no": "one of true, false, not 'yes'",
    "level=word,char": "--level cannot be searched, as it decides what the tokens are",
    "vocab-size=100..200": "--vocab-size cannot be searched",
    "seed=1..9": "--seed cannot be searched, as it is where the draws come from",
    "epochs=1..9": "--epochs cannot be searched",
    "device=cpu,cuda": "--device cannot be searched",
}


@pytest.mark.parametrize("word", BAD_RANGES)
def test_a_range_that_makes_no_sense_is_refused(word: str) -> None:
    with pytest.raises(NlpError) as caught:
        plan(split_ranges([word]))
    assert BAD_RANGES[word] in str(caught.value)


# ---- plans ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trials", "min_epochs", "rungs"),
    [  # Li et al. (2018), table 1: R = 81, eta = 3
        (81, 1, [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]),
        (34, 3, [(34, 3), (11, 9), (3, 27), (1, 81)]),
        (15, 9, [(15, 9), (5, 27), (1, 81)]),
        (8, 27, [(8, 27), (2, 81)]),
    ],
)
def test_the_rungs_of_halving_are_the_papers(trials: int, min_epochs: int, rungs: list[tuple[int, int]]) -> None:
    planned = small(trials=trials, min_epochs=min_epochs, epochs=81, strategy="halving", eta=3)
    assert [(rung.trials, rung.epochs) for rung in planned.rungs] == rungs
    assert [(rung.trials, rung.epochs) for rung in small(trials=trials, epochs=81).rungs] == [(trials, 81)]


@settings(max_examples=15)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(1, 60), st.integers(2, 5))
def test_every_rung_is_an_eta_th_of_the_one_before(trials: int, min_epochs: int, epochs: int, eta: int) -> None:
    settings = {"trials": trials, "min_epochs": min_epochs, "epochs": epochs, "eta": eta, "strategy": "halving"}
    if trials < eta or epochs < eta * min_epochs:
        with pytest.raises(NlpError, match=f"needs at least {eta} --trials and {eta * min_epochs} --epochs"):
            small(**settings)
        return
    rungs = small(**settings).rungs
    assert (rungs[0].trials, rungs[-1].epochs) == (trials, epochs)
    assert rungs[0].epochs >= min_epochs
    for rung, following in pairwise(rungs):
        assert following.trials == rung.trials // eta >= 1
        assert rung.epochs == following.epochs // eta
    assert rungs[-1].trials < eta or rungs[0].epochs < eta * min_epochs  # no further rung was possible


def test_options_are_chosen_for_each_trial_as_nlp_train_would(tmp_path: Path) -> None:
    planned = plan({"hidden": "64,128", "model": "lstm,gru"}, trials=4, preset="zaremba-small", embedding=32)
    for drawn, config in zip(planned.drawn, planned.configs):
        assert config == Config.choose("zaremba-small", **drawn, embedding=32)
    tied = plan({"hidden": "64,128"}, trials=2)
    assert all(config.tied and config.embedding == config.hidden for config in tied.configs)
    some = plan({"layers": "1,2", "schedule": "constant,plateau"}, trials=4, dropout_between=0.3, decay=2.0)
    heard = {(one.layers, one.schedule): (one.dropout_between, one.decay) for one in some.configs}
    between, decay = {1: None, 2: 0.3}, {"constant": 4.0, "plateau": 2.0}
    assert heard == {(n, how): (between[n], decay[how]) for n, how in product(between, decay)}
    awd = plan({"lr": "1..30"}, trials=2, preset="awd", layers=1, hidden=400)
    assert {config.dropout_between for config in awd.configs} == {None}
    (tmp_path / "options.toml").write_text("lr = 0.5\nbatch-size = 7\n")
    filed = plan({"lr": "0.01..0.02"}, file=tmp_path / "options.toml", trials=3)
    assert filed.options == {"batch_size": 7}
    assert all(config.batch_size == 7 and 0.01 <= config.lr <= 0.02 for config in filed.configs)


BAD_PLANS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing to search": ({"ranges": {}}, "there is nothing to search"),
    "a value and a range": ({"lr": 0.1}, "--lr has both one value and a --range"),
    "no trials": ({"trials": 0}, "--trials must be a whole number, from 1 to 1000, not 0"),
    "too many": ({"trials": 1001}, "--trials must be a whole number"),
    "an unknown strategy": ({"strategy": "grid"}, "--strategy is one of random, halving, not 'grid'"),
    "an eta of 1": ({"eta": 1}, "--eta must be a whole number, at least 2, not 1"),
    "no epochs": ({"min_epochs": 0}, "--min-epochs must be a whole number, at least 1, not 0"),
    "too few trials": ({"trials": 2, "strategy": "halving"}, "needs at least 3 --trials and 3 --epochs, not 2 and 4"),
    "cosine": ({"strategy": "halving", "schedule": "cosine"}, "--schedule cosine ends"),
    "cosine among others": (
        {"ranges": {"schedule": "cosine,plateau", "lr": "1..2"}, "strategy": "halving"},
        "--schedule cosine ends",
    ),
    "an unknown preset": ({"preset": "x"}, "--preset is one of"),
    "an unknown option": ({"hiden": 3}, "'hiden'"),
    "what no trial asks for": ({"schedule": "constant", "decay": 2.0}, "--decay goes with --schedule plateau or"),
    "a range that no trial asks for": ({"ranges": {"samples": "10,20"}, "trials": 2}, "--samples goes with --output"),
    "a pair that does not go": (
        {"ranges": {"optimizer": "sgd,adam"}, "momentum": 0.9, "trials": 2},
        "(--optimizer adam) cannot be trained: --momentum goes with --optimizer sgd",
    ),
}


@pytest.mark.parametrize("name", BAD_PLANS)
def test_a_plan_that_could_not_run_is_refused_at_once(name: str) -> None:
    settings, said = BAD_PLANS[name]
    with pytest.raises(NlpError) as caught:
        small(**{"ranges": RANGES, **settings})
    assert said in str(caught.value)
