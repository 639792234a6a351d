"""Finding out on which arguments an op can be called: from its signature, and by calling it.

The signature says what is an array and what a setting. Shapes and numbers are found by trial, the widest first: what a
narrower choice leaves out is said in the report, with what the op did there.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from operator import itemgetter
from typing import Any, Literal, NamedTuple

import numpy as np
from hypothesis import strategies as st

from minigrad.autograd import Function
from minigrad.core.tensor import Tensor, wrap
from minigrad.testing.strategies import Host, Interval, Shape, arrays, broadcastable, shapes
from minigrad.testing.strategies.arrays import grid_of
from minigrad.testing.trying import simplest

# Open intervals, the widest first, each with numbers to stay away from.
DOMAINS: tuple[tuple[Interval, tuple[float, ...]], ...] = (
    ((-3, 3), ()), ((-3, 3), (0,)), ((0, 3), ()), ((-1, 1), ()), ((1, 4), ()),
)  # fmt: skip

_NOT_FINITE = "gave numbers that are not finite"
_PLAIN = (bool, int, float, str)  # annotations of settings


_DIMENSIONS = {"dim", "axis"}
_NO_ARRAYS = _DIMENSIONS | {"dtype", "device", "generator"}  # though they are None by default


class _Call(NamedTuple):
    """How to read a signature.

    inputs: the arrays by name, in order; those in `optional` may be None, those in `absent` always are.
    settings: how to draw each; those in `dims` count dimensions of the first array, and have this default.
    fixed: the settings of which only the default is tried, and nobody said so.
    """

    inputs: list[str]
    optional: list[str]
    absent: list[str]
    settings: dict[str, st.SearchStrategy[Any]]
    dims: dict[str, int]
    fixed: dict[str, Any]

    @property
    def present(self) -> list[str]:
        """The inputs that are arrays."""
        return [word for word in self.inputs if word not in self.absent]


class _Refusal(NamedTuple):
    """What was wrong with a call, where, and whether other numbers may help."""

    where: str
    said: str
    of_numbers: bool = False
    error: Exception | None = None

    def __str__(self) -> str:
        return f"for {self.where} it {self.said}"


class _Family(NamedTuple):
    """Shapes that go together: what they are called, how they are drawn, and those that are tried first."""

    title: str
    drawn: st.SearchStrategy[Sequence[Shape]]
    tried: Sequence[Sequence[Shape]]


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
    refused: list[_Refusal] = []
    for call in _readings(*_read(op, name, settings)):
        refused = []
        for family in _families(len(call.present)):
            for interval, gaps in domains:
                intervals, away = _one_each(interval, len(call.present), name), (*kinks, *gaps)
                refusal = _refusal_of(op, call, family, intervals, away)
                if not refusal:
                    drawn = _drawn(call, family, intervals, away, distinct)
                    return Inferred(drawn, _notes(call, family, interval, gaps, refused), _left_out(call))
                refused.append(refusal)
                if not refusal.of_numbers:
                    break  # other numbers make no difference
    raise _nothing_found(name, call, refused, [_said(*one) for one in domains])


def _notes(call: _Call, family: _Family, interval: Any, gaps: Sequence[float], refused: list[_Refusal]) -> list[str]:
    notes = [f"inputs: {', '.join(call.present)}, {family.title}, numbers in {_said(interval, gaps)}"]
    settings = [word for word in call.settings if word not in call.fixed]
    notes += [f"settings: {', '.join(settings)}"] if settings else []
    return notes + [f"nothing wider: {one}" for one in dict.fromkeys(map(str, refused))]


def _left_out(call: _Call) -> dict[str, str]:
    return {
        f"{word}={value!r}": f'nothing else tried: settings={{"{word}": ...}} draws other values'
        for word, value in call.fixed.items()
    }


def _nothing_found(name: str, call: _Call, refused: list[_Refusal], domains: list[str]) -> TypeError:
    """What to say when no call succeeded: the first is the plainest, and its error is the cause."""
    first, count = refused[0], len(call.present)
    arrays_said = f"{f'{count} arrays' if count > 1 else 'an array'}, {', '.join(call.present)}"
    if len({one.said for one in refused}) == 1:
        said = f"it {first.said}, on whatever it is called with: {arrays_said}"
    else:
        titles = "; ".join(family.title for family in _families(len(call.present)))
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


# ---- the signature --------------------------------------------------------------------------------------------------


def _read(op: Callable[..., Any], name: str, given: dict[str, Any]) -> tuple[_Call, list[str]]:
    """The signature, and the parameters that are None by default: arrays, or settings."""
    if hasattr(op, "state_dict"):
        raise TypeError(f"check_op({name}): this is a Module, whose parameters want checking, too: use check_module")
    record = getattr(op, "op", None)
    forward = op if record is None else record.forward
    call, undecided = _Call([], [], [], {}, {}, {}), []
    for word, parameter in _parameters(forward, name).items():
        if parameter.kind is parameter.VAR_KEYWORD or (word == "keep" and record is not None):
            continue
        annotation = _annotation(forward, word, parameter)
        if parameter.kind is parameter.VAR_POSITIONAL:
            call.inputs.extend([f"{word}[0]", f"{word}[1]"])
        elif record is not None and word in record.inputs:
            call.inputs.append(word)
            call.optional.extend([word] if parameter.default is None else [])
        elif _is_array(parameter, annotation):
            call.inputs.append(word)
        elif _may_be_array(parameter, word, annotation) and not call.settings and word not in given:
            undecided.append(word)
        else:
            _add_setting(call, name, word, parameter, annotation, given)
    known = [*undecided, *call.settings]
    if unknown := given.keys() - set(known):
        said = ", ".join(known) or "none"
        raise TypeError(f"check_op({name}): it has no setting {', '.join(sorted(unknown))}; its settings are {said}")
    if not call.inputs:
        raise TypeError(f"check_op({name}): its signature has no arrays, parameters without a default: pass arguments=")
    return call, undecided


def _parameters(forward: Callable[..., Any], name: str) -> dict[str, inspect.Parameter]:
    """The parameters that a caller gives; those of an autograd Function are its forward's, without the context."""
    owner, has_context = getattr(forward, "__self__", None), False
    if isinstance(owner, type) and issubclass(owner, Function):
        forward, has_context = owner.forward, not hasattr(owner, "setup_context")
    try:
        parameters = list(inspect.signature(forward).parameters.items())
    except (TypeError, ValueError) as error:
        raise TypeError(f"check_op({name}): it has no signature to read: pass arguments=") from error
    return dict(parameters[has_context:])


