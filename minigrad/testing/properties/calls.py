"""Properties of several calls, and of what callers do around one: write in place, move all inputs together at a tie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.core.modes import no_grad
from minigrad.core.tensor import Tensor
from minigrad.testing import strategies
from minigrad.testing.numeric import vindicated
from minigrad.testing.properties.base import applies_to, has_gradient, seed, with_gradient
from minigrad.testing.running import assert_close, backward, cotangents, gradient_of, gradients_of, run
from minigrad.testing.spec import Case, OpSpec
from minigrad.testing.strategies import Host
from minigrad.testing.trying import Draw, NothingToSee

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


@applies_to(lambda spec: spec.smooth >= 1 and spec.floats_keep_dtype, share=0.4)
def gradient_is_the_same_in_float32(spec: OpSpec, case: Case, draw: Draw) -> None:
    """In float32 the gradient has the values that it has in float64, to float32's rounding."""
    needs = with_gradient(spec, case)
    _, wide = run(spec, case, needs)
    _, narrow = run(spec, case.cast(np.float32), needs)
    for place, one, other in zip(needs, narrow, wide, strict=True):
        assert_close(one, other, spec, f"gradient of input {place} in float32", slack=50)


@applies_to(has_gradient, share=0.4)
def gradient_layout_does_not_matter(spec: OpSpec, case: Case, draw: Draw) -> None:
    """A `g` whose memory is transposed, strided, reversed, or one number for all elements, gives the same gradient."""
    needs = with_gradient(spec, case)
    values, _ = run(spec, case, needs)
    gs = cotangents(values, seed(draw))
    _, expected = run(spec, case, needs, gs)
    for manner in ("transposed", "strided", "reversed", "offset"):
        relaid = [None if g is None else strategies.relaid(g, manner) for g in gs]
        _assert_same_gradients(spec, expected, run(spec, case, needs, relaid)[1], f"a g that is {manner} in memory")
    # As sum().backward() sends it: one number, seen as many.
    ones = [None if g is None else np.broadcast_to(np.asarray(1.0, g.dtype), g.shape) for g in gs]
    _, expected = run(spec, case, needs, [None if g is None else g.copy() for g in ones])
    _assert_same_gradients(spec, expected, run(spec, case, needs, ones)[1], "a g that is one number in memory")


def _assert_same_gradients(spec: OpSpec, expected: list[Host], found: list[Host], what: str) -> None:
    for place, (one, other) in enumerate(zip(expected, found, strict=True)):
        assert_close(other, one, spec, f"gradient {place} for {what}")


@applies_to(has_gradient, share=0.4)
def calls_are_independent(spec: OpSpec, case: Case, draw: Draw) -> None:
    """A call of the op on other numbers, before or between forward and backward, changes no gradient."""
    needs = with_gradient(spec, case)
    other = case.with_inputs(
        [np.asarray(one * 0.5) if at in case.floating() else one for at, one in enumerate(case.inputs)]
    )
    run(spec, other, needs)
    values, first = run(spec, case, needs)
    gs = cotangents(values, 0)
    inputs = case.tensors(needs)
    outputs = spec.run(inputs, case.settings)
    run(spec, other, needs)
    second = gradients_of(outputs, [inputs[at] for at in needs], gs)
    for place, one, two in zip(needs, first, second, strict=True):
        assert_close(two, one, spec, f"gradient of input {place} after another call of the op")


