"""What the commands that judge and use a model show: tables on a console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nlp.commands.figures import Value, duration, figures, say
from nlp.evaluation.compare import RunSummary, differing_options, not_comparable
from nlp.evaluation.look import ParameterSummary
from nlp.evaluation.mixture import Mixture
from nlp.evaluation.scoring import TextEvaluation, perplexity
from nlp.options import flag

__all__ = [
    "show_comparison",
    "show_documents",
    "show_evaluations",
    "show_mixture",
    "show_nearest",
    "show_next",
    "show_parameters",
]

BAR = 40  # columns of the likeliest token's bar


def show_evaluations(console: Console, judged: Mapping[str, TextEvaluation]) -> None:
    """A row for each text, what each token was foreseen from, and a sentence where there are unknown tokens."""
    headings = ("text", "tokens", "unknown", "perplexity", "per word", "bits/char", "bits/byte", "unigram")
    rows = [
        (
            name,
            one.tokens,
            f"{one.unknown_share:.2%}",
            one.perplexity,
            one.word_perplexity,
            one.bits_per_character,
            one.bits_per_byte,
            one.unigram_perplexity,
        )
        for name, one in judged.items()
    ]
    console.print(figures(headings, rows, digits={"bits/char": 4, "bits/byte": 4}))
    for context in dict.fromkeys(one.context for one in judged.values()):
        say(console, f"Context of a token: {context}.")
    if any(one.unknown for one in judged.values()):
        say(
            console,
            "Unknown tokens are not in the run's vocabulary and count as <unk>, which is easier to foresee than they: "
            "compare only with models that know the same tokens.",
        )


def show_documents(console: Console, judged: Mapping[str, TextEvaluation]) -> None:
    """A row for each text: how its documents' perplexities are spread, and where the best and the worst begin."""
    headings = ("documents of", "count", "median perplexity", "best", "at token", "worst", "at token")
    rows = []
    for name, one in judged.items():
        best = min(one.documents, key=lambda document: document.loss)
        worst = max(one.documents, key=lambda document: document.loss)
        median = perplexity(float(np.median([document.loss for document in one.documents])))
        ends = (best.perplexity, best.first_token, worst.perplexity, worst.first_token)
        rows.append((name, len(one.documents), median, *ends))
    console.print()
    console.print(figures(headings, rows))


def show_mixture(console: Console, mixture: Mixture) -> None:
    """A row for each run, its weight and its perplexity on each text, and one for the mixture; then what they mean."""
    rows: list[tuple[Value, ...]] = [
        (run, weight, *(perplexity(text.alone[number]) for text in mixture.texts))
        for number, (run, weight) in enumerate(zip(mixture.runs, mixture.weights, strict=True))
    ]
    rows.append(("mixture", None, *(perplexity(text.mixture) for text in mixture.texts)))
    headings = ("", "weight", *(text.name for text in mixture.texts))
    console.print(figures(headings, rows, digits={"weight": 4}))
    say(console, f"Perplexity per token. The weights are those that are best on {mixture.texts[0].name}.")


def show_next(console: Console, likeliest: Sequence[tuple[str, float]]) -> None:
    """A row for each token: its probability, and a bar as long."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    largest = likeliest[0][1]
    for token, probability in likeliest:
        table.add_row(Text(token), f"{probability:.2%}", Text("█" * round(BAR * probability / largest), style="blue"))
    console.print(table)
    say(console, f"All others together: {max(0.0, 1 - sum(probability for _, probability in likeliest)):.2%}.")


def show_comparison(console: Console, summaries: Sequence[RunSummary]) -> None:
    """A column for each run: its options where they differ, and its figures; then what cannot be compared, if any."""
    lines: dict[str, list[Value]] = {
        flag(name): [_option(value) for value in values] for name, values in differing_options(summaries).items()
    }
    lines |= {
        "parameters": [one.parameters for one in summaries],
        "epochs": [len(one.valid_losses) for one in summaries],
        "time": [duration(one.seconds[-1]) if one.seconds else None for one in summaries],
        "valid perplexity": [one.valid_perplexity for one in summaries],
        "  per word": [one.word_perplexity for one in summaries],
        "  bits per character": [one.bits_per_character for one in summaries],
        "test perplexity": [one.test_perplexity for one in summaries],
    }
    console.print(figures(("", *(one.name for one in summaries)), [(name, *of) for name, of in lines.items()]))
    for reason in not_comparable(summaries):
        say(console, reason)


def show_parameters(console: Console, parameters: Sequence[ParameterSummary]) -> None:
    """A row for each parameter, and their number."""
    headings = ("parameter", "shape", "count", "norm", "mean", "deviation", "largest")
    rows: list[tuple[Value, ...]] = [
        (one.name, " x ".join(map(str, one.shape)), one.count, one.norm, one.mean, one.deviation, one.largest)
        for one in parameters
    ]
    rows.append(("all", None, sum(one.count for one in parameters), *[None] * 4))
    digits = {"norm": 3, "mean": 5, "deviation": 4, "largest": 3}
    console.print(figures(headings, rows, digits=digits))


def show_nearest(console: Console, neighbours: Mapping[str, Sequence[tuple[str, float]]]) -> None:
    """A line for each token: those near it, and the cosine of the angle between their vectors."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for token, near in neighbours.items():
        table.add_row(Text(token), Text(", ".join(f"{other} {cosine:.2f}" for other, cosine in near)))
    console.print()
    say(console, "Nearest in the embedding (cosine):")
    console.print(table)


# ---- how values are written -----------------------------------------------------------------------------------------


def _option(value: object) -> str:
    """An option's value as it would be given."""
    if value is None or isinstance(value, bool):
        return {None: "-", True: "on", False: "off"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
