"""Trying a property on drawn cases of a thing, and on a given one: one way for ops, modules and optimizers.

A property takes the spec of a thing, one case of it, and a source of further draws, and raises AssertionError (or
GradcheckError) where it does not hold. What it raises names the property, and carries the smallest case as Python.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, HypothesisException, Unsatisfiable

from minigrad.testing.example import AGAIN, said_again

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these

Draw = Callable[[st.SearchStrategy[Any]], Any]
Seen = Literal["all", "kink", "nothing"]  # how much of a case a property looked at


# ---- what is tried --------------------------------------------------------------------------------------------------


class Corner(NamedTuple):
    """A case that a run has to look at, and how all cases of its kind are drawn."""

    case: Any
    alike: st.SearchStrategy[Any]


class Corners:
    """What a run looks at besides the cases drawn, if no such case was among them. Here: nothing."""

    def see(self, case: Any) -> None:
        """Note a case that was drawn."""

    def unseen(self) -> list[Corner]:
        """What is still to be tried."""
        return []


class Spec(ABC):
    """What a thing should do. A case has a `copy()`, with arrays of its own."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is a spec of."""

    @abstractmethod
    def cases(self) -> st.SearchStrategy[Any]:
        """What the properties are tried on."""

    @abstractmethod
    def code(self, case: Any, prop: str, draws: Sequence[Any]) -> str:
        """A program that tries one property on one case; "" if it is too long to paste."""

    def corners(self) -> Corners:
        """What one run of a property has to see."""
        return Corners()


S = TypeVar("S", bound=Spec)


def always(spec: Any) -> bool:
    """What `applies` of a property is that means something for every spec."""
    return True


class NothingToSee(Exception):  # noqa: N818, no error: hypothesis names its own StopTest so
    """What a property raises when a case has nothing for it: no second input, no input with a gradient."""


@dataclass(frozen=True)
class Property(Generic[S]):
    """A check, and for what it means something.

    Args:
        check: takes `(spec, case, draw)`; returns True where something was at a kink, and compared with one side there.
        applies: for which specs it means something.
        share: of the profile's examples; of what hardly depends on the numbers a few are enough.
        otherwise: what a report says where it does not apply; nothing if nobody would miss it there.
        once: it looks at no case, so one is enough.
        missed: what is wrong if no case had anything for it to look at; "" if that may be.
        listed: it is in a catalogue, so that a program can ask for it by name.
    """

    check: Callable[[S, Any, Draw], bool | None]
    applies: Callable[[S], bool] = always
    share: float = 1.0
    otherwise: str = ""
    once: bool = False
    missed: str = ""
    listed: bool = False

    @property
    def name(self) -> str:
        """The check's name."""
        return self.check.__name__

    @property
    def claim(self) -> str:
        """What it says of a right one: the first sentence of the check's docstring."""
        return " ".join((self.check.__doc__ or "").split()).split(". ")[0].rstrip(".")

    def look(self, spec: S, case: Any, draw: Draw) -> Seen:
        """Try it on one case."""
        try:
            return "kink" if self.check(spec, case, draw) else "all"
        except NothingToSee:
            return "nothing"


# ---- on drawn cases -------------------------------------------------------------------------------------------------


class Tried(NamedTuple):
    """How many cases a run looked at, and in how many of these it was at a kink, and compared with one side there."""

    examples: int
    kinks: int


def verify(spec: S, prop: Property[S] | Sequence[Property[S]], **given_settings: Any) -> Tried:
    """Draw cases and try one property on each, or several on the same cases; then on the corners that were not drawn.

    The smallest case without it is in the exception's notes, also as Python to paste. `given_settings` are
    hypothesis's, e.g. `max_examples=50`; by default those of the loaded profile, with no deadline: how slow a thing
    is says nothing about it. Returns how many cases there were in which some property had something to look at.
    """
    props = [prop] if isinstance(prop, Property) else list(prop)
    options, corners = _options(props, given_settings), spec.corners()
    looks: list[Seen] = []

    @settings(**options)
    @given(case=spec.cases(), data=st.data())
    def holds(case: Any, data: st.DataObject) -> None:
        corners.see(case)
        looks.append(_look(spec, props, case, data.draw))

    if settings(**options).database is not None:  # derandomised, there is none, and the key would be the seed
        _keep_apart(holds, spec, props)
    _run(holds)
    if not all(one.once for one in props):
        looks += [at_corner(spec, props, corner, options) for corner in corners.unseen()]
    return tried(looks)


def _run(holds: Callable[[], None]) -> None:
    """Run a test of hypothesis's. Of what fails once and then passes on the same case, the failure itself is raised."""
    try:
        holds()
    except Flaky as error:
        if not isinstance(error, ExceptionGroup):
            raise
        failure = error.exceptions[0]
        failure.add_note("Tried again on the same case it passed: it draws random numbers, or remembers something")
        raise failure from None


