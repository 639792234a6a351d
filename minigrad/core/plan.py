"""How a node of a primitive goes backward: which of an op's rules run, and what of the forward they are given.

An op has one plan for each choice of inputs that need a gradient, made when it is first needed: what the rules name is
looked up here, once, and not at every call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from minigrad.backend import is_array, namespace
from minigrad.core import dtypes, engine
from minigrad.core.call import CONSTANT
from minigrad.core.engine import Node
from minigrad.core.tensor import Tensor, VersionCounter, wrap

if TYPE_CHECKING:
    from minigrad.core.primitive import Op


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
        self.keep = _keeper(self)
        plain = not op.several and not op.variadic
        self.gradients = _joined([_caller(rule, self.words) for rule in rules]) if plain else None
        self.rules = [] if plain else [None if rule is None else (rule[0], self._arguments(rule[1])) for rule in rules]

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
        plan.__dict__.update(self.__dict__, outputs=count)
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
        saved = engine.unpack(node) if node.versions else node.saved  # what is not watched is not freed either
        if create_graph:
            saved = self.rebuild(node, saved)
        if self.gradients is not None:
            return self.gradients(g, saved)
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


# ---- what is looked up once -----------------------------------------------------------------------------------------

Rule = tuple[Callable[..., Any], tuple[str, ...]]  # and the words it names
Keep = Callable[[Any, Any, Any, Any, Any, Any], tuple[tuple[Any, ...], tuple[Any, ...]]]
Caller = Callable[[Any, Any], Any]


def _caller(rule: Rule | None, words: list[str]) -> Caller:
    """(g, saved) -> the rule's gradient. The usual rules name few things: to pass those by place takes half the time of
    picking any number of them."""
    if rule is None:
        return lambda g, saved: None
    function, named = rule
    if named[:1] == ("g",) and "g" not in named[1:]:
        places = [words.index(word) for word in named[1:]]
        if not places:
            return lambda g, saved: function(g)
        if len(places) == 1:
            (only,) = places
            return lambda g, saved: function(g, saved[only])
        if len(places) == 2:
            first, second = places
            return lambda g, saved: function(g, saved[first], saved[second])
    pick = _pick([["g", *words].index(word) for word in named])
    return lambda g, saved: function(*pick((g, *saved)))


def _joined(callers: list[Caller]) -> Callable[[Any, Any], Sequence[Any]]:
    """(g, saved) -> the gradients of all."""
    if len(callers) == 1:
        (only,) = callers
        return lambda g, saved: (only(g, saved),)
    if len(callers) == 2:
        first, second = callers
        return lambda g, saved: (first(g, saved), second(g, saved))
    return lambda g, saved: [caller(g, saved) for caller in callers]


def _keeper(plan: RulePlan) -> Keep | None:
    """For the lean way through an op of one or two inputs: (result, the inputs, the result's counter, the inputs') ->
    what a node saves, and the versions that it watches. None for rules that name nothing but `g`."""
    if not plan.words:
        return None
    layout = [*plan.op.outputs, *plan.op.inputs]
    usual = _KEEPERS.get(tuple([layout.index(word) if word in layout else -1 for word in plan.words]))
    if usual is not None:
        return usual
    inputs, collect, counters, shapes_of = len(plan.op.inputs), plan.collect, plan.counters, plan.shapes_of

    def keep(ans: Any, x: Any, y: Any, own: Any, one: Any, other: Any) -> Any:
        arrays = (ans, x, y)
        saved = collect((*arrays[: 1 + inputs], *[getattr(arrays[place], "shape", ()) for place in shapes_of]))
        watched = counters((one, other))
        if plan.kept_outputs:
            watched += (own,)
        elif watched == (CONSTANT,):
            watched = ()
        return saved, (*watched, *[counter.count for counter in watched])

    return keep


# By the places, of result and inputs, that are kept: what most rules name.
_KEEPERS: dict[tuple[int, ...], Keep] = {
    (0,): lambda ans, x, y, own, one, other: ((ans,), (own, own.count)),
    (1,): lambda ans, x, y, own, one, other: ((x,), (one, one.count)),
    (2,): lambda ans, x, y, own, one, other: ((y,), () if other is CONSTANT else (other, other.count)),
    (1, 2): lambda ans, x, y, own, one, other: ((x, y), (one, other, one.count, other.count)),
}


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
