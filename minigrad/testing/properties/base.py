"""What a property is, and the list of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import strategies as st

from minigrad.core.tensor import Tensor
from minigrad.testing.spec import Case, OpSpec

Draw = Callable[[st.SearchStrategy[Any]], Any]
Check = Callable[[OpSpec, Case, Draw], bool | None]  # True: something was at a kink, and compared with one side there
Seen = Literal["all", "kink", "nothing"]  # how much of a call a property looked at

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


class NothingToSee(Exception):  # noqa: N818, no error: hypothesis names its own StopTest so
    """What a property raises when a call has nothing for it: no second input, no input with a gradient."""


@dataclass(frozen=True)
class Property:
    """A check, and for which ops it means something."""

    check: Check
    applies: Callable[[OpSpec], bool]
    share: float = 1.0  # of the examples; what hardly depends on the numbers needs few
    once: bool = False  # it looks at no example, so one is enough

    @property
    def name(self) -> str:
        """The check's name."""
        return self.check.__name__

    def look(self, spec: OpSpec, case: Case, draw: Draw) -> Seen:
        """Try it on one call."""
        try:
            return "kink" if self.check(spec, case, draw) else "all"
        except NothingToSee:
            return "nothing"


PROPERTIES: dict[str, Property] = {}


def always(spec: OpSpec) -> bool:
    """For every op."""
    return True


def has_gradient(spec: OpSpec) -> bool:
    """For ops with a derivative."""
    return spec.smooth >= 1


def applies_to(
    applies: Callable[[OpSpec], bool] = always, *, share: float = 1.0, once: bool = False
) -> Callable[[Check], Check]:
    """Put a check into the list, for the ops it means something for."""

    def register(check: Check) -> Check:
        PROPERTIES[check.__name__] = Property(check, applies, share, once)
        return check

    return register


def properties_of(spec: OpSpec) -> list[Property]:
    """The properties that mean something for this op."""
    return [one for one in PROPERTIES.values() if one.applies(spec)]


def with_gradient(spec: OpSpec, case: Case) -> list[int]:
    """The positions of the inputs that get a gradient, of which the caller needs one at least."""
    needs = spec.differentiable_in(case)
    if not needs:
        raise NothingToSee
    return needs


def positional(spec: OpSpec, case: Case) -> Callable[..., tuple[Tensor, ...]]:
    """The op as a function of its inputs alone."""
    return lambda *inputs: spec.run(inputs, case.settings)


def seed(draw: Draw) -> int:
    """A seed for what is drawn with NumPy's generators."""
    return int(draw(st.integers(0, 1000)))
