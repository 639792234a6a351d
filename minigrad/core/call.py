"""Calling an op: unwrap the tensors, agree on a dtype, compute, record a node, wrap the result.

`apply` is the general way through an op; those of one to three tensors and no settings have a lean one (`lean.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.backend import Array, device_of, is_array, namespace
from minigrad.core import dtypes, engine, views
from minigrad.core.engine import Node, floating
from minigrad.core.errors import (
    AnomalyError,
    describe,
    describe_location,
    forward_failed,
    shapes_do_not_broadcast,
    user_location,
)
from minigrad.core.modes import mode
from minigrad.core.tensor import Tensor, VersionCounter, wrap

if TYPE_CHECKING:
    from minigrad.core.plan import RulePlan
    from minigrad.core.primitive import Op

_new = object.__new__
_birth = engine._birth
_NUMBERS = frozenset({bool, int, float, complex})


def record(
    plan: Any,
    edges: tuple[engine.Edge, ...],
    saved: Any,
    counters: tuple[VersionCounter, ...],
    shapes: tuple[tuple[int, ...], ...],
    location: Any = None,
) -> Node:
    """A new node with results of these shapes; `counters` watch the memory that it saved."""
    node = _new(Node)
    node.plan, node.edges, node.saved, node.shapes = plan, edges, saved, shapes
    node.versions = (*counters, *[counter.count for counter in counters])
    node.location = user_location(1) if location is None else location
    node.birth = _birth()
    node.extras = None
    return node


CONSTANT = VersionCounter()  # of an input that is no tensor: nothing writes it


def apply(op: Op, values: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    """Run a primitive: unwrap, agree on dtype, compute, record, wrap."""
    raw: list[Any] = []
    counters: list[Any] = []
    needs: list[bool] = []
    edges: list[engine.Edge] = []
    first: Any = None
    mixed = found = False
    for value in values:
        if isinstance(value, Tensor):
            if value._view is not None:
                views.refresh(value)
            array = value._array
            edge = value._edge
            if edge is not None:
                edges.append(edge)
                needs.append(True)
            else:
                needs.append(False)
            raw.append(array)
            counters.append(value._counter)
            if first is None:
                first = array
            elif array.dtype is not first.dtype or type(array) is not type(first):
                mixed = True
            found = True
            continue
        needs.append(False)
        raw.append(value)
        counters.append(CONSTANT)
        if value is None:
            continue
        if first is not None and op.numbers and (type(value) is int or (type(value) is float and floating(first))):
            continue  # a number of no higher category than the tensors changes nothing
        mixed = True
    if not found:
        return _forward_raw(op, values, settings)
    promote = op.promote
    if mixed or (promote == "float" and not floating(first)):
        agreed = _agree(op, values)
        if agreed is not None:
            return apply(op, agreed, settings)
        raw = [value._array if isinstance(value, Tensor) else value for value in values]
    try:
        out = op.forward(*raw, **settings)
    except (ValueError, TypeError, IndexError, ZeroDivisionError, MemoryError, OverflowError) as error:
        if isinstance(error, OverflowError) and op.promote and len(raw) == 2:
            # A number that the integer dtype lacks. Bounds such as clamp's must not wrap around; sums and products do.
            return apply(op, tuple([dtypes.in_range(value, first.dtype) for value in values]), settings)
        explain(op, raw, settings, error)
    outs = out if op.several else (out,)
    # NumPy turns 0-d results into scalars.
    outs = tuple([one if is_array(one) else namespace(first).asarray(one) for one in outs])
    results = tuple([wrap(one) for one in outs])
    for index, one in enumerate(outs):
        if op.view or one.base is not None or one is first:
            _mark_view(op, results[index], values, settings, index if op.several else None)
    if edges and mode.grad and any([floating(one) for one in outs]):  # noqa: C419 - a generator costs more than the look
        plan = op.plan(tuple(needs))
        if op.variable_outputs:
            plan = plan.with_outputs(len(outs))
        saved = save(plan, (outs,) if op.variable_outputs else outs, raw, settings)
        node = record(plan, tuple(edges), saved, watching(plan, counters, results), _shapes(outs))
        for index, result in enumerate(results):
            if floating(outs[index]):
                result._edge = (node, index)
    if mode.anomaly:
        for one in outs:
            check_result(op, one, raw)
    return results if op.several else results[0]


def save(plan: RulePlan, outs: tuple[Any, ...], raw: Sequence[Any], settings: dict[str, Any]) -> Any:
    """What the plan's rules name, out of the results, inputs and settings."""
    if not plan.words:
        return ()
    inputs = (tuple(raw),) if plan.op.variadic else raw
    layout = (*outs, *inputs, *settings.values())
    if plan.shapes_of:
        layout += tuple([_shape_of(layout[place]) for place in plan.shapes_of])
    return plan.collect(layout)


