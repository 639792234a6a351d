"""What a right module gives back: values and gradients, in every layout, on every path and device.

Every function is one property: `(spec, case, draw)`, with AssertionError or GradcheckError where it does not hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from minigrad.backend import to_host
from minigrad.core.tensor import Tensor, wrap
from minigrad.testing import standin, strategies
from minigrad.testing.gradcheck import GradcheckError, gradcheck, gradgradcheck
from minigrad.testing.module_running import (
    Call,
    assert_same,
    assert_same_bits,
    gradients_in,
    results_of,
    state_of,
)
from minigrad.testing.module_spec import ModuleCase, ModuleSpec
from minigrad.testing.numeric import ANOTHER_RESULT
from minigrad.testing.running import assert_close, backward, cotangents, frozen, gradient_of
from minigrad.testing.strategies import Host
from minigrad.testing.trying import Draw

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these

_STEP: dict[str, Any] = {"eps": 1e-5, "atol": 1e-6, "rtol": 1e-5}  # of numeric derivatives
_ANOTHER_RESULT = (
    "the module gives another result each time it is called from the same seed: does forward change an attribute, or "
    "draw random numbers that minigrad.manual_seed does not set?"
)
_MANY = 30  # elements; of more, random directions are compared, which cost two evaluations for each tensor


def equals_reference(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """In evaluation values, dtypes and shapes are the independent reference's, in float32 and in float64."""
    for dtype in (np.float64, np.float32):
        call = Call(spec, case, dtype)
        expected = spec.expected(case, {name: _wide(one) for name, one in state_of(call.module).items()})
        outputs = call.outputs()
        assert len(outputs) == len(expected), f"{spec.name}: {len(outputs)} outputs, the reference has {len(expected)}"
        for at, (output, reference) in enumerate(zip(outputs, expected, strict=True)):
            wanted = np.dtype(dtype) if reference.dtype.kind == "f" else reference.dtype
            assert output.dtype == wanted, f"{spec.name}: output {at} is {output.dtype}, from {np.dtype(dtype)} inputs"
            assert_close(to_host(output._array), reference, spec, f"output {at}")


def _wide(array: Host) -> Host:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _modes(spec: ModuleSpec) -> tuple[bool, ...]:
    return (False, True) if spec.noise else (False,)


