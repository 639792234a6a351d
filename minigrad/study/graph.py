"""The graph as boxes and wires: read once from the engine's nodes, then folded, laid out and written.

A wire runs the way the data went, from a leaf towards the result: against the engine's edges. The boxes stand in an
order in which every wire that is not `carried` leads from an earlier box to a later one.
"""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from minigrad.autograd import _FunctionPlan
from minigrad.backend import is_array
from minigrad.core.engine import Edge, Leaf, Node, Shape
from minigrad.core.fused import FusedPlan
from minigrad.core.plan import RulePlan
from minigrad.core.tensor import Tensor

Kind = Literal["leaf", "leaves", "data", "op", "module", "result"]


@dataclass
class Box:
    """One thing in the picture.

    `kind` is "leaf" (a tensor that gathers a gradient), "leaves" (several that go to the same places), "data" (a named
    tensor that needs none), "op", "module" (the ops of one call of a layer) or "result".
    """

    kind: Kind
    title: str
    lines: list[str] = field(default_factory=list)  # what stands below the title
    tip: str = ""  # what a pointer over the box is told
    ops: Counter[str] = field(default_factory=Counter)  # the recorded ops it stands for, by name
    times: int = 1  # how often it was repeated, once for each time step
    shapes: tuple[Shape, ...] = ()  # of what it computes
    leaves: tuple[str, ...] = ()  # the names of the leaves in it
    birth: int = 0  # of its oldest node: later ones are smaller


@dataclass(frozen=True)
class Wire:
    """Data that flows from one box to another.

    `place` is the position among the target's inputs, `output` which of the source's results flows: its name (empty
    for an only one) and its shape. A `carried` wire leads from one time step into the next.
    """

    source: int
    target: int
    place: int
    output: tuple[str, Shape]
    carried: bool = False


@dataclass
class Graph:
    """Boxes in an order in which they could be computed, and the wires between them by number."""

    boxes: list[Box]
    wires: list[Wire]

    def incoming(self) -> list[list[Wire]]:
        """The wires into each box, by place."""
        result: list[list[Wire]] = [[] for _ in self.boxes]
        for wire in sorted(self.wires, key=lambda wire: (wire.place, wire.source)):
            result[wire.target].append(wire)
        return result

    def outgoing(self) -> list[list[Wire]]:
        """The wires out of each box."""
        result: list[list[Wire]] = [[] for _ in self.boxes]
        for wire in self.wires:
            result[wire.source].append(wire)
        return result


TIMES = "\N{MULTIPLICATION SIGN}"


def shape_text(shape: Iterable[int]) -> str:
    """The sizes with the sign for "times" between them, or `scalar`."""
    return f" {TIMES} ".join(map(str, shape)) or "scalar"


@dataclass(frozen=True)
class Link:
    """A wire as it is shown: `label` says what flows where the source's box does not."""

    source: int
    target: int
    label: str
    carried: bool


# ---- reading --------------------------------------------------------------------------------------------------------


class _Names:
    """What tensors are called: those with a gradient by their place in the graph, the others by their array."""

    def __init__(self, names: Mapping[str, Any], parameters: Iterable[tuple[str, Tensor]]) -> None:
        self.edges: dict[Edge, tuple[str, Tensor]] = {}
        self.arrays: dict[int, tuple[str, Tensor]] = {}
        for name, tensor in [*parameters, *names.items()]:  # the user's own names win
            if not isinstance(name, str):
                raise TypeError(f"draw: the keys of names are text, and {name!r} is a {type(name).__name__}")
            if not isinstance(tensor, Tensor):
                raise TypeError(f"draw: names gives {name!r} a {type(tensor).__name__}: it maps a name to a Tensor")
            edge = tensor._current_edge()
            if edge is None:
                self.arrays[id(tensor._array)] = (name, tensor)
            else:
                self.edges[edge] = (name, tensor)


