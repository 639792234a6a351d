"""Sequences of different lengths for RNN, LSTM and GRU: padded to one length, or packed without any padding.

Packed, the rows of all sequences lie step by step, the longest sequence first:

    a b c        lengths 3, 2, 1            data         a d f b e c
    d e          ------------------>        batch_sizes  3, 2, 1
    f

so that step t is `batch_sizes[t]` rows, and a recurrent layer computes nothing for padding.

Shapes: T steps of the longest sequence, B sequences, N steps of all sequences together, ... the features of a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import DeviceLike, transfer
from minigrad.core.tensor import Tensor, wrap
from minigrad.ops.joining import cat, unbind
from minigrad.ops.packing import Places, put_places, take_places

Host = np.ndarray[Any, Any]


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences without padding: `pack_padded_sequence` and `pack_sequence` make them, recurrent layers take them.

    Fields:
        data: all steps (N, ...), those of step 0 first.
        batch_sizes: int64 (T), how many sequences each step has.
        sorted_indices: int64 (B), which of the given sequences is the longest, the second longest, ...; None if they
            were given in that order.
        unsorted_indices: int64 (B), the way back: where each given sequence lies now.

    The last three stay on the host wherever `data` is, so that nothing has to wait for a device to know them.
    """

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        """As PyTorch's: the sizes are needed, and one of the orders gives the other.

        Raises TypeError for fields that are no Tensors, ValueError for what does not fit together.
        """
        if batch_sizes is None:
            raise ValueError("a PackedSequence needs batch_sizes: make one with pack_padded_sequence()")
        orders = {"sorted_indices": sorted_indices, "unsorted_indices": unsorted_indices}
        _check_fields(data, batch_sizes, {name: order for name, order in orders.items() if order is not None})
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _with(self, data: Tensor) -> PackedSequence:
        return self if data is self.data else PackedSequence(data, *self[1:])

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same sequences with `data.to(...)`: another device or dtype."""
        return self._with(self.data.to(*args, **kwargs))

    def cpu(self) -> PackedSequence:
        """With the data on the CPU."""
        return self.to("cpu")

    def cuda(self, device: DeviceLike = None) -> PackedSequence:
        """With the data on a CUDA device, the current one unless a number or name is given."""
        return self.to("cuda" if device is None else device)

    def float(self) -> PackedSequence:
        """With the data in float32."""
        return self._with(self.data.float())

    def double(self) -> PackedSequence:
        """With the data in float64."""
        return self._with(self.data.double())

    def half(self) -> PackedSequence:
        """With the data in float16."""
        return self._with(self.data.half())

    def long(self) -> PackedSequence:
        """With the data in int64."""
        return self._with(self.data.long())

    def int(self) -> PackedSequence:
        """With the data in int32."""
        return self._with(self.data.int())

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a CUDA device."""
        return self.data.device.type == "cuda"


