"""nlp words train: a new run that learns word vectors, or one that goes on."""

from __future__ import annotations

from typing import Any

import typer

from nlp.commands.options import ConfigFile, Out, Resume, text_sources, with_options
from nlp.vector_config import VectorConfig

__all__ = ["register"]


def register(words: typer.Typer) -> None:
    """Add the command to those about word vectors."""
    words.command()(train)


@with_options(VectorConfig, test=False)
def train(
    out: Out = None,
    resume: Resume = None,
    config: ConfigFile = None,
    **options: Any,
) -> None:
    """Learn a vector for each word of a text, in a run folder. With no text of your own: of Python's documentation."""
    from nlp.commands.progress import VectorDisplay
    from nlp.commands.running import begin, expect_nothing_beside_resume
    from nlp.commands.running import resume as go_on

    sources = text_sources(options)
    if resume is not None:
        expect_nothing_beside_resume(sources, out=out)
        go_on(resume, VectorConfig, config, options, VectorDisplay)
    else:
        begin(VectorConfig.choose(None, config, **options), sources, out, VectorDisplay)
