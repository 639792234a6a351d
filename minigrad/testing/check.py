"""`check_op`: every property on one op, in one line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from minigrad.core.fused import FusedOp
from minigrad.testing.infer import infer
from minigrad.testing.properties import PROPERTIES, properties_of, verify
from minigrad.testing.spec import OpSpec
from minigrad.testing.strategies import Interval

_FIELDS = {one.name for one in fields(OpSpec)}
_SETTINGS = set(inspect.signature(hypothesis_settings).parameters) - {"parent"}

# What a user can do about a property that did not run.
_WHY_NOT = {
    "equals_reference": "no reference= to compare with",
    "second_gradient_is_numeric": "smooth= is below 2",
    "runs_on_another_device": "devices=True asks for it: an op for GPUs, too",
    "batch_equals_one_by_one": "no batched= says which dimensions count examples",
}


@dataclass
class Report:
    """What `check_op` did: as text a table."""

    name: str
    notes: list[str] = field(default_factory=list)  # how the arguments were found
    examples: dict[str, int] = field(default_factory=dict)  # of each property that holds
    skipped: dict[str, str] = field(default_factory=dict)  # and why

    def __str__(self) -> str:
        width = max(map(len, [*self.examples, *self.skipped, ""]))
        lines = [f"{self.name}: {len(self.examples)} properties hold"]
        lines += [f"  {note}" for note in self.notes]
        lines += [f"  {name:<{width}}  {count:>4} examples" for name, count in self.examples.items()]
        lines += [f"  {name:<{width}}     - {why}" for name, why in self.skipped.items()]
        return "\n".join(lines)


def check_op(
    op: OpSpec | Callable[..., Any] | str,
    *,
    reference: Callable[..., Any] | None = None,
    arguments: st.SearchStrategy[tuple[Sequence[Any], dict[str, Any]]] | None = None,
    domain: Interval | Sequence[Interval] | None = None,
    kinks: Sequence[float] = (),
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> Report:
    """Try every property on an op. The first it lacks raises, with the smallest call that shows it, to be pasted.

        check_op(cube)
        check_op(softplus, reference=lambda x: np.log1p(np.exp(x)), kinks=[0])
        print(check_op(OpSpec(cube, lambda x: x**3), max_examples=200))

    Args:
        op: a primitive, a fused op, or any function of Tensors; or an `OpSpec`, which says all the rest itself.
        reference: the same on NumPy arrays; without it values go unchecked, as the report says.
        arguments: draws `(inputs, settings)`. Without it they are found from the signature and by trial (`infer.py`):
            positional parameters without a default are arrays, all others settings; then the first of several families
            of shapes and intervals of numbers that the op takes.
        domain: the open interval of the numbers, or one for each input.
        kinks: numbers to stay away from, where the op has no derivative.
        settings: how to draw settings, by name: strategies, or values.
        **options: further fields of `OpSpec` (`smooth=1`, `exact=False`, ...), and hypothesis's settings
            (`max_examples=200`, `derandomize=True`, ...).

    Returns a Report: which properties hold, on how many examples; how the arguments were found; what was left out.

    Raises GradcheckError or AssertionError for a property that does not hold, and whatever the op itself raises;
    TypeError if no arguments are found that it takes.
    """
    given_settings = {name: value for name, value in options.items() if name in _SETTINGS}
    chosen = {name: value for name, value in options.items() if name in _FIELDS - {"op"}}
    if unknown := options.keys() - given_settings.keys() - chosen.keys():
        raise TypeError(
            f"check_op has no option {', '.join(sorted(unknown))}: it takes the fields of OpSpec "
            f"({', '.join(sorted(_FIELDS - {'op'}))}) and hypothesis's settings ({', '.join(sorted(_SETTINGS))})"
        )
    if isinstance(op, OpSpec):
        if chosen or reference or arguments or domain or kinks or settings:
            raise TypeError("check_op: an OpSpec says everything itself: give its fields to it, not to check_op")
        spec, report = op, Report(op.name)
    else:
        kept = {"reference": reference, "kinks": tuple(kinks), **chosen}
        spec, report = _spec_of(op, arguments, domain, settings or {}, kept)
    applying = properties_of(spec)
    for prop in applying:
        try:
            report.examples[prop.name] = verify(spec, prop, **given_settings)
        except Exception as error:
            if report.notes:
                error.add_note("\n  ".join(["How it was called:", *report.notes]))
            raise
    left = [name for name in PROPERTIES if name not in report.examples and name in _WHY_NOT]
    report.skipped = {name: _WHY_NOT[name] for name in left}
    return report


def _spec_of(
    op: Callable[..., Any] | str, arguments: Any, domain: Any, settings: dict[str, Any], kept: dict[str, Any]
) -> tuple[OpSpec, Report]:
    """The spec of an op that has none, and the report with how it was found."""
    bare = OpSpec(op)
    exact = bare.record is not None and not isinstance(bare.record, FusedOp)
    # NumPy in a forward is right as long as no GPU is meant; whoever means one says so.
    kept = {"exact": exact, "devices": False, **kept}
    if arguments is not None:
        return OpSpec(op, arguments=arguments, **kept), Report(bare.name)
    inferred = infer(bare.call, bare.name, domain=domain, kinks=kept["kinks"], settings=settings)
    return OpSpec(op, arguments=inferred.arguments, **kept), Report(bare.name, inferred.notes)
