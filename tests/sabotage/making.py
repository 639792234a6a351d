"""What a sabotage is, and small ops to sabotage: each right unless it is given something wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from minigrad import primitive
from minigrad.backend import Array
from minigrad.testing.strategies import arrays, shapes

Rule = Callable[..., Any]

# Enough to find the fault; how small the example can be made is not the question here.
QUICK: dict[str, Any] = {
    "max_examples": 40,
    "derandomize": True,
    "database": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
    "print_blob": False,
}

# What a property raises, and what a sabotaged op itself raises where the property puts it: on Tensors, read-only
# arrays, another device. An op with a memory may fail once and pass when tried again: hypothesis calls that flaky.
CAUGHT = (AssertionError, RuntimeError, TypeError, ValueError, AttributeError, ArithmeticError, LookupError, Flaky)


@dataclass(frozen=True)
class Patch:
    """A piece of the engine exchanged for a wrong one."""

    owner: Any
    name: str
    wrong: Any


@dataclass(frozen=True)
class Sabotage:
    """One fault, what it is put into, and who has to find it.

    Args:
        what: the fault, in a few words.
        spec: of the op, module or optimizer that has it.
        caught_by: the property that finds it.
        says: what the report says, as a regular expression: the fault meant, and not a slip in the sabotage.
        engine: the fault is not in the op but here.
        users: what a user's check may say instead, where a property that comes earlier finds the same fault.
    """

    what: str
    spec: Any
    caught_by: str
    says: str
    engine: Patch | None = None
    users: str | None = None


def product(**rules: Rule) -> Any:
    """x * y with the right rules, or with the ones given."""

    @primitive(promote=True)
    def times(input: Array, other: Array) -> Array:
        return input * other

    times.vjp(**{"input": lambda g, other: g * other, "other": lambda g, input: g * input, **rules})
    return times


def of_one(forward: Callable[[Any], Any], rule: Rule) -> Any:
    """An op of one input with the rule given."""

    @primitive
    def op(input: Array) -> Array:
        return forward(input)

    op.vjp(input=rule)
    return op


def cubed(rule: Rule) -> Any:
    """x ** 3 with the rule given."""
    return of_one(lambda x: x * x * x, rule)


def doubled(rule: Rule) -> Any:
    """2 x with the rule given."""
    return of_one(lambda x: x * 2, rule)


def times(x: Any, y: Any) -> Any:
    """The reference of `product`."""
    return x * y


def cube(x: Any) -> Any:
    """The reference of `cubed`."""
    return x * x * x


def double(x: Any) -> Any:
    """The reference of `doubled`."""
    return x * 2


@st.composite
def of_shapes(draw: st.DrawFn, *sizes: tuple[int, ...]) -> Any:
    """Inputs of just these shapes, and no settings."""
    return [draw(arrays(shape)) for shape in sizes], {}


@st.composite
def one_vector(draw: st.DrawFn) -> Any:
    """One vector of one to four elements."""
    return [draw(arrays(shapes(min_dims=1, max_dims=1, min_side=1, max_side=4)))], {}
