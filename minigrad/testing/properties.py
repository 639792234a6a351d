"""What is true of every right op, each property written once, and `check_op`, which tries them on an `OpSpec`.

A property takes the spec, one drawn call of the op, and a source of further draws, and raises AssertionError (or
GradcheckError) when the op lacks it. `PROPERTIES` lists them by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.backend import to_host
from minigrad.core import engine
from minigrad.core.tensor import Tensor
from minigrad.testing import standin, strategies
from minigrad.testing.gradcheck import gradcheck, gradgradcheck
from minigrad.testing.rules import faults_of_rules
from minigrad.testing.running import (
    assert_close,
    assert_same_results,
    backward,
    carrying,
    cotangents,
    frozen,
    gradient_of,
    gradients_of,
    run,
    subsets,
)
from minigrad.testing.spec import Case, OpSpec
from minigrad.testing.strategies import Host

Draw = Callable[[st.SearchStrategy[Any]], Any]
Check = Callable[[OpSpec, Case, Draw], None]


@dataclass(frozen=True)
class Property:
    """A check, and for which ops it means something."""

    check: Check
    applies: Callable[[OpSpec], bool]
    once: bool = False  # it looks at no example, so one is enough

    @property
    def name(self) -> str:
        """The check's name."""
        return self.check.__name__


PROPERTIES: dict[str, Property] = {}


def _always(spec: OpSpec) -> bool:
    return True


def _has_gradient(spec: OpSpec) -> bool:
    return spec.smooth >= 1


def _property(applies: Callable[[OpSpec], bool] = _always, *, once: bool = False) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        PROPERTIES[check.__name__] = Property(check, applies, once)
        return check

    return register


def properties_of(spec: OpSpec) -> list[Property]:
    """The properties that mean something for this op."""
    return [one for one in PROPERTIES.values() if one.applies(spec)]


def verify(spec: OpSpec, prop: Property, **given_settings: Any) -> None:
    """Draw calls of the op and try one property on each; the smallest call without it is in the exception's notes.

    `given_settings` are hypothesis's, e.g. `max_examples=50`; by default those of the loaded profile.
    """

    @settings(**(given_settings | {"max_examples": 1} if prop.once else given_settings))
    @given(case=spec.cases(), data=st.data())
    def holds(case: Case, data: st.DataObject) -> None:
        prop.check(spec, case, data.draw)

    holds()


def check_op(spec: OpSpec, **given_settings: Any) -> None:
    """Try every property on an op; the first it lacks raises, with the smallest call that shows it."""
    for prop in properties_of(spec):
        verify(spec, prop, **given_settings)


# ---- values ---------------------------------------------------------------------------------------------------------


