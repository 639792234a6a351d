"""A vocabulary: which tokens a model knows, by number, and how often the training text has them."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from nlp.errors import NlpError
from nlp.text.tokens import EOS, UNK

__all__ = ["CHUNK", "Vocabulary"]

LARGEST_COUNT = 2**63 - 1
CHUNK = 1 << 20  # ids looked at in one go, where they may lie on disk
Ids = NDArray[np.integer]


class Vocabulary:
    """Tokens numbered from 0, each with its count in the training text.

    `<unk>` stands for every other token, and its count includes those that were left out. Only a vocabulary that lacks
    nothing, of bytes or of pieces made of bytes, does without it.
    """

    def __init__(self, tokens: Sequence[str], counts: Sequence[int]) -> None:
        """The tokens in the order of their ids, and as many counts. `Vocabulary.build` makes one from a text."""
        self.tokens = tuple(tokens)
        self.counts = np.asarray(counts, dtype=np.int64)
        self._id_of = {token: i for i, token in enumerate(self.tokens)}
        if len(self.counts) != len(self.tokens):
            raise NlpError(f"a vocabulary of {len(self.tokens)} tokens needs as many counts, not {len(self.counts)}")
        if len(self._id_of) != len(self.tokens):
            twice = Counter(self.tokens).most_common(1)[0][0]
            raise NlpError(f"the token {twice!r} occurs twice in a vocabulary: every token has one id")

    @classmethod
    def build(
        cls,
        tokens: Iterable[str],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (UNK, EOS),
    ) -> "Vocabulary":
        """The vocabulary of a training text: see `from_counts`."""
        return cls.from_counts(Counter(tokens).items(), min_count=min_count, max_size=max_size, specials=specials)

    @classmethod
    def from_counts(
        cls,
        counts: Iterable[tuple[str, int]],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (UNK, EOS),
    ) -> "Vocabulary":
        """The vocabulary of a training text whose tokens occur so often, each given once, in any order.

        The `specials` come first, then the tokens by falling count. Tokens of equal count stand in alphabetical order,
        so that the ids depend on the counts alone. Tokens seen fewer than `min_count` times, and the rarest beyond
        `max_size` tokens in all, are left out and count as `<unk>`. With `min_count=1` a model never sees `<unk>` in
        training unless the text has it, and can only guess at it later: use 2 or more for text that was not prepared.

        What is left out takes no memory. Raises NlpError where the numbers leave no vocabulary.
        """
        if min_count < 1:
            raise NlpError(f"the least count of a token in the vocabulary is at least 1, not {min_count}")
        if UNK not in specials:
            raise NlpError(f"a vocabulary needs the token {UNK} among its specials, not only {list(specials)}")
        if max_size is not None and max_size <= len(specials):
            raise NlpError(
                f"a vocabulary of {max_size} has no room for tokens beside {', '.join(specials)}: "
                f"choose a size of at least {len(specials) + 1}"
            )
        known = dict.fromkeys(specials, 0)
        total = most = 0

        def frequent() -> Iterator[tuple[int, str]]:
            nonlocal total, most
            for token, count in counts:
                total += count
                if token in known:
                    known[token] = count
                    continue
                most = max(most, count)
                if count >= min_count:
                    yield -count, token

        by_count = sorted(frequent()) if max_size is None else nsmallest(max_size - len(specials), frequent())
        if most and not by_count:
            raise NlpError(f"no token occurs {min_count} times, the most frequent one {most}: lower --min-count")
        known.update((token, -count) for count, token in by_count)
        known[UNK] += total - sum(known.values())
        return cls(list(known), list(known.values()))

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._id_of

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self.tokens == other.tokens and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]  # equal by value, and counts is an array

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens, from a text of {self.counts.sum()})"

    def id_of(self, token: str) -> int:
        """The id of a token, that of `<unk>` where the vocabulary lacks it. NlpError where it has no `<unk>` either."""
        id = self._id_of.get(token, self.unk_id)
        if id is None:
            raise _unknown(token)
        return id

    @property
    def unk_id(self) -> int | None:
        """The id of `<unk>`, None where there is none (every text is made of bytes)."""
        return self._id_of.get(UNK)

    @property
    def eos_id(self) -> int | None:
        """The id of `<eos>`, None where there is none (characters have their newline)."""
        return self._id_of.get(EOS)

    def encode(self, tokens: Iterable[str]) -> NDArray[np.int32]:
        """The ids of the tokens, shape (N,); `<unk>` for those that the vocabulary lacks. Takes any iterator.

        Raises NlpError for a token that it lacks where it has no `<unk>` either.
        """
        if self.unk_id is None:
            return np.fromiter(map(self.id_of, tokens), dtype=np.int32)
        return np.fromiter(map(self._id_of.get, tokens, repeat(self.unk_id)), dtype=np.int32)

    def decode(self, ids: Iterable[int] | Ids) -> list[str]:
        """The tokens of ids in one dimension. Raises NlpError for an id outside the vocabulary."""
        numbers = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids), dtype=np.int64)
        _check_range(numbers, len(self))
        return [self.tokens[i] for i in numbers.tolist()]

    def unigram_perplexity(self, ids: Ids) -> float:
        """The perplexity of ids, shape (N,), under the model that knows only how frequent tokens are.

        p(token) = (count + 1) / (total + len(vocabulary)), counted in the training text: one is added so that a token
        which only a later text has, `<unk>` for one, is not impossible. A language model is worth its name below this.

        Raises NlpError for no ids at all, and for an id outside the vocabulary.
        """
        if ids.size == 0:
            raise NlpError("the perplexity of an empty text is not defined: give at least one token")
        log_probability = np.log(self.counts + 1) - np.log(self.counts.sum() + len(self))
        occurrences = np.zeros(len(self), dtype=np.int64)
        for start in range(0, ids.size, CHUNK):
            chunk = ids[start : start + CHUNK]
            _check_range(chunk, len(self))
            occurrences += np.bincount(chunk, minlength=len(self))
        return float(np.exp(-(occurrences @ log_probability) / ids.size))

    # ---- as a file ------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        return json.dumps({"tokens": self.tokens, "counts": self.counts.tolist()})

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        """The vocabulary that `to_json` wrote. Raises NlpError, saying what is wrong, for anything else."""
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise NlpError(f"a vocabulary file is not JSON: {error}") from error
        if not isinstance(content, dict) or not content.keys() >= {"tokens", "counts"}:
            raise NlpError('a vocabulary file holds one object with "tokens" and "counts", and this one does not')
        tokens, counts = content["tokens"], content["counts"]
        if not isinstance(tokens, list) or not isinstance(counts, list):
            raise NlpError('"tokens" and "counts" are lists in a vocabulary file')
        for token in tokens:
            if not isinstance(token, str):
                raise NlpError(f"a token is a string, and a vocabulary file has {token!r} among its tokens")
        for count in counts:
            if type(count) is not int or not 0 <= count <= LARGEST_COUNT:  # True and 1.0 are no counts
                raise NlpError(f"a count is a whole number from 0, and a vocabulary file has {count!r} among them")
        return cls(tokens, counts)


def _unknown(token: str) -> NlpError:
    return NlpError(f"the token {token!r} is not in this vocabulary, which has no {UNK} to stand for it")


def _check_range(ids: Ids, size: int) -> None:
    outside = ids[(ids < 0) | (ids >= size)]
    if outside.size:
        raise NlpError(f"the id {outside[0]} is not in this vocabulary of {size} tokens: ids run from 0 to {size - 1}")
