"""A long row of token ids, cut up for truncated backpropagation through time.

T: time steps of one window,  B: streams read side by side (the batch).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nlp.errors import NlpError, counted

__all__ = ["IGNORED", "BpttBatches", "EvaluationBatches", "batchify"]

IGNORED = -100  # a target that is not scored: the default `ignore_index` of PyTorch's cross entropy

Ids = NDArray[np.integer]
Window = tuple[NDArray[np.int64], NDArray[np.int64]]


def batchify(ids: Ids, batch_size: int) -> Ids:
    """ids, shape (N,), as `batch_size` streams side by side, shape (N // batch_size, batch_size).

    Column b is the b-th stretch of the text. The remainder, fewer than `batch_size` ids at the end, is dropped.
    The result is a view of `ids`.

    Raises NlpError for a batch size below 1 and for a text too short to predict one token in every stream.
    """
    _at_least_one(batch_size, "batch size")
    if len(ids) < 2 * batch_size:
        raise NlpError(
            f"a text of {counted(len(ids), 'token')} is too short for {counted(batch_size, 'stream')}, which "
            f"{'needs' if batch_size == 1 else 'need'} at least {2 * batch_size}: give a longer text or a smaller "
            "batch size (--batch-size)"
        )
    length = len(ids) // batch_size
    return ids[: length * batch_size].reshape(batch_size, length).T


class BpttBatches:
    """Windows of at most `bptt` steps for training, in the order of the text: (input, target), both (T, B) int64.

    The target is the input one step later in the same stream. Window i + 1 continues where window i ends, so that
    hidden state can be carried from one to the next. Only the last window may be shorter.

    ids: shape (N,), also memory-mapped; a window is copied when it is taken. Raises NlpError as `batchify` does.
    """

    def __init__(self, ids: Ids, batch_size: int, bptt: int) -> None:
        _at_least_one(bptt, "BPTT length")
        self.bptt, self.batch_size = bptt, batch_size
        self.streams = batchify(ids, batch_size)  # (T_total, B)
        self.steps = len(self.streams) - 1  # the tokens of a stream that can be foretold

    def __len__(self) -> int:
        return -(-self.steps // self.bptt)

    def __getitem__(self, index: int) -> Window:
        if not 0 <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}: they are numbered from 0")
        return self.window(index * self.bptt, self.bptt)

    def __iter__(self) -> Iterator[Window]:
        return (self[index] for index in range(len(self)))

    def window(self, start: int, length: int) -> Window:
        """The window of `length` steps from `start` on, shorter where the streams end: for lengths drawn at random."""
        stop = min(start + length, self.steps)
        return _int64(self.streams[start:stop]), _int64(self.streams[start + 1 : stop + 1])


class EvaluationBatches:
    """Windows that score every token of a text exactly once: (input, target), both (T, B) int64.

    Every token but the first is a target once, at the place after its predecessor; the first has nothing before it (put
    `<eos>` in front of the text to score it too). Nothing is dropped: streams differ by one step at most, and where
    one is shorter its last target is `IGNORED`. Each stream starts with fresh hidden state, so that one stream,
    `batch_size=1`, gives every token all of its past, and B streams are faster and cut it B - 1 times.

    Attributes: `scored`, how many targets count. A text of fewer tokens than streams gets fewer streams.
    Raises NlpError for fewer than two tokens.
    """

    def __init__(self, ids: Ids, batch_size: int, bptt: int) -> None:
        _at_least_one(batch_size, "batch size")
        _at_least_one(bptt, "BPTT length")
        if len(ids) < 2:
            raise NlpError(f"a text of {counted(len(ids), 'token')} has no token to predict: at least 2 are needed")
        self.ids, self.bptt, self.scored = ids, bptt, len(ids) - 1
        self.batch_size = min(batch_size, self.scored)
        length, longer = divmod(self.scored, self.batch_size)  # the first streams have one step more
        stream = np.arange(self.batch_size)
        self._starts = stream * length + np.minimum(stream, longer)  # (B,)
        self._lengths = length + (stream < longer)  # (B,)

    def __len__(self) -> int:
        return -(-int(self._lengths[0]) // self.bptt)

    def __iter__(self) -> Iterator[Window]:
        for start in range(0, int(self._lengths[0]), self.bptt):
            step = np.arange(start, min(start + self.bptt, self._lengths[0]))[:, None]  # (T, 1)
            inside = step < self._lengths  # (T, B)
            place = np.where(inside, self._starts + step, 0)
            yield _int64(self.ids[place]), np.where(inside, _int64(self.ids[place + 1]), IGNORED)


def _int64(ids: Ids) -> NDArray[np.int64]:
    return np.array(ids, dtype=np.int64, order="C")


def _at_least_one(value: int, name: str) -> None:
    if value < 1:
        raise NlpError(f"the {name} is at least 1, not {value}")
