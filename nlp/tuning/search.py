"""Searching for good options: many runs with options drawn at random, the best by validation loss kept.

    search = Search.create(plan({"lr": "0.001..0.01", "hidden": "128,256"}, trials=20), {"text": ["book.txt"]}, "tuned")
    for event in search.run():
        print(event)
    results = search.finish()
    model = nlp.load(search.best_run)

and after a crash `Search.resume("tuned")`. The folder:

    tune.json           what is searched, on what text
    results.jsonl       one JSON object a line: what each trial came to
    best.json           which trial was the best, its options and figures; written at the end
    data/ and so on     the text as token ids, read once for all trials (see nlp.text.prepare)
    trials/001/         a run folder for each trial; only those that are still wanted keep their weights
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nlp.config import Config
from nlp.disk import disk_errors, write_json, write_text
from nlp.errors import NlpError, NotFiniteError
from nlp.evaluation.scoring import perplexity
from nlp.run_folder import BEST, CHOSEN, CONFIG, LAST, TUNE, RunFolder, StrPath
from nlp.tasks import expect_device, task_of
from nlp.tasks.language_modelling import Results
from nlp.text import Corpus, load_corpus
from nlp.text.prepare import Prepared, is_prepared, link_prepared, load_prepared
from nlp.training.events import Epoch, Step, Tick
from nlp.training.experiment import Experiment, Note, corpus_and_sources, prepare_text, use_threads
from nlp.tuning.plans import Plan, Rung, plan

__all__ = ["Plan", "Result", "Rung", "Search", "TrialEvent", "TrialNote", "plan"]

RESULTS, TRIALS = "results.jsonl", "trials"


# ---- what comes out -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrialEvent:
    """Something happened in a trial, of which there are so many epochs in this rung."""

    trial: int  # from 1
    rung: Rung
    event: Tick | Step | Epoch


@dataclass(frozen=True)
class TrialNote:
    """What the user should know of a trial that goes on, in words: see `Experiment.notes`."""

    trial: int  # from 1
    text: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a trial has come to at the end of a rung."""

    trial: int  # from 1
    rung: int  # from 0
    options: dict[str, Any]  # those that are searched
    valid_loss: float | None  # the lowest after any epoch, in nats a token; None where there was none
    epochs: int  # done
    seconds: float  # of training, from its first epoch on
    broken: str = ""  # why the loss was no longer finite; empty if it was

    @property
    def valid_perplexity(self) -> float | None:
        """Per token, of the best weights."""
        return None if self.valid_loss is None else perplexity(self.valid_loss)

    @property
    def place(self) -> tuple[int, bool, float, int]:
        """What to sort by: those that came further first; among these the unbroken ones, the lowest loss first."""
        loss = math.inf if self.valid_loss is None else self.valid_loss
        return -self.rung, bool(self.broken), loss, self.trial


# ---- the search -----------------------------------------------------------------------------------------------------