def _check_fields(data: Tensor, batch_sizes: Tensor, orders: dict[str, Tensor]) -> None:
    """TypeError or ValueError for fields that make no PackedSequence."""
    on_host = {"batch_sizes": batch_sizes, **orders}
    for name, field in {"data": data, **on_host}.items():
        if not isinstance(field, Tensor):
            raise TypeError(f"{name} of a PackedSequence must be a Tensor, got {type(field).__name__}")
    for name, field in on_host.items():
        if field.device.type != "cpu":
            raise ValueError(f"{name} of a PackedSequence stays on the CPU, and this is on {field.device}")
        if field.ndim != 1 or field.dtype.kind not in "iu":
            raise ValueError(
                f"{name} of a PackedSequence holds whole numbers in one dimension, got {field.dtype} of shape "
                f"{tuple(field.shape)}"
            )
    sizes: Host = batch_sizes._array
    if not sizes.size or sizes[-1] < 1 or (sizes[1:] > sizes[:-1]).any():
        raise ValueError(
            f"batch_sizes of a PackedSequence are at least 1 and never grow, there being one for each step, got "
            f"{sizes.tolist()}"
        )
    if not data.ndim or sizes.sum() != data.shape[0]:
        raise ValueError(
            f"batch_sizes of a PackedSequence add up to the rows of its data, got {sizes.tolist()} for data of shape "
            f"{tuple(data.shape)}"
        )
    for name, field in orders.items():
        if not np.array_equal(np.sort(field._array), np.arange(sizes[0])):
            raise ValueError(
                f"{name} of a PackedSequence has each of its {sizes[0]} sequences once, got {field.tolist()}"
            )


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes this one; None of None."""
    return None if permutation is None else wrap(np.argsort(permutation._array))


# ---- packed ---------------------------------------------------------------------------------------------------------


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Leave the padding out.

    Args:
        input: (T, B, ...), or (B, T, ...) with `batch_first`; integers as well.
        lengths: of the B sequences, each at least 1 and at most T; on the host.
        batch_first: whether the batch is the first dimension.
        enforce_sorted: the sequences come longest first, and it is an error if they do not. Otherwise they are
            sorted here, and the layers and `pad_packed_sequence` give them back in the order they came in.

    Raises RuntimeError where a length does not fit, or the sequences are not sorted and should be; TypeError for an
    input that is no Tensor.
    """
    if not isinstance(input, Tensor):
        raise TypeError(
            f"pack_padded_sequence: the input must be a Tensor (T, B, ...), got {type(input).__name__}: pack_sequence "
            f"takes a list of sequences"
        )
    if input.ndim < 2:
        raise IndexError(f"pack_padded_sequence: the input must be (T, B, ...), got shape {tuple(input.shape)}")
    B, T = input.shape[:2] if batch_first else reversed(input.shape[:2])
    counts = _checked_lengths("pack_padded_sequence", lengths, B, T)
    order = None if enforce_sorted else np.argsort(-counts, kind="stable")
    if enforce_sorted and (counts[1:] > counts[:-1]).any():
        raise RuntimeError(
            f"pack_padded_sequence: the lengths {counts.tolist()} are not sorted, longest first, and "
            f"enforce_sorted=True says they are: pass enforce_sorted=False, and they are sorted for you"
        )
    sizes = (counts > np.arange(counts.max())[:, None]).sum(axis=1)  # of each step
    data = take_places(input, places=_packed_places(sizes, order, batch_first, input))
    return PackedSequence(data, wrap(sizes), None if order is None else wrap(order))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Put padding after the sequences: the way back from `pack_padded_sequence`.

    Args:
        sequence: as packed, or as a recurrent layer gave it.
        batch_first: whether the batch becomes the first dimension.
        padding_value: what stands after a sequence's end.
        total_length: the number of steps T to pad to, if not that of the longest sequence.

    Returns the sequences in the order they were packed from, (T, B, ...), and their lengths, int64 (B), on the host.
    Raises ValueError for a `total_length` shorter than the longest sequence, RuntimeError for a padding that the
    dtype of the data cannot hold.
    """
    if not isinstance(sequence, PackedSequence):
        raise TypeError(f"pad_packed_sequence takes a PackedSequence, got {type(sequence).__name__}")
    _check_padding("pad_packed_sequence", padding_value, sequence.data)
    sizes: Host = sequence.batch_sizes._array
    T, B = len(sizes), int(sizes[0])
    if total_length is not None and total_length < T:
        raise ValueError(f"pad_packed_sequence: total_length={total_length}, and the longest sequence has {T} steps")
    T = T if total_length is None else total_length
    order = None if sequence.sorted_indices is None else sequence.sorted_indices._array
    places = _packed_places(sizes, order, batch_first, sequence.data)
    padded = put_places(sequence.data, places=places, sizes=(B, T) if batch_first else (T, B), value=padding_value)
    lengths = (sizes > np.arange(B)[:, None]).sum(axis=1)
    if sequence.unsorted_indices is not None:
        lengths = lengths[sequence.unsorted_indices._array]
    return padded, wrap(lengths)


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack a list of sequences, each (L, ...); `enforce_sorted` as in `pack_padded_sequence`."""
    padded = pad_sequence(sequences)
    return pack_padded_sequence(padded, [len(one) for one in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The list of sequences (L, ...) in the order they were packed from."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), batch_first=True)


def _packed_places(sizes: Host, order: Host | None, batch_first: bool, like: Tensor) -> Places:
    """Where each packed row lies in the padded array, on the device of `like`."""
    step = np.repeat(np.arange(len(sizes)), sizes)
    return _places(step, _columns(sizes, order), batch_first, like)


def _columns(sizes: Host, order: Host | None) -> Host:
    """Which of the sequences as they were given each packed row is a step of: (N)."""
    column = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # counted anew at each step
    return column if order is None else order[column]


def sequence_numbers(sequence: PackedSequence) -> Host:
    """Which of the sequences as they were given each row of the data is a step of: (N), on the host."""
    order = sequence.sorted_indices
    return _columns(sequence.batch_sizes._array, None if order is None else order._array)


def _places(step: Host, column: Host, batch_first: bool, like: Tensor) -> Places:
    first, second = (column, step) if batch_first else (step, column)
    return transfer(first, like.device), transfer(second, like.device)


def _checked_lengths(name: str, lengths: Tensor | Sequence[int], B: int, T: int) -> Host:
    """The lengths as an array, every one of which fits."""
    counts = _host_lengths(name, lengths)
    if not B * T:
        raise RuntimeError(f"{name}: there is nothing to pack in {B} sequences of {T} steps")
    if len(counts) != B:
        raise RuntimeError(f"{name}: {len(counts)} lengths for a batch of {B} sequences")
    if counts.min() < 1:
        raise RuntimeError(f"{name}: every length must be at least 1, got {counts.tolist()}: leave empty sequences out")
    if counts.max() > T:
        raise RuntimeError(f"{name}: a length is {counts.max()}, and the input has {T} steps")
    return counts


def _host_lengths(name: str, lengths: Tensor | Sequence[int]) -> Host:
    if isinstance(lengths, Tensor) and lengths.device.type != "cpu":
        raise RuntimeError(f"{name}: the lengths must be on the CPU, and are on {lengths.device}: pass lengths.cpu()")
    given = np.asarray(lengths._array if isinstance(lengths, Tensor) else lengths)
    # A bool is no length: it would be that of a mask, taken for 1 or 0. Nor has nan or "3" a whole part.
    whole = given.ndim == 1 and given.dtype.kind in "iuf" and bool((np.trunc(given) == given).all())
    if not whole or not np.isfinite(given).all():
        raise RuntimeError(f"{name}: the lengths must be whole numbers, one for each sequence, got {lengths!r}")
    return given.astype(np.int64)


# ---- padded ---------------------------------------------------------------------------------------------------------


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stack sequences (L, ...) of different lengths: (T, B, ...), or (B, T, ...) with `batch_first`.

    What is missing at the end (with `padding_side="left"`, at the beginning) is `padding_value`. The dtype is that of
    the first. Raises RuntimeError for an empty list, where the sizes of a step differ, and for a padding that the dtype
    cannot hold; TypeError for a list of other than Tensors.
    """
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"pad_sequence: padding_side must be 'left' or 'right', got {padding_side!r}")
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence takes a list of Tensors, got {type(sequences).__name__}")
    parts = list(unbind(sequences) if isinstance(sequences, Tensor) else sequences)
    if not parts:
        raise RuntimeError("pad_sequence: the list of sequences is empty")
    first = parts[0]
    for one in parts:
        if not isinstance(one, Tensor):
            raise TypeError(f"pad_sequence takes a list of Tensors, and there is a {type(one).__name__} in it")
        if not one.ndim or one.shape[1:] != first.shape[1:]:
            raise RuntimeError(
                f"pad_sequence: the sequences must be (L, ...) and differ in L alone, got shapes "
                f"{tuple(first.shape)} and {tuple(one.shape)}"
            )
    _check_padding("pad_sequence", padding_value, first)
    counts = np.array([len(one) for one in parts])
    T, B = int(counts.max()), len(parts)
    column = np.repeat(np.arange(B), counts)
    step = np.arange(len(column)) - np.repeat(np.cumsum(counts) - counts, counts)  # counted anew in each sequence
    if padding_side == "left":
        step += np.repeat(T - counts, counts)
    return put_places(
        cat([one.to(first.dtype) for one in parts]),
        places=_places(step, column, batch_first, first),
        sizes=(B, T) if batch_first else (T, B),
        value=padding_value,
    )


def _check_padding(name: str, value: float, like: Tensor) -> None:
    """RuntimeError for a padding that is outside the integers of the data's dtype, or no number at all."""
    if like.dtype.kind in "iu":
        lowest, highest = np.iinfo(like.dtype).min, np.iinfo(like.dtype).max
        if not lowest <= value <= highest:
            raise RuntimeError(
                f"{name}: {like.dtype} cannot hold padding_value={value}: pad with a number from {lowest} to "
                f"{highest}, or convert the sequences to a floating point dtype first"
            )


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False
) -> list[Tensor]:
    """The sequences (L, ...) without their padding, as views: the way back from `pad_sequence`."""
    counts = _host_lengths("unpad_sequence", lengths)
    return [one[:count] for one, count in zip(unbind(padded_sequences, 0 if batch_first else 1), counts.tolist())]
