"""Properties of values: the reference's, whatever the dtype, the memory layout and the company in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.core.tensor import Tensor
from minigrad.testing import strategies
from minigrad.testing.properties.base import applies_to
from minigrad.testing.running import assert_close, assert_same_results, cotangents, run
from minigrad.testing.spec import Case, OpSpec
from minigrad.testing.trying import Draw, NothingToSee

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


_NO_OUTPUTS = "the op gives no outputs, and so there is nothing to check"


@applies_to(lambda spec: spec.reference is not None, otherwise="no reference= to compare with", missed=_NO_OUTPUTS)
def equals_reference(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Value, dtype and shape are the independent reference's, in float32 and float64; raw arrays give the same bits."""
    expected = spec.expected(case)
    for dtype in (np.float64, np.float32):
        typed = case.cast(dtype)
        outputs = spec.run(typed.tensors(), typed.settings)
        if not outputs and not expected:
            raise NothingToSee
        assert len(outputs) == len(expected), f"{len(outputs)} outputs, the reference has {len(expected)}"
        for place, (output, reference) in enumerate(zip(outputs, expected, strict=True)):
            assert type(output._array) is np.ndarray, f"output {place} is {type(output._array)}, not an array"
            assert output.shape == reference.shape, f"output {place}: shape {output.shape}, reference {reference.shape}"
            wanted = spec.expected_dtype(reference.dtype, dtype if typed.floating() else reference.dtype)
            assert output.dtype == wanted, f"output {place}: dtype {output.dtype}, expected {wanted}"
            assert_close(output._array, reference, spec, f"output {place}")
        _raw_arrays_agree(spec, typed, outputs)


def _raw_arrays_agree(spec: OpSpec, case: Case, outputs: Sequence[Tensor]) -> None:
    # On raw arrays alone a primitive is the function that rules run; on one that is to be promoted it does not promote.
    if spec.record is None or spec.fused or not all(isinstance(one, np.ndarray) for one in case.inputs):
        return
    if len({one.dtype for one in case.inputs}) != 1 or not case.floating():
        return
    for output, raw in zip(outputs, spec.run(case.inputs, case.settings), strict=True):
        assert not isinstance(raw, Tensor), "raw arrays alone must give raw arrays"
        np.testing.assert_array_equal(np.asarray(raw), output._array)


@applies_to(lambda spec: spec.reference is None, missed=_NO_OUTPUTS)
def dtypes_agree(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Where there is no reference: float32 in gives float32 out, float64 float64, and the two are close."""
    wide, narrow = (spec.run(case.cast(dtype).tensors(), case.settings) for dtype in (np.float64, np.float32))
    if not wide:
        raise NothingToSee
    for place, (output, single) in enumerate(zip(wide, narrow, strict=True)):
        assert isinstance(output, Tensor), f"output {place} is {type(output).__name__}, and not a Tensor"
        assert output.shape == single.shape, f"output {place}: float64 {output.shape}, float32 {single.shape}"
        wanted = spec.expected_dtype(output.dtype, np.float32 if case.floating() else output.dtype)
        assert single.dtype == wanted, f"output {place}: dtype {single.dtype} of float32 inputs, expected {wanted}"
        if case.floating() and output.dtype.kind == "f" and spec.floats_keep_dtype:
            assert output.dtype == np.float64, f"output {place}: dtype {output.dtype} of float64 inputs"
        assert_close(single._array, output._array, spec, f"output {place} in float32", slack=10)


@applies_to()
def layout_does_not_matter(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Inputs whose memory is transposed, strided, reversed or offset give the same values and gradients."""
    needs = spec.differentiable_in(case) if spec.smooth else []
    plain = run(spec, case, needs)
    mixed = [draw(strategies.layouts()) for _ in case.inputs]
    for manners in [[manner] * len(mixed) for manner in ("transposed", "strided", "reversed")] + [mixed]:
        relaid = case.with_inputs([_relaid(one, manner) for one, manner in zip(case.inputs, manners, strict=True)])
        assert_same_results(spec, plain, run(spec, relaid, needs), f"memory that is {', '.join(manners)}")


def _relaid(value: Any, manner: str) -> Any:
    return strategies.relaid(value, manner) if isinstance(value, np.ndarray) else value


@applies_to(
    lambda spec: spec.batched is not None or spec.elementwise,
    otherwise="no batched= says which dimensions count examples",
)
def batch_equals_one_by_one(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Each example of a batch has the value and the gradient it has when it comes alone."""
    batch = spec.batch_of(case)
    if batch is None:
        raise NothingToSee
    count, dims, out_dims = batch
    needs = [at for at in spec.differentiable_in(case) if dims[at] is not None] if spec.smooth else []
    values, gradients = run(spec, case, needs)
    gs = cotangents(values, 0)
    for example in range(count):
        alone = case.with_inputs([_one_of(one, dim, example) for one, dim in zip(case.inputs, dims, strict=True)])
        own = [_one_of(g, dim, example) for g, dim in zip(gs, out_dims or [0] * len(gs), strict=True)]
        single_values, single_gradients = run(spec, alone, needs, own)
        for place, (whole, single) in enumerate(zip(values, single_values, strict=True)):
            part = _one_of(whole, (out_dims or [0] * len(values))[place], example)
            assert_close(single, part, spec, f"output {place} of example {example} alone")
        for place, whole, single in zip(needs, gradients, single_gradients, strict=True):
            part = _one_of(whole, dims[place], example)
            assert_close(single, part, spec, f"gradient of input {place} of example {example} alone")


def _one_of(value: Any, dim: int | None, example: int) -> Any:
    """One example of a batch, as a batch of one."""
    if value is None or dim is None:
        return value
    return np.take(value, [example], axis=dim)
