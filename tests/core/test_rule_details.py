"""Rules and fused ops in detail: what is watched under `create_graph`, gradients that nothing sent, results among what
a fused op keeps, and rows that stay rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, fused, grad, primitive
from minigrad.backend import Array
from minigrad.core.primitive import registry
from minigrad.core.rows import Rows
from minigrad.testing import standin


def _leaf(*values: float, dtype: Any = np.float64) -> minigrad.Tensor:
    return minigrad.tensor(np.array(values, dtype=dtype), requires_grad=True)


# ---- rules ----------------------------------------------------------------------------------------------------------


@primitive(outputs="*")
def squares(input):
    """The square of each element, apart."""
    return tuple(one * one for one in np.split(input, len(input)))


@primitive
def joined(*tensors):
    """What `squares` took apart."""
    return np.concatenate(tensors)


squares.vjp(input=lambda g, ans: joined(*[2.0 * one * result**0.5 for one, result in zip(g, ans, strict=True)]))
joined.vjp(tensors=lambda g, tensors_shape: [g[at : at + 1] for at in range(len(tensors_shape))])


@primitive
def product(*tensors):
    """Of two inputs, kept for the rule as one."""
    return tensors[0] * tensors[1]


product.vjp(tensors=lambda g, needs, tensors: [g * tensors[1 - at] if need else None for at, need in enumerate(needs)])


@primitive(outputs=("once", "twice"))
def once_and_twice(input):
    """Two results."""
    return input * 1.0, input * 2.0


once_and_twice.vjp(input=lambda g_once, g_twice: g_once + g_twice * 2.0)


@pytest.mark.parametrize("values", [(3.0,), (2.0, 3.0)])
def test_the_second_derivative_of_any_number_of_results(values: tuple[float, ...]) -> None:
    x = _leaf(*values)
    (first,) = grad(squares(x)[0].sum(), [x], create_graph=True)
    assert first.tolist() == [2 * values[0], *[0.0] * (len(values) - 1)]
    (second,) = grad(first.sum(), [x])
    assert second.tolist() == [2.0, *[0.0] * (len(values) - 1)]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("op", [squares, once_and_twice])
def test_a_gradient_that_nothing_sent_has_the_dtype_and_kind_of_the_others(op: Any, create_graph: bool) -> None:
    x = _leaf(2.0, 3.0, dtype=np.float32)
    (gradient,) = grad(op(x)[0].sum(), [x], create_graph=create_graph)
    assert gradient.dtype == minigrad.float32


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_rule_gets_one_kind_of_gradients(create_graph: bool) -> None:
    seen = []

    def both(input):
        return input * 1.0, input * 1.0

    def note(left: Any, right: Any) -> Any:
        seen.append((type(left), type(right), right.dtype))
        return left

    named, varying = primitive(both, outputs=("left", "right")), primitive(both, outputs="*")
    named.vjp(input=lambda g_left, g_right: note(g_left, g_right))
    varying.vjp(input=lambda g: note(*g))
    x = _leaf(1.0, dtype=np.float32)
    for op in (named, varying):
        grad(op(x)[0].sum(), [x], create_graph=create_graph)
    kind = Tensor if create_graph else np.ndarray
    assert seen == [(kind, kind, minigrad.float32)] * 2


def test_one_result_of_any_number_is_in_a_tuple() -> None:
    @primitive(outputs="*")
    def whole(input):
        return (input * 2.0,)

    whole.vjp(input=lambda g: g[0] * 2.0 * len(g))
    x = _leaf(1.0, 2.0, 3.0)
    whole(x)[0].sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def _write(tensor: minigrad.Tensor) -> None:
    with minigrad.no_grad():
        tensor.add_(1.0)


def test_what_a_recorded_gradient_was_computed_from_is_watched() -> None:
    """... by the ops of the rule themselves: the way back from the slope does not pass the op again."""

    @primitive
    def cubes(*tensors):
        return tensors[0] ** 3 + tensors[1] ** 3

    cubes.vjp(
        tensors=lambda g, needs, tensors: [
            g * 3.0 * (one * one) if need else None for one, need in zip(tensors, needs, strict=True)
        ]
    )
    x, y = _leaf(2.0), _leaf(3.0)
    (slope,) = grad(cubes(x, y).sum(), [x], create_graph=True)
    assert grad(slope.sum(), [x], retain_graph=True)[0].tolist() == [12]
    _write(x)
    with pytest.raises(RuntimeError, match=r"'mul' saved .* changed in place"):
        slope.sum().backward()


@pytest.mark.parametrize("written", [0, 1])
def test_results_that_a_recorded_gradient_was_computed_from_are_watched(written: int) -> None:
    x = _leaf(2.0, 3.0)
    results = squares(x)
    (first,) = grad(results[0].sum() + results[1].sum(), [x], create_graph=True)
    _write(results[written])
    with pytest.raises(RuntimeError, match=r"'pow' saved .* changed in place"):
        first[written].backward()


@pytest.mark.parametrize("written", [0, 1])
def test_each_of_any_number_of_inputs_has_the_name_of_all(written: int) -> None:
    x = [_leaf(2.0), _leaf(3.0)]
    result = product(*x)
    _write(x[written])
    with pytest.raises(RuntimeError, match="'product' saved 'tensors'"):
        result.backward()


@pytest.mark.parametrize(("written", "name"), [(0, "input"), (1, "other")])
def test_each_input_has_its_own_name(written: int, name: str) -> None:
    x = [_leaf(2.0), _leaf(3.0)]
    result = x[0] * x[1]
    _write(x[written])
    with pytest.raises(RuntimeError, match=f"'mul' saved '{name}'"):
        result.backward()


def test_whole_numbers_that_a_rule_keeps_have_no_place_in_the_graph() -> None:
    kept = []

    @primitive(outputs=("values", "order"))
    def in_order(input):
        order = np.argsort(input)
        return input[order], order

    in_order.vjp(input=lambda g_values, g_order, order: kept.append(order) or g_values[order])
    x = _leaf(2.0, 1.0)
    grad(in_order(x)[0].sum(), [x], create_graph=True)
    assert not kept[0].requires_grad


def test_a_rule_for_no_input_says_which_there_are() -> None:
    times = primitive(lambda input, other: input * other)
    for op, said in (
        (times, "its inputs are input, other$"),
        (product, r"its inputs are \*tensors$"),
        (squares, "its inputs are input$"),
    ):
        with pytest.raises(TypeError, match=said):
            op.vjp(another=lambda g: g)

    @primitive
    def nothing(*, size=1):
        return np.zeros(size)

    with pytest.raises(TypeError, match=r"its inputs are none$"):
        nothing.vjp(input=lambda g: g)


def test_a_rule_that_is_none_leaves_the_others() -> None:
    @primitive
    def times(input, other):
        return input * other

    times.vjp(input=None, other=lambda g, input: g * input)
    x, y = _leaf(2.0), _leaf(3.0)
    times(x, y).backward()
    assert x.grad is None
    assert y.grad.tolist() == [2]


@pytest.mark.parametrize("word", ["ans", "g"])
def test_several_results_have_names_of_their_own(word: str) -> None:
    held: dict[str, Any] = {}
    exec(f"def rule({word}): return {word}", held)
    with pytest.raises(TypeError, match=f"asks for '{word}'"):
        once_and_twice.vjp(input=held["rule"])


@pytest.mark.parametrize("op", [joined, squares])
def test_one_gradient_has_the_plain_name(op: Any) -> None:
    with pytest.raises(TypeError, match="asks for 'g_ans'"):
        op.vjp(**{op.op.variadic or "input": lambda g_ans: g_ans})


def test_inputs_may_be_annotated_as_arrays_or_tensors() -> None:
    @primitive
    def weighted(input: Tensor, weight: Array = None, bias: Tensor | None = None, power: int = 1):
        result = input if weight is None else input * weight
        return (result if bias is None else result + bias) ** power

    assert weighted.op.inputs == ("input", "weight", "bias")
    assert weighted.op.settings == {"power": 1}
    assert weighted(_leaf(2.0), _leaf(3.0), _leaf(1.0), 2).tolist() == [49]


def test_the_registry_has_the_packages_own_ops() -> None:
    assert registry["mul"].call is minigrad.mul
    assert "squares" not in registry


def test_two_inputs_may_both_be_left_out() -> None:
    @primitive
    def total(input, weight=None, bias=None):
        return input * (1.0 if weight is None else weight) + (0.0 if bias is None else bias)

    assert total(_leaf(2.0)).tolist() == [2]
    assert total(_leaf(2.0), bias=_leaf(1.0)).tolist() == [3]
    with pytest.raises(TypeError, match=r"total\(\) has no argument size, width; it takes input, weight, bias$"):
        total(_leaf(2.0), width=1, size=2)


# ---- fused ops ------------------------------------------------------------------------------------------------------


def _scaled_product(input, weight, *, scale=1.0):
    return (input * weight * scale, input * scale)


def _fused_product(residuals: Any) -> Any:
    """`(input * weight * scale, input * scale)`; `residuals(input, weight, results)` is what it keeps."""

    @fused(composite=_scaled_product, outputs=("product", "scaled"))
    def fused_product(input, weight, *, scale=1.0, keep):
        results = (input * weight * scale, input * scale)
        return results, (residuals(input, weight, results), input, weight, scale) if keep else None

    @fused_product.backward
    def _(residuals, g, needs):
        _, input, weight, scale = residuals
        nothing = np.zeros_like(input)
        first, second = [nothing if one is None else one for one in g]
        return (first * weight + second) * scale, first * input * scale

    return fused_product


def test_a_fused_ops_settings_and_unused_results_under_create_graph() -> None:
    op = _fused_product(lambda *_: None)
    for used, expected in ((0, ([9.0], [6.0])), (1, ([3.0], None))):
        x, w = _leaf(2.0), _leaf(3.0)
        result = op(x, w, scale=3.0)[used]
        d_x, d_w = grad(result.sum(), [x, w], create_graph=True, allow_unused=True)
        assert d_x.tolist() == expected[0]
        if expected[1] is None:
            assert d_w is None or d_w.tolist() == [0]
        else:
            assert d_w.tolist() == expected[1]
            (mixed,) = grad(d_x.sum(), [w])
            assert mixed.tolist() == [3]


def test_an_input_without_gradient_is_watched_for_the_composite() -> None:
    @fused(composite=lambda input, weight: (input * weight) ** 2)
    def weighted_square(input, weight, *, keep):
        return (input * weight) ** 2, (input, weight)

    weighted_square.backward(lambda residuals, g, needs: (2.0 * g * residuals[0] * residuals[1] ** 2, None))
    x, weight = _leaf(2.0), minigrad.tensor([3.0], dtype=minigrad.float64)
    (slope,) = grad(weighted_square(x, weight).sum(), [x], create_graph=True)
    assert grad(slope.sum(), [x], retain_graph=True)[0].tolist() == [18]
    _write(weight)
    with pytest.raises(RuntimeError, match=r"'mul' saved .* changed in place"):
        slope.sum().backward()


@pytest.mark.parametrize(
    ("residuals", "watched"),
    [
        (lambda x, w, results: None, False),
        (lambda x, w, results: 3.0, False),
        (lambda x, w, results: x, False),
        (lambda x, w, results: results[0].copy(), False),
        (lambda x, w, results: results[1], False),
        (lambda x, w, results: results[0], True),
        (lambda x, w, results: results[0][:1], True),
        (lambda x, w, results: [x, (w, results[0])], True),
        (lambda x, w, results: {"kept": results[0], "other": x}, True),
        (lambda x, w, results: {"other": [x.copy(), w.copy()]}, False),
    ],
)
def test_a_result_among_the_residuals_is_watched_and_no_other(residuals: Any, watched: bool) -> None:
    x, w = _leaf(2.0, 1.0), _leaf(3.0, 1.0)
    result, scaled = _fused_product(residuals)(x, w)
    _write(result)
    if watched:
        with pytest.raises(RuntimeError, match="saved 'the result product' for its gradient"):
            (result + scaled).sum().backward()
    else:
        (result + scaled).sum().backward()
        assert x.grad.tolist() == [4, 2]


@pytest.mark.parametrize("keeps_the_whole", [False, True])
def test_a_result_that_looks_at_what_is_kept_is_watched(keeps_the_whole: bool) -> None:
    @fused(composite=lambda input: input * 2.0)
    def doubled(input, *, keep):
        whole = np.concatenate([input * 2.0, input])
        part = whole[: len(input)]
        return part, (whole if keeps_the_whole else whole[1:])

    doubled.backward(lambda residuals, g, needs: (g * 2.0,))
    result = doubled(_leaf(1.0, 2.0))
    _write(result)
    with pytest.raises(RuntimeError, match="changed in place"):
        result.sum().backward()


def test_a_fused_op_of_any_number_of_inputs_names_what_was_written() -> None:
    @fused(composite=lambda *tensors: tensors[0] * tensors[1])
    def multiplied(*tensors, keep):
        result = tensors[0] * tensors[1]
        return result, (tensors, result)

    multiplied.backward(lambda residuals, g, needs: (g * residuals[0][1], g * residuals[0][0]))
    for written, said in ((0, "'tensors'"), (1, "'tensors'"), (2, "'the result ans'")):
        x, y = _leaf(2.0), _leaf(3.0)
        result = multiplied(x, y)
        _write((x, y, result)[written])
        with pytest.raises(RuntimeError, match=f"'multiplied' saved {said}"):
            result.backward()


def test_a_fused_op_that_gives_numpys_numbers() -> None:
    @fused(composite=lambda input, weight=None: (input * input).sum())
    def energy(input, weight=None, *, keep):
        return (input * input).sum(), input

    energy.backward(lambda residuals, g, needs: (g * 2.0 * residuals, None))
    x = _leaf(1.0, 2.0)
    result = energy(x)
    assert isinstance(result._array, np.ndarray)
    result.backward()
    assert x.grad.tolist() == [2, 4]


def test_a_fused_op_wants_its_inputs_on_one_device() -> None:
    standin.install()
    op = _fused_product(lambda *_: None)
    with pytest.raises(RuntimeError, match=r"fused_product\(\): the inputs are on different devices, cpu and standin"):
        op(_leaf(1.0), _leaf(2.0).to("standin"))


# ---- rows -----------------------------------------------------------------------------------------------------------


def _rows(keep: bool, dtype: Any = np.float32) -> Rows:
    return Rows(np.array([2, 0, 2]), np.ones((3, 2), dtype), (4, 2), keep)


@pytest.mark.parametrize("keep", [True, False])
def test_what_is_made_of_rows_stays_rows_where_that_was_asked_of_all(keep: bool) -> None:
    rows = _rows(keep)
    assert rows.coalesce().keep is keep
    assert rows.clone().keep is keep
    assert (rows + _rows(True)).keep is keep
    assert (_rows(True) + rows).keep is keep
    assert (rows + _rows(False)).keep is False
    assert Rows(np.array([0]), np.ones((1, 2)), (4, 2)).keep is False


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_whole_table_has_the_rows_dtype(dtype: Any) -> None:
    whole = _rows(False, dtype).to_dense()
    assert whole.dtype == dtype
    assert whole.tolist() == [[1, 1], [0, 0], [2, 2], [0, 0]]


# ---- gradients that do not fit --------------------------------------------------------------------------------------


@primitive
def total(input, *, factor=1.0):
    """The sum of all elements."""
    return np.asarray(factor * input.sum())


total.vjp(input=lambda g, factor: g * factor)


@primitive
def both(*tensors):
    """The first two, added."""
    return tensors[0] + tensors[1]


both.vjp(tensors=lambda g: [g, np.ones(5)])


def test_a_gradient_of_another_shape_names_op_input_and_shapes() -> None:
    said = r"the rule of 'total' for 'input' gives a gradient of shape \(\), and the input has shape \(3,\) "
    with pytest.raises(RuntimeError, match=said + r"\(recorded at .*test_rule_details"):
        total(_leaf(1, 2, 3)).backward()


@primitive
def flattened(input):
    """Twice the input."""
    return input * 2


flattened.vjp(input=lambda g: (g * 2).reshape(-1))


def test_a_gradient_of_the_right_size_and_another_shape_is_refused() -> None:
    said = r"the rule of 'flattened' for 'input' gives a gradient of shape \(4,\), and the input has shape \(2, 2\) "
    with pytest.raises(RuntimeError, match=said):
        flattened(_leaf(1, 2, 3, 4).reshape(2, 2)).sum().backward()


@primitive
def doubled(input):
    """Twice the input."""
    return input * 2


doubled.vjp(input=lambda g: (g * 2).mT)


def test_a_gradient_turned_round_is_refused() -> None:
    """It has the right size, and the right number of dimensions."""
    said = r"the rule of 'doubled' for 'input' gives a gradient of shape \(3, 2\), and the input has shape \(2, 3\) "
    with pytest.raises(RuntimeError, match=said):
        doubled(_leaf(1, 2, 3, 4, 5, 6).reshape(2, 3)).sum().backward()


@pytest.mark.parametrize("shape", [(3,), (1, 3), (1, 1), ()])
def test_half_precision_counts_beyond_2048(shape: tuple[int, ...]) -> None:
    x = minigrad.zeros(*shape, dtype=minigrad.float16, requires_grad=True)
    (x + minigrad.ones(4096, 3, dtype=minigrad.float16)).sum().backward()
    assert x.grad.dtype == minigrad.float16
    assert set(x.grad.reshape(-1).tolist()) == {4096.0 * 3 / x.numel()}


def test_an_input_without_a_name_is_counted() -> None:
    said = r"the rule of 'both' for input 1 gives a gradient of shape \(5,\), and the input has shape \(3,\)"
    with pytest.raises(RuntimeError, match=said):
        both(_leaf(1, 2, 3), _leaf(1, 2, 3)).sum().backward()
