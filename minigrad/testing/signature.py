"""What the signature of an op says of how it is called: which parameters are arrays, and how settings are drawn."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import combinations
from operator import or_
from typing import Any, Literal, NamedTuple

from hypothesis import strategies as st

from minigrad.autograd import Function
from minigrad.testing.strategies import Interval

_PLAIN = (bool, int, float, str, type(None))  # annotations of settings
_DIMENSIONS = {"dim", "axis"}
_NO_ARRAYS = _DIMENSIONS | {"dtype", "device", "generator"}  # though they are None by default


class Call(NamedTuple):
    """How to read a signature.

    inputs: the arrays by name, in order; those in `optional` may be None, those in `absent` always are.
    settings: how to draw each; those in `dims` count dimensions of the first array, and have this default; those in
        `choices` have only these few values.
    fixed: the settings of which only the default is tried, and nobody said so.
    whole: the input that has whole numbers, such as an index; "" if none has.
    mask: the input that is True or False; "" if none is.
    """

    inputs: list[str]
    optional: list[str]
    absent: list[str]
    settings: dict[str, st.SearchStrategy[Any]]
    dims: dict[str, int]
    choices: dict[str, tuple[Any, ...]]
    fixed: dict[str, Any]
    whole: str = ""
    mask: str = ""

    @property
    def present(self) -> list[str]:
        """The inputs that are arrays."""
        return [word for word in self.inputs if word not in self.absent]


def read(op: Callable[..., Any], name: str, given: dict[str, Any]) -> tuple[Call, list[str]]:
    """The signature, and the parameters that are None by default: arrays, or settings."""
    if hasattr(op, "state_dict"):
        raise TypeError(f"check_op({name}): this is a Module, whose parameters want checking, too: use check_module")
    record = getattr(op, "op", None)
    forward = op if record is None else record.forward
    owner = function_of(forward)
    call, undecided = Call([], [], [], {}, {}, {}, {}), []
    try:
        parameters = _parameters(forward)
    except (TypeError, ValueError) as error:
        raise TypeError(f"check_op({name}): it has no signature to read: pass arguments=") from error
    for word, parameter in parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD or (word == "keep" and record is not None):
            continue
        annotation = _annotation(forward if owner is None else owner.forward, word, parameter)
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


def _parameters(forward: Callable[..., Any], *, follow_wrapped: bool = True) -> dict[str, inspect.Parameter]:
    """The parameters that a caller gives; those of an autograd Function are its forward's, without the context."""
    owner, has_context = function_of(forward), False
    if owner is not None:
        forward, has_context = owner.forward, not hasattr(owner, "setup_context")
    parameters = inspect.signature(forward, follow_wrapped=follow_wrapped).parameters
    return dict(list(parameters.items())[has_context:])


def function_of(op: Any) -> type[Function] | None:
    """The autograd Function whose `apply` this is."""
    owner = getattr(op, "__self__", None)
    return owner if isinstance(owner, type) and issubclass(owner, Function) else None


class Places:
    """Where a call's inputs and settings go: settings by keyword, as long as they arrive that way.

    Of `f(n, x)` the first place is that of the setting n, and a Function's `apply` takes nothing by keyword.
    """

    def __init__(self, op: Callable[..., Any]) -> None:
        self.op, self.keywords = op, function_of(op) is None
        record = getattr(op, "op", None)
        try:
            # A wrapper may arrange the arguments in another way than what it wraps: its own signature counts.
            parameters = _parameters(op if record is None else record.forward, follow_wrapped=False)
        except (TypeError, ValueError):  # it has no signature, as a ufunc: nothing is known of its places
            parameters = {}
        self.parameters = [one for one in parameters.values() if _by_position(one)]

    def call(self, inputs: Sequence[Any], settings: dict[str, Any]) -> Any:
        """Call the op."""
        if self.keywords and not any(one.name in settings for one in self.parameters[: len(inputs)]):
            return self.op(*inputs, **settings)
        left, named, placed = list(inputs), dict(settings), []
        for one in self.parameters:
            if one.name in named:
                placed.append(named.pop(one.name))
            elif left:
                placed.append(left.pop(0))
            elif named and one.default is not one.empty:
                placed.append(one.default)
            else:
                break
        return self.op(*placed, *left, **named)


