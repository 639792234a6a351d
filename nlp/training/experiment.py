"""One training run from a text to a finished run folder: what `nlp train` does, for Python too.

    experiment = Experiment.create(Config.choose(hidden=300), {"text": ["book.txt"]}, out="runs/book")
    for event in experiment.train():
        print(event)
    results = experiment.finish()

and after a crash, or to train longer,

    experiment = Experiment.resume("runs/book", epochs=20)
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import minigrad
from nlp.errors import NlpError, NotFiniteError
from nlp.run_folder import CONFIG, METRICS, RunFolder, StrPath
from nlp.tasks import expect_device, task_of
from nlp.text import Corpus, load_corpus
from nlp.text.prepare import DATA, Prepared, is_prepared, link_prepared, load_prepared, prepare
from nlp.training.events import Epoch, Step, Tick
from nlp.training.tensorboard import events_writer
from nlp.versions import versions

__all__ = ["Experiment", "Note", "corpus_and_sources", "prepare_text", "use_threads"]

ASIDE = ".data"  # where a text is read again
Note = Callable[[str, float], None]


class Experiment:
    """A run folder with everything made ready to train: text as ids, vocabulary, model and trainer.

    `create` begins a run, `resume` goes on with one. The folder belongs to this process until `close`, which a `with`
    block does. Seeds minigrad's random generator, so that equal configurations, texts, versions and thread counts give
    equal weights, with interruptions or without.
    """

    def __init__(self, config: Any, prepared: Prepared, folder: RunFolder) -> None:
        self.config, self.prepared, self.folder = config, prepared, folder
        self.vocabulary, self.corpus = prepared.vocabulary, prepared.corpus
        self.task = task_of(config)
        self.train_windows, self.valid_windows = self.task.windows(config, prepared)
        self.trainer = self.task.make_trainer(config, prepared.vocabulary)
        self.model = self.trainer.model
        self.notes: list[str] = []  # what the user should know of a run that goes on
        self._held = ExitStack()

    @classmethod
    def create(
        cls,
        config: Any,
        text: Mapping[str, Any] | Corpus | None = None,
        out: StrPath | None = None,
        note: Note | None = None,
    ) -> Experiment:
        """Begin a run in a new folder (see `RunFolder.create`) on the files that `text` names, as `load_corpus` takes
        them, or on a corpus in memory; with none, on the default corpus. `note(what, share)` is told how the reading of
        the text goes.

        Raises NlpError for a text that cannot be read or is too short, and for a device that is not there.
        """
        expect_device(config.device)
        corpus, sources = corpus_and_sources(text)
        use_threads(config.threads)
        folder = RunFolder.create(out, corpus.name)
        with ExitStack() as held:
            held.enter_context(folder.locked())
            try:
                folder.write_config(config, sources)
                prepared = prepare_text(corpus, folder.path, config, note)
                folder.write_config(config, sources, prepared)
                experiment = cls(config, prepared, folder)
            except BaseException:  # nothing was trained yet: leave no folder that cannot be used
                folder.discard()
                raise
            experiment._held = held.pop_all()
        return experiment

    @classmethod
    def resume(cls, run: StrPath, note: Note | None = None, **options: Any) -> Experiment:
        """Go on with the run where its last checkpoint was made, or from its beginning where there is none.

        Of the options, only those in its `CHANGEABLE` may differ from the run's. Raises NlpError for others, for
        a run that another process has, and for a folder with a file missing or damaged.
        """
        folder = RunFolder.open(run)
        config = folder.read_config().going_on(str(run), options)
        expect_device(config.device)
        use_threads(config.threads)
        with ExitStack() as held:
            held.enter_context(folder.locked())
            sources = folder.read_text_sources()
            checkpoint = folder.read_checkpoint(config.device)
            if checkpoint is None and folder.has_results():
                raise NlpError(
                    f"{run} has results but no checkpoint to go on from: use it as it is, or start a new run with "
                    f"--config {folder.path / CONFIG}"
                )
            gone = checkpoint is not None and not is_prepared(folder.path)
            prepared = _text_of(folder, config, trained=checkpoint is not None, note=note)
            if checkpoint is not None:
                folder.check_vocabulary(prepared.vocabulary)
            experiment = cls(config, prepared, folder)
            experiment._go_on(checkpoint)
            if gone:
                experiment.notes.append("the run's data was gone, so the text was read again")
            folder.write_config(config, sources, prepared)
            experiment._held = held.pop_all()
        return experiment

    def _go_on(self, checkpoint: dict[str, Any] | None) -> None:
        if checkpoint is None:
            self.folder.keep_metrics(0)
            self.notes.append("there was no checkpoint yet, so training starts from the beginning")
            return
        try:
            self.trainer.load_state_dict(checkpoint["trainer"])
        except (KeyError, ValueError, RuntimeError, TypeError, AttributeError, IndexError) as error:
            raise self.folder.refuse_checkpoint(error) from error
        if not self.folder.keep_metrics(checkpoint["metrics"]):
            self.notes.append(f"{METRICS} lacks lines from before the checkpoint")
        changed = [
            f"{name} {now} (was {checkpoint['versions'].get(name)})"
            for name, now in versions().items()
            if checkpoint["versions"].get(name) != now
        ]
        if changed:
            self.notes.append(f"other versions than before, so the last bits may differ: {', '.join(changed)}")
        if self.trainer.best:
            self.folder.write_best(self.trainer.best)

    def close(self) -> None:
        """Give the folder free for other processes."""
        self._held.close()

    def __enter__(self) -> Experiment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- training ---------------------------------------------------------------------------------------------------

    def train(self) -> Iterator[Tick | Step | Epoch]:
        """Train to the end, passing on what the trainer yields; everything worth keeping is in the folder at once.

        A checkpoint is made at the beginning, after every epoch and, in between, every `checkpoint_minutes`; `save`
        makes one at any time. Whoever stops listening can go on later from the last one.
        """
        log_event = events_writer(self.folder.path, self.trainer.update)
        if not self.folder.has_checkpoint():
            self.save()  # from now on there always is one
        saved = time.monotonic()
        for event in self._events():
            if isinstance(event, Step | Epoch):
                record = {"kind": type(event).__name__.lower(), **asdict(event)}
                self.folder.append_metrics(record)
                log_event(record)
            if isinstance(event, Epoch) and event.improved:
                self.folder.write_best(self.trainer.best)
            if isinstance(event, Epoch) or time.monotonic() - saved > 60 * self.config.checkpoint_minutes:
                self.save()
                saved = time.monotonic()
            yield event

    def _events(self) -> Iterator[Tick | Step | Epoch]:
        try:
            yield from self.trainer.train(self.train_windows, self.valid_windows)
        except NotFiniteError as error:
            path = self.folder.path
            kept = f"; {path} keeps the checkpoint from before" if self.folder.has_checkpoint() else ""
            if kept and self.trainer.clip is not None:
                kept += f": nlp train --resume {path} --clip {self.config.clip / 2 or 1.0:g}"
            raise NotFiniteError(f"{error}{kept}") from error

    def save(self) -> None:
        """Make a checkpoint of where training stands."""
        self.folder.write_checkpoint(self.trainer.state_dict())

    def finish(self) -> Any:
        """Judge the best weights and leave the results in the folder: see `Task.finish`."""
        if self.trainer.best:
            self.model.load_state_dict(self.trainer.best)
        return self.task.finish(self)


def corpus_and_sources(text: Mapping[str, Any] | Corpus | None) -> tuple[Corpus, dict[str, Any] | None]:
    """The corpus of these files, and the files as a run remembers them: by absolute paths, so that it can be gone on
    with from another place; None for a corpus in memory."""
    if isinstance(text, Corpus):
        return text, None
    if not isinstance(text, Mapping | None):
        raise NlpError(
            f'the text is named by a dict such as {{"text": ["book.txt"]}}, or is a Corpus, not {text!r:.60}'
        )
    given = {name: files for name, files in (text or {}).items() if files not in (None, [], ())}
    return load_corpus(**given), {
        name: files
        if name == "field"
        else os.path.abspath(files)
        if isinstance(files, str | os.PathLike)
        else [os.path.abspath(one) for one in files]
        for name, files in given.items()
    }


def _text_of(folder: RunFolder, config: Any, *, trained: bool, note: Note | None) -> Prepared:
    """The text of a run that goes on, read from its files once more where it is not there prepared.

    If the run is `trained` already, the text must give the vocabulary that it was trained with; until that is known,
    nothing of the run is touched.
    """
    if is_prepared(folder.path):
        return load_prepared(folder.path)
    sources = folder.read_text_sources()
    if sources is None and trained:
        raise NlpError(f"{folder.path / DATA} is gone, and the run's text was not in a file: start a new run")
    if sources is None:
        raise NlpError(f"{folder.path} broke off before its text was read, which was not in a file: start it anew")
    if not trained:
        return prepare_text(load_corpus(**sources), folder.path, config, note)
    aside = folder.path / ASIDE
    try:
        prepared = prepare_text(load_corpus(**sources), aside, config, note)
        if not folder.was_trained_with(prepared.vocabulary):
            raise NlpError(f"the text of {folder.path} is not what it was trained on any more: put that text back")
        link_prepared(aside, folder.path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return load_prepared(folder.path)


def prepare_text(corpus: Corpus, folder: Path, config: Any, note: Note | None = None) -> Prepared:
    """The corpus as the configuration has it cut up and counted, its ids in files in `folder`."""
    return prepare(
        corpus,
        folder,
        level=config.level,
        lowercase=config.lowercase,
        min_count=config.min_count,
        vocab_size=config.vocab_size,
        note=note,
    )


def use_threads(count: int | None) -> None:
    """Compute with `count` threads: minigrad's kernels, and the library behind NumPy's matrix products. None: all."""
    if count is not None:
        from threadpoolctl import threadpool_limits  # NumPy itself has no way to say it

        minigrad.set_num_threads(count)
        threadpool_limits(count, user_api="blas")
