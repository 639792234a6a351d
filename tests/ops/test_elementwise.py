"""elementwise, arithmetic, comparison and special beside PyTorch: at special points, over dtypes, in place.

Their derivatives are compared with numeric ones by tests/specs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from beside_torch import agree, torch
from hypothesis import assume, given
from hypothesis import strategies as st

import minigrad
from minigrad.testing.strategies import arrays, broadcastable

SPECIAL = np.array([-np.inf, -3, -2.5, -1.5, -1, -0.5, -0.0, 0.0, 1e-300, 0.5, 1, 1.5, 2.5, 3, 700, np.inf, np.nan])
PAIRS = np.array([-np.inf, -2, -1, -0.5, 0, 0.5, 1, 2, 3, np.inf, np.nan])
DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


FUNCTIONS = words(
    """
    abs absolute sign sgn neg negative positive floor ceil trunc round frac square sqrt rsqrt reciprocal
    exp exp2 expm1 log log2 log10 log1p sin cos tan asin arcsin acos arccos atan arctan
    sinh cosh tanh asinh arcsinh acosh arccosh atanh arctanh relu sigmoid erf nan_to_num
    """
)
IN_PLACE = [name for name in FUNCTIONS if name != "positive"]
QUESTIONS = ["isnan", "isinf", "isfinite", "logical_not"]
OPERATIONS = words(
    "add sub mul multiply subtract div divide true_divide pow maximum minimum atan2 arctan2 logaddexp xlogy"
)
COMPARISONS = words("eq ne not_equal lt less le less_equal gt greater ge greater_equal")
LOGIC = ["logical_and", "logical_or", "logical_xor"]
BITS = ["bitwise_and", "bitwise_or", "bitwise_xor"]


def grid(*axes: Any) -> list[Any]:
    """All combinations of the numbers, one array for each place."""
    return [np.ravel(one).astype(np.float64) for one in np.meshgrid(*axes, indexing="ij")]


# ---- functions of one number ----------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("name", FUNCTIONS + QUESTIONS)
def test_a_function_at_special_points(name: str) -> None:
    agree(lambda library, x: getattr(library, name)(x), SPECIAL, order=2)
    agree(lambda library, x: getattr(x, name)(), SPECIAL)


@pytest.mark.oracle
@pytest.mark.parametrize("name", FUNCTIONS + QUESTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_function_of_every_dtype(name: str, dtype: str) -> None:
    x = np.array([0, 1, 2, 3]).astype(dtype)
    oracle = torch()
    try:
        getattr(oracle, name)(oracle.tensor(x))
    except (RuntimeError, TypeError):
        return  # where PyTorch has no such function, minigrad may go further
    agree(lambda library, x: getattr(library, name)(x), x, order=0, rtol=2e-3 if dtype == "float16" else 3e-7)


@pytest.mark.oracle
def test_logsigmoid() -> None:
    oracle = torch()
    from minigrad.ops.elementwise import logsigmoid

    def either(library: Any, x: Any) -> Any:
        return oracle.nn.functional.logsigmoid(x) if library is oracle else logsigmoid(x)

    agree(either, SPECIAL, order=2)


@pytest.mark.oracle
@pytest.mark.parametrize("decimals", [-2, -1, 0, 1, 3])
def test_round_to_decimals(decimals: int) -> None:
    agree(
        lambda library, x: library.round(x, decimals=decimals), np.array([-155.5555, -1.25, 0.05, 2.5, 3.14159, 249.0])
    )


def test_whole_numbers_are_rounded_to_tens() -> None:
    x = minigrad.tensor([155, -151, 4])
    for decimals, expected in [(-1, [160, -150, 0]), (0, [155, -151, 4]), (2, [155, -151, 4])]:
        found = x.round(decimals=decimals)
        assert (found.dtype, found.tolist()) == (minigrad.int64, expected)
        assert not np.shares_memory(found.numpy(), x.numpy())


def test_erf_of_float16_is_the_nearest_there_is() -> None:
    x = np.linspace(-4, 4, 500).astype(np.float16)
    expected = np.array([math.erf(one) for one in x]).astype(np.float16)
    np.testing.assert_array_equal(minigrad.erf(minigrad.tensor(x)).numpy(), expected)


def test_erf_is_within_one_unit_in_the_last_place() -> None:
    x = np.concatenate([np.linspace(-7, 7, 4001), np.logspace(-300, 1, 500), [np.inf, -np.inf, -0.0]])
    expected = np.array([math.erf(one) for one in x])
    found = minigrad.erf(minigrad.tensor(x)).numpy()
    assert (np.abs(found - expected) <= np.spacing(np.abs(expected))).all()
    assert math.copysign(1, found[-1]) == -1
    assert minigrad.erf(minigrad.tensor(math.nan)).isnan().item()
    assert minigrad.erf(minigrad.tensor(x).half()).dtype == minigrad.float16


def test_the_sign_of_a_complex_number_is_its_direction() -> None:
    assert minigrad.tensor([3 + 4j, 0j, -2j]).sign().tolist() == pytest.approx([0.6 + 0.8j, 0, -1j])


def test_saturated_sigmoids_are_exact() -> None:
    x = minigrad.tensor([-1e4, -math.inf, 1e4, math.inf], requires_grad=True)
    y = x.sigmoid()
    assert y.tolist() == [0, 0, 1, 1]
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 0]


# ---- functions of two numbers ---------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("name", [*OPERATIONS, *COMPARISONS, *LOGIC, "fmod", "remainder", "isclose"])
def test_an_operation_at_special_points(name: str) -> None:
    first, second = grid(PAIRS, PAIRS)
    if name == "pow":  # a NaN has its own gradient here, and PyTorch's 0 where the exponent is 0
        first, second = (one[~(np.isnan(first) & (second == 0))] for one in (first, second))
    agree(lambda library, x, y: getattr(library, name)(x, y), first, second)
    agree(lambda library, x, y: getattr(x, name)(y), first, second)


@pytest.mark.oracle
@pytest.mark.parametrize("mode", ["floor", "trunc", None])
def test_rounded_division_at_special_points(mode: str | None) -> None:
    agree(lambda library, x, y: library.div(x, y, rounding_mode=mode), *grid(PAIRS, PAIRS))
    agree(lambda library, x, y: x.detach() // y.detach(), *grid(PAIRS, PAIRS))
    whole = [one.astype(int) for one in grid([-7, -2, -1, 0, 1, 5, 6], [-3, -2, -1, 1, 2, 4])]
    agree(lambda library, x, y: library.div(x, y, rounding_mode=mode), *whole, order=0)


@pytest.mark.oracle
@pytest.mark.parametrize("number", [-2, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4])
def test_powers_of_and_to_a_number(number: float) -> None:
    finite = PAIRS[~np.isnan(PAIRS)]
    agree(lambda library, x: x**number, finite, order=2)
    agree(lambda library, x: number**x, PAIRS)
    agree(lambda library, x: library.pow(number, x), PAIRS)
    agree(lambda library, x: x**number, np.array([1, 2, 3]) if number >= 0 else np.array([1.0]), order=0, rtol=1e-6)


def test_powers_of_bools() -> None:
    x = minigrad.tensor([True, False])
    for exponent, dtype in [(2, minigrad.int64), (True, minigrad.bool), (x | True, minigrad.bool)]:
        assert (x**exponent).dtype == dtype
        assert (x**exponent).tolist() == [1, 0]


def test_a_power_rounds_alike_in_every_way_to_a_gradient() -> None:
    """The norm's rule takes a power of a result without dimensions, which on arrays is a NumPy scalar."""
    for number in np.linspace(0.5, 9, 100):
        x = minigrad.tensor(number, requires_grad=True)
        gradients = [minigrad.grad(x.norm(3.7), x, create_graph=recorded)[0].item() for recorded in (False, True)]
        assert gradients[0] == gradients[1]


