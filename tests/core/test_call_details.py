"""A call in detail: which inputs an op gets, which results are watched or known as views, and the line it came from."""

from __future__ import annotations

import functools
import linecache
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import fused, primitive
from minigrad.core.call import record
from minigrad.core.errors import AnomalyError, describe, describe_location, is_inside, user_location
from minigrad.testing import standin


def _leaf(*values: float, dtype: Any = np.float64) -> minigrad.Tensor:
    return minigrad.tensor(np.array(values, dtype=dtype), requires_grad=True)


# ---- the inputs -----------------------------------------------------------------------------------------------------


@primitive(promote=True)
def weighted(input, weight=None, bias=None):
    """`input * weight + bias`, each as it is there."""
    result = input * 1.0 if weight is None else input * weight
    return result if bias is None else result + bias


weighted.vjp(
    input=lambda g, weight: g if weight is None else g * weight,
    weight=lambda g, input: g * input,
    bias=lambda g: g,
)


@pytest.mark.parametrize("weight", [None, 2.0, 2])
@pytest.mark.parametrize("integer", [False, True])
def test_a_tensor_after_a_number_or_after_nothing(weight: Any, integer: bool) -> None:
    """... takes part in the dtype and in the graph."""
    x, bias = _leaf(1.0, 3.0, dtype=np.float32), _leaf(1.0, 2.0)
    factor = 1.0 if weight is None else float(weight)
    result = weighted(minigrad.tensor([1, 3]) if integer else x, weight, bias)
    assert result.dtype == minigrad.float64
    assert result.tolist() == [factor + 1, 3 * factor + 2]
    (result * result).sum().backward()
    assert bias.grad.tolist() == [2 * (factor + 1), 2 * (3 * factor + 2)]
    if not integer:
        assert x.grad.tolist() == [2 * factor * (factor + 1), 2 * factor * (3 * factor + 2)]


def test_a_number_has_the_shape_of_a_number() -> None:
    seen = []

    @primitive(promote=True)
    def times(input, other):
        return input * other

    times.vjp(input=lambda g, other, other_shape: seen.append(other_shape) or g * other)
    x = _leaf(1.0, 3.0)
    times(x, 2.0).sum().backward()
    assert x.grad.tolist() == [2, 2]
    assert seen == [()]


@pytest.mark.parametrize("dtype", [minigrad.float32, minigrad.float64, minigrad.complex64])
def test_a_quotient_of_mixed_operands_keeps_the_floating_dtype(dtype: Any) -> None:
    x, n = minigrad.tensor([1.0, 3.0], dtype=dtype), minigrad.tensor([2, 4])
    for quotient in (x / n, n / x, 2 / x, 2.0 / x, x / 2, x**2, 2**x, 2.0**x):
        assert quotient.dtype == dtype
    assert (n / n).dtype == (n / 2).dtype == (2 / n).dtype == minigrad.float32
    assert (2.0**n).dtype == minigrad.float32
    for single in (2 / x[0], 2.0 ** x[0], x[0] ** 2.0):
        assert single.dtype == dtype


def test_a_number_before_a_tensor_is_differentiated_twice() -> None:
    x = _leaf(1.0, 3.0)
    (first,) = minigrad.grad((2.0**x).sum(), [x], create_graph=True)
    (second,) = minigrad.grad(first.sum(), [x])
    np.testing.assert_allclose(first.tolist(), np.log(2) * 2 ** np.array([1.0, 3.0]))
    np.testing.assert_allclose(second.tolist(), np.log(2) ** 2 * 2 ** np.array([1.0, 3.0]))


def test_a_device_array_beside_a_tensor() -> None:
    standin.install()
    x = minigrad.tensor([1.0, 2.0]).to("standin")
    assert (x * x._array).tolist() == [1, 4]
    assert (x + minigrad.tensor([1, 2]).to("standin")._array).tolist() == [2, 4]


@pytest.mark.parametrize("inputs", [("a",), (0, "a")])
def test_what_is_no_tensor_among_any_number_of_them(inputs: tuple[Any, ...]) -> None:
    x = _leaf(1.0)
    with pytest.raises(TypeError, match=r"tensors must be a Tensor or a number, got str: make a tensor of it"):
        stacked.op.call(*[x if one == 0 else one for one in inputs], x)


@primitive
def stacked(*tensors):
    """Any number of inputs."""
    return np.stack(tensors)


stacked.vjp(tensors=lambda g, tensors_shape: [g[at] for at in range(len(tensors_shape))])


def test_only_a_promoting_op_blames_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(RuntimeError, match="must have the same shape"):
        stacked(_leaf(1.0, 2.0), _leaf(1.0, 2.0, 3.0))
    with pytest.raises(RuntimeError, match=r"dimension -1 has sizes 2 and 3"):
        weighted(_leaf(1.0, 2.0), _leaf(1.0, 2.0, 3.0))


