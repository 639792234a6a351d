"""Sequences of different lengths: packing and padding."""

from __future__ import annotations

import copy
import re
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
from minigrad import nn
from minigrad.nn.utils.rnn import (
    PackedSequence,
    invert_permutation,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
)
from minigrad.testing import standin
from nn.oracle import array, close, tensor_in, torch
from nn.sequences import is_sorted, lengths_of, padded_of

packing = {
    "lengths": lengths_of(), "features": st.integers(1, 3), "seed": st.integers(0, 99), "batch_first": st.booleans(),
    "extra": st.integers(0, 2),
}  # fmt: skip


@given(**packing)
def test_packed_rows_lie_step_by_step_the_longest_sequence_first(
    lengths: list[int], features: int, seed: int, batch_first: bool, extra: int
) -> None:
    values = padded_of(lengths, features, seed, batch_first, extra)
    packed = pack_padded_sequence(minigrad.tensor(values), lengths, batch_first, enforce_sorted=False)
    order = sorted(range(len(lengths)), key=lambda b: -lengths[b])  # Python's sort keeps the order of equal ones
    rows = [values[b, t] if batch_first else values[t, b] for t in range(max(lengths)) for b in order if lengths[b] > t]
    close(packed.data, np.array(rows))
    assert packed.batch_sizes.tolist() == [sum(length > t for length in lengths) for t in range(max(lengths))]
    assert packed.sorted_indices.tolist() == order
    assert [order[place] for place in packed.unsorted_indices.tolist()] == list(range(len(lengths)))
    if is_sorted(lengths):
        close(pack_padded_sequence(minigrad.tensor(values), lengths, batch_first).data, np.array(rows))


@given(padding_value=st.sampled_from([0.0, -1.5]), back_first=st.booleans(), **packing)
def test_padding_gives_back_what_was_packed(
    lengths: list[int], features: int, seed: int, batch_first: bool, extra: int, padding_value: float, back_first: bool
) -> None:
    x = minigrad.tensor(padded_of(lengths, features, seed, batch_first), requires_grad=True)
    packed = pack_padded_sequence(x, minigrad.tensor(lengths), batch_first, enforce_sorted=False)
    total = max(lengths) + extra
    back, found = pad_packed_sequence(packed, back_first, padding_value, total if extra else None)
    assert found.tolist() == lengths
    assert found.dtype == minigrad.int64
    expected = np.full((total, len(lengths), features), padding_value)
    given_steps_first = array(x).swapaxes(0, 1) if batch_first else array(x)
    used = np.zeros_like(given_steps_first)
    for b, length in enumerate(lengths):
        expected[:length, b] = given_steps_first[:length, b]
        used[:length, b] = 1
    close(back, expected.swapaxes(0, 1) if back_first else expected)
    back.sum().backward()
    close(x.grad, used.swapaxes(0, 1) if batch_first else used)


@pytest.mark.oracle
@given(side=st.sampled_from(["left", "right"]), value=st.sampled_from([0, 7]), **packing)
def test_every_function_is_pytorchs(
    lengths: list[int], features: int, seed: int, batch_first: bool, extra: int, side: str, value: int
) -> None:
    results = []
    for library, here in ((minigrad, nn.utils.rnn), (torch(), torch().nn.utils.rnn)):
        x = tensor_in(library, padded_of(lengths, features, seed, batch_first, extra), True)
        packed = here.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=is_sorted(lengths))
        back, counts = here.pad_packed_sequence(packed, batch_first, float(value))
        parts = here.unpad_sequence(back.clone(), counts, batch_first)  # PyTorch's transposes its argument in place
        again = here.pad_sequence(parts, batch_first, value, side)
        listed = here.pack_sequence(parts, enforce_sorted=False)
        unpacked = here.unpack_sequence(listed)
        (again**2).sum().backward()
        orders = [[] if one is None else one for one in packed[2:]]
        results.append([packed.data, packed.batch_sizes, *orders, back, counts, *parts, again, *listed, *unpacked])
        results[-1].append(x.grad)
    for found, expected in zip(*results, strict=True):
        close(found, expected)


