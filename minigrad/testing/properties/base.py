"""The catalogue of the properties of ops, and what they are written with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from minigrad.core.tensor import Tensor
from minigrad.testing.catalogue import Catalogue
from minigrad.testing.spec import Case, OpSpec
from minigrad.testing.trying import Draw, NothingToSee, Property, always, replayed, try_once

Check = Callable[[OpSpec, Case, Draw], bool | None]  # True: something was at a kink, and compared with one side there

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these

OP_PROPERTIES: Catalogue[OpSpec] = Catalogue("check_op", OpSpec)
PROPERTIES = OP_PROPERTIES.properties
properties_of = OP_PROPERTIES.of


def has_gradient(spec: OpSpec) -> bool:
    """What `applies` of a property of gradients is: for ops whose spec does not say smooth=0."""
    return spec.smooth >= 1


def applies_to(applies: Callable[[OpSpec], bool] = always, **more: Any) -> Callable[[Check], Check]:
    """Put a check into the catalogue, for the ops it means something for; `more` are further fields of `Property`."""

    def register(check: Check) -> Check:
        OP_PROPERTIES.add(Property(check, applies, **more))
        return check

    return register


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
    case = Case(tuple(inputs), dict(settings or {}))
    for prop in properties_of(spec) if name is None else [OP_PROPERTIES.named(name)]:
        try_once(spec, prop, case.copy(), replayed(draws))


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
