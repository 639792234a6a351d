"""Words with a vector each, however they were learned: to look a word up, to find those near it, to keep in a file.

Shapes: V words, D the size of a vector.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nlp.errors import NlpError, counted, did_you_mean
from nlp.generation.sampling import largest
from nlp.text.files import StrPath
from nlp.text.vocabulary import Vocabulary
from nlp.text.word2vec_format import read_word2vec, write_word2vec

__all__ = ["KeyedVectors", "load_vectors"]

IS_BINARY = {".bin": True, ".txt": False, ".vec": False}  # by the ending of the file's name
ENDINGS = ".bin (binary), .txt or .vec (text)"
SOUGHT = 50_000  # words, the most frequent, among which the spelling that was meant is looked for


@dataclass(frozen=True, eq=False)
class KeyedVectors:
    """Words, each once and the most frequent first, and the vector of each (V, D).

    Raises NlpError where the two do not go together: other shapes, a word twice, a number that is not finite.
    """

    words: tuple[str, ...]
    vectors: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words):
            raise NlpError(f"{counted(len(self.words), 'word')} cannot have vectors of shape {self.vectors.shape}")
        if not self.words:
            raise NlpError("there are no words to have vectors: train on a text with words in it")
        if len(self._places) < len(self.words):
            twice = next(word for place, word in enumerate(self.words) if self._places[word] != place)
            raise NlpError(f"the word {twice!r} occurs twice: each word has one vector")
        if not np.isfinite(self.vectors).all():
            place = int(np.argmin(np.isfinite(self.vectors).all(axis=1)))
            raise NlpError(f"the vector of {self.words[place]!r} is not finite: take one from before training failed")

    @classmethod
    def of_vocabulary(
        cls, vocabulary: Vocabulary, vectors: NDArray[np.floating], specials: Collection[str] = ()
    ) -> KeyedVectors:
        """The tokens of a vocabulary by falling count, without its `specials`, and the row of `vectors` for each."""
        by_count = np.argsort(-vocabulary.counts, kind="stable").tolist()
        ids = [id for id in by_count if vocabulary.tokens[id] not in specials]
        return cls(tuple(vocabulary.tokens[id] for id in ids), np.asarray(vectors[ids], dtype=np.float32))

    # ---- as a file --------------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, path: StrPath) -> KeyedVectors:
        """The words of a file in word2vec's format: binary if its name ends in .bin, text if in .txt or .vec.

        Raises NlpError for another name, and as `read_word2vec` does.
        """
        words, vectors = read_word2vec(Path(path), binary=_is_binary(path))
        return cls(tuple(words), vectors)

    def save(self, path: StrPath) -> None:
        """Write the file that `read` reads, whole or not at all. Raises NlpError for a word that has a space in it."""
        write_word2vec(Path(path), self.words, self.vectors, binary=_is_binary(path))

    # ---- words ------------------------------------------------------------------------------------------------------

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._places

    def index(self, word: str) -> int:
        """Which row is the word's. Raises NlpError for a word that has no vector."""
        if word not in self._places:
            meant = did_you_mean(word, islice(self.words, SOUGHT))
            raise NlpError(f"there is no vector for the word {word!r}{meant}: name one of the {len(self):,} words")
        return self._places[word]

    def head(self, count: int) -> KeyedVectors:
        """The `count` most frequent words alone (all, where there are no more). Raises NlpError for none."""
        if count < 1:
            raise NlpError(f"the most frequent words are at least 1, not {count}")
        return KeyedVectors(self.words[:count], self.vectors[:count])

    def places(self, *, case_insensitive: bool = False) -> dict[str, int]:
        """Where each word stands; `case_insensitive`: of those alike but for case the first, under its upper case.

        Upper case, as in word2vec's own program and in gensim.
        """
        if not case_insensitive:
            return self._places
        return {word.upper(): place for word, place in reversed(self._places.items())}

    # ---- directions -------------------------------------------------------------------------------------------------

    @cached_property
    def unit(self) -> NDArray[np.float32]:
        """The vectors at length 1 (V, D): their products are cosines. A vector of zeros stays one."""
        length = np.sqrt(np.einsum("vd,vd->v", self.vectors, self.vectors, dtype=np.float64))
        length[length == 0] = 1
        return np.divide(self.vectors, length[:, None], out=np.empty_like(self.vectors), casting="same_kind")

    def most_similar(
        self, positive: str | Sequence[str], negative: str | Sequence[str] = (), count: int = 10
    ) -> list[tuple[str, float]]:
        """The `count` words whose vectors have the largest cosine with the mean of those given, and that cosine.

        The mean is of unit vectors, those of `negative` turned round; with b, c and a it answers "a is to b as c is
        to ...?" (3CosAdd). The words given are left out. As gensim's function of this name.

        Raises NlpError for a word without a vector, for a count below 1, and where nothing is left of the mean.
        """
        if count < 1:
            raise NlpError(f"--count must be at least 1 word, not {count}")
        added, taken = ([words] if isinstance(words, str) else words for words in (positive, negative))
        rows = [self.index(word) for word in (*added, *taken)]
        signs = np.repeat([1.0, -1.0], [len(added), len(taken)])
        mean = signs @ self.unit[rows]
        length = float(np.linalg.norm(mean))
        if length == 0:
            raise NlpError("the vectors of the words given add up to nothing, which is near no word: name others")
        cosine = (self.unit @ (mean / length).astype(np.float32)).astype(np.float64)
        cosine[rows] = -np.inf
        nearest = largest(cosine, count)[: len(self) - len(set(rows))]
        return [(self.words[place], float(cosine[place])) for place in nearest]


def load_vectors(path: StrPath) -> KeyedVectors:
    """The word vectors of a run, or of a file in word2vec's format; those a language model reads its tokens by, too.

    Raises NlpError for what is neither, for a damaged one, and for a language model that has no vectors of tokens.
    """
    import nlp
    from nlp.evaluation.look import embedding_of

    if not Path(path).is_dir():
        if Path(path).suffix.lower() not in IS_BINARY:
            raise NlpError(f"{path} is no run folder and no file of word vectors, whose name ends in {ENDINGS}")
        return KeyedVectors.read(path)
    loaded = nlp.load(path)
    if isinstance(loaded, KeyedVectors):
        return loaded
    return KeyedVectors.of_vocabulary(loaded.vocabulary, embedding_of(loaded), loaded.tokenizer.specials)


def _is_binary(path: StrPath) -> bool:
    ending = Path(path).suffix.lower()
    if ending not in IS_BINARY:
        raise NlpError(f"{path} is no file of word vectors by its name: let it end in {ENDINGS}")
    return IS_BINARY[ending]