def test_derivatives_of_0_to_the_0() -> None:
    x, b = minigrad.tensor([0.0, 2.0], requires_grad=True), minigrad.tensor([0.0, 0.0], requires_grad=True)
    dx, db = minigrad.grad((x**b).sum(), [x, b], create_graph=True)
    assert dx.tolist() == [0, 0]
    assert db.tolist() == pytest.approx([0, math.log(2)])
    (mixed,) = minigrad.grad(dx[1], b)  # d/db b x^(b-1) = 1/x at b = 0
    assert mixed.tolist() == [0, 0.5]


@pytest.mark.oracle
def test_operators_with_numbers_on_both_sides() -> None:
    def everything(library: Any, x: Any) -> Any:
        return (2 - x) + 3 / x + (x - 1) / 4 + 2 * x * 0.5 + x % 2 + abs(x) - (-x) + (+x) + 1.5**x

    agree(everything, np.array([-2.5, -1.0, 0.75, 3.0]), order=2)
    agree(lambda library, x: 7 // x + x // 2 + 7 % x + x % 3, np.array([-3, -2, 1, 4]), order=0)
    agree(
        lambda library, x: library.rsub(x, 2, alpha=3) + library.add(x, x, alpha=0.5) - library.sub(x, 1, alpha=2),
        PAIRS,
    )
    agree(lambda library, x: (x & 6) | (1 ^ x) | (3 & x) ^ ~x, np.array([-3, -2, 1, 4]), order=0)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["add", "sub", "rsub"])