class Search:
    """A folder with a plan, the prepared text, and the trials, as far as they have come.

    `create` begins a search, `resume` goes on with one, to the same table and the same weights as if it had never
    stopped. The folder belongs to this process until `close`, which a `with` block does.
    """

    def __init__(self, plan: Plan, prepared: Prepared, folder: RunFolder, sources: Mapping[str, Any] | None) -> None:
        self.plan, self.prepared, self.folder, self.sources = plan, prepared, folder, sources
        for config in plan.configs:  # a text that is too short for one of them stops the search before it begins
            task_of(config).windows(config, prepared)
        self.results: list[Result] = _read_results(folder.path / RESULTS, plan)  # in the order of time
        self._running: Experiment | None = None
        self._held = ExitStack()

    @classmethod
    def create(
        cls,
        plan: Plan,
        text: Mapping[str, Any] | Corpus | None = None,
        out: StrPath | None = None,
        note: Note | None = None,
    ) -> Search:
        """Begin a search in a new folder; text, out and note as `Experiment.create` takes them.

        Raises NlpError for a text that cannot be read, or is too short for one of the trials.
        """
        expect_device(plan.configs[0].device)
        corpus, sources = corpus_and_sources(text)
        folder = RunFolder.create(out, f"{corpus.name}-tune")
        with ExitStack() as held:
            held.enter_context(folder.locked())
            try:
                write_json(folder.path / TUNE, {**asdict(plan), "text": sources})
                prepared = _prepare(corpus, folder, plan, note)
                search = cls(plan, prepared, folder, sources)
            except BaseException:  # nothing was trained yet: leave no folder that cannot be used
                folder.discard()
                raise
            search._held = held.pop_all()
        return search

    @classmethod
    def resume(cls, path: StrPath, note: Note | None = None) -> Search:
        """Go on with a search where its last checkpoint was made.

        Raises NlpError for a folder that nlp tune did not make, that another process has, or that is damaged.
        """
        folder = RunFolder(path)
        plan, sources = _read_plan(folder.path / TUNE)
        with ExitStack() as held:
            held.enter_context(folder.locked())
            if is_prepared(folder.path):
                prepared = load_prepared(folder.path)
            elif sources is not None:
                prepared = _prepare(load_corpus(**sources), folder, plan, note)
            else:
                raise NlpError(f"{path} broke off before its text was read, which was not in a file: start it anew")
            search = cls(plan, prepared, folder, sources)
            search._held = held.pop_all()
        return search

    def close(self) -> None:
        """Give the folder free for other processes, and the run folder of the trial that is being trained."""
        if self._running is not None:
            self._running.close()
        self._held.close()

    def __enter__(self) -> Search:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- going on ---------------------------------------------------------------------------------------------------

    def run(self) -> Iterator[TrialEvent | TrialNote | Result]:
        """Train what is still to be trained, passing on what happens in a trial and what it comes to.

        Whoever stops listening can go on later from the last checkpoint; `save` makes one. A trial whose loss is no
        longer finite comes after the others and goes no further.
        """
        going_on = list(range(1, self.plan.trials + 1))
        for level, following in enumerate([*self.plan.rungs[1:], Rung(1, 0)]):
            for place, number in enumerate(going_on):
                if not any((one.trial, one.rung) == (number, level) for one in self.results):
                    yield from self._train(number, level)
                    self._keep_weights(following.trials, going_on[place + 1 :])
                    yield self.results[-1]
            best = sorted((one for one in self.results if one.rung == level), key=lambda one: one.place)
            going_on = sorted(one.trial for one in best[: following.trials] if not one.broken)

    def _train(self, number: int, level: int) -> Iterator[TrialEvent | TrialNote]:
        """Train one trial to the end of its rung, and write down what it came to."""
        rung = self.plan.rungs[level]
        config = dataclasses.replace(self.plan.configs[number - 1], epochs=rung.epochs)
        goes_on = self._lay_out(number, config).has_checkpoint()
        broken = ""
        with Experiment.resume(self.run_of(number), **config.to_json()) as experiment:
            self._running = experiment
            try:
                for text in experiment.notes if goes_on else ():
                    yield TrialNote(number, text)
                for event in experiment.train():
                    yield TrialEvent(number, rung, event)
            except NotFiniteError as error:
                broken = str(error)
            finally:
                self._running = None
        trainer = experiment.trainer
        result = Result(
            trial=number,
            rung=level,
            options=self.plan.drawn[number - 1],
            valid_loss=trainer.best_loss if math.isfinite(trainer.best_loss) else None,
            epochs=trainer.epoch,
            seconds=trainer.seconds,
            broken=broken,
        )
        _write_results(self.folder.path / RESULTS, [*self.results, result])
        self.results.append(result)

    def _lay_out(self, number: int, config: Config) -> RunFolder:
        """The trial's run folder, as if its training had broken off at once; config.json comes last."""
        folder = RunFolder(self.run_of(number))
        if not (folder.path / CONFIG).exists():
            link_prepared(self.folder.path, folder.path)
            folder.write_config(config, self.sources, self.prepared)
        return folder

    def _keep_weights(self, count: int, waiting: Iterable[int] = ()) -> None:
        """Remove the weights of all trials but the best `count` and those whose turn is still to come."""
        out = {one.trial for one in self.ranking()[count:]} - set(waiting)
        for path in (self.run_of(number) / name for number in out for name in (LAST, BEST)):
            with disk_errors(path):
                path.unlink(missing_ok=True)

    def save(self) -> None:
        """Make a checkpoint of the trial that is being trained."""
        if self._running is not None:
            self._running.save()

    def finish(self) -> Results:
        """Judge the best trial on validation and test text, and write down which it is.

        The test text is looked at here alone, for this one trial. Raises NlpError where no trial can be used.
        """
        best = self.best
        self._keep_weights(1)
        with Experiment.resume(self.best_run) as experiment:
            results = experiment.finish()
        run = self.best_run.relative_to(self.folder.path).as_posix()
        write_json(self.folder.path / CHOSEN, {"run": run, "options": best.options, **results.to_json()})
        return results

    # ---- how it stands ----------------------------------------------------------------------------------------------

    def ranking(self) -> list[Result]:
        """What every trial has come to last, the best first (see `Result.place`)."""
        return sorted({one.trial: one for one in self.results}.values(), key=lambda one: one.place)

    @property
    def best(self) -> Result:
        """The best so far. Raises NlpError where no trial has got as far as a finite validation loss."""
        ranking = self.ranking()
        if not ranking or ranking[0].valid_loss is None:
            reason = f" ({ranking[0].broken})" if ranking else ""
            raise NlpError(f"no trial of {self.folder.path} has a finite validation loss{reason}: search other ranges")
        return ranking[0]

    @property
    def best_run(self) -> Path:
        """The run folder of the best trial, for `nlp.load`."""
        return self.run_of(self.best.trial)

    def run_of(self, trial: int) -> Path:
        """A trial's run folder."""
        return self.folder.path / TRIALS / f"{trial:03}"


