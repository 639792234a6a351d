"""What a person sees of a training run: what is trained, a bar that moves, a line for each epoch, the results."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from nlp.evaluate import TextEvaluation, perplexity
from nlp.experiment import Experiment, Results
from nlp.run_folder import RunFolder
from nlp.text import Tokenizer
from nlp.train import Epoch, Step

__all__ = ["Display", "show_evaluations"]

EPOCH_LINE = "{:>5}  {:>10}  {:>10}  {:>9}  {:>8}  {:>7}  {}"
HEADINGS = ("epoch", "train ppl", "valid ppl", "lr", "tokens/s", "time", "")
BAR_TEXT = "loss {task.fields[loss]:.3f}  ppl {task.fields[perplexity]:,.1f}  {task.fields[speed]:,.0f} tokens/s"


class Display:
    """Shows the events of one run on a console; used as a context manager around the training.

    Where the console is no terminal there is no bar, only the lines.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self.console = console
        self.epochs = epochs
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
            BarColumn(),
            TextColumn(BAR_TEXT),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=None, epoch=1, loss=0.0, perplexity=0.0, speed=0.0, visible=False)

    def __enter__(self) -> Display:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def opening(self, experiment: Experiment, folder: RunFolder) -> None:
        """What is about to be trained, on what, and where it goes."""
        config, corpus = experiment.config, experiment.describe_corpus()
        tokens = ", ".join(f"{count:,} {part}" for part, count in corpus["tokens"].items())
        parameters = sum(parameter.numel() for parameter in experiment.model.parameters())
        grid = Table.grid(padding=(0, 2))
        grid.add_row("text", corpus["source"])
        grid.add_row("tokens", f"{tokens}: {_kind_of_tokens(experiment.tokenizer)}")
        grid.add_row("vocabulary", f"{len(experiment.vocabulary):,}")
        grid.add_row(
            "model",
            f"{config.model.upper()}, {config.layers} x {config.hidden} units, embedding {config.embedding}"
            f"{' (tied)' if config.tied else ''}, {parameters:,} parameters",
        )
        grid.add_row("run folder", str(folder.path))
        self.console.print(grid)
        self.console.print()
        self._line(EPOCH_LINE.format(*HEADINGS))

    def show(self, event: Step | Epoch) -> None:
        """Move the bar, or write an epoch's line."""
        if isinstance(event, Step):
            self.bar.update(
                self.task,
                total=self.epochs * event.steps,
                completed=(event.epoch - 1) * event.steps + event.step,
                epoch=event.epoch,
                loss=event.loss,
                perplexity=perplexity(event.loss),
                speed=event.tokens_per_second,
                visible=True,
            )
            return
        note = "" if event.improved else "not better"
        self._line(
            EPOCH_LINE.format(
                event.epoch,
                f"{event.train_perplexity:,.2f}",
                f"{event.valid_perplexity:,.2f}",
                f"{event.lr:.3g}",
                f"{event.tokens_per_second:,.0f}",
                f"{int(event.seconds) // 60}:{int(event.seconds) % 60:02}",
                "; ".join(part for part in (note, event.end) if part),
            )
        )

    def results(self, results: Results, folder: RunFolder) -> None:
        """The perplexities beside those of the unigram model, and the sample."""
        rows = [
            (part, evaluation.tokens, evaluation.perplexity, results.unigram[part])
            for part, evaluation in results.model.items()
        ]
        self.console.print()
        self.console.print(_table(("best weights on", "tokens", "perplexity", "unigram"), rows))
        self.console.print()
        self._line(results.sample)
        self.console.print()
        self._line(f"everything is in {folder.path}; write more with: nlp generate {folder.path}")

    def _line(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def show_evaluations(console: Console, judged: dict[str, TextEvaluation]) -> None:
    """A row for each text, and a sentence where a text has tokens that the model does not know."""
    rows = [
        (name, one.model.tokens, one.unknown, one.model.perplexity, one.unigram_perplexity)
        for name, one in judged.items()
    ]
    console.print(_table(("text", "tokens", "unknown", "perplexity", "unigram"), rows))
    if any(one.unknown for one in judged.values()):
        console.print(
            "Unknown tokens are not in the run's vocabulary and count as <unk>, which is easier to foresee than they: "
            "compare only with models that know the same tokens.",
            markup=False,
        )


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str | float, ...]]) -> Table:
    """A table whose first column is words and whose others are numbers."""
    result = Table(box=None, pad_edge=False)
    for position, heading in enumerate(headings):
        result.add_column(heading, justify="right" if position else "left")
    for row in rows:
        result.add_row(*(_written(value) for value in row))
    return result


def _written(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _kind_of_tokens(tokenizer: Tokenizer) -> str:
    """What a token is, in words."""
    if tokenizer.level == "char":
        return "characters"
    return "words as the text separates them" if tokenizer.settings()["pretokenized"] else "words and marks"
