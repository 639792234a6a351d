"""The studies: what is trained and reported, what is left when they are stopped, and the commands around them."""

from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nlp_helpers import PATTERN, as_words, call, told_in_one_sentence
from numpy.testing import assert_allclose, assert_array_equal

import minigrad
from nlp.errors import NlpError
from nlp.studies.dropout import study_dropout
from nlp.studies.exploding import Exploding, study_exploding
from nlp.studies.material import VALID_TOKENS, read_text
from nlp.studies.optimizers import Optimizers, Trial, chosen_rates, study_optimizers
from nlp.studies.result import write
from nlp.studies.size import Size
from nlp.studies.training import Curve, recurrent_weight, spectral_radius, start, train
from nlp.studies.vanishing import study_vanishing
from nlp.studies.weights import STRENGTHS, PenalisedRNN, study_weights
from nlp.tasks import task_of
from nlp.text import Corpus, Prepared
from nlp.training.events import Epoch

SMALL: dict[str, Any] = {"level": "char", "tokens": 1200, "hidden": 6, "epochs": 2, "bptt": 5, "batch_size": 10}
SIZE = Size(**SMALL)


def corpus() -> Corpus:
    """One sentence again and again."""
    return Corpus.of_texts("pattern", "a sentence repeated", train=PATTERN * 60, valid=PATTERN * 8)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    """The pattern's characters, cut to size."""
    return read_text(corpus(), SIZE)


def stopping_after(trainings: int) -> Any:
    """An `Ask` that says no once it is asked about another training than the first so many."""
    seen: list[str] = []

    def ask(what: str, share: float) -> bool:
        assert 0 <= share <= 1
        if what not in seen:
            seen.append(what)
        return len(seen) <= trainings

    return ask


# ---- the text and the training --------------------------------------------------------------------------------------


def test_the_text_is_cut_to_size_and_lies_in_memory(prepared: Prepared) -> None:
    assert len(prepared.ids["train"]) == 1200
    assert len(prepared.ids["valid"]) == 8 * len(PATTERN) + 1 < VALID_TOKENS
    assert not any(isinstance(ids, np.memmap) for ids in prepared.ids.values())
    long = read_text(corpus(), replace(SIZE, tokens=10**9))
    assert len(long.ids["train"]) == 60 * len(PATTERN)
    assert_array_equal(long.ids["train"][:1200], prepared.ids["train"])


def test_a_curve_is_what_the_trainer_reports(prepared: Prepared) -> None:
    config = SIZE.config(lr=0.01)
    trainer, model = start(config, prepared)
    curve = train("one", trainer, config, prepared, lambda share: True)
    again, _ = start(config, prepared)
    epochs = [one for one in again.train(*task_of(config).windows(config, prepared)) if isinstance(one, Epoch)]
    assert curve.valid_losses == [one.valid_loss for one in epochs]
    assert curve.train_losses == [one.train_loss for one in epochs]
    assert curve.valid_updates == [24, 48]
    assert curve.updates == [10, 20, 24, 30, 40, 48]
    assert len(curve.losses) == len(curve.norms) == len(curve.radii) == 6
    assert curve.radii[-1] == spectral_radius(recurrent_weight(model))
    assert curve.best == math.exp(min(curve.valid_losses))
    assert curve.last == math.exp(curve.valid_losses[-1])
    assert not curve.stopped
    assert not curve.broke


def test_a_training_that_is_stopped_or_breaks_says_so(prepared: Prepared) -> None:
    config = SIZE.config(lr=0.01)
    shares: list[float] = []

    def going(share: float) -> bool:
        shares.append(share)
        return share < 0.6

    curve = train("one", start(config, prepared)[0], config, prepared, going)
    assert curve.stopped
    assert len(curve.valid_losses) == 1
    assert shares == sorted(shares)
    assert shares[-1] >= 0.6
    broken = SIZE.config(optimizer="sgd", lr=1e38, clip=0)
    curve = train("one", start(broken, prepared)[0], broken, prepared, lambda share: True)
    assert "training broke off" in curve.broke
    assert not curve.stopped
    assert curve.last == math.inf


# ---- each study -----------------------------------------------------------------------------------------------------


def test_vanishing_measures_every_cell_before_and_after_and_every_radius(prepared: Prepared) -> None:
    study = study_vanishing(prepared, SIZE, radii=(0.5, 1.5), lags=3)
    parts = [("rnn", "h"), ("irnn", "h"), ("gru", "h"), ("lstm", "h"), ("lstm", "c")]
    assert [(one.name, one.of) for one in study.fresh] == parts
    assert [(one.name, one.of) for one in study.trained] == parts
    assert all(len(one.mean) == 4 for one in (*study.fresh, *study.trained, *study.scaled))
    assert all(before.mean != after.mean for before, after in zip(study.fresh, study.trained))
    narrow, wide = study.scaled
    assert narrow.factor < wide.factor  # by the radius of W_h alone
    assert narrow.mean[0] == pytest.approx(wide.mean[0], rel=0.2)
    headings, rows = study.table()
    assert {len(row) for row in rows} == {len(headings)}
    assert len(rows) == 12


