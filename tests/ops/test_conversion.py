"""Another dtype, another device, memory of its own: when the tensor is itself, and when it is a copy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad

NAMES = {
    "Float": "f4", "Double": "f8", "Half": "f2", "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1",
    "Bool": "?",
}  # fmt: skip


def test_where_nothing_changes_it_is_the_tensor_itself() -> None:
    x = minigrad.ones(2, 3)
    for same in (
        x.to(minigrad.float32), x.to("cpu"), x.to(x), x.to("cpu", minigrad.float32), x.to(None),
        x.to(minigrad.float32, False), x.cpu(), x.float(), x.type(minigrad.float32), x.type_as(x), x.contiguous(),
        x.to(dtype="float32"),
    ):  # fmt: skip
        assert same is x


@pytest.mark.parametrize("arguments", [(True,), (minigrad.float32, True), ("cpu", minigrad.float32, False, True)])
def test_a_copy_that_is_asked_for_is_one_and_in_the_graph(arguments: Any) -> None:
    x = minigrad.ones(2, requires_grad=True)
    for copied in (x.to(*arguments), x.to("cpu", copy=True)):
        assert copied.data_ptr() != x.data_ptr()
        assert copied.tolist() == x.tolist()
        assert copied.grad_fn is not None
    wider = x.to(minigrad.float64, copy=True)  # which is a copy already
    assert wider.dtype == minigrad.float64
    assert "cast" in repr(wider.grad_fn).lower()


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_dtype_there_and_back(name: str) -> None:
    x = minigrad.ones(2).to(np.dtype(NAMES[name]))
    assert x.type() == f"minigrad.{name}Tensor"
    for wanted in (f"minigrad.{name}Tensor", f"{name}Tensor", np.dtype(NAMES[name])):
        assert minigrad.zeros(2, dtype=minigrad.int32).type(wanted).dtype == x.dtype
    assert minigrad.zeros(2).type("int16").dtype == minigrad.int16


def test_contiguous_is_row_major_without_gaps() -> None:
    x = minigrad.arange(6).reshape(2, 3)
    for other in (x.T, x[:, ::2], x[:, 1:]):
        found = other.contiguous()
        assert not other.is_contiguous()
        assert found.is_contiguous()
        assert found.tolist() == other.tolist()
    assert minigrad.tensor(5.0).contiguous().shape == ()