def test_a_setting_that_an_op_needs_is_asked_for() -> None:
    @primitive
    def raised(input, *, power):
        return input**power

    with pytest.raises(TypeError, match=r"raised\(\) needs power"):
        raised(_leaf(1.0))
    assert raised(_leaf(3.0), power=2).item() == 9


def test_a_fused_op_may_be_given_fewer_inputs_than_it_has() -> None:
    seen = []

    @fused(composite=lambda input, bias: input if bias is None else input + bias)
    def shifted(input, bias=None, *, keep):
        return (input.copy() if bias is None else input + bias), None

    @shifted.backward
    def shifted_backward(residuals, g, needs):
        seen.append(needs)
        return g, g

    x, bias = _leaf(1.0), _leaf(2.0)
    shifted(x).backward()
    shifted(x, bias).backward()
    assert seen == [(True, False), (True, True)]
    assert (x.grad.item(), bias.grad.item()) == (2, 1)


def test_a_number_alone_gives_a_tensor_of_no_dimensions() -> None:
    for x in (minigrad.tensor(2.0), _leaf(2.0).sum()):
        for result in (-x, x * x, x * 2.0, x.exp()):
            assert isinstance(result._array, np.ndarray)
            assert result.shape == ()


# ---- the results ----------------------------------------------------------------------------------------------------


@primitive(outputs="*")
def squares(input):
    """The square of each element, apart."""
    return tuple(one * one for one in np.split(input, len(input)))


squares.vjp(input=lambda g, ans: _joined(*[2.0 * one * result**0.5 for one, result in zip(g, ans, strict=True)]))


@primitive
def _joined(*tensors):
    return np.concatenate(tensors)


@primitive(outputs=("once", "twice"))
def once_and_twice(input):
    """Two results, of which the rule keeps the first."""
    return input * 1.0, input * 2.0


once_and_twice.vjp(input=lambda g_once, g_twice, once: g_once * once**0.0 + g_twice * 2.0)


@pytest.mark.parametrize("written", [0, 1])
def test_each_of_any_number_of_results_is_watched(written: int) -> None:
    x = _leaf(2.0, 3.0)
    results = squares(x)
    results[0].sum().backward(retain_graph=True)
    assert x.grad.tolist() == [4, 0]
    with minigrad.no_grad():
        results[written].add_(1.0)
    with pytest.raises(RuntimeError, match="changed in place since"):
        results[0].sum().backward()


def test_a_result_that_no_rule_keeps_may_be_written() -> None:
    x = _leaf(2.0)
    once, twice = once_and_twice(x)
    with minigrad.no_grad():
        twice.add_(1.0)
    (once + twice).sum().backward()
    assert x.grad.tolist() == [3]
    with minigrad.no_grad():
        once.add_(1.0)


@primitive
def rows_after_the_first(input):
    """A view that does not say so."""
    return input[1:]


rows_after_the_first.vjp(input=None)


@primitive
def itself(input):
    """The very array."""
    return input


itself.vjp(input=lambda g: g)


@pytest.mark.parametrize("op", [rows_after_the_first, itself, minigrad.positive])
def test_a_view_is_known_as_one_though_its_op_does_not_say_so(op: Any) -> None:
    x = minigrad.tensor([1.0, 2.0])
    view = op(x)
    view.add_(1.0)
    assert x._version == 1
    assert x.tolist()[-1] == 3
    product = x * _leaf(1.0, 1.0, dtype=np.float32)
    view.add_(1.0)
    with pytest.raises(RuntimeError, match="changed in place since"):
        product.sum().backward()


@primitive(view=True)
def perhaps_a_view(input):
    """May look at the input's memory, and does not."""
    return input.copy()


@pytest.mark.parametrize(
    "copy",
    [
        perhaps_a_view,
        lambda x: x.t().reshape(6),
        lambda x: x.t().contiguous(),
        lambda x: minigrad.tensor(np.asfortranarray(x.numpy())).contiguous(),
        lambda x: x * 1.0,
    ],
)
def test_a_copy_counts_its_own_writes(copy: Any) -> None:
    x = minigrad.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    result = copy(x)
    result.add_(1.0)
    assert x._version == 0
    assert x.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_copy_of_memory_in_columns_counts_its_own_writes() -> None:
    columns = minigrad.tensor(np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]))
    assert columns._array.base is None
    for copy in (columns.contiguous(), columns.reshape(4)):
        copy.add_(1.0)
        assert columns._version == 0