@_property()
def equals_reference(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Value, dtype and shape are the independent reference's, in float32 and float64; raw arrays give the same bits."""
    expected = spec.expected(case)
    for dtype in (np.float64, np.float32):
        typed = case.cast(dtype)
        outputs = spec.run(typed.tensors(), typed.settings)
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


@_property()
def layout_does_not_matter(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Inputs whose memory is transposed, strided, reversed or offset give the same values and gradients."""
    arrays = [place for place, one in enumerate(case.inputs) if isinstance(one, np.ndarray)]
    relaid = case.with_inputs(
        [
            strategies.relaid(one, draw(strategies.layouts())) if at in arrays else one
            for at, one in enumerate(case.inputs)
        ]
    )
    needs = spec.differentiable_in(case) if spec.smooth else []
    plain, other = run(spec, case, needs), run(spec, relaid, needs)
    assert_same_results(spec, plain, other, "another memory layout")


@_property(lambda spec: spec.record is not None)
def keeps_its_memory_apart(spec: OpSpec, case: Case, draw: Draw) -> None:
    """A result that is no view shares memory with no input and no other result: writing to it changes nothing else."""
    if spec.shares_memory or (spec.record is not None and spec.record.view):
        return
    outputs = spec.run(case.tensors(), case.settings)
    held = [(f"input {place}", one) for place, one in enumerate(case.inputs) if isinstance(one, np.ndarray)]
    for place, output in enumerate(outputs):
        for name, array in held:
            assert not np.shares_memory(output._array, array), f"output {place} shares memory with {name}"
        held.append((f"output {place}", output._array))


# ---- gradients ------------------------------------------------------------------------------------------------------


@_property(_has_gradient)
def gradient_is_numeric(spec: OpSpec, case: Case, draw: Draw) -> None:
    """The gradient of every input equals central differences; `backward()` and `create_graph` agree."""
    needs = spec.differentiable_in(case)
    if needs:
        inputs = case.tensors(needs)
        gradcheck(_positional(spec, case), inputs, eps=1e-5, atol=1e-6, rtol=1e-5, exact=spec.exact, seed=_seed(draw))


@_property(lambda spec: spec.smooth >= 2)
def second_gradient_is_numeric(spec: OpSpec, case: Case, draw: Draw) -> None:
    """The gradient of the gradient equals central differences of the gradient."""
    needs = spec.differentiable_in(case)
    if needs and sum(case.inputs[place].size for place in needs) <= 40:
        inputs = case.tensors(needs)
        gradgradcheck(_positional(spec, case), inputs, eps=1e-5, atol=1e-6, rtol=1e-5, exact=False, seed=_seed(draw))


@_property(_has_gradient)
def gradient_is_linear(spec: OpSpec, case: Case, draw: Draw) -> None:
    """The gradient for 2 g - 3 h is twice that for g minus three times that for h."""
    needs = spec.differentiable_in(case)
    if not needs:
        return
    values, _ = run(spec, case, needs)
    gs, hs = cotangents(values, _seed(draw)), cotangents(values, _seed(draw) + 1)
    mixed = [None if g is None else np.asarray(2 * g - 3 * h) for g, h in zip(gs, hs, strict=True)]
    for_g, for_h, for_both = (run(spec, case, needs, one)[1] for one in (gs, hs, mixed))
    for place, g, h, both in zip(needs, for_g, for_h, for_both, strict=True):
        assert_close(both, 2 * g - 3 * h, spec, f"gradient of input {place} for 2 g - 3 h", slack=100)


@_property(_has_gradient)
def repeated_input_adds_up(spec: OpSpec, case: Case, draw: Draw) -> None:
    """One tensor in two places gets the sum of the two gradients: x * x."""
    needs = spec.differentiable_in(case)
    for first in needs:
        for second in needs:
            if first < second and case.inputs[first].shape == case.inputs[second].shape:
                _assert_repeated_adds_up(spec, case, first, second)


def _assert_repeated_adds_up(spec: OpSpec, case: Case, first: int, second: int) -> None:
    apart = list(case.inputs)
    apart[second] = apart[first].copy()
    values, gradients = run(spec, case.with_inputs(apart), [first, second])
    inputs = case.with_inputs(apart).tensors([first])
    inputs[second] = inputs[first]
    outputs = spec.run(inputs, case.settings)
    backward(outputs, cotangents(values, 0))
    total = gradients[0] + gradients[1]
    if not np.isfinite(total).all():
        return  # the two inputs have different domains, and one's values are outside the other's
    assert_close(gradient_of(inputs[first]), total, spec, f"gradient of one tensor as inputs {first} and {second}")


@_property(_has_gradient)
def subsets_of_inputs_agree(spec: OpSpec, case: Case, draw: Draw) -> None:
    """A gradient is the same whichever other inputs require one; what requires none gets none."""
    needs = spec.differentiable_in(case)
    values, full = run(spec, case, needs)
    for chosen in subsets(needs):
        inputs = case.tensors(chosen)
        outputs = spec.run(inputs, case.settings)
        for output in outputs:
            if not chosen:
                assert not output.requires_grad, "nothing requires grad, and yet the result does"
        if chosen:
            backward(outputs, cotangents(values, 0))
        for place, gradient in zip(needs, full, strict=True):
            if place in chosen:
                assert_close(
                    gradient_of(inputs[place]), gradient, spec, f"gradient of input {place} when {chosen} need one"
                )
            else:
                assert inputs[place].grad is None, f"input {place} requires no grad and got one"


@_property(lambda spec: spec.smooth >= 1 and spec.record is not None and spec.record.several)
def subsets_of_outputs_agree(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Not using an output is the same as sending zeros into it."""
    needs = spec.differentiable_in(case)
    values, _ = run(spec, case, needs)
    gs = cotangents(values, _seed(draw))
    carrying = [place for place, g in enumerate(gs) if g is not None]
    if not needs or not carrying:
        return
    for used in subsets(carrying):
        if not used:
            continue
        alone = [g if place in used else None for place, g in enumerate(gs)]
        zeros = [g if g is None or place in used else np.zeros_like(g) for place, g in enumerate(gs)]
        for path in (False, True):
            one = run(spec, case, needs, alone, create_graph=path)[1]
            other = run(spec, case, needs, zeros, create_graph=path)[1]
            for place, first, second in zip(needs, one, other, strict=True):
                assert_close(first, second, spec, f"gradient of input {place} when only outputs {used} are used")


@_property(_has_gradient)
def gradient_has_the_inputs_dtype(spec: OpSpec, case: Case, draw: Draw) -> None:
    """float32 stays float32 and float64 float64 through the rule, on both paths; also when the inputs are mixed."""
    needs = spec.differentiable_in(case)
    if not needs:
        return
    typings: list[list[Any]] = [[np.float64] * len(case.inputs)]
    if spec.floats_keep_dtype:
        typings.append([np.float32] * len(case.inputs))
    if spec.record is not None and spec.record.promote:
        typings.append([draw(st.sampled_from([np.float32, np.float64])) for _ in case.inputs])
    for dtypes in typings:
        typed = case.with_inputs(
            [
                one.astype(dtype) if at in case.floating() else one
                for at, (one, dtype) in enumerate(zip(case.inputs, dtypes, strict=True))
            ]
        )
        for create_graph in (False, True):
            inputs = typed.tensors(needs)
            outputs = spec.run(inputs, typed.settings)
            used, flowing = carrying(outputs, cotangents([to_host(one._array) for one in outputs], 0))
            if not used:
                continue
            wanted = [inputs[at] for at in needs]
            gradients = engine.grad(used, wanted, flowing, create_graph=create_graph, allow_unused=True)
            for place, gradient in zip(needs, gradients, strict=True):
                if gradient is not None:
                    dtype = typed.inputs[place].dtype
                    assert gradient.dtype == dtype, f"input {place} is {dtype}, its gradient {gradient.dtype}"
                    assert gradient.shape == typed.inputs[place].shape


@_property()
def writes_nothing(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Inputs, gradients that flow in, and what is saved are only read: read-only arrays in, the same bits after."""
    copies = [one.copy() if isinstance(one, np.ndarray) else one for one in case.inputs]
    read_only = case.with_inputs([frozen(one) for one in copies])
    needs = spec.differentiable_in(case) if spec.smooth else []
    inputs = read_only.tensors(needs)
    outputs = spec.run(inputs, read_only.settings)
    results = [to_host(one._array).copy() for one in outputs]
    if needs and any(one.requires_grad for one in outputs):
        gs = [None if g is None else frozen(g) for g in cotangents(results, _seed(draw))]
        before = [None if g is None else g.copy() for g in gs]
        gradients = [gradients_of(outputs, [inputs[at] for at in needs], gs, retain_graph=True) for _ in range(2)]
        gradients_of(outputs, [inputs[at] for at in needs], gs, create_graph=True)
        for place, first, second in zip(needs, *gradients, strict=True):
            if spec.exact:
                assert first.tobytes() == second.tobytes(), f"a second backward gives input {place} another gradient"
            assert_close(second, first, spec, f"gradient of input {place} in a second backward")
        for g, bits in zip(gs, before, strict=True):
            assert g is None or g.tobytes() == bits.tobytes(), "the gradient that flows in was written"  # type: ignore[union-attr]
    for place, (one, original) in enumerate(zip(copies, case.inputs, strict=True)):
        assert not isinstance(one, np.ndarray) or one.tobytes() == original.tobytes(), f"input {place} was written"
    for place, (one, result) in enumerate(zip(outputs, results, strict=True)):
        assert to_host(one._array).tobytes() == result.tobytes(), f"output {place} was written by backward"


# ---- where it runs, and how it is written ---------------------------------------------------------------------------


@_property(lambda spec: spec.devices)
def runs_on_another_device(spec: OpSpec, case: Case, draw: Draw) -> None:
    """On the stand-in device, which has CuPy's manners, values and gradients are equal, and nothing waits for it."""
    standin.install()
    needs = spec.differentiable_in(case) if spec.smooth else []
    values, gradients = run(spec, case, needs)
    inputs, moved = case.tensors(needs, "standin"), case.settings_on("standin")
    gs = [None if g is None else standin.namespace.asarray(g) for g in cotangents(values, 0)]
    if spec.waits:
        outputs = spec.run(inputs, moved)
        backward(outputs, gs if needs else [None] * len(outputs))
    else:
        with standin.no_synchronisation():
            outputs = spec.run(inputs, moved)
            backward(outputs, gs if needs else [None] * len(outputs))
    for place, (output, value) in enumerate(zip(outputs, values, strict=True)):
        assert isinstance(output._array, standin.StandinArray), f"output {place} left the device"
        assert_close(to_host(output._array), value, spec, f"output {place} on the stand-in device")
    for place, gradient in zip(needs, gradients, strict=True):
        assert_close(gradient_of(inputs[place]), gradient, spec, f"gradient of input {place} on the stand-in device")


@_property(lambda spec: spec.fused)
def fused_equals_composite(spec: OpSpec, case: Case, draw: Draw) -> None:
    """The hand-written pair and the composite agree in value, gradient and gradient of the gradient."""
    composite = OpSpec(spec.record.composite, spec.reference, rtol=spec.rtol, exact=False)  # type: ignore[union-attr]
    needs = spec.differentiable_in(case) if spec.smooth else []
    assert_same_results(spec, run(spec, case, needs), run(composite, case, needs), "the composite")
    if needs and spec.smooth >= 2:
        firsts = [_second_gradients(one, case, needs) for one in (spec, composite)]
        for place, first, second in zip(needs, *firsts, strict=True):
            assert_close(first, second, spec, f"second gradient of input {place} and the composite's", slack=100)


def _second_gradients(spec: OpSpec, case: Case, needs: list[int]) -> list[Host]:
    inputs = case.tensors(needs)
    outputs = spec.run(inputs, case.settings)
    gs = cotangents([to_host(one._array) for one in outputs], 0)
    wanted = [inputs[at] for at in needs]
    used, flowing = carrying(outputs, gs)
    firsts = engine.grad(used, wanted, flowing, create_graph=True, materialize_grads=True)
    return gradients_of(firsts, wanted, cotangents([to_host(one._array) for one in firsts], 1))


@_property(lambda spec: spec.record is not None and not spec.fused and bool(spec.record.rules), once=True)
def rule_reads_as_a_rule(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Rules use operators, indexing, `.shape`, `.ndim`, `.dtype` and other ops: arrays and Tensors can run them."""
    assert spec.record is not None
    faults = faults_of_rules(spec.record)
    assert not faults, "; ".join(faults)


def _positional(spec: OpSpec, case: Case) -> Callable[..., tuple[Tensor, ...]]:
    return lambda *inputs: spec.run(inputs, case.settings)


def _seed(draw: Draw) -> int:
    return int(draw(st.integers(0, 1000)))