def readings(call: Call, undecided: list[str]) -> list[Call]:
    """Ways to read a signature: real numbers in all inputs, then whole ones in one of several, as in an index, or True
    and False, as in a mask."""
    real = list(_of_real_numbers(call, undecided))
    several = [one for one in real if len(one.present) > 1]
    whole = [one._replace(whole=word) for one in several for word in one.present]
    return [*real, *whole, *(one._replace(mask=word) for one in several for word in one.present)]


def _of_real_numbers(call: Call, undecided: list[str]) -> Iterator[Call]:
    """The way that tries the most comes first: what is None by default may be an array."""
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


def _by_position(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)


def _annotation(function: Callable[..., Any], word: str, parameter: inspect.Parameter) -> Any:
    try:
        return typing.get_type_hints(function).get(word, parameter.annotation)
    except Exception:  # it may say anything: a name that only a type checker knows, or no Python at all
        names: dict[str, Any] = {"None": type(None)} | {kind.__name__: kind for kind in _PLAIN}
        said = [one.strip() for one in str(parameter.annotation).split("|")]
        return reduce(or_, [names[one] for one in said]) if set(said) <= set(names) else parameter.annotation


def _is_plain(annotation: Any) -> bool:
    """Whether it is an annotation of a setting: of numbers and words, or of several of them, as `tuple[int, ...]`."""
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        return True
    return annotation in _PLAIN or (bool(parts) and all(one is ... or _is_plain(one) for one in parts))


def _is_array(parameter: inspect.Parameter, annotation: Any) -> bool:
    required = parameter.kind is not parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    return required and not _is_plain(annotation)


def _may_be_array(parameter: inspect.Parameter, word: str, annotation: Any) -> bool:
    none_by_default = _by_position(parameter) and parameter.default is None
    return none_by_default and not _is_plain(annotation) and word not in _NO_ARRAYS


def one_each(domain: Any, count: int, name: str) -> list[Interval]:
    """The interval for each of `count` inputs: the domain itself, or its parts; ValueError if there are not so many."""
    if isinstance(domain[0], (int, float)):
        return [domain] * count
    if len(domain) != count:
        raise ValueError(f"{name}: domain has {len(domain)} intervals, and the op {count} inputs")
    return list(domain)


def _add_setting(
    call: Call, name: str, word: str, parameter: inspect.Parameter, annotation: Any, given: dict[str, Any]
) -> None:
    """How a setting is drawn: as said, as its annotation says, over the dimensions, or its default alone."""
    default = parameter.default
    if word in given:
        value = given[word]
        call.settings[word] = value if isinstance(value, st.SearchStrategy) else st.just(value)
    elif word == "inplace" and default is False:  # written into its input, a leaf that requires grad would be refused
        call.fixed[word] = default
        call.settings[word] = st.just(default)
    elif typing.get_origin(annotation) is Literal:
        call.choices[word] = typing.get_args(annotation)
        call.settings[word] = st.sampled_from(call.choices[word])
    elif annotation is bool or isinstance(default, bool):
        call.choices[word] = (False, True)
        call.settings[word] = st.booleans()
    elif default is parameter.empty:
        raise TypeError(
            f"check_op({name}): the setting {word!r} has no default: say what to draw with settings={{{word!r}: ...}} "
            f"(in an OpSpec, with arguments=)"
        )
    else:
        call.settings[word] = st.just(default)
        if word in _DIMENSIONS and isinstance(default, int):
            call.dims[word] = default
        else:
            call.fixed[word] = default