@given(lengths=st.lists(st.integers(0, 4), min_size=1, max_size=4), trailing=st.sampled_from([(), (2,), (2, 1)]))
def test_sequences_of_any_steps_and_dtype_are_padded(lengths: list[int], trailing: tuple[int, ...]) -> None:
    arrays = [np.arange(np.prod((length, *trailing)), dtype=int).reshape(length, *trailing) for length in lengths]
    padded = pad_sequence([minigrad.tensor(one) for one in arrays], padding_value=9)
    assert padded.dtype == minigrad.int64
    assert tuple(padded.shape) == (max(lengths), len(lengths), *trailing)
    for b, one in enumerate(arrays):
        np.testing.assert_array_equal(array(padded)[: len(one), b], one)
        assert (array(padded)[len(one) :, b] == 9).all()
    stacked = minigrad.ones(3, 2)
    close(pad_sequence(stacked, batch_first=True), stacked)


def test_word_numbers_are_packed_and_embedded() -> None:
    words = minigrad.tensor([[1, 2, 3], [4, 0, 0]])
    packed = pack_padded_sequence(words, [3, 1], batch_first=True)
    assert packed.data.tolist() == [1, 4, 2, 3]
    embedded = PackedSequence(nn.Embedding(5, 2)(packed.data), *packed[1:])
    assert tuple(nn.GRU(2, 3)(embedded)[0].data.shape) == (4, 3)


def test_a_packed_sequence_is_a_tuple_that_moves_and_converts() -> None:
    packed = pack_sequence([minigrad.ones(1, 2), minigrad.zeros(3, 2)], enforce_sorted=False)
    data, batch_sizes, order, way_back = packed
    assert (data is packed.data, batch_sizes.tolist(), order.tolist(), way_back.tolist()) == (
        True, [2, 1, 1], [1, 0], [1, 0],
    )  # fmt: skip
    for convert, dtype in [("double", "float64"), ("half", "float16"), ("long", "int64"), ("int", "int32")]:
        there = getattr(packed, convert)()
        assert (there.data.dtype, there.batch_sizes) == (np.dtype(dtype), batch_sizes)
    assert packed.float() is packed
    assert packed.cpu() is packed
    assert not packed.is_cuda
    standin.install()
    assert packed.to("standin").data.device.type == "standin"
    assert packed.to(minigrad.float64).data.dtype == minigrad.float64
    twin = copy.deepcopy(packed)
    assert type(twin) is PackedSequence
    close(twin.data, data)
    assert invert_permutation(None) is None
    three = PackedSequence(data, minigrad.tensor([3, 1]), minigrad.tensor([2, 0, 1]))
    assert three.unsorted_indices.tolist() == [1, 2, 0]
    with pytest.raises(ValueError, match="needs batch_sizes: make one with pack_padded_sequence"):
        PackedSequence(data)
    with pytest.raises(ValueError, match="batch_sizes of a PackedSequence stays on the CPU"):
        PackedSequence(data, batch_sizes.to("standin"))