def _readings(call: _Call, undecided: list[str]) -> Iterator[_Call]:
    """Ways to read a signature, the one that tries the most first: what is None by default may be an array."""
    for count in range(len(undecided), -1, -1):
        for chosen in combinations(undecided, count):
            last = max((undecided.index(word) + 1 for word in chosen), default=0)
            absent = [word for word in undecided[:last] if word not in chosen]
            fixed = {**{word: None for word in undecided if word not in chosen}, **call.fixed}
            inputs = [*call.inputs, *undecided[:last]]
            tried = call._replace(inputs=inputs, optional=[*call.optional, *chosen], absent=absent, fixed=fixed)
            yield tried
            if call.dims:  # none but the default may do
                yield tried._replace(dims={}, fixed={**fixed, **call.dims})


def _annotation(function: Callable[..., Any], word: str, parameter: inspect.Parameter) -> Any:
    try:
        return typing.get_type_hints(function).get(word, parameter.annotation)
    except (NameError, TypeError):  # a name that only a type checker knows
        names = {kind.__name__: kind for kind in _PLAIN}
        return names.get(str(parameter.annotation), parameter.annotation)


def _is_array(parameter: inspect.Parameter, annotation: Any) -> bool:
    if parameter.kind is parameter.KEYWORD_ONLY or parameter.default is not parameter.empty:
        return False
    return annotation not in _PLAIN and typing.get_origin(annotation) is not Literal


def _may_be_array(parameter: inspect.Parameter, word: str, annotation: Any) -> bool:
    by_position = parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    plain = annotation in _PLAIN or any(one in _PLAIN for one in typing.get_args(annotation))
    return by_position and parameter.default is None and not plain and word not in _NO_ARRAYS


def _add_setting(
    call: _Call, name: str, word: str, parameter: inspect.Parameter, annotation: Any, given: dict[str, Any]
) -> None:
    """How a setting is drawn: as said, as its annotation says, over the dimensions, or its default alone."""
    default = parameter.default
    if word in given:
        value = given[word]
        call.settings[word] = value if isinstance(value, st.SearchStrategy) else st.just(value)
    elif typing.get_origin(annotation) is Literal:
        call.settings[word] = st.sampled_from(typing.get_args(annotation))
    elif annotation is bool or isinstance(default, bool):
        call.settings[word] = st.booleans()
    elif default is parameter.empty:
        raise TypeError(
            f"check_op({name}): the setting {word!r} has no default: say what to draw with settings={{{word!r}: ...}}"
        )
    else:
        call.settings[word] = st.just(default)
        if word in _DIMENSIONS and isinstance(default, int):
            call.dims[word] = default
        else:
            call.fixed[word] = default


# ---- shapes and numbers, by trial -----------------------------------------------------------------------------------

