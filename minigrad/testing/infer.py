"""Finding out on which arguments an op can be called: from its signature, and by calling it.

The signature says what is an array and what a setting. Shapes and numbers are found by trial, the widest first: what a
narrower choice leaves out is said in the report, with what the op did there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from minigrad.core.tensor import Tensor, wrap
from minigrad.testing.families import Family, families
from minigrad.testing.signature import Call, read, readings
from minigrad.testing.strategies import Host, Interval, Shape, arrays, integers
from minigrad.testing.strategies.arrays import grid_of
from minigrad.testing.trying import simplest

# Open intervals, the widest first, each with numbers to stay away from.
DOMAINS: tuple[tuple[Interval, tuple[float, ...]], ...] = (
    ((-3, 3), ()), ((-3, 3), (0,)), ((0, 3), ()), ((-1, 1), ()), ((1, 4), ()),
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

    arguments: st.SearchStrategy[tuple[Sequence[Any], dict[str, Any]]]
    notes: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # what was not tried, and how to have it tried


def infer(
    op: Callable[..., Any],
    name: str,
    *,
    domain: Interval | Sequence[Interval] | None,
    kinks: Sequence[float],
    settings: dict[str, Any],
    distinct: bool = False,
) -> Inferred:
    """A strategy for the arguments of `op`.

    Args:
        op: takes Tensors and gives one, or a tuple of them.
        name: of the op, for messages.
        domain: the open interval, or one for each input, that the numbers lie in; found by trial if None.
        kinks: numbers to stay away from.
        settings: how to draw settings, by name: a strategy, or a value; the others are drawn as their annotation or
            default says.
        distinct: no two elements of an input are equal.

    Raises TypeError, in a sentence that says what to pass, when no arguments are found that the op takes.
    """
    domains = DOMAINS if domain is None else ((domain, ()),)
    plainest: tuple[Call, list[_Refusal]]
    for call in readings(*read(op, name, settings)):
        refused: list[_Refusal] = []
        for family in families(len(call.present), call.present.index(call.whole) if call.whole else None):
            for interval, gaps in domains:
                intervals, away = _one_each(interval, len(call.present), name), (*kinks, *gaps)
                refusal = _refusal_of(op, call, family, intervals, away)
                if not refusal:
                    drawn = _drawn(call, family, intervals, away, distinct)
                    return Inferred(drawn, _notes(call, family, interval, gaps, refused), _left_out(call))
                refused.append(refusal)
                if not refusal.of_numbers:
                    break  # other numbers make no difference
        if not call.whole:
            plainest = call, refused
    raise _nothing_found(name, *plainest, [_said(*one) for one in domains])


def _notes(call: Call, family: Family, interval: Any, gaps: Sequence[float], refused: list[_Refusal]) -> list[str]:
    whole = f", in {call.whole} whole ones from 0" if call.whole else ""
    notes = [f"inputs: {', '.join(call.present)}, {family.title}, numbers in {_said(interval, gaps)}{whole}"]
    settings = [word for word in call.settings if word not in call.fixed]
    notes += [f"settings: {', '.join(settings)}"] if settings else []
    return notes + [f"nothing wider: {one}" for one in dict.fromkeys(map(str, refused))]


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


def _refusal_of(
    op: Callable[..., Any], call: Call, family: Family, intervals: Sequence[Interval], kinks: Sequence[float]
) -> _Refusal | None:
    """What was wrong with a call of a family; None if the op takes all that is tried."""
    plain = {setting: simplest(strategy) for setting, strategy in call.settings.items()}
    for group in family.tried:
        for seed, other in enumerate(_other_settings(call, len(group[0]))):
            values = _some_numbers(call, group, intervals, kinks, seed % 2)
            without = {word: one for word, one in values.items() if word not in call.optional}
            for given in [values] if len(without) == len(values) else [values, without]:
                said, error = _refusal(op, [given.get(word) for word in call.inputs], {**plain, **other})
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


def _some_numbers(
    call: Call, group: Sequence[Shape], intervals: Sequence[Interval], kinks: Sequence[float], seed: int
) -> dict[str, Host]:
    """Numbers all over the intervals for each input: the first draw has the extremes."""
    rng = np.random.default_rng(seed)
    found: dict[str, Host] = {}
    for word, shape, (low, high) in zip(call.present, group, intervals, strict=True):
        if word == call.whole:
            found[word] = rng.integers(0, _indices_below(call, group), shape)
            continue
        grid = np.sort(grid_of((low, high), kinks))
        picked = rng.permutation(np.resize(grid[[0, -1, len(grid) // 2]] if seed == 0 else grid, max(1, grid.size)))
        found[word] = np.resize(picked, shape)
    return found


def _indices_below(call: Call, group: Sequence[Shape]) -> int:
    """Whole numbers below this are indices of any dimension of the other inputs."""
    others = [shape for word, shape in zip(call.present, group, strict=True) if word != call.whole]
    return max(1, min((side for shape in others for side in shape), default=1))


def _refusal(
    op: Callable[..., Any], values: Sequence[Host | None], settings: dict[str, Any]
) -> tuple[str, Exception | None]:
    """What was wrong with a call; "" if nothing was."""
    try:
        with np.errstate(all="ignore"):
            results = op(*[None if value is None else wrap(value) for value in values], **settings)
    except Exception as error:  # whatever it is: it belongs into the report
        return f"raised {type(error).__name__}: {error}", error
    results = results if isinstance(results, (tuple, list)) else (results,)
    for one in results:
        if not isinstance(one, Tensor):
            return f"gave {type(one).__name__}, and no Tensor", None
        if one.dtype.kind == "f" and not np.isfinite(one._array).all():
            return _NOT_FINITE, None
    return ("" if results else "gave no outputs"), None


def _drawn(
    call: Call, family: Family, intervals: Sequence[Interval], kinks: Sequence[float], distinct: bool
) -> st.SearchStrategy[tuple[Sequence[Any], dict[str, Any]]]:
    @st.composite
    def arguments(draw: st.DrawFn) -> tuple[Sequence[Any], dict[str, Any]]:
        shapes_drawn = draw(family.drawn)
        inputs: dict[str, Any] = {}
        for word, shape, interval in zip(call.present, shapes_drawn, intervals, strict=True):
            if word in call.optional and draw(st.booleans()):
                continue
            real = arrays(shape, domain=interval, kinks=kinks, distinct=distinct)
            whole = integers(shape, 0, _indices_below(call, shapes_drawn))
            inputs[word] = draw(whole if word == call.whole else real)
        ndim = max(1, len(shapes_drawn[0]))  # a 0-d tensor counts as 1-d
        dims = {word: draw(st.integers(-ndim, ndim - 1)) for word in call.dims}
        settings = {word: draw(strategy) for word, strategy in call.settings.items()}
        return [inputs.get(word) for word in call.inputs], {**settings, **dims}

    return arguments()


def _one_each(domain: Any, count: int, name: str) -> list[Interval]:
    if isinstance(domain[0], (int, float)):
        return [domain] * count
    if len(domain) != count:
        raise ValueError(f"check_op({name}): domain has {len(domain)} intervals, and the op {count} inputs")
    return list(domain)


def _said(domain: Any, gaps: Sequence[float] = ()) -> str:
    if not isinstance(domain[0], (int, float)):
        return " and ".join(_said(one) for one in domain)
    without = f" without {', '.join(f'{gap:g}' for gap in gaps)}" if gaps else ""
    return f"({domain[0]:g}, {domain[1]:g}){without}"
