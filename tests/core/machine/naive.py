"""An engine with PyTorch's names, written to be obviously right: memory of numbered cells, and dual numbers (`jets`).

Nothing goes backward here. Each result gets a seed for each of its elements, each number knows its derivatives by all
seeds, so a gradient is read off: that of a leaf, of any result, once and twice. What is shared and what is cut off:

- a tensor looks at cells of a memory; a view looks at some of the same cells;
- a tensor in the graph has a `Place`: the dual numbers it was made as. A write gives the written tensor, or the base
  of the written view, a new place, with some of its numbers replaced; a view is then read off its base anew;
- `detach` and `.data` give tensors that share the cells and have no place.

Some things an engine may do or leave: it may refuse to go back where a memory it may have saved was written (`stale`)
or freed. `doubt` says where a program has come to such a point.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from core.machine.jets import Host, Jet
from core.machine.places import Memory, Place, Refused, Watch
from core.machine.tensors import Tensor


class Naive:
    """The engine, to be used as the module `torch` is."""

    float64 = np.float64

    def __init__(self) -> None:
        self.seeds, self.recording = 0, True
        self.retaining: list[Tensor] = []
        self.given_out: list[Memory] = []  # of gradients: engines differ in which of these are one memory
        self.returned: list[tuple[Watch, int]] = []  # gradients given out, which the rules of others may have saved
        self.autograd = self

    # ---- making -----------------------------------------------------------------------------------------------------

    def tensor(self, data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
        result = self.fresh(np.array(data, dtype=np.float64))
        return result.requires_grad_() if requires_grad else result

    def zeros(self, shape: Sequence[int], dtype: Any = None, requires_grad: bool = False) -> Tensor:
        return self.tensor(np.zeros(shape), dtype, requires_grad)

    def fresh(self, values: Host) -> Tensor:
        return Tensor(self, Memory(values.reshape(-1).copy()), np.arange(values.size).reshape(values.shape), Watch())

    @contextlib.contextmanager
    def no_grad(self) -> Iterator[None]:
        before, self.recording = self.recording, False
        try:
            yield
        finally:
            self.recording = before

    def op(self, compute: Callable[..., Jet], *inputs: Tensor, saves: str = "") -> Tensor:
        """The tensor that `compute` makes of what is read from the inputs.

        A slope that depends on the numbers is computed from the "inputs" or the "result" that the rule `saves`.
        """
        jet = compute(*[self.read(one) for one in inputs])
        result = self.fresh(jet.parts[0])
        parents = {place for one in inputs if (place := one.place()) is not None}
        if self.recording and parents:
            result._place = Place(self, jet, parents)
            result._place.saw(*{"": (), "inputs": inputs, "result": (result,)}[saves])
            result._place.saves = bool(saves)
        return result

    def read(self, tensor: Tensor) -> Jet:
        values, place = tensor.memory.numbers[tensor.cells], tensor.place()
        return Jet.constant(values) if place is None else Jet((values, *place.jet.parts[1:]))

    def write(
        self, target: Tensor, compute: Callable[..., Jet], *inputs: Tensor, saves: Sequence[Tensor] = ()
    ) -> Tensor:
        """Put what `compute` makes of the inputs where `target` is."""
        base = target.base or target
        parents = {place for one in (base, *inputs) if (place := one.place()) is not None}
        recorded = self.recording and bool(parents)
        if recorded:
            self._check_writable(target, base)
        if target.expanded and target.cells.size:
            raise Refused("several elements share a cell")
        jet = compute(*[self.read(one) for one in inputs])
        if np.broadcast_shapes(jet.shape, target.shape) != target.shape:
            raise Refused("the result does not fit")
        jet = jet.to_shape(target.shape)
        if recorded:
            base._place = Place(self, self.read(base).replaced(target.within(base), jet), parents)
        target.memory.numbers[target.cells] = jet.parts[0]
        target.memory.writes += 1
        target.watch.count += 1
        target.watch.unrecorded += not recorded
        if recorded and base._place is not None:
            base._place.saw(*saves)
        return target

    def _check_writable(self, target: Tensor, base: Tensor) -> None:
        place = base.place()
        if place is not None and place.leaf is not None:
            raise Refused("a leaf that requires grad, or a view of it")
        if not target.recorded:
            raise Refused("a view that was taken under no_grad")
        if target.one_of_several:
            raise Refused("one of several views that were made at once")

    def where(self, condition: Host, x: Tensor, y: Tensor) -> Tensor:
        def chosen(a: Jet, b: Jet) -> Jet:
            yes = Jet.constant(np.where(condition, 1.0, 0.0))
            return yes * a + Jet.constant(np.where(condition, 0.0, 1.0)) * b

        return self.op(chosen, x, y)

    def cat(self, tensors: Sequence[Tensor], dim: int) -> Tensor:
        return self.op(lambda *jets: Jet.joined(list(jets), dim), *tensors)

    def stack(self, tensors: Sequence[Tensor], dim: int) -> Tensor:
        return self.cat([one.unsqueeze(dim) for one in tensors], dim)

    # ---- gradients --------------------------------------------------------------------------------------------------

    def executed(self, outputs: Sequence[Tensor], targets: Sequence[Tensor] | None, surely: bool) -> set[Place]:
        """The places whose rule runs; with `surely` without those that gradients were computed with."""
        ends = None if targets is None else {one.place() for one in targets}
        reached: set[Place] = set()
        pending = [place for one in outputs if (place := one.place()) is not None]
        while pending:
            place = pending.pop()
            if place not in reached:
                reached.add(place)
                pending += [] if surely and place.of_gradient else place.parents
        if ends is None:
            return reached
        leading: set[Place] = set()
        for place in sorted(reached, key=lambda one: one.born):
            if place.parents & (leading | ends):
                leading.add(place)
        return leading

    def doubt(self, outputs: Sequence[Tensor], targets: Sequence[Tensor] | None = None) -> str:
        """What an engine may or must do about these gradients: "" is to compute them."""
        maybe = self.executed(outputs, targets, surely=False)
        if any(place.deceived() for place in maybe):
            return "deceived"
        if any(place.freed and place.saves for place in self.executed(outputs, targets, surely=True)):
            return "must refuse"
        if any(place.of_gradient for place in maybe) and any(watch.count != count for watch, count in self.returned):
            return "may refuse"
        return "may refuse" if any(p.freed or p.maybe_freed or p.stale() for p in maybe) else ""

    def _gradients(
        self, outputs: Sequence[Tensor], weights: Sequence[Any], targets: Any, retain: bool, create: bool
    ) -> Jet:
        """The derivatives of the weighted sum of the outputs by each seed, as hooks change them on their way."""
        executed = self.executed(outputs, targets, surely=False)
        reached = self.executed(outputs, None, surely=False)
        arriving = (executed | {one.place() for one in targets or ()}) & reached
        total = Jet.constant(np.zeros(()))
        for output, weight in zip(outputs, weights):
            weighted = self.read(output) * Jet.constant(np.ones(()) if weight is None else weight.numpy())
            total = total + weighted.sum(tuple(range(len(weighted.shape))))
        gradients = total.grown(self.seeds).slopes()
        gradients = gradients if create else Jet(gradients.parts[:1])
        with contextlib.nullcontext() if create else self.no_grad():
            for place in sorted((p for p in arriving if p.hooks), key=lambda one: one.born, reverse=True):
                gradients = self._hooked(place, gradients, create)
        for one in self.retaining:
            place = one.place()
            if place is not None and place.leaf is None and place in arriving:
                one._add_to_grad(gradients.parts[0][place.seeds])
        if not retain:
            surely = self.executed(outputs, targets, surely=True)
            for place in executed:
                place.freed, place.maybe_freed = place.freed or place in surely, True
        return gradients

    def _hooked(self, place: Place, gradients: Jet, create: bool) -> Jet:
        """What a hook changes in the gradient of a place goes on along that place's own derivatives."""
        before = gradients.pick(place.seeds)
        given = self._of_gradient(before, create)
        now = given
        for hook in list(place.hooks.values()):
            result = hook(now)
            now = now if result is None else result
        if now is given:
            return gradients
        seeds = self.seeds
        change = self.read(now) + before.scaled(-1.0)
        along = place.jet.grown(seeds).slopes()
        change = Jet(tuple(part[..., None] if not at else part[..., None, :] for at, part in enumerate(change.parts)))
        spread = (change * along).sum(tuple(range(len(place.jet.shape))))
        grown = np.pad(gradients.parts[0], (0, seeds - gradients.size))
        wide = [np.pad(part, [(0, seeds - size) for size in part.shape]) for part in gradients.parts[1:]]
        return Jet((grown, *wide)) + spread

    def _of_gradient(self, jet: Jet, create: bool, parents: set[Place] | None = None) -> Tensor:
        result = self.fresh(jet.parts[0])
        result.computed_with = parents or set()
        if create and np.any(jet.parts[1]):
            result._place = Place(self, jet, parents or set())
            result._place.of_gradient = True
        return result

    def claim(self, tensor: Tensor) -> None:
        """Count a constant gradient as recorded; what is zero here is one derivative of it, not all."""
        tensor._place = Place(self, Jet(Jet.constant(tensor.numpy()).parts[:2]), tensor.computed_with)
        tensor._place.of_gradient = tensor._place.claimed = True

    def backward(self, tensors: Any, grad_tensors: Any = None, retain_graph: bool = False) -> None:
        outputs = list(tensors)
        gradients = self._gradients(outputs, grad_tensors or [None] * len(outputs), None, retain_graph, False)
        for place in self.executed(outputs, None, surely=False):
            if place.leaf is not None and place.leaf.requires_grad:
                place.leaf._add_to_grad(gradients.parts[0][place.seeds])

    def grad(
        self,
        outputs: Any,
        inputs: Any,
        grad_outputs: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        materialize_grads: bool = True,
    ) -> tuple[Tensor, ...]:
        retain = create_graph if retain_graph is None else retain_graph
        weights = grad_outputs or [None] * len(outputs)
        parents = self.executed(outputs, inputs, surely=False)
        gradients = self._gradients(outputs, weights, inputs, retain, create_graph)
        found = []
        for one in inputs:
            place = one.place()
            assert place is not None
            found.append(self._of_gradient(gradients.pick(place.seeds), create_graph, parents))
            self.given_out.append(found[-1].memory)
            if create_graph:
                self.returned.append((found[-1].watch, found[-1].watch.count))
        return tuple(found)
