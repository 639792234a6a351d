"""Fused ops: a whole layer as one node, with a forward and a backward written by hand.

The composite, the same function in plain primitives, is what a fused op means: it is what the tests compare with, what
a student reads first, and what is differentiated when the gradients are themselves to be differentiated.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.backend import Array, is_array, namespace
from minigrad.core import engine, views
from minigrad.core.call import CONSTANT, check_one_device, check_result, explain, record
from minigrad.core.engine import Node, floating
from minigrad.core.modes import _Switch, mode, quiet
from minigrad.core.plan import attach
from minigrad.core.primitive import Op, primitive, register
from minigrad.core.tensor import Tensor, VersionCounter, wrap

_PLAIN = frozenset({bool, int, float, str, type(None)})  # what holds no array


class FusedOp(Op):
    """An op with a hand-written forward and backward on raw arrays; its composite says what they compute."""

    composite: Callable[..., Any]
    hand_written: Callable[..., Sequence[Any]]

    def make_plan(self, needs: tuple[bool, ...]) -> Any:
        return FusedPlan(self, needs)


class FusedPlan:
    """`backward(residuals, g, needs)` for speed; the composite, differentiated, when the gradients are recorded."""

    def __init__(self, op: FusedOp, needs: tuple[bool, ...]) -> None:
        self.op, self.name, self.needs = op, op.name, needs
        self.outputs = len(op.outputs)

    def saved_name(self, position: int) -> str:
        """What is watched at this position, for an error message."""
        inputs = [str(self.op.variadic)] * len(self.needs) if self.op.variadic else self.op.inputs
        return [*inputs, *(f"the result {name}" for name in self.op.outputs)][position]

    def backward(self, node: Node, g: Any, create_graph: bool) -> Sequence[Any]:
        """The gradients along the node's edges."""
        raw, settings, residuals = engine.unpack(node)
        if create_graph:
            return self._through_composite(node, raw, settings, g)
        gradients = self.op.hand_written(residuals, g, self.needs)
        return [gradient for gradient, need in zip(gradients, self.needs, strict=True) if need]

    def _through_composite(self, node: Node, raw: Sequence[Any], settings: dict[str, Any], g: Any) -> Sequence[Any]:
        # Differentiating the live inputs would count a path from one input to another twice, as in lstm(x, h0(x)).
        # The aliases have their values and lead to them, but the first derivative stops there.
        edges = iter(node.edges)
        aliases = [
            make_alias(array, next(edges), counter) if need else attach(array, None, counter)
            for array, need, counter in zip(raw, self.needs, engine.watching(node), strict=False)
        ]
        with _Switch(grad=True):
            results = self.op.composite(*aliases, **settings)
        results = results if isinstance(results, tuple) else (results,)
        gs = g if isinstance(g, list) else [g]
        used = [(result, one) for result, one in zip(results, gs, strict=True) if one is not None]
        return engine.grad(
            [result for result, _ in used],
            [alias for alias, need in zip(aliases, self.needs, strict=True) if need],
            [one for _, one in used],
            create_graph=True,
            allow_unused=True,
        )


def fused(forward: Callable[..., Any] | None = None, *, composite: Callable[..., Any], outputs: Any = None) -> Any:
    """Make a differentiable op of a hand-written pair, with `composite` for what the pair cannot do.

        @fused(composite=plain_version)
        def op(input, weight, *, setting, keep):
            return result, residuals        # what backward needs; None unless keep

        @op.backward
        def op_backward(residuals, g, needs):
            return d_input, d_weight        # None where not needs[i]

    Residuals are arrays, alone or in tuples, lists and dicts: there the engine sees whether a result is among them,
    which must then not be written in place. With `outputs` the result and `g` are tuples, and an output that nothing
    used has `g[i] = None`. `backward()` runs the pair; under `create_graph` the composite, of primitives, is
    differentiated instead, to any order.
    """
    if forward is None:
        return functools.partial(fused, composite=composite, outputs=outputs)
    op = FusedOp(forward, outputs, False, False)
    op.composite = composite

    @functools.wraps(forward)
    def call(*args: Any, **given: Any) -> Any:
        if given or len(args) != len(op.inputs) or op.required:
            return _apply_fused(op, *op.bind(args, given))
        return _apply_fused(op, args, op.settings)

    def backward(function: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
        op.hand_written = function
        return function

    call.backward, call.composite = backward, composite  # type: ignore[attr-defined]
    return register(op, call)


def _memories(residuals: Any) -> set[int]:
    """What the arrays in a tree of residuals (tuples, lists and dicts) look at: the identities of the arrays and of
    those that own their memory."""
    found: set[int] = set()
    left = [residuals]
    for one in left:  # it grows meanwhile
        if type(one) in _PLAIN:  # most are settings: to ask them what they are takes longer than all the rest
            continue
        if type(one) is np.ndarray or (not isinstance(one, (dict, tuple, list)) and is_array(one)):
            found.add(id(one))
            if one.base is not None:
                found.add(id(one.base))
        elif isinstance(one, dict):
            left += one.values()
        elif isinstance(one, (tuple, list)):
            left += one
    return found


def _apply_fused(op: FusedOp, values: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    raw: list[Any] = []
    needs: list[bool] = []
    edges: list[engine.Edge] = []
    counters: list[VersionCounter] = []
    first: Any = None
    on_host = True
    for value in values:  # the inputs are kept for the composite, so each one's memory is watched
        if isinstance(value, Tensor):
            if value._view is not None:
                views.refresh(value)
            array, edge = value._array, value._edge
            raw.append(array)
            counters.append(value._counter)
            needs.append(edge is not None)
            if edge is not None:
                edges.append(edge)
            if first is None:
                first = array
            if type(array) is not np.ndarray:
                on_host = False
            continue
        raw.append(value)
        counters.append(CONSTANT)
        needs.append(False)
        if value is not None and type(value) is not np.ndarray:
            on_host = False
    if not on_host:
        check_one_device(op, [array for array in raw if is_array(array)])
    keep = bool(edges) and mode.grad
    try:
        with quiet():
            out, residuals = op.forward(*raw, **settings, keep=keep)
    except (ValueError, TypeError, IndexError, ZeroDivisionError, MemoryError) as error:
        explain(op, raw, settings, error)
    if first is None:
        return out
    outs = out if op.several else (out,)
    # NumPy turns 0-d results into scalars.
    outs = tuple([one if is_array(one) else namespace(first).asarray(one) for one in outs])
    results = tuple([wrap(one) for one in outs])
    if keep:
        # Of the results those are watched that the residuals look at.
        held = _memories(residuals)
        for one, result in zip(outs, results, strict=True):
            owner = one if one.base is None else one.base
            counters.append(result._counter if id(owner) in held else CONSTANT)
        shapes = tuple([one.shape for one in outs])
        node = record(op.plan(tuple(needs)), tuple(edges), (raw, settings, residuals), tuple(counters), shapes)
        for index, result in enumerate(results):
            if floating(outs[index]):
                result._edge = (node, index)
    if mode.anomaly:
        for one in outs:
            check_result(op, one, raw)
    return results if op.several else results[0]


@primitive
def alias(input: Array) -> Array:
    """The same values as a node of its own: the place where a composite's first derivative stops."""
    return input


alias.vjp(input=lambda g: g)


def make_alias(array: Array, edge: engine.Edge, counter: VersionCounter) -> Tensor:
    """An alias of what `edge` leads to; `counter` watches its memory."""
    plan = alias.op.plan((True,))
    return attach(array, (record(plan, (edge,), (), (), (array.shape,)), 0), counter)
