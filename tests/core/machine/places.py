"""What the naive engine keeps apart: numbers in memory, who watches them being written, and places in the graph."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from core.machine.jets import Host, Jet

if TYPE_CHECKING:
    from core.machine.naive import Naive
    from core.machine.tensors import Tensor


class Refused(RuntimeError):  # noqa: N818 - what the engines do, too
    """What every engine has to refuse."""


class Memory:
    """Numbered cells, and how often they were written."""

    def __init__(self, numbers: Host) -> None:
        self.numbers, self.writes = numbers, 0


class Watch:
    """How often a memory was written by those who tell: all but `.data`; and how often of these without recording."""

    count = 0
    unrecorded = 0


class Place:
    """Where gradients arrive: a tensor as it was made, with the seeds that were added to it."""

    born = itertools.count()

    def __init__(self, world: Naive, jet: Jet, parents: set[Place]) -> None:
        self.first_seed, self.born = world.seeds, next(Place.born)
        world.seeds += jet.size
        self.jet, self.parents = jet.seeded(self.first_seed), parents
        self.reads: list[tuple[Memory, int, Watch, int]] = []  # what a rule may have saved, as it was then
        self.saves = False  # whether its rule surely saved something
        self.of_gradient = False  # whether it is made of gradients: how these were computed is not known here
        self.claimed = False  # whether it is a constant that another engine has recorded: where it leads is not known
        self.freed = self.maybe_freed = False
        self.hooks: dict[object, Callable[[Any], Any]] = {}
        self.leaf: Tensor | None = None

    @property
    def seeds(self) -> Host:
        return self.first_seed + self.jet.places()

    def saw(self, *tensors: Tensor) -> None:
        self.reads += [(one.memory, one.memory.writes, one.watch, one.watch.count) for one in tensors]

    def stale(self) -> bool:
        return any(watch.count != count for _, _, watch, count in self.reads)

    def rests_on_claim(self) -> bool:
        """Whether it, or something it was computed from, was claimed."""
        pending, met = [self], {self}
        while pending:
            place = pending.pop()
            if place.claimed:
                return True
            pending += place.parents - met
            met |= place.parents
        return False

    def deceived(self) -> bool:
        """Whether something it may have saved was written through `.data`."""
        return any(memory.writes - writes != watch.count - count for memory, writes, watch, count in self.reads)


class Handle:
    """Takes a hook back."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def remove(self) -> None:
        self.place.hooks.pop(self, None)
