"""nlp tune: the best of runs as they would be by themselves, and an interrupted search ends as one left alone."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nlp_helpers import PATTERN, TINY, pattern_corpus, random_corpus, same_search, tiny, trials_with_weights

import nlp
import nlp.tuning.search
from nlp.errors import NlpError, NotFiniteError
from nlp.evaluation.compare import summarize
from nlp.run_folder import BEST, RunFolder
from nlp.training.events import Epoch
from nlp.training.experiment import Experiment
from nlp.training.trainer import Trainer
from nlp.tuning.search import CHOSEN, RESULTS, TUNE, Plan, Result, Search, TrialNote, plan

CORPUS = random_corpus(5, length=500)
SMALL = {**TINY, "bptt": 12, "epochs": 4, "patience": 0}
RANGES = {"lr": "0.001..0.05", "hidden": "6..12", "dropout": "0..0.5"}


def small(ranges: dict[str, str] = RANGES, **settings: Any) -> Plan:
    """A plan whose trials train in a blink."""
    options = {name: value for name, value in SMALL.items() if name not in ranges}
    return plan(ranges, **{**options, "tied": False, **settings})


def finish(search: Search) -> Search:
    with search:
        for _ in search.run():
            pass
        search.finish()
    return search


# ---- searching ------------------------------------------------------------------------------------------------------

PLANS = {
    "random": small(trials=4, epochs=2),
    "halving": small(trials=5, epochs=4, eta=2, strategy="halving"),
}


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Curves and waiting for the disk would take longer than all else; the tests of nlp train look at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr("nlp.tasks.language_modelling.draw_curves", lambda folder: None)
        patch.setattr("nlp.training.experiment.events_writer", lambda folder, update: lambda record: None)
        yield


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Search]:
    """Searches that nobody disturbed."""
    folder = tmp_path_factory.mktemp("tune")
    return {name: finish(Search.create(one, CORPUS, folder / name)) for name, one in PLANS.items()}


def alone(planned: Plan, trial: int, epochs: int, folder: Path) -> Experiment:
    """The trial's options trained by themselves."""
    config = tiny(**{**planned.options, **planned.drawn[trial - 1], "epochs": epochs})
    with Experiment.create(config, CORPUS, folder / f"{trial}-{epochs}") as experiment:
        for _ in experiment.train():
            pass
    return experiment


def test_random_search_is_the_best_of_runs_by_themselves(straight: dict[str, Search], tmp_path: Path) -> None:
    search = straight["random"]
    runs = {trial: alone(search.plan, trial, 2, tmp_path) for trial in range(1, 5)}
    losses = {trial: run.trainer.best_loss for trial, run in runs.items()}
    assert {one.trial: one.valid_loss for one in search.results} == losses
    assert [one.trial for one in search.ranking()] == sorted(losses, key=losses.__getitem__)
    best = min(losses, key=losses.__getitem__)
    assert (search.best_run / BEST).read_bytes() == (runs[best].folder.path / BEST).read_bytes()
    assert trials_with_weights(search) == [f"{best:03}"]


def test_halving_goes_on_with_the_best_as_if_they_had_never_paused(straight: dict[str, Search], tmp_path: Path) -> None:
    search = straight["halving"]
    going_on, trained = list(range(1, 6)), []
    for count, epochs in ((2, 1), (1, 2), (1, 4)):
        losses = {trial: alone(search.plan, trial, epochs, tmp_path).trainer.best_loss for trial in going_on}
        trained += [(trial, epochs, losses[trial]) for trial in going_on]
        going_on = sorted(sorted(losses, key=losses.__getitem__)[:count])
    assert [(one.trial, one.epochs, one.valid_loss) for one in search.results] == trained
    assert search.best.trial == going_on[0]
    assert (search.best_run / BEST).read_bytes() == (tmp_path / f"{going_on[0]}-4" / BEST).read_bytes()
    assert trials_with_weights(search) == [f"{going_on[0]:03}"]