def gradients_are_numeric(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """The gradients of inputs and parameters equal central differences, and `create_graph` agrees; in training too."""
    for training in _modes(spec):
        call = Call(spec, case, training=training)
        wanted = _compared(spec, call)
        if wanted:
            many = sum(one.numel() for one in wanted.values()) > _MANY
            _compare(gradcheck, call, wanted, exact=spec.exact, fast_mode=many)


def second_gradients_are_numeric(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """The gradients of the gradients equal central differences of the gradients, along random directions."""
    call = Call(spec, case)
    wanted = _compared(spec, call)
    if wanted:
        _compare(gradgradcheck, call, wanted, fast_mode=True)


def _compared(spec: ModuleSpec, call: Call) -> dict[str, Tensor]:
    """What has a gradient that is the derivative. Parameters are moved like inputs: the module sees them in place."""
    return {} if spec.own_gradient and spec.own_gradient(call.case) else call.named_leaves


def _compare(check: Callable[..., Any], call: Call, wanted: dict[str, Tensor], **options: bool) -> None:
    """Gradcheck, which sees only tensors in a row; where it says "input 2", the third of the names is put."""
    names = list(wanted)

    def name(found: re.Match[str]) -> str:
        place = int(found[1])
        return names[place] if place < len(names) else found[0]

    try:
        check(lambda *_: tuple(call.outputs()), list(wanted.values()), **_STEP, seed=call.case.seed, **options)
    except GradcheckError as error:
        said = str(error).replace(ANOTHER_RESULT, _ANOTHER_RESULT)
        error.args = (re.sub(r"\binput (\d+)\b", name, said),)
        raise


def gradients_keep_their_dtype(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """In float32 every gradient is float32 and close to float64's, on both paths."""
    expected = Call(spec, case).results()
    for create_graph in (False, True):
        found = Call(spec, case, np.float32).results(create_graph=create_graph)
        for name, one in found.items():
            kind = expected[name].dtype
            wanted = np.dtype(np.float32) if kind == np.float64 else kind
            assert one.dtype == wanted, f"{spec.name}: {name} is {one.dtype} with float32 inputs and parameters"
        assert_same(spec, found, expected, "in float32", slack=10)


def writes_nothing(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """Inputs, parameters and what is saved are only read: read-only arrays in, the same bits after; twice backward."""
    for training in _modes(spec):
        call = Call(spec, case, training=training)
        kept = [*call.tensors, *call.module.parameters(), *call.module.buffers()]
        for one in kept:
            one.data = wrap(frozen(one._array.copy()))
        before = [one._array.copy() for one in kept]
        outputs = call.outputs()
        values = [to_host(one._array).copy() for one in outputs]
        runs = [results_of(outputs, call.leaves, retain_graph=True) for _ in range(2)]
        agree = assert_same_bits if spec.exact else assert_same
        agree(spec, runs[1], runs[0], "in a second backward")
        assert_same(spec, results_of(outputs, call.leaves, create_graph=True), runs[0], "with create_graph", slack=10)
        for one, bits in zip(kept, before, strict=True):
            assert one._array.tobytes() == bits.tobytes(), f"{spec.name}: a tensor of shape {one.shape} was written"
        for at, (one, bits) in enumerate(zip(outputs, values, strict=True)):
            assert to_host(one._array).tobytes() == bits.tobytes(), f"{spec.name}: backward wrote to output {at}"


def inplace_gives_the_same(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """With `inplace=True` the result lies in the input's memory; values and gradients are those of `inplace=False`."""
    for training in _modes(spec):
        call = Call(spec, case, training=training)
        expected = call.results()
        inplace = ModuleCase({**case.arguments, "inplace": True}, case.inputs, case.seed)
        there = Call(spec, inplace, training=training)
        given, leaf = there.tensors[0] * 1, there.leaves  # an operation must not write into a leaf
        there.tensors[0] = given
        (output,) = there.outputs()
        assert output is given, f"{spec.name}(inplace=True) made a new tensor"
        assert_same(spec, results_of([output], leaf), expected, "in place")


def calls_are_independent(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """What a module was called with before leaves no trace in what it gives next."""
    before = case.with_arrays([_of_first_row(one) for one in case.arrays()])
    for training in _modes(spec):
        call, used = Call(spec, case, training=training), Call(spec, case, training=training)
        Call(spec, before, training=training, module=used.module).outputs()
        agree = assert_same_bits if spec.exact else assert_same
        agree(spec, used.results(), call.results(), "after a call with other inputs, from the same seed")


def _of_first_row(array: Host) -> Host:
    """Other numbers that any module takes which took these: the first row, read backwards, in the place of each."""
    if not (array.ndim and array.size):
        return array
    row = array[:1] if array.dtype.kind != "f" else np.flip(array[:1], -1)
    return np.broadcast_to(row, array.shape).copy()


def layout_does_not_matter(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """Inputs and parameters whose memory is transposed, strided, reversed or offset give the same."""
    relaid = case.with_arrays([strategies.relaid(one, draw(strategies.layouts())) for one in case.arrays()])
    call, there = Call(spec, case), Call(spec, relaid)
    manner = draw(strategies.layouts())
    for parameter in there.module.parameters():
        parameter.data = wrap(strategies.relaid(parameter._array, manner))
    assert_same(spec, there.results(), call.results(), "with another memory layout")


def used_twice_adds_up(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """Called twice, a module's parameters and a shared input get the sum of both gradients."""
    call = Call(spec, case)
    first, second = call.results(), call.results(lambda values: cotangents(values, 1))
    outputs = [call.outputs(), call.outputs()]
    count = len(outputs[0])

    def flow(values: Sequence[Host]) -> list[Any]:
        return cotangents(values[:count], 0) + cotangents(values[count:], 1)

    both = gradients_in(results_of([*outputs[0], *outputs[1]], call.leaves, flow))
    total = {name: one + second[name] for name, one in gradients_in(first).items()}
    assert_same(spec, both, total, "used in two places")


def runs_on_another_device(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """On the stand-in device, which has CuPy's manners, everything is equal, and nothing waits for the device."""
    standin.install()
    for training in _modes(spec):
        expected = Call(spec, case, training=training).results()
        call = Call(spec, case, device="standin", training=training)
        gs = cotangents([one for name, one in expected.items() if name.startswith("output")], 0)
        flowing = [None if g is None else standin.namespace.asarray(g) for g in gs]
        with nullcontext() if spec.waits else standin.no_synchronisation():
            outputs = call.outputs()
            backward(outputs, flowing)
        for at, one in enumerate(outputs):
            assert one.device.type == "standin", f"{spec.name}: output {at} left the device"
        found = {f"output {at}": to_host(one._array) for at, one in enumerate(outputs)}
        found |= {f"gradient of {name}": gradient_of(one) for name, one in call.leaves.items()}
        assert_same(spec, found, expected, "on the stand-in device")