@applies_to(has_gradient, share=0.4)
def gradients_are_owned(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Every `.grad` has memory of its own: apart from other gradients, the inputs, the outputs and what flowed in."""
    needs = with_gradient(spec, case)
    inputs = case.tensors(needs)
    outputs = spec.run(inputs, case.settings)
    gs = cotangents([one._array for one in outputs], 0)
    backward(outputs, gs)
    held = [(f"input {at}", one._array) for at, one in enumerate(inputs) if isinstance(one, Tensor)]
    held += [(f"output {at}", one._array) for at, one in enumerate(outputs)]
    held += [("the gradient that flowed in", g) for g in gs if g is not None]
    for place in needs:
        if inputs[place].grad is not None:
            gradient = gradient_of(inputs[place])
            for name, array in held:
                assert not np.shares_memory(gradient, array), f"the gradient of input {place} shares memory with {name}"
            held.append((f"the gradient of input {place}", gradient))


@applies_to(has_gradient, share=0.4)
def writing_in_place_is_noticed(spec: OpSpec, case: Case, draw: Draw) -> None:
    """An input or output written between forward and backward either does not matter to the gradient, or raises."""
    needs = with_gradient(spec, case)
    values, right = run(spec, case, needs)
    gs = cotangents(values, 0)
    for kind, place in _writable(case, values):
        gradients = _after_a_write(spec, case, needs, gs, kind, place)
        if gradients is not None:
            for at, one, two in zip(needs, right, gradients, strict=True):
                assert_close(two, one, spec, f"gradient of input {at} after {kind} {place} was written, unnoticed,")


def _after_a_write(
    spec: OpSpec, case: Case, needs: list[int], gs: Sequence[Any], kind: str, place: int
) -> list[Host] | None:
    """The gradients when one input or output is written before `backward`; None if the engine refuses."""
    inputs = case.copy().tensors(needs)
    outputs = spec.run(inputs, case.settings)
    try:
        with no_grad():
            (inputs if kind == "input" else outputs)[place].add_(1.0)
        return gradients_of(outputs, [inputs[at] for at in needs], gs)
    except RuntimeError as error:
        if "in place" in str(error) or "memory" in str(error):
            return None
        raise


def _writable(case: Case, values: Sequence[Host]) -> list[tuple[str, int]]:
    outputs = [("output", place) for place, one in enumerate(values) if one.dtype.kind == "f"]
    return [*(("input", place) for place in case.floating()), *outputs]


@applies_to(has_gradient, share=0.4)
def ties_keep_the_gradient(spec: OpSpec, case: Case, draw: Draw) -> bool:
    """With all elements equal, and moved together, the result moves by the sum of all gradients: at a tie nothing of a
    gradient is lost, and nothing counted twice."""
    needs = with_gradient(spec, case)
    if not all(case.inputs[place].size for place in needs):
        raise NothingToSee
    number = float(case.inputs[needs[0]].reshape(-1)[0])
    tied = case.with_inputs([np.full_like(one, number) if at in needs else one for at, one in enumerate(case.inputs)])
    values, gradients = run(spec, tied, needs)
    along = _moving_all(spec, tied, needs, cotangents(values, 0))
    slope = (along(_STEP) - along(-_STEP)) / (2 * _STEP)
    total = float(sum(one.sum() for one in gradients))
    if not (np.isfinite(slope) and np.isfinite(total)):
        raise NothingToSee
    scale = 1.0 + sum(float(np.abs(one).sum()) for one in gradients)

    def close(one: float, other: float) -> bool:
        return abs(one - other) <= 1e-5 * scale

    reason = "step" if close(total, slope) else vindicated(along, total, _STEP, close)
    assert reason, (
        f"{spec.name}: with all elements {number:g}, moving all of them changes the result by {slope:.6g}, and the "
        f"gradients add up to {total:.6g} (check_op keeps equal elements out with distinct=True)"
    )
    return reason == "kink"


_STEP = 1e-5


def _moving_all(spec: OpSpec, case: Case, needs: list[int], gs: Sequence[Any]) -> Callable[[float], float]:
    """<gs, outputs> by the step that all elements of all inputs in `needs` move together."""

    def along(step: float) -> float:
        moved = case.with_inputs([np.asarray(one + step) if at in needs else one for at, one in enumerate(case.inputs)])
        outputs = spec.run(moved.tensors(), case.settings)
        return float(sum((one._array * g).sum() for one, g in zip(outputs, gs, strict=True) if g is not None))

    return along
