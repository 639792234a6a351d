"""Result types over all pairs of dtypes and ranks, against PyTorch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.core import dtypes

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128"]
PAIRS = list(itertools.product(NAMES, NAMES))


def torch_name(dtype: Any) -> str:
    """PyTorch's name, with complex64 for the complex32 that NumPy does not have."""
    return str(dtype).removeprefix("torch.").replace("complex32", "complex64")


@pytest.mark.oracle
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_promote_types(first: str, second: str) -> None:
    torch = pytest.importorskip("torch")
    expected = torch.promote_types(getattr(torch, first), getattr(torch, second))
    assert torch_name(expected) == str(minigrad.promote_types(getattr(minigrad, first), getattr(minigrad, second)))


@pytest.mark.oracle
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_result_type_over_ranks(first: str, second: str) -> None:
    torch = pytest.importorskip("torch")
    for shapes in itertools.product([(), (2,)], repeat=2):
        ours = minigrad.result_type(np.zeros(shapes[0], first), np.zeros(shapes[1], second))
        theirs = torch.result_type(
            torch.zeros(shapes[0], dtype=getattr(torch, first)), torch.zeros(shapes[1], dtype=getattr(torch, second))
        )
        assert str(ours) == torch_name(theirs), shapes


@pytest.mark.oracle
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [True, 2, 1.5, 1j])
def test_result_type_with_numbers(name: str, number: Any) -> None:
    torch = pytest.importorskip("torch")
    for shape in [(), (2,)]:
        ours = minigrad.result_type(np.zeros(shape, name), number)
        theirs = torch.result_type(torch.zeros(shape, dtype=getattr(torch, name)), number)
        assert str(ours) == torch_name(theirs), shape


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_products_have_the_result_type(first: str, second: str) -> None:
    torch = pytest.importorskip("torch")
    for shapes in itertools.product([(), (2,)], repeat=2):
        x, y = (minigrad.tensor(np.ones(shape, name)) for shape, name in zip(shapes, (first, second), strict=True))
        a, b = (
            torch.ones(shape, dtype=getattr(torch, name)) for shape, name in zip(shapes, (first, second), strict=True)
        )
        assert str((x * y).dtype) == torch_name((a * b).dtype), shapes


@pytest.mark.oracle
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [True, 2, 1.5])
def test_products_with_numbers_on_both_sides(name: str, number: Any) -> None:
    torch = pytest.importorskip("torch")
    for shape in [(), (2,)]:
        x, a = minigrad.tensor(np.ones(shape, name)), torch.ones(shape, dtype=getattr(torch, name))
        assert str((x * number).dtype) == str((number * x).dtype) == torch_name((a * number).dtype), shape


def test_the_sentences_of_the_design() -> None:
    int64, float32 = np.zeros(2, np.int64), np.zeros(2, np.float32)
    assert minigrad.result_type(int64, float32) == minigrad.float32
    assert minigrad.result_type(float32, np.zeros((), np.float64)) == minigrad.float32
    assert minigrad.result_type(int64, 1.5) == minigrad.float32
    assert minigrad.tensor([1, 2]).tanh().dtype == minigrad.float32
    assert minigrad.tensor([1.0]).dtype == minigrad.float32
    assert minigrad.tensor(np.array([1.0])).dtype == minigrad.float64
    assert minigrad.tensor([1]).dtype == minigrad.int64
    assert minigrad.tensor([True]).dtype == minigrad.bool


def test_the_default_dtype() -> None:
    assert minigrad.get_default_dtype() == minigrad.float32
    minigrad.set_default_dtype(minigrad.float64)
    try:
        assert minigrad.tensor([1.0]).dtype == minigrad.float64
        assert minigrad.result_type(np.zeros(2, np.int64), 1.5) == minigrad.float64
        assert minigrad.tensor([1]).tanh().dtype == minigrad.float64
    finally:
        minigrad.set_default_dtype(minigrad.float32)
    with pytest.raises(TypeError, match="set_default_dtype takes float32 or float64, got int64"):
        minigrad.set_default_dtype(minigrad.int64)


def test_mixed_dtypes_give_each_input_its_own_gradient() -> None:
    x = minigrad.tensor([1.0, 2.0], dtype=minigrad.float32, requires_grad=True)
    y = minigrad.tensor([3.0, 4.0], dtype=minigrad.float64, requires_grad=True)
    z = x * y
    assert z.dtype == minigrad.float64
    z.sum().backward()
    assert x.grad.dtype == minigrad.float32
    assert y.grad.dtype == minigrad.float64
    assert x.grad.tolist() == [3, 4]


def test_integers_beside_a_leaf() -> None:
    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    (x * minigrad.tensor([3, 4]) * True * 2).sum().backward()
    assert x.grad.tolist() == [6, 8]


def test_a_whole_number_beside_floats_keeps_them() -> None:
    half = minigrad.tensor([1.0], dtype=minigrad.float16)
    assert (half * 2).dtype == (half * 2.5).dtype == minigrad.float16


def test_floating_kinds() -> None:
    assert dtypes.is_floating(minigrad.float16)
    assert dtypes.is_floating(minigrad.complex64)
    assert not dtypes.is_floating(minigrad.int64)


@pytest.mark.parametrize(
    ("operands", "expected"),
    [
        ([np.zeros(2, "int64"), np.zeros(2, "float16")], "float16"),  # a tensor of a higher category decides
        ([np.zeros(2, "float32"), np.zeros((), "float64")], "float32"),  # one of no dimensions does not
        ([np.zeros(2, "int64"), np.zeros((), "float64")], "float64"),  # but for a higher category
        ([np.zeros(2, "complex64"), np.zeros(2, "float64")], "complex128"),
        ([np.zeros(2, "complex64"), np.zeros(2, "int64")], "complex64"),
        ([np.zeros(2, "float64"), 1j], "complex128"),  # a complex number as precise as the tensor is
        ([np.zeros(2, "float32"), np.zeros((), "complex128")], "complex64"),
        ([np.zeros(2, "int64"), 1.5], "float32"),
        ([np.zeros(2, "bool"), 2], "int64"),
        ([True, 2, 1.5], "float32"),
    ],
)
def test_the_table_in_examples(operands: Any, expected: str) -> None:
    assert str(minigrad.result_type(*operands)) == expected
    assert str(minigrad.result_type(*reversed(operands))) == expected
