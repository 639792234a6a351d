"""Which dtype a mix of dtypes gives, and what numbers: every pair, as tensors, 0-d tensors and Python numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad

from .both import torch

pytestmark = pytest.mark.oracle

_DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
_PAIRS = list(itertools.product(_DTYPES, _DTYPES))
_KINDS = ["tensor", "0-d", "number"]

_OPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda library, x, y: x + y,
    "mul": lambda library, x, y: x * y,
    "sub": lambda library, x, y: x - y,
    "div": lambda library, x, y: x / y,
    "floor_divide": lambda library, x, y: x // y,
    "remainder": lambda library, x, y: x % y,
    "pow": lambda library, x, y: x**y,
    "eq": lambda library, x, y: x == y,
    "lt": lambda library, x, y: x < y,
    "where": lambda library, x, y: library.where(library.tensor([True, False]), x, y),
    "and": lambda library, x, y: x & y,
    "reflected sub": lambda library, x, y: y - x,
    "reflected div": lambda library, x, y: y / x,
    "in place": lambda library, x, y: x.add_(y),
}
_OF_TENSORS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "cat": lambda library, x, y: library.cat([x, y]),
    "stack": lambda library, x, y: library.stack([x, y]),
    "maximum": lambda library, x, y: library.maximum(x, y),
    "atan2": lambda library, x, y: library.atan2(x, y),
    "copy_": lambda library, x, y: x.copy_(y),
}
_ONLY_HERE = {"floor_divide", "remainder", "pow", "sub", "reflected sub"}  # of bools, which count as 0 and 1


def _operand(library: Any, dtype: str, kind: str) -> Any:
    if kind == "number":
        return True if dtype == "bool" else 2 if "int" in dtype else 2.0
    numbers = [3, 1] if kind == "tensor" else 2
    return library.tensor(numbers).to(getattr(library, dtype))


def _result(library: Any, op: Callable[..., Any], first: str, second: str, kind: str) -> Any:
    try:
        result = op(library, _operand(library, first, "tensor"), _operand(library, second, kind))
    except (RuntimeError, TypeError, NotImplementedError, ZeroDivisionError):
        return None
    return str(result.dtype).removeprefix("torch."), result.tolist()


def _assert_same(name: str, op: Callable[..., Any], first: str, second: str, kind: str) -> None:
    expected, found = (_result(library, op, first, second, kind) for library in (torch(), minigrad))
    if expected is None and (found is None or (name in _ONLY_HERE and "bool" in (first, second))):
        return
    assert found is not None, f"{name} of {first} and a {kind} of {second} is refused, PyTorch has {expected}"
    assert expected is not None, f"{name} of {first} and a {kind} of {second} is refused by PyTorch, here {found}"
    assert found[0] == expected[0], f"{name} of {first} and a {kind} of {second}: {found}, in PyTorch {expected}"
    np.testing.assert_allclose(
        found[1], expected[1], rtol=2e-3 if "16" in found[0] else 1e-6, err_msg=f"{name} of {first}, {second}"
    )


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("name", _OPS)
def test_a_pair_gives_pytorchs_dtype_and_numbers(name: str, kind: str) -> None:
    for first, second in _PAIRS:
        _assert_same(name, _OPS[name], first, second, kind)


@pytest.mark.parametrize("name", _OF_TENSORS)
def test_tensors_give_pytorchs_dtype_and_numbers(name: str) -> None:
    for first, second in _PAIRS:
        _assert_same(name, _OF_TENSORS[name], first, second, "tensor")


def test_promote_types_is_pytorchs() -> None:
    for first, second in _PAIRS:
        expected = torch().promote_types(getattr(torch(), first), getattr(torch(), second))
        found = minigrad.promote_types(getattr(minigrad, first), getattr(minigrad, second))
        assert found == np.dtype(str(expected).removeprefix("torch.")), (first, second)


@pytest.mark.parametrize(
    "name", ["sum", "prod", "cumsum", "mean", "any", "exp", "sqrt", "abs", "sign", "floor", "square"]
)
def test_one_dtype_gives_pytorchs(name: str) -> None:
    arguments = (0,) if name == "cumsum" else ()
    for dtype in _DTYPES:
        found, expected = (
            _result(library, lambda library, x, y: getattr(x, name)(*arguments), dtype, dtype, "tensor")
            for library in (minigrad, torch())
        )
        if expected is not None:
            assert found is not None, f"{name} of {dtype} is refused, PyTorch has {expected}"
            assert found[0] == expected[0], f"{name} of {dtype} is {found[0]}, in PyTorch {expected[0]}"
            np.testing.assert_allclose(found[1], expected[1], rtol=2e-3 if "16" in found[0] else 1e-6)
