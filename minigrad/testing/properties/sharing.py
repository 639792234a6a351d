"""Properties of inputs that are not independent: one in two places, views of one memory, one a function of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.core.tensor import wrap
from minigrad.testing.properties.base import applies_to, has_gradient, seed
from minigrad.testing.running import assert_close, backward, cotangents, gradient_of, gradients_of, run
from minigrad.testing.spec import Case, OpSpec
from minigrad.testing.strategies import Host
from minigrad.testing.trying import Draw, NothingToSee

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these

Take = Callable[[Any], Any]


@applies_to(has_gradient)
def repeated_input_adds_up(spec: OpSpec, case: Case, draw: Draw) -> None:
    """One tensor in two places gets the sum of the two gradients: x * x."""
    for first, second in _alike(spec, case):
        _assert_repeated_adds_up(spec, case, first, second)


def _alike(spec: OpSpec, case: Case) -> list[tuple[int, int]]:
    """The pairs of differentiable inputs of one shape."""
    needs = spec.differentiable_in(case)
    pairs = [
        (first, second) for first in needs for second in needs
        if first < second and case.inputs[first].shape == case.inputs[second].shape
    ]  # fmt: skip
    if not pairs:
        raise NothingToSee
    return pairs


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


@applies_to(has_gradient)
def views_of_one_memory_add_up(spec: OpSpec, case: Case, draw: Draw) -> None:
    """Two inputs that look at one array, whole, shifted by a row or transposed: its gradient is both of theirs."""
    first, second = draw(st.sampled_from(_alike(spec, case)))
    for manner, (base, takes) in _ways_to_look(case.inputs[first]).items():
        _assert_views_add_up(spec, case, {first: takes[0], second: takes[1]}, base, manner)


def _assert_views_add_up(spec: OpSpec, case: Case, takes: dict[int, Take], base: Host, manner: str) -> None:
    """`takes` says how the inputs at two places come from `base`."""
    copies = [takes[at](base).copy() if at in takes else one for at, one in enumerate(case.inputs)]
    apart = case.with_inputs(copies)
    values, gradients = run(spec, apart, list(takes))
    expected, places = np.zeros(base.size), np.arange(base.size).reshape(base.shape)
    for take, gradient in zip(takes.values(), gradients, strict=True):
        np.add.at(expected, take(places).reshape(-1), gradient.reshape(-1))
    if not np.isfinite(expected).all():
        return  # as above

    whole = wrap(base.copy()).requires_grad_()
    inputs = [takes[at](whole) if at in takes else one for at, one in enumerate(apart.tensors([]))]
    outputs = spec.run(inputs, case.settings)
    for place, (output, value) in enumerate(zip(outputs, values, strict=True)):
        assert_close(output._array, value, spec, f"output {place} of inputs that are views of one array ({manner})")
    backward(outputs, cotangents(values, 0))
    what = f"gradient of an array that inputs {' and '.join(map(str, takes))} are views of ({manner})"
    assert_close(gradient_of(whole), expected.reshape(base.shape), spec, what)


def _ways_to_look(array: Host) -> dict[str, tuple[Host, tuple[Take, Take]]]:
    """Arrays, each with two ways to take an array of this shape from them."""
    ways: dict[str, tuple[Host, tuple[Take, Take]]] = {"whole": (array, (lambda base: base, lambda base: base[...]))}
    if array.ndim and len(array):
        ways["shifted"] = (np.concatenate([array, array[-1:]]), (lambda base: base[:-1], lambda base: base[1:]))
    if array.ndim == 2 and array.shape[0] == array.shape[1]:
        ways["transposed"] = (array, (lambda base: base, lambda base: base.T))
    return ways


@applies_to(has_gradient)
def inputs_may_depend_on_each_other(spec: OpSpec, case: Case, draw: Draw) -> None:
    """op(x, h(x)) has the gradient the chain rule says: each path counts once, on both paths backward."""
    needs = spec.differentiable_in(case)
    pairs = [(first, second) for first in needs for second in needs if first != second]
    if not pairs:
        raise NothingToSee
    first, second = draw(st.sampled_from(pairs))
    x, y = case.inputs[first], case.inputs[second]
    values, (for_x, for_y) = run(spec, case, [first, second] if first < second else [second, first])
    if first > second:
        for_x, for_y = for_y, for_x
    rng = np.random.default_rng(seed(draw))
    weight, slope = (np.asarray(rng.uniform(0.5, 1.5, one.shape)) for one in (x, y))
    expected = for_x + weight * (slope * for_y).sum()
    for create_graph in (False, True):
        inputs = case.tensors([first])
        # h(x) = y + slope * (<weight, x> - its own value): y itself here, and yet a function of x.
        moved = (inputs[first] * wrap(weight)).sum() - float((x * weight).sum())
        inputs[second] = wrap(y) + wrap(slope) * moved
        outputs = spec.run(inputs, case.settings)
        (gradient,) = gradients_of(outputs, [inputs[first]], cotangents(values, 0), create_graph=create_graph)
        path = "create_graph" if create_graph else "backward()"
        what = f"gradient of input {first} when input {second} is a function of it ({path})"
        assert_close(gradient, expected, spec, what, slack=100)
