"""Drawing calls of an op, once it is known how it is called: ordinary ones, and rare ones for the corners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from minigrad.testing.families import Family
from minigrad.testing.signature import Call
from minigrad.testing.strategies import Host, Interval, Shape, arrays, integers, masks
from minigrad.testing.strategies.arrays import grid_of

Arguments = st.SearchStrategy[tuple[Sequence[Any], dict[str, Any]]]  # of calls: inputs and settings


class Manner(NamedTuple):
    """How an op is called: its arrays and settings, the shapes that go together, and the numbers of each array.

    intervals: one for each array; the numbers stay away from `kinks`.
    distinct: no two elements of an array are equal.
    """

    call: Call
    family: Family
    intervals: Sequence[Interval]
    kinks: Sequence[float]
    distinct: bool = False

    def ordinary(self) -> Arguments:
        """Small calls with numbers all over the intervals."""
        return self._drawn(self.family.drawn)

    def rare(self) -> Arguments:
        """Calls with the smallest and the largest number that can be drawn, or a zero, some with larger shapes."""
        large = [st.just(group) for group in self.family.large]
        return self._drawn(st.one_of(*large, self.family.drawn), extreme=True)

    def _drawn(self, shapes: st.SearchStrategy[Sequence[Shape]], *, extreme: bool = False) -> Arguments:
        call = self.call

        @st.composite
        def arguments(draw: st.DrawFn) -> tuple[Sequence[Any], dict[str, Any]]:
            group, zero = draw(shapes), extreme and draw(st.booleans())
            inputs: dict[str, Any] = {}
            for word, shape, interval in zip(call.present, group, self.intervals, strict=True):
                if word in call.optional and draw(st.booleans()):
                    continue
                if word == call.whole:
                    inputs[word] = draw(integers(shape, 0, indices_below(call, group)))
                elif word == call.mask:
                    inputs[word] = draw(masks(shape))
                else:
                    array = draw(arrays(shape, domain=interval, kinks=self.kinks, distinct=self.distinct))
                    inputs[word] = self._with_extremes(array, interval, zero) if extreme else array
            ndim = max(1, len(group[0]))  # a 0-d tensor counts as 1-d
            dims = {word: draw(st.integers(-ndim, ndim - 1)) for word in call.dims}
            settings = {word: draw(strategy) for word, strategy in call.settings.items()}
            return [inputs.get(word) for word in call.inputs], {**settings, **dims}

        return arguments()

    def _with_extremes(self, array: Host, interval: Interval, zero: bool) -> Host:
        """The array with a zero for one element; or its smallest and largest at the ends of what can be drawn."""
        grid = grid_of(interval, self.kinks)
        if zero and array.size and array.all() and 0.0 in grid:
            array.flat[0] = 0.0
        elif array.size:
            array.flat[array.argmin()] = min(grid)
            array.flat[array.argmax()] = max(grid)
        return array


def indices_below(call: Call, group: Sequence[Shape]) -> int:
    """Whole numbers below this are indices of any dimension of the other inputs."""
    others = [shape for word, shape in zip(call.present, group, strict=True) if word != call.whole]
    return max(1, min((side for shape in others for side in shape), default=1))
