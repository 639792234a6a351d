"""A catalogue: the properties of one kind of thing (modules, optimizers), each written once, and how they are tried."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, Protocol, TypeVar

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

from minigrad.testing.check import Report
from minigrad.testing.example import AGAIN, said_again
from minigrad.testing.properties.trying import simplest

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these

Draw = Callable[[st.SearchStrategy[Any]], Any]


class Spec(Protocol):
    """It has a name, says which cases there are, and how one of them is written as Python."""

    @property
    def name(self) -> str:
        """What it is a spec of."""

    def cases(self) -> st.SearchStrategy[Any]:
        """What the properties are tried on."""

    def code(self, case: Any, prop: str, draws: Sequence[Any]) -> str:
        """A program that tries one property on one case; "" if it is too long to paste."""


S = TypeVar("S", bound=Spec)


def _always(spec: Any) -> bool:
    return True


@dataclass(frozen=True)
class Property(Generic[S]):
    """A check `(spec, case, draw)`, which raises AssertionError (or GradcheckError) where something does not hold.

    Args:
        check: the check.
        applies: for which specs it means something.
        share: of the profile's examples; of what hardly depends on the numbers a few are enough.
        otherwise: what a report says where it does not apply; nothing if nobody would miss it there.
    """

    check: Callable[[S, Any, Draw], None]
    applies: Callable[[S], bool] = _always
    share: float = 1.0
    otherwise: str = ""

    @property
    def name(self) -> str:
        """The check's name."""
        return self.check.__name__

    @property
    def claim(self) -> str:
        """What it says of a right one: the first sentence of the check's docstring."""
        return " ".join((self.check.__doc__ or "").split()).split(". ")[0].rstrip(".")


class Catalogue(Generic[S]):
    """Properties by name."""

    def __init__(self, *properties: Property[S]) -> None:
        self.properties = {one.name: one for one in properties}

    def of(self, spec: S) -> list[Property[S]]:
        """The properties that mean something for this spec."""
        return [one for one in self.properties.values() if one.applies(spec)]

    def check(self, spec: S, *, only: str | None, **given_settings: Any) -> Report:
        """Try every property, or only one; the first that does not hold raises, with the smallest case that shows it.

        Raises LookupError for a property that there is not.
        """
        report = Report(spec.name)
        for prop in self._chosen(only):
            if prop.applies(spec):
                report.examples[prop.name] = verify(spec, prop, **given_settings)
            elif prop.otherwise:
                report.skipped[prop.name] = prop.otherwise
        return report

    def check_case(self, spec: S, case: Any, draws: Sequence[Any] = (), *, only: str | None) -> Report:
        """The same on a single given case; `draws` are what a property draws besides."""
        report = Report(spec.name)
        for prop in self._chosen(only):
            if prop.applies(spec):
                try_once(spec, prop, case, replayed(draws))
                report.examples[prop.name] = 1
            elif prop.otherwise:
                report.skipped[prop.name] = prop.otherwise
        return report

    def _chosen(self, only: str | None) -> list[Property[S]]:
        if only is not None and only not in self.properties:
            raise LookupError(f"there is no property {only!r}; there are {', '.join(self.properties)}")
        return [*self.properties.values()] if only is None else [self.properties[only]]


def verify(spec: S, prop: Property[S], **given_settings: Any) -> int:
    """Draw cases and try one property on each; returns how many.

    The smallest case that lacks it is in the exception's notes, also as Python to paste. `given_settings` are
    hypothesis's, e.g. `max_examples=50`; by default those of the loaded profile.
    """
    examples = given_settings.get("max_examples", settings().max_examples)
    options = {
        "deadline": None,  # how long a module takes is no property of it
        "print_blob": False,  # its advice is for a test function, and the one here is nobody's to decorate
        "report_multiple_bugs": False,
        "phases": [phase for phase in settings().phases if phase is not Phase.explain],  # it would explain our code
        **given_settings,
        "max_examples": max(1, round(examples * prop.share)),
    }
    count = 0

    @settings(**options)
    @given(case=spec.cases(), data=st.data())
    def holds(case: Any, data: st.DataObject) -> None:
        nonlocal count
        count += 1
        try_once(spec, prop, case, data.draw)

    # Hypothesis keeps what failed under a digest of the function's source, which is the same for every property: with
    # a name of its own in it, one that holds does not throw away what another one failed on. There is no public way.
    own = hashlib.sha256(f"{spec.name} {prop.name}".encode()).digest()
    holds.hypothesis.inner_test._hypothesis_internal_add_digest = own  # type: ignore[attr-defined]
    holds()
    return count


def try_once(spec: S, prop: Property[S], case: Any, draw: Draw) -> None:
    """One property on one case; an exception names the property, and carries a program that does the same."""
    draws: list[Any] = []

    def noted(strategy: st.SearchStrategy[Any]) -> Any:
        draws.append(draw(strategy))
        return draws[-1]

    try:
        prop.check(spec, case, noted)
    except HypothesisException:
        raise  # no verdict: hypothesis's own word to itself
    except Exception as error:
        # gradcheck's own note shows a function that nobody can paste.
        error.__notes__ = [note for note in getattr(error, "__notes__", []) if not note.startswith(AGAIN)]
        error.add_note(f"{spec.name} lacks the property {prop.name}: {prop.claim}")
        if code := spec.code(case, prop.name, draws):
            error.add_note(said_again(code))
        raise


def replayed(draws: Sequence[Any]) -> Draw:
    """Draws what was drawn before; when that is used up, the simplest."""
    left = list(draws)
    return lambda strategy: left.pop(0) if left else simplest(strategy)


SETTINGS = set(inspect.signature(settings).parameters) - {"parent"}


def sorted_out(check: str, kind: type, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a spec among the options of a check, and the settings of hypothesis; TypeError for any other."""
    names = [one.name for one in fields(kind)][1:]  # the first is what the spec is of
    given_settings = {name: value for name, value in options.items() if name in SETTINGS}
    chosen = {name: value for name, value in options.items() if name in names}
    if unknown := sorted(options.keys() - SETTINGS - set(names)):
        raise TypeError(
            f"{check} has no option {', '.join(unknown)}: it takes the fields of {kind.__name__} ({', '.join(names)}) "
            f"and hypothesis's settings ({', '.join(sorted(SETTINGS))})"
        )
    return chosen, given_settings
