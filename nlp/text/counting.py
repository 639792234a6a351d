"""Counting the tokens of a text that may have more different ones than fit into memory."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nlp.disk import disk_errors
from nlp.text.tokens import UNICODE, CharTokenizer, Tokenizer

__all__ = ["count_tokens"]

DISTINCT = 150_000  # different tokens held in memory,
CHARACTERS = 16_000_000  # and the characters in them, before they are put aside

Counts = Iterable[tuple[str, int]]


@contextmanager
def count_tokens(pieces: Iterable[str], tokenizer: Tokenizer, folder: Path) -> Iterator[Counts]:
    """How often each token occurs in a text given in pieces, in no particular order; to be read within the block.

    Where there are too many different tokens, they are put aside in temporary files in `folder`. Raises NlpError where
    the disk is full.
    """
    if isinstance(tokenizer, CharTokenizer):
        yield _count_characters(pieces, tokenizer)
        return
    counter: Counter[str] = Counter()
    with disk_errors(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".counts.") as aside, ExitStack() as files:
        runs: list[Counts] = []
        for piece in pieces:
            counter.update(tokenizer.encode(piece))
            if len(counter) > DISTINCT or sum(map(len, counter)) > CHARACTERS:
                runs.append(_put_aside(counter, Path(aside) / str(len(runs)), files))
                counter.clear()
        yield _merged([*runs, sorted(counter.items())]) if runs else counter.items()


def _count_characters(pieces: Iterable[str], tokenizer: CharTokenizer) -> Counts:
    counts: NDArray[np.int64] = np.zeros(UNICODE, dtype=np.int64)
    for piece in pieces:
        codes, occurrences = np.unique(tokenizer.codes(piece), return_counts=True)
        counts[codes] += occurrences
    return [(chr(code), int(counts[code])) for code in np.flatnonzero(counts).tolist()]


def _put_aside(counter: Counter[str], path: Path, files: ExitStack) -> Counts:
    """Write the counts in the order of the tokens, a line each (no token has white space), and read them when asked."""
    with path.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
        file.writelines(f"{token} {count}\n" for token, count in sorted(counter.items()))
    file = files.enter_context(path.open(encoding="utf-8", errors="surrogatepass", newline="\n"))
    return ((token, int(count)) for token, _, count in (line.partition(" ") for line in file))


def _merged(runs: list[Counts]) -> Counts:
    """Each token once, its counts added up; every run is in the order of its tokens."""
    for token, group in groupby(merge(*runs), key=itemgetter(0)):
        yield token, sum(count for _, count in group)