# ---- views of what was written --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda view, other: view * 2.0,
        lambda view, other: 2 * view,
        lambda view, other: view * other,
        lambda view, other: other * view,
        lambda view, other: -view * -2.0,
        lambda view, other: view * view.detach() * 0.5,
    ],
)
def test_a_view_is_used_after_its_base_was_written(use: Any) -> None:
    x, two = _leaf(1.0, 3.0), minigrad.tensor([2.0, 2.0], dtype=minigrad.float64)
    base = x * 1.0
    view = base[:]
    base.mul_(4.0)
    result = use(view, two)
    expected = use(minigrad.tensor([4.0, 12.0], dtype=minigrad.float64), two)
    assert result.tolist() == expected.tolist()
    result.sum().backward()
    factor = (expected / minigrad.tensor([1.0, 3.0], dtype=minigrad.float64)).tolist()
    assert x.grad.tolist() == factor


# ---- the line -------------------------------------------------------------------------------------------------------

_SOURCE = "def use(op, x):\n    y = x\n    return op(y)\n"


def _in_a_file(name: str) -> Any:
    """A function `use` in a file of its own, of which nobody has asked yet whose it is."""
    is_inside.pop(name, None)
    linecache.cache[name] = (len(_SOURCE), None, _SOURCE.splitlines(keepends=True), name)
    held: dict[str, Any] = {}
    exec(compile(_SOURCE, name, "exec"), held)
    return held["use"]


_TWICE = minigrad.ones(2, dtype=minigrad.float64) * 2
_CALLS: dict[str, Any] = {
    "square": minigrad.square,
    "exp": minigrad.exp,
    "mul": functools.partial(minigrad.mul, _TWICE),
    "relu": minigrad.nn.functional.relu,
    "softsign": minigrad.nn.functional.softsign,
    "cumprod": functools.partial(minigrad.cumprod, dim=0),
}


@pytest.mark.parametrize("op", _CALLS)
def test_a_result_knows_the_line_that_called(op: str) -> None:
    """... also when the caller's file is new, or a function of the package stands between."""
    name, given = f"a_file_for_{op}.py", _CALLS[op]
    assert given(_leaf(1.0, 2.0)).grad_fn.line.startswith(__file__)  # this is known for a file of the user's
    use = _in_a_file(name)
    for _ in range(2):  # the first call finds out whose file it is
        where = describe_location(use(given, _leaf(1.0, 2.0)).grad_fn.location)
        assert where == f"{name}:3, in use: return op(y)"


def test_a_node_keeps_the_location_it_is_given() -> None:
    here = user_location(0)
    plan = itself.op.plan((True,))
    assert record(plan, (), (), (), ((),), here).location is here
    assert record(plan, (), (), (), ((),)).location[0].co_name == "test_a_node_keeps_the_location_it_is_given"


def test_a_line_whose_source_is_gone_is_a_place_all_the_same() -> None:
    held: dict[str, Any] = {}
    exec(compile(_SOURCE, "gone.py", "exec"), held)
    assert describe_location(held["use"](minigrad.exp, _leaf(1.0)).grad_fn.location) == "gone.py:3, in use"


def test_how_an_argument_is_named() -> None:
    class Shaped:
        shape = (1, 2)

    assert describe(np.zeros((1, 2), np.float32)) == "float32[1, 2]"
    assert [*map(describe, (None, 2.5, "a", [1], Shaped()))] == ["None", "2.5", "'a'", "list", "Shaped"]


def test_a_librarys_complaint_is_told_in_the_packages_words() -> None:
    with pytest.raises(IndexError, match="axis 2 is out of bounds".replace("axis", "dim") + " for a tensor of dim"):
        _flipped(_leaf(1.0, 2.0))
    with pytest.raises(RuntimeError, match=r"_refused\(float64\[1\]\): no such thing$"):
        _refused(_leaf(1.0))


@primitive
def _flipped(input):
    return np.flip(input, 2)


@primitive
def _refused(input):
    raise ValueError("no such thing")


@primitive
def turned_over(input, *, axis=0):
    """The elements in the other order along `axis`, which is this op's own word."""
    return np.flip(input, axis)


def test_a_setting_may_have_the_name_of_an_alias() -> None:
    x = minigrad.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert turned_over(input=x, axis=1).tolist() == [[2.0, 1.0], [4.0, 3.0]]
    assert turned_over(x, axis=1).tolist() == [[2.0, 1.0], [4.0, 3.0]]


@pytest.mark.parametrize("op", [minigrad.log, lambda x: x / x])
def test_no_mode_is_forgotten_where_calls_are_short(op: Any) -> None:
    with minigrad.autograd.detect_anomaly(), pytest.raises(AnomalyError, match="made NaN"):
        op(_leaf(-1.0) * 0 - (0.0 if op is not minigrad.log else 1.0))
    with minigrad.inference_mode():
        result = op(minigrad.ones(1))
    with pytest.raises(RuntimeError, match="inference tensor"):
        result.requires_grad_()
