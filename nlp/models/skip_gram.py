"""Skip-gram: a word foretells each of the words around it.

Mikolov, Chen, Corrado and Dean, "Efficient estimation of word representations in vector space" (2013), section 3.2, and
Mikolov, Sutskever, Chen, Corrado and Dean, "Distributed representations of words and phrases and their
compositionality" (2013), equation 1.

Shapes: M words of a stretch of text, P pairs of them, D the size of a vector.
"""

from __future__ import annotations

from minigrad import Tensor
from nlp.models.word2vec import Word2Vec

__all__ = ["SkipGram"]


class SkipGram(Word2Vec):
    """The vector of a word foretells each word in its window by itself.

    `input` is the words of a stretch (M,), `target` the pairs (P,) of a word and one in its window, as
    `nlp.text.contexts.ContextWindows` gives them.
    """

    def predictions(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The words' vectors, the words, and the pairs."""
        return self.embedding(input), input, target