def _shape_of(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple([one.shape for one in value])
    return getattr(value, "shape", ())


def _shapes(arrays: tuple[Array, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple([array.shape for array in arrays])


def watching(plan: RulePlan, counters: Sequence[Any], results: tuple[Tensor, ...]) -> tuple[Any, ...]:
    """The counters of the inputs and results that the plan keeps: their memory must not be written before backward."""
    inputs = tuple(counters) if plan.keeps_variadic else plan.counters(counters)
    if not plan.kept_outputs:
        return () if inputs.count(CONSTANT) == len(inputs) else inputs
    kept = results if plan.op.variable_outputs else [results[place] for place in plan.kept_outputs]
    return (*inputs, *[result._counter for result in kept])


def _mark_view(op: Op, result: Tensor, values: Any, settings: dict[str, Any], index: int | None) -> None:
    """If the result looks at its input's memory, let it share the version, and know where it came from."""
    source = values[0]
    if not _shares_memory(result._array, source._array):
        return
    result._counter = source._counter
    refused = None
    function: Any = op.call
    if index is not None:
        refused = (
            f"this is one of several views that {op.name}() made at once, and writing to it in place cannot be "
            f"recorded: use narrow() or indexing to take a single view"
        )
        function = functools.partial(_nth, op.call, index)
    result._view = views.View(source, (function, settings), refused)


def _nth(function: Callable[..., Any], index: int, array: Any, **settings: Any) -> Any:
    return function(array, **settings)[index]


def _shares_memory(view: Array, source: Array) -> bool:
    owner = source if source.base is None else source.base
    return view is source or view.base is owner or view.base is source


def _forward_raw(op: Op, values: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    if not any(is_array(value) or isinstance(value, np.generic) for value in values):
        raise TypeError(
            f"{op.name}() needs a Tensor among its inputs, got {', '.join(map(describe, values)) or 'none'}: "
            f"make one with minigrad.tensor()"
        )
    return op.forward(*values, **settings)


def _agree(op: Op, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The inputs brought to one dtype as PyTorch promotes, on one device; None when nothing was to be changed."""
    changed = False
    agreed: list[Any] = []
    for position, value in enumerate(values):
        if value is None or isinstance(value, Tensor) or type(value) in _NUMBERS:
            agreed.append(value)
        elif is_array(value) or isinstance(value, np.bool):
            agreed.append(wrap(np.asarray(value) if isinstance(value, np.bool) else value))
            changed = True
        elif isinstance(value, np.generic):
            agreed.append(value.item())
            changed = True
        else:
            names = op.inputs if op.inputs else (op.variadic,)
            name = names[min(position, len(names) - 1)]
            raise TypeError(
                f"{op.name}(): {name} must be a Tensor or a number, got {type(value).__name__}: "
                f"make a tensor of it with minigrad.tensor()"
            )
    arrays = [value._array for value in agreed if isinstance(value, Tensor)]
    check_one_device(op, arrays)
    if op.promote:
        wanted = dtypes.result_type(
            *(value._array if isinstance(value, Tensor) else value for value in agreed if value is not None)
        )
        if op.promote == "float" and wanted.kind not in "fc":
            wanted = dtypes.get_default_dtype()
        for position, value in enumerate(agreed):
            if isinstance(value, Tensor) and value._array.dtype != wanted:
                agreed[position] = value.to(wanted)
                changed = True
            elif type(value) in _NUMBERS and (position == 0 or not op.numbers):
                other = next(one for one in agreed if isinstance(one, Tensor))._array
                agreed[position] = wrap(namespace(other).asarray(dtypes.in_range(value, wanted), dtype=wanted))
                changed = True
    return tuple(agreed) if changed else None


def check_one_device(op: Op, arrays: list[Array]) -> None:
    """A 0-d CPU tensor would mix in PyTorch; here the user moves every input, and so knows what it costs."""
    devices = {str(device_of(array)) for array in arrays}
    if len(devices) > 1:
        raise RuntimeError(
            f"{op.name}(): the inputs are on different devices, {' and '.join(sorted(devices))}: "
            f"move them to one with .to(device)"
        )


def explain(op: Op, raw: list[Any], settings: dict[str, Any], error: Exception) -> Any:
    if op.promote and isinstance(error, ValueError):
        shapes = [tuple(array.shape) for array in raw if is_array(array)]
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            raise shapes_do_not_broadcast(op.name, shapes) from None
    forward_failed(op.name, error, tuple(raw), settings)


def check_result(op: Op, out: Array, raw: list[Any]) -> None:
    xp = namespace(out)
    if out.dtype.kind not in "fc" or bool(xp.isfinite(out).all()):
        return
    kind = "NaN" if bool(xp.isnan(out).any()) else "an infinity"
    where = describe_location(user_location(1))
    raise AnomalyError(f"{op.name}({', '.join(map(describe, raw))}) made {kind} at {where}")
