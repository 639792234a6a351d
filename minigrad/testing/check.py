"""`check_op`: every property on one op, in one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from minigrad.core.fused import FusedOp
from minigrad.testing.infer import infer
from minigrad.testing.properties import OP_PROPERTIES
from minigrad.testing.report import Report
from minigrad.testing.spec import OpSpec
from minigrad.testing.strategies import Interval

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


def check_op(
    op: OpSpec | Callable[..., Any] | str,
    *,
    reference: Callable[..., Any] | None = None,
    arguments: st.SearchStrategy[tuple[Sequence[Any], dict[str, Any]]] | None = None,
    domain: Interval | Sequence[Interval] | None = None,
    kinks: Sequence[float] = (),
    settings: dict[str, Any] | None = None,
    distinct: bool = False,
    skip: Sequence[str] = (),
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
            of shapes and intervals of numbers that the op takes; where real numbers will not do, one of several inputs
            has whole ones, as an index. A dim, a bool and a Literal are drawn, other settings stay as they are.
        domain: the open interval of the numbers, or one for each input.
        kinks: numbers to stay away from, where the op has no derivative.
        settings: how to draw settings, by name: strategies, or values.
        distinct: no two elements of an input are equal, for an op with ties, as a sort or a median.
        skip: the names of properties to leave out, as they stand in the report, which says so.
        **options: further fields of `OpSpec` (`smooth=1`, `exact=False`, ...), and hypothesis's settings
            (`max_examples=200`, `derandomize=True`, ...).

    Returns a Report: which properties hold, on how many examples; how the arguments were found; what was left out.

    Raises GradcheckError or AssertionError for a property that does not hold, and whatever the op itself raises;
    TypeError if no arguments are found that it takes, or if there is no gradient to compare and smooth= is not 0;
    LookupError for a name in `skip` that no property has.

    At a kink, as of relu at 0, any slope from one side's to the other's counts as right, and the report says how often.
    """
    chosen, given_settings = OP_PROPERTIES.sorted_out(options)
    if not isinstance(settings or {}, dict):
        raise TypeError(f"check_op: settings is a dictionary, settings={{'n': 2}}, and not {settings!r}")
    if isinstance(op, OpSpec):
        others = bool(chosen or reference or arguments or domain or kinks or settings or distinct)
        OP_PROPERTIES.refuse_others(others)
        spec, report = op, Report(op.name)
    else:
        kept = {"reference": reference, "kinks": kinks, "arguments": arguments, **chosen}
        spec, report = _spec_of(op, domain, settings or {}, distinct, kept)
    try:
        report = OP_PROPERTIES.check(spec, report=report, skip=skip, **given_settings)
    except Exception as error:
        if report.notes:
            error.add_note("\n  ".join(["How it was called:", *report.notes]))
        raise
    if not report.notes and (never := spec.corners().sizes_never_drawn()):
        report.notes.append(f"sizes never drawn: {', '.join(never)}")
    return report


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
    inferred = infer(bare, domain=domain, settings=settings, distinct=distinct)
    report = Report(bare.name, inferred.notes, skipped=inferred.left_out)
    return OpSpec(op, **{**kept, "arguments": inferred.arguments, "rare": inferred.rare}), report