def test_a_multiple_has_the_dtype_of_the_result(name: str) -> None:
    torch = pytest.importorskip("torch")
    whole, number = np.array([1, 2]), np.array(1.5)
    for first, second in ((whole, number), (number, whole), (whole, whole.astype(np.float32)), (whole, number[None])):
        found, expected = (
            getattr(library, name)(library.tensor(first), library.tensor(second), alpha=0.5)
            for library in (minigrad, torch)
        )
        assert str(found.dtype) == str(expected.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.parametrize("divide", [lambda x, y: x // y, lambda x, y: x % y, minigrad.fmod])
def test_integer_division_by_zero_raises(divide: Any) -> None:
    x = minigrad.tensor([1, 2])
    for zero in (0, minigrad.tensor([1, 0])):
        with pytest.raises(ZeroDivisionError, match="integer division by zero: divide floats"):
            divide(x, zero)
    with pytest.raises(ZeroDivisionError):
        minigrad.div(x, minigrad.tensor([1, 0]), rounding_mode="trunc")
    assert (x / 0).tolist() == [math.inf, math.inf]


@pytest.mark.oracle
@pytest.mark.parametrize("bounds", [(-1, 1), (-1, None), (None, 0.5), (1, -1)])
def test_clamp_to_numbers(bounds: Any) -> None:
    agree(lambda library, x: library.clamp(x, *bounds), PAIRS)
    agree(lambda library, x: x.clip(min=bounds[0], max=bounds[1]), PAIRS)


@pytest.mark.oracle
def test_clamp_to_tensors() -> None:
    x, low, high = grid([-1, 0, 0.5, 1, 2, np.nan], [-1, 0, 1], [-1, 0, 1, 2])
    agree(lambda library, x, low, high: library.clamp(x, low, high), x, low, high)
    agree(lambda library, x, low, high: x.clamp(max=high) + x.clamp(min=low), x, low, high)
    agree(lambda library, x, low: library.clamp(x, low), np.array([1, 2, 3]), np.array([1.5]))
    with pytest.raises(RuntimeError, match="at least one of min and max"):
        minigrad.ones(2).clamp()


@pytest.mark.oracle
@given(st.data())
def test_lerp(data: st.DataObject) -> None:
    x, end, weight = (data.draw(arrays(shape)) for shape in data.draw(broadcastable(3)))
    agree(lambda library, x, end, weight: library.lerp(x, end, weight), x, end, weight, order=2)
    agree(lambda library, x, end: x.lerp(end, 0.3), *np.broadcast_arrays(x, end), order=2)


# ---- dtypes ---------------------------------------------------------------------------------------------------------

NUMBERS = [True, 2, 1.5]


@st.composite
def operands(draw: st.DrawFn) -> Any:
    """A tensor with dimensions, a 0-d tensor or a Python number."""
    kind = draw(st.sampled_from(["dimensions", "0-d", "number"]))
    if kind == "number":
        return draw(st.sampled_from(NUMBERS))
    return np.ones((2,) if kind == "dimensions" else (), draw(st.sampled_from(DTYPES)))


@pytest.mark.oracle
@pytest.mark.parametrize("name", [*OPERATIONS, *COMPARISONS, *LOGIC, *BITS, "fmod", "remainder", "floor_divide"])
@given(first=operands(), second=operands())
def test_dtypes_are_promoted_as_in_torch(name: str, first: Any, second: Any) -> None:
    oracle = torch()
    assume(isinstance(first, np.ndarray) or isinstance(second, np.ndarray))
    # With a number beside whole ones, PyTorch's xlogy alone gives float64.
    assume(name != "xlogy" or (isinstance(first, np.ndarray) and isinstance(second, np.ndarray)))

    def called(library: Any) -> Any:
        return getattr(library, name)(
            *[library.tensor(one) if isinstance(one, np.ndarray) else one for one in (first, second)]
        )

    try:
        expected = called(oracle)
    except (TypeError, RuntimeError, NotImplementedError):
        return  # PyTorch takes no such mix
    found = called(minigrad)
    assert str(expected.dtype) == f"torch.{found.dtype}"
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-3)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "true_divide"])
def test_a_number_beside_a_tensor_leaves_its_dtype(name: str) -> None:
    for dtype in (minigrad.float16, minigrad.float32):
        x = minigrad.tensor([1.0, 2.0], dtype=dtype, requires_grad=True)
        for result in (getattr(minigrad, name)(x, 1.5), getattr(minigrad, name)(1.5, x)):
            assert result.dtype == dtype
            assert minigrad.grad(result.sum(), x)[0].dtype == dtype