def _prepare(corpus: Corpus, folder: RunFolder, plan: Plan, note: Note | None) -> Prepared:
    use_threads(plan.configs[0].threads)
    return prepare_text(corpus, folder.path, plan.configs[0], note)


# ---- files ----------------------------------------------------------------------------------------------------------


def _read_plan(path: Path) -> tuple[Plan, dict[str, Any] | None]:
    """The plan and the text's files in tune.json."""
    if not path.is_file():
        raise NlpError(f"{path.parent} is no folder to go on with, it has no {TUNE}: give one that nlp tune made")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        sources = content.pop("text")
        if not all(isinstance(content[name], dict) for name in ("options", "ranges")):
            raise TypeError("its options and ranges are not JSON objects")
        return Plan(**content), sources
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise NlpError(f"{path} is damaged ({error}): start the search anew") from error
    except NlpError as error:
        raise NlpError(f"{path} cannot be used: {error}") from error


def _write_results(path: Path, results: Iterable[Result]) -> None:
    """Whole and at once: never half a line."""
    write_text(path, "".join(json.dumps(asdict(one)) + "\n" for one in results))


_KINDS = {
    "trial": (int,),
    "rung": (int,),
    "options": (dict,),
    "valid_loss": (float, type(None)),
    "epochs": (int,),
    "seconds": (float,),
    "broken": (str,),
}


def _read_results(path: Path, plan: Plan) -> list[Result]:
    """The results so far, none where there is no file; NlpError for one that is damaged or belongs to another plan."""
    if not path.exists():
        return []
    results = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            content = json.loads(line)
            if {name: type(content[name]) in kinds for name, kinds in _KINDS.items()} != dict.fromkeys(content, True):
                raise ValueError("a line is no result of a trial")
            results.append(Result(**content))
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise NlpError(f"{path} is damaged ({error}): start the search anew") from error
    for one in results:
        planned = 1 <= one.trial <= plan.trials and 0 <= one.rung < len(plan.rungs)
        if not planned or one.options != plan.drawn[one.trial - 1]:
            raise NlpError(f"trial {one.trial} in {path} is not one that {TUNE} plans: start the search anew")
    return results
