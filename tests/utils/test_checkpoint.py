"""checkpoint: the same values and gradients as without it, with less kept."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.core.tensor import Tensor
from minigrad.ops import fused
from minigrad.testing import gradcheck, gradgradcheck
from minigrad.utils.checkpoint import checkpoint

seeds = st.integers(0, 2**32 - 1)


def leaves(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    rng = np.random.default_rng(seed)
    return [minigrad.tensor(rng.standard_normal(shape)).requires_grad_() for shape in shapes]


@given(seeds, st.integers(1, 3), st.integers(1, 3))
def test_value_and_gradients_are_those_without_it(seed: int, n: int, k: int) -> None:
    x, w, v = leaves(seed, (n, k), (k, k), (k,))

    def block(x: Tensor, w: Tensor) -> Tensor:
        return (x @ w + v).tanh()  # v comes from outside

    plain, kept = block(block(x, w), w), checkpoint(block, checkpoint(block, x, w), w)
    np.testing.assert_array_equal(kept.detach().numpy(), plain.detach().numpy())
    expected = minigrad.grad(plain.sum(), (x, w, v))
    for one, other in zip(minigrad.grad(kept.sum(), (x, w, v), retain_graph=True), expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-12)
    kept.sum().backward()
    for leaf, other in zip((x, w, v), expected, strict=True):
        np.testing.assert_allclose(leaf.grad.numpy(), other.numpy(), rtol=1e-12)


def test_numeric_derivatives_of_both_orders_with_paths_outside() -> None:
    x, w = leaves(0, (2, 3), (3, 3))

    def function(x: Tensor, w: Tensor) -> Any:
        h = (x @ w).tanh()  # leads to w, which is used inside, too
        return checkpoint(lambda x, h: (x * h @ w, (h * h).exp()), x * w[0], h)

    assert gradcheck(function, (x, w))
    assert gradgradcheck(function, (x, w))


def test_only_some_outputs_used_and_things_that_are_no_tensors() -> None:
    (x,) = leaves(1, (3,))
    first, number, constant, second = checkpoint(lambda x: (x * x, 3, x.detach(), x.exp()), x)
    assert number == 3
    assert not constant.requires_grad
    second.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), x.exp().detach().numpy())
    assert first.requires_grad


def test_a_function_that_gives_back_its_argument() -> None:
    (x,) = leaves(2, (3,))
    a, b = checkpoint(lambda x: (x, x * 2), x * 1)
    (a + b).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3, 3, 3])


def test_nested_arguments_and_keywords() -> None:
    x, w, h, c = leaves(3, (2, 2, 3), (8, 3), (2, 2), (2, 2))
    recurrent = minigrad.ones(8, 2, dtype=minigrad.float64)

    def block(x: Tensor, state: Any, *, w: Tensor) -> Any:
        return fused.lstm(x, *state, w, recurrent)[0]

    plain = minigrad.grad(block(x, (h, c), w=w).sum(), (x, w, h, c))
    kept = minigrad.grad(checkpoint(block, x, (h, c), w=w).sum(), (x, w, h, c))
    for one, other in zip(kept, plain, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-12)


def test_the_same_random_numbers_are_drawn_again() -> None:
    (x,) = leaves(4, (100,))
    masks = []

    def dropped(x: Tensor) -> Tensor:
        masks.append(minigrad.default_generator.bernoulli_mask((100,), 0.5, np.float64, "cpu"))
        return x * minigrad.tensor(masks[-1])

    y = checkpoint(dropped, x, use_reentrant=False)
    minigrad.randn(3)
    after = minigrad.default_generator.get_state()
    y.sum().backward()
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(x.grad.numpy(), masks[0])
    assert minigrad.default_generator.get_state() == after


def test_nothing_inside_is_kept_and_everything_is_freed() -> None:
    (x,) = leaves(5, (4,))
    inside: list[weakref.ref[Any]] = []

    def block(x: Tensor) -> Tensor:
        y = (x * 2).exp()
        inside.append(weakref.ref(y))
        inside.append(weakref.ref(y.grad_fn))
        return y * y

    gc.collect()
    gc.disable()
    try:
        y = checkpoint(block, x)
        assert all(reference() is None for reference in inside)
        y.sum().backward()
        node = weakref.ref(y.grad_fn)
        del y
        assert node() is None
        assert all(reference() is None for reference in inside)
    finally:
        gc.enable()


def test_without_recording_it_is_the_function() -> None:
    (x,) = leaves(6, (2,))
    with minigrad.no_grad():
        assert not checkpoint(lambda x: x * 2, x).requires_grad
    assert not checkpoint(lambda x: x * 2, x.detach()).requires_grad


def test_a_function_that_changes_its_mind_is_noticed() -> None:
    x, first, second = leaves(7, (2,), (2,), (2,))
    others = iter([first, second])
    y = checkpoint(lambda x: x * next(others), x)
    with pytest.raises(RuntimeError, match="must do the same every time"):
        y.sum().backward()


def test_an_argument_written_in_between_is_noticed() -> None:
    (x,) = leaves(8, (2,))
    z = x * 1
    y = checkpoint(lambda z: z * z, z)
    z.mul_(2)
    with pytest.raises(RuntimeError, match="'checkpoint' saved 'tensor 0 among the arguments'"):
        y.sum().backward()
