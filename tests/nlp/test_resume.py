"""Nothing is lost: a run that was stopped, killed or met a full disk goes on to the bytes of one left alone."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nlp_helpers import PATTERN, TINY, as_words, call, finish, random_corpus, same_run, tiny

import minigrad
import nlp
from nlp.config import Config
from nlp.errors import NlpError
from nlp.run_folder import BEST, CONFIG, LAST, METRICS, VOCABULARY, RunFolder
from nlp.training.events import Epoch
from nlp.training.experiment import Experiment

OPTIONS = {"dropout": 0.4, "layers": 2, "epochs": 3, "weight_drop": 0.2, "tied": False, "bptt_drawn": True}
CORPUS = random_corpus(3)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbed."""
    out = tmp_path_factory.mktemp("resume") / "straight"
    finish(Experiment.create(tiny(**OPTIONS), CORPUS, out))
    return out


@settings(max_examples=8)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), min_size=1, max_size=3))
def test_left_anywhere_and_resumed_it_leaves_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, straight: Path, stops: list[tuple[int, int]]
) -> None:
    run = tmp_path_factory.mktemp("resumed") / "run"
    experiment = Experiment.create(tiny(**OPTIONS), CORPUS, run)
    for saved_after, then in stops:  # what came after the last checkpoint is done again
        with experiment:
            events = experiment.train()
            for _, _ in zip(range(saved_after), events, strict=False):
                pass
            experiment.save()
            for _, _ in zip(range(then), events, strict=False):
                pass
        experiment = Experiment.resume(run)
    finish(experiment)
    same_run(run, straight)


def test_a_finished_run_can_be_trained_longer_as_if_that_had_been_asked_for(tmp_path: Path, straight: Path) -> None:
    longer = tmp_path / "longer"
    shutil.copytree(straight, longer)
    finish(Experiment.resume(longer, epochs=5))
    finish(Experiment.create(tiny(**{**OPTIONS, "epochs": 5}), CORPUS, tmp_path / "asked"))
    same_run(longer, tmp_path / "asked")
    assert RunFolder.open(longer).read_config().epochs == 5


