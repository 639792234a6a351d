"""softmax, log_softmax and logsumexp."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad
import minigrad.nn.functional as F
from minigrad import backend
from minigrad.testing import gradcheck, gradgradcheck, standin

numbers = st.floats(-30, 30)
arrays = hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), elements=numbers)


@st.composite
def along(draw: Any) -> tuple[np.ndarray[Any, Any], int]:
    """An array, and one of its dimensions counted from either end."""
    array = draw(arrays)
    return array, draw(st.integers(-array.ndim, array.ndim - 1))


@given(along())
def test_the_family_in_extended_precision(drawing: Any) -> None:
    array, dim = drawing
    x = minigrad.tensor(array)
    e = np.exp(array.astype(np.longdouble))
    expected = e / e.sum(dim, keepdims=True)
    np.testing.assert_allclose(x.softmax(dim).numpy(), expected.astype(float), rtol=1e-12)
    np.testing.assert_allclose(x.log_softmax(dim).numpy(), np.log(expected).astype(float), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(x.logsumexp(dim).numpy(), np.log(e.sum(dim)).astype(float), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(F.softmin(-x, dim).numpy(), expected.astype(float), rtol=1e-12)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
@given(along())
def test_numeric_gradients_of_both_orders(name: str, drawing: Any) -> None:
    array, dim = drawing
    x = minigrad.tensor(array / 10).requires_grad_()

    def function(input: Any) -> Any:
        return getattr(minigrad, name)(input, dim)

    assert gradcheck(function, x, exact=True)
    assert gradgradcheck(function, x)


def test_the_third_order_of_softmax() -> None:
    x = minigrad.tensor([0.3, -0.2, 0.9], dtype=minigrad.float64).requires_grad_()

    def slope(input: Any) -> Any:
        (g,) = minigrad.grad((input.softmax(0) ** 2).sum(), input, create_graph=True)
        return g

    assert gradgradcheck(slope, x)


@given(along(), st.booleans())
def test_logsumexp_over_several_dimensions(drawing: Any, keepdim: bool) -> None:
    array, _ = drawing
    dims = tuple(range(array.ndim))
    x = minigrad.tensor(array).requires_grad_()
    result = x.logsumexp(dims, keepdim)
    np.testing.assert_allclose(result.detach().numpy(), np.log(np.exp(array).sum(dims, keepdims=keepdim)), atol=1e-12)
    result.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp(array) / np.exp(array).sum(), rtol=1e-12)


def test_nothing_overflows() -> None:
    x = minigrad.tensor([1e4, -1e4, 1e4 - 1.0])
    p = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(x.softmax(0).numpy(), [p, 0, 1 - p], rtol=1e-3)
    np.testing.assert_allclose(x.log_softmax(0).numpy(), [np.log(p), np.log(p) - 2e4, np.log(1 - p)], rtol=1e-3)
    assert x.logsumexp(0).item() == pytest.approx(1e4 - np.log(p), rel=1e-6)
    infinite = minigrad.full((2,), -float("inf"))
    assert infinite.logsumexp(0).item() == -float("inf")
    assert (-infinite).logsumexp(0).item() == float("inf")


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_odd_sizes_and_dtypes(name: str) -> None:
    function = getattr(minigrad, name)
    torch = pytest.importorskip("torch")
    for shape, dim in [((), 0), ((), -1), ((0, 3), 1), ((3, 0), 0), ((1,), 0)]:
        x, y = minigrad.ones(*shape, requires_grad=True), torch.ones(shape, requires_grad=True)
        ours, theirs = function(x, dim), getattr(torch, name)(y, dim)
        assert tuple(ours.shape) == tuple(theirs.shape)
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6)
        ours.sum().backward()
        theirs.sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), atol=1e-6)
    assert function(minigrad.tensor([1, 2]), 0).dtype == minigrad.float32
    assert function(minigrad.ones(2, dtype=minigrad.float64), 0).dtype == minigrad.float64


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_dtype_converts_first(name: str) -> None:
    x = minigrad.ones(3, requires_grad=True)
    result = getattr(minigrad, name)(x, dim=0, dtype=minigrad.float64)
    assert result.dtype == minigrad.float64
    result[0].backward()
    assert x.grad.dtype == minigrad.float32


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_a_dimension_there_is_not(name: str) -> None:
    with pytest.raises(IndexError, match="out of range"):
        getattr(minigrad, name)(minigrad.ones(2, 3), 2)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_on_another_device_without_waiting(name: str) -> None:
    standin.install()
    host = minigrad.tensor(np.random.default_rng(0).standard_normal((2, 3))).requires_grad_()
    away = minigrad.core.tensor.wrap(backend.transfer(host._array, "standin")).requires_grad_()
    getattr(host, name)(1)[0].sum().backward()
    with standin.no_synchronisation():
        getattr(away, name)(1)[0].sum().backward()
    np.testing.assert_allclose(backend.to_host(away.grad._array), host.grad.numpy(), rtol=1e-12, atol=1e-12)
