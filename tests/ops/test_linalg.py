"""Products of matrices and vectors, the linear layer, and sums over named indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import backend
from minigrad.core.tensor import Tensor
from minigrad.ops import linalg
from minigrad.ops.einsum import contract
from minigrad.ops.linalg import linear
from minigrad.testing import gradcheck, gradgradcheck, standin

sizes = st.integers(0, 4)
positive = st.integers(1, 4)
seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    """Leaves of standard normal float64 numbers."""
    rng = np.random.default_rng(seed)
    return [minigrad.tensor(rng.standard_normal(shape)).requires_grad_() for shape in shapes]


@st.composite
def matmul_shapes(draw: Any, dimension: Any = sizes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes of rank 1 to 4 that have a product, with batches that broadcast."""
    n, k, m = draw(dimension), draw(dimension), draw(dimension)
    batch = draw(st.lists(positive, max_size=2))

    def of(one: bool, matrix: tuple[int, ...], vector: tuple[int, ...]) -> tuple[int, ...]:
        if one:
            return vector
        dropped = draw(st.integers(0, len(batch)))
        return (*[draw(st.sampled_from([1, size])) for size in batch[dropped:]], *matrix)

    return of(draw(st.booleans()), (n, k), (k,)), of(draw(st.booleans()), (k, m), (k,))


# ---- matmul ---------------------------------------------------------------------------------------------------------


@given(matmul_shapes(), seeds)
def test_matmul_is_the_product_in_every_rank(shapes: Any, seed: int) -> None:
    x, y = drawn(seed, *shapes)
    expected = np.matmul(x.detach().numpy(), y.detach().numpy())
    result = x @ y
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


@given(matmul_shapes(positive), seeds)
def test_matmul_has_the_numeric_gradients_of_both_orders(shapes: Any, seed: int) -> None:
    inputs = drawn(seed, *shapes)
    assert gradcheck(minigrad.matmul, inputs, exact=True)
    assert gradgradcheck(minigrad.matmul, inputs, fast_mode=True)


@pytest.mark.oracle
@given(matmul_shapes(), seeds)
def test_matmul_and_torch_agree_on_gradients(shapes: Any, seed: int) -> None:
    torch = pytest.importorskip("torch")
    x, y = drawn(seed, *shapes)
    a, b = (torch.tensor(tensor.detach().numpy(), requires_grad=True) for tensor in (x, y))
    (x @ y).sum().backward()
    (a @ b).sum().backward()
    for ours, theirs in ((x, a), (y, b)):
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", [minigrad.matmul, lambda x, w: linear(x, w.mT)])
def test_the_gradient_of_a_matrix_is_one_product_over_all_rows(function: Any) -> None:
    x, w = drawn(0, (5, 3, 7, 4), (4, 2))
    (gradient,) = minigrad.grad(function(x, w).sum(), w, create_graph=True)
    node = gradient.grad_fn
    while node.name() != "MatmulBackward0":
        ((node, _),) = node.next_functions
    assert sorted(node.shapes[0]) == [2, 4]  # not (5, 3, 4, 2), to be summed


def test_arrays_multiply_tensors_from_both_sides() -> None:
    array = np.arange(6.0).reshape(2, 3)
    (x,) = drawn(1, (3, 2))
    assert isinstance(array @ x, Tensor)
    np.testing.assert_allclose((array @ x).detach().numpy(), array @ x.detach().numpy())
    np.testing.assert_allclose((x @ array).detach().numpy(), x.detach().numpy() @ array)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ((2, 3), (2, 3), r"\(2, 3\) @ \(2, 3\): dimension -1 of the first has size 3.*second 2.*second with .mT"),
        ((3, 4), (3, 2), "transpose the first with .mT"),
        ((2, 3), (4, 5), "they must be equal$"),
        ((2, 3), (2,), "dimension 0 of the second 2"),
        ((2, 2, 3), (5, 3, 2), r"batch dimensions \(2,\) and \(5,\) do not broadcast"),
        ((), (2, 2), r"multiply by a number with \*"),
    ],
)
def test_a_misfit_is_said_in_one_sentence(first: Any, second: Any, said: str) -> None:
    x, y = drawn(0, first, second)
    with pytest.raises(RuntimeError, match=said) as error:
        _ = x @ y
    assert "\n" not in str(error.value)


def test_a_number_and_another_dtype_are_refused() -> None:
    (x,) = drawn(0, (2, 2))
    with pytest.raises(RuntimeError, match=r"multiply by a number with \*"):
        _ = x @ 2.0
    with pytest.raises(RuntimeError, match="input is float64 and other is float32"):
        _ = x @ x.float()