_SHAPES: list[Shape] = [(2, 3), (2,), (1, 3), (2, 1, 3), (), (0,), (2, 0)]
_STRETCHED = [((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((2,), ()), ((0, 1), (2,))]


def _families(count: int) -> list[_Family]:
    """Groups of `count` shapes, the widest first."""
    same = [
        _alike(count, "one shape for all" if count > 1 else "any shape", {}),
        _alike(count, "one shape, not empty", {"min_side": 1}),
        _alike(count, "one shape of 1 dimension or more", {"min_dims": 1}),
        _alike(count, "one shape of 1 dimension or more, not empty", {"min_dims": 1, "min_side": 1}),
    ]
    stretched = [] if count == 1 else [_stretched(count, min_side) for min_side in (0, 1)]
    return [*stretched, *same, *_matrices(count)]


def _alike(count: int, title: str, bounds: dict[str, int]) -> _Family:
    allowed = [shape for shape in _SHAPES if len(shape) >= bounds.get("min_dims", 0)]
    allowed = [shape for shape in allowed if not (bounds.get("min_side") and 0 in shape)]
    return _Family(title, shapes(**bounds).map(lambda shape: [shape] * count), [[shape] * count for shape in allowed])


def _stretched(count: int, min_side: int) -> _Family:
    title = "shapes that broadcast, not empty" if min_side else "shapes that broadcast"
    tried = [[*pair, *[pair[1]] * (count - 2)] for pair in _STRETCHED if not (min_side and 0 in pair[0])]
    tried += [[shape] * count for shape in _SHAPES if not (min_side and 0 in shape)]
    return _Family(title, broadcastable(count, min_side=min_side), tried)


def _matrices(count: int) -> list[_Family]:
    n, k, m = st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)
    tried = [(2, 3, 2), (1, 1, 1), (1, 2, 3), (3, 1, 2)]
    makers: list[tuple[str, Callable[[int, int, int], list[Shape]]]] = []
    if count in (2, 3):
        bias = ", (m,)" if count == 3 else ""
        makers.append((f"matrices that multiply, (n, k), (k, m){bias}", lambda n, k, m: [(n, k), (k, m), (m,)]))
        makers.append((f"rows and a weight, (n, k), (m, k){bias}", lambda n, k, m: [(n, k), (m, k), (m,)]))
    if count == 2:
        title = "batches of matrices that multiply, (2, n, k), (2, k, m)"
        makers.append((title, lambda n, k, m: [(2, n, k), (2, k, m)]))
    makers.append(("matrices of one shape, (n, m)", lambda n, k, m: [(n, m)] * count))
    makers.append(("square matrices, (n, n)", lambda n, k, m: [(n, n)] * count))
    makers.append(("batches of one shape, (n, k, m)", lambda n, k, m: [(n, k, m)] * count))
    return [
        _Family(title, st.builds(make, n, k, m).map(itemgetter(slice(count))), [make(*one)[:count] for one in tried])
        for title, make in makers
    ]


def _refusal_of(
    op: Callable[..., Any], call: _Call, family: _Family, intervals: Sequence[Interval], kinks: Sequence[float]
) -> _Refusal | None:
    """What was wrong with a call of a family; None if the op takes all that is tried."""
    plain = {setting: simplest(strategy) for setting, strategy in call.settings.items()}
    for group in family.tried:
        ndim = len(group[0])
        for seed, settings in enumerate([plain, *({**plain, **dims} for dims in _corners_of(call.dims, ndim))]):
            values = dict(zip(call.present, _some_numbers(group, intervals, kinks, seed % 2), strict=True))
            without = {word: one for word, one in values.items() if word not in call.optional}
            for given in [values] if len(without) == len(values) else [values, without]:
                said, error = _refusal(op, [given.get(word) for word in call.inputs], settings)
                if said:
                    of_numbers = said == _NOT_FINITE and all(0 not in shape for shape in group)
                    numbers = " and ".join(dict.fromkeys(_said(one) for one in intervals))
                    where = " and ".join(map(str, group)) + (f" in {numbers}" if of_numbers else "")
                    return _Refusal(where, said, of_numbers, error)
    return None


def _corners_of(dims: dict[str, int], ndim: int) -> list[dict[str, int]]:
    """Settings to try besides the simplest: the same again for other numbers, and the first and last dimension."""
    first, last = -max(ndim, 1), max(ndim, 1) - 1
    return [dict.fromkeys(dims, end) for end in (first, last)] if dims else [{}]


def _some_numbers(
    group: Sequence[Shape], intervals: Sequence[Interval], kinks: Sequence[float], seed: int
) -> Iterator[Host]:
    """Numbers all over the intervals: the first draw has the extremes."""
    rng = np.random.default_rng(seed)
    for shape, (low, high) in zip(group, intervals, strict=True):
        grid = np.sort(grid_of((low, high), kinks))
        picked = rng.permutation(np.resize(grid[[0, -1, len(grid) // 2]] if seed == 0 else grid, max(1, grid.size)))
        yield np.resize(picked, shape)


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
    call: _Call, family: _Family, intervals: Sequence[Interval], kinks: Sequence[float], distinct: bool
) -> st.SearchStrategy[tuple[Sequence[Any], dict[str, Any]]]:
    @st.composite
    def arguments(draw: st.DrawFn) -> tuple[Sequence[Any], dict[str, Any]]:
        shapes_drawn = draw(family.drawn)
        inputs: dict[str, Any] = {}
        for word, shape, interval in zip(call.present, shapes_drawn, intervals, strict=True):
            if not (word in call.optional and draw(st.booleans())):
                inputs[word] = draw(arrays(shape, domain=interval, kinks=kinks, distinct=distinct))
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