def test_a_study_comes_out_the_same_again_and_otherwise_with_another_seed(prepared: Prepared) -> None:
    first, again = (study_vanishing(prepared, SIZE, cells=["lstm"], radii=[1.0], lags=2) for _ in range(2))
    assert (first.fresh, first.scaled, first.trained) == (again.fresh, again.scaled, again.trained)
    other = study_vanishing(prepared, replace(SIZE, seed=2), cells=["lstm"], radii=[1.0], lags=2)
    assert other.fresh != first.fresh


def test_clipping_changes_nothing_where_no_gradient_is_long_and_bounds_what_is(prepared: Prepared) -> None:
    size = replace(SIZE, epochs=4)
    study = study_exploding(prepared, size, lr=20.0, clips=(0.0, 1e6, 0.05))
    free, loose, tight = study.curves
    assert [one.name for one in study.curves] == ["no clipping", "clip 1e+06", "clip 0.05"]
    assert free.norms == loose.norms
    assert free.losses == loose.losses
    assert free.norms[0] > 0.05  # before clipping, so that one sees what was clipped
    assert max(free.losses) > 3 * max(tight.losses)
    assert max(free.radii) > 3 * max(tight.radii)


def test_each_optimizer_is_shown_at_its_best_rate(prepared: Prepared) -> None:
    study = study_optimizers(prepared, SIZE, rates={"sgd": (1e-4, 3.0), "adam": (0.02,)})
    assert [(one.optimizer, one.lr) for one in study.trials] == [("sgd", 1e-4), ("sgd", 3.0), ("adam", 0.02)]
    assert [one.lr for one in study.best()] == [3.0, 0.02]
    starts = {one.curve.losses[0] for one in study.trials}
    assert len(starts) == 3  # each moved the weights in its own way
    _, rows = study.table()
    notes = {row[0]: row[-1] for row in rows}
    assert notes == {"sgd": "at an end", "adam": ""}
    assert [row[3] for row in rows] == sorted(one.curve.best for one in study.best())


def test_momentum_is_sgd_with_momentum_and_adamw_decays_weights(prepared: Prepared) -> None:
    rates = {"sgd": (1.0,), "momentum": (1.0,), "adam": (0.02,), "adamw": (0.02,)}
    trials = study_optimizers(prepared, SIZE, rates=rates).trials
    losses = {one.optimizer: one.curve.valid_losses for one in trials}
    assert losses["momentum"] != losses["sgd"]
    assert losses["adamw"] != losses["adam"]
    assert_allclose(losses["adamw"], losses["adam"], rtol=0.05)
    config = SIZE.config(model="lstm", optimizer="sgd", lr=1.0, momentum=0.9)
    alone = train("one", start(config, prepared)[0], config, prepared, lambda share: True)
    assert losses["momentum"] == alone.valid_losses


def test_an_optimizer_that_broke_off_at_every_rate_is_told_as_infinite() -> None:
    study = Optimizers({"sgd": [1.0]}, [Trial("sgd", 1.0, Curve("sgd, rate 1", broke="training broke off"))])
    _, ((_, _, _, ppl, seconds, _),) = study.table()
    assert ppl == math.inf
    assert seconds is None
    study.draw()


def test_dropout_without_any_is_the_plain_training_and_the_others_are_not(prepared: Prepared) -> None:
    study = study_dropout(prepared, SIZE, rate=0.4)
    config = SIZE.config(model="lstm", lr=0.004)
    alone = train("one", start(config, prepared)[0], config, prepared, lambda share: True)
    none, *others = study.curves
    assert none.valid_losses == alone.valid_losses
    assert len({tuple(one.valid_losses) for one in study.curves}) == 5
    assert all(one.train_losses != none.train_losses for one in others)
    _, rows = study.table()
    assert [row[3] for row in rows] == [1 + int(np.argmin(one.valid_losses)) for one in study.curves]


