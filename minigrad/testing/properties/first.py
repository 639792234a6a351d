"""The plainest properties, tried first: what lacks them would lack others, too, and these say it best.

An op runs, and gives the same again; nothing of the caller's is written or handed out.
"""

from __future__ import annotations

import numpy as np

from minigrad.backend import to_host
from minigrad.testing.properties.base import applies_to, seed
from minigrad.testing.running import assert_close, cotangents, frozen, gradients_of, run
from minigrad.testing.spec import Case, OpSpec
from minigrad.testing.strategies import Host
from minigrad.testing.trying import Draw, NothingToSee

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


@applies_to()
def runs_alike_twice(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Forward and backward run, and two calls on the same input give the same."""
    needs = spec.differentiable_in(case) if spec.smooth else []
    first, second = run(spec, case.copy(), needs), run(spec, case.copy(), needs)
    for kind, ones, others in zip(("output", "gradient"), first, second, strict=True):
        for place, (one, other) in enumerate(zip(ones, others, strict=True)):
            difference = _difference(one, other, spec.rtol)
            assert not difference, (
                f"{spec.name}: two calls on the same input differ: {kind} {place} {difference}. Random numbers and a "
                f"memory belong outside of an op: give them to it as an input or a setting"
            )


def _difference(one: Host, other: Host, rtol: float) -> str:
    """Where two arrays differ, in words; "" if they do not."""
    if one.shape != other.shape:
        return f"has shape {one.shape}, then {other.shape}"
    apart = np.argwhere(~np.isclose(one, other, rtol, rtol, equal_nan=True))
    at = tuple(map(int, apart[0])) if len(apart) else ()
    return f"is {one[at]} at {at}, then {other[at]}" if len(apart) else ""


@applies_to()
def writes_nothing(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Inputs, gradients that flow in, and what is saved are only read: read-only arrays in, the same bits after."""
    own = case.copy()
    copies = own.inputs
    read_only = own.with_inputs([frozen(one) for one in copies])
    needs = spec.differentiable_in(case) if spec.smooth else []
    inputs = read_only.tensors(needs)
    outputs = spec.run(inputs, read_only.settings)
    results = [to_host(one._array).copy() for one in outputs]
    if needs and any(one.requires_grad for one in outputs):
        gs = [None if g is None else frozen(g) for g in cotangents(results, seed(draw))]
        before = [None if g is None else g.copy() for g in gs]
        gradients = [gradients_of(outputs, [inputs[at] for at in needs], gs, retain_graph=True) for _ in range(2)]
        gradients_of(outputs, [inputs[at] for at in needs], gs, create_graph=True)
        for place, first, second in zip(needs, *gradients, strict=True):
            if spec.exact:
                assert first.tobytes() == second.tobytes(), f"a second backward gives input {place} another gradient"
            assert_close(second, first, spec, f"gradient of input {place} in a second backward")
        for g, bits in zip(gs, before, strict=True):
            assert g is None or g.tobytes() == bits.tobytes(), "the gradient that flows in was written"  # type: ignore[union-attr]
    for word, value in case.settings.items():
        assert repr(read_only.settings[word]) == repr(value), f"the setting {word!r} was written"
    for place, (one, original) in enumerate(zip(copies, case.inputs, strict=True)):
        assert not isinstance(one, np.ndarray) or one.tobytes() == original.tobytes(), f"input {place} was written"
    for place, (one, result) in enumerate(zip(outputs, results, strict=True)):
        assert to_host(one._array).tobytes() == result.tobytes(), f"output {place} was written by backward"


@applies_to(lambda spec: spec.record is not None)
def keeps_its_memory_apart(spec: OpSpec, case: Case, draw: Draw) -> None:
    """A result that is no view shares memory with no input and no other result: writing to it changes nothing else."""
    if spec.shares_memory or (spec.record is not None and spec.record.view):
        raise NothingToSee
    outputs = spec.run(case.tensors(), case.settings)
    held = [(f"input {place}", one) for place, one in enumerate(case.inputs) if isinstance(one, np.ndarray)]
    for place, output in enumerate(outputs):
        for name, array in held:
            assert not np.shares_memory(output._array, array), f"output {place} shares memory with {name}"
        held.append((f"output {place}", output._array))
