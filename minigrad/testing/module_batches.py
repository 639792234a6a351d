"""Batches taken apart: examples do not know of each other, be they in a batch, packed with others, or none at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad.backend import to_host
from minigrad.core.tensor import Tensor
from minigrad.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence, unpad_sequence
from minigrad.testing.module_running import Call, Results, assert_same, results_of, steady
from minigrad.testing.module_spec import Batch, ModuleCase, ModuleSpec, leaves, rebuilt
from minigrad.testing.strategies import Host
from minigrad.testing.trying import Draw

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


def _batch(spec: ModuleSpec, case: ModuleCase) -> Batch | None:
    return spec.batch(case) if spec.batch else None


def _part(case: ModuleCase, batch: Batch, start: int, stop: int) -> ModuleCase:
    """The same call on some of the examples."""
    arrays = [
        one if dim is None else np.take(one, range(start, stop), dim)
        for one, dim in zip(case.arrays(), batch.inputs, strict=True)
    ]
    return case.with_arrays(arrays)


def _size(case: ModuleCase, batch: Batch) -> int:
    return next(one.shape[dim] for one, dim in zip(case.arrays(), batch.inputs, strict=True) if dim is not None)


def _dim(name: str, batch: Batch) -> int | None:
    """The batch's dimension in one of the results; None for what all examples share."""
    kind, _, at = name.rpartition(" ")
    dims = {"output": batch.outputs, "gradient of input": batch.inputs}.get(kind)
    return None if dims is None else dims[int(at)]


def _joined(parts: list[Results], dims: dict[str, int | None]) -> Results:
    """Outputs and the gradients of inputs beside each other; what all examples share gets the sum."""
    together = {}
    for name, dim in dims.items():
        each = [part[name] for part in parts]
        together[name] = np.sum(each, 0) if dim is None else np.concatenate(each, dim)
    return together


def batch_equals_one_by_one(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """Alone an example gives its part of the batch; gradients of parameters are the sum."""
    batch = _batch(spec, case)
    if batch is None or not _size(case, batch):
        return
    found = Call(spec, case).results(steady)
    parts = [Call(spec, _part(case, batch, at, at + 1)).results(steady) for at in range(_size(case, batch))]
    expected = _joined(parts, {name: _dim(name, batch) for name in found})
    assert_same(spec, found, expected, "as a batch and one by one", slack=10)


def empty_batch_is_empty(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """No examples give an output of none, of the right dtype, and no gradient for the parameters."""
    batch = _batch(spec, case)
    if batch is None:
        return
    full, found = Call(spec, case).results(), Call(spec, _part(case, batch, 0, 0)).results()
    assert found.keys() == full.keys()
    for name, one in found.items():
        dim, like = _dim(name, batch), full[name]
        shape = tuple(0 if axis == dim else size for axis, size in enumerate(like.shape))
        assert one.shape == shape, f"{spec.name}: {name} of an empty batch has shape {one.shape}, not {shape}"
        assert one.dtype == like.dtype, f"{spec.name}: {name} of an empty batch is {one.dtype}, not {like.dtype}"
        assert not one.any(), f"{spec.name}: {name} of an empty batch is not zero"


# ---- packed ---------------------------------------------------------------------------------------------------------


def packed_equals_one_by_one(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """Packed sequences of different lengths, in any order, give what each gives alone; none reads the padding."""
    batch = _batch(spec, case)
    if batch is None or not _size(case, batch):
        return
    column = batch.inputs[0]
    B, T = _size(case, batch), case.arrays()[0].shape[1 if column == 0 else 0]
    lengths = draw(st.lists(st.integers(1, T), min_size=B, max_size=B))
    found = _packed(Call(spec, case), lengths, batch)
    alone = [_alone(spec, _part(case, batch, at, at + 1), length, batch) for at, length in enumerate(lengths)]
    # The sequences lie end to end, (all steps, F); the states beside each other.
    dims = {name: 0 if name in ("output 0", "gradient of input 0") else _dim(name, batch) for name in found}
    assert_same(spec, found, _joined(alone, dims), f"packed with lengths {lengths}", slack=10)


def _sequence_and_states(result: Any) -> tuple[Any, list[Tensor]]:
    """A recurrent layer returns its states, too; a dropout does not."""
    if isinstance(result, (Tensor, PackedSequence)):
        return result, []
    return result[0], list(leaves((result[1],)))


def _packed(call: Call, lengths: list[int], batch: Batch) -> Results:
    """Packed, through the module, and taken apart again."""
    first = batch.inputs[0] == 0
    packed = pack_padded_sequence(call.tensors[0], lengths, batch_first=first, enforce_sorted=False)
    others = rebuilt(call.case.inputs[1:], iter(call.tensors[1:]))
    whole, states = _sequence_and_states(call.module(packed, *others))
    padded, _ = pad_packed_sequence(whole, batch_first=first)
    outputs = [minigrad.cat(unpad_sequence(padded, lengths, batch_first=first)), *states]
    found = results_of(outputs, call.leaves, steady)
    gradient = minigrad.tensor(found["gradient of input 0"])
    inside = to_host(minigrad.cat(unpad_sequence(gradient, lengths, batch_first=first))._array)
    assert np.count_nonzero(found["gradient of input 0"]) == np.count_nonzero(inside), "the padding gets a gradient"
    return found | {"gradient of input 0": inside}


def _alone(spec: ModuleSpec, case: ModuleCase, length: int, batch: Batch) -> Results:
    """One sequence at its own length, in a batch of one."""
    column = 0 if batch.inputs[0] == 0 else 1
    sequence, *others = case.arrays()
    call = Call(spec, case.with_arrays([np.take(sequence, range(length), 1 - column), *others]))
    found = call.results(steady)
    return found | {name: _without(found[name], column) for name in ("output 0", "gradient of input 0")}


def _without(array: Host, dim: int) -> Host:
    return np.squeeze(array, dim)
