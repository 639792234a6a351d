"""The lean way through an op of three tensors gives what the general way gives, for every choice of what needs a
gradient, and leaves to it what it does not serve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.core.call import apply
from minigrad.ops.comparison import choose
from minigrad.ops.linalg import linear
from minigrad.ops.loss import cross_entropy_rows
from minigrad.testing import standin

Call = Callable[..., Any]
WAYS: list[Call] = [linear, lambda *inputs: apply(linear.op, inputs, {})]
WAYS_TO_CHOOSE: list[Call] = [choose, lambda *inputs: apply(choose.op, inputs, {})]


def _arrays(seed: int, N: int, I: int, O: int, dtype: Any = np.float32) -> list[np.ndarray]:  # noqa: E741
    """An input, a weight and a bias."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for shape in ((N, I), (O, I), (O,))]


def _run(way: Call, arrays: list[np.ndarray], needs: tuple[bool, ...], turned: bool = False) -> list[Any]:
    """The result, who needs a gradient, and the gradients."""
    leaves = [minigrad.tensor(array, requires_grad=need) for array, need in zip(arrays, needs, strict=True)]
    inputs: list[Any] = [leaves[0].flip(0) if turned else leaves[0], *leaves[1:]]
    result = way(*inputs)
    if result.requires_grad:
        (result * result).sum().backward()
    gradients = [None if leaf.grad is None else leaf.grad.numpy() for leaf in leaves]
    return [result.detach().numpy(), result.requires_grad, *gradients]


def _same(found: list[Any], expected: list[Any]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)


sizes = st.integers(0, 4)
three = st.tuples(st.booleans(), st.booleans(), st.booleans())


@given(
    st.integers(0, 99), sizes, sizes, sizes, three, st.booleans(), st.booleans(), st.sampled_from(["f4", "f8", "f2"])
)
def test_three_tensors_go_the_lean_way_to_what_the_general_way_gives(
    seed: int, N: int, features: int, outputs: int, needs: tuple[bool, ...], turned: bool, deep: bool, dtype: str
) -> None:
    arrays = _arrays(seed, N, features, outputs, dtype)
    if deep:
        arrays[0] = arrays[0][None]
    lean, general = [_run(way, arrays, needs, turned) for way in WAYS]
    _same(lean, general)
    assert lean[1] == any(needs)


@given(st.integers(0, 99), sizes, st.booleans(), st.booleans())
def test_choices_do_so_too(seed: int, N: int, first: bool, second: bool) -> None:
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=N) > 0, rng.normal(size=N), rng.normal(size=N)]
    lean, general = [_run(way, arrays, (False, first, second)) for way in WAYS_TO_CHOOSE]
    _same(lean, general)


def test_a_number_comes_back_as_an_array() -> None:
    result = linear(*[minigrad.tensor(array) for array in (np.ones(3), np.ones(3), np.array(2.0))])
    assert type(result._array) is np.ndarray
    assert result.item() == 5


@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_the_rules_keep_is_watched_and_nothing_else(place: int) -> None:
    leaves = [minigrad.tensor(array, requires_grad=True) for array in _arrays(0, 2, 3, 4)]
    inputs = [leaf * 1 for leaf in leaves]
    result = linear(*inputs).sum()
    inputs[place].data.add_(1)
    inputs[place].add_(1)
    if place < 2:
        with pytest.raises(RuntimeError, match=f"'linear' saved '{('input', 'weight')[place]}'"):
            result.backward()
    else:
        result.backward()


def test_nothing_is_recorded_where_nothing_is_to_be() -> None:
    leaves = [minigrad.tensor(array, requires_grad=True) for array in _arrays(0, 2, 3, 4)]
    with minigrad.no_grad():
        assert not linear(*leaves).requires_grad
    with minigrad.inference_mode():
        result = linear(*leaves)
    with pytest.raises(RuntimeError, match="inference"):
        (result * leaves[0].sum()).sum()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_view_among_three_sees_what_was_written_to_its_base(place: int) -> None:
    arrays = _arrays(1, 2, 3, 4)
    inputs: list[Any] = [minigrad.tensor(array) for array in arrays]
    base = minigrad.zeros(inputs[place].numel())
    inputs[place] = base.reshape(inputs[place].shape)
    value = minigrad.tensor(arrays[place].reshape(-1), requires_grad=True)
    base.copy_(value)
    result = linear(*inputs)
    np.testing.assert_allclose(result.detach().numpy(), arrays[0] @ arrays[1].T + arrays[2], rtol=1e-6)
    result.sum().backward()
    assert value.grad is not None


def test_anomalies_are_found_in_it() -> None:
    arrays = _arrays(0, 2, 3, 4)
    arrays[2][1] = np.inf
    with minigrad.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"linear.*made an infinity"):
        linear(*[minigrad.tensor(array) for array in arrays])


def test_raw_arrays_give_a_raw_array_and_a_mistake_its_sentence() -> None:
    input, weight, bias = _arrays(0, 2, 3, 4)
    np.testing.assert_allclose(linear(input, weight, bias), input @ weight.T + bias, rtol=1e-6)
    with pytest.raises(TypeError, match=r"linear\(\): bias must be a Tensor or a number, got str"):
        linear(minigrad.tensor(input), minigrad.tensor(weight), "bias")
    with pytest.raises(RuntimeError, match="the bias must have shape"):
        linear(minigrad.tensor(input), minigrad.tensor(weight), minigrad.tensor(bias[1:]))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_tensors_of_two_devices_are_refused(place: int) -> None:
    standin.install()
    inputs = [minigrad.tensor(array) for array in _arrays(0, 2, 3, 4)]
    inputs[place] = inputs[place].to("standin")
    with pytest.raises(RuntimeError, match="the inputs are on different devices"):
        linear(*inputs)


def test_the_node_knows_the_line_that_called() -> None:
    leaves = [minigrad.tensor(array, requires_grad=True) for array in _arrays(0, 2, 3, 4)]
    result = minigrad.nn.functional.linear(*leaves)  # this line
    assert "# this line" in result.grad_fn.line


def test_a_raw_array_of_another_device_is_refused_by_a_fused_op() -> None:
    standin.install()
    input, target = minigrad.zeros(2, 3), minigrad.zeros(2, dtype=minigrad.int64).to("standin")
    with pytest.raises(RuntimeError, match="the inputs are on different devices"):
        cross_entropy_rows(input, target._array)


def test_inputs_may_be_left_out_named_or_of_two_kinds() -> None:
    input, weight, bias = _arrays(0, 2, 3, 4)
    x, w, b = minigrad.tensor(input), minigrad.tensor(weight), minigrad.tensor(bias)
    np.testing.assert_allclose(linear(x, w).numpy(), input @ weight.T, rtol=1e-6)
    np.testing.assert_allclose(linear(x, w, None).numpy(), input @ weight.T, rtol=1e-6)
    for found in (linear(x, w, bias=b), linear(input, weight, b), linear(x, weight=w, bias=b)):
        np.testing.assert_allclose(found.numpy(), input @ weight.T + bias, rtol=1e-6)
    with pytest.raises(TypeError, match=r"takes 3 arguments, 4 were given"):
        linear(x, w, b, b)