def tried(looks: Sequence[Seen]) -> Tried:
    """The looks, counted."""
    return Tried(sum(look != "nothing" for look in looks), looks.count("kink"))


def _options(props: Sequence[Property[Any]], given_settings: dict[str, Any]) -> dict[str, Any]:
    """Hypothesis's settings for a run."""
    examples = given_settings.get("max_examples", settings().max_examples)
    if not isinstance(examples, int) or examples < 1:
        raise ValueError(f"max_examples is how many calls are tried, 1 or more, and not {examples!r}")
    once, share = all(one.once for one in props), max(one.share for one in props)
    return {
        "deadline": None,
        "print_blob": False,  # a line that would go onto a function of ours
        "report_multiple_bugs": False,
        "phases": [phase for phase in settings().phases if phase is not Phase.explain],  # it would explain our code
        **given_settings,
        "max_examples": 1 if once else max(1, round(examples * share)),
    }


def _keep_apart(holds: Any, spec: Spec, props: Sequence[Property[Any]]) -> None:
    """Give `holds` a key of its own in hypothesis's database of failing examples.

    The key comes from the function's source, which is the same for all specs and properties: each that passes would
    delete the examples of those that fail. Hypothesis has no public way to add to it; pytest's parameters go this one.
    """
    digest = " ".join([spec.name, *(prop.name for prop in props)]).encode()
    holds.hypothesis.inner_test._hypothesis_internal_add_digest = digest


def at_corner(spec: S, props: Sequence[Property[S]], corner: Corner, options: dict[str, Any]) -> Seen:
    """Properties on one case, with whatever else they draw; of what fails, the smallest of its kind is shown."""
    looks: list[Seen] = []

    @settings(**{**options, "max_examples": 1, "phases": [Phase.generate], "database": None})
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        looks.append(_look(spec, props, corner.case.copy(), data.draw))

    try:
        _run(holds)
    except Exception as error:
        failed = error
    else:
        return _most(looks)
    if Phase.shrink in settings(**options).phases:
        _find_smallest(spec, props, corner, options)
    raise failed


def _find_smallest(spec: S, props: Sequence[Property[S]], corner: Corner, options: dict[str, Any]) -> None:
    """Raise what the smallest case of a corner's kind does, if one without the properties is drawn.

    Hypothesis makes a case smaller only if it drew it itself.
    """
    how = {"max_examples": 100, "database": None, "suppress_health_check": list(HealthCheck)}

    @settings(**{**options, **how, "phases": [Phase.generate, Phase.shrink]})
    @given(case=corner.alike, data=st.data())
    def holds(case: Any, data: st.DataObject) -> None:
        _look(spec, props, case, data.draw)

    with suppress(Unsatisfiable):  # none of the kind was drawn
        _run(holds)


def _look(spec: S, props: Sequence[Property[S]], case: Any, draw: Draw) -> Seen:
    return _most(try_once(spec, prop, case, draw) for prop in props)


def _most(looks: Iterable[Seen]) -> Seen:
    """What several properties saw of one case; all of them look."""
    found = set(looks)
    return "kink" if "kink" in found else "all" if "all" in found else "nothing"


# ---- on a given case ------------------------------------------------------------------------------------------------


def try_once(spec: S, prop: Property[S], case: Any, draw: Draw) -> Seen:
    """One property on one case; an exception names the property, and carries a program that does the same."""
    draws: list[Any] = []

    def noted(strategy: st.SearchStrategy[Any]) -> Any:
        draws.append(draw(strategy))
        return draws[-1]

    given_case = case.copy()  # what writes to its inputs would change the example, too
    try:
        return prop.look(spec, case, noted)
    except HypothesisException:
        raise  # no verdict: hypothesis's own word to itself
    except Exception as error:
        # gradcheck's own note shows the function that the property made, which nobody can paste.
        error.__notes__ = [note for note in getattr(error, "__notes__", []) if not note.startswith(AGAIN)]
        error.add_note(
            ": ".join([f"{spec.name} lacks the property {prop.name}", *([prop.claim] if prop.claim else [])])
        )
        if prop.listed:
            error.add_note(said_again(spec.code(given_case, prop.name, draws)))
        raise


def replayed(draws: Sequence[Any]) -> Draw:
    """Draws what was drawn before; when that is used up, the simplest."""
    left = list(draws)
    return lambda strategy: left.pop(0) if left else simplest(strategy)


def simplest(strategy: st.SearchStrategy[Any]) -> Any:
    """The first value hypothesis thinks of, which is its simplest."""
    found: list[Any] = []

    @settings(max_examples=1, database=None, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def look(value: Any) -> None:
        found.append(value)

    look()
    return found[0]
