"""Properties of gradients: numeric to first and second order, linear, of the right dtype, whoever else wants one."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.backend import to_host
from minigrad.core import engine
from minigrad.testing.gradcheck import first_order, second_order
from minigrad.testing.jacobians import ROUNDING
from minigrad.testing.properties.base import applies_to, has_gradient, positional, seed, with_gradient
from minigrad.testing.running import (
    assert_close,
    backward,
    carrying,
    cotangents,
    gradient_of,
    run,
    subsets,
)
from minigrad.testing.spec import Case, OpSpec
from minigrad.testing.trying import Draw, NothingToSee

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these

_STEPS: dict[str, Any] = {"eps": 1e-5, "atol": 1e-6, "rtol": 1e-5, "method": "auto"}


@applies_to(
    has_gradient,
    missed="there is no gradient to compare: in no call does a floating point input lead to an output that requires "
    "grad. If the op has none, say smooth=0; else see arguments= and differentiable=",
)
def gradient_is_numeric(spec: OpSpec, case: Case, draw: Draw) -> bool:
    """The gradient of every input equals the numeric one; `backward()` and `create_graph` agree."""
    inputs = case.tensors(with_gradient(spec, case))
    options = {**_STEPS, "within": max(ROUNDING, spec.rtol), "one_sided": True, "op": spec.record}
    check = first_order(positional(spec, case), inputs, **options, exact=spec.exact, seed=seed(draw))
    if not check.recorded:
        raise NothingToSee  # constants, and they are
    return check.kinks > 0


@applies_to(lambda spec: spec.smooth >= 2, otherwise="smooth= is below 2")
def second_gradient_is_numeric(spec: OpSpec, case: Case, draw: Draw) -> bool:
    """The gradient of the gradient equals numeric derivatives of the gradient."""
    needs = with_gradient(spec, case)
    inputs = case.tensors(needs)
    outputs = spec.run(inputs, case.settings)
    if sum(case.inputs[place].size for place in needs) > 40 or not any(one.requires_grad for one in outputs):
        raise NothingToSee
    options = {**_STEPS, "within": max(ROUNDING, spec.rtol), "one_sided": True}
    return second_order(positional(spec, case), inputs, **options, exact=False, seed=seed(draw)).kinks > 0


@applies_to(has_gradient)
def gradient_is_linear(spec: OpSpec, case: Case, draw: Draw) -> None:
    """The gradient for 2 g - 3 h is twice that for g minus three times that for h."""
    needs = with_gradient(spec, case)
    values, _ = run(spec, case, needs)
    gs, hs = cotangents(values, seed(draw)), cotangents(values, seed(draw) + 1)
    mixed = [None if g is None else np.asarray(2 * g - 3 * h) for g, h in zip(gs, hs, strict=True)]
    for_g, for_h, for_both = (run(spec, case, needs, one)[1] for one in (gs, hs, mixed))
    for place, g, h, both in zip(needs, for_g, for_h, for_both, strict=True):
        assert_close(both, 2 * g - 3 * h, spec, f"gradient of input {place} for 2 g - 3 h", slack=100)


@applies_to(has_gradient)
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


@applies_to(lambda spec: spec.smooth >= 1 and spec.record is not None and spec.record.several)
def subsets_of_outputs_agree(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Not using an output is the same as sending zeros into it."""
    needs = spec.differentiable_in(case)
    values, _ = run(spec, case, needs)
    gs = cotangents(values, seed(draw))
    carrying = [place for place, g in enumerate(gs) if g is not None]
    if not needs or not carrying:
        raise NothingToSee
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


@applies_to(has_gradient)
def gradient_has_the_inputs_dtype(spec: OpSpec, case: Case, draw: Draw) -> None:
    """float32 stays float32 and float64 float64 through the rule, on both paths; also when the inputs are mixed."""
    needs = with_gradient(spec, case)
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
