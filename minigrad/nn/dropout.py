"""Dropout: noise in training, nothing in evaluation.

What is drawn once decides what the noise means: `Dropout` draws for each element, `LockedDropout` once for all the
steps of a sequence, `EmbeddingDropout` once for all occurrences of a word. `nn.utils.weight_drop` drops weights.
"""

from __future__ import annotations

from typing import TypeVar

from minigrad.backend import transfer
from minigrad.core.tensor import Tensor, wrap
from minigrad.nn import functional as F
from minigrad.nn.embedding import Embedding
from minigrad.nn.module import Module
from minigrad.nn.utils.rnn import PackedSequence, sequence_numbers
from minigrad.random import default_generator

Sequences = TypeVar("Sequences", Tensor, PackedSequence)


class Dropout(Module):
    """In training, set each element to zero with probability `p` and divide the others by `1 - p` (Srivastava et al.,
    JMLR 2014). In evaluation, do nothing."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        F.check_probability(p)
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class LockedDropout(Module):
    """Variational dropout: what is dropped at one step is dropped at all of them (Gal & Ghahramani, NeurIPS 2016;
    Merity et al., ICLR 2018).

    In training each feature of each sequence is zero with probability `p`, and divided by `1 - p` otherwise, for all
    steps of this call; the next call draws anew. In evaluation, nothing.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        F.check_probability(p)
        self.p = p

    def forward(self, input: Sequences) -> Sequences:
        """(T, B, F), steps first, -> the same shape, by one mask (1, B, F). (T, F) is one sequence.

        A PackedSequence gives a PackedSequence: what the same draw gives of the padded sequences, packed.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input)
        if not isinstance(input, Tensor):
            raise TypeError(f"LockedDropout takes a Tensor or a PackedSequence, got {type(input).__name__}")
        if input.ndim not in (2, 3):
            raise ValueError(
                f"LockedDropout: the input must be (T, B, F), or (T, F) for one sequence, got shape "
                f"{tuple(input.shape)}"
            )
        if not self.training or self.p == 0:
            return input
        shape = (1, *input.shape[1:])
        return input * wrap(default_generator.bernoulli_mask(shape, 1 - self.p, input.dtype, input.device))

    def _forward_packed(self, input: PackedSequence) -> PackedSequence:
        """Data (N, F), by one mask (B, F), of which each row takes that of its sequence."""
        data = input.data
        if data.ndim != 2:
            raise ValueError(
                f"LockedDropout: the data of the packed sequence must be (N, F), got shape {tuple(data.shape)}"
            )
        if not self.training or self.p == 0:
            return input
        shape = (int(input.batch_sizes[0]), data.shape[1])
        mask = default_generator.bernoulli_mask(shape, 1 - self.p, data.dtype, data.device)
        rows = transfer(sequence_numbers(input), data.device)
        return PackedSequence(data * wrap(mask[rows]), *input[1:])

    def extra_repr(self) -> str:
        return f"p={self.p}"


class EmbeddingDropout(Module):
    """Drop words, not features: in training each word number is dropped with probability `p`, wherever it occurs in
    this call, and the vectors of the others are divided by `1 - p` (Gal & Ghahramani, NeurIPS 2016; Merity et al.,
    ICLR 2018).

        embedded = embedding_dropout(embedding, tokens)

    One number is drawn for each row of the table; the table itself is only read where it is looked up. In evaluation
    this is `embedding(tokens)`.
    """

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        F.check_probability(p)
        self.p = p

    def forward(self, embedding: Embedding, input: Tensor) -> Tensor:
        """The table, and row numbers (...) -> (..., embedding_dim)."""
        rows = embedding(input)
        if not self.training or self.p == 0:
            return rows
        words = default_generator.bernoulli_mask((embedding.num_embeddings,), 1 - self.p, rows.dtype, rows.device)
        return rows * wrap(words[input._array]).unsqueeze(-1)

    def extra_repr(self) -> str:
        return f"p={self.p}"