# ---- its other names ------------------------------------------------------------------------------------------------


@given(positive, positive, positive, positive, seeds, st.sampled_from([0, 1, 2.5]), st.sampled_from([1, -0.5]))
def test_the_products_of_single_ranks(b: int, n: int, k: int, m: int, seed: int, beta: float, alpha: float) -> None:
    x, y, v, u, batch, other, row = drawn(seed, (n, k), (k, m), (k,), (k,), (b, n, k), (b, k, m), (m,))
    X, Y, V, U, A, B, R = (tensor.detach().numpy() for tensor in (x, y, v, u, batch, other, row))
    for result, expected in [
        (minigrad.mm(x, y), X @ Y),
        (x.mv(v), X @ V),
        (v.dot(u), V @ U),
        (minigrad.outer(v, u), np.outer(V, U)),
        (batch.bmm(other), A @ B),
        (minigrad.addmm(row, x, y, beta=beta, alpha=alpha), beta * R + alpha * (X @ Y)),
        (minigrad.baddbmm(row, batch, other, beta=beta, alpha=alpha), beta * R + alpha * (A @ B)),
        (minigrad.addmv(u.sum(), x, v, beta=beta, alpha=alpha), beta * U.sum() + alpha * (X @ V)),
    ]:
        np.testing.assert_allclose(result.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


def test_addmm_without_its_input_ignores_a_nan() -> None:
    nan = minigrad.full((2, 2), float("nan"))
    one = minigrad.ones(2, 2)
    assert (minigrad.addmm(nan, one, one, beta=0) == 2).all()
    target = minigrad.ones(2, 2)
    assert target.addmm_(one, one, alpha=2) is target
    assert (target == 5).all()


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("mm", [(2,), (2, 2)]),
        ("bmm", [(2, 2), (2, 2, 2)]),
        ("mv", [(2, 2), (2, 2)]),
        ("dot", [(2, 2), (2,)]),
        ("outer", [(), (2,)]),
    ],
)
def test_a_wrong_rank_is_named(name: str, shapes: Any) -> None:
    with pytest.raises(RuntimeError, match=f"{name}: takes tensors of"):
        getattr(minigrad, name)(*drawn(0, *shapes))


def test_bmm_does_not_broadcast() -> None:
    with pytest.raises(RuntimeError, match="the batches have sizes 1 and 3"):
        minigrad.bmm(*drawn(0, (1, 2, 2), (3, 2, 2)))


# ---- linear ---------------------------------------------------------------------------------------------------------


@st.composite
def linear_shapes(draw: Any) -> list[tuple[int, ...]]:
    features, out = draw(positive), draw(positive)
    shapes = [(*draw(st.lists(positive, max_size=3)), features), (out, features)]
    if draw(st.booleans()):
        shapes[1] = (features,)
    return [*shapes, shapes[1][:-1]] if draw(st.booleans()) else shapes


@given(linear_shapes(), seeds, st.booleans())
def test_linear_is_the_affine_map_and_has_numeric_gradients(shapes: Any, seed: int, large: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linalg, "FEW", 0 if large else 1 << 14)
        expect_the_affine_map(shapes, seed)


def expect_the_affine_map(shapes: Any, seed: int) -> None:
    inputs = drawn(seed, *shapes)
    x, w, *bias = (tensor.detach().numpy() for tensor in inputs)
    expected = np.einsum("...i,...i" if w.ndim == 1 else "...i,oi->...o", x, w) + sum(bias)
    np.testing.assert_allclose(linear(*inputs).detach().numpy(), expected, atol=1e-12)
    assert gradcheck(linear, inputs, exact=True)
    assert gradgradcheck(linear, inputs, fast_mode=True)


