"""The corners of an op: kinds of calls that every property sees one of, however few are drawn.

Where the calls of an op can have an empty input, a 0-d or 3-d one, a dimension of size 1, one element alone in its
dimensions, a zero, two equal numbers in one input, or two inputs of one shape with several elements, a run that drew
none such tries one.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

from minigrad.testing.trying import Corner, Corners

if TYPE_CHECKING:
    from minigrad.testing.spec import Case, OpSpec

CORNERS = ("empty", "0-d", "3-d", "size 1", "one element", "a zero", "a tie", "one shape for two")


class OpCorners(Corners):
    """Which corners a run has seen, and calls for the others, where the op has such calls."""

    def __init__(self, spec: OpSpec) -> None:
        self.spec = spec
        self.seen: set[str] = set()

    def see(self, case: Case) -> None:
        """Note a call; one of which the numbers tell nothing does not count."""
        self.seen |= set() if _plain(case) else corners_of(case)

    def unseen(self) -> list[Corner]:
        """Calls for the corners that were not seen; several may be seen with one."""
        found: list[Corner] = []
        for name, case in _corner_cases(self.spec).items() if len(self.seen) < len(CORNERS) else ():
            if name not in self.seen:
                found.append(Corner(case, self.spec.cases().filter(partial(_is_at, name))))
                self.seen |= corners_of(case)
        return found


def _is_at(name: str, case: Case) -> bool:
    return name in corners_of(case)


def corners_of(case: Case) -> set[str]:
    """Which of `CORNERS` occur among the inputs."""
    arrays = [one for one in case.inputs if isinstance(one, np.ndarray)]
    found = {"empty": any(not one.size for one in arrays), "0-d": any(not one.ndim for one in arrays)}
    found["size 1"] = any(1 in one.shape and one.size for one in arrays)
    found["one element"] = any(one.ndim and one.size == 1 for one in arrays)
    found["a zero"] = any(one.size and not one.all() for one in arrays)
    found["a tie"] = any(one.size and len(np.unique(one)) < one.size for one in arrays)
    found["3-d"] = any(one.ndim >= 3 and one.size for one in arrays)
    several = [one.shape for one in arrays if len(np.unique(one)) > 1]  # several numbers, not one repeated
    found["one shape for two"] = len(set(several)) < len(several)
    return {name for name, occurs in found.items() if occurs}


@lru_cache(maxsize=1024)
def _corner_cases(spec: OpSpec) -> dict[str, Case]:
    """The smallest telling call for each corner among a hundred; always the same ones."""
    found: dict[str, Case] = {}

    @settings(
        max_examples=100, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(spec.cases())
    def look(case: Case) -> None:
        for corner in corners_of(case):
            if corner not in found or _worth(case) < _worth(found[corner]):
                found[corner] = case.copy()

    look()
    return found


def _worth(case: Case) -> tuple[bool, int]:
    """Small calls come first, but after those with numbers of their own: at 1, x is x squared, and at 0 all is 0."""
    return _plain(case), case.numbers()


def _plain(case: Case) -> bool:
    """Whether all numbers of some input are 0 or 1 in size."""
    floats = [case.inputs[place] for place in case.floating()]
    return any(one.size and (np.abs(one) == one**2).all() for one in floats)