@given(first=st.sampled_from(DTYPES[-3:]), second=st.sampled_from(DTYPES[-3:]))
def test_a_gradient_has_its_inputs_dtype(first: str, second: str) -> None:
    x = minigrad.tensor([2.0, 1.0]).to(np.dtype(first)).requires_grad_()
    y = minigrad.tensor([[3.0], [1.0]]).to(np.dtype(second)).requires_grad_()
    (x * y / (x + y) - x**y + x.maximum(y) + minigrad.where(x > y, x, y)).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (x.dtype, y.dtype)


# ---- in place -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_function_in_place(name: str) -> None:
    first = minigrad.tensor(np.array([0.25, 0.5, 0.75]) + (name in ("acosh", "arccosh")), requires_grad=True)
    x = first * 1
    memory, version = x._array, x._version
    assert getattr(x, f"{name}_")() is x
    assert x._array is memory
    assert x._version == version + 1
    expected = getattr(first, name)()
    assert x.tolist() == expected.tolist()
    assert minigrad.grad((x * 2).sum(), first)[0].tolist() == minigrad.grad((expected * 2).sum(), first)[0].tolist()


@pytest.mark.oracle
def test_operators_in_place() -> None:
    def written(library: Any, x: Any, y: Any) -> Any:
        z = x * 1
        before = z
        z += y
        z -= 0.5
        z *= y
        z /= 3
        z **= 2
        z.add_(y, alpha=2).sub_(1).mul_(2).div_(y).pow_(3).clamp_(-5, 50).lerp_(y, 0.5).atan2_(y)
        assert z is before
        return z

    agree(written, np.array([1.0, -2.0, 3.0]), np.array([0.5, 2.0, 1.5]))
    agree(lambda library, x: x.clone().bitwise_and_(6).bitwise_or_(1).bitwise_xor_(3), np.array([5, 6, 7]), order=0)


def test_in_place_keeps_the_dtype() -> None:
    x = minigrad.tensor([1, 2])
    with pytest.raises(RuntimeError, match="cannot be put into a int64 tensor in place"):
        x.div_(2)
    y = minigrad.tensor([1.0, 2.0])
    y += minigrad.tensor([1.0, 1.0], dtype=minigrad.float64)
    assert (y.dtype, y.tolist()) == (minigrad.float32, [2, 3])


# ---- errors -------------------------------------------------------------------------------------------------------


def test_errors_say_what_to_do() -> None:
    x = minigrad.ones(2, 3)
    with pytest.raises(
        RuntimeError, match=r"mul: shapes \(2, 3\) and \(2,\) do not broadcast: dimension -1 has sizes 2 and 3"
    ):
        x * minigrad.ones(2)
    with pytest.raises(RuntimeError, match=r"where: the condition must be a bool tensor, got float32: compare it"):
        minigrad.where(x, x, x)
    with pytest.raises(TypeError, match="a condition alone, or"):
        minigrad.where(x > 0, x)
    with pytest.raises(RuntimeError, match="rounding_mode is None, 'floor' or 'trunc', not 'up'"):
        x.div(2, rounding_mode="up")
    with pytest.raises(RuntimeError, match="the value must be one number"):
        x.masked_fill(x > 0, minigrad.ones(2))
    with pytest.raises(TypeError, match="other must be a Tensor or a number, got list"):
        x + [1.0]


def test_numbers_beyond_an_integer_dtype_count_modulo_its_range() -> None:
    """As PyTorch has it; bounds are no sums, and are refused."""
    x = minigrad.tensor([1, 250], dtype=minigrad.uint8)
    assert (x + 300).tolist() == [45, 38]
    assert (x - 2).tolist() == [255, 248]
    assert (300 - x).tolist() == [43, 50]
    assert (x * -1).tolist() == (-x).tolist() == [255, 6]
    assert minigrad.where(x > 3, x, -1).tolist() == [255, 250]
    for refused in (lambda: x.clamp(-1, 300), lambda: x**-1):
        with pytest.raises(RuntimeError, match=r"out of bounds|no negative powers"):
            refused()