def test_the_weight_gradient_is_made_in_the_weights_own_layout() -> None:
    x, w = drawn(0, (5, 3, 4), (2, 4))
    linear(x, w).backward(minigrad.ones(5, 3, 2, dtype=minigrad.float64))
    assert w.grad._array.flags.c_contiguous
    assert w.grad._array.base is None


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([(2, 3), (3, 4)], "has size 3, the weight takes 4 features: transpose the weight with .T"),
        ([(2, 3), (5, 4)], "the weight takes 4 features$"),
        ([(2, 3), (5, 3), (4,)], r"the bias must have shape \(5,\), it has \(4,\)"),
        ([(2, 3), (5, 3, 1)], r"weight \(out, in\)"),
        ([(), (5, 3)], r"input must be \(..., in\)"),
    ],
)
def test_a_linear_misfit_is_said(shapes: Any, said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        linear(*drawn(0, *shapes))


def test_linear_names_the_dtypes() -> None:
    x, w, b = drawn(0, (2, 3), (4, 3), (4,))
    with pytest.raises(RuntimeError, match="input is float32 and weight is float64"):
        linear(x.float(), w, b)
    with pytest.raises(RuntimeError, match="weight is float64 and bias is float32"):
        linear(x, w, b.float())


# ---- einsum ---------------------------------------------------------------------------------------------------------


@st.composite
def einsums(draw: Any, most: int = 4) -> tuple[list[str], str, list[tuple[int, ...]]]:
    """Terms, a result and shapes: repeated indices, sizes of 1 that stretch, indices that one operand has alone."""
    size = {letter: draw(st.integers(1, 3)) for letter in "abcd"}
    terms = [draw(st.text("abcd", max_size=3)) for _ in range(draw(st.integers(1, most)))]
    present = sorted({*"".join(terms)})
    result = "".join(draw(st.permutations(present))[: draw(st.integers(0, len(present)))])
    stretched = draw(st.booleans())
    shapes = [tuple([1 if stretched and draw(st.booleans()) else size[letter] for letter in term]) for term in terms]
    return terms, result, shapes


def by_definition(terms: list[str], result: str, arrays: list[Any]) -> Any:
    """The sum over every combination of the indices, each index along an axis of its own."""
    letters = sorted({*"".join(terms)})
    size = dict.fromkeys(letters, 1)
    for term, array in zip(terms, arrays, strict=True):
        for letter, length in zip(term, array.shape, strict=True):
            size[letter] = max(size[letter], length)
    grid = np.indices([size[letter] for letter in letters])
    product = np.ones(grid.shape[1:])
    for term, array in zip(terms, arrays, strict=True):
        places = [grid[letters.index(letter)] % length for letter, length in zip(term, array.shape, strict=True)]
        product = product * array[tuple(places)]
    kept = [letter for letter in letters if letter in result]
    total = product.sum(tuple(axis for axis, letter in enumerate(letters) if letter not in result))
    return total.transpose([kept.index(letter) for letter in result])


@given(einsums(), seeds)
def test_einsum_is_the_sum_it_names(drawing: Any, seed: int) -> None:
    terms, result, shapes = drawing
    operands = drawn(seed, *shapes)
    expected = by_definition(terms, result, [tensor.detach().numpy() for tensor in operands])
    found = minigrad.einsum(f"{','.join(terms)}->{result}", *operands)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


@given(einsums(3), seeds)
def test_einsum_has_the_numeric_gradients_of_both_orders(drawing: Any, seed: int) -> None:
    terms, result, shapes = drawing
    operands = drawn(seed, *shapes)

    def function(*tensors: Tensor) -> Tensor:
        return minigrad.einsum(f"{','.join(terms)}->{result}", *tensors)

    assert gradcheck(function, operands)
    assert gradgradcheck(function, operands, fast_mode=True)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk", [(2, 3), (3, 4)]),
        ("ba", [(2, 3)]),
        ("ii", [(3, 3)]),
        ("...ij,...jk->...ik", [(5, 2, 3), (4, 1, 3, 2)]),
        ("i...,i...->...", [(3, 2, 4), (3, 4)]),
        ("...,...", [(2, 3), (3,)]),
        ("b...a", [(2, 3, 4)]),
        (" b i , b i -> b ", [(3, 4), (3, 4)]),
        ("i,j,k->kji", [(2,), (3,), (4,)]),
        ("bi,oij,bj->bo", [(2, 3), (4, 3, 5), (2, 5)]),
        ("->", [()]),
        ("ij,ij->", [(0, 3), (0, 3)]),
    ],
)
def test_einsum_reads_pytorchs_forms(equation: str, shapes: Any) -> None:
    torch = pytest.importorskip("torch")
    ours = drawn(0, *shapes)
    theirs = [torch.tensor(tensor.detach().numpy(), requires_grad=True) for tensor in ours]
    result, expected = minigrad.einsum(equation, ours), torch.einsum(equation, *theirs)
    np.testing.assert_allclose(result.detach().numpy(), expected.detach().numpy(), atol=1e-12)
    (result * result).sum().backward()
    (expected * expected).sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), atol=1e-12)


