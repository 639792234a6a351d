"""Primitives: a forward on raw arrays, and for each input a rule whose parameter names say what it needs.

    @primitive
    def mul(input, other):
        return input * other

    mul.vjp(input=lambda g, other: g * other,
            other=lambda g, input: g * input)

The vocabulary of a rule: `g` is the gradient flowing in and `ans` the result; for an op with several results
`outputs=("values", "indices")` makes it `g_values`, `values`, and so on. The name of an input is that array,
`input_shape` only its shape; the name of a setting is its value. For an op of any number of inputs (`*tensors`) the
rule returns a gradient for each, and `needs` tells it which are wanted. The names are read once, here, and are all that
a node keeps.

A rule is written in operators, indexing and other primitives, so that raw arrays run it at array speed and Tensors
record it: one rule gives derivatives of every order.

Inputs are the positional parameters, settings the keyword-only ones. A positional parameter whose annotation is not
`Array` is a setting too, so that `sum(input: Array, dim: Dims = None)` can be called as PyTorch calls it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from minigrad.backend import Array, device_of, is_array, namespace
from minigrad.core import dtypes, engine, views
from minigrad.core.engine import Node, Rows
from minigrad.core.errors import AnomalyError, describe, describe_location, forward_failed, shapes_do_not_broadcast
from minigrad.core.errors import is_inside, user_location
from minigrad.core.modes import _Switch, mode
from minigrad.core.tensor import Tensor, VersionCounter, wrap

_new = object.__new__
_birth = engine._birth
_getframe = sys._getframe
_NUMBERS = frozenset({bool, int, float, complex})
_ALIASES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "x1": "input", "x2": "other"}
registry: dict[str, Op] = {}  # every primitive and fused op, for the tests that no one is left out


class Op:
    """What is known of a primitive: its forward, the names of its inputs, settings and outputs, and its rules."""

    def __init__(self, forward: Callable[..., Any], outputs: Any, promote: bool | str, view: bool) -> None:
        self.forward, self.name, self.promote, self.view = forward, forward.__name__, promote, view
        self.variable_outputs = outputs == "*"
        self.outputs: tuple[str, ...] = ("ans",) if outputs in (None, "*") else tuple(outputs)
        self.several = outputs is not None
        self.inputs: tuple[str, ...] = ()
        self.variadic: str | None = None  # the name of `*tensors`
        self.optional = 0  # how many inputs have the default None
        self.settings: dict[str, Any] = {}
        self.order: list[str] = []  # all parameters, as a caller may give them by position
        for name, parameter in inspect.signature(forward).parameters.items():
            if name == "keep":
                continue  # the engine's word to a fused op, not a caller's
            if parameter.kind is parameter.VAR_POSITIONAL:
                self.variadic = name
            elif _is_input(parameter):
                self.inputs += (name,)
                self.optional += parameter.default is None
                self.order.append(name)
            else:
                self.settings[name] = parameter.default
                if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                    self.order.append(name)
        self.required = [name for name, default in self.settings.items() if default is inspect.Parameter.empty]
        self.rules: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {}
        self.plans: dict[tuple[bool, ...], Any] = {}
        self.lean_plans: list[Any] = [None] * 4  # for one or two inputs, at 1 for the first's need plus 2 for the second's

    def add_rules(self, rules: dict[str, Callable[..., Any] | None]) -> None:
        """Read the rules' parameter names; a word outside the vocabulary fails here, at import."""
        known = {*self.inputs, *self.settings, *(f"{name}_shape" for name in self.inputs)}
        known |= {"g", "ans"} if not self.several or self.variable_outputs else set()
        if self.several and not self.variable_outputs:
            known |= {*self.outputs, *(f"g_{name}" for name in self.outputs)}
        if self.variadic:
            known |= {self.variadic, f"{self.variadic}_shape", "needs"}
        for name, rule in rules.items():
            if name not in self.inputs and name != self.variadic:
                raise TypeError(f"{self.name}.vjp: {name!r} is not an input; its inputs are {self._said_inputs()}")
            if rule is None:
                continue
            words = tuple(inspect.signature(rule).parameters)
            for word in words:
                if word not in known:
                    raise TypeError(
                        f"{self.name}.vjp: the rule for {name!r} asks for {word!r}, which is not in its vocabulary: "
                        f"{', '.join(sorted(known))}"
                    )
            self.rules[name] = (rule, words)
        self.plans.clear()
        if len(self.inputs) in (1, 2) and not self.variadic:
            both = len(self.inputs) == 2
            self.lean_plans[1:] = [
                self.plan((first, second)[: len(self.inputs)]) if first or both else None
                for first, second in ((True, False), (False, True), (True, True))
            ]

    def _said_inputs(self) -> str:
        return ", ".join([*self.inputs, *([f"*{self.variadic}"] if self.variadic else [])])

    def bind(self, args: tuple[Any, ...], given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sort a call's arguments into inputs, in order, and settings, as Python would have."""
        for alias in given.keys() & _ALIASES.keys():
            if alias not in self.settings and alias not in self.inputs:
                given[_ALIASES[alias]] = given.pop(alias)
        if self.variadic is not None:
            inputs, extra = args, given
        else:
            if len(args) > len(self.order):
                raise TypeError(f"{self.name}() takes {len(self.order)} arguments, {len(args)} were given")
            extra = dict(zip(self.order, args, strict=False))
            if extra.keys() & given.keys():
                raise TypeError(f"{self.name}() got {', '.join(sorted(extra.keys() & given.keys()))} twice")
            extra.update(given)
            mandatory = len(self.inputs) - self.optional
            missing = [name for name in self.inputs[:mandatory] if name not in extra]
            if missing:
                raise TypeError(f"{self.name}() needs {', '.join(missing)}")
            inputs = tuple(extra.pop(name, None) for name in self.inputs)
        settings = {**self.settings, **extra}
        if len(settings) != len(self.settings):
            unknown = ", ".join(sorted(settings.keys() - self.settings.keys()))
            raise TypeError(f"{self.name}() has no argument {unknown}; it takes {', '.join([*self.order, *self.settings])}")
        for name in self.required:
            if settings[name] is inspect.Parameter.empty:
                raise TypeError(f"{self.name}() needs {name}")
        return inputs, settings

    def plan(self, needs: tuple[bool, ...]) -> Any:
        """How to go backward when just these inputs need a gradient; made once for each combination."""
        plan = self.plans.get(needs)
        if plan is None:
            plan = self.plans[needs] = self.make_plan(needs)
        return plan

    def make_plan(self, needs: tuple[bool, ...]) -> Any:
        """The plan for separate rules; `fused` makes its own kind."""
        return RulePlan(self, needs)


def _is_input(parameter: inspect.Parameter) -> bool:
    if parameter.kind is parameter.KEYWORD_ONLY:
        return False
    annotation = parameter.annotation
    return annotation is parameter.empty or annotation is Array or str(annotation).split(" ")[0] in ("Array", "Tensor")


class RulePlan:
    """The rules of one op for one choice of inputs that need a gradient, and what they name."""

    def __init__(self, op: Op, needs: tuple[bool, ...]) -> None:
        self.op, self.name, self.needs = op, op.name, needs
        self.outputs = len(op.outputs)
        wanted = [op.variadic] if op.variadic else [name for name, need in zip(op.inputs, needs, strict=True) if need]
        self.wanted = wanted
        rules = [op.rules.get(str(name)) for name in wanted]
        # What the rules name, each thing once, in a fixed order: the retention list.
        named = {word for rule in rules if rule is not None for word in rule[1]}
        flowing = {"g", "needs", *(f"g_{name}" for name in op.outputs)}
        self.words = sorted(named - flowing)
        layout = [*op.outputs, *op.inputs, *([op.variadic] if op.variadic else []), *op.settings]
        shapes = [word for word in self.words if word not in layout]
        self.shapes_of = [layout.index(word.removesuffix("_shape")) for word in shapes]
        places = {name: place for place, name in enumerate([*layout, *shapes])}
        self.collect = _pick([places[word] for word in self.words])
        # Which of the retained things are inputs, whose versions are watched.
        self.kept_inputs = [op.inputs.index(word) for word in self.words if word in op.inputs]
        self.keeps_variadic = op.variadic in self.words
        self.counters = _pick(self.kept_inputs)
        self.single = len(wanted) == 1 and rules[0] is not None and not op.variadic and self.outputs == 1
        self.function = rules[0][0] if rules and rules[0] is not None else None
        self.rules = [None if rule is None else (rule[0], self._arguments(rule[1])) for rule in rules]
        self.simple = self.single and rules[0] is not None and rules[0][1] == ("g", *self.words)

    def _arguments(self, words: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
        """From (g or all gs, needs, saved) to a rule's arguments in the order it names them."""
        flowing = ["g"] if not self.op.several or self.op.variable_outputs else [f"g_{name}" for name in self.op.outputs]
        places = {name: place for place, name in enumerate([*flowing, "needs", *self.words])}
        return _pick([places[word] for word in words])

    def saved_name(self, position: int) -> str:
        """The name of the watched input at this position, for an error message."""
        if position < len(self.kept_inputs):
            return self.op.inputs[self.kept_inputs[position]]
        return str(self.op.variadic)

    def backward(self, node: Node, g: Any, create_graph: bool) -> Sequence[Any]:
        """Call the rules; on Tensors rebuilt from the saved arrays when the gradients are to be recorded."""
        saved = engine.unpack(node)
        if create_graph:
            saved = self.rebuild(node, saved)
        if self.simple:
            return (self.function(g, *saved),)  # type: ignore[misc]
        if self.op.several and not self.op.variable_outputs:
            values = (*self._complete(node, g, create_graph), self.needs, *saved)
        elif self.op.variable_outputs:
            values = (tuple(self._complete(node, g, create_graph)), self.needs, *saved)
        else:
            values = (g, self.needs, *saved)
        if self.op.variadic:
            function, arguments = self.rules[0]  # type: ignore[misc]
            gradients = function(*arguments(values))
            return [gradient for gradient, need in zip(gradients, self.needs, strict=True) if need]
        return [None if rule is None else rule[0](*rule[1](values)) for rule in self.rules]

    def _complete(self, node: Node, gs: list[Any], create_graph: bool) -> list[Any]:
        """Zeros, which take no memory, for the outputs that nothing used."""
        like = next(g for g in gs if g is not None)
        array = like._array if isinstance(like, Tensor) else like
        xp = namespace(array)
        result = []
        for g, shape in zip(gs, node.shapes, strict=True):
            if g is None:
                g = xp.broadcast_to(xp.zeros((), array.dtype), shape)
                g = wrap(g) if create_graph else g
            result.append(g)
        return result

    def rebuild(self, node: Node, saved: tuple[Any, ...]) -> list[Any]:
        """The saved arrays as Tensors in their places in the graph."""
        op, edges = self.op, iter(node.edges)
        edge_of = {
            position: next(edges) for position, need in enumerate(self.needs) if need
        }  # by position among the inputs
        result: list[Any] = []
        for word, value in zip(self.words, saved, strict=True):
            if word in op.outputs:
                result.append(tuple(attach(one, (node, i)) for i, one in enumerate(value)) if op.variable_outputs
                              else attach(value, (node, op.outputs.index(word))))
            elif word in op.inputs:
                result.append(attach(value, edge_of.get(op.inputs.index(word))))
            elif word == op.variadic:
                result.append(tuple(attach(one, edge_of.get(i)) for i, one in enumerate(value)))
            else:
                result.append(value)
        return result


def _pick(places: list[int]) -> Callable[[Any], tuple[Any, ...]]:
    """`itemgetter` that always gives a tuple, also for one place or none."""
    if len(places) == 1:
        return itemgetter(slice(places[0], places[0] + 1))
    return itemgetter(*places) if places else itemgetter(slice(0, 0))


def attach(array: Any, edge: engine.Edge | None) -> Any:
    """A Tensor of a saved array, at the place in the graph its value came from."""
    if not is_array(array):
        return array
    tensor = wrap(array)
    tensor._edge = edge if dtypes.is_floating(array.dtype) else None
    return tensor


# ---- recording ------------------------------------------------------------------------------------------------------


def _record(plan: Any, edges: tuple[engine.Edge, ...], saved: Any, counters: tuple[Any, ...], shapes: Any, depth: int) -> Node:
    node = _new(Node)
    node.plan, node.edges, node.saved, node.shapes = plan, edges, saved, shapes
    if counters:
        if None in counters:
            counters = _without_inference(plan, counters)
        node.versions = (*counters, *[counter.count for counter in counters])
    else:
        node.versions = ()
    node.location = user_location(depth + 1)
    node.birth = engine._birth()
    node.extras = None
    return node


class _Constant(VersionCounter):
    """The counter of an input that is no tensor: nothing writes it."""


_CONSTANT = _Constant()


def _without_inference(plan: Any, counters: tuple[Any, ...]) -> tuple[Any, ...]:
    position = counters.index(None)
    raise RuntimeError(
        f"{plan.name}: an inference tensor cannot be saved for backward ({plan.saved_name(position)!r}): "
        f"make it outside inference_mode(), or clone() it there"
    )


def _result(array: Array, edge: engine.Edge | None) -> Tensor:
    tensor = _new(Tensor)
    tensor._array = array
    tensor._edge = edge
    tensor._view = tensor._leaf = None
    tensor._counter = VersionCounter() if not mode.inference else None
    return tensor


def _apply(op: Op, values: tuple[Any, ...], settings: dict[str, Any]) -> Any:
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
        counters.append(_CONSTANT)
        if type(value) is float:
            if first is None or first.dtype.kind not in "fc":
                mixed = True
        elif value is not None and type(value) is not int:
            mixed = True
        elif first is None and value is not None:
            mixed = True
    if not found:
        return _forward_raw(op, values, settings)
    promote = op.promote
    if mixed or (promote == "float" and first.dtype.kind not in "fc"):
        agreed = _agree(op, values)
        if agreed is not None:
            return _apply(op, agreed, settings)
        raw = [value._array if isinstance(value, Tensor) else value for value in values]
    try:
        out = op.forward(*raw, **settings)
    except (ValueError, TypeError, IndexError, ZeroDivisionError, MemoryError) as error:
        _explain(op, raw, settings, error)
    if op.several:
        return _wrap_several(op, values, raw, settings, out, needs, edges, counters)
    if type(out) is not type(first) and not is_array(out):
        out = namespace(first).asarray(out)  # NumPy turns 0-d results into scalars
    if edges and mode.grad and out.dtype.kind in "fc":
        plan = op.plans.get(key := tuple(needs))
        if plan is None:
            plan = op.plan(key)
        node = _record(plan, tuple(edges), _save(plan, (out,), raw, settings), _counters(plan, counters), (out.shape,), 2)
        result = _result(out, (node, 0))
    else:
        result = _result(out, None)
    if op.view:
        _mark_view(op, result, values, settings, None)
    if mode.anomaly:
        _check_result(op, out, raw)
    return result


def _save(plan: RulePlan, outs: tuple[Any, ...], raw: list[Any], settings: dict[str, Any]) -> Any:
    """What the plan's rules name, out of the results, inputs and settings."""
    if not plan.words:
        return ()
    op = plan.op
    if op.variadic:
        layout = (*outs, tuple(raw), *settings.values())
    else:
        layout = (*outs, *raw, *settings.values())
    if plan.shapes_of:
        layout += tuple([_shape_of(layout[place]) for place in plan.shapes_of])
    return plan.collect(layout)


def _shape_of(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple([one.shape for one in value])
    return getattr(value, "shape", ())


def _counters(plan: RulePlan, counters: list[Any]) -> tuple[Any, ...]:
    return tuple(counters) if plan.keeps_variadic else plan.counters(counters)


def _wrap_several(op: Op, values: Any, raw: Any, settings: Any, out: Any, needs: Any, edges: Any, counters: Any) -> Any:
    first = next(array for array in raw if is_array(array))
    outs = tuple([one if type(one) is type(first) else namespace(first).asarray(one) for one in out])
    node = None
    if edges and mode.grad and any(engine.floating(one) for one in outs):
        plan = op.plan(tuple(needs))
        if op.variable_outputs:
            plan = _with_outputs(plan, len(outs))
        kept = (outs,) if op.variable_outputs else outs
        shapes = tuple([one.shape for one in outs])
        node = _record(plan, tuple(edges), _save(plan, kept, raw, settings), _counters(plan, counters), shapes, 3)
    results = tuple(
        [_result(one, (node, i) if node is not None and engine.floating(one) else None) for i, one in enumerate(outs)]
    )
    if op.view:
        for index, result in enumerate(results):
            _mark_view(op, result, values, settings, index)
    if mode.anomaly:
        for one in outs:
            _check_result(op, one, raw)
    return results


@functools.lru_cache(maxsize=1024)
def _with_outputs(plan: RulePlan, count: int) -> RulePlan:
    """The plan of an op whose number of results varies, for this number."""
    copy = _new(RulePlan)
    copy.__dict__.update(plan.__dict__, outputs=count, simple=False)
    return copy


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
    _check_one_device(op, arrays)
    if op.promote:
        wanted = dtypes.result_type(*(value._array if isinstance(value, Tensor) else value for value in agreed if value is not None))
        if op.promote == "float" and wanted.kind not in "fc":
            wanted = dtypes.get_default_dtype()
        for position, value in enumerate(agreed):
            if isinstance(value, Tensor) and value._array.dtype != wanted:
                agreed[position] = value.to(wanted)
                changed = True
            elif type(value) in _NUMBERS and not isinstance(agreed[0], Tensor) and position == 0:
                other = next(one for one in agreed if isinstance(one, Tensor))._array
                agreed[position] = wrap(namespace(other).asarray(value, dtype=wanted))
                changed = True
    return tuple(agreed) if changed else None


def _check_one_device(op: Op, arrays: list[Array]) -> None:
    """A 0-d CPU tensor would mix in PyTorch; here every input must be moved by the user, who then knows what it costs."""
    devices = {str(device_of(array)) for array in arrays}
    if len(devices) > 1:
        raise RuntimeError(
            f"{op.name}(): the inputs are on different devices, {' and '.join(sorted(devices))}: "
            f"move them to one with .to(device)"
        )


def _explain(op: Op, raw: list[Any], settings: dict[str, Any], error: Exception) -> Any:
    if op.promote and isinstance(error, ValueError):
        shapes = [tuple(array.shape) for array in raw if is_array(array)]
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            raise shapes_do_not_broadcast(op.name, shapes) from None
    forward_failed(op.name, error, tuple(raw), settings)


def _check_result(op: Op, out: Array, raw: list[Any]) -> None:
    xp = namespace(out)
    if out.dtype.kind not in "fc" or bool(xp.isfinite(out).all()):
        return
    kind = "NaN" if bool(xp.isnan(out).any()) else "an infinity"
    where = describe_location(user_location(4))
    raise AnomalyError(f"{op.name}({', '.join(map(describe, raw))}) made {kind} at {where}")


# ---- the decorators -------------------------------------------------------------------------------------------------


def primitive(forward: Callable[..., Any] | None = None, *, outputs: Any = None, promote: bool | str = False, view: bool = False) -> Any:
    """Make a differentiable op of a function on raw arrays; give it its rules with `.vjp(...)`.

    Args:
        forward: the function. Positional parameters are arrays (the default None makes one optional), keyword-only
            ones settings.
        outputs: the names of the results if there are several; "*" if their number varies.
        promote: bring the inputs to a common dtype as PyTorch does; "float" makes float32 of integers, too.
        view: the result may look at the first input's memory.

    The function that comes back takes Tensors and numbers and gives a Tensor; of raw arrays alone it gives raw arrays.
    """
    if forward is None:
        return functools.partial(primitive, outputs=outputs, promote=promote, view=view)
    op = Op(forward, outputs, promote, view)
    return _public(op)


def _public(op: Op) -> Any:
    """The function users call. Ops of one or two tensors and no settings take a lean way, on which every step counts:
    it does what `_apply` does where there is nothing to promote, no view to refresh and no mode to serve."""
    count, defaults, forward = len(op.inputs), op.settings, op.forward
    plain = not op.variadic and not op.required
    lean = plain and count in (1, 2) and not (op.settings or op.several or op.view)
    floats_only = op.promote == "float"
    plans = op.lean_plans

    @functools.wraps(forward)
    def call(*args: Any, **given: Any) -> Any:
        if given or len(args) != count or not plain:
            return _apply(op, *op.bind(args, given))
        if not lean or mode.special:
            return _apply(op, args, defaults)
        try:
            if count == 1:
                (a,) = args
                x = a._array
                if a._view is not None or (floats_only and x.dtype.kind not in "fc"):
                    return _apply(op, args, defaults)
                out = forward(x)
                edge = a._edge
                if edge is None:
                    plan: Any = None
                else:
                    plan, edges, layout, counter = plans[1], (edge,), (out, x), a._counter
            else:
                a, b = args
                x = a._array
                if type(b) is float or type(b) is int:
                    if a._view is not None or x.dtype.kind != "f":
                        return _apply(op, args, defaults)
                    y, second, other_counter = b, None, _CONSTANT
                else:
                    y = b._array
                    if (
                        x.dtype is not y.dtype
                        or type(x) is not type(y)
                        or a._view is not None
                        or b._view is not None
                        or (floats_only and x.dtype.kind not in "fc")
                    ):
                        return _apply(op, args, defaults)
                    second, other_counter = b._edge, b._counter
                out = forward(x, y)
                edge = a._edge
                layout, counter = (out, x, y), a._counter
                if edge is None:
                    if second is None:
                        plan = None
                    else:
                        plan, edges = plans[2], (second,)
                elif second is None:
                    plan, edges = plans[1], (edge,)
                else:
                    plan, edges = plans[3], (edge, second)
        except (AttributeError, ValueError, TypeError):
            # Something that is no tensor, or a mistake: the general way handles the one and explains the other.
            return _apply(op, args, defaults)
        if type(out) is not type(x):
            out = namespace(x).asarray(out)
            layout = (out, *layout[1:]) if plan is not None else ()
        tensor = _new(Tensor)
        tensor._array = out
        tensor._view = tensor._leaf = None
        tensor._counter = VersionCounter()
        if plan is None or not mode.grad or not op.rules:
            tensor._edge = None
            return tensor
        node = _new(Node)
        node.plan, node.edges, node.shapes, node.extras = plan, edges, (out.shape,), None
        if plan.words:
            if plan.shapes_of:
                layout += tuple([getattr(layout[place], "shape", ()) for place in plan.shapes_of])
            node.saved = plan.collect(layout)
        else:
            node.saved = ()
        kept = plan.kept_inputs
        if not kept:
            node.versions = ()
        elif len(kept) == 2:
            node.versions = (counter, other_counter, counter.count, other_counter.count)
        else:
            if kept[0]:
                counter = other_counter
            node.versions = (counter, counter.count)
        frame = _getframe(1)
        code = frame.f_code
        node.location = (code, frame.f_lasti) if is_inside.get(code.co_filename) is False else user_location(1)
        node.birth = _birth()
        tensor._edge = (node, 0)
        return tensor

    def vjp(**rules: Callable[..., Any] | None) -> None:
        op.add_rules(rules)

    op.call = call  # type: ignore[attr-defined]
    call.op, call.vjp = op, vjp  # type: ignore[attr-defined]
    if op.forward.__module__.startswith("minigrad."):
        registry[op.name] = op
    return call


class FusedOp(Op):
    """An op whose forward and backward are written by hand on raw arrays, and whose composite says what they compute."""

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
        """The name of the watched input at this position, for an error message."""
        return self.op.inputs[position] if position < len(self.op.inputs) else str(self.op.variadic)

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
            make_alias(array, next(edges)) if need else (wrap(array) if is_array(array) else array)
            for array, need in zip(raw, self.needs, strict=True)
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
            return result, residuals        # residuals: anything; None unless keep

        @op.backward
        def op_backward(residuals, g, needs):
            return d_input, d_weight        # None where not needs[i]

    With `outputs` the result and `g` are tuples, and an output nothing used has `g[i] = None`. `backward()` runs the
    pair; under `create_graph` the composite, of primitives, is differentiated instead, to any order.
    """
    if forward is None:
        return functools.partial(fused, composite=composite, outputs=outputs)
    op = FusedOp(forward, outputs, False, False)
    op.composite = composite

    @functools.wraps(forward)
    def call(*args: Any, **given: Any) -> Any:
        values, settings = op.bind(args, given)
        return _apply_fused(op, values, settings)

    def backward(function: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
        op.hand_written = function
        return function

    op.call = call  # type: ignore[attr-defined]
    call.op, call.backward, call.composite = op, backward, composite  # type: ignore[attr-defined]
    if forward.__module__.startswith("minigrad."):
        registry[op.name] = op
    return call


def _apply_fused(op: FusedOp, values: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    edges_all = [value._current_edge() if isinstance(value, Tensor) else None for value in values]
    raw = [value._array if isinstance(value, Tensor) else value for value in values]
    _check_one_device(op, [array for array in raw if is_array(array)])
    needs = tuple([edge is not None for edge in edges_all])
    keep = mode.grad and any(needs)
    try:
        out, residuals = op.forward(*raw, **settings, keep=keep)
    except (ValueError, TypeError, IndexError, ZeroDivisionError, MemoryError) as error:
        _explain(op, raw, settings, error)
    if not any(isinstance(value, Tensor) for value in values):
        return out
    outs = out if op.several else (out,)
    node = None
    if keep:
        plan = op.plan(needs)
        counters = tuple([value._counter if isinstance(value, Tensor) else _CONSTANT for value in values])
        shapes = tuple([one.shape for one in outs])
        edges = tuple([edge for edge in edges_all if edge is not None])
        node = _record(plan, edges, (raw, settings, residuals), counters, shapes, 2)
    results = tuple([_result(one, None if node is None else (node, i)) for i, one in enumerate(outs)])
    if mode.anomaly:
        for one in outs:
            _check_result(op, one, raw)
    return results if op.several else results[0]


@primitive
def alias(input: Array) -> Array:
    """The same values as a node of its own: the place where a composite's first derivative stops."""
    return input


alias.vjp(input=lambda g: g)


def make_alias(array: Array, edge: engine.Edge) -> Tensor:
    """An alias of what `edge` leads to."""
    plan = alias.op.plan((True,))
    return _result(array, (_record(plan, (edge,), (), (), (array.shape,), 2), 0))


@primitive
def view_scatter(input: Array, src: Array, *, path: Any) -> Array:
    """`input` with the region that the view ops in `path` select replaced by `src`."""
    xp = namespace(input)
    places = views.replay(xp.arange(input.size).reshape(input.shape), path)
    result = input.reshape(-1).copy()
    result[places.reshape(-1)] = src.reshape(-1)
    return result.reshape(input.shape)


view_scatter.vjp(
    input=lambda g, path, src_shape: view_scatter(g, _zeros(g, src_shape), path=path),
    src=lambda g, path: views.replay(g, path),
)


def _zeros(like: Any, shape: tuple[int, ...]) -> Any:
    array = like._array if isinstance(like, Tensor) else like
    zeros = namespace(array).zeros(shape, array.dtype)
    return wrap(zeros) if isinstance(like, Tensor) else zeros


def record_view_write(base: Tensor, written: Tensor, path: Any) -> engine.Edge:
    """The node that says `base` is now its old value with `written` in the region `path`. Nothing is computed."""
    op = view_scatter.op
    needs = (base._edge is not None, written._edge is not None)
    plan = op.plan(needs)
    edges = tuple([edge for edge in (base._edge, written._edge) if edge is not None])
    saved = _save(plan, (base._array,), [base._array, written._array], {"path": path})
    node = _record(plan, edges, saved, (), (base._array.shape,), 4)
    return (node, 0)
