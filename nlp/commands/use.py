"""The commands that judge and use what was trained: nlp eval, mix, generate, next, compare, inspect."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from nlp.commands.options import JsonFile
from nlp.disk import expect_place, write_json
from nlp.errors import NlpError

__all__ = ["register"]

Run = Annotated[Path, typer.Argument(help="A folder that nlp train made.", show_default=False)]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(generate)
    app.command("next")(next_words)
    app.command("eval")(evaluate)
    app.command()(mix)
    app.command()(compare)
    app.command()(inspect)


def generate(
    run: Run,
    prompt: Annotated[str, typer.Option(help="The beginning of the text.")] = "",
    length: Annotated[
        int | None,
        typer.Option(help="Tokens to write. Default: word 120, bpe 200, char and byte 800.", show_default=False),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="Below 1 safer, above 1 wilder, 0 always the likeliest. Default: 1.", show_default=False),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(help="Draw from this many likeliest tokens only.", show_default=False)
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Draw from the fewest tokens that hold this share of the probability.", show_default=False),
    ] = None,
    beam: Annotated[
        int | None,
        typer.Option(help="Do not draw: look for the likeliest text, this many at a time.", show_default=False),
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(help="End the text with this word or phrase; may be repeated.", show_default=False),
    ] = None,
    stop_at_line_end: Annotated[bool, typer.Option("--stop-at-line-end", help="End the text with its line.")] = False,
    samples: Annotated[int, typer.Option(help="Texts to write; more than one are shown when all are done.")] = 1,
    seed: Annotated[
        int | None, typer.Option(help="The same seed, the same text. Default: a new one each time.", show_default=False)
    ] = None,
    device: Device = "cpu",
) -> None:
    """Write a text with a trained model, shown as it is written."""
    from nlp.generation.writing import generate, generate_samples, likeliest_text
    from nlp.language_model import load_language_model

    drawing = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    sampling: dict[str, Any] = {name: value for name, value in drawing.items() if value is not None}
    stops = [*(stop or ()), *(["\n"] if stop_at_line_end else [])]
    if beam is not None and (sampling or samples != 1):
        raise NlpError(
            "--beam looks for the likeliest text: leave out --temperature, --top-k, --top-p, --seed, --samples"
        )
    language_model = load_language_model(run, device)
    _name_unknown(language_model, prompt)
    texts: list[Any]
    if beam is not None:
        texts = [[likeliest_text(language_model, prompt, beam=beam, length=length, stop=stops)]]
    elif samples == 1:
        texts = [generate(language_model, prompt, length=length, stop=stops, **sampling)]
    else:
        several = generate_samples(language_model, prompt, samples=samples, length=length, stop=stops, **sampling)
        texts = [[f"--- {number} of {samples} ---\n", text] for number, text in enumerate(several, 1)]
    for pieces in texts:
        _write(pieces)


def next_words(
    run: Run,
    text: Annotated[str, typer.Argument(help="What stands before.", show_default=False)] = "",
    count: Annotated[int, typer.Option("--count", "-k", help="How many to show.")] = 10,
    device: Device = "cpu",
) -> None:
    """The likeliest next words after a text, with their probabilities. (nlp next RUN "the students opened their")"""
    from nlp.commands.tables import show_next
    from nlp.generation.next_words import next_words, visible
    from nlp.language_model import load_language_model

    language_model = load_language_model(run, device)
    _name_unknown(language_model, text)
    likeliest = next_words(language_model, text, count)
    show_next(Console(), [(visible(language_model.tokenizer, token), share) for token, share in likeliest])


def evaluate(
    run: Run,
    text: Annotated[
        list[str], typer.Option(help="A UTF-8 text; may be repeated.", metavar="<path>", show_default=False)
    ],
    files: Annotated[list[str] | None, typer.Argument(help="Further texts.", show_default=False)] = None,
    context: Annotated[
        str,
        typer.Option(
            help="What a token is foreseen from: carried (all before it), or N: sliding windows of N tokens, N/2 apart."
        ),
    ] = "carried",
    documents: Annotated[
        str | None,
        typer.Option(
            help="Judge each document of a text by itself: line (each line) or blank (what blank lines separate). "
            "Default: each file is one.",
            show_default=False,
        ),
    ] = None,
    dynamic: Annotated[
        bool,
        typer.Option(
            "--dynamic", help="Let the model go on learning from the text, each token judged before it is learnt."
        ),
    ] = False,
    dynamic_rule: Annotated[
        str | None,
        typer.Option(
            help="How it learns: sgd, or rms, which divides each weight's step by its usual gradient in the training "
            "text. Default: rms where the run's data is there.",
            show_default=False,
        ),
    ] = None,
    dynamic_lr: Annotated[
        float | None, typer.Option(help="Its learning rate. Default: sgd 0.2, rms 0.001.", show_default=False)
    ] = None,
    dynamic_steps: Annotated[
        int | None,
        typer.Option(
            help="The tokens judged between two updates. Default: word and bpe 5, char and byte 20.", show_default=False
        ),
    ] = None,
    dynamic_decay: Annotated[
        float | None,
        typer.Option(
            help="The share of their way that weights are pulled back in every update. Default: 0.", show_default=False
        ),
    ] = None,
    json_file: JsonFile = None,
    device: Device = "cpu",
) -> None:
    """How well a trained model foresees texts: perplexity per token and per word, bits per character and per byte."""
    from nlp.commands.tables import show_documents, show_evaluations
    from nlp.evaluation.dynamic import evaluate_dynamically
    from nlp.evaluation.scoring import evaluate_text
    from nlp.language_model import load_language_model
    from nlp.text.files import TextFile

    expect_place(json_file)
    if documents not in (None, "line", "blank"):
        raise NlpError(f"--documents is line or blank, not {documents!r}")
    width = _context(context)
    chosen: dict[str, Any] = {"rule": dynamic_rule, "lr": dynamic_lr, "steps": dynamic_steps, "decay": dynamic_decay}
    learning = {name: value for name, value in chosen.items() if value is not None}
    _check_dynamic(dynamic, learning, context)
    given = [*text, *(files or ())]
    for name in given:
        TextFile(name)  # a wrong path is told before hours are spent on the others
    paths = [Path(name) for name in given]
    language_model = load_language_model(run, device)
    rule = _dynamic_rule(run, language_model, **learning) if dynamic else None
    judged = {}
    for path in paths:
        with _bar(path.name) as progress:
            settings: dict[str, Any] = {"documents": documents, "progress": progress}
            if rule is not None:
                judged[str(path)] = evaluate_dynamically(language_model, path, rule, **settings)
            else:
                judged[str(path)] = evaluate_text(language_model, path, context=width, **settings)
    show_evaluations(Console(), judged)
    if documents is not None:
        show_documents(Console(), judged)
    _write_json(json_file, {"run": str(run), "texts": {name: one.to_json() for name, one in judged.items()}})


def mix(
    runs: Annotated[list[Path], typer.Argument(help="Two folders that nlp train made, or more.", show_default=False)],
    text: Annotated[
        list[str] | None,
        typer.Option(
            help="A UTF-8 text to judge the mixture by; may be repeated. Default: the runs' own test text.",
            metavar="<path>",
            show_default=False,
        ),
    ] = None,
    valid: Annotated[
        str | None,
        typer.Option(
            help="A text to find the weights on. Default: the runs' own validation text.",
            metavar="<path>",
            show_default=False,
        ),
    ] = None,
    json_file: JsonFile = None,
    device: Device = "cpu",
) -> None:
    """Interpolate the probabilities of several runs, with the weights that are best on validation text."""
    from nlp.commands.tables import show_mixture
    from nlp.evaluation.mixture import mix
    from nlp.text.files import TextFile

    expect_place(json_file)
    for name in [*([] if valid is None else [valid]), *(text or ())]:
        TextFile(name)  # a wrong path is told before the models are read
    with _bar("mixing") as progress:
        mixture = mix(
            runs,
            valid=None if valid is None else Path(valid),
            texts=[Path(name) for name in text or ()],
            device=device,
            progress=progress,
        )
    show_mixture(Console(), mixture)
    _write_json(json_file, mixture.to_json())


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders that nlp train made.", show_default=False)],
    out: Annotated[
        Path, typer.Option(help="Where the picture of their validation perplexity goes: .png, .svg or .pdf.")
    ] = Path("compare.png"),
    json_file: JsonFile = None,
) -> None:
    """Runs beside each other: where their options differ, what they came to, and a picture of how they got there."""
    from nlp.commands.tables import show_comparison
    from nlp.evaluation.compare import draw_comparison, summarize
    from nlp.pictures import picture_format

    picture_format(out)  # a wrong name is told before the runs are read
    expect_place(out)
    expect_place(json_file)
    summaries = summarize(runs)
    show_comparison(Console(), summaries)
    draw_comparison(summaries, out)
    typer.echo(f"the picture is in {out}")
    _write_json(json_file, [one.to_json() for one in summaries])


def inspect(
    run: Run,
    word: Annotated[
        list[str] | None,
        typer.Option(help="Show the words nearest to this one; may be repeated. Default: some frequent ones."),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-k", help="How many words near each.")] = 8,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Show what is near each of the most frequent tokens, words or not.")
    ] = False,
) -> None:
    """The parameters of a trained model in numbers, and which words it takes for alike."""
    from nlp.commands.tables import show_nearest, show_parameters
    from nlp.evaluation.look import frequent_tokens, has_embedding, nearest, summaries
    from nlp.generation.next_words import visible
    from nlp.language_model import load_language_model

    language_model = load_language_model(run)
    chosen = word or frequent_tokens(language_model, words=not tokens)
    compared = bool(word) or has_embedding(language_model)  # where nothing was asked for, nothing is refused
    neighbours = nearest(language_model, chosen, count) if compared else {}
    show_parameters(Console(), summaries(language_model.model))

    def shown(token: str) -> str:
        return visible(language_model.tokenizer, token)

    if not neighbours:
        return
    show_nearest(
        Console(),
        {shown(token): [(shown(other), cosine) for other, cosine in near] for token, near in neighbours.items()},
    )


# ---- what they share ------------------------------------------------------------------------------------------------


def _name_unknown(language_model: Any, text: str) -> None:
    """Say on stderr which tokens of the text the model does not know."""
    from nlp.generation.writing import unknown_tokens

    if unknown := unknown_tokens(language_model, text):
        typer.echo(f"nlp: not known to the model, read as <unk>: {', '.join(unknown)}", err=True)


def _write(pieces: Any) -> None:
    """Show a text as it comes, its last line with a line end."""
    last = ""
    for piece in pieces:
        typer.echo(piece, nl=False)
        last = piece or last
    if not last.endswith("\n"):
        typer.echo()


def _context(value: str) -> Any:
    if value == "carried":
        return value
    if value.isascii() and value.isdigit():
        return int(value)
    raise NlpError(f"--context is carried or a number of tokens, not {value!r}")


def _check_dynamic(dynamic: bool, learning: dict[str, Any], context: str) -> None:
    """Refuse options of dynamic evaluation that mean nothing as they stand."""
    if learning and not dynamic:
        raise NlpError(f"--dynamic-{next(iter(learning))} goes with --dynamic: give that too, or leave it out")
    if learning.get("rule") not in (None, "sgd", "rms"):
        raise NlpError(f"--dynamic-rule is sgd or rms, not {learning['rule']!r}")
    if dynamic and context != "carried":
        raise NlpError("--dynamic reads every token once, with the state carried: leave --context out")


def _dynamic_rule(run: Path, language_model: Any, rule: str | None = None, **settings: Any) -> Any:
    """The rule of dynamic evaluation; rms has its statistics from the run's training text."""
    from nlp.evaluation.dynamic import STEPS, Rule, gradient_rms
    from nlp.text.prepare import is_prepared, load_prepared

    settings.setdefault("steps", STEPS[language_model.tokenizer.level])
    plain = Rule(**settings)  # a wrong number is told before statistics are gathered
    if rule == "sgd" or (rule is None and not is_prepared(run)):
        return plain
    if not is_prepared(run):
        raise NlpError(f"--dynamic-rule rms needs the training text, and {run} has no data: choose sgd")
    train = load_prepared(run).ids["train"]
    return Rule(**settings, rms=gradient_rms(language_model.model, train, plain.steps))


@contextmanager
def _bar(name: str) -> Iterator[Callable[[float], None] | None]:
    """A bar on stderr that shows how far the judging of a text is, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=1.0)
        yield lambda share: progress.update(task, completed=share)


def _write_json(path: Path | None, content: Any) -> None:
    if path is not None:
        write_json(path, content)
