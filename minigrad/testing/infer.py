"""Finding out on which arguments an op can be called: from its signature, and by calling it.

The signature says what is an array and what a setting. Shapes and numbers are found by trial, the widest first: what a
narrower choice leaves out is said in the report, with what the op did there.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Literal, NamedTuple

import numpy as np
from hypothesis import strategies as st

from minigrad.core.tensor import Tensor, wrap
from minigrad.testing.strategies import Host, Interval, Shape, arrays, broadcastable, shapes

DOMAINS: tuple[Interval, ...] = ((-3, 3), (0, 3), (-1, 1), (1, 4))

_NOT_FINITE = "gave numbers that are not finite"
_PLAIN = (bool, int, float, str)  # annotations of settings


class _Call(NamedTuple):
    """What a signature says: the arrays by name, which of them may be None, and how to draw each setting."""

    inputs: list[str]
    optional: list[str]
    settings: dict[str, st.SearchStrategy[Any]]


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


def infer(
    op: Callable[..., Any],
    name: str,
    *,
    domain: Interval | Sequence[Interval] | None,
    kinks: Sequence[float],
    settings: dict[str, Any],
) -> Inferred:
    """A strategy for the arguments of `op`.

    Args:
        op: takes Tensors and gives one, or a tuple of them.
        name: of the op, for messages.
        domain: the open interval, or one for each input, that the numbers lie in; found by trial if None.
        kinks: numbers to stay away from.
        settings: how to draw settings, by name: a strategy, or a value; the others are drawn as their annotation or
            default says.

    Raises TypeError, in a sentence that says what to pass, when no arguments are found that the op takes.
    """
    call = _read(op, name, settings)
    plain = {setting: _simplest_of(strategy) for setting, strategy in call.settings.items()}
    families, domains = _families(len(call.inputs)), DOMAINS if domain is None else (domain,)
    refused: list[str] = []
    for family in families:
        for interval in domains:
            intervals = _one_each(interval, len(call.inputs))
            refusal, of_numbers = _refusal_of(op, family, intervals, kinks, plain)
            if not refusal:
                notes = [f"inputs: {', '.join(call.inputs)}, {family.title}, numbers in {_said(interval)}"]
                notes += [f"settings: {', '.join(call.settings)}"] if call.settings else []
                notes += [f"nothing wider: {one}" for one in dict.fromkeys(refused)]
                return Inferred(_drawn(call, family, intervals, kinks), notes)
            refused.append(refusal)
            if not of_numbers:
                break  # other numbers make no difference
    raise TypeError(
        f"check_op({name}): no arguments were found that it takes. It was called with {len(call.inputs)} arrays, "
        f"{', '.join(call.inputs)}: {'; '.join(family.title for family in families)}; of numbers in "
        f"{', '.join(map(_said, domains))}. The last time, {refused[-1]}. Say what to call it with: arguments= a "
        f"strategy that draws (inputs, settings)"
    )


# ---- the signature --------------------------------------------------------------------------------------------------


def _read(op: Callable[..., Any], name: str, given: dict[str, Any]) -> _Call:
    if hasattr(op, "state_dict"):
        raise TypeError(f"check_op({name}): this is a Module, whose parameters want checking, too: use check_module")
    record = getattr(op, "op", None)
    forward = op if record is None else record.forward
    try:
        parameters = inspect.signature(forward).parameters
    except (TypeError, ValueError) as error:
        raise TypeError(f"check_op({name}): it has no signature to read: pass arguments=") from error
    inputs: list[str] = []
    optional: list[str] = []
    settings: dict[str, st.SearchStrategy[Any]] = {}
    for word, parameter in parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD or (word == "keep" and record is not None):
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            inputs += [f"{word}[0]", f"{word}[1]"]
        elif record is not None and word in record.inputs:
            inputs.append(word)
            optional += [word] if parameter.default is None else []
        elif _is_array(parameter, _annotation(forward, word, parameter)):
            inputs.append(word)
        else:
            settings[word] = _setting(name, word, parameter, _annotation(forward, word, parameter), given)
    if unknown := given.keys() - settings.keys():
        known = ", ".join(settings) or "none"
        raise TypeError(f"check_op({name}): it has no setting {', '.join(sorted(unknown))}; its settings are {known}")
    if not inputs:
        raise TypeError(f"check_op({name}): its signature has no arrays, parameters without a default: pass arguments=")
    return _Call(inputs, optional, settings)


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


def _setting(
    name: str, word: str, parameter: inspect.Parameter, annotation: Any, given: dict[str, Any]
) -> st.SearchStrategy[Any]:
    if word in given:
        value = given[word]
        return value if isinstance(value, st.SearchStrategy) else st.just(value)
    if typing.get_origin(annotation) is Literal:
        return st.sampled_from(typing.get_args(annotation))
    if annotation is bool or isinstance(parameter.default, bool):
        return st.booleans()
    if parameter.default is parameter.empty:
        raise TypeError(
            f"check_op({name}): the setting {word!r} has no default: say what to draw with settings={{{word!r}: ...}}"
        )
    return st.just(parameter.default)


def _simplest_of(strategy: st.SearchStrategy[Any]) -> Any:
    from minigrad.testing.properties.trying import simplest

    return simplest(strategy)


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
    makers.append(("matrices of one shape, (n, m)", lambda n, k, m: [(n, m)] * count))
    makers.append(("square matrices, (n, n)", lambda n, k, m: [(n, n)] * count))
    makers.append(("batches of one shape, (n, k, m)", lambda n, k, m: [(n, k, m)] * count))
    return [
        _Family(title, st.builds(make, n, k, m).map(itemgetter(slice(count))), [make(*one)[:count] for one in tried])
        for title, make in makers
    ]


def _refusal_of(
    op: Callable[..., Any],
    family: _Family,
    intervals: Sequence[Interval],
    kinks: Sequence[float],
    settings: dict[str, Any],
) -> tuple[str, bool]:
    """What was wrong with a call of a family, and whether it was the numbers; "" if the op takes all that is tried."""
    for group in family.tried:
        for seed in range(2):
            said = _refusal(op, _some_numbers(group, intervals, kinks, seed), settings)
            if said:
                of_numbers = said == _NOT_FINITE and all(0 not in shape for shape in group)
                where = f" in {' and '.join(dict.fromkeys(map(_said, intervals)))}" if of_numbers else ""
                return f"for {' and '.join(map(str, group))}{where} it {said}", of_numbers
    return "", False


def _some_numbers(
    group: Sequence[Shape], intervals: Sequence[Interval], kinks: Sequence[float], seed: int
) -> Iterator[Host]:
    """Numbers all over the intervals: the first draw has the extremes."""
    rng = np.random.default_rng(seed)
    for shape, (low, high) in zip(group, intervals, strict=True):
        grid = np.arange(np.floor(low * 16) + 1, np.ceil(high * 16)) / 16
        grid = grid[[all(abs(x - kink) >= 1 / 16 for kink in kinks) for x in grid]]
        picked = rng.permutation(np.resize(grid[[0, -1, len(grid) // 2]] if seed == 0 else grid, max(1, grid.size)))
        yield np.resize(picked, shape)


def _refusal(op: Callable[..., Any], values: Iterator[Host], settings: dict[str, Any]) -> str:
    """What was wrong with a call; "" if nothing was."""
    try:
        with np.errstate(all="ignore"):
            results = op(*[wrap(value) for value in values], **settings)
    except Exception as error:  # whatever it is: it belongs into the report
        return f"raised {type(error).__name__}: {error}"
    for one in results if isinstance(results, (tuple, list)) else (results,):
        if not isinstance(one, Tensor):
            return f"gave {type(one).__name__}, and no Tensor"
        if one.dtype.kind == "f" and not np.isfinite(one._array).all():
            return _NOT_FINITE
    return ""


def _drawn(
    call: _Call, family: _Family, intervals: Sequence[Interval], kinks: Sequence[float]
) -> st.SearchStrategy[tuple[Sequence[Any], dict[str, Any]]]:
    @st.composite
    def arguments(draw: st.DrawFn) -> tuple[Sequence[Any], dict[str, Any]]:
        inputs: list[Any] = []
        for word, shape, interval in zip(call.inputs, draw(family.drawn), intervals, strict=True):
            left_out = word in call.optional and draw(st.booleans())
            inputs.append(None if left_out else draw(arrays(shape, domain=interval, kinks=kinks)))
        return inputs, {word: draw(strategy) for word, strategy in call.settings.items()}

    return arguments()


def _one_each(domain: Any, count: int) -> list[Interval]:
    return [domain] * count if isinstance(domain[0], (int, float)) else list(domain)


def _said(domain: Any) -> str:
    if isinstance(domain[0], (int, float)):
        return f"({domain[0]:g}, {domain[1]:g})"
    return " and ".join(_said(one) for one in domain)
