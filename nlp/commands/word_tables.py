"""What the commands about word vectors show: tables on a console."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from nlp.commands.figures import Value, figures, say
from nlp.errors import counted
from nlp.evaluation.analogies import Analogies, Section
from nlp.evaluation.word_similarity import WordSimilarity

__all__ = ["show_analogies", "show_similar", "show_similarity"]


def show_similar(console: Console, words: Sequence[tuple[str, float]]) -> None:
    """A row for each word: the cosine of the angle to what was asked for."""
    console.print(figures(("word", "cosine"), words, digits={"cosine": 4}))


def show_analogies(console: Console, source: str, judged: Analogies) -> None:
    """A row for each section, and for those about meaning, about grammar, and all together."""
    say(console, f"Analogies of {source}, answered by 3CosAdd:")
    rows = [_row(one) for one in (*judged.sections, judged.semantic, judged.syntactic, judged.total)]
    console.print(figures(("section", "accuracy", "correct", "asked", "left out"), rows))
    if judged.total.left_out:
        say(console, "Left out are questions with a word that has no vector: compare only with the same words.")


def show_similarity(console: Console, source: str, judged: WordSimilarity) -> None:
    """One line: the correlation, over how many pairs, and how many were left out."""
    rho = "not defined" if judged.rho is None else f"{judged.rho:.4f}"
    over = f"over {counted(judged.judged, 'pair')}, {judged.left_out:,} left out"
    say(console, f"Pairs of {source}: Spearman's rho {rho} {over}.")


def _row(section: Section) -> tuple[Value, ...]:
    share = section.accuracy
    accuracy = None if share is None else f"{share:.2%}"
    return section.name, accuracy, section.correct, section.asked, section.left_out