def test_the_best_is_an_ordinary_run(straight: dict[str, Search], tmp_path: Path) -> None:
    search = straight["halving"]
    chosen = json.loads((search.folder.path / CHOSEN).read_text())
    assert search.folder.path / chosen["run"] == search.best_run
    assert chosen["options"] == search.best.options
    (summary,) = summarize([search.best_run])
    assert summary.best_valid_loss == search.best.valid_loss
    assert summary.results["test_perplexity"] == chosen["test_perplexity"]
    assert nlp.load(search.best_run).config == search.plan.configs[search.best.trial - 1]
    longer = tmp_path / "longer"
    shutil.copytree(search.best_run, longer)
    with Experiment.resume(longer, epochs=5) as experiment:
        assert [event.epoch for event in experiment.train() if isinstance(event, Epoch)] == [5]


def test_weights_are_never_many_on_the_disk_and_the_best_are_always_there(tmp_path: Path) -> None:
    with Search.create(PLANS["halving"], CORPUS, tmp_path / "search") as search:
        for event in search.run():
            if isinstance(event, Result):
                following = [2, 1, 1][event.rung]
                done = sorted((one for one in search.results if one.rung == event.rung), key=lambda one: one.valid_loss)
                going_on = {f"{one.trial:03}" for one in done[:following]}
                assert going_on <= set(trials_with_weights(search))
                assert len(trials_with_weights(search)) <= [2, 2, 1][event.rung]


@settings(max_examples=6)
@given(
    st.sampled_from(sorted(PLANS)),
    st.lists(st.tuples(st.integers(0, 50), st.booleans(), st.integers(0, 9)), min_size=1, max_size=3),
)
def test_left_anywhere_and_resumed_it_ends_with_the_same_table_and_weights(
    tmp_path_factory: pytest.TempPathFactory,
    straight: dict[str, Search],
    name: str,
    stops: list[tuple[int, bool, int]],
) -> None:
    path = tmp_path_factory.mktemp("resumed") / "search"
    search = Search.create(PLANS[name], CORPUS, path)
    for events_before, saved, then in stops:
        with search:
            events = search.run()
            for _, _ in zip(range(events_before), events, strict=False):
                pass
            if saved:
                search.save()
            for _, _ in zip(range(then), events, strict=False):
                pass
        search = Search.resume(path)
    same_search(finish(search), straight[name])


class ItEndsHereError(Exception):
    """The process ends here."""


