"""Finding out on which arguments an op can be called: from its signature, and by calling it.

The signature says what is an array and what a setting. Shapes and numbers are found by trial, the widest first: what a
narrower choice leaves out is said in the report, with what the op did there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minigrad.core.tensor import Tensor, wrap
from minigrad.testing.drawing import Arguments, Manner, indices_below
from minigrad.testing.families import families
from minigrad.testing.signature import Call, one_each, read, readings
from minigrad.testing.spec import OpSpec
from minigrad.testing.strategies import Host, Interval, Shape
from minigrad.testing.strategies.arrays import grid_of
from minigrad.testing.trying import simplest

# Open intervals, the widest first, each with numbers to stay away from.
DOMAINS: tuple[tuple[Interval, tuple[float, ...]], ...] = (
    ((-3, 3), ()), ((-3, 3), (0,)), ((0, 3), ()), ((-1, 1), ()), ((1, 4), ()), ((0, 1), ()),
)  # fmt: skip

_NOT_FINITE = "gave numbers that are not finite"


class _Refusal(NamedTuple):
    """What was wrong with a call, where, and whether other numbers may help."""

    where: str
    said: str
    of_numbers: bool = False
    error: Exception | None = None

    def __str__(self) -> str:
        return f"for {self.where} it {self.said}"


@dataclass
class Inferred:
    """How an op is called, and in words how that was found out."""

    arguments: Arguments
    rare: Arguments
    notes: list[str]
    left_out: dict[str, str]  # what was not tried, and how to have it tried


def infer(
    spec: OpSpec,
    *,
    domain: Interval | Sequence[Interval] | None,
    settings: dict[str, Any],
    distinct: bool = False,
) -> Inferred:
    """A strategy for the arguments of an op.

    Args:
        spec: of the op, with the numbers to stay away from.
        domain: the open interval, or one for each input, that the numbers lie in; found by trial if None.
        settings: how to draw settings, by name: a strategy, or a value; the others are drawn as their annotation or
            default says.
        distinct: no two elements of an input are equal.

    Raises TypeError, in a sentence that says what to pass, when no arguments are found that the op takes.
    """
    domains = DOMAINS if domain is None else ((domain, ()),)
    plainest: tuple[Call, list[_Refusal]] | None = None
    for call in readings(*read(spec.call, spec.name, settings)):
        odd = bool(call.whole or call.mask)
        if odd and plainest and not all(one.error for one in plainest[1]):
            break  # it takes real numbers, only none of those that were tried
        refused: list[_Refusal] = []
        for family in families(len(call.present), call.present.index(call.whole) if call.whole else None):
            for interval, gaps in domains:
                intervals = one_each(interval, len(call.present), f"check_op({spec.name})")
                manner = Manner(call, family, intervals, (*spec.kinks, *gaps), distinct)
                refusal = _refusal_of(spec, manner, family.tried)
                if not refusal:
                    return _as_inferred(spec, manner, _said(interval, gaps), refused)
                refused.append(refusal)
                if not refusal.of_numbers:
                    break  # other numbers make no difference
        if not odd:
            plainest = call, refused
    assert plainest is not None
    raise _nothing_found(spec.name, *plainest, [_said(*one) for one in domains])


def _as_inferred(spec: OpSpec, manner: Manner, numbers: str, refused: list[_Refusal]) -> Inferred:
    """What is drawn when an op takes all that was tried of a family: that, and of the large shapes those it takes."""
    tried = [(group, _refusal_of(spec, manner, [group])) for group in manner.family.large]
    manner = manner._replace(family=manner.family._replace(large=[group for group, refusal in tried if not refusal]))
    notes = _notes(manner, numbers, refused) + [f"nothing larger: {refusal}" for _, refusal in tried if refusal][:1]
    return Inferred(manner.ordinary(), manner.rare(), notes, _left_out(manner.call))


def _notes(manner: Manner, numbers: str, refused: list[_Refusal]) -> list[str]:
    call, family = manner.call, manner.family
    odd = f", in {call.whole} whole ones from 0" if call.whole else f", {call.mask} True or False" if call.mask else ""
    large = "".join(f", and {_shapes_said(group)}" for group in family.large)
    notes = [f"inputs: {', '.join(call.present)}, {family.title}, numbers in {numbers}{odd}"]
    settings = [word for word in call.settings if word not in call.fixed]
    notes += [f"settings: {', '.join(settings)}"] if settings else []
    notes += [f"sizes: sides up to 3{large}"]
    return notes + [f"nothing wider: {one}" for one in dict.fromkeys(map(str, refused))]


def _shapes_said(group: Sequence[Shape]) -> str:
    return " with ".join(map(str, dict.fromkeys(group)))


def _left_out(call: Call) -> dict[str, str]:
    return {
        f"{word}={value!r}": f'nothing else tried: settings={{"{word}": ...}} draws other values'
        for word, value in call.fixed.items()
    }


def _nothing_found(name: str, call: Call, refused: list[_Refusal], domains: list[str]) -> TypeError:
    """What to say when no call succeeded: the first is the plainest, and its error is the cause."""
    first, count = refused[0], len(call.present)
    arrays_said = f"{f'{count} arrays' if count > 1 else 'an array'}, {', '.join(call.present)}"
    if len({one.said for one in refused}) == 1:
        said = f"it {first.said}, on whatever it is called with: {arrays_said}"
    else:
        titles = "; ".join(family.title for family in families(len(call.present)))
        said = (
            f"first, {first}; the last time, {refused[-1]}. It was called with {arrays_said}: {titles}; of numbers in "
            f"{', '.join(domains)}"
        )
    error = TypeError(
        f"check_op({name}): no arguments were found that it takes: {said}. Say what to call it with: arguments= a "
        f"strategy that draws (inputs, settings)"
    )
    error.__cause__ = first.error
    return error


# ---- by trial -------------------------------------------------------------------------------------------------------


def _refusal_of(spec: OpSpec, manner: Manner, groups: Sequence[Sequence[Shape]]) -> _Refusal | None:
    """What was wrong with a call on arrays of these shapes; None if the op takes all of them."""
    call, intervals = manner.call, manner.intervals
    plain = {setting: simplest(strategy) for setting, strategy in call.settings.items()}
    for group in groups:
        for turn, other in enumerate(_other_settings(call, len(group[0]))):
            values = _some_numbers(manner, group, turn % 2)
            without = {word: one for word, one in values.items() if word not in call.optional}
            for given in [values] if len(without) == len(values) else [values, without]:
                said, error = _refusal(spec, [given.get(word) for word in call.inputs], {**plain, **other})
                if said:
                    of_numbers = said == _NOT_FINITE and all(0 not in shape for shape in group)
                    numbers = " and ".join(dict.fromkeys(_said(one) for one in intervals))
                    where = " and ".join(map(str, group)) + (f" in {numbers}" if of_numbers else "")
                    with_these = ", ".join(f"{word}={value!r}" for word, value in other.items())
                    return _Refusal(where, said + (f" (with {with_these})" if other else ""), of_numbers, error)
    return None


def _other_settings(call: Call, ndim: int) -> list[dict[str, Any]]:
    """What is tried in place of the simplest settings: nothing, the same again for other numbers, the first and the
    last dimension, and each choice."""
    first, last = -max(ndim, 1), max(ndim, 1) - 1
    ends = [dict.fromkeys(call.dims, end) for end in (first, last)] if call.dims else [{}]
    return [{}, *ends, *({word: one} for word, values in call.choices.items() for one in values[1:])]


def _some_numbers(manner: Manner, group: Sequence[Shape], seed: int) -> dict[str, Host]:
    """Numbers all over the intervals for each input: the first draw has the extremes."""
    rng, call = np.random.default_rng(seed), manner.call
    found: dict[str, Host] = {}
    for word, shape, interval in zip(call.present, group, manner.intervals, strict=True):
        if word == call.whole:
            found[word] = rng.integers(0, indices_below(call, group), shape)
        elif word == call.mask:
            found[word] = rng.integers(0, 2, shape).astype(bool)
        else:
            grid = np.sort(grid_of(interval, manner.kinks))
            picked = np.resize(grid[[0, -1, len(grid) // 2]] if seed == 0 else grid, max(1, grid.size))
            found[word] = np.resize(rng.permutation(picked), shape)
    return found


def _refusal(spec: OpSpec, values: Sequence[Host | None], settings: dict[str, Any]) -> tuple[str, Exception | None]:
    """What was wrong with a call; "" if nothing was."""
    try:
        with np.errstate(all="ignore"):
            results = spec.run([None if value is None else wrap(value) for value in values], settings)
    except Exception as error:  # whatever it is: it belongs into the report
        return f"raised {type(error).__name__}: {error}", error
    for one in results:
        if not isinstance(one, Tensor):
            return f"gave {type(one).__name__}, and no Tensor", None
        if one.dtype.kind == "f" and not np.isfinite(one._array).all():
            return _NOT_FINITE, None
    return ("" if results else "gave no outputs"), None


def _said(domain: Any, gaps: Sequence[float] = ()) -> str:
    if not isinstance(domain[0], (int, float)):
        return " and ".join(_said(one) for one in domain)
    without = f" without {', '.join(f'{gap:g}' for gap in gaps)}" if gaps else ""
    return f"({domain[0]:g}, {domain[1]:g}){without}"