def read(tensors: Sequence[Tensor], names: Mapping[str, Tensor], parameters: Iterable[tuple[str, Tensor]]) -> Graph:
    """Everything behind `tensors`, unfolded."""
    known = _Names(names, parameters)
    edges = [tensor._current_edge() for tensor in tensors]
    for edge, tensor in zip(edges, tensors):
        if edge is not None and isinstance(edge[0], Leaf):
            known.edges.setdefault(edge, ("", tensor))
    nodes = _collect([edge[0] for edge in edges if edge is not None])
    graph = Graph([], [])
    numbers: dict[Node, int] = {}
    data: dict[int, int] = {}
    for node in nodes:
        inputs = _named_data(node, known)
        for _, name, tensor in inputs:
            if id(tensor._array) not in data:
                data[id(tensor._array)] = len(graph.boxes)
                graph.boxes.append(_data_box(name, tensor))
        number = numbers[node] = len(graph.boxes)
        graph.boxes.append(_leaf_box(node, known) if isinstance(node, Leaf) else _op_box(node, known, edges))
        wires = [
            Wire(numbers[parent], number, place, _output(parent, index))
            for place, (parent, index) in zip(_places(node), node.edges)
        ]
        for place, _, tensor in inputs:
            wires.append(Wire(data[id(tensor._array)], number, place, ("", tuple(tensor.shape))))
        graph.wires += sorted(wires, key=lambda wire: wire.place)
    for position, (edge, tensor) in enumerate(zip(edges, tensors)):
        if edge is not None and isinstance(edge[0], Leaf):
            continue  # it stands there already
        name = _result_name(tensor, edge, known) or f"result {position + 1}" * (len(tensors) > 1) or "result"
        if edge is None:
            graph.boxes.append(_data_box(name, tensor))
            continue
        graph.wires.append(Wire(numbers[edge[0]], len(graph.boxes), 0, _output(*edge)))
        graph.boxes.append(Box("result", name, [_tensor_text(tensor)], _tensor_text(tensor)))
    _tell_apart([box for box in graph.boxes if box.kind != "op"])
    return graph


def _collect(starts: Sequence[Node]) -> list[Node]:
    """The nodes behind `starts`, oldest first: the order in which they were recorded."""
    found, waiting = set(starts), list(starts)
    while waiting:
        for parent, _ in waiting.pop().edges:
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return sorted(found, key=lambda node: -node.birth)


def _places(node: Node) -> Sequence[int]:
    """The position among the op's inputs that each edge belongs to; 0 for all where any number may come."""
    if isinstance(node.plan, RulePlan) and node.plan.op.variadic:
        return [0] * len(node.edges)
    needs = getattr(node.plan, "needs", None)  # a checkpoint has none: its edges are all there is to know
    return range(len(node.edges)) if needs is None else [place for place, need in enumerate(needs) if need]


def _output(node: Node, index: int) -> tuple[str, Shape]:
    plan = node.plan
    if plan is None or plan.outputs == 1:
        return "", node.shapes[index]
    names = plan.op.outputs if isinstance(plan, (RulePlan, FusedPlan)) else ()
    return (names[index] if len(names) == plan.outputs else f"output {index}"), node.shapes[index]


def _kept(node: Node) -> list[tuple[str, Any]]:
    """What the node saved for its gradient: arrays by name, an op of any number of inputs with several of one name."""
    plan, saved = node.plan, node.saved
    if saved is None:
        return []
    pairs: Iterable[tuple[str, Any]] = ()
    if isinstance(plan, RulePlan):
        pairs = zip(plan.words, saved)
    elif isinstance(plan, FusedPlan):
        pairs = zip(plan.op.inputs, saved[0])
    elif isinstance(plan, _FunctionPlan):
        pairs = ((plan.saved_name(place), array) for place, array in enumerate(saved[1]))
    flat = [(name, one) for name, value in pairs for one in (value if isinstance(value, tuple) else (value,))]
    return [(name, one) for name, one in flat if is_array(one)]


def _named_data(node: Node, known: _Names) -> list[tuple[int, str, Tensor]]:
    """The inputs without a gradient that the user gave a name and the node kept: place, name and tensor."""
    if not known.arrays:
        return []
    inputs = node.plan.op.inputs if isinstance(node.plan, (RulePlan, FusedPlan)) else ()
    return [
        (inputs.index(word) if word in inputs else len(node.edges), *known.arrays[id(array)])
        for word, array in _kept(node)
        if id(array) in known.arrays
    ]


# ---- the boxes ------------------------------------------------------------------------------------------------------


def _tensor_text(tensor: Tensor) -> str:
    return f"{shape_text(tensor.shape)}  {tensor.dtype}"


def _data_box(name: str, tensor: Tensor) -> Box:
    text = _tensor_text(tensor)
    return Box("data", name, [text], f"{text}, needs no gradient")


def _leaf_box(node: Leaf, known: _Names) -> Box:
    name, tensor = known.edges.get((node, 0), ("", None))
    text = shape_text(node.shapes[0]) if tensor is None else _tensor_text(tensor)
    state = "no gradient yet" if node.grad is None else "has a gradient"
    return Box("leaf", name, [text], f"{text}, a leaf, {state}", birth=node.birth)


def _op_box(node: Node, known: _Names, results: Sequence[Edge | None]) -> Box:
    plan = node.plan
    assert plan is not None
    places = [(node, index) for index in range(len(node.shapes))]
    named = [known.edges[edge][0] for edge in places if edge in known.edges and edge not in results]
    title = f"{', '.join(named)} = {plan.name}" if named else plan.name
    tip = [f"{plan.name} ({node.name()})"]
    if isinstance(plan, FusedPlan):
        tip.append("fused: one node, its gradient written by hand")
    kept = [f"{name} {shape_text(array.shape)}" for name, array in _kept(node)]
    if node.saved is None:
        tip.append("what it kept is freed: backward() has been here")
    elif kept:
        tip.append(f"keeps for its gradient: {', '.join(kept)}")
    if node.location is not None:
        folder = os.path.dirname(node.location[0].co_filename) + os.sep  # nobody's folders belong in a picture
        tip.append(node.line.removeprefix(folder))
    return Box("op", title, [], "\n".join(tip), Counter({plan.name: 1}), shapes=node.shapes, birth=node.birth)