def test_einsum_takes_indices_as_lists() -> None:
    a, b = drawn(0, (2, 3, 4), (5, 4, 2))
    A, B = a.detach().numpy(), b.detach().numpy()
    found = minigrad.einsum(a, [2, 0, 1], b, [5, 1, 2], [5, 0])
    np.testing.assert_allclose(found.detach().numpy(), np.einsum("cab,fbc->fa", A, B), atol=1e-12)
    implied = minigrad.einsum(a, [2, 0, 1], b, [5, 1, 2])
    np.testing.assert_allclose(implied.detach().numpy(), np.einsum("cab,fbc->af", A, B), atol=1e-12)
    rest = minigrad.einsum(a, [0, ...], [..., 0])
    np.testing.assert_allclose(rest.detach().numpy(), np.einsum("cab->abc", A), atol=1e-12)


@pytest.mark.parametrize(
    ("equation", "shapes", "error", "said"),
    [
        ("ij,jk->ik", [(2, 3), (4, 5)], RuntimeError, "index 'j' has size 3 in one place and 4 in another"),
        ("ij->i", [(2, 3), (2,)], RuntimeError, "describes 1 operands, 2 were given"),
        ("i->i", [(2, 3)], RuntimeError, "'i' names 1 dimensions, operand 0 has 2"),
        ("ij->k", [(2, 3)], RuntimeError, "index 'k' of the result 'k' occurs in no operand"),
        ("ij->ii", [(2, 3)], RuntimeError, "occurs twice in the result"),
        ("i1->i", [(2, 3)], RuntimeError, "may have letters"),
    ],
)
def test_einsum_says_what_does_not_fit(equation: str, shapes: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        minigrad.einsum(equation, *drawn(0, *shapes))


def test_many_operands_are_contracted_in_a_good_order(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 40  # all at once, these would be n**5 products
    operands = drawn(0, *[(n, n)] * 4)
    largest = []
    forward = contract.op.forward

    def counted(input: Any, other: Any, *, indices: Any) -> Any:
        largest.append(len({*"".join(indices)}))
        return forward(input, other, indices=indices)

    monkeypatch.setattr(contract.op, "forward", counted)
    result = minigrad.einsum("ab,bc,cd,de->ae", *operands)
    assert largest == [3, 3, 3]
    a, b, c, d = (tensor.detach().numpy() for tensor in operands)
    np.testing.assert_allclose(result.detach().numpy(), a @ b @ c @ d, rtol=1e-9)


@given(st.integers(0, 3), seeds)
def test_tensordot_is_numpys(count: int, seed: int) -> None:
    a, b = drawn(seed, (2, 3, 4), (2, 3, 4)[3 - count :] + (5,))
    A, B = a.detach().numpy(), b.detach().numpy()
    np.testing.assert_allclose(minigrad.tensordot(a, b, count).detach().numpy(), np.tensordot(A, B, count), atol=1e-12)
    lists = ([-1, 0], [1, 0])
    c = minigrad.tensor(np.random.default_rng(seed).standard_normal((2, 4, 6)))
    found = minigrad.tensordot(a, c, lists).detach().numpy()
    np.testing.assert_allclose(found, np.tensordot(A, c.numpy(), lists), atol=1e-12)
    with pytest.raises(RuntimeError, match="pair by pair"):
        minigrad.tensordot(a, c, ([0, 1], [0, 1]))


# ---- elsewhere ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: x @ w.mT,
        lambda x, w: linear(x, w, w[:, 0]),
        lambda x, w: minigrad.einsum("btd,vd->tbv", x, w),
        lambda x, w: minigrad.einsum("btd,vd,btd->b", x, w, x),
    ],
)
def test_products_run_on_another_device_without_waiting(function: Any) -> None:
    standin.install()
    host = drawn(0, (2, 3, 4), (5, 4))
    away = [minigrad.core.tensor.wrap(backend.transfer(tensor._array, "standin")).requires_grad_() for tensor in host]
    expected = function(*host)
    expected.backward(minigrad.ones(*expected.shape, dtype=minigrad.float64))
    with standin.no_synchronisation():
        result = function(*away)
        result.backward(minigrad.ones(*expected.shape, dtype=minigrad.float64).to("standin"))
    np.testing.assert_allclose(backend.to_host(result._array), expected.detach().numpy(), rtol=1e-12)
    for one, other in zip(host, away, strict=True):
        np.testing.assert_allclose(backend.to_host(other.grad._array), one.grad.numpy(), rtol=1e-12)
