"""How a large graph becomes a small picture: by module, by time step, and where several things are alike.

Each fold puts boxes together and changes nothing else: the leaves stay, each of them, and a box counts the ops in it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from minigrad.study.graph import Box, Graph, Wire, merge, numbered
from minigrad.study.watch import Call, Watched

FEWEST_STEPS = 3  # what was done twice is drawn twice
FEWEST_LEAVES = 3
_CANDIDATES = 32  # how many periods are tried from one place
_COMPUTED = ("op", "module")
_COMMUTATIVE = ("add", "mul")


def _all_ops(boxes: Iterable[Box]) -> Counter[str]:
    total: Counter[str] = Counter()
    for box in boxes:
        total += box.ops
    return total


def _ops_text(ops: Counter[str]) -> str:
    said = ", ".join(f"{count} {name}" if count > 1 else name for name, count in ops.most_common())
    return f"{ops.total()} ops: {said}" if ops.total() > 1 else said


# ---- by module ------------------------------------------------------------------------------------------------------


def fold_modules(graph: Graph, watched: Watched, depth: int) -> Graph:
    """Put the ops of each call of a module into one box.

    Of calls within calls the outermost counts whose dotted path has at least `depth` parts. What a call recorded was
    born while it ran, and nothing else was, so that no wire leads out of a box and back into it.
    """
    calls = _outermost([call for call in watched.calls if _depth(call.path) >= depth])
    starts = [-call.start for call in calls]
    members: dict[int, list[int]] = defaultdict(list)  # of a call, by its number
    for number, box in enumerate(graph.boxes):
        place = bisect_left(starts, -box.birth) - 1
        if box.kind == "op" and place >= 0 and box.birth > calls[place].end:
            members[place].append(number)
    into = list(range(len(graph.boxes)))
    made: dict[int, Box] = {}
    for place, numbers in members.items():
        made[numbers[0]] = _module_box(calls[place], [graph.boxes[number] for number in numbers])
        for number in numbers:
            into[number] = numbers[0]
    # Places must differ inside a box that has the inputs of several ops, and be the same in every call.
    wires: list[Wire] = []
    for wire in graph.wires:
        first = into[wire.target]
        place = 1000 * (wire.target - first) + wire.place if first in made else wire.place
        wires.append(replace(wire, place=place))
    return merge(Graph(graph.boxes, wires), into, made)


def _depth(path: str) -> int:
    return path.count(".") + 1 if path else 0


def _outermost(calls: Sequence[Call]) -> list[Call]:
    """The calls that are inside no other one of these, oldest first."""
    result: list[Call] = []
    for call in sorted(calls, key=lambda call: -call.start):
        if not result or call.start < result[-1].end:
            result.append(call)
    return result


def _module_box(call: Call, boxes: Sequence[Box]) -> Box:
    ops = _all_ops(boxes)
    title = f"{call.path}: {call.kind}" if call.path else call.kind
    line = f"{ops.total()} ops" if ops.total() > 1 else next(iter(ops))
    tip = "\n".join([title, _ops_text(ops)])
    return Box("module", title, [line], tip, ops, shapes=boxes[-1].shapes, birth=boxes[0].birth)


# ---- by time step ---------------------------------------------------------------------------------------------------


def fold_steps(graph: Graph) -> Graph:
    """Draw the steps of an unrolled loop once.

    A loop leaves its mark in the order in which ops were recorded: the same p ops come again and again. Two steps are
    the same if op by op they have the same name and shapes and use the same leaves, and if every other input comes
    from the matching op of its own step or of the step before; or, from outside of the loop, from the same op or one
    like it. The first step alone may begin from elsewhere, or from nothing: also from the number in `total = 0` or
    `product = 1`, which is no input, so that the first sum or product has its other input at the first place. At
    least three steps are put together, if something runs through them, a state that each step makes from that of the
    one before: p boxes, each for all its repetitions, and wires from one step into the next.

    A loop in a loop is folded from the inside out.
    """
    order, longest = _Sequence(graph), 1  # of a step; an inner loop's has at most a third of the outer one's ops
    while longest < 2 * len(order.labels):
        runs = _find_runs(order, longest)
        if runs:
            graph = _fold_runs(graph, runs)
            order, longest = _Sequence(graph), 1
        else:
            longest *= 2
    return graph


class Run(NamedTuple):
    """The numbers of the boxes of all steps in order, how many make a step, and which have their input elsewhere."""

    numbers: list[int]
    period: int
    turned: set[int]  # in the first step: 0 + x has at place 0 what total + x has at place 1


_Inputs = dict[tuple[int, bool, int], int]


class _Sequence:
    """The computed boxes in the order of recording, with what is compared between steps."""

    def __init__(self, graph: Graph) -> None:
        boxes, incoming = graph.boxes, graph.incoming()
        self.numbers = [number for number, box in enumerate(boxes) if box.kind in _COMPUTED]
        self.numbers.sort(key=lambda number: -boxes[number].birth)
        place_of = {number: place for place, number in enumerate(self.numbers)}
        known: dict[object, int] = {}
        self.labels: list[int] = []
        # Where each input comes from, by (its place, carried or not, how many were there before): a place in this
        # sequence, or below zero a leaf.
        self.inputs: list[_Inputs] = []
        for number in self.numbers:
            box = boxes[number]
            label = (box.kind, box.title, box.shapes, box.times)
            self.labels.append(known.setdefault(label, len(known)))
            inputs: _Inputs = {}
            seen: Counter[tuple[int, bool]] = Counter()
            for wire in incoming[number]:
                key = wire.place, wire.carried
                inputs[*key, seen[key]] = place_of.get(wire.source, -1 - wire.source)
                seen[key] += 1
            self.inputs.append(inputs)
        self.commutes = [boxes[one].kind == "op" and boxes[one].ops.keys() <= set(_COMMUTATIVE) for one in self.numbers]

    def turned(self, place: int) -> _Inputs | None:
        """The only input of a sum or a product at its other place."""
        inputs = self.inputs[place]
        if not self.commutes[place] or list(inputs) not in ([(0, False, 0)], [(1, False, 0)]):
            return None
        (((where, _, _), source),) = inputs.items()
        return {(1 - where, False, 0): source}

    def same(self, place: int, before: _Inputs, start: int, period: int) -> bool:
        """Whether what goes into the op at `place` matches `before`, what went into its like in the step before."""
        here, second = self.inputs[place], start + period
        if not before.keys() <= here.keys():
            return False
        for key, source in here.items():
            matching = before.get(key)
            if matching is not None and matching >= start:
                same = source == matching + period
            elif source >= start:  # the first step began from outside of the loop
                same = source < second <= place < second + period
            elif matching is None or min(source, matching) < 0:
                same = source == matching
            else:
                same = self.labels[source] == self.labels[matching]
            if not same:
                return False
        return True

    def same_as_turned(self, place: int, start: int, period: int) -> bool:
        """Whether the op at `place` matches one of the first step whose only input stands at the other place."""
        before = self.turned(place - period) if place < start + 2 * period else None
        return before is not None and len(self.inputs[place]) == 2 and self.same(place, before, start, period)


def _find_runs(order: _Sequence, longest: int) -> list[Run]:
    """The runs of steps of at most `longest` ops, and of more than half of that, none overlapping another."""
    labels = order.labels
    places: dict[int, list[int]] = defaultdict(list)  # by label
    for place, label in enumerate(labels):
        places[label].append(place)
    runs: list[Run] = []
    start = 0
    while start < len(labels):
        again = places[labels[start]]
        first, end = bisect_right(again, start + longest // 2), bisect_right(again, start + longest)
        for other in again[first : min(end, first + _CANDIDATES)]:
            period = other - start
            some = min(2 * period, 8)  # a quick look before the whole comparison
            if labels[start : start + some] != labels[other : other + some]:
                continue
            steps = _repeating(order, start, period) // period
            if steps >= FEWEST_STEPS and _has_state(order, start, period):
                start = _best_start(order, start, period, steps)
                end = start + steps * period
                seconds = range(start + period, start + 2 * period)
                turned = {
                    one - period for one in seconds if not order.same(one, order.inputs[one - period], start, period)
                }
                runs.append(Run(order.numbers[start:end], period, {order.numbers[one] for one in turned}))
                start = end
                break
        else:
            start += 1
    return runs


def _best_start(order: _Sequence, start: int, period: int, steps: int) -> int:
    """Where in the loop's body a step begins: of the places that give as many steps, the one that carries
    least; of these the last, since it is the first step that may be incomplete."""
    spare = min(period - 1, _repeating(order, start, period) - steps * period)
    starts = [one for one in range(start, start + spare + 1) if _repeating(order, one, period) >= steps * period]
    return min(starts, key=lambda one: (_count_carried(order, one, period), -one))


def _count_carried(order: _Sequence, start: int, period: int) -> int:
    second = range(start + period, start + 2 * period)
    return sum(start <= source < second[0] for place in second for source in order.inputs[place].values())


def _repeating(order: _Sequence, start: int, period: int) -> int:
    """How many ops from `start` on are equal steps of `period`, the last one perhaps not to its end."""
    labels, place = order.labels, start + period
    while place < len(labels) and labels[place] == labels[place - period]:
        plain = order.same(place, order.inputs[place - period], start, period)
        if not plain and not order.same_as_turned(place, start, period):
            break
        place += 1
    return place - start


def _has_state(order: _Sequence, start: int, period: int) -> bool:
    """Whether something runs through the steps: whether the body's wires, with those that come from the step before,
    form a circle. If not, what looks like steps is work side by side."""
    followers: list[list[int]] = [[] for _ in range(period)]
    waits = [0] * period
    for place in range(period):
        for (_, inner, _), source in order.inputs[start + period + place].items():
            if source >= start and not inner:  # what an inner loop carries stays in it
                followers[(source - start) % period].append(place)
                waits[place] += 1
    ready = [place for place, count in enumerate(waits) if not count]
    for place in ready:  # it grows as it is walked through
        for follower in followers[place]:
            waits[follower] -= 1
            if not waits[follower]:
                ready.append(follower)
    return len(ready) < period


def _fold_runs(graph: Graph, runs: Sequence[Run]) -> Graph:
    into = list(range(len(graph.boxes)))
    made: dict[int, Box] = {}
    step_of: dict[int, tuple[int, int]] = {}  # which run, which step of it
    for number, (numbers, period, _) in enumerate(runs):
        steps = len(numbers) // period
        for place, box in enumerate(numbers):
            into[box] = numbers[place % period]
            step_of[box] = number, place // period
        for first in range(period):
            made[numbers[first]] = _repeated([graph.boxes[one] for one in numbers[first::period]], steps)
    turned = {number for run in runs for number in run.turned}
    nowhere = (-1, 0)
    wires: list[Wire] = []
    for wire in graph.wires:
        (run, step), (other, later) = step_of.get(wire.source, nowhere), step_of.get(wire.target, nowhere)
        place = 1 - wire.place if wire.target in turned else wire.place
        wires.append(replace(wire, place=place, carried=wire.carried or (run == other and step < later)))
    return merge(Graph(graph.boxes, wires), into, made)


def _repeated(boxes: Sequence[Box], steps: int) -> Box:
    ops = _all_ops(boxes)
    times = boxes[0].times * steps
    return replace(boxes[0], ops=ops, times=times, tip=f"{boxes[0].tip}\nrepeated {times} times: {_ops_text(ops)}")


# ---- what is alike --------------------------------------------------------------------------------------------------


def fold_alike(graph: Graph) -> Graph:
    """Put together what was done several times side by side, as an embedding looked up at every step.

    Boxes are alike if they compute the same from inputs that are alike, and are used alike: two passes over the graph,
    one for where a box comes from and one for where it leads. Boxes that come from the same kind of place are equally
    far from the leaves, so that no wire can lead from one of them to another.
    """
    boxes, known = graph.boxes, dict[object, int]()
    down, up = [0] * len(boxes), [0] * len(boxes)
    incoming, outgoing = graph.incoming(), graph.outgoing()
    for number, box in enumerate(boxes):
        sources = [(wire.place, wire.output, -1 if wire.carried else down[wire.source]) for wire in incoming[number]]
        own = number if box.kind not in _COMPUTED else None
        description = (box.kind, box.title, box.shapes, box.times, own, tuple(sources))
        down[number] = known.setdefault(description, len(known))
    for number in reversed(range(len(boxes))):
        targets = sorted((wire.place, -1 if wire.carried else up[wire.target]) for wire in outgoing[number])
        up[number] = known.setdefault((down[number], tuple(targets)), len(known))
    alike: dict[int, list[int]] = defaultdict(list)
    for number, box in enumerate(boxes):
        if box.kind in _COMPUTED and not any(wire.carried for wire in incoming[number]):
            alike[up[number]].append(number)
    into = list(range(len(boxes)))
    made: dict[int, Box] = {}
    for numbers in alike.values():
        if len(numbers) >= FEWEST_STEPS:
            made[numbers[0]] = _repeated([boxes[number] for number in numbers], len(numbers))
            for number in numbers:
                into[number] = numbers[0]
    return merge(graph, into, made) if made else graph


def gather_leaves(graph: Graph) -> Graph:
    """Put leaves that go to the same places into one box that lists them: a layer's parameters."""
    outgoing = graph.outgoing()
    together: dict[frozenset[int], list[int]] = defaultdict(list)
    for number, box in enumerate(graph.boxes):
        if box.kind == "leaf":
            together[frozenset(wire.target for wire in outgoing[number])].append(number)
    into = list(range(len(graph.boxes)))
    made: dict[int, Box] = {}
    for numbers in together.values():
        if len(numbers) >= FEWEST_LEAVES:
            made[numbers[0]] = _leaves_box([graph.boxes[number] for number in numbers])
            for number in numbers:
                into[number] = numbers[0]
    stays = [number for number, box in enumerate(graph.boxes) if box.kind not in _COMPUTED and number == into[number]]
    titles = [graph.boxes[number].title for number in stays if number not in made]
    titles = numbered([*titles, *(box.title for box in made.values())])
    for box, title in zip(reversed(made.values()), reversed(titles)):
        box.title = title
    return merge(graph, into, made) if made else graph


def _leaves_box(boxes: Sequence[Box]) -> Box:
    names = [name for box in boxes for name in box.leaves]
    owners = {name.rpartition(".")[0] for name in names}
    prefix = owners.pop() if len(owners) == 1 else ""
    shown = [name.removeprefix(f"{prefix}.") for name in names] if prefix else names
    wide = max(map(len, shown))
    lines = [f"{name:{wide}}  {box.lines[0]}" for name, box in zip(shown, boxes)]
    tip = "\n".join(box.tip for box in boxes)
    return Box("leaves", prefix or "leaves", lines, tip, leaves=tuple(names), birth=boxes[0].birth)