@pytest.mark.parametrize(
    ("place", "call"),
    [
        ("link_prepared", 2),
        ("RunFolder.write_config", 3),
        ("RunFolder.write_best", 4),
        ("RunFolder.write_checkpoint", 4),
        ("_write_results", 3),
        ("_write_results", 6),
        ("Search._keep_weights", 6),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_ended_between_two_files_it_ends_with_the_same_table_and_weights(
    place: str, call: int, before: bool, straight: dict[str, Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name = (
        (getattr(nlp.tuning.search, place.split(".")[0]), place.split(".")[1])
        if "." in place
        else (nlp.tuning.search, place)
    )
    real, calls = getattr(owner, name), []

    def crashing(*args: Any, **settings: Any) -> Any:
        calls.append(args)
        if len(calls) == call and before:
            raise ItEndsHereError
        result = real(*args, **settings)
        if len(calls) == call:
            raise ItEndsHereError
        return result

    path = tmp_path / "search"
    with Search.create(PLANS["halving"], CORPUS, path) as search, monkeypatch.context() as patch:
        patch.setattr(owner, name, crashing)
        with pytest.raises(ItEndsHereError):
            list(search.run())
    same_search(finish(Search.resume(path)), straight["halving"])


def test_what_the_user_should_know_of_a_trial_that_goes_on_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "search"
    with Search.create(PLANS["random"], CORPUS, path) as search:
        next(events := search.run())
        search.save()
        events.close()
    monkeypatch.setattr("nlp.training.experiment.versions", lambda: {"numpy": "9.9"})
    with Search.resume(path) as search:
        notes = [event for event in search.run() if isinstance(event, TrialNote)]
    assert [note.trial for note in notes] == [1]  # the others begin, and there is nothing to say of them
    assert notes[0].text.startswith("other versions than before, so the last bits may differ: numpy 9.9")


def test_a_finished_search_is_only_judged_again(straight: dict[str, Search], tmp_path: Path) -> None:
    path = tmp_path / "again"
    shutil.copytree(straight["halving"].folder.path, path)
    search = Search.resume(path)
    assert list(search.run()) == []
    same_search(finish(search), straight["halving"])


def test_one_that_broke_off_while_its_text_was_read_reads_it_again(tmp_path: Path) -> None:
    text = tmp_path / "book.txt"
    text.write_text(PATTERN * 60, encoding="utf-8")
    for name, source in (("files", {"text": [str(text)]}), ("memory", pattern_corpus())):
        Search.create(small(trials=1, epochs=1), source, tmp_path / name).close()
        shutil.rmtree(tmp_path / name / "data")
    assert len(finish(Search.resume(tmp_path / "files")).results) == 1
    with pytest.raises(NlpError, match="broke off before its text was read, which was not in a file"):
        Search.resume(tmp_path / "memory")


# ---- bad days -------------------------------------------------------------------------------------------------------


def test_a_trial_whose_loss_is_not_finite_comes_last_and_stops_nothing(tmp_path: Path) -> None:
    settings = {"optimizer": "sgd", "ranges": {"lr": "0.5,1,1e50"}, "trials": 3}
    for number, strategy in enumerate(("random", "halving")):
        search = finish(Search.create(small(**settings, strategy=strategy), CORPUS, tmp_path / strategy))
        *others, last = search.ranking()
        assert last.options == {"lr": 1e50}
        assert last.broken.startswith("training broke off in update")
        assert (last.valid_loss, last.valid_perplexity, last.epochs) == (None, None, 0)
        assert not any(one.broken for one in others)
        assert len(search.results) == 3 + number


def test_a_broken_trial_goes_no_further(tmp_path: Path) -> None:
    # Beyond float32's range: smaller ones break or not by how the products are summed.
    planned = small({"lr": "1,1e50,1e60,1e70"}, optimizer="sgd", trials=4, epochs=2, eta=2, strategy="halving")
    search = finish(Search.create(planned, CORPUS, tmp_path / "search"))
    assert Counter((one.rung, bool(one.broken)) for one in search.results) == {
        (0, True): 3,
        (0, False): 1,
        (1, False): 1,
    }


def test_trials_are_ranked_by_how_far_they_came_then_whole_ones_then_by_loss() -> None:
    order = [(1, "", 3.0), (1, "nan", 1.0), (0, "", 2.0), (0, "", 2.5), (0, "nan", 1.5), (0, "nan", None)]
    results = [
        Result(trial=number, rung=rung, options={}, valid_loss=loss, epochs=1, seconds=1.0, broken=broken)
        for number, (rung, broken, loss) in enumerate(order)
    ]
    shuffled = [results[place] for place in (3, 0, 5, 2, 4, 1)]
    assert sorted(shuffled, key=lambda one: one.place) == results


def test_where_all_break_the_user_is_told(tmp_path: Path) -> None:
    planned = small({"lr": "1e50,1e60"}, optimizer="sgd", trials=2)
    with Search.create(planned, CORPUS, tmp_path / "search") as search:
        assert len([event for event in search.run() if isinstance(event, Result)]) == 2
        with pytest.raises(
            NlpError, match=r"no trial of .* finite validation loss \(training broke off .*other ranges"
        ):
            search.finish()


@pytest.mark.parametrize("breaking", [1, 2])
def test_one_that_breaks_late_keeps_the_weights_it_had(
    breaking: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or one of those that go on break in the second rung: the best is then one whose weights are still there."""
    planned = small({"lr": "0.001..0.05"}, trials=4, epochs=2, eta=2, strategy="halving")
    real, broken = Trainer.train, []

    def train(self: Trainer, *args: Any) -> Iterator[Any]:
        if self.epoch == 1 and len(broken) < breaking:
            broken.append(self.lr)
            raise NotFiniteError("training broke off: as the test wants it")
        yield from real(self, *args)

    monkeypatch.setattr(Trainer, "train", train)
    search = finish(Search.create(planned, CORPUS, tmp_path / "search"))
    second = [one for one in search.results if one.rung == 1]
    assert sorted(bool(one.broken) for one in second) == [breaking == 2, True]
    assert search.best in second
    assert bool(search.best.broken) == (breaking == 2)
    assert trials_with_weights(search) == [search.best_run.name]
    assert nlp.load(search.best_run)


def test_a_full_disk_is_no_bad_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise NlpError("last.safetensors cannot be written: No space left on device")

    path = tmp_path / "search"
    with Search.create(PLANS["random"], CORPUS, path) as search, monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_checkpoint", full)
        with pytest.raises(NlpError, match="No space left"):
            list(search.run())
    assert not Search.resume(path).results


def test_a_second_process_on_the_same_search_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "search"
    with Search.create(PLANS["random"], CORPUS, path), pytest.raises(NlpError, match="another process"):
        Search.resume(path)
    Search.resume(path).close()  # it is free again


def test_a_text_too_short_for_one_trial_stops_the_search_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(NlpError, match="too short for 400 streams"):
        Search.create(small({"batch_size": "4,400"}, trials=2), CORPUS, tmp_path / "search")
    assert not (tmp_path / "search").exists()


def line(**changes: Any) -> str:
    drawn = PLANS["random"].drawn[0]
    sound = {"trial": 1, "rung": 0, "options": drawn, "valid_loss": 1.0, "epochs": 2, "seconds": 1.0, "broken": ""}
    return json.dumps({**sound, **changes}) + "\n"


DAMAGES: dict[str, tuple[str, str, str]] = {
    "no plan": (TUNE, "", "is damaged"),
    "half a plan": (TUNE, '{"options": {}, "ra', "is damaged"),
    "a list": (TUNE, "[1]", "is damaged"),
    "no text": (TUNE, "{}", "is damaged ('text')"),
    "ranges of another kind": (TUNE, '{"text": null, "options": {}, "ranges": [1]}', "is damaged"),
    "a range that is no text": (TUNE, '{"text": null, "options": {}, "ranges": {"lr": 1}}', "cannot be used"),
    "trials of another kind": (
        TUNE,
        '{"text": null, "options": {}, "ranges": {"lr": "1..2"}, "trials": "9"}',
        "cannot be used: --trials must be a whole number",
    ),
    "something more": (TUNE, '{"text": null, "options": {}, "ranges": {"lr": "1..2"}, "more": 1}', "is damaged"),
    "half a result": (RESULTS, line()[:-9], "is damaged"),
    "no result": (RESULTS, "1\n", "is damaged"),
    "a loss in words": (RESULTS, line(valid_loss="low"), "is damaged"),
    "a trial that is not planned": (RESULTS, line(trial=9), "trial 9 in"),
    "a rung that is not planned": (RESULTS, line(rung=1), "trial 1 in"),
    "other options": (RESULTS, line(options={"lr": 0.1}), f"not one that {TUNE} plans"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_folder_is_refused_in_one_sentence(name: str, straight: dict[str, Search], tmp_path: Path) -> None:
    file, content, said = DAMAGES[name]
    path = tmp_path / "search"
    shutil.copytree(straight["random"].folder.path, path)
    (path / RESULTS).write_text(line())
    Search.resume(path).close()
    (path / file).write_text(content)
    with pytest.raises(NlpError) as caught:
        Search.resume(path)
    assert said in str(caught.value)
    assert str(path / file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_trial_whose_options_were_edited_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "search"
    with Search.create(PLANS["random"], CORPUS, path) as search:
        next(search.run())
    config = path / "trials" / "001" / "config.json"
    config.write_text(config.read_text().replace('"layers": 1', '"layers": 2'))
    with Search.resume(path) as search, pytest.raises(NlpError, match="started with --layers 2, not 1"):
        next(search.run())