@pytest.mark.parametrize(
    ("fields", "error", "sentence"),
    [
        (([1, 2], [2]), TypeError, "^data of a PackedSequence must be a Tensor, got list$"),
        ((np.ones((2, 1)), [2]), TypeError, "^data of a PackedSequence must be a Tensor, got ndarray$"),
        ((minigrad.ones(2, 1), [2]), TypeError, "^batch_sizes of a PackedSequence must be a Tensor, got list$"),
        ((minigrad.ones(2, 1), minigrad.tensor([2.0])), ValueError, r"^batch_sizes .*whole numbers.* got float32 of"),
        ((minigrad.ones(2, 1), minigrad.tensor([[2]])), ValueError, r"^batch_sizes .* int64 of shape \(1, 1\)$"),
        ((minigrad.ones(1, 1), minigrad.tensor([True])), ValueError, "^batch_sizes .* got bool of"),
        ((minigrad.ones(0, 1), minigrad.tensor([], dtype=minigrad.int64)), ValueError, r"at least 1 .* got \[\]$"),
        ((minigrad.ones(2, 1), minigrad.tensor([2, 0])), ValueError, r"at least 1 and never grow.* got \[2, 0\]$"),
        ((minigrad.ones(3, 1), minigrad.tensor([1, 2])), ValueError, r"never grow.* got \[1, 2\]$"),
        ((minigrad.ones(4, 1), minigrad.tensor([2, 1])), ValueError, r"add up to the rows .*\[2, 1\] .*\(4, 1\)$"),
        ((minigrad.tensor(1.0), minigrad.tensor([1])), ValueError, r"data of shape \(\)$"),
        ((minigrad.ones(2, 1), minigrad.tensor([2]), [0, 1]), TypeError, "^sorted_indices .* got list$"),
        ((minigrad.ones(2, 1), minigrad.tensor([2]), minigrad.tensor([0, 0])), ValueError, r"once, got \[0, 0\]$"),
        ((minigrad.ones(2, 1), minigrad.tensor([2]), None, minigrad.tensor([0])), ValueError, "^unsorted_indices"),
    ],
)  # fmt: skip
def test_fields_that_make_no_packed_sequence(fields: tuple[Any, ...], error: Any, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        PackedSequence(*fields)


@pytest.mark.parametrize(
    ("lengths", "sentence"),
    [
        ([4, 3], "2 lengths for a batch of 3 sequences"),
        ([4, 3, 0], r"every length must be at least 1, got \[4, 3, 0\]: leave empty sequences out"),
        ([3, 4, 1], r"the lengths \[3, 4, 1\] are not sorted, .*pass enforce_sorted=False"),
        ([5, 4, 1], "a length is 5, and the input has 4 steps"),
        ([[2, 2, 1]], "must be whole numbers, one for each sequence"),
        ([2.5, 2, 1], "must be whole numbers"),
        ([2, np.nan, 1], "must be whole numbers"),
        ([np.inf, 2, 1], "must be whole numbers"),
        ([True, True, True], "must be whole numbers"),
        (minigrad.tensor([True, True, False]), "must be whole numbers"),
        (["3", "2", "1"], "must be whole numbers"),
    ],
)
def test_lengths_that_do_not_fit(lengths: Any, sentence: str) -> None:
    with pytest.raises(RuntimeError, match=f"pack_padded_sequence: .*{sentence}"):
        pack_padded_sequence(minigrad.zeros(4, 3, 2), lengths)


def test_what_cannot_be_packed_or_padded() -> None:
    standin.install()
    x = minigrad.zeros(4, 3, 2)
    packed = pack_padded_sequence(x, [4, 3, 2])
    for what, error, sentence in (
        (lambda: pack_padded_sequence(minigrad.zeros(4), [4]), IndexError, r"must be \(T, B, ...\), got shape \(4,\)"),
        (lambda: pack_padded_sequence(minigrad.zeros(0, 3, 2), [1, 1, 1]), RuntimeError, "nothing to pack"),
        (lambda: pack_padded_sequence(minigrad.zeros(4, 0, 2), []), RuntimeError, "nothing to pack"),
        (lambda: pack_padded_sequence(x, minigrad.tensor([4, 3, 2]).to("standin")), RuntimeError, "on the CPU"),
        (lambda: pack_padded_sequence([[1, 2]], [1]), TypeError, r"must be a Tensor \(T, B, ...\), got list"),
        (lambda: pad_sequence([x, [1]]), TypeError, "takes a list of Tensors, and there is a list in it"),
        (lambda: pad_packed_sequence(x), TypeError, "takes a PackedSequence, got Tensor"),
        (lambda: pad_packed_sequence(packed, total_length=3), ValueError, "total_length=3, .* longest .* has 4 steps"),
        (lambda: pad_sequence([]), RuntimeError, "the list of sequences is empty"),
        (lambda: pad_sequence(5), RuntimeError, "takes a list of Tensors, got int"),
        (lambda: pad_sequence([x], padding_side="up"), RuntimeError, "must be 'left' or 'right', got 'up'"),
        (lambda: pad_sequence([x[0], x[:, 0]][:1] + [minigrad.zeros(2, 3)]), RuntimeError, r"\(3, 2\) and \(2, 3\)"),
        (lambda: pack_sequence([minigrad.zeros(1, 2), minigrad.zeros(2, 2)]), RuntimeError, "not sorted"),
    ):
        with pytest.raises(error, match=sentence):
            what()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0**63, -(2.0**65), 300, -1])
def test_integers_are_padded_with_what_they_can_hold(dtype: str, value: float) -> None:
    """Anything else would become some number or other. Floating point data takes them all."""
    parts = [minigrad.tensor(one, dtype=dtype) for one in ([1, 2], [3])]
    packed = pack_sequence(parts)
    limits = np.iinfo(dtype)
    for name, call in (
        ("pad_sequence", lambda: pad_sequence(parts, padding_value=value)),
        ("pad_packed_sequence", lambda: pad_packed_sequence(packed, padding_value=value)[0]),
    ):
        if limits.min <= value <= limits.max:
            assert call().tolist() == [[1, 3], [2, value]]
        else:
            with pytest.raises(
                RuntimeError, match=re.escape(f"{name}: {dtype} cannot hold padding_value={value}: pad")
            ):
                call()
    padded = pad_sequence([one.double() for one in parts], padding_value=value)
    np.testing.assert_array_equal(array(padded), [[1, 3], [2, value]])
