"""reduction, extremum and cumulative beside PyTorch: over every choice of dimensions, at ties, zeros and NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from beside_torch import Host, agree, torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.ops.reduction import prod_by_halves
from minigrad.testing import standin
from minigrad.testing.strategies import arrays, axis, axis_or_axes, shapes

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


@st.composite
def reductions(draw: st.DrawFn, *, several: bool = True, distinct: bool = False, min_side: int = 1) -> Any:
    """An array and the `dim` and `keepdim` of a reduction of it."""
    x = draw(arrays(shapes(min_side=min_side, max_side=4), distinct=distinct))
    dim = draw(axis_or_axes(x.ndim) if several else axis(x.ndim))
    return x, dim, draw(st.booleans())


def with_ties(x: Host) -> Host:
    """The numbers rounded to whole ones, so that some are equal and some are 0."""
    return np.round(x)


# ---- sums, means, products ------------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["sum", "mean"])
@given(drawn=reductions(min_side=0))
def test_sum_and_mean(name: str, drawn: Any) -> None:
    x, dim, keepdim = drawn
    agree(lambda library, x: getattr(x, name)(dim, keepdim), x, order=2)
    agree(lambda library, x: getattr(library, name)(x, dim=dim, keepdim=keepdim, dtype=library.float32), x, rtol=1e-5)
    agree(lambda library, x: getattr(x, name)(), x, order=2)


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "any", "prod", "argmax"])
def test_numpy_says_axis_and_keepdims(name: str) -> None:
    x = minigrad.tensor([[1.0, 2.0], [3.0, 5.0]])
    found = getattr(x, name)(axis=1, keepdims=True)
    assert found.shape == (2, 1)
    assert found.tolist() == getattr(x, name)(1, True).tolist()


@pytest.mark.parametrize("name", ["max", "min"])
def test_max_and_min_take_numpys_words_and_another_tensor_by_name(name: str) -> None:
    x, y = minigrad.tensor([[1.0, 2.0], [5.0, 3.0]]), minigrad.tensor([[4.0, 0.0], [1.0, 7.0]])
    function = getattr(minigrad, name)
    for found, expected in [
        (function(x, axis=1, keepdims=True), function(x, 1, True)),
        (function(x, axis=0), function(x, 0)),
    ]:
        assert [part.tolist() for part in found] == [part.tolist() for part in expected]
    assert function(x, axis=0).values.shape == (2,)
    assert function(x, other=y).tolist() == function(x, y).tolist() == getattr(minigrad, f"{name}imum")(x, y).tolist()


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sum", "prod", "cumsum", "cumprod", "any", "all", "count_nonzero", "amax"])
def test_dtypes(name: str, dtype: str) -> None:
    x = np.array([[1, 0, 3], [2, 1, 2]]).astype(dtype)
    agree(lambda library, x: getattr(library, name)(x, 1), x, order=0)
    if name in ("sum", "prod", "cumsum", "cumprod"):
        agree(lambda library, x: getattr(x, name)(0, dtype=library.float64), x, order=0)


def test_float16_is_summed_in_float32() -> None:
    x = minigrad.ones(4096, 2, dtype=minigrad.float16)  # in float16, 2048 + 1 is 2048
    assert (x.sum(0)[0].item(), x.mean(0)[0].item(), x.norm(dim=0)[0].item()) == (4096, 1, 64)
    assert (x.norm(4, dim=0)[0].item(), (x - x[:1]).var(0)[0].item(), x.sum(0).dtype) == (8, 0, minigrad.float16)


def test_the_mean_of_whole_numbers_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"the mean of int64 numbers is no int64 number: convert with \.float\(\)"):
        minigrad.tensor([1, 2]).mean()
    assert minigrad.tensor([1, 2]).mean(dtype=minigrad.float32).item() == 1.5


@pytest.mark.oracle
@given(drawn=reductions(several=False, min_side=0), ties=st.booleans())
def test_prod(drawn: Any, ties: bool) -> None:
    x, dim, keepdim = drawn
    x = with_ties(x) if ties else x  # with zeros among the factors
    agree(lambda library, x: x.prod(dim, keepdim), x, order=2)
    agree(lambda library, x: library.prod(x), x, order=2)


@pytest.mark.parametrize("size", range(12))
def test_the_product_by_halves_of_any_number_of_factors(size: int) -> None:
    factors = np.arange(1.0, size + 1)
    assert prod_by_halves(minigrad.tensor(factors)).item() == math.factorial(size)
    assert prod_by_halves(minigrad.tensor(np.stack([factors, -factors])), 1).tolist() == [
        math.factorial(size),
        (-1) ** size * math.factorial(size),
    ]


def test_the_product_of_nothing_is_1() -> None:
    for product in (minigrad.prod, prod_by_halves):
        assert product(minigrad.ones(0)).item() == 1
        assert product(minigrad.ones(2, 0), 1).tolist() == [1, 1]


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
def test_third_derivative_of_a_product_with_zeros(zeros: int) -> None:
    x = minigrad.tensor([2.0, 3.0, 5.0, 7.0])
    x[:zeros] = 0
    x.requires_grad_()
    (first,) = minigrad.grad(x.prod(), x, create_graph=True)
    (second,) = minigrad.grad(first[0], x, create_graph=True)
    (third,) = minigrad.grad(second[1], x)
    assert third.tolist() == [0, 0, x[3].item(), x[2].item()]


# ---- running sums and products --------------------------------------------------------------------------------------


@pytest.mark.oracle
@given(drawn=reductions(several=False, min_side=0), ties=st.booleans())
def test_cumsum_and_cumprod(drawn: Any, ties: bool) -> None:
    x, dim, _ = drawn
    x = with_ties(x) if ties else x
    agree(lambda library, x: x.cumsum(dim), x, order=2)
    agree(lambda library, x: library.cumprod(x, dim), x, order=2)
    agree(lambda library, x: (x * 1).cumsum_(dim).cumprod_(dim=dim), x, rtol=1e-8)


@pytest.mark.oracle
@given(st.integers(1, 40), st.data())
def test_long_running_products(size: int, data: st.DataObject) -> None:
    x = data.draw(arrays((size,), domain=(-1.5, 1.5)))
    agree(lambda library, x: x.cumprod(0), x, order=2)


@pytest.mark.oracle
@given(x=arrays(shapes(min_dims=1, max_side=4)), n=st.integers(0, 4), data=st.data())
def test_diff(x: Host, n: int, data: st.DataObject) -> None:
    dim = data.draw(axis(x.ndim))
    agree(lambda library, x: library.diff(x, n, dim), x)
    agree(lambda library, x: x.diff(dim=dim, prepend=x * 2, append=library.ones_like(x)), x)


def test_diff_refuses() -> None:
    with pytest.raises(RuntimeError, match="diff: needs a dimension and n >= 0"):
        minigrad.tensor(1.0).diff()
    with pytest.raises(RuntimeError, match="n >= 0, got shape \\(2,\\) and n=-1"):
        minigrad.ones(2).diff(-1)


# ---- spreads and norms ----------------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:(var|std).*degrees of freedom")
@pytest.mark.parametrize("name", ["var", "std"])
@given(drawn=reductions(distinct=True), correction=st.sampled_from([0, 1, 2, 0.5]))
def test_var_and_std(name: str, drawn: Any, correction: float) -> None:
    x, dim, keepdim = drawn
    order = 2 if np.size(x) > 3 else 1  # of one or two elements PyTorch's second derivative of std is 0 * inf
    spread = np.size(x) > correction * np.size(
        np.sum(x, axis=dim)
    )  # divided by 0 or less, it has no gradient to agree on
    agree(lambda library, x: getattr(x, name)(dim, correction=correction, keepdim=keepdim), x, order=int(spread))
    agree(lambda library, x: getattr(library, name)(x), x, order=order, rtol=1e-7)
    agree(lambda library, x: getattr(library, name)(x, dim=dim, unbiased=False, keepdim=keepdim), x)
    agree(lambda library, x: getattr(x, name)(unbiased=False) + getattr(x, name)(False), x)


def test_the_spread_of_equal_numbers_has_gradient_0() -> None:
    x = minigrad.tensor([2.0, 2.0, 2.0], requires_grad=True)
    assert minigrad.grad(x.std() + x.var(), x)[0].tolist() == [0, 0, 0]
    with pytest.raises(TypeError, match="either unbiased or correction"):
        x.var(unbiased=True, correction=0)


@pytest.mark.oracle
@pytest.mark.parametrize("p", ["fro", 2, 1, 3, 2.5, 1.5, 0.5, -1, 0, np.inf, -np.inf])
@given(drawn=reductions())
def test_norm(p: Any, drawn: Any) -> None:
    x, dim, keepdim = drawn
    x = np.where(x == 0, 0.25, x)
    if p != "fro" or np.ndim(dim) == 0 or len(dim) < 3:  # where PyTorch takes it for a norm of matrices
        agree(lambda library, x: library.norm(x, p, dim, keepdim), x, rtol=1e-8)
    agree(lambda library, x: x.norm(p), x, order=2, rtol=1e-7, atol=1e-9)
    agree(lambda library, x: x.norm(p=p, dtype=library.float64), x.astype(np.float32), rtol=1e-6, atol=1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("p", [2, 1, 3, 1.5, 0.5, 0, np.inf])
@pytest.mark.parametrize("x", [[0.0, 0.0], [0.0, 3.0], [-2.0, 2.0]])
def test_norms_of_zeros_and_ties(p: float, x: list[float]) -> None:
    agree(lambda library, x: x.norm(p), np.array(x))


def test_norms_that_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"a int64 tensor has no norm here: convert it with \.float\(\)"):
        minigrad.tensor([1, 2]).norm()
    with pytest.raises(RuntimeError, match="p is 'fro' or a number, not 'nuc'"):
        minigrad.ones(2).norm("nuc")


# ---- the largest, the smallest, the middle --------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["amax", "amin"])
@given(drawn=reductions())
def test_amax_and_amin_share_among_ties(name: str, drawn: Any) -> None:
    x, dim, keepdim = drawn
    agree(lambda library, x: getattr(library, name)(x, () if dim is None else dim, keepdim), with_ties(x))


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["max", "min"])
@given(drawn=reductions(several=False, distinct=True))
def test_max_and_min_of_every_form(name: str, drawn: Any) -> None:
    x, dim, keepdim = drawn
    agree(lambda library, x: getattr(x, name)(dim, keepdim).values, x, order=2)
    agree(lambda library, x: getattr(library, name)(x, dim=dim)[0], x)
    agree(lambda library, x: getattr(x, name)(dim, keepdim=keepdim).indices, x, order=0)
    agree(lambda library, x: getattr(library, name)(x), with_ties(x))
    agree(lambda library, x: getattr(x, name)(library.flip(x, (0,)) if x.ndim else x), with_ties(x))
    values, indices = getattr(minigrad.tensor(x), name)(dim)
    assert (values.dtype, indices.dtype) == (minigrad.float64, minigrad.int64)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["argmax", "argmin"])
@given(drawn=reductions(several=False, distinct=True))
def test_argmax_and_argmin(name: str, drawn: Any) -> None:
    x, dim, keepdim = drawn
    agree(lambda library, x: getattr(x, name)(dim, keepdim), x, order=0)
    agree(lambda library, x: getattr(library, name)(x), x, order=0)


def test_of_equal_elements_the_first_is_named_and_gets_the_gradient() -> None:
    x = minigrad.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 0.0]], requires_grad=True)
    values, indices = x.max(1)
    assert indices.tolist() == x.argmax(1).tolist() == [1, 0]
    (values * minigrad.tensor([10.0, 20.0])).sum().backward()
    assert x.grad.tolist() == [[0, 10, 0], [20, 0, 0]]


@pytest.mark.oracle
@given(drawn=reductions(several=False, distinct=True), k=st.integers(1, 4))
def test_median_and_kthvalue(drawn: Any, k: int) -> None:
    x, dim, keepdim = drawn
    agree(lambda library, x: x.median(), x)
    for part in range(2):
        agree(lambda library, x, part=part: library.median(x, dim, keepdim)[part], x, order=1 - part)
        if k <= (x.shape[dim] if x.ndim else 1):
            agree(lambda library, x, part=part: x.kthvalue(k, dim, keepdim)[part], x, order=1 - part)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["max", "min", "median"])
@given(st.data())
def test_nan_wins(name: str, data: st.DataObject) -> None:
    x = data.draw(arrays((2, 3), distinct=True))
    x[data.draw(st.integers(0, 1)), data.draw(st.integers(0, 2))] = np.nan
    agree(lambda library, x: getattr(x, name)(), x, order=0)
    agree(lambda library, x: getattr(x, name)(1).values, x)
    agree(lambda library, x: getattr(x, name)(1).indices, x, order=0)
    agree(lambda library, x: x.amax(1) + x.amin(1), x, order=0)
    agree(lambda library, x: x.kthvalue(3, 1).values + x.argmax(1), x, order=0)
    agree(lambda library, x: x.kthvalue(1, 1).values, x)  # and NaN is the largest


# ---- whether and how many -------------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["any", "all", "count_nonzero"])
@given(drawn=reductions(min_side=0))
def test_any_all_and_count(name: str, drawn: Any) -> None:
    x, dim, keepdim = drawn
    x = with_ties(x)
    settings = {} if name == "count_nonzero" else {"keepdim": keepdim}
    agree(lambda library, x: getattr(library, name)(x, dim=dim, **settings), x, order=0)
    agree(lambda library, x: getattr(x > 0, name)(), x, order=0)


@pytest.mark.parametrize("name", ["any", "all"])
def test_any_and_all_of_no_dimensions_look_at_each_element(name: str) -> None:
    for dim in ((), []):
        assert getattr(minigrad.tensor([[0.0, 2.0]]), name)(dim=dim).tolist() == [[False, True]]


# ---- on another device ----------------------------------------------------------------------------------------------

FORMS = {
    "prod": lambda x: x.prod(1),
    "norm": lambda x: x.norm(3, dim=1) + x.norm(dim=1) + x.norm(1) + x.norm(np.inf),
    "var": lambda x: x.var(1) + x.std(0, keepdim=True).sum(),
    "max": lambda x: x.max(1).values + x.min(1)[0] + x.max() + x.max(x * 2).sum(1),
    "median": lambda x: x.median(1).values + x.median() + x.kthvalue(2).values,
    "cumsum": lambda x: x.cumsum(0) + x.cumprod(1),
    "where": lambda x: minigrad.where(x > 1, x, 0.5) + x.masked_fill(x > 1, 3) + x.clamp(1, 2) + x.clamp(max=x * 2),
    "arithmetic": lambda x: 2 / x + x**2.5 + 2**x + x % 2 + x.lerp(x * 2, 0.5) + minigrad.add(x, x, alpha=2),
    "erf": lambda x: x.erf() + x.sigmoid() + x.nan_to_num() + x.isfinite() + (x == 1.0),
    "in place": lambda x: (x * 1).mul_(2).clamp_(0, 5).exp_(),
}


@pytest.mark.parametrize("name", FORMS)
def test_on_another_device_without_waiting(name: str) -> None:
    standin.install()
    here = minigrad.tensor([[0.5, 2.0, 1.25], [1.5, 0.25, 3.0]], requires_grad=True)
    there = here.detach().to("standin").requires_grad_()
    with standin.no_synchronisation():
        result = FORMS[name](there)
        result.sum().backward()
    expected = FORMS[name](here)
    expected.sum().backward()
    np.testing.assert_allclose(result.detach().cpu().numpy(), expected.detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(there.grad.cpu().numpy(), here.grad.numpy(), rtol=1e-6)


# ---- overflow -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "std", "norm", "logsumexp", "trace"])
def test_overflow_is_an_infinity_without_a_word(name: str) -> None:
    """Warnings are errors in this suite; NumPy's sums warn from a file of their own."""
    x = minigrad.full((2, 2), 3e38, requires_grad=True)
    result = getattr(x * 1.0, name)(*[0] if name == "logsumexp" else [])
    result.sum().backward()
    assert not np.isnan(result.detach().numpy()).any() or name in ("var", "std")
    minigrad.nn.utils.clip_grad_norm_([x], 1.0)


