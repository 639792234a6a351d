"""Which rules of a user's read as rules: helpers and numbers' builtins may be used, what only arrays have may not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minigrad import primitive
from minigrad.backend import Array
from minigrad.testing.rules import faults_of_rules, rules_can_be_read


def twice(g: Any, x: Any) -> Any:
    return g * 2 * abs(x)


def copies(g: Any) -> Any:
    return g.copy()


def again(g: Any, count: int) -> Any:
    return g if count == 0 else again(g, count - 1)


class Rule:
    def __call__(self, g: Any) -> Any:
        return g * 2.0


def op_with(rule: Any) -> Any:
    @primitive
    def op(input: Array, *, n: int = 2) -> Array:
        return input * n

    op.vjp(input=rule)
    return op.op


RIGHT = {
    "a helper": lambda g, input: twice(g, input),
    "a helper that calls itself": lambda g, n: again(g, n),
    "a comprehension": lambda g, input: sum([twice(g, input) for _ in range(1)]),
    "abs": lambda g, input: g * abs(input),
    "pow": lambda g, input, n: g * pow(input, n),
    "float": lambda g, n: g * float(n),
}
WRONG = {
    "a helper with a fault": (lambda g: copies(g), r"in `copies\(\)`, .*`\.copy` is not among"),
    "NumPy": (lambda g: np.negative(g), "belongs to"),
    "NumPy in a comprehension": (lambda g: sum([np.negative(g) for _ in range(1)]), "belongs to"),
    "print": (lambda g: print(g) or g, "is a builtin"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_rules_of_users_are_accepted(name: str) -> None:
    assert faults_of_rules(op_with(RIGHT[name])) == []


@pytest.mark.parametrize("name", WRONG)
def test_faults_are_found_in_helpers_too(name: str) -> None:
    rule, said = WRONG[name]
    with pytest.raises(AssertionError, match=said):
        raise AssertionError("; ".join(faults_of_rules(op_with(rule))))


def test_minigrads_own_rules_are_held_to_ops(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = RIGHT["abs"]
    monkeypatch.setattr(rule, "__module__", "minigrad.ops.mine")
    assert faults_of_rules(op_with(rule)) != []


def test_a_callable_object_is_not_read() -> None:
    assert not rules_can_be_read(op_with(Rule()))
