"""`check_op`: every property on one op, in one line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from minigrad.autograd import Function
from minigrad.core.fused import FusedOp
from minigrad.testing.infer import infer
from minigrad.testing.properties import PROPERTIES, properties_of, verify
from minigrad.testing.properties.trying import Tried
from minigrad.testing.spec import OpSpec
from minigrad.testing.strategies import Interval

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these

_FIELDS = {one.name for one in fields(OpSpec)}
_SETTINGS = set(inspect.signature(hypothesis_settings).parameters) - {"parent"}

# What a user can do about a property that did not run.
_WHY_NOT = {
    "equals_reference": "no reference= to compare with",
    "second_gradient_is_numeric": "smooth= is below 2",
    "runs_on_another_device": "devices=True asks for it: an op for GPUs, too",
    "batch_equals_one_by_one": "no batched= says which dimensions count examples",
}


_NOTHING_SEEN = "no call had anything for it to look at"
_AT_KINKS = "at kinks: compared with one side"


@dataclass
class Report:
    """What `check_op` did: as text a table."""

    name: str
    notes: list[str] = field(default_factory=list)  # how the arguments were found
    examples: dict[str, int] = field(default_factory=dict)  # of each property that holds
    skipped: dict[str, str] = field(default_factory=dict)  # and why
    kinks: dict[str, int] = field(default_factory=dict)  # in how many examples a property saw one side of a kink only

    def __str__(self) -> str:
        width = max(map(len, [*self.examples, *self.skipped, ""]))
        lines = [f"{self.name}: {len(self.examples)} properties hold"]
        lines += [f"  {note}" for note in self.notes]
        for name, count in self.examples.items():
            kinks = self.kinks.get(name)
            lines.append(f"  {name:<{width}}  {count:>4} examples" + (f", {kinks} {_AT_KINKS}" if kinks else ""))
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
    distinct: bool = False,
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
        distinct: no two elements of an input are equal, for an op with ties, as a sort or a median.
        **options: further fields of `OpSpec` (`smooth=1`, `exact=False`, ...), and hypothesis's settings
            (`max_examples=200`, `derandomize=True`, ...).

    Returns a Report: which properties hold, on how many examples; how the arguments were found; what was left out.

    Raises GradcheckError or AssertionError for a property that does not hold, and whatever the op itself raises;
    TypeError if no arguments are found that it takes, or if there is no gradient to compare and smooth= is not 0.

    At a kink, as of relu at 0, any slope from one side's to the other's counts as right, and the report says how often.
    """
    given_settings = {name: value for name, value in options.items() if name in _SETTINGS}
    chosen = {name: value for name, value in options.items() if name in _FIELDS - {"op"}}
    if unknown := options.keys() - given_settings.keys() - chosen.keys():
        raise TypeError(
            f"check_op has no option {', '.join(sorted(unknown))}: it takes the fields of OpSpec "
            f"({', '.join(sorted(_FIELDS - {'op'}))}) and hypothesis's settings ({', '.join(sorted(_SETTINGS))})"
        )
    if isinstance(op, OpSpec):
        if chosen or reference or arguments or domain or kinks or settings or distinct:
            raise TypeError("check_op: an OpSpec says everything itself: give its fields to it, not to check_op")
        spec, report = op, Report(op.name)
    else:
        op = op.apply if isinstance(op, type) and issubclass(op, Function) else op
        kept = {"reference": reference, "kinks": kinks, "arguments": arguments, **chosen}
        spec, report = _spec_of(op, domain, settings or {}, distinct, kept)
    applying = properties_of(spec)
    for prop in applying:
        try:
            tried = verify(spec, prop, **given_settings)
            _note(report, prop.name, tried)
        except Exception as error:
            if report.notes:
                error.add_note("\n  ".join(["How it was called:", *report.notes]))
            raise
    left = [name for name in PROPERTIES if name in _WHY_NOT and name not in report.examples | report.skipped]
    report.skipped = {**{name: _WHY_NOT[name] for name in left}, **report.skipped}
    return report


def _note(report: Report, name: str, tried: Tried) -> None:
    """Put a property that holds into the report; one of those that all rests on must have seen something."""
    if tried.examples:
        report.examples[name] = tried.examples
        report.kinks |= {name: tried.kinks} if tried.kinks else {}
        return
    if name in ("equals_reference", "dtypes_agree"):
        raise TypeError(f"check_op({report.name}): the op gives no outputs, and so there is nothing to check")
    if name == "gradient_is_numeric":
        raise TypeError(
            f"check_op({report.name}): there is no gradient to compare: in no call does a floating point input lead to "
            f"an output that requires grad. If the op has none, say smooth=0; else see arguments= and differentiable="
        )
    report.skipped[name] = _NOTHING_SEEN


def _spec_of(
    op: Callable[..., Any] | str, domain: Any, settings: dict[str, Any], distinct: bool, kept: dict[str, Any]
) -> tuple[OpSpec, Report]:
    """The spec of an op that has none, and the report with how it was found."""
    bare = OpSpec(op, **kept, **({} if domain is None else {"domain": domain}))
    exact = bare.record is not None and not isinstance(bare.record, FusedOp)
    # NumPy in a forward is right as long as no GPU is meant; whoever means one says so.
    kept = {"exact": exact, "devices": False, **kept}
    if bare.arguments is not None:
        if domain is not None or settings or distinct:
            raise TypeError(
                f"check_op({bare.name}): arguments= draws the whole call: domain=, settings= and distinct= go into it"
            )
        return OpSpec(op, **kept), Report(bare.name)
    inferred = infer(bare.call, bare.name, domain=domain, kinks=tuple(bare.kinks), settings=settings, distinct=distinct)
    report = Report(bare.name, inferred.notes, skipped=inferred.left_out)
    return OpSpec(op, **{**kept, "arguments": inferred.arguments}), report