@pytest.mark.parametrize("kind", ["l1", "l2"])
def test_a_penalty_is_on_the_recurrent_weights_alone(kind: str, prepared: Prepared) -> None:
    _, model = start(SIZE.config(), prepared)
    input, target = (
        minigrad.tensor(part) for part in next(iter(task_of(SIZE.config()).windows(SIZE.config(), prepared)[0]))
    )
    penalised = PenalisedRNN(model, **{kind: 0.3})

    def gradients(one: Any) -> tuple[float, float, dict[str, np.ndarray]]:
        model.zero_grad()
        objective, loss, _ = one.objective(input, target)
        objective.backward()
        return objective.item(), loss.item(), {name: it.grad.numpy().copy() for name, it in model.named_parameters()}

    plain, plain_loss, expected = gradients(model)
    objective, loss, found = gradients(penalised)
    weight = recurrent_weight(model)
    assert loss == plain_loss == penalised.loss(input, target)[0].item()
    added = np.abs(weight).sum() if kind == "l1" else (weight**2).sum()
    assert objective == pytest.approx(plain + 0.3 * added, rel=1e-5)
    expected["layers.0.weight_hh_l0"] += 0.3 * (np.sign(weight) if kind == "l1" else 2 * weight)
    for name, gradient in found.items():
        assert_allclose(gradient, expected[name], rtol=1e-5, atol=1e-7, err_msg=name)
    assert_array_equal(penalised(input)[0].detach().numpy(), model(input)[0].detach().numpy())


def test_a_stronger_penalty_leaves_smaller_recurrent_weights(prepared: Prepared) -> None:
    study = study_weights(prepared, replace(SIZE, epochs=4))
    assert [one.kind for one in study.results] == ["none", *["l1"] * 4, *["l2"] * 4]
    (none,) = [one for one in study.results if one.kind == "none"]
    for kind, strengths in STRENGTHS.items():
        norms = [one.norm for one in study.results if one.kind == kind]
        assert len(norms) == len(strengths)
        assert norms == sorted(norms, reverse=True)
        assert norms[-1] < none.norm
    for one in study.results:
        assert one.radius <= one.norm * (1 + 1e-6)  # of any matrix
        assert 0 <= one.small <= 1


# ---- stopped, written, refused --------------------------------------------------------------------------------------

STUDIES: dict[str, tuple[Any, Any]] = {  # and how many trainings are in the result
    "vanishing": (lambda *given: study_vanishing(*given, lags=3), lambda study: len(study.curves)),
    "exploding": (study_exploding, lambda study: len(study.curves)),
    "optimizers": (study_optimizers, lambda study: len(study.trials)),
    "dropout": (study_dropout, lambda study: len(study.curves)),
    "weights": (study_weights, lambda study: len(study.results)),
}


@pytest.mark.parametrize("trainings", [0, 2])
@pytest.mark.parametrize("name", STUDIES)
def test_what_is_done_is_left_when_a_study_is_stopped(
    name: str, trainings: int, prepared: Prepared, tmp_path: Path
) -> None:
    run, count = STUDIES[name]
    study = run(prepared, SIZE, stopping_after(trainings))
    assert count(study) == trainings
    numbers, picture = write(study, name, tmp_path / "new" / "folder", SIZE, prepared)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert json.loads(numbers.read_text(), parse_constant=pytest.fail)["study"] == name
    headings, rows = study.table()
    assert all(len(row) == len(headings) for row in rows)


def test_the_numbers_are_plain_json_whatever_they_are(prepared: Prepared, tmp_path: Path) -> None:
    study = study_exploding(prepared, SIZE, stopping_after(1))
    study.curves[0].norms[:2] = [math.inf, math.nan]
    numbers, _ = write(study, "exploding", tmp_path, SIZE, prepared)
    content = json.loads(numbers.read_text(), parse_constant=pytest.fail)
    assert content["size"] == {**SMALL, "seed": 1}
    assert content["result"]["curves"][0]["norms"][:3] == ["Infinity", "NaN", study.curves[0].norms[2]]
    assert content["text"]["sha256"] == prepared.corpus["sha256"]
    assert isinstance(study, Exploding)


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text(PATTERN * 200, encoding="utf-8")
    return tmp_path / "book.txt"


WORDS = as_words({**SMALL, "epochs": 1})
OWN: dict[str, list[object]] = {
    "vanishing": ["--lags", 3, "--radius", 0.9, "--radius", 1.2],
    "exploding": ["--lr", 2, "--clip", 0, "--clip", 0.5],
    "optimizers": ["--optimizer", "adam", "--optimizer", "sgd", "--model", "gru"],
    "dropout": ["--rate", 0.3],
    "weights": [],
}