def test_numpys_own_warnings_stay() -> None:
    with pytest.warns(RuntimeWarning, match="overflow"):
        np.full(2, 3e38, np.float32).sum()


# ---- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["sum", "mean", "prod", "var", "norm", "amax", "argmax", "any", "cumsum", "max", "median"]
)
def test_a_dimension_out_of_range(name: str) -> None:
    with pytest.raises(IndexError, match=r"dim 2 is out of range, expected one from -2 to 1"):
        getattr(minigrad.ones(2, 3), name)(dim=2)
    with pytest.raises(IndexError, match="out of range"):
        getattr(minigrad.tensor(1.0), name)(dim=1)


def test_other_mistakes() -> None:
    x = minigrad.ones(2, 3)
    with pytest.raises(RuntimeError, match="a dimension appears twice"):
        x.sum((0, -2))
    with pytest.raises(TypeError, match=r"dim must be one dimension, got \(0, 1\): amax\(\) takes several"):
        x.max((0, 1))
    with pytest.raises(IndexError, match="max: dimension 1 of shape \\(2, 0\\) has no element to name"):
        minigrad.ones(2, 0).max(1)
    with pytest.raises(RuntimeError):
        minigrad.ones(0).max()
    with pytest.raises(RuntimeError, match="kthvalue: k=4 is out of range for dimension 1 of size 3"):
        x.kthvalue(4)
    with pytest.raises(RuntimeError, match="k=2 is out of range for dimension 0 of size 1"):
        minigrad.tensor(1.0).kthvalue(2)


def test_an_op_is_named_after_itself_in_the_graph() -> None:
    x = minigrad.ones(2, requires_grad=True)
    assert torch().ones(2, requires_grad=True).sum().grad_fn.name() == x.sum().grad_fn.name() == "SumBackward0"
