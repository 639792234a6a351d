"""Small drawn programs, run twice: here and in PyTorch. Both give the same values and gradients, or both refuse.

A program is a list of steps on a growing list of tensors: ops, views, writes in place through views and bases, detach,
no_grad blocks. Where PyTorch refuses, minigrad may compute a right gradient instead (it keeps the old value of what an
in-place op needs), which is then compared with numeric derivatives; what PyTorch computes, minigrad has to compute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad

SHAPE = (2, 3)
Tensors = list[Any]
Step = tuple[str, int, int, int]

MAKING: dict[str, Callable[[Any, Any, Any, int], Any]] = {
    "add": lambda module, x, y, n: x + y,
    "mul": lambda module, x, y, n: x * y,
    "sub": lambda module, x, y, n: x - y * 0.5,
    "tanh": lambda module, x, y, n: x.tanh(),
    "exp": lambda module, x, y, n: (x * 0.25).tanh().exp(),
    "sigmoid": lambda module, x, y, n: x.sigmoid(),
    "scale": lambda module, x, y, n: x * (n + 0.5),
    "row": lambda module, x, y, n: x[n % 2].expand(*SHAPE),
    "column": lambda module, x, y, n: x[:, n % 3 : n % 3 + 1] * y,
    "mean": lambda module, x, y, n: x - x.mean(n % 2, keepdim=True),
    "matmul": lambda module, x, y, n: (x @ y.T)[:, :1] * x,
    "swap": lambda module, x, y, n: x.T.reshape(*SHAPE),
    "joined": lambda module, x, y, n: module.cat([x[:1], y[1:]], 0),
    "picked": lambda module, x, y, n: x[[1, n % 2]],
    "detach": lambda module, x, y, n: x.detach(),
    "clone": lambda module, x, y, n: x.clone(),
    "whole": lambda module, x, y, n: x[:],
    "seen": lambda module, x, y, n: x.view(6).view(*SHAPE),
}
WRITING: dict[str, Callable[[Any, Any, Any, int], Any]] = {
    "mul_": lambda module, x, y, n: x.mul_(n + 0.5),
    "add_": lambda module, x, y, n: x.add_(y),
    "mul_by": lambda module, x, y, n: x.mul_(y),
    "tanh_": lambda module, x, y, n: x.tanh_(),
    "row_mul_": lambda module, x, y, n: x[n % 2].mul_(2.0),
    "row_set": lambda module, x, y, n: x.__setitem__(n % 2, y[(n + 1) % 2] * 2.0),
    "element_set": lambda module, x, y, n: x.__setitem__((n % 2, n % 3), 0.5),
    "column_add_": lambda module, x, y, n: x.T[n % 3].add_(y.sum()),
    "view_of_view": lambda module, x, y, n: x[1:].view(3)[n % 3 :].mul_(3.0),
    "picked_set": lambda module, x, y, n: x.__setitem__([n % 2], y[:1] * 1.5),
    "zero_": lambda module, x, y, n: x[0].zero_(),
    "copy_": lambda module, x, y, n: x.copy_(y),
}


# What minigrad refuses although PyTorch does it: writing to one row of an expanded tensor changes all of them.
STRICTER = ("cannot be written, as after expand()",)


def steps() -> st.SearchStrategy[list[Step]]:
    names = st.sampled_from([*MAKING, *WRITING])
    return st.lists(st.tuples(names, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=7)


def execute(module: Any, program: list[Step], values: np.ndarray, no_grad_at: int) -> tuple[Tensors, Tensors]:
    """The leaves, and all tensors at the end of the program."""
    leaves = [module.tensor(one.copy(), dtype=module.float64, requires_grad=True) for one in values]
    tensors = [one * 1.0 for one in leaves]
    for at, (name, first, second, number) in enumerate(program):
        x, y = tensors[first % len(tensors)], tensors[second % len(tensors)]
        if at == no_grad_at:
            with module.no_grad():
                _take(module, name, x, y, number, tensors)
        else:
            _take(module, name, x, y, number, tensors)
    return leaves, tensors


def _take(module: Any, name: str, x: Any, y: Any, number: int, tensors: Tensors) -> None:
    if name in MAKING:
        tensors.append(MAKING[name](module, x, y, number))
    else:
        # Reading from the memory that is being written: PyTorch gives what its loop happens to see, or refuses.
        WRITING[name](module, x, y.clone() if y is not x and same_memory(x, y) else y, number)


def same_memory(x: Any, y: Any) -> bool:
    if isinstance(x, minigrad.Tensor):
        return bool(np.shares_memory(_owner(x._array), _owner(y._array)))
    return bool(x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr())


def _owner(array: np.ndarray) -> np.ndarray:
    return array if array.base is None else _owner(array.base)


def outcome(module: Any, program: list[Step], values: np.ndarray, no_grad_at: int) -> tuple[Any, Any, str]:
    """Values and gradients; or None and what was said."""
    try:
        leaves, tensors = execute(module, program, values, no_grad_at)
        found = [one.detach().tolist() for one in tensors]
        root = sum(((one * (at + 1.0)).sum() for at, one in enumerate(tensors)), module.tensor(0.0))
        root.backward()
        return found, [None if one.grad is None else one.grad.tolist() for one in leaves], ""
    except RuntimeError as error:
        return None, None, str(error)


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:Use of index_put_ on expanded tensors")
@settings(max_examples=400, suppress_health_check=list(HealthCheck))
@given(steps(), st.integers(0, 1000), st.integers(0, 14))
def test_programs_agree_with_pytorch(program: list[Step], seed: int, no_grad_at: int) -> None:
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(seed).uniform(-1.5, 1.5, (2, *SHAPE))
    theirs, their_gradients, _ = outcome(torch, program, values, no_grad_at)
    ours, our_gradients, our_words = outcome(minigrad, program, values, no_grad_at)
    if theirs is None:
        if ours is not None:
            assert_numerically_right(program, values, no_grad_at, our_gradients)
        return
    if ours is None:
        assert any(words in our_words for words in STRICTER), f"PyTorch computes this, minigrad says: {our_words}"
        return
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-9)
    for mine, other in zip(our_gradients, their_gradients, strict=True):
        # PyTorch leaves None where nothing flows; zeros say the same.
        zeros = np.zeros(SHAPE)
        np.testing.assert_allclose(
            zeros if mine is None else mine, zeros if other is None else other, rtol=1e-9, atol=1e-9
        )


def assert_numerically_right(program: list[Step], values: np.ndarray, no_grad_at: int, gradients: Any) -> None:
    """The gradient, by central differences. Programs with parts cut off the graph are left out: values go on there."""
    if no_grad_at < len(program) or any(name == "detach" for name, *_ in program):
        return

    def total(at: np.ndarray) -> float:
        _, tensors = execute(minigrad, program, at, no_grad_at)
        return sum(float((one.detach() * (place + 1.0)).sum().item()) for place, one in enumerate(tensors))

    # A step of 1e-6 multiplies the rounding of the total, 1e-16 of its largest term, by a million.
    largest = max(
        float(np.abs(one.detach().numpy()).max()) for one in execute(minigrad, program, values, no_grad_at)[1]
    )
    for place in np.ndindex(*values.shape):
        step = np.zeros(values.shape)
        step[place] = 1e-6
        numeric = (total(values + step) - total(values - step)) / 2e-6
        analytic = 0.0 if gradients[place[0]] is None else gradients[place[0]][place[1]][place[2]]
        np.testing.assert_allclose(analytic, numeric, rtol=1e-5, atol=1e-5 + 1e-8 * largest)
