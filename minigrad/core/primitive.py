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
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from minigrad.backend import Array, is_array, namespace
from minigrad.core import call, dtypes, engine
from minigrad.core.engine import Node
from minigrad.core.tensor import Tensor, VersionCounter, wrap

_ALIASES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "x1": "input", "x2": "other"}
registry: dict[str, Op] = {}  # every primitive and fused op of the package, so that the tests leave none out


class Op:
    """What is known of a primitive: its forward, the names of its inputs, settings and outputs, and its rules."""

    def __init__(
        self, forward: Callable[..., Any], outputs: Any, promote: bool | str, view: bool, numbers: bool = True
    ) -> None:
        self.forward, self.name, self.promote, self.view = forward, forward.__name__, promote, view
        self.numbers = numbers
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
        self.inputs_first = self.variadic is None and tuple(self.order[: len(self.inputs)]) == self.inputs
        self.required = [name for name, default in self.settings.items() if default is inspect.Parameter.empty]
        self.rules: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {}
        self.call: Callable[..., Any] = forward  # the public function, once it is made
        self.plans: dict[tuple[bool, ...], Any] = {}
        self.lean_plans: list[Any] = [
            None
        ] * 4  # for one or two inputs, at 1 for the first's need plus 2 for the second's

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
                why = " but a setting (an input stands before `*`, without annotation or with Array)"
                why *= name in self.settings
                raise TypeError(f"{self.name}.vjp: {name!r} is not an input{why}; its inputs are {self._said_inputs()}")
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
        return ", ".join([*self.inputs, *([f"*{self.variadic}"] if self.variadic else [])]) or "none"

    def bind(self, args: tuple[Any, ...], given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sort a call's arguments into inputs, in order, and settings, as Python would have."""
        if self.inputs_first and len(args) == len(self.inputs) and given.keys() <= self.settings.keys():
            return args, self._all_settings(given)  # inputs by place, settings by name: there is nothing to sort
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
        if not extra.keys() <= self.settings.keys():
            unknown = ", ".join(sorted(extra.keys() - self.settings.keys()))
            known = ", ".join(dict.fromkeys([*self.order, *self.settings]))
            raise TypeError(f"{self.name}() has no argument {unknown}; it takes {known}")
        return inputs, self._all_settings(extra)

    def _all_settings(self, given: dict[str, Any]) -> dict[str, Any]:
        """Those given and the defaults of the others."""
        settings = {**self.settings, **given}
        for name in self.required:
            if settings[name] is inspect.Parameter.empty:
                raise TypeError(f"{self.name}() needs {name}")
        return settings

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
        self.kept_outputs = [place for place, name in enumerate(op.outputs) if name in self.words]
        self.keeps_variadic = op.variadic in self.words
        self.counters = _pick(self.kept_inputs)
        single = len(wanted) == 1 and not op.variadic and self.outputs == 1
        self.function = rules[0][0] if rules and rules[0] is not None else None
        self.rules = [None if rule is None else (rule[0], self._arguments(rule[1])) for rule in rules]
        plain = len(rules) == 2 and None not in rules and not op.variadic and not op.several
        self.pair: Any = self.rules if plain else None
        self.simple = single and rules[0] is not None and rules[0][1] == ("g", *self.words)

    def _arguments(self, words: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
        """From (g or all gs, needs, saved) to a rule's arguments in the order it names them."""
        flowing = (
            ["g"] if not self.op.several or self.op.variable_outputs else [f"g_{name}" for name in self.op.outputs]
        )
        places = {name: place for place, name in enumerate([*flowing, "needs", *self.words])}
        return _pick([places[word] for word in words])

    def with_outputs(self, count: int) -> RulePlan:
        """This plan for an op whose number of results varies."""
        plan = object.__new__(RulePlan)
        plan.__dict__.update(self.__dict__, outputs=count, simple=False)
        return plan

    def saved_name(self, position: int) -> str:
        """What is watched at this position, for an error message."""
        op = self.op
        inputs = (
            [str(op.variadic)] * len(self.needs) if self.keeps_variadic else [op.inputs[i] for i in self.kept_inputs]
        )
        outputs = [op.outputs[place] for place in self.kept_outputs]
        names = [*inputs, *outputs]
        return names[min(position, len(names) - 1)]

    def backward(self, node: Node, g: Any, create_graph: bool) -> Sequence[Any]:
        """Call the rules; on Tensors rebuilt from the saved arrays when the gradients are to be recorded."""
        saved = engine.unpack(node)
        if create_graph:
            saved = self.rebuild(node, saved)
        if self.simple:
            return (self.function(g, *saved),)  # type: ignore[misc]
        if self.pair is not None:
            values = (g, self.needs, *saved)
            (first, its), (second, others) = self.pair
            return first(*its(values)), second(*others(values))
        if self.op.several and not self.op.variable_outputs:
            values = (*self._complete(node, g, create_graph), self.needs, *saved)
        elif self.op.variable_outputs:
            gs = g if isinstance(g, list) else [g]
            values = (tuple(self._complete(node, gs, create_graph)), self.needs, *saved)
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
        op, edges, counters = self.op, iter(node.edges), self._counters(node)
        edge_of = {
            position: next(edges) for position, need in enumerate(self.needs) if need
        }  # by position among the inputs
        result: list[Any] = []
        for word, value in zip(self.words, saved, strict=True):
            watching: Any = counters.get(word)  # none for a number, which nothing writes
            if word == op.variadic:
                places = [edge_of.get(position) for position in range(len(value))]
                result.append(tuple(map(attach, value, places, watching)))
            elif word in op.outputs and op.variable_outputs:
                places = [(node, index) for index in range(len(value))]
                result.append(tuple(map(attach, value, places, watching)))
            elif word in op.outputs:
                result.append(attach(value, (node, op.outputs.index(word)), watching))
            elif word in op.inputs:
                result.append(attach(value, edge_of.get(op.inputs.index(word)), watching))
            else:
                result.append(value)
        return result

    def _counters(self, node: Node) -> dict[Any, Any]:
        """What watches the saved inputs and results, by their names: one counter, or one for each of several."""
        watching, op = engine.watching(node), self.op
        if not watching:
            return {}
        count = len(self.needs) if self.keeps_variadic else len(self.kept_inputs)
        inputs, outputs = watching[:count], watching[count:]
        if op.variable_outputs:
            by_output = {"ans": outputs}
        else:
            by_output = {op.outputs[place]: one for place, one in zip(self.kept_outputs, outputs, strict=True)}
        if self.keeps_variadic:
            return {op.variadic: inputs, **by_output}
        return {op.inputs[place]: one for place, one in zip(self.kept_inputs, inputs, strict=True)} | by_output


def _pick(places: list[int]) -> Callable[[Any], tuple[Any, ...]]:
    """`itemgetter` that always gives a tuple, also for one place or none."""
    if len(places) == 1:
        return itemgetter(slice(places[0], places[0] + 1))
    return itemgetter(*places) if places else itemgetter(slice(0, 0))


def attach(array: Any, edge: engine.Edge | None, counter: VersionCounter) -> Any:
    """A Tensor of a saved array, at the place in the graph its value came from; `counter` watches its memory, so that
    what is computed from it now notices a later write, too."""
    if not is_array(array):
        return array
    tensor = wrap(array)
    tensor._edge = edge if dtypes.is_floating(array.dtype) else None
    tensor._counter = counter
    return tensor


# ---- recording ------------------------------------------------------------------------------------------------------


def primitive(
    forward: Callable[..., Any] | None = None,
    *,
    outputs: Any = None,
    promote: bool | str = False,
    view: bool = False,
    numbers: bool = True,
) -> Any:
    """Make a differentiable op of a function on raw arrays; give it its rules with `.vjp(...)`.

    Args:
        forward: the function. Positional parameters are arrays (the default None makes one optional), keyword-only
            ones settings.
        outputs: the names of the results if there are several; "*" if their number varies.
        promote: bring the inputs to a common dtype as PyTorch does; "float" makes float32 of integers, too.
        view: the result may look at the first input's memory.
        numbers: a Python number among promoted inputs comes to forward and rules as it is; False makes a 0-d array of
            it.

    The function that comes back takes Tensors and numbers and gives a Tensor; of raw arrays alone it gives raw arrays.
    """
    if forward is None:
        return functools.partial(primitive, outputs=outputs, promote=promote, view=view, numbers=numbers)
    op = Op(forward, outputs, promote, view, numbers)
    return register(op, call.make_function(op))


def register(op: Op, function: Any) -> Any:
    """Give the public function its op and its `vjp`, and note the op if it is one of the package's own."""

    def vjp(**rules: Callable[..., Any] | None) -> None:
        op.add_rules(rules)

    op.call = function
    function.op, function.vjp = op, vjp
    if op.forward.__module__.startswith("minigrad."):
        registry[op.name] = op
    return function
