"""An n-gram language model: every word is foretold from the n - 1 words before it, by counting.

It has no weights and nothing to train: `NGramLM.count` reads a text once. How counts become probabilities is told in
`nlp.models.ngram_smoothing`, how they are kept in `nlp.models.ngram_counts`.

Shapes: T time steps, B texts side by side, V words in the vocabulary, n the order, S words kept as the state.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

import minigrad
from minigrad import Tensor
from nlp.errors import NlpError
from nlp.models.ngram_counts import Ids, NGramCounts, Nodes, counting_steps
from nlp.models.ngram_smoothing import Floats, Level, Smoothing, make_smoothing
from nlp.models.token_model import State, TokenModel
from nlp.text.batches import IGNORED

__all__ = ["NGramLM"]

TABLES = ("sizes", "keys", "counts", "numbers")


class NGramLM(TokenModel):
    """The words of a text and how they follow each other, counted.

    All scores are logarithms of probabilities, float64. The state is the last n - 1 words that were read, (S, B); at
    the beginning of a text there are fewer, and a word is foretold from those that there are, by the model's shorter
    n-grams. With the smoothing "ml" a word may be impossible: its score is minus infinity, and the loss of a text that
    has it is infinite. With all others every word of the vocabulary is possible everywhere.

    It lives on the CPU and takes about 30 bytes an n-gram; while 5-grams are counted, about 190 bytes a token of the
    text. Its tables are buffers whose sizes come from the text: `sizes` (n,), how many n-grams of each
    order there are; `keys` and `counts`, the tables of `NGramCounts` one after the other, as the smoothing takes them
    (Kneser and Ney's count different words before an n-gram, not occurrences); `numbers`, what the smoothing has
    estimated. A model that has counted nothing yet has empty ones.

    Args:
        vocabulary: how many words there are, V.
        order: n, 1 or more.
        smoothing: one of `ngram_smoothing.SMOOTHINGS`.
        k: what the smoothing "add-k" adds to every count; the others have no use for it.

    Raises NlpError for a value outside its range.
    """

    sizes: Tensor
    keys: Tensor
    counts: Tensor
    numbers: Tensor

    def __init__(
        self, vocabulary: int, order: int = 5, smoothing: str = "modified-kneser-ney", *, k: float = 0.01
    ) -> None:
        super().__init__()
        if order < 1:
            raise NlpError(f"the order of an n-gram model is at least 1, not {order}")
        self.vocabulary, self.order, self.smoothing, self.k = vocabulary, order, smoothing, k
        self._smoothing = make_smoothing(smoothing, vocabulary, k)
        empty = np.zeros(0, np.int64)
        numbers = np.zeros((order, self._smoothing.numbers))
        for name, table in zip(TABLES, (np.zeros(order, np.int64), empty, empty, numbers), strict=True):
            self.register_buffer(name, minigrad.tensor(table))
        self._probabilities: _Probabilities | None = None

    # ---- counting ---------------------------------------------------------------------------------------------------

    def count(self, ids: Ids) -> Self:
        """Count the n-grams of a text (N,) and estimate what the smoothing needs; what was counted before is forgotten.

        Raises NlpError as `count_ngrams` does; the model is as it was then. Returns the model.
        """
        for _ in self.counting_steps(ids):
            pass
        return self

    def counting_steps(self, ids: Ids) -> Generator[int, None, None]:
        """`count` in steps: yields each order that is counted. A model that is left in between is as it was."""
        counts = yield from counting_steps(ids, self.order, self.vocabulary)
        counts = self._smoothing.adjusted(counts)
        numbers = self._smoothing.estimate(counts)
        sizes = np.array([len(one) for one in counts.counts])
        keys = np.concatenate([np.zeros(0, np.int64), *counts.keys])
        for name, table in zip(TABLES, (sizes, keys, np.concatenate(counts.counts), numbers), strict=True):
            setattr(self, name, minigrad.tensor(table))
        self._make_ready()

    def _make_ready(self) -> None:
        """Make of the buffers what is looked up."""
        sizes, keys, counts, numbers = (getattr(self, name).numpy() for name in TABLES)
        tables = _by_order(self.vocabulary, sizes, keys, counts)
        self._probabilities = _Probabilities(tables, self._smoothing, numbers) if sizes.any() else None

    # ---- reading ----------------------------------------------------------------------------------------------------

    def forward(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The log-probabilities (T, B, V) of every next word, and the state after the last. V numbers for each place:
        `loss` looks up the ones that it needs."""
        probabilities = self._ready()
        contexts, state = self._read(input, state)
        with np.errstate(divide="ignore"):
            return minigrad.tensor(np.log(probabilities.of_all(contexts, input.shape))), state

    def loss(self, input: Tensor, target: Tensor, state: State = None, reduction: str = "mean") -> tuple[Tensor, State]:
        """The cross-entropy (nats, float64) of the words `target` (T, B) that follow `input` (T, B), and the state;
        infinite where a target is impossible. A target of -100 is not scored."""
        probabilities = self._ready()
        contexts, state = self._read(input, state)
        words = target.numpy()
        scored = words != IGNORED
        words = np.where(scored, words, 0)
        self._check_range(words)
        with np.errstate(divide="ignore"):
            nats = np.where(scored, -np.log(probabilities.of(contexts, words)), 0.0).ravel()
        if reduction == "none":
            return minigrad.tensor(nats), state
        total = float(nats.sum())
        if reduction == "mean":
            total = total / np.count_nonzero(scored) if scored.any() else math.nan  # as of PyTorch's cross entropy
        elif reduction != "sum":
            raise ValueError(f'the reduction is "mean", "sum" or "none", not {reduction!r}')
        return minigrad.tensor(total, dtype=minigrad.float64), state

    def objective(self, input: Tensor, target: Tensor, state: State = None) -> NoReturn:
        """There is none: an n-gram model is not trained by gradients."""
        raise NlpError("an n-gram model has no weights to train: let it count a text with NGramLM.count")

    def _ready(self) -> _Probabilities:
        if self._probabilities is None:
            raise NlpError("this n-gram model has counted no text yet: call NGramLM.count with one, or load its state")
        return self._probabilities

    def _read(self, input: Tensor, state: State) -> tuple[list[Nodes], Tensor]:
        """The nodes of the last 1, 2, …, n - 1 words at each place of the input (T, B), each array without the first
        places where so many words were not read yet; and the state after the last place."""
        words = input.numpy().astype(np.int64, copy=False)
        self._check_range(words)
        if state is not None:
            words = np.concatenate([state.numpy(), words])  # S + T, B
        nodes, contexts = words, []
        for length in range(1, min(self.order, len(words) + 1)):
            if length > 1:
                nodes = self._ready().counts.find(length, nodes[:-1], words[length - 1 :])
            contexts.append(nodes[max(0, len(nodes) - len(input)) :])
        return contexts, minigrad.tensor(words[max(0, len(words) - self.order + 1) :])

    def _check_range(self, words: NDArray[Any]) -> None:
        if words.size and not 0 <= words.min() <= words.max() < self.vocabulary:
            wrong = words.min() if words.min() < 0 else words.max()
            raise NlpError(f"the id {wrong} is not in this model's vocabulary: ids run from 0 to {self.vocabulary - 1}")

    # ---- as a module ------------------------------------------------------------------------------------------------

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take over the tables of a model of the same vocabulary, order and smoothing, whatever their sizes.

        Raises RuntimeError for a table that is missing, ValueError for tables of another kind of model and for damaged
        ones. Nothing is changed then.
        """
        if not all(isinstance(state_dict.get(name), Tensor) for name in TABLES):
            return super().load_state_dict(state_dict, strict=True, assign=assign)  # says what is missing
        given = {name: state_dict[name].numpy() for name in TABLES}
        sizes, numbers = given["sizes"], given["numbers"]
        if sizes.shape != (self.order,):
            raise ValueError(f"the n-gram tables are of order {sizes.size}, where the model has order {self.order}")
        if numbers.shape != self.numbers.shape:
            raise ValueError(
                f"the n-gram tables are of another smoothing: {self.smoothing} of order {self.order} has estimated "
                f"{self.numbers.shape} numbers, and they have {numbers.shape}"
            )
        if sizes.any() or given["keys"].size or given["counts"].size:  # not of a model that has counted nothing yet
            wrong = _complaint(self.vocabulary, sizes, given["keys"], given["counts"])
            if wrong := wrong or self._smoothing.complaint(numbers):
                raise ValueError(f"the n-gram tables are damaged: {wrong}")
        before = {name: getattr(self, name) for name in TABLES}
        try:
            for name in TABLES:
                setattr(self, name, minigrad.zeros(given[name].shape, dtype=before[name].dtype))
            result = super().load_state_dict(state_dict, strict, assign)
        except RuntimeError:
            for name, table in before.items():
                setattr(self, name, table)
            raise
        self._make_ready()
        return result

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """The model as it is: its tables stay on the CPU and exact. Raises NlpError for another device."""
        device = minigrad.zeros(0).to(*args, **kwargs).device
        if device.type != "cpu":
            raise NlpError(f"an n-gram model counts on the CPU, and cannot move to {device}: use --device cpu")
        return self

    def extra_repr(self) -> str:
        """The settings, and how many n-grams there are."""
        k = f", k={self.k:g}" if self.smoothing == "add-k" else ""
        return f"{self.vocabulary}, {self.order}, {self.smoothing}{k}, {len(self.counts)} n-grams"


def _by_order(vocabulary: int, sizes: Nodes, keys: Nodes, counts: Nodes) -> NGramCounts:
    """The tables that stand one after the other in `keys` and `counts`, as views."""
    ends = np.cumsum(sizes[:-1])
    split = np.split(keys, ends[1:] - sizes[0])[: len(ends)]  # the words alone have no keys
    return NGramCounts(vocabulary, tuple(split), tuple(np.split(counts, ends)))


def _complaint(vocabulary: int, sizes: Any, keys: Any, counts: Any) -> str:
    """What is wrong with tables of unknown origin, empty if nothing is."""
    if sizes.dtype != np.int64 or sizes[0] != vocabulary:
        return f"they are of {sizes[0]} words, where the model has {vocabulary}"
    for name, table, length in (("keys", keys, sizes[1:].sum()), ("counts", counts, sizes.sum())):
        if table.dtype != np.int64 or table.shape != (length,) or sizes.min() < 1:
            return f"{name} are {table.dtype} {table.shape}, which does not fit the sizes {sizes.tolist()}"
    for order, rising in enumerate(_by_order(vocabulary, sizes, keys, counts).keys, 2):
        if (np.diff(rising) <= 0).any() or rising[0] < 0 or rising[-1] >= sizes[order - 2] * vocabulary:
            return f"the keys of order {order} do not rise within their range"
    if counts.min() < 0 or not counts[:vocabulary].any() or (counts[vocabulary:] < 1).any():
        return "an n-gram is in them that occurs less than once"
    return ""


class _Probabilities:
    """The counts with what the smoothing makes of them, ready to be looked up.

    Contexts are the nodes of the last 1, 2, …, n - 1 words at each place, as `NGramLM._read` gives them.
    """

    def __init__(self, counts: NGramCounts, smoothing: Smoothing, numbers: Floats) -> None:
        self.counts, self.uniform = counts, 1 / counts.vocabulary
        self.below_is_uniform = smoothing.below_is_uniform
        levels = [smoothing.level(counts.followers(m), row) for m, row in enumerate(numbers, 1)]
        self.unigram = levels[0].share + levels[0].weight * self.uniform  # V
        # One entry more, which the node UNSEEN finds: an n-gram has no share, a context leaves all to what is below it.
        self.levels = [Level(np.append(one.share, 0.0), np.append(one.weight, 1.0)) for one in levels[1:]]

    def of(self, contexts: list[Nodes], words: Ids) -> Floats:
        """The probabilities (T, B) of one word at each place."""
        result = self.unigram[words]  # T, B
        for order, context in enumerate(contexts, 2):
            rows = slice(len(words) - len(context), None)
            level = self.levels[order - 2]
            share = level.share[self.counts.find(order, context, words[rows])]
            result[rows] = share + level.weight[context] * self._below(result[rows])
        return result

    def of_all(self, contexts: list[Nodes], shape: tuple[int, ...]) -> Floats:
        """The probabilities (T, B, V) of all words at each place."""
        result = np.broadcast_to(self.unigram, (*shape, self.counts.vocabulary)).copy()
        for order, context in enumerate(contexts, 2):
            rows = result[len(result) - len(context) :]
            level = self.levels[order - 2]
            rows[...] = level.weight[context][..., None] * self._below(rows)
            start, stop = self.counts.slices(order, context.ravel())
            place, ngram = _spread(start, stop)
            word = self.counts.keys[order - 2][ngram] % self.counts.vocabulary
            rows.reshape(-1, self.counts.vocabulary)[place, word] += level.share[ngram]
        return result

    def _below(self, shorter: Floats) -> Floats | float:
        return self.uniform if self.below_is_uniform else shorter


def _spread(start: Nodes, stop: Nodes) -> tuple[Nodes, Nodes]:
    """The numbers of all slices start:stop, and which slice each is of: [2:4, 7:8] gives 0, 0, 1 and 2, 3, 7."""
    lengths = stop - start
    which = np.repeat(np.arange(len(lengths)), lengths)
    return which, np.arange(lengths.sum()) + np.repeat(start - np.cumsum(lengths) + lengths, lengths)