@pytest.mark.parametrize("name", OWN)
def test_a_study_from_the_command_line(name: str, text: Path) -> None:
    result = call("study", name, "book.txt", *WORDS, *OWN[name], "--out", "here", "--seed", 5)
    assert result.exit_code == 0, result.output
    content = json.loads(Path("here", f"{name}.json").read_text(), parse_constant=pytest.fail)
    assert content["size"] == {**SMALL, "epochs": 1, "seed": 5}
    assert Path("here", f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert f"the picture is in here{os.sep}{name}.png" in result.stdout
    if name == "vanishing":
        assert content["result"]["lags"] == 3
        assert content["result"]["radii"] == [0.9, 1.2]
    if name == "exploding":
        assert content["result"]["clips"] == [0.0, 0.5]
        assert content["result"]["lr"] == 2
    if name == "optimizers":
        assert list(content["result"]["rates"]) == ["adam", "sgd"]
        assert len([line for line in result.stdout.splitlines() if line.startswith(("adam", "sgd"))]) == 2


@pytest.mark.skipif(os.name != "posix", reason="processes are sent signals")
def test_a_signal_leaves_what_is_done(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def trained(name: str, *given: Any) -> Curve:
        seen.append(name)
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return train(name, *given)

    monkeypatch.setattr("nlp.studies.weights.train", trained)
    result = call("study", "weights", "book.txt", *WORDS)
    assert result.exit_code == 130
    assert result.stderr == "nlp: stopped: the trainings that were not done are left out\n"
    assert len(json.loads(Path("studies/weights.json").read_text())["result"]["results"]) == 2
    assert len(seen) == 3


MISTAKES: dict[str, tuple[list[object], str]] = {
    "too few tokens": (["weights", "--tokens", 10], "--tokens is at least 1,000 in a study, not 10"),
    "no units": (["weights", "--hidden", 0], "--hidden must be at least 1"),
    "an unknown level": (["weights", "--level", "sound"], "--level is one of word, char"),
    "no lags": (["vanishing", "--lags", 0], "--lags is at least 1, not 0"),
    "a radius of 0": (["vanishing", "--lags", 3, "--radius", 0], "a spectral radius is a positive number, not 0"),
    "too many lags": (["vanishing", "--lags", 500], "give a longer text or fewer --lags"),
    "a rate of nothing": (["dropout", "--rate", 0], "--rate is a probability above 0 and below 1, not 0"),
    "a rate of all": (["dropout", "--rate", 1], "--rate is a probability above 0 and below 1, not 1"),
    "a negative clip": (["exploding", "--clip", -1], "--clip must be at least 0"),
    "a learning rate of 0": (["exploding", "--lr", 0], "--lr must be above 0"),
    "an unknown optimizer": (["optimizers", "--optimizer", "adamm"], "not 'adamm' (the nearest is 'adam')"),
    "an unknown model": (["optimizers", "--model", "gpt"], "--model is one of lstm, gru, rnn, irnn in a study"),
    "a model of a window": (["optimizers", "--model", "window"], "lstm, gru, rnn, irnn in a study, not 'window'"),
    "a model that counts": (["optimizers", "--model", "ngram"], "lstm, gru, rnn, irnn in a study, not 'ngram'"),
    "an unknown study": (["vanish"], "vanish"),
    "no such text": (["weights", "nowhere.txt"], "nowhere.txt does not exist"),
    "a file for a folder": (["weights", "--out", "book.txt"], "book.txt"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_one_sentence(name: str, text: Path) -> None:
    (study, *words), message = MISTAKES[name]
    book = [] if "nowhere.txt" in words or study == "vanish" else ["book.txt", *WORDS]
    told_in_one_sentence(["study", study, *book, *words], message)
    assert [path.name for path in text.parent.iterdir()] == ["book.txt"]


@pytest.mark.parametrize("refused", ["a file", "a folder below one", "a folder that takes no files"])
def test_a_folder_that_takes_no_files_is_told_before_anything_is_trained(
    refused: str, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(dir: Path) -> None:
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr("nlp.studies.weights.train", lambda *given: pytest.fail("a model was trained"))
    out = {"a file": "book.txt", "a folder below one": "book.txt/deep"}.get(refused, "new/folder")
    if refused == "a folder that takes no files":
        monkeypatch.setattr("nlp.studies.result.tempfile.TemporaryFile", full)
    said = "cannot be made, for there is a file where a folder is to be: name another"
    if refused == "a folder that takes no files":
        said = "cannot be written (Permission denied)"
    told_in_one_sentence(["study", "weights", "book.txt", *WORDS, "--out", out], f"{Path(out)} {said}")
    assert [path.name for path in text.parent.iterdir()] == ["book.txt"]


def test_python_is_told_the_same(prepared: Prepared) -> None:
    with pytest.raises(NlpError, match="a cell is one of rnn, irnn, gru, lstm, not 'gpt'"):
        study_vanishing(prepared, SIZE, cells=["gpt"])
    with pytest.raises(NlpError, match="a norm to clip at"):
        study_exploding(prepared, SIZE, clips=())
    with pytest.raises(NlpError, match="an optimizer is one of sgd, momentum"):
        chosen_rates(["lbfgs"])
