"""An op called with what users have at hand: numbers, NumPy's arrays, other devices, several results, mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import fused, primitive
from minigrad.backend import Array
from minigrad.core.fused import alias
from minigrad.kernels import memory
from minigrad.testing import standin


def leaf(data: Any, dtype: Any = np.float64) -> minigrad.Tensor:
    return minigrad.tensor(np.asarray(data, dtype=dtype), requires_grad=True)


# ---- what stands beside a tensor ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (np.float64(2.0), minigrad.float32),
        (np.int64(2), minigrad.float32),
        (np.array([2.0, 2.0]), minigrad.float64),
        (np.array(2.0), minigrad.float32),
        (np.bool(True), minigrad.float32),
    ],
)
def test_numpys_numbers_count_as_numbers_and_its_arrays_as_tensors(other: Any, expected: Any) -> None:
    x = leaf([1.0, 3.0], np.float32)
    for result in (x * other, minigrad.mul(other, x)):
        assert result.dtype == expected
        assert result.tolist() == [1 * float(np.max(other)), 3 * float(np.max(other))]
    result.sum().backward()
    assert x.grad.dtype == minigrad.float32


def test_a_number_that_an_integer_dtype_lacks_counts_modulo_its_range() -> None:
    x = minigrad.tensor([1, 2], dtype=minigrad.uint8)
    assert (x + 300).tolist() == [45, 46]
    assert (x * -1).tolist() == [255, 254]
    with pytest.raises(OverflowError, match="has more than 64 bits"):
        x + 2**70


def test_an_array_beside_a_tensor_where_nothing_is_promoted() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    product = minigrad.matmul(np.eye(2) * 2, x)
    assert product.tolist() == [[2, 4], [6, 8]]
    product.sum().backward()
    assert x.grad.tolist() == [[2, 2], [2, 2]]


def test_matrices_know_each_others_shapes() -> None:
    x, w = leaf([[1.0, 2.0]]), leaf([[3.0], [4.0]])
    (x @ w).sum().backward()
    assert x.grad.tolist() == [[3, 4]]
    assert w.grad.tolist() == [[1], [2]]


def test_a_number_where_the_op_wants_an_array() -> None:
    x = leaf([1.0, 2.0])
    minigrad.xlogy(x, 3.0).sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), np.log([3.0, 3.0]))
    assert minigrad.xlogy(3.0, minigrad.tensor([1.0])).tolist() == [0]


def test_inputs_on_different_devices() -> None:
    standin.install()
    with pytest.raises(
        RuntimeError, match=r"mul\(\): the inputs are on different devices, cpu and standin:0: move them to one"
    ):
        leaf([1.0]) * leaf([1.0]).to("standin")


def test_places_that_share_memory_are_not_written() -> None:
    """NumPy makes an expanded array read-only; a device may not."""
    standin.install()
    wide = minigrad.ones(1).to("standin").expand(3)
    with pytest.raises(RuntimeError, match=r"mul_: several elements of this tensor share one place in memory: clone"):
        wide.mul_(2)


def test_nothing_is_written_to_nowhere() -> None:
    x = minigrad.ones(1, 0)
    assert tuple(x.expand(3, 0).mul_(2).shape) == (3, 0)  # NumPy calls this memory read-only


def test_names_of_other_libraries() -> None:
    x = minigrad.ones(2, 3)
    assert minigrad.maximum(x1=x, x2=x * 2).tolist() == [[2, 2, 2]] * 2
    assert minigrad.relu(x=x).tolist() == x.tolist()

    @primitive
    def along(input: Array, *, axis: int) -> Array:
        return input.sum(axis)

    assert along(x, axis=1).tolist() == [3, 3]  # an op's own name stays what it is
    with pytest.raises(TypeError, match=r"along\(\) needs axis"):
        along(x)


# ---- several results ------------------------------------------------------------------------------------------------


def test_results_that_carry_no_gradient() -> None:
    x = leaf([3.0, 1.0, 2.0])
    values, indices = x.sort()
    assert values.requires_grad
    assert not indices.requires_grad
    (values * minigrad.tensor(np.array([1.0, 10.0, 100.0]))).sum().backward()
    assert x.grad.tolist() == [100, 1, 10]


def test_hooks_and_gradients_of_one_result_among_several() -> None:
    x = leaf([1.0, 2.0, 3.0, 4.0])
    first, second = x.split(2)
    seen = []
    second.register_hook(lambda g: seen.append(g.tolist()))
    second.retain_grad()
    loss = (first * second).sum()
    gradients = minigrad.grad(loss, [second, x, first], retain_graph=True)
    assert [one.tolist() for one in gradients] == [[1, 2], [3, 4, 1, 2], [3, 4]]
    loss.backward(inputs=[second, x])
    assert second.grad.tolist() == [1 * 2, 2 * 2]  # retained by both ways
    assert x.grad.tolist() == [3, 4, 1, 2]
    assert seen == [[1, 2], [1, 2]]


def test_the_gradient_of_a_result_is_kept_when_it_is_among_the_inputs() -> None:
    x = leaf([1.0, 2.0])
    unused = leaf([1.0])
    y = x * x
    (y * y).sum().backward(inputs=[y, unused])
    assert y.grad.tolist() == [2, 8]
    assert x.grad is None
    assert unused.grad is None


# ---- a hand-written pair --------------------------------------------------------------------------------------------


def doubled_and_rank(input: Any) -> Any:
    """The composite."""
    return input * 2.0, input.detach().argsort()


@fused(composite=doubled_and_rank, outputs=("doubled", "rank"))
def two_results(input: Array, *, keep: bool) -> Any:
    """A result with a gradient and one without."""
    return (input * 2.0, input.argsort()), ()


@two_results.backward
def two_results_backward(residuals: Any, g: Any, needs: Any) -> Any:
    """Of the first alone."""
    return (g[0] * 2.0,)


def test_a_fused_op_gives_arrays_of_arrays() -> None:
    doubled, rank = two_results(np.array([3.0, 1.0]))
    assert isinstance(doubled, np.ndarray)
    assert (doubled.tolist(), rank.tolist()) == ([6, 2], [1, 0])


def test_a_fused_op_with_an_integer_result() -> None:
    x = leaf([3.0, 1.0])
    doubled, rank = two_results(x)
    assert rank.tolist() == [1, 0]
    assert not rank.requires_grad
    doubled.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_a_fused_op_is_watched_for_anomalies() -> None:
    with minigrad.autograd.detect_anomaly():
        assert two_results(leaf([3.0]))[0].tolist() == [6]
    with (
        minigrad.autograd.detect_anomaly(),
        pytest.raises(
            minigrad.core.errors.AnomalyError, match=r"two_results\(float64\[1\]\) made an infinity at .*calls"
        ),
    ):
        two_results(leaf([np.inf]))


def test_a_fused_op_explains_what_the_library_complains_of() -> None:
    @fused(composite=lambda input: input.sum(2))
    def summed(input: Array, *, keep: bool) -> Any:
        return input.sum(2), ()

    with pytest.raises(IndexError, match=r"summed\(float64\[1\]\): dimension out of range, dim 2"):
        summed(leaf([1.0]))


def test_writing_to_what_a_fused_op_saved_is_noticed() -> None:
    weight = leaf(np.ones((3, 2)))
    indices = minigrad.tensor([0, 1])
    rows = minigrad.nn.functional.embedding(indices, weight)
    indices.add_(1)
    with pytest.raises(RuntimeError, match="saved 'input' for its gradient, and it was changed in place since"):
        rows.sum().backward()


def test_an_alias_is_a_place_of_its_own_in_the_graph() -> None:
    x = leaf([1.0, 2.0])
    y = alias(x)
    assert y.grad_fn is not None
    (x * y).sum().backward()
    assert x.grad.tolist() == [2, 4]


# ---- any number of inputs -------------------------------------------------------------------------------------------


@primitive
def product_of(*tensors: Array) -> Array:
    """The product of all."""
    result = 1.0
    for one in tensors:
        result = result * one
    return result


def _without(tensors: Any, left_out: int) -> Any:
    result = 1.0
    for at, one in enumerate(tensors):
        result = result if at == left_out else result * one
    return result


product_of.vjp(
    tensors=lambda g, tensors, needs: [g * _without(tensors, at) if need else None for at, need in enumerate(needs)]
)


def test_a_rule_that_keeps_all_of_any_number_of_inputs() -> None:
    tensors = [leaf([2.0]), leaf([3.0]), minigrad.tensor(np.array([5.0]))]
    first = minigrad.grad(product_of(*tensors).sum(), tensors[0], create_graph=True)[0]
    assert first.tolist() == [15]
    assert minigrad.grad(first.sum(), tensors[1])[0].tolist() == [5]
    result = product_of(*tensors)
    with minigrad.no_grad():
        tensors[1].add_(1)
    with pytest.raises(RuntimeError, match="'product_of' saved 'tensors' for its gradient"):
        result.sum().backward()


# ---- errors of the array library ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (((2, 3), (4, 3)), r"dimension -2 has sizes 2 and 4; sizes must be equal or 1"),
        (((2, 3), (3, 2)), r"dimension -1 has sizes 2 and 3"),
        (((2,), (4, 3)), r"dimension -1 has sizes 2 and 3"),
        (((5, 1, 3), (4, 1, 3)), r"dimension -3 has sizes 4 and 5"),
    ],
)
def test_which_dimension_does_not_broadcast(shapes: Any, said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        minigrad.ones(*shapes[0]) + minigrad.ones(*shapes[1])


def test_a_dimension_that_is_not_there() -> None:
    @primitive
    def summed(input: Array, *, dim: int) -> Array:
        return input.sum(dim)

    with pytest.raises(IndexError, match=r"summed\(float32\[2\], dim=5\): dimension out of range, dim 5 is out of bou"):
        summed(minigrad.ones(2), dim=5)


# ---- the memory of gradients ----------------------------------------------------------------------------------------


def test_a_gradient_may_lie_in_memory_that_is_lent_and_keeps_it() -> None:
    """A kernel's large result is a view of a block that is used again once nothing looks at it any more."""
    count = memory.SMALL // 8

    @fused(composite=lambda input: input * 1.0)
    def passed(input: Array, *, keep: bool) -> Any:
        return input * 1.0, ()

    @passed.backward
    def _(residuals: Any, g: Any, needs: Any) -> Any:
        lent = memory.empty(g.shape, g.dtype)
        lent[...] = g * 3
        return (lent,)

    x, y = leaf(np.zeros(count)), leaf(np.zeros(count))
    passed(x).sum().backward()
    address = x.grad.data_ptr()
    assert any(block.ctypes.data == address for block in memory._blocks)  # it was not copied
    passed(y).sum().backward()
    y.grad.zero_()
    assert x.grad.tolist() == [3] * count
