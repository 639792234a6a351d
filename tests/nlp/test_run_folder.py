"""A run folder: what is written comes back, nothing is overwritten, and what is missing or damaged is named."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nlp_helpers import char_vocabulary, pattern_corpus, tiny

import minigrad
import nlp
import nlp.disk
from nlp.errors import NlpError
from nlp.run_folder import BEST, CHOSEN, CONFIG, CURVES, LAST, LOCK, METRICS, SAMPLE, TUNE, VOCABULARY, RunFolder
from nlp.tasks.language_modelling import sample
from nlp.text import UNK
from nlp.training.curves import draw_curves
from nlp.training.experiment import Experiment


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Experiment]:
    out = tmp_path_factory.mktemp("runs") / "one"
    with Experiment.create(tiny(tied=True, layers=2), pattern_corpus(), out) as experiment:
        list(experiment.train())
        experiment.finish()
    return experiment.folder, experiment


@pytest.fixture
def copy(finished: tuple[RunFolder, Experiment], tmp_path: Path) -> Path:
    """The finished folder's files in a folder of its own, to be damaged."""
    return Path(shutil.copytree(finished[0].path, tmp_path / "copy"))


def test_everything_is_there_and_nothing_else(finished: tuple[RunFolder, Experiment]) -> None:
    names = {file.name for file in finished[0].path.iterdir()} - {"tensorboard"}  # there if its library is
    assert names == {CONFIG, VOCABULARY, BEST, LAST, METRICS, CURVES, SAMPLE, LOCK, "data"}


def test_what_is_loaded_is_what_was_trained(finished: tuple[RunFolder, Experiment]) -> None:
    folder, experiment = finished
    language_model = nlp.load(folder.path)
    assert not language_model.model.training
    assert language_model.vocabulary == experiment.vocabulary
    assert language_model.tokenizer.settings() == experiment.prepared.tokenizer.settings()
    assert language_model.config == experiment.config
    assert set(language_model.model.state_dict()) == set(experiment.trainer.best)
    for name, value in language_model.model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), experiment.trainer.best[name].numpy())
    assert language_model.model.decoder.weight is language_model.model.embedding.weight


def test_the_weights_are_an_ordinary_safetensors_file(finished: tuple[RunFolder, Experiment]) -> None:
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    from safetensors.torch import load_file

    weights = load_file(finished[0].path / BEST)
    lstm = torch.nn.LSTM(12, 12)
    for layer in ("layers.0.", "layers.1."):
        lstm.load_state_dict({n.removeprefix(layer): w for n, w in weights.items() if n.startswith(layer)})


def test_the_metrics_and_the_sample_say_what_happened(finished: tuple[RunFolder, Experiment]) -> None:
    folder, experiment = finished
    *events, results = folder.metrics()
    assert [event["epoch"] for event in events if event["kind"] == "epoch"] == [1, 2]
    assert min(event["valid_loss"] for event in events if event["kind"] == "epoch") == experiment.trainer.best_loss
    assert results["kind"] == "results"
    assert results["test_perplexity"] < results["test_unigram_perplexity"]
    written = (folder.path / SAMPLE).read_text(encoding="utf-8")
    assert written == sample(nlp.load(folder.path)) + "\n"
    config = json.loads((folder.path / CONFIG).read_text(encoding="utf-8"))
    assert config["versions"]["numpy"] == np.__version__
    assert (folder.path / CURVES).read_bytes().startswith(b"\x89PNG")


def test_the_curves_can_be_drawn_of_a_run_that_was_stopped(copy: Path) -> None:
    (copy / CURVES).unlink()
    lines = (copy / METRICS).read_text().splitlines()
    (copy / METRICS).write_text("\n".join(lines[:1]) + "\n")  # one step, no epoch, no results
    draw_curves(RunFolder.open(copy))
    assert (copy / CURVES).stat().st_size > 1000


def test_folders_are_numbered_and_none_is_used_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = [RunFolder.create(None, "book").path for _ in range(3)]
    assert made == [Path("runs/book-1"), Path("runs/book-2"), Path("runs/book-3")]
    assert RunFolder.create(None, "other").path == Path("runs/other-1")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(NlpError, match="is not empty"):
        RunFolder.create(tmp_path, "book")
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(NlpError, match="cannot be made"):
        RunFolder.create(tmp_path / "thesis.txt", "book")
    assert RunFolder.create(tmp_path / "new" / "deep", "book").path.is_dir()


@pytest.mark.parametrize("name", [CONFIG, VOCABULARY, BEST])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / LAST).unlink()
    (copy / name).unlink()
    with pytest.raises(NlpError, match=f"has no {name}"):
        nlp.load(copy)


def test_before_the_first_epoch_is_over_the_checkpoint_s_weights_are_loaded(tmp_path: Path) -> None:
    with Experiment.create(tiny(), pattern_corpus(), tmp_path / "run") as experiment:
        next(experiment.train())
        experiment.save()
        now = experiment.model.state_dict()
        for name, value in nlp.load(tmp_path / "run").model.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), now[name].numpy())


def edited(copy: Path, name: str, change: object) -> None:
    content = json.loads((copy / name).read_text())
    change(content)  # type: ignore[operator]
    (copy / name).write_text(json.dumps(content))