def _result_name(tensor: Tensor, edge: Edge | None, known: _Names) -> str:
    if edge is None:
        return known.arrays.get(id(tensor._array), ("", None))[0]
    return known.edges.get(edge, ("", None))[0]


def _tell_apart(boxes: Sequence[Box]) -> None:
    """Give each leaf, each named tensor and each result a title of its own, and begin its tip with it."""
    nameless = [box for box in boxes if not box.title]
    given = {box.title for box in boxes}
    free = (title for title in (f"leaf {number}" for number in count(1)) if title not in given)
    for box in nameless:
        box.title = "leaf" if len(nameless) == 1 and "leaf" not in given else next(free)
    for box, title in zip(boxes, numbered([box.title for box in boxes])):
        box.title, box.tip = title, f"{title}: {box.tip}"
        if box.kind == "leaf":
            box.leaves = (title,)


def numbered(titles: Sequence[str]) -> list[str]:
    """The titles, each once: the second of equal ones is called "title 2", unless another has that title already."""
    taken, result = set(titles), []
    numbers: dict[str, int] = {}
    for title in titles:
        number = numbers.get(title, 0) + 1
        while number > 1 and f"{title} {number}" in taken:
            number += 1
        numbers[title] = number
        result.append(title if number == 1 else f"{title} {number}")
    return result


# ---- putting boxes together -----------------------------------------------------------------------------------------


def merge(graph: Graph, into: Sequence[int], made: Mapping[int, Box]) -> Graph:
    """The graph with box i gone into box `into[i]`, which `made` describes if it is not what it was.

    Wires inside a merged box vanish unless they are carried; of equal ones one stays.
    """
    touched = {target for number, target in enumerate(into) if number != target} | made.keys()
    wires: list[Wire] = []
    seen: set[Wire] = set()
    for wire in graph.wires:
        source, target = into[wire.source], into[wire.target]
        if source == target and not wire.carried:
            continue
        merged = Wire(source, target, wire.place, wire.output, wire.carried)
        if source in touched or target in touched:
            if merged in seen:
                continue
            seen.add(merged)
        wires.append(merged)
    boxes = {number: made.get(number, graph.boxes[number]) for number in sorted(set(into))}
    return _ordered(boxes, wires)


def _ordered(boxes: Mapping[int, Box], wires: Sequence[Wire]) -> Graph:
    """The boxes numbered anew: each behind those it depends on, and otherwise as they were."""
    waits = dict.fromkeys(boxes, 0)
    followers: dict[int, list[int]] = {number: [] for number in boxes}
    for wire in wires:
        if not wire.carried:
            waits[wire.target] += 1
            followers[wire.source].append(wire.target)
    ready = [number for number, count in waits.items() if not count]
    heapq.heapify(ready)
    new: dict[int, int] = {}
    while ready:
        number = heapq.heappop(ready)
        new[number] = len(new)
        for follower in followers[number]:
            waits[follower] -= 1
            if not waits[follower]:
                heapq.heappush(ready, follower)
    assert len(new) == len(boxes), "boxes were merged that depend on each other"
    renumbered = [Wire(new[one.source], new[one.target], one.place, one.output, one.carried) for one in wires]
    return Graph([boxes[number] for number in new], renumbered)


def finish(graph: Graph) -> list[Link]:
    """Write the shape of what flows into its box, or on the wires where a box has results of several kinds."""
    outgoing = graph.outgoing()
    labelled: set[int] = set()
    for number, box in enumerate(graph.boxes):
        outputs = sorted({wire.output for wire in outgoing[number]})
        if box.kind not in ("op", "module"):
            continue
        if len(outputs) > 1:
            labelled.add(number)
        else:
            box.lines = [*box.lines, *map(_output_text, outputs)]
    links: list[Link] = []
    seen: set[Link] = set()
    for wire in graph.wires:
        source, target = graph.boxes[wire.source], graph.boxes[wire.target]
        label = _output_text(wire.output) if wire.source in labelled else ""
        link = Link(wire.source, wire.target, label, wire.carried)
        folded = source.times * target.times > 1 or "module" in (source.kind, target.kind) or source.kind == "leaves"
        if not folded or link not in seen:
            seen.add(link)
            links.append(link)
    return links


def _output_text(output: tuple[str, Shape]) -> str:
    name, shape = output
    return f"{name}  {shape_text(shape)}" if name else shape_text(shape)
