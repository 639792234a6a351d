"""Rows of a table by number, and the gradient that stays rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor
from minigrad.ops import fused
from minigrad.testing.strategies import arrays, integers, shapes

seeds = st.integers(0, 2**32 - 1)


def normal(rng: Any, *shape: int) -> Tensor:
    return minigrad.tensor(rng.standard_normal(shape))


def dense_gradient(V: int, index: Any, rows: Any) -> Any:
    """What looking up `index` adds to the gradient of a table, written out."""
    total = np.zeros((V, rows.shape[-1]))
    for place in np.ndindex(index.shape):
        total[index[place]] += rows[place]
    return total


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=4), min_size=1, max_size=3), st.booleans(), seeds)
def test_row_gradients_add_up_with_each_other_and_with_dense_ones(lookups: Any, tied: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = normal(rng, 5, 3).requires_grad_()
    total, expected = minigrad.tensor(0.0, dtype=minigrad.float64), np.zeros((5, 3))
    for lookup in lookups:
        index, factor = np.array(lookup), normal(rng, len(lookup), 3)
        total = total + (fused.embedding(minigrad.tensor(index), table) * factor).sum()
        expected += dense_gradient(5, index, factor.numpy())
    if tied:
        factor = normal(rng, 5, 3)
        total, expected = total + (table * factor).sum(), expected + factor.numpy()
    for _ in range(2):  # .grad itself adds up, too
        total.backward(retain_graph=True)
    np.testing.assert_allclose(table.grad.numpy(), 2 * expected, rtol=1e-12, atol=1e-12)


def test_a_sparse_gradient_stays_rows() -> None:
    table = minigrad.ones(4, 2, requires_grad=True)
    index = minigrad.tensor([1, 3, 1])
    fused.embedding(index, table, sparse=True).sum().backward()
    assert isinstance(table.grad, Rows)
    np.testing.assert_array_equal(table.grad.to_dense().numpy(), [[0, 0], [2, 2], [0, 0], [1, 1]])
    fused.embedding(index, table).sum().backward()  # not sparse: the sum of both is a whole table
    np.testing.assert_array_equal(table.grad.numpy(), [[0, 0], [4, 4], [0, 0], [2, 2]])


@pytest.mark.parametrize("padding_idx", [1, -3])
def test_the_padding_row_gets_no_gradient(padding_idx: int) -> None:
    table = minigrad.ones(4, 2, requires_grad=True)
    fused.embedding(minigrad.tensor([[1, 3], [1, 0]]), table, padding_idx).sum().backward()
    np.testing.assert_array_equal(table.grad.numpy(), [[1, 1], [0, 0], [0, 0], [1, 1]])


@given(st.data())
def test_the_settings_do_to_values_and_gradients_what_they_say(data: st.DataObject) -> None:
    """A loop over the places: what is read, and what each place adds to the gradient of its row."""
    draw = data.draw
    by_freq, sparse = draw(st.booleans()), draw(st.booleans())
    values = draw(arrays(shapes(min_dims=2, max_dims=2, min_side=1)))
    V = len(values)
    sizes = draw(st.sampled_from([(5,), (2, 3), (), (0,)]))  # in six places of three rows one comes twice
    index = draw(integers(sizes, 0, V)).astype(draw(st.sampled_from([np.int64, np.int32, np.uint8])))
    padding_idx = draw(st.one_of(st.none(), st.integers(-V, V - 1)))
    max_norm, p = draw(st.sampled_from([None, 0.5, 2.0])), draw(st.sampled_from([2.0, 1.0, 3.0, 0.0, np.inf]))
    factor = draw(arrays((*index.shape, values.shape[1]), domain=(1, 3)))

    limited, expected = values.copy(), np.zeros_like(values)
    for row in set(index.ravel().tolist()) if max_norm is not None else ():
        norm = np.linalg.norm(values[row], p)
        limited[row] *= max_norm / (norm + 1e-7) if norm > max_norm else 1.0
    for place in np.ndindex(index.shape):
        row = int(index[place])
        often = (index == row).sum() if by_freq else 1
        expected[row] += 0 if padding_idx is not None and row == padding_idx % V else factor[place] / often

    for twice in (False, True):  # by the kernel, and in primitives
        table = minigrad.tensor(values).requires_grad_()
        found = fused.embedding(minigrad.tensor(index), table, padding_idx, max_norm, p, by_freq, sparse)
        np.testing.assert_allclose(table.detach().numpy(), limited, rtol=1e-12)
        np.testing.assert_array_equal(found.detach().numpy(), table.detach().numpy()[index])
        (gradient,) = minigrad.autograd.grad(found, table, minigrad.tensor(factor), create_graph=twice)
        assert isinstance(gradient, Rows) == (sparse and not twice)
        dense = gradient.to_dense() if isinstance(gradient, Rows) else gradient
        np.testing.assert_allclose(dense.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


def test_limiting_the_norms_is_a_write_that_the_graph_notices() -> None:
    table = (3 * minigrad.ones(3, 2)).requires_grad_()
    squares = table * table
    fused.embedding(minigrad.tensor([0]), table, max_norm=1.0)
    with pytest.raises(RuntimeError, match="in place"):
        squares.sum().backward()


@pytest.mark.oracle
@pytest.mark.parametrize("norm_type", [2.0, 1.0])
@given(seed=seeds)
def test_embedding_follows_torch(norm_type: float, seed: int) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    index, values = rng.integers(0, 5, (2, 3)), rng.standard_normal((5, 3))
    settings = {"padding_idx": 2, "max_norm": 1.0, "norm_type": norm_type, "scale_grad_by_freq": True}
    ours, theirs = minigrad.tensor(values).requires_grad_(), torch.tensor(values, requires_grad=True)
    factor = rng.standard_normal((2, 3, 3))
    found = fused.embedding(minigrad.tensor(index), ours, **settings)
    # torch scales the table in place, which its own gradient check forbids to a leaf that has a graph already
    expected = torch.nn.functional.embedding(torch.tensor(index), theirs, **settings)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6)
    (found * minigrad.tensor(factor)).sum().backward()
    (expected * torch.tensor(factor)).sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ([[0, 1], [7, 0]], r"input\[1, 0\] is row 7, the table has 5 rows, 0 to 4"),
        ([-1], r"input\[0\] is row -1"),
        (9, "input is row 9"),
    ],
)
def test_a_row_that_is_not_there_is_named(index: Any, said: str) -> None:
    with pytest.raises(IndexError, match=said):
        fused.embedding(minigrad.tensor(index), minigrad.ones(5, 2))


def test_what_is_no_table_or_no_index_is_refused() -> None:
    with pytest.raises(RuntimeError, match="tensor of integers, the row numbers, got float32"):
        fused.embedding(minigrad.ones(2), minigrad.ones(5, 2))
    with pytest.raises(RuntimeError, match="tensor of integers, the row numbers, got list"):
        fused.embedding([0], minigrad.ones(5, 2))
    with pytest.raises(RuntimeError, match=r"must be a table \(V, D\)"):
        fused.embedding(minigrad.tensor([0]), minigrad.ones(5))
    with pytest.raises(IndexError, match="padding_idx is 5, the table has 5 rows"):
        fused.embedding(minigrad.tensor([0]), minigrad.ones(5, 2), 5)
