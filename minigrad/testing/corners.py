"""The corners of an op: kinds of calls that every property sees one of, however few are drawn.

Where the calls of an op can be of such a kind (an empty input, a 0-d or 4-d one, a tie, the largest number that is
drawn), a run in which none was drawn tries one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from minigrad.testing.strategies import Host
from minigrad.testing.trying import Corner, Corners

if TYPE_CHECKING:
    from minigrad.testing.spec import Case, OpSpec

_OF_SIZE: dict[str, Callable[[Host], bool]] = {
    "empty": lambda one: not one.size,
    "0-d": lambda one: not one.ndim,
    "3-d": lambda one: one.ndim >= 3 and one.size > 0,
    "4-d": lambda one: one.ndim >= 4 and one.size > 0,
    "size 1": lambda one: 1 in one.shape and one.size > 0,
    "one element": lambda one: one.ndim > 0 and one.size == 1,
    "a side of 5 or more": lambda one: one.size > 0 and max(one.shape, default=0) >= 5,
}
_OF_NUMBERS: dict[str, Callable[[Host], bool]] = {
    "a zero": lambda one: one.size > 0 and not one.all(),
    "a tie": lambda one: one.size > 0 and len(np.unique(one)) < one.size,
}


class Known(NamedTuple):
    """What is known of an op's calls: the smallest telling one for each corner, those of rare calls last; the corners
    that only rare calls are at; and the ends of the numbers."""

    cases: dict[str, Case]
    rare: set[str]
    ends: tuple[float, float]


class OpCorners(Corners):
    """Which corners a run has seen, and calls for the others, where the op has such calls."""

    def __init__(self, spec: OpSpec) -> None:
        self.spec, self.known = spec, _known(spec)
        self.seen: set[str] = set()

    def see(self, case: Case) -> None:
        """Note a call; one of which the numbers tell nothing does not count."""
        self.seen |= set() if _plain(case) else corners_of(case, self.known.ends)

    def unseen(self) -> list[Corner]:
        """Calls for the corners that were not seen; several may be seen with one."""
        found: list[Corner] = []
        for name, case in self.known.cases.items():
            if name not in self.seen:
                alike = self.spec.rare_cases() if name in self.known.rare else self.spec.cases()
                found.append(Corner(case, alike.filter(partial(_is_at, name, self.known.ends))))
                self.seen |= corners_of(case, self.known.ends)
        return found

    def sizes_never_drawn(self) -> list[str]:
        """The corners of size that no call of the op is at."""
        return [name for name in _OF_SIZE if name not in self.known.cases]


def _is_at(name: str, ends: tuple[float, float], case: Case) -> bool:
    return name in corners_of(case, ends)


def corners_of(case: Case, ends: tuple[float, float]) -> set[str]:
    """The corners that a call is at; `ends` are the smallest and the largest number that any call of the op has."""
    arrays = [one for one in case.inputs if isinstance(one, np.ndarray)]
    found = {name for name, is_at in {**_OF_SIZE, **_OF_NUMBERS}.items() if any(map(is_at, arrays))}
    several = [one.shape for one in arrays if len(np.unique(one)) > 1]  # several numbers, not one repeated
    low, high = _ends_of([case])
    others = {
        "one shape for two": len(set(several)) < len(several),
        "the smallest number": low <= ends[0],
        "the largest number": high >= ends[1],
    }
    return found | {name for name, is_at in others.items() if is_at}


def _ends_of(cases: list[Case]) -> tuple[float, float]:
    """The smallest and the largest number among the floating point inputs; infinities if there are none."""
    floats = [case.inputs[place] for case in cases for place in case.floating()]
    finite = [one[np.isfinite(one)] for one in floats]
    return (
        min((float(one.min(initial=np.inf)) for one in finite), default=np.inf),
        max((float(one.max(initial=-np.inf)) for one in finite), default=-np.inf),
    )


@lru_cache(maxsize=1024)
def _known(spec: OpSpec) -> Known:
    """A look at a hundred calls and some rare ones; always the same."""
    ordinary, rare = _look_at(spec.cases(), 100), _look_at(spec.rare_cases(), 40)
    ends = _ends_of([*ordinary, *rare])
    cases, others = _smallest(ordinary, ends), _smallest(rare, ends)
    only_rare = {name: case for name, case in others.items() if name not in cases}
    return Known({**cases, **only_rare}, set(only_rare), ends)


def _smallest(cases: list[Case], ends: tuple[float, float]) -> dict[str, Case]:
    """The smallest telling call for each corner."""
    found: dict[str, Case] = {}
    for case in cases:
        for corner in corners_of(case, ends):
            if corner not in found or _worth(case) < _worth(found[corner]):
                found[corner] = case
    return found


def _look_at(cases: st.SearchStrategy[Any], count: int) -> list[Case]:
    drawn: list[Case] = []
    if cases.is_empty:
        return drawn

    @settings(
        max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(cases)
    def look(case: Case) -> None:
        drawn.append(case.copy())

    look()
    return drawn


def _worth(case: Case) -> tuple[bool, int, int]:
    """Small calls come first, but after those with numbers of their own: at 1, x is x squared, and at 0 all is 0. Of
    the same size, the one with more different numbers."""
    return _plain(case), case.numbers(), -sum(len(np.unique(case.inputs[place])) for place in case.floating())


def _plain(case: Case) -> bool:
    """Whether all numbers of some input are 0 or 1 in size."""
    floats = [case.inputs[place] for place in case.floating()]
    return any(one.size and (np.abs(one) == one**2).all() for one in floats)
