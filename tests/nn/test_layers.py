"""Linear, Bilinear, Embedding, the norms and Dropout where the properties that every module is tried with do not look:
how they begin, what they refuse, tables given and bounded, how much is dropped."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.core.rows import Rows
from nn.oracle import agree, array, close, torch

Array = Any


# ---- Linear and Bilinear --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [lambda: nn.Linear(100, 30), lambda: nn.Bilinear(100, 3, 20)])
def test_weights_start_inside_their_bound_on_both_sides(layer: Any) -> None:
    minigrad.manual_seed(0)
    for parameter in layer().parameters():
        assert -0.1 <= array(parameter).min() < -0.08
        assert 0.08 < array(parameter).max() <= 0.1


def test_without_any_features_the_bias_starts_at_0() -> None:
    assert not array(nn.Linear(0, 3).bias).any()


def test_linear_refuses_what_does_not_fit() -> None:
    with pytest.raises(RuntimeError, match=r"\(2, 4\).*\(5, 3\)"):
        nn.Linear(3, 5)(minigrad.ones(2, 4))


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
    assert repr(learned) == "Embedding(4, 2, sparse=True)"
    with pytest.raises(ValueError, match=r"\(rows, dim\), got shape \(3,\)"):
        nn.Embedding.from_pretrained(minigrad.ones(3))


def test_embedding_refuses_rows_it_has_not() -> None:
    with pytest.raises(IndexError, match="row 5, the table has 5 rows"):
        nn.Embedding(5, 2)(minigrad.tensor([[0, 5]]))


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


# ---- norms ----------------------------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rms_norm_near_0_is_pytorchs(dtype: str) -> None:
    x = np.array([[1e-4, -2e-4, 3e-5], [1e-8, 2e-8, 0], [0, 0, 0]], dtype)
    found, expected = F.rms_norm(minigrad.tensor(x), (3,)), torch().nn.functional.rms_norm(torch().tensor(x), (3,))
    close(found, expected, 1e-6)


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
