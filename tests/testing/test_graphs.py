"""Random computations: the gradient of any of them is numeric, however its results are shared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import minigrad
from minigrad.core import engine
from minigrad.testing import gradcheck, gradgradcheck
from minigrad.testing.strategies import Graph, graphs
from minigrad.testing.strategies.graphs import OPS
from testing.drawn import many


def leaves_of(graph: Graph) -> list[minigrad.Tensor]:
    return [minigrad.tensor(leaf.copy(), requires_grad=True) for leaf in graph.leaves]


def gradients(roots: Sequence[minigrad.Tensor], leaves: list[minigrad.Tensor], **options: bool) -> list[np.ndarray]:
    gs = [minigrad.tensor(np.random.default_rng(at).uniform(0.5, 1.5, root.shape)) for at, root in enumerate(roots)]
    found = engine.grad(list(roots), leaves, gs, materialize_grads=True, **options)
    return [one._array for one in found]


@given(graphs())
def test_the_gradient_of_a_random_graph_is_numeric(graph: Graph) -> None:
    gradcheck(lambda *leaves: graph.run(minigrad, leaves), leaves_of(graph), eps=1e-5, method="auto")


@given(graphs(max_steps=4, max_side=2))
def test_its_second_gradient_too(graph: Graph) -> None:
    gradgradcheck(lambda *leaves: graph.run(minigrad, leaves), leaves_of(graph), eps=1e-5, method="auto")


@given(graphs(max_steps=8))
def test_a_shared_result_counts_as_often_as_it_is_used(graph: Graph) -> None:
    for create_graph in (False, True):
        one, other = leaves_of(graph), leaves_of(graph)
        shared = gradients(graph.run(minigrad, one), one, create_graph=create_graph)
        apart = gradients(graph.run_unshared(minigrad, other), other, create_graph=create_graph)
        for first, second in zip(shared, apart, strict=True):
            np.testing.assert_allclose(first, second, rtol=1e-10, atol=1e-10 * max(1.0, abs(second).max(initial=0)))


@given(graphs())
def test_numpy_and_minigrad_compute_the_same(graph: Graph) -> None:
    for array, tensor in zip(graph.run(np, graph.leaves), graph.run(minigrad, leaves_of(graph)), strict=True):
        np.testing.assert_allclose(tensor._array, array, rtol=1e-12, atol=1e-12)


@pytest.mark.oracle
@given(graphs(max_steps=8))
def test_pytorch_has_the_same_values_and_gradients(graph: Graph) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = leaves_of(graph), [torch.tensor(leaf, requires_grad=True) for leaf in graph.leaves]
    roots, beside = graph.run(minigrad, ours), graph.run(torch, theirs)
    for root, other in zip(roots, beside, strict=True):
        np.testing.assert_allclose(root._array, other.detach().numpy(), rtol=1e-12, atol=1e-12)
    sum((root * root).sum() for root in roots).backward()
    sum((root * root).sum() for root in beside).backward()
    for one, other in zip(ours, theirs, strict=True):
        expected = np.zeros(one.shape) if other.grad is None else other.grad.numpy()
        found = np.zeros(one.shape) if one.grad is None else one.grad._array
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * max(1.0, abs(expected).max(initial=0)))


def uses(graph: Graph) -> list[int]:
    counts = [0] * (len(graph.leaves) + len(graph.steps))
    for step in graph.steps:
        for operand in step.operands:
            counts[operand] += 1
    return counts


def test_results_are_used_again_and_there_are_several_roots() -> None:
    drawn = many(graphs(), 200)
    assert any(max(uses(graph)[len(graph.leaves) :]) > 1 for graph in drawn)
    assert any(len(set(graph.roots)) > 1 for graph in drawn)
    assert {step.op for graph in drawn for step in graph.steps} == set(OPS)


def test_a_graph_reads_as_the_program_that_it_runs() -> None:
    for graph in many(graphs(), 200)[-20:]:
        names: dict[str, Any] = {}
        exec(repr(graph), names)
        results = names["graph"](np, *graph.leaves)
        for one, other in zip(listed(results), graph.run(np, graph.leaves), strict=True):
            np.testing.assert_array_equal(one, other)


def listed(results: Any) -> Any:
    return results if isinstance(results, tuple) else (results,)
