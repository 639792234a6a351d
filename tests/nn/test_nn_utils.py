"""Clipping gradients, and parameters as a vector."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
from minigrad import nn
from minigrad.core.rows import Rows
from minigrad.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    parameters_to_vector,
    penalty,
    vector_to_parameters,
)
from minigrad.testing import standin
from nn.oracle import array, close, torch

elements = st.floats(-100, 100).filter(lambda value: value == 0 or abs(value) > 1e-3)
gradients = st.lists(
    hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=3), elements=elements), min_size=1, max_size=4
)


def parameters_of(library: Any, values: list[np.ndarray]) -> list[Any]:
    """Parameters with these gradients, and one without any."""
    leaves = [library.zeros(tuple(one.shape), dtype=library.float64, requires_grad=True) for one in values]
    for leaf, one in zip(leaves, values, strict=True):
        leaf.grad = library.tensor(one)
    return [*leaves, library.zeros(2, requires_grad=True)]


@given(values=gradients, max_norm=st.floats(0.1, 100), p=st.sampled_from([2.0, 1.0, 3.0, math.inf]))
def test_clipping_bounds_the_norm_and_keeps_the_direction(values: list[np.ndarray], max_norm: float, p: float) -> None:
    leaves = parameters_of(minigrad, values)
    norm = clip_grad_norm_(leaves, max_norm, p)
    flat = np.concatenate([one.ravel() for one in values])
    expected = np.linalg.norm(flat, p)
    assert norm.shape == ()
    assert norm.item() == pytest.approx(expected, rel=1e-9)
    clipped = np.concatenate([array(leaf.grad).ravel() for leaf in leaves[:-1]])
    np.testing.assert_allclose(clipped, flat * min(1, max_norm / (expected + 1e-6)), rtol=1e-9)
    assert np.linalg.norm(clipped, p) <= max_norm * (1 + 1e-9)
    assert leaves[-1].grad is None


@pytest.mark.oracle
@given(values=gradients, max_norm=st.floats(0.1, 100), p=st.sampled_from([2.0, 1.0, 0.5, math.inf]))
def test_clipping_is_pytorchs(values: list[np.ndarray], max_norm: float, p: float) -> None:
    results = []
    for library, utils in ((minigrad, nn.utils), (torch(), torch().nn.utils)):
        leaves = parameters_of(library, values)
        norm = utils.clip_grad_norm_(iter(leaves), max_norm, p)
        results.append([norm, *(leaf.grad for leaf in leaves[:-1])])
    for found, expected in zip(*results, strict=True):
        close(found, expected, 1e-9)


@pytest.mark.oracle
@given(values=gradients, max_norm=st.floats(0.1, 100), p=st.sampled_from([2.0, 1.0, 0.5, math.inf]))
def test_measuring_and_clipping_apart_are_pytorchs(values: list[np.ndarray], max_norm: float, p: float) -> None:
    results = []
    for library, utils in ((minigrad, nn.utils), (torch(), torch().nn.utils)):
        leaves = parameters_of(library, values)
        norm = utils.get_total_norm([leaf.grad for leaf in leaves[:-1]], p)
        assert utils.clip_grads_with_norm_(leaves, max_norm, norm) is None
        results.append([norm, *(leaf.grad for leaf in leaves[:-1])])
    for found, expected in zip(*results, strict=True):
        close(found, expected, 1e-9)


@given(values=gradients, p=st.sampled_from([2.0, 1.0, math.inf]), bound=st.sampled_from([math.inf, 1e6]))
def test_a_norm_below_the_bound_writes_nothing(values: list[np.ndarray], p: float, bound: float) -> None:
    """Not even ones: the factor is 1, the arrays may be read-only, and the counts of writes stay."""
    leaves = parameters_of(minigrad, values)
    for leaf in leaves[:-1]:
        leaf.grad._array.flags.writeable = False
    norm = clip_grad_norm_(leaves, bound, p)
    close(norm, get_total_norm((leaf.grad for leaf in leaves[:-1]), p), 0)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
@pytest.mark.parametrize("max_norm", [1.0, math.inf])
def test_gradients_that_are_not_finite_are_treated_as_documented(bad: float, max_norm: float) -> None:
    leaf = minigrad.zeros(2, requires_grad=True)
    leaf.grad = minigrad.tensor([1.0, bad])
    clip_grad_norm_(leaf, max_norm)
    scaled = [0.0, math.nan] if math.isinf(bad) else [math.nan, math.nan]
    close(leaf.grad, np.array([1.0, bad] if math.isinf(max_norm) else scaled, np.float32))


def test_measuring_changes_nothing_and_takes_sparse_gradients() -> None:
    assert get_total_norm([]).item() == 0
    assert get_total_norm(minigrad.zeros(0), math.inf).item() == 0
    table = nn.Embedding(5, 2, sparse=True)
    table(minigrad.tensor([1, 1, 3])).sum().backward()
    gradient = table.weight.grad
    assert get_total_norm([gradient, minigrad.tensor([2.0])]).item() == pytest.approx(math.sqrt(4 + 4 + 1 + 1 + 4))
    assert table.weight.grad is gradient
    assert len(gradient.indices()) == 3
    with pytest.raises(ValueError, match="norm_type 0 would count elements"):
        get_total_norm(minigrad.ones(2), 0)
    with pytest.raises(RuntimeError, match="norm of the gradients is nan"):
        get_total_norm(minigrad.tensor([math.nan]), error_if_nonfinite=True)


def test_clipping_one_tensor_and_none() -> None:
    leaf = minigrad.zeros(2, requires_grad=True)
    assert clip_grad_norm_([leaf], 1.0).item() == 0
    assert clip_grad_norm_([], 1.0).item() == 0
    leaf.grad = minigrad.tensor([3.0, 4.0])
    assert clip_grad_norm_(leaf, 1.0).item() == 5
    close(leaf.grad, np.array([0.6, 0.8], np.float32))


def test_clipping_does_not_touch_what_the_gradient_was_made_of() -> None:
    x, y = minigrad.ones(3, requires_grad=True), minigrad.ones(3, requires_grad=True)
    (x + y).sum().backward()
    clip_grad_norm_([x], 0.1)
    close(y.grad, np.ones(3, np.float32))


@given(index=st.lists(st.integers(0, 4), min_size=1, max_size=8), max_norm=st.floats(0.1, 5))
def test_sparse_gradients_count_with_their_rows_added_up(index: list[int], max_norm: float) -> None:
    results = []
    for sparse in (False, True):
        minigrad.manual_seed(0)
        table, layer = nn.Embedding(5, 2, sparse=sparse, dtype=minigrad.float64), nn.Linear(2, 1).double()
        layer(table(minigrad.tensor(index))).square().sum().backward()
        parameters = [*table.parameters(), *layer.parameters()]
        results.append([clip_grad_norm_(parameters, max_norm), *(parameter.grad for parameter in parameters)])
    for dense, sparse_one in zip(*results, strict=True):
        close(sparse_one, dense, 1e-12)
    assert isinstance(results[1][1], Rows)


def test_a_norm_that_is_not_finite() -> None:
    for bad in (math.inf, math.nan):
        leaf = minigrad.zeros(2, requires_grad=True)
        leaf.grad = minigrad.tensor([1.0, bad])
        with pytest.raises(RuntimeError, match=f"norm of the gradients is {bad}"):
            clip_grad_norm_([leaf], 1.0, error_if_nonfinite=True)
        close(leaf.grad, np.array([1.0, bad], np.float32))
        assert not math.isfinite(clip_grad_norm_([leaf], 1.0).item())


@pytest.mark.parametrize("p", [2.0, 1.0, math.inf])
def test_clipping_on_the_standin_device_waits_for_nothing(p: float) -> None:
    standin.install()
    values = [np.array([3.0, -4.0], np.float32), np.array([[12.0]], np.float32)]
    results = []
    for device in ("cpu", "standin"):
        leaves = [minigrad.zeros(one.shape, device=device, requires_grad=True) for one in values]
        for leaf, one in zip(leaves, values, strict=True):
            leaf.grad = minigrad.tensor(one, device=device)
        with standin.no_synchronisation():
            norm = clip_grad_norm_(leaves, 1.0, p)
            clip_grads_with_norm_(leaves, 0.5, get_total_norm([leaf.grad for leaf in leaves], p))
            clip_grad_value_(leaves, 0.2)
        assert norm.device.type == device
        results.append([norm, *(leaf.grad for leaf in leaves)])
    for expected, found in zip(*results, strict=True):
        close(found, expected, 1e-6)


@given(values=gradients, bound=st.floats(0.1, 50))
def test_clipping_values(values: list[np.ndarray], bound: float) -> None:
    leaves = parameters_of(minigrad, values)
    before = [leaf.grad for leaf in leaves]
    clip_grad_value_(leaves, bound)
    for leaf, one, held in zip(leaves, values, before, strict=False):
        close(leaf.grad, np.clip(one, -bound, bound))
        assert leaf.grad is held


def test_parameters_as_a_vector() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    vector = parameters_to_vector(net.parameters())
    close(vector, np.concatenate([array(parameter).ravel() for parameter in net.parameters()]))
    (vector * vector).sum().backward()
    for parameter in net.parameters():
        close(parameter.grad, 2 * array(parameter))
    numbers = minigrad.arange(vector.numel(), dtype=minigrad.float32)
    vector_to_parameters(numbers, net.parameters())
    close(parameters_to_vector(net.parameters()), numbers)
    close(net[0].bias, np.array([6, 7, 8], np.float32))
    assert all(parameter.is_leaf and parameter.requires_grad for parameter in net.parameters())
    with pytest.raises(RuntimeError, match=r"have 13 elements, and the vector's shape is \(5,\)"):
        vector_to_parameters(minigrad.zeros(5), net.parameters())


# ---- penalty --------------------------------------------------------------------------------------------------------

factors = st.sampled_from([0.0, 0.1, 2.0])
CHOSEN: list[tuple[Any, list[str]]] = [
    ("*", ["0.weight", "0.bias", "1.weight", "1.bias"]),
    ("*.weight", ["0.weight", "1.weight"]),
    ("0.*", ["0.weight", "0.bias"]),
    (["0.bias", "1.*"], ["0.bias", "1.weight", "1.bias"]),
    (["*.bias", "?.b*"], ["0.bias", "1.bias"]),
]


@pytest.mark.parametrize(("names", "chosen"), CHOSEN)
@given(l1=factors, l2=factors, seed=st.integers(0, 99))
def test_a_penalty_is_its_formula_and_so_is_its_gradient(
    names: Any, chosen: list[str], l1: float, l2: float, seed: int
) -> None:
    minigrad.manual_seed(seed)
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)).double()
    with minigrad.no_grad():
        net[0].weight[0, 0] = 0.0
    weights = {name: array(parameter) for name, parameter in net.named_parameters()}
    total = penalty(net, l1=l1, l2=l2, names=names)
    assert (total.shape, total.dtype) == ((), minigrad.float64)
    expected = sum(l1 * np.abs(weights[name]).sum() + l2 * (weights[name] ** 2).sum() for name in chosen)
    assert total.item() == pytest.approx(expected, rel=1e-12, abs=1e-15)
    total.backward()
    for name, parameter in net.named_parameters():
        if name in chosen:
            close(parameter.grad, l1 * np.sign(weights[name]) + 2 * l2 * weights[name], 1e-12)
        else:
            assert parameter.grad is None


def test_weight_decay_takes_the_steps_of_the_l2_penalty() -> None:
    paths = []
    for decay, l2 in ((0.2, 0.0), (0.0, 0.1)):
        minigrad.manual_seed(0)
        net = nn.Linear(3, 2).double()
        optimizer = minigrad.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=decay)
        for _ in range(5):
            optimizer.zero_grad()
            (
                net(minigrad.ones(1, 3, dtype=minigrad.float64)).sin().sum() + penalty(net.named_parameters(), l2=l2)
            ).backward()
            optimizer.step()
        paths.append(parameters_to_vector(net.parameters()))
    close(paths[0], paths[1], 1e-12)


def test_a_penalty_of_nothing_is_explained() -> None:
    net = nn.Linear(2, 1)
    with pytest.raises(ValueError, match=r"no parameter's name matches \['\*.weight'\], among \['weight', 'bias'\]"):
        penalty(net, l2=0.1, names="*.weight")
    with pytest.raises(ValueError, match="l1 and l2 must be at least 0, got -1 and 0"):
        penalty(net, l1=-1)
    for wrong in ([net.weight], net.weight, net.parameters(), 3, [("w", 1.0)]):
        with pytest.raises(TypeError, match=r"penalty takes a module or pairs \(name, tensor\), got a \w+: give it"):
            penalty(wrong, l2=0.1)  # type: ignore[arg-type]


def test_a_penalty_on_the_standin_device() -> None:
    standin.install()
    weight = minigrad.tensor([1.0, -2.0], device="standin", requires_grad=True)
    with standin.no_synchronisation():
        penalty([("weight", weight)], l1=0.5, l2=0.25).backward()
    close(weight.grad, np.array([1.0, -1.5], np.float32))
