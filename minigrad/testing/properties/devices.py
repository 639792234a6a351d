"""Where an op runs, and how it is written: on every device, as its composite says, in the language of rules."""

from __future__ import annotations

from minigrad.backend import to_host
from minigrad.core import engine
from minigrad.testing import standin
from minigrad.testing.properties.base import applies_to
from minigrad.testing.rules import faults_of_rules, rules_can_be_read
from minigrad.testing.running import (
    assert_close,
    assert_same_results,
    backward,
    carrying,
    cotangents,
    gradient_of,
    gradients_of,
    run,
)
from minigrad.testing.spec import Case, OpSpec
from minigrad.testing.strategies import Host
from minigrad.testing.trying import Draw

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


@applies_to(lambda spec: spec.devices, otherwise="devices=True asks for it: an op for GPUs, too")
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


@applies_to(lambda spec: spec.fused)
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


@applies_to(lambda spec: spec.record is not None and not spec.fused and rules_can_be_read(spec.record), once=True)
def rule_reads_as_a_rule(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Rules use operators, indexing, `.shape`, `.ndim`, `.dtype` and other ops: arrays and Tensors can run them."""
    assert spec.record is not None
    faults = faults_of_rules(spec.record)
    assert not faults, "; ".join(faults)
