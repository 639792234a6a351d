"""The kind of error that the command line prints as a single sentence, without a traceback, and words for it."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["INTERRUPTED", "NlpError", "NotFiniteError", "counted", "did_you_mean"]

INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended


class NlpError(Exception):
    """Something the user can put right: a file, an option, a text that is too short.

    The message is one clear sentence: what is wrong, where, and what to do instead.
    """


class NotFiniteError(NlpError):
    """Training met a loss or a gradient that is nan or infinite."""


def counted(number: int, noun: str) -> str:
    """So many things in words: `1 token`, `2 tokens`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """To stand behind a name that there is not: which one was probably meant, nothing where none is like it."""
    alike = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (the nearest is {alike[0]!r})" if alike else ""
