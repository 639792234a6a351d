"""The sizes that models are made of, checked."""

from __future__ import annotations

from nlp.errors import NlpError

__all__ = ["check_sizes"]


def check_sizes(model: str, least: int = 1, **sizes: int) -> None:
    """Raise NlpError where one of the sizes is below `least`."""
    for name, size in sizes.items():
        if size < least:
            raise NlpError(f"{model}: {name} is {size}, it must be at least {least}")