DAMAGE = {
    "config half written": (lambda path: (path / CONFIG).write_text('{"options": {'), "is not JSON"),
    "config a list": (lambda path: (path / CONFIG).write_text("[1]"), "not a JSON object"),
    "config empty": (lambda path: (path / CONFIG).write_text("{}"), "'options' is missing"),
    "config of bytes": (lambda path: (path / CONFIG).write_bytes(b"\xff\xfe\x00"), "cannot be read"),
    "options no object": (lambda path: edited(path, CONFIG, lambda c: c.update(options=3)), "cannot be used|missing"),
    "an option unknown": (lambda path: edited(path, CONFIG, lambda c: c["options"].update(magic=1)), "'magic'"),
    "an option wrong": (
        lambda path: edited(path, CONFIG, lambda c: c["options"].update(hidden=-3)),
        "--hidden must be",
    ),
    "a level unknown": (lambda path: edited(path, CONFIG, lambda c: c["tokenizer"].update(level="sound")), "sound"),
    "a setting unknown": (lambda path: edited(path, CONFIG, lambda c: c["tokenizer"].update(x=1)), "cannot be made"),
    "vocabulary half written": (lambda path: (path / VOCABULARY).write_text('{"tokens"'), "not JSON"),
    "vocabulary of another": (
        lambda path: (path / VOCABULARY).write_text(char_vocabulary("abc").to_json()),
        "is not the vocabulary",
    ),
    "weights cut off": (lambda path: (path / BEST).write_bytes((path / BEST).read_bytes()[:-40]), "is damaged"),
    "weights of a text": (lambda path: (path / BEST).write_text("once upon a time"), "is damaged"),
    "weights a list": (lambda path: minigrad.save([minigrad.ones(2)], path / BEST), "does not fit"),
    "weights of another": (
        lambda path: edited(path, CONFIG, lambda c: c["options"].update(hidden=13, embedding=13)),
        "does not fit",
    ),
    "weights of another cell": (lambda path: edited(path, CONFIG, lambda c: c["options"].update(model="gru")), "fit"),
}


@pytest.mark.parametrize("name", sorted(DAMAGE))
def test_damage_is_told_in_one_sentence(copy: Path, name: str) -> None:
    damage, message = DAMAGE[name]
    damage(copy)
    with pytest.raises(NlpError, match=message) as caught:
        nlp.load(copy)
    assert "\n" not in str(caught.value)
    assert str(copy) in str(caught.value)


def test_no_folder_and_no_device(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(NlpError, match="does not exist"):
        nlp.load(tmp_path / "nowhere")
    with pytest.raises(NlpError, match="is a file, not a run folder"):
        nlp.load(copy / CONFIG)
    with pytest.raises(NlpError, match="--device warp"):
        nlp.load(copy, device="warp")


def test_what_training_does_not_know_is_unknown_after_loading(finished: tuple[RunFolder, Experiment]) -> None:
    vocabulary = nlp.load(finished[0].path).vocabulary
    assert vocabulary.id_of("zebra") == vocabulary.id_of(UNK) == vocabulary.unk_id


def test_best_weights_of_another_run_are_told_apart_by_more_than_their_shapes(copy: Path, tmp_path: Path) -> None:
    with Experiment.create(tiny(tied=True, layers=2, seed=9), pattern_corpus(), tmp_path / "other") as experiment:
        list(experiment.train())
    own = (copy / BEST).read_bytes()
    for content in (minigrad.load(tmp_path / "other" / BEST), nlp.load(copy).model.state_dict()):
        minigrad.save(content, copy / BEST)
        with pytest.raises(NlpError, match=r"best\.safetensors does not hold the weights of this run") as caught:
            nlp.load(copy)
        assert f"nlp train --resume {copy}" in str(caught.value)
    Experiment.resume(copy).close()  # puts its own back
    assert (copy / BEST).read_bytes() == own


def test_a_folder_of_nlp_tune_names_the_run_to_take(tmp_path: Path) -> None:
    (tmp_path / TUNE).write_text("{}")
    for content in (None, "{", "[]", '{"run": 3}'):
        if content is not None:
            (tmp_path / CHOSEN).write_text(content)
        with pytest.raises(NlpError, match=rf"is a folder of nlp tune, not .* nlp tune --resume {tmp_path}, which"):
            nlp.load(tmp_path)
    (tmp_path / CHOSEN).write_text('{"run": "trials/007"}')
    with pytest.raises(NlpError, match=rf"give {tmp_path / 'trials' / '007'}, the run of its best trial"):
        Experiment.resume(tmp_path)


def test_half_written_files_are_called_alike_whoever_writes_them() -> None:
    assert minigrad.io.TEMPORARY == nlp.disk.TEMPORARY  # what is left of them is removed by this ending


def test_configuration_and_vocabulary_are_read_once(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, read = Path.read_text, Counter[str]()

    def counting(path: Path, *args: Any, **settings: Any) -> str:
        read[path.name] += 1
        return real(path, *args, **settings)

    monkeypatch.setattr(Path, "read_text", counting)
    nlp.load(copy)
    assert (read[CONFIG], read[VOCABULARY]) == (1, 1)
    read.clear()
    with Experiment.resume(copy) as experiment:
        experiment.save()
    assert (read[CONFIG], read[VOCABULARY]) == (2, 1)  # once more when the folder is this process's alone
