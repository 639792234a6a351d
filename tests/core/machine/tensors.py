"""The naive engine's tensors: which cells they look at, and PyTorch's names for what can be done with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from core.machine.jets import ORDER, Host, Jet
from core.machine.places import Handle, Memory, Place, Watch

if TYPE_CHECKING:
    from core.machine.naive import Naive


def axes_of(tensor: Tensor, dim: Any) -> tuple[int, ...]:
    dims = range(tensor.cells.ndim) if dim is None else dim if isinstance(dim, tuple) else (dim,)
    return tuple(one % max(tensor.cells.ndim, 1) for one in dims)


def _is_basic(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return not any(isinstance(part, (list, np.ndarray)) for part in parts)


ONE = Jet.constant(np.ones(()))


class Tensor:
    """Cells of a memory, and perhaps a place in the graph."""

    __array_ufunc__ = None

    def __init__(self, world: Naive, memory: Memory, cells: Host, watch: Watch) -> None:
        self.world, self.memory, self.cells, self.watch = world, memory, cells, watch
        self.base: Tensor | None = None  # of a view
        self.derived_from: Place | None = None  # the base's place when the view was read off it
        self.unrecorded = watch.unrecorded  # how often the memory had been written without recording then
        self.recorded, self.one_of_several, self.expanded = True, False, False
        self._place: Place | None = None
        self.computed_with: set[Place] = set()  # of a gradient: the places it came through
        self._own_leaf: Place | None = None
        self.grad: Tensor | None = None

    # ---- what it is -------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.cells.shape

    def numpy(self) -> Host:
        return self.memory.numbers[self.cells]

    def place(self) -> Place | None:
        """Its place; that of a view whose base was written since is read off the base anew."""
        if self.base is not None and self.recorded and self.derived_from is not self.base._place:
            self._read_off(self.base, self.within(self.base))
        return self._place

    def _read_off(self, source: Tensor, places: Host) -> None:
        """Its place, from that of the source, of which it has the elements at `places`."""
        from_place = source.place()
        self.derived_from, self.unrecorded = (self.base or source)._place, self.watch.unrecorded
        self._place = None
        if from_place is not None:
            self._place = Place(self.world, from_place.jet.pick(places), {from_place})

    def within(self, other: Tensor) -> Host:
        """Where this tensor's cells are in the flattened other, which looks at each cell once."""
        places = np.zeros(self.memory.numbers.size, dtype=np.intp)
        places[other.cells.reshape(-1)] = np.arange(other.cells.size)
        return places[self.cells]

    @property
    def order(self) -> int:
        """How often it can be differentiated."""
        place = self.place()
        return ORDER if place is None else len(place.jet.parts) - 1

    def is_contiguous(self) -> bool:
        return bool(self.cells.flags.c_contiguous)

    @property
    def requires_grad(self) -> bool:
        return self.place() is not None

    @property
    def is_leaf(self) -> bool:
        place = self.place()
        return place is None or place.leaf is self

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        if requires_grad and self._place is None:
            if self._own_leaf is None:
                self._own_leaf = Place(self.world, Jet.constant(self.numpy()), set())
                self._own_leaf.leaf = self
            self._place = self._own_leaf
        elif not requires_grad:
            self._place = None
        return self

    def retain_grad(self) -> None:
        if not self.is_leaf and self not in self.world.retaining:  # a leaf has its gradient anyway
            self.world.retaining.append(self)

    def register_hook(self, hook: Callable[[Any], Any]) -> Handle:
        place = self.place()
        assert place is not None
        handle = Handle(place)
        place.hooks[handle] = hook
        return handle

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        self.world.backward([self], [gradient], retain_graph)

    def _add_to_grad(self, values: Host) -> None:
        if self.grad is None:
            self.grad = self.world.fresh(values)
        else:
            self.grad.memory.numbers += values.reshape(-1)
            self.grad.memory.writes += 1
            self.grad.watch.count += 1

    # ---- sharing ----------------------------------------------------------------------------------------------------

    def viewed(self, take: Callable[[Host], Host], one_of_several: bool = False) -> Tensor:
        """The view that has those elements which `take` takes from any array of this shape."""
        result = Tensor(self.world, self.memory, np.asarray(take(self.cells)), self.watch)
        result.base = self.base or self
        result.recorded = self.world.recording and self.recorded
        result.one_of_several = one_of_several or self.one_of_several
        result.expanded = self.expanded
        if result.recorded:
            result._read_off(self, np.asarray(take(np.arange(self.cells.size).reshape(self.shape))))
        return result

    def detach(self) -> Tensor:
        return self._sharing(self.watch)

    @property
    def data(self) -> Tensor:
        return self._sharing(Watch())

    def _sharing(self, watch: Watch) -> Tensor:
        """The same cells, outside the graph."""
        result = Tensor(self.world, self.memory, self.cells, watch)
        result.expanded = self.expanded
        return result

    def reshape(self, *shape: int) -> Tensor:
        return self.viewed(lambda cells: cells.reshape(shape))

    def view(self, *shape: int) -> Tensor:
        return self.reshape(*shape)

    @property
    def T(self) -> Tensor:  # noqa: N802 - the name it has everywhere
        return self.viewed(lambda cells: cells.T)

    def transpose(self, first: int, second: int) -> Tensor:
        return self.viewed(lambda cells: cells.swapaxes(first, second))

    def expand(self, *shape: int) -> Tensor:
        result = self.viewed(lambda cells: np.broadcast_to(cells, shape))
        result.expanded = True
        return result

    def unsqueeze(self, dim: int) -> Tensor:
        return self.viewed(lambda cells: np.expand_dims(cells, dim))

    def squeeze(self, dim: int) -> Tensor:
        return self.viewed(lambda cells: cells.squeeze(dim) if cells.shape[dim] == 1 else cells)

    def diagonal(self, offset: int = 0) -> Tensor:
        return self.viewed(lambda cells: cells.diagonal(offset))

    def narrow(self, dim: int, start: int, length: int) -> Tensor:
        return self.viewed(lambda cells: cells.take(range(start, start + length), dim))

    def split(self, size: int, dim: int = 0) -> tuple[Tensor, ...]:
        whole = self.cells.shape[dim]
        spans = [range(at, min(at + size, whole)) for at in range(0, whole, size)]
        return tuple([self.viewed(lambda cells, span=span: cells.take(span, dim), True) for span in spans])

    def chunk(self, count: int) -> tuple[Tensor, ...]:
        return self.split(-(-self.cells.shape[0] // count))

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        numbers = range(self.cells.shape[dim])
        return tuple([self.viewed(lambda cells, at=at: cells.take(at, dim), True) for at in numbers])

    def __getitem__(self, index: Any) -> Tensor:
        if _is_basic(index):
            return self.viewed(lambda cells: cells[index])
        places = np.arange(self.cells.size).reshape(self.shape)[index]
        return self.world.op(lambda jet: jet.pick(places), self)

    def __setitem__(self, index: Any, value: Any) -> None:
        target = Tensor(self.world, self.memory, np.asarray(self.cells[index]), self.watch)
        target.base, target.one_of_several, target.expanded = self.base or self, self.one_of_several, self.expanded
        target.recorded = self.recorded
        self.world.write(target, lambda jet: jet, self._of(value))

    # ---- computing --------------------------------------------------------------------------------------------------

    def clone(self) -> Tensor:
        return self.world.op(lambda jet: jet, self)

    def _function(self, values: Any, slope: Callable[[Jet, Jet], Jet], write: bool, saves: str = "result") -> Tensor:
        world = self.world
        seeded = world.recording and not (write and self.base is not None)

        def compute(jet: Jet) -> Jet:
            return jet.through(values(jet.parts[0]), slope, world.seeds if seeded else None)

        return world.write(self, compute, self) if write else world.op(compute, self, saves=saves)

    def tanh(self, write: bool = False) -> Tensor:
        return self._function(np.tanh, lambda x, y: ONE + (y * y).scaled(-1.0), write)

    def exp(self, write: bool = False) -> Tensor:
        return self._function(np.exp, lambda x, y: y, write)

    def sigmoid(self, write: bool = False) -> Tensor:
        return self._function(lambda x: 1 / (1 + np.exp(-x)), lambda x, y: y + (y * y).scaled(-1.0), write)

    def reciprocal(self) -> Tensor:
        return self._function(lambda x: 1 / x, lambda x, y: (y * y).scaled(-1.0), write=False)

    def sin(self, write: bool = False) -> Tensor:
        return self._function(np.sin, _cosine, write, "inputs")

    def square(self, write: bool = False) -> Tensor:
        return self._function(np.square, lambda x, y: x.scaled(2.0), write, "inputs")

    def tanh_(self) -> Tensor:
        return self.tanh(write=True)

    def exp_(self) -> Tensor:
        return self.exp(write=True)

    def sigmoid_(self) -> Tensor:
        return self.sigmoid(write=True)

    def sin_(self) -> Tensor:
        return self.sin(write=True)

    def square_(self) -> Tensor:
        return self.square(write=True)

    def _of(self, other: Any) -> Tensor:
        return other if isinstance(other, Tensor) else self.world.fresh(np.asarray(other, dtype=np.float64))

    def __add__(self, other: Any) -> Tensor:
        return self.world.op(Jet.__add__, self, self._of(other))

    def __sub__(self, other: Any) -> Tensor:
        return self.world.op(_minus, self, self._of(other))

    def __mul__(self, other: Any) -> Tensor:
        saves = "inputs" if isinstance(other, Tensor) else ""
        return self.world.op(Jet.__mul__, self, self._of(other), saves=saves)

    def __truediv__(self, number: float) -> Tensor:
        return self * (1.0 / number)

    def __neg__(self) -> Tensor:
        return self * -1.0

    def __gt__(self, other: Any) -> Host:
        return self.numpy() > (other.numpy() if isinstance(other, Tensor) else other)

    def __matmul__(self, other: Tensor) -> Tensor:
        def product(x: Jet, y: Jet) -> Jet:
            """sum over k of x[..., k] * y[k, ...]"""
            rows, columns = x.places(), y.places()
            left = rows[..., None, :] if columns.ndim == 2 else rows  # n, (1), k
            both = x.pick(left) * y.pick(columns.T)  # n, m, k
            return both.sum((len(both.shape) - 1,))

        return self.world.op(product, self, other, saves="inputs")

    def sum(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        axes = axes_of(self, dim)
        kept = tuple(1 if at in axes else size for at, size in enumerate(self.shape))
        gone = tuple(size for at, size in enumerate(self.shape) if at not in axes)

        def total(jet: Jet) -> Jet:
            result = jet.sum(axes)
            return result.pick(result.places().reshape(kept if keepdim else gone))

        return self.world.op(total, self)

    def mean(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        count = int(np.prod([self.shape[axis] for axis in axes_of(self, dim)]))
        return self.sum(dim, keepdim) * (1.0 / count)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def add_(self, other: Any) -> Tensor:
        return self.world.write(self, Jet.__add__, self, self._of(other))

    def sub_(self, other: Any) -> Tensor:
        return self.world.write(self, _minus, self, self._of(other))

    def mul_(self, other: Any) -> Tensor:
        saves = [other] if isinstance(other, Tensor) and other is not self else []
        return self.world.write(self, Jet.__mul__, self, self._of(other), saves=saves)

    def copy_(self, other: Tensor) -> Tensor:
        return self.world.write(self, lambda jet: jet, other)

    def fill_(self, number: float) -> Tensor:
        return self.copy_(self._of(number))

    def zero_(self) -> Tensor:
        return self.fill_(0.0)

    __iadd__, __isub__, __imul__ = add_, sub_, mul_


def _cosine(x: Jet, result: Jet) -> Jet:
    return x.through(np.cos(x.parts[0]), lambda x, y: Jet.constant(-np.sin(x.parts[0])), None)


def _minus(x: Jet, y: Jet) -> Jet:
    return x + y.scaled(-1.0)
