"""Small parameters, moved as one.

Before a ufunc has touched a number it has taken 0.2 microseconds, and Adam asks for twelve of them for each parameter.
So the small parameters of a group move as one long one: the tensors of their states become views into long ones, and at
each step gradients and parameters are copied behind each other, and the parameters back. `Optimizer._update` sees one
parameter, one gradient and one state, and each element goes the very way it would have gone. For the six parameters of
a small network Adam's step takes 20 microseconds, and 39 one by one; SGD's with momentum 14, and 23.
"""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from numbers import Real
from operator import is_
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from minigrad.backend import Array
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor, wrap
from minigrad.core.views import count_write

if TYPE_CHECKING:
    from minigrad.optim.optimizer import Optimizer, Settings, State

Move: TypeAlias = "tuple[Tensor, Any, Settings]"  # a parameter, its gradient, its group

# Elements: of six parameters with so many each Adam takes 44 microseconds in place of 60, and SGD 21 in place of
# 26. With twice as many elements, copying takes what the fewer calls save.
SMALL = 1 << 12
FEW = 3  # parameters: for two, seeing that nothing has changed takes what the fewer calls save


class Family:
    """Small parameters of one group and one dtype, whose states hold the same numbers, such as the step."""

    def __init__(self, optimizer: Optimizer, moves: list[Move]) -> None:
        self.arrays = [one._array for one, _, _ in moves]
        self.states = [optimizer.state[one] for one, _, _ in moves]
        self.p = np.concatenate(self.arrays, axis=None)
        self.g = np.empty_like(self.p)
        self.p_views, self.g_views = self._views(self.p), self._views(self.g)
        self.state: State = dict(self.states[0])
        self.parts: dict[str, list[Tensor]] = {}  # of each tensor in `state`, its views: the parameters' own tensors
        for name, value in self.state.items():
            if isinstance(value, Tensor):
                parts = self.parts[name] = [state[name] for state in self.states]
                self.state[name] = wrap(np.concatenate([part._array for part in parts], axis=None))
                for part, view in zip(parts, self._views(self.state[name]._array), strict=True):
                    part._array = view

    def _views(self, long: Array) -> list[Array]:
        """Each parameter's part of an array that is as long as all of them."""
        stops = accumulate(p.size for p in self.arrays)
        return [long[stop - p.size : stop].reshape(p.shape) for stop, p in zip(stops, self.arrays, strict=True)]

    def whole(self) -> bool:
        """Whether the states are still alike, and their tensors those that were made views; takes over the numbers."""
        for name in self.state:
            if name in self.parts:
                long = self.state[name]._array
                for state, part in zip(self.states, self.parts[name]):
                    if state.get(name) is not part or part._array.base is not long:
                        return False
            else:
                value = self.state[name] = self.states[0].get(name)
                if any(state.get(name) != value for state in self.states):
                    return False
        return all(len(state) == len(self.state) for state in self.states)

    def move(self, optimizer: Optimizer, moves: list[Move]) -> None:
        """A step of the parameters as one; `moves` are theirs, with new gradients."""
        for (_, g, _), p, p_view, g_view in zip(moves, self.arrays, self.p_views, self.g_views):
            p_view[...], g_view[...] = p, g._array
        group = moves[0][2]
        optimizer._count(self.p, self.state, group)
        optimizer._update(self.p, self.g, self.state, group)
        for name in self.state.keys() - self.parts.keys():
            self._hand_out(name, self.state[name])
        for (one, _, _), p, p_view in zip(moves, self.arrays, self.p_views):
            p[...] = p_view
            count_write(one)

    def _hand_out(self, name: str, value: Any) -> None:
        """Put what an update has made of a number, or has added to the state, into each parameter's state."""
        values = [value] * len(self.states)
        if isinstance(value, Tensor):
            values = self.parts[name] = [wrap(view) for view in self._views(value._array)]
        for state, one in zip(self.states, values, strict=True):
            state[name] = one

    def part(self) -> None:
        """Give each tensor memory of its own again."""
        for name, parts in self.parts.items():
            for part in parts:
                if part._array.base is self.state[name]._array:
                    part._array = part._array.copy()


class Gathered:
    """An optimizer's families, as long as its steps move the same parameters."""

    def __init__(self) -> None:
        self.last: list[Any] = []  # what the last step moved
        self.families: list[tuple[Family, list[int]]] | None = None  # and the places of their parameters in it
        self.rest: list[int] = []  # the other places
        self.written: set[int] = set()  # ids of the arrays whose memory a step writes

    def __reduce__(self) -> tuple[type[Gathered], tuple[()]]:
        return Gathered, ()  # a copied optimizer gathers anew: copies of views are no views

    def move(self, optimizer: Optimizer, moves: list[Move]) -> list[Move]:
        """Move the families, if the last step moved the same parameters; the moves that are left."""
        now = [thing for one, g, group in moves for thing in (one._array, type(g), group, optimizer.state[one])]
        if len(now) != len(self.last) or not all(map(is_, now, self.last)):
            self._part(now)
            return moves
        if self.families is None:
            self._gather(optimizer, moves)
        # A gradient that lies in memory that this step changes must see the changes in their order.
        if not self.families or not self.written.isdisjoint([_owner(_values(g)) for _, g, _ in moves]):
            return moves
        if not all(family.whole() for family, _ in self.families):
            self._part([])
            return moves
        for family, places in self.families:
            family.move(optimizer, [moves[place] for place in places])
        return [moves[place] for place in self.rest]

    def _gather(self, optimizer: Optimizer, moves: list[Move]) -> None:
        """Find families among the parameters with memory of their own."""
        arrays = [[one._array, *_tensors(optimizer.state[one])] for one, _, _ in moves]
        owners = Counter(_owner(array) for each in arrays for array in each)
        kinds: dict[Any, list[int]] = {}
        for place, ((one, g, group), each) in enumerate(zip(moves, arrays, strict=True)):
            p, state = each[0], optimizer.state[one]
            own = all(owners[id(a)] == 1 and a.base is None and (a.dtype, a.shape) == (p.dtype, p.shape) for a in each)
            plain = type(p) is np.ndarray and all(isinstance(value, (Tensor, Real)) for value in state.values())
            if own and plain and p.size <= SMALL and not isinstance(g, Rows):
                numbers = [(name, isinstance(value, Tensor) or (value,)) for name, value in state.items()]
                kinds.setdefault((id(group), p.dtype, *numbers), []).append(place)
        families = [places for places in kinds.values() if len(places) >= FEW]
        self.families = [(Family(optimizer, [moves[place] for place in places]), places) for places in families]
        self.rest = sorted(set(range(len(moves))).difference(*families))
        self.written = {_owner(one._array) for one, _, _ in moves}
        self.written.update(id(array) for family, _ in self.families for array in _tensors(family.state))

    def _part(self, now: list[Any]) -> None:
        """Move one by one, until two steps are alike."""
        for family, _ in self.families or ():
            family.part()
        self.families, self.last = None, now


def _tensors(state: State) -> list[Array]:
    return [value._array for value in state.values() if isinstance(value, Tensor)]


def _values(gradient: Any) -> Array:
    return gradient._values if isinstance(gradient, Rows) else gradient._array


def _owner(array: Array) -> int:
    """The id of the array that owns the memory."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return id(array)
