"""A catalogue: the properties of one kind of thing (modules, optimizers), each written once, and how they are tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]


class Spec(Protocol):
    """It has a name, and says which cases there are."""

    @property
    def name(self) -> str:
        """What it is a spec of."""

    def cases(self) -> st.SearchStrategy[Any]:
        """What the properties are tried on."""


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
    """

    check: Callable[[S, Any, Draw], None]
    applies: Callable[[S], bool] = _always
    share: float = 1.0

    @property
    def name(self) -> str:
        """The check's name."""
        return self.check.__name__


class Catalogue(Generic[S]):
    """Properties by name."""

    def __init__(self, *properties: Property[S]) -> None:
        self.properties = {one.name: one for one in properties}

    def of(self, spec: S) -> list[Property[S]]:
        """The properties that mean something for this spec."""
        return [one for one in self.properties.values() if one.applies(spec)]

    def check(self, spec: S, **given_settings: Any) -> None:
        """Try every property; the first that does not hold raises, with the smallest case that shows it."""
        for prop in self.of(spec):
            verify(spec, prop, **given_settings)


def verify(spec: S, prop: Property[S], **given_settings: Any) -> None:
    """Draw cases and try one property on each; the smallest one that lacks it is in the exception's notes.

    `given_settings` are hypothesis's, e.g. `max_examples=50`; by default those of the loaded profile.
    """
    examples = given_settings.pop("max_examples", settings().max_examples)

    @settings(max_examples=max(1, round(examples * prop.share)), **given_settings)
    @given(case=spec.cases(), data=st.data())
    def holds(case: Any, data: st.DataObject) -> None:
        prop.check(spec, case, data.draw)

    holds()