def test_resuming_a_finished_run_only_judges_it_again(tmp_path: Path, straight: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(straight, again)
    experiment = Experiment.resume(again)
    assert list(experiment.train()) == []
    finish(experiment)
    same_run(again, straight)


def test_a_run_that_broke_off_before_its_first_checkpoint_begins_again(tmp_path: Path, straight: Path) -> None:
    run = tmp_path / "run"
    Experiment.create(tiny(**OPTIONS), CORPUS, run).close()
    with Experiment.resume(run) as experiment:
        assert any("no checkpoint yet" in note for note in experiment.notes)
        finish(experiment)
    same_run(run, straight)


def test_a_run_that_broke_off_while_its_text_was_read_reads_it_again_from_wherever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "book.txt"
    text.write_text(PATTERN * 60, encoding="utf-8")
    run = tmp_path / "run"
    monkeypatch.chdir(tmp_path)
    Experiment.create(tiny(epochs=1), {"text": [Path("book.txt")]}, run).close()
    shutil.rmtree(run / "data")
    monkeypatch.chdir("/")
    experiment = Experiment.resume(run)
    assert len(experiment.vocabulary) == 13  # the sentence's words, <unk> and <eos>
    finish(experiment)
    Experiment.create(tiny(epochs=1), CORPUS, tmp_path / "memory").close()
    shutil.rmtree(tmp_path / "memory" / "data")
    with pytest.raises(NlpError, match="broke off before its text was read, which was not in a file"):
        Experiment.resume(tmp_path / "memory")


def test_another_configuration_is_refused_with_the_difference(tmp_path: Path, straight: Path) -> None:
    with pytest.raises(NlpError, match=r"was started with --hidden 12, not 13; --dropout 0\.4, not 0\.1"):
        Experiment.resume(straight, hidden=13, dropout=0.1)
    assert Config.choose(file=straight / CONFIG) == RunFolder.open(straight).read_config()


def test_a_second_process_on_the_same_run_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Experiment.create(tiny(), CORPUS, run):
        program = "import sys\nfrom nlp.training.experiment import Experiment\nExperiment.resume(sys.argv[1])"
        other = subprocess.run([sys.executable, "-c", program, str(run)], capture_output=True, text=True, check=False)
        assert "another process is training in" in other.stderr
    Experiment.resume(run).close()  # it is free again


def test_what_is_refused_is_left_as_it_was(tmp_path: Path, straight: Path) -> None:
    other = tmp_path / "other"
    finish(Experiment.create(tiny(**OPTIONS, seed=9), CORPUS, other))
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    shutil.copy(other / LAST, run / LAST)
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    with pytest.raises(NlpError, match=r"last\.safetensors is the checkpoint of another run"):
        Experiment.resume(run, epochs=5)
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_a_run_with_results_and_no_checkpoint_is_not_begun_anew(tmp_path: Path, straight: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    (run / LAST).unlink()
    best = (run / BEST).read_bytes()
    with pytest.raises(NlpError, match="has results but no checkpoint to go on from"):
        Experiment.resume(run)
    assert (run / BEST).read_bytes() == best


def test_another_run_s_vocabulary_is_refused(tmp_path: Path, straight: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    content = json.loads((run / VOCABULARY).read_text())
    content["tokens"][-1], content["tokens"][-2] = content["tokens"][-2], content["tokens"][-1]
    (run / VOCABULARY).write_text(json.dumps(content))
    for use in (nlp.load, Experiment.resume):
        with pytest.raises(NlpError, match="is not the vocabulary that this run was trained with"):
            use(run)


def test_metrics_that_lost_lines_are_cut_at_a_line_end_and_training_goes_on(tmp_path: Path, straight: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    os.truncate(run / METRICS, 700)
    with Experiment.resume(run, epochs=4) as experiment:
        assert any("lacks lines" in note for note in experiment.notes)
        finish(experiment)
    assert list(RunFolder.open(run).metrics())[-1]["kind"] == "results"


def test_without_the_best_weights_file_the_checkpoint_s_best_are_loaded(tmp_path: Path, straight: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    (run / BEST).unlink()
    best = nlp.load(straight).model.state_dict()
    for name, value in nlp.load(run).model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), best[name].numpy())


def test_data_that_is_gone_is_read_again_if_the_text_is_still_the_same_run(text: Path, tmp_path: Path) -> None:
    run, quiet = tmp_path / "run", tmp_path / "quiet"
    finish(Experiment.create(tiny(epochs=3), {"text": [text]}, quiet))
    finish(Experiment.create(tiny(epochs=1), {"text": [text]}, run))
    shutil.rmtree(run / "data")
    content = text.read_bytes()
    text.write_text(PATTERN * 60, encoding="utf-8")
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    with pytest.raises(NlpError, match=r"the text of .* is not what it was trained on any more: put that text back"):
        Experiment.resume(run, epochs=3)
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
    text.write_bytes(content)
    experiment = Experiment.resume(run, epochs=3)
    assert experiment.notes == ["the run's data was gone, so the text was read again"]
    finish(experiment)
    same_run(run, quiet)


def spoil_last(content: Any) -> Any:
    return lambda run: minigrad.save(content, run / LAST)


def edit_trainer(change: Any) -> Any:
    def spoil(run: Path) -> None:
        content = minigrad.load(run / LAST)
        change(content["trainer"])
        minigrad.save(content, run / LAST)

    return spoil


BAD_CHECKPOINTS = {
    "cut off": (lambda run: (run / LAST).write_bytes((run / LAST).read_bytes()[:-9]), "is damaged"),
    "cut off early": (lambda run: (run / LAST).write_bytes((run / LAST).read_bytes()[:5]), "is damaged"),
    "empty": (lambda run: (run / LAST).write_bytes(b""), "is damaged"),
    "a text": (lambda run: (run / LAST).write_text("not at all"), "is damaged"),
    "weights alone": (lambda run: shutil.copy(run / BEST, run / LAST), "is no checkpoint of nlp train"),
    "a list": (spoil_last([1, 2]), "is no checkpoint of nlp train"),
    "without an optimizer": (edit_trainer(lambda trainer: trainer.pop("optimizer")), "does not fit"),
    "of another shape": (
        edit_trainer(lambda trainer: trainer["model"].update({"decoder.bias": minigrad.zeros(3)})),
        "does not fit",
    ),
    "data gone": (lambda run: shutil.rmtree(run / "data"), "data is gone, and the run's text was not in a file"),
    "data cut off": (
        lambda run: (run / "data" / "train.npy").write_bytes((run / "data" / "train.npy").read_bytes()[:-4]),
        "train.npy",
    ),
}


@pytest.mark.parametrize("name", sorted(BAD_CHECKPOINTS))
def test_a_bad_checkpoint_is_refused_in_one_sentence(name: str, tmp_path: Path, straight: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    spoil, said = BAD_CHECKPOINTS[name]
    spoil(run)
    with pytest.raises(NlpError, match=said) as caught:
        Experiment.resume(run)
    assert "\n" not in str(caught.value)
    assert str(run) in str(caught.value)
    with pytest.raises(NlpError, match=said):  # and the lock was given back: the same sentence again
        Experiment.resume(run)


def test_a_full_disk_loses_nothing_and_says_so(tmp_path: Path, straight: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    experiment = Experiment.create(tiny(**OPTIONS), CORPUS, run)
    events = experiment.train()
    while not isinstance(next(events), Epoch):
        pass

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("minigrad.io._sync", full)
        with pytest.raises(NlpError, match=r"last\.safetensors cannot be written \(No space left .* is there still"):
            experiment.save()
    experiment.close()
    assert not list(run.glob(".*.tmp"))
    finish(Experiment.resume(run))
    same_run(run, straight)


def test_numbers_that_are_none_lose_nothing_and_training_goes_on_with_smaller_steps(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Experiment.create(tiny(epochs=3, clip=4.0), CORPUS, run) as experiment:
        events = experiment.train()
        while not isinstance(next(events), Epoch):
            pass
        before = (run / LAST).read_bytes()
        with minigrad.no_grad():
            experiment.model.decoder.weight[0] = float("inf")
        with pytest.raises(NlpError, match=rf"broke off in update \d+ .*--resume {run} --clip 2$") as caught:
            list(events)
        assert "\n" not in str(caught.value)
        assert (run / LAST).read_bytes() == before
    finish(Experiment.resume(run, clip=2.0))
    assert [event["epoch"] for event in RunFolder.open(run).metrics() if event["kind"] == "epoch"] == [1, 2, 3]


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("nlp.disk.tempfile.mkstemp", refused)
    with pytest.raises(NlpError, match=r"config\.json cannot be written \(Permission denied\): see that"):
        Experiment.create(tiny(), CORPUS, tmp_path / "run")


# ---- the program itself -------------------------------------------------------------------------------------------

SMALL = as_words(TINY)
posix = pytest.mark.skipif(os.name != "posix", reason="processes are sent signals")


def start(*words: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nlp", "train", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text("".join(CORPUS.parts["train"].pieces()), encoding="utf-8")
    return path


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(number: signal.Signals, text: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start("--text", text, "--out", run, *SMALL, "--epochs", 100_000, "--patience", 0)
    try:
        wait_for(run / BEST, process)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert stderr.decode() == f"nlp: stopped, and everything is saved: go on with nlp train --resume {run}\n"
    lines = list(RunFolder.open(run).metrics())
    checkpoint = minigrad.load(run / LAST)
    assert checkpoint["trainer"]["epoch"] == max(line["epoch"] for line in lines if line["kind"] == "epoch")
    assert nlp.load(run)


@posix
def test_killed_again_and_again_it_comes_to_the_same_bytes(text: Path, tmp_path: Path) -> None:
    options = [*SMALL, "--epochs", 6, "--dropout", 0.3, "--threads", 1, "--checkpoint-minutes", 0.001, "--patience", 0]
    quiet, run = tmp_path / "quiet", tmp_path / "run"
    start("--text", text, "--out", quiet, *options).communicate(timeout=120)
    process = start("--text", text, "--out", run, *options)
    for pause in (0.0, 0.15, 0.3):
        wait_for(run / METRICS, process)
        time.sleep(pause)
        process.kill()
        process.communicate()
        process = start("--resume", run)
    process.communicate(timeout=120)
    assert process.returncode == 0
    same_run(run, quiet)
    assert not list(run.glob(".*.tmp"))


def test_ctrl_c_while_the_result_is_judged_says_how_to_go_on(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(experiment: Experiment) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as context:
        context.setattr(Experiment, "finish", stopped)
        result = call("train", "--text", text, "--out", run, *SMALL)
    assert result.exit_code == 130
    assert result.stderr == f"nlp: stopped; what was trained is saved: nlp train --resume {run} judges it\n"
    assert call("train", "--resume", run).exit_code == 0
    assert list(RunFolder.open(run).metrics())[-1]["kind"] == "results"
