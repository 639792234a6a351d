"""A catalogue: the properties of one kind of thing (ops, modules, optimizers) by name, and how a check tries them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Generic

from hypothesis import settings

from minigrad.testing.report import Report
from minigrad.testing.trying import Property, S, Tried, replayed, tried, try_once, verify

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these

_SETTINGS = set(inspect.signature(settings).parameters) - {"parent"}
_LEFT_OUT = "left out by you: skip= names it"
_NOTHING_SEEN = "no call had anything for it to look at"


class Catalogue(Generic[S]):
    """The properties that a check tries, in this order."""

    def __init__(self, check: str, kind: type[S], *properties: Property[S]) -> None:
        """`check` is the name of the function that users call, `kind` the class of the specs that it takes."""
        self.check_name = check
        self.kind: Any = kind  # a dataclass, whose first field is what the spec is of
        self.properties: dict[str, Property[S]] = {}
        for one in properties:
            self.add(one)

    def add(self, prop: Property[S]) -> None:
        """Put a property at the end of those that are tried; one of the same name takes the place of the other."""
        self.properties[prop.name] = replace(prop, listed=True)

    def of(self, spec: S) -> list[Property[S]]:
        """The properties that mean something for this spec."""
        return [one for one in self.properties.values() if one.applies(spec)]

    def named(self, name: str) -> Property[S]:
        """One property; LookupError if there is none of that name."""
        if name not in self.properties:
            raise LookupError(f"there is no property {name!r}; there are {', '.join(self.properties)}")
        return self.properties[name]

    # ---- what a user passes -----------------------------------------------------------------------------------------

    def sorted_out(self, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The fields of a spec among the options, and the settings of hypothesis; TypeError for any other."""
        names = [one.name for one in fields(self.kind)][1:]
        given_settings = {name: value for name, value in options.items() if name in _SETTINGS}
        chosen = {name: value for name, value in options.items() if name in names}
        if unknown := sorted(options.keys() - _SETTINGS - set(names)):
            raise TypeError(
                f"{self.check_name} has no option {', '.join(unknown)}: it takes the fields of {self.kind.__name__} "
                f"({', '.join(names)}) and hypothesis's settings ({', '.join(sorted(_SETTINGS))})"
            )
        return chosen, given_settings

    def refuse_others(self, others: bool) -> None:
        """TypeError if a spec was passed and there are `others`, options that belong into it."""
        if others:
            kind = self.kind.__name__
            raise TypeError(
                f"{self.check_name}: {'an' if kind[0] in 'AEIOU' else 'a'} {kind} says everything itself: give its "
                f"fields to it, not to {self.check_name}"
            )

    def spec_of(self, thing: Any, base: type, chosen: dict[str, Any]) -> S:
        """The spec that was passed, or one of what builds objects of `base`."""
        if isinstance(thing, self.kind):
            self.refuse_others(bool(chosen))
            return thing
        if isinstance(thing, base) or not callable(thing):
            raise TypeError(
                f"{self.check_name} builds {base.__name__.lower()}s itself, again and again: give it a class, not an "
                f"object of {type(thing).__name__}"
            )
        return self.kind(thing, **chosen)

    # ---- the check --------------------------------------------------------------------------------------------------

    def check(
        self,
        spec: S,
        *,
        report: Report | None = None,
        only: str | None = None,
        skip: Sequence[str] = (),
        case: Any = None,
        draws: Sequence[Any] = (),
        **given_settings: Any,
    ) -> Report:
        """Try every property, or only one; the first that does not hold raises, with the smallest case that shows it.

        Args:
            spec: of what is checked.
            report: what is known of it before, to be completed.
            only: the name of the one property to try.
            skip: the names of properties to leave out.
            case: a given case instead of drawn ones.
            draws: what the property drew besides in that case.
            **given_settings: those of hypothesis.

        Raises LookupError for a property that does not exist; TypeError if one that all others rest on saw nothing.
        """
        report = Report(spec.name) if report is None else report
        if isinstance(skip, str):
            raise TypeError(f"{self.check_name}: skip is a list of names: skip=[{skip!r}]")
        left_out = {self.named(name).name for name in skip}
        listed = [*self.properties.values()] if only is None else [self.named(only)]
        chosen = [one for one in listed if one.name not in left_out]
        out = {one.name: one.otherwise for one in chosen if one.otherwise and not one.applies(spec)}
        report.skipped = {**dict.fromkeys(skip, _LEFT_OUT), **out, **report.skipped}
        for prop in chosen:
            if prop.applies(spec):
                if case is None:
                    self._note(report, prop, verify(spec, prop, **given_settings))
                else:
                    self._note(report, prop, tried([try_once(spec, prop, case.copy(), replayed(draws))]))
        return report

    def _note(self, report: Report, prop: Property[S], run: Tried) -> None:
        """Put a property that holds into the report."""
        if run.examples:
            report.examples[prop.name] = run.examples
            report.kinks |= {prop.name: run.kinks} if run.kinks else {}
        elif prop.missed:
            raise TypeError(f"{self.check_name}({report.name}): {prop.missed}")
        else:
            report.skipped[prop.name] = _NOTHING_SEEN
