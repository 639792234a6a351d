"""Linear, Bilinear, Embedding, LayerNorm, RMSNorm, Dropout, Identity, Flatten."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.core.rows import Rows
from nn.oracle import agree, array, close, runs_on_standin, torch

Array = Any


# ---- Linear ---------------------------------------------------------------------------------------------------------


@given(
    leading=st.lists(st.integers(0, 3), max_size=2), inside=st.integers(1, 4), out=st.integers(1, 4), bias=st.booleans()
)
def test_linear_is_its_definition(leading: list[int], inside: int, out: int, bias: bool) -> None:
    layer = nn.Linear(inside, out, bias=bias, dtype=minigrad.float64)
    x = np.random.default_rng(0).normal(size=(*leading, inside))
    expected = x @ array(layer.weight).T + (array(layer.bias) if bias else 0)
    close(layer(minigrad.tensor(x)), expected, 1e-12)


@pytest.mark.oracle
@given(
    leading=st.lists(st.integers(1, 3), max_size=2), inside=st.integers(1, 4), out=st.integers(1, 4), bias=st.booleans()
)
def test_linear_is_pytorchs(leading: list[int], inside: int, out: int, bias: bool) -> None:
    x = np.random.default_rng(0).normal(size=(*leading, inside)).astype(np.float32)
    agree(nn.Linear(inside, out, bias), torch().nn.Linear(inside, out, bias), x)


def test_linear_starts_inside_its_bound_and_runs_on_the_standin_device() -> None:
    minigrad.manual_seed(0)
    layer = nn.Linear(100, 30)
    for parameter in layer.parameters():
        assert 0.08 < np.abs(array(parameter)).max() <= 0.1
    runs_on_standin(layer, np.ones((2, 100), np.float32))
    before = array(layer.weight)
    minigrad.manual_seed(1)
    layer.reset_parameters()
    assert (array(layer.weight) != before).any()


def test_linear_refuses_what_does_not_fit() -> None:
    with pytest.raises(RuntimeError, match=r"\(2, 4\).*\(5, 3\)"):
        nn.Linear(3, 5)(minigrad.ones(2, 4))


@pytest.mark.oracle
@given(leading=st.lists(st.integers(1, 3), max_size=2), sizes=st.tuples(*[st.integers(1, 3)] * 3), bias=st.booleans())
def test_bilinear_is_pytorchs(leading: list[int], sizes: tuple[int, int, int], bias: bool) -> None:
    rng = np.random.default_rng(0)
    pair = [rng.normal(size=(*leading, size)) for size in sizes[:2]]
    ours, theirs = (library.Bilinear(*sizes, bias).double() for library in (nn, torch().nn))
    assert repr(ours) == repr(theirs)
    agree(ours, theirs, *pair, tolerance=1e-10)


def test_bilinear_starts_inside_its_bound_and_runs_on_the_standin_device() -> None:
    minigrad.manual_seed(0)
    layer = nn.Bilinear(100, 3, 20)
    for parameter in layer.parameters():
        assert 0.08 < np.abs(array(parameter)).max() <= 0.1
    runs_on_standin(layer, np.ones((2, 100), np.float32), np.ones((2, 3), np.float32))


def test_bilinear_refuses_what_does_not_fit() -> None:
    layer = nn.Bilinear(2, 3, 4)
    for shapes in (((5, 3), (5, 3)), ((5, 2), (4, 3)), ((5, 2), (5, 2)), ((), ())):
        with pytest.raises(RuntimeError, match=r"must be \(\.\.\., I\), \(\.\.\., J\) and \(O, I, J\)"):
            layer(*[minigrad.ones(shape) for shape in shapes])
    with pytest.raises(RuntimeError, match=r"bias has shape \(3,\), it must be \(4,\)"):
        F.bilinear(minigrad.ones(2), minigrad.ones(3), layer.weight, minigrad.ones(3))
    with pytest.raises(ValueError, match="in1_features must be above 0"):
        nn.Bilinear(0, 3, 4)


def test_identity_and_flatten() -> None:
    x = minigrad.randn(2, 3, 4)
    assert nn.Identity(1, unused=2)(x) is x
    assert nn.Flatten()(x).shape == (2, 12)
    assert nn.Flatten(0, 1)(x).shape == (6, 4)


# ---- Embedding ------------------------------------------------------------------------------------------------------


@pytest.mark.oracle
@given(
    index=hnp.arrays(np.int64, hnp.array_shapes(max_dims=2, max_side=4), elements=st.integers(0, 4)),
    padding_idx=st.sampled_from([None, 0, 3, -1]),
    scaled=st.booleans(),
    sparse=st.booleans(),
)
def test_embedding_is_pytorchs(index: Array, padding_idx: int | None, scaled: bool, sparse: bool) -> None:
    settings = {"padding_idx": padding_idx, "scale_grad_by_freq": scaled, "sparse": sparse and not scaled}
    ours, theirs = (library.Embedding(5, 3, **settings) for library in (nn, torch().nn))
    assert repr(ours) == repr(theirs)
    agree(ours, theirs, index)
    assert isinstance(ours.weight.grad, Rows) == (sparse and not scaled)


def test_embedding_starts_normal_with_a_row_of_zeros() -> None:
    minigrad.manual_seed(0)
    table = array(nn.Embedding(200, 10, padding_idx=-2).weight)
    assert not table[198].any()
    assert table.std() == pytest.approx(1, rel=0.1)
    with pytest.raises(IndexError, match="padding_idx=5 is not among the 5 rows"):
        nn.Embedding(5, 2, padding_idx=5)


@pytest.mark.oracle
def test_embedding_with_a_largest_norm_is_pytorchs() -> None:
    ours, theirs = (library.Embedding(5, 3, max_norm=1.0, norm_type=3.0) for library in (nn, torch().nn))
    assert repr(ours) == repr(theirs)
    agree(ours, theirs, np.array([1, 3, 1]))
    close(ours.weight, theirs.weight, 1e-6)


def test_embedding_of_given_vectors() -> None:
    vectors = minigrad.randn(4, 2)
    frozen = nn.Embedding.from_pretrained(vectors, padding_idx=1)
    close(frozen(minigrad.tensor([2, 0])), array(vectors)[[2, 0]])
    close(frozen(minigrad.tensor(2)), array(vectors)[2])
    assert not frozen.weight.requires_grad
    assert np.shares_memory(frozen.weight._array, vectors._array)
    learned = nn.Embedding.from_pretrained(vectors, freeze=False, sparse=True)
    learned(minigrad.tensor([2, 2])).sum().backward()
    close(learned.weight.grad, np.array([[0, 0], [0, 0], [2, 2], [0, 0]], np.float32))
    assert isinstance(learned.weight.grad, Rows)
    with pytest.raises(ValueError, match=r"\(rows, dim\), got shape \(3,\)"):
        nn.Embedding.from_pretrained(minigrad.ones(3))


def test_embedding_refuses_rows_it_has_not() -> None:
    with pytest.raises(IndexError, match="row 5, the table has 5 rows"):
        nn.Embedding(5, 2)(minigrad.tensor([[0, 5]]))


@pytest.mark.parametrize("sparse", [False, True])
def test_embedding_runs_on_the_standin_device(sparse: bool) -> None:
    index = np.array([[0, 1], [1, 3]])
    layer = nn.Embedding(5, 3, padding_idx=0, sparse=sparse)
    if sparse:  # a sparse gradient waits only when it is read
        layer.to("standin")(minigrad.tensor(index, device="standin")).sum().backward()
        expected = np.zeros((5, 3), np.float32)
        expected[[1, 3]] = [[2.0], [1.0]]
        close(layer.weight.grad.to_dense(), expected)
    else:
        runs_on_standin(layer, index)


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_sizes_may_be_numpys(kind: Any) -> None:
    two, three, one = kind(2), kind(3), kind(1)
    for found, plain in (
        (nn.LSTM(two, three, two, proj_size=one), nn.LSTM(2, 3, 2, proj_size=1)),
        (nn.RNN(two, three), nn.RNN(2, 3)),
        (nn.GRUCell(two, three), nn.GRUCell(2, 3)),
        (nn.Linear(two, three), nn.Linear(2, 3)),
        (nn.Embedding(two, three), nn.Embedding(2, 3)),
        (nn.LayerNorm(two), nn.LayerNorm(2)),
        (nn.RMSNorm(three), nn.RMSNorm(3)),
    ):
        assert repr(found) == repr(plain)
        assert [tuple(one.shape) for one in found.parameters()] == [tuple(one.shape) for one in plain.parameters()]


# ---- LayerNorm ------------------------------------------------------------------------------------------------------


@pytest.mark.oracle
@given(
    shape=hnp.array_shapes(min_dims=1, max_dims=4, max_side=4), dims=st.integers(1, 2), affine=st.booleans(),
    bias=st.booleans(), eps=st.sampled_from([1e-5, 0.1]),
)  # fmt: skip
def test_layer_norm_is_pytorchs(shape: tuple[int, ...], dims: int, affine: bool, bias: bool, eps: float) -> None:
    sizes = shape[-min(dims, len(shape)) :]
    ours, theirs = (library.LayerNorm(sizes, eps, affine, bias).double() for library in (nn, torch().nn))
    for parameter in ours.parameters():
        nn.init.normal_(parameter)
    assert repr(ours) == repr(theirs)
    agree(ours, theirs, np.random.default_rng(0).normal(size=shape), tolerance=1e-8)


def test_layer_norm_has_mean_0_and_variance_1_and_runs_on_the_standin_device() -> None:
    x = np.random.default_rng(0).normal(3, 5, size=(4, 200))
    normal = array(nn.LayerNorm(200).double()(minigrad.tensor(x)))
    np.testing.assert_allclose(normal.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(normal.std(axis=1), 1, atol=1e-5)
    runs_on_standin(nn.LayerNorm((2, 3)), x[:, :6].reshape(4, 2, 3).astype(np.float32))


# ---- RMSNorm --------------------------------------------------------------------------------------------------------


@pytest.mark.oracle
@given(
    shape=hnp.array_shapes(min_dims=1, max_dims=4, max_side=4), dims=st.integers(1, 2), affine=st.booleans(),
    eps=st.sampled_from([None, 0.1]), dtype=st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_rms_norm_is_pytorchs(shape: tuple[int, ...], dims: int, affine: bool, eps: float | None, dtype: Any) -> None:
    sizes = shape[-min(dims, len(shape)) :]
    tensor_dtype = [getattr(library, np.dtype(dtype).name) for library in (minigrad, torch())]
    ours, theirs = (
        library.RMSNorm(sizes, eps, affine, dtype=kind)
        for library, kind in zip((nn, torch().nn), tensor_dtype, strict=True)
    )
    for parameter in ours.parameters():
        nn.init.normal_(parameter)
    assert repr(ours) == repr(theirs)
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    agree(ours, theirs, x, tolerance=1e-9 if dtype is np.float64 else 2e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rms_norm_near_0_is_pytorchs(dtype: str) -> None:
    x = np.array([[1e-4, -2e-4, 3e-5], [1e-8, 2e-8, 0], [0, 0, 0]], dtype)
    found, expected = F.rms_norm(minigrad.tensor(x), (3,)), torch().nn.functional.rms_norm(torch().tensor(x), (3,))
    close(found, expected, 1e-6)


def test_rms_norm_has_mean_square_1_and_runs_on_the_standin_device() -> None:
    x = np.random.default_rng(0).normal(3, 5, size=(4, 6))
    normal = array(nn.RMSNorm(6).double()(minigrad.tensor(x)))
    np.testing.assert_allclose((normal**2).mean(axis=1), 1)
    runs_on_standin(nn.RMSNorm((2, 3)), x.reshape(4, 2, 3).astype(np.float32))


@pytest.mark.parametrize("normalise", [F.layer_norm, F.rms_norm])
def test_a_norm_refuses_what_does_not_fit(normalise: Any) -> None:
    name = normalise.__name__
    with pytest.raises(RuntimeError, match=rf"{name}: input \(2, 3\) must end in normalized_shape \(2,\)"):
        normalise(minigrad.ones(2, 3), 2)
    with pytest.raises(RuntimeError, match=rf"{name}: weight is float64 of shape \(3,\).* it must be float32"):
        normalise(minigrad.ones(2, 3), 3, minigrad.ones(3).double())


# ---- Dropout --------------------------------------------------------------------------------------------------------


@given(p=st.floats(0, 1), seed=st.integers(0, 99))
def test_dropout_drops_a_share_and_scales_the_rest(p: float, seed: int) -> None:
    minigrad.manual_seed(seed)
    x = minigrad.ones(2000, requires_grad=True)
    result = nn.Dropout(p)(x)
    result.sum().backward()
    values = array(result)
    close(x.grad, values)  # the gradient is dropped and scaled alike
    if p < 1:
        kept = values != 0
        np.testing.assert_allclose(values[kept], 1 / (1 - p), rtol=1e-6)
        assert abs(kept.mean() - (1 - p)) < 6 * math.sqrt(p * (1 - p) / 2000) + 1e-9
    else:
        assert not values.any()


def test_dropout_is_silent_in_evaluation_and_at_0() -> None:
    x = minigrad.randn(3)
    assert nn.Dropout().eval()(x) is x
    assert nn.Dropout(0)(x) is x
    assert F.dropout(x, 0.5, training=False) is x
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.5"):
        nn.Dropout(1.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        F.dropout(x, -0.1)


def test_dropout_in_place_by_seed_and_on_the_standin_device() -> None:
    x = minigrad.ones(50)
    minigrad.manual_seed(1)
    expected = array(nn.Dropout()(x))
    minigrad.manual_seed(1)
    assert nn.Dropout(inplace=True)(x) is x
    close(x, expected)
    runs_on_standin(nn.Dropout(), np.ones((5, 5), np.float32))
    assert repr(nn.Dropout(0.3)) == "Dropout(p=0.3, inplace=False)"
