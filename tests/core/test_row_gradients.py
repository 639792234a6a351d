"""The gradient of a lookup travels as rows: through every door of the engine, alone and added to dense gradients."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, tensor
from minigrad.core.errors import AnomalyError
from minigrad.core.modes import detect_anomaly
from minigrad.core.rows import Rows
from minigrad.nn import functional

INDEX = np.array([2, 0, 2])
G = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
DENSE = np.array([[3.0, 4.0], [0.0, 0.0], [6.0, 8.0]])  # of the rows looked up, for `G`


def _table() -> Tensor:
    return tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)


def _looked_up(table: Tensor, sparse: bool) -> Tensor:
    return (functional.embedding(tensor(INDEX), table, sparse=sparse) * tensor(G)).sum()


@pytest.mark.parametrize("sparse", [False, True])
def test_grad_gives_rows_only_where_asked(sparse: bool) -> None:
    table = _table()
    (gradient,) = grad(_looked_up(table, sparse), [table])
    assert isinstance(gradient, Rows if sparse else Tensor)
    dense = gradient.to_dense() if isinstance(gradient, Rows) else gradient
    np.testing.assert_array_equal(dense.numpy(), DENSE)


@pytest.mark.parametrize("sparse", [False, True])
def test_backward_twice_adds_up(sparse: bool) -> None:
    table = _table()
    for _ in range(2):
        _looked_up(table, sparse).backward()
    assert isinstance(table.grad, Rows if sparse else Tensor)
    dense = table.grad.to_dense() if sparse else table.grad
    np.testing.assert_array_equal(dense.numpy(), 2 * DENSE)


@pytest.mark.parametrize("rows_first", [False, True])
@pytest.mark.parametrize("create_graph", [False, True])
def test_rows_and_a_dense_gradient_of_one_table_add_up(rows_first: bool, create_graph: bool) -> None:
    table = _table()
    parts = [lambda: _looked_up(table, True), lambda: (table * table).sum()]
    first, second = (part() for part in (parts if rows_first else parts[::-1]))
    (gradient,) = grad(first + second, [table], create_graph=create_graph)
    np.testing.assert_array_equal(gradient.detach().numpy(), DENSE + 2 * table.detach().numpy())


@pytest.mark.parametrize("rows_first", [False, True])
def test_rows_and_a_dense_gradient_add_up_in_dot_grad(rows_first: bool) -> None:
    table = _table()
    parts = [lambda: _looked_up(table, True), lambda: (table * 2.0).sum()]
    for part in parts if rows_first else parts[::-1]:
        part().backward()
    assert isinstance(table.grad, Tensor)
    np.testing.assert_array_equal(table.grad.numpy(), DENSE + 2)


@pytest.mark.parametrize("sparse", [False, True])
def test_backward_into_chosen_inputs(sparse: bool) -> None:
    table, other = _table(), tensor([1.0], requires_grad=True)
    (_looked_up(table, sparse) * other).sum().backward(inputs=[table])
    assert isinstance(table.grad, Rows if sparse else Tensor)
    assert other.grad is None
    dense = table.grad.to_dense() if sparse else table.grad
    np.testing.assert_array_equal(dense.numpy(), DENSE)


def test_a_hook_on_the_table_sees_a_dense_gradient() -> None:
    table = _table()
    seen = []
    table.register_hook(lambda gradient: seen.append(gradient.numpy().copy()))
    _looked_up(table, False).backward()
    np.testing.assert_array_equal(seen[0], DENSE)


def test_a_computed_table_gets_a_dense_gradient() -> None:
    table = _table()
    _looked_up(table * 2.0, False).backward()
    np.testing.assert_array_equal(table.grad.numpy(), 2 * DENSE)


@pytest.mark.parametrize("sparse", [False, True])
def test_anomaly_detection_reads_rows(sparse: bool) -> None:
    with detect_anomaly():
        table = _table()
        _looked_up(table, sparse).backward()  # finite, and so quiet
        looked_up = functional.embedding(tensor(INDEX), table, sparse=sparse)
        with pytest.raises(AnomalyError, match="NaN flows into the gradient of 'embedding"):
            looked_up.backward(tensor(np.full((3, 2), np.nan)))


def test_a_row_with_an_infinity_in_it_is_found() -> None:
    with detect_anomaly():
        table = _table()
        scaled = functional.embedding(tensor(INDEX), table, sparse=True)
        with pytest.raises(AnomalyError, match="an infinity"):
            scaled.backward(minigrad.full((3, 2), float("inf"), dtype=minigrad.float64))
