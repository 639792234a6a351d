"""Trying a property on drawn calls of an op, and on a given one.

A run also looks at the corners: where the calls of an op can have an empty input, a 0-d or 3-d one, a dimension of
size 1, one element alone in its dimensions, a zero, two equal numbers in one input, or two inputs of one shape with
several elements, each property sees one of each at least, however few examples are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

from minigrad.testing.example import AGAIN, code_of_property, said_again
from minigrad.testing.properties.base import PROPERTIES, Draw, Property, Seen, properties_of
from minigrad.testing.spec import Case, OpSpec

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these

CORNERS = ("empty", "0-d", "3-d", "size 1", "one element", "a zero", "a tie", "one shape for two")


class Tried(NamedTuple):
    """How many calls a run looked at, and in how many of these it was at a kink, and compared with one side there."""

    examples: int
    kinks: int


def verify(spec: OpSpec, prop: Property | Sequence[Property], **given_settings: Any) -> Tried:
    """Draw calls of the op and try one property on each, or several on the same calls.

    The smallest call without it is in the exception's notes, also as Python to paste. `given_settings` are
    hypothesis's, e.g. `max_examples=50`; by default those of the loaded profile, with no deadline: how slow an op
    is says nothing about it. Returns how many calls there were in which some property had something to look at.
    """
    props = [prop] if isinstance(prop, Property) else list(prop)
    once, share = all(one.once for one in props), max(one.share for one in props)
    examples = given_settings.get("max_examples", settings().max_examples)
    if not isinstance(examples, int) or examples < 1:
        raise ValueError(f"max_examples is how many calls are tried, 1 or more, and not {examples!r}")
    options = {
        "deadline": None,
        "print_blob": False,  # a line that would go onto a function of ours
        "report_multiple_bugs": False,
        "phases": [phase for phase in settings().phases if phase is not Phase.explain],  # it would explain our code
        **given_settings,
        "max_examples": 1 if once else max(1, round(examples * share)),
    }
    seen: set[str] = set()
    looks: list[Seen] = []

    @settings(**options)
    @given(case=spec.cases(), data=st.data())
    def holds(case: Case, data: st.DataObject) -> None:
        seen.update(set() if _plain(case) else corners_of(case))
        looks.append(_most(try_once(spec, one, case, data.draw) for one in props))

    if settings(**options).database is not None:  # derandomised, there is none, and the key would be the seed
        _keep_apart(holds, spec, props)
    holds()
    if not once:
        for case in _unseen(spec, seen):
            looks.append(at_corner(spec, props, case, options))
    return Tried(sum(look != "nothing" for look in looks), looks.count("kink"))


def _most(looks: Iterable[Seen]) -> Seen:
    """What several properties saw of one call; all of them look."""
    found = set(looks)
    return "kink" if "kink" in found else "all" if "all" in found else "nothing"


def _keep_apart(holds: Any, spec: OpSpec, props: Sequence[Property]) -> None:
    """Give `holds` a key of its own in hypothesis's database of failing examples.

    The key comes from the function's source, which is the same for all ops and properties: each that passes would
    delete the examples of those that fail. Hypothesis has no public way to add to it; pytest's parameters go this one.
    """
    digest = " ".join([spec.name, *(prop.name for prop in props)]).encode()
    holds.hypothesis.inner_test._hypothesis_internal_add_digest = digest


def at_corner(spec: OpSpec, props: Sequence[Property], case: Case, options: dict[str, Any]) -> Seen:
    """Properties on one call, with whatever else they draw."""
    looks: list[Seen] = []

    @settings(**{**options, "max_examples": 1, "phases": [Phase.generate], "database": None})
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        looks.append(_most(try_once(spec, prop, case.copy(), data.draw) for prop in props))

    holds()
    return _most(looks)


def try_once(spec: OpSpec, prop: Property, case: Case, draw: Draw) -> Seen:
    """One property on one call; an exception carries a program that does the same."""
    draws: list[Any] = []

    def noted(strategy: st.SearchStrategy[Any]) -> Any:
        draws.append(draw(strategy))
        return draws[-1]

    given_case = case.copy()  # an op that writes to its inputs would change the example, too
    try:
        return prop.look(spec, case, noted)
    except HypothesisException:
        raise  # no verdict: hypothesis's own word to itself
    except Exception as error:
        error.add_note(f"{spec.name} lacks the property {prop.name}")
        known = PROPERTIES.get(prop.name) is prop  # one of the caller's own cannot be named in a program
        code = code_of_property(spec, prop, given_case, draws) if known else ""
        if code:
            # gradcheck's own note shows the function that the property made of the op, which nobody can paste.
            error.__notes__ = [note for note in error.__notes__ if not note.startswith(AGAIN)]
            error.add_note(said_again(code))
        raise


def check_case(
    spec: OpSpec,
    name: str | None = None,
    *,
    inputs: Sequence[Any],
    settings: dict[str, Any] | None = None,
    draws: Sequence[Any] = (),
) -> None:
    """Try one property, or all, on one given call of an op: what a failing run prints, and good as a regression test.

    Args:
        spec: the op.
        name: of the property, as in `properties.PROPERTIES`; all that apply if left out.
        inputs: the inputs in order: NumPy arrays (floats as float64), numbers or None.
        settings: the settings.
        draws: what the property drew besides; left out, it takes the simplest.
    """
    if name is not None and name not in PROPERTIES:
        raise LookupError(f"there is no property {name!r}; there are {', '.join(PROPERTIES)}")
    case = Case(tuple(inputs), dict(settings or {}))
    for prop in properties_of(spec) if name is None else [PROPERTIES[name]]:
        prop.look(spec, case.copy(), _replay(draws))


def _replay(draws: Sequence[Any]) -> Draw:
    left = iter(draws)
    missing = object()

    def draw(strategy: st.SearchStrategy[Any]) -> Any:
        value = next(left, missing)
        return simplest(strategy) if value is missing else value

    return draw


def simplest(strategy: st.SearchStrategy[Any]) -> Any:
    """The first value hypothesis thinks of, which is its simplest."""
    found: list[Any] = []

    @settings(max_examples=1, database=None, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def look(value: Any) -> None:
        found.append(value)

    look()
    return found[0]


# ---- corners --------------------------------------------------------------------------------------------------------


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


def _unseen(spec: OpSpec, seen: set[str]) -> list[Case]:
    """Calls for the corners that were not seen, where the op has such calls."""
    cases: list[Case] = []
    for corner, case in _corner_cases(spec).items() if len(seen) < len(CORNERS) else ():
        if corner not in seen:
            cases.append(case)
            seen |= corners_of(case)
    return cases


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
