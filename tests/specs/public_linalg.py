"""Specs of the public functions made of primitives in minigrad/ops/linalg.py, einsum.py, softmax.py, conversion.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad import Tensor
from minigrad.testing import OpSpec
from minigrad.testing.strategies import Host, arrays, axis, shapes

from .calls import leading, trailing
from .linalg import SIZES, _product
from .softmax import _probabilities

Arguments = tuple[list[Any], dict[str, Any]]

# ---- products of single ranks ---------------------------------------------------------------------------------------


@st.composite
def _factors(draw: st.DrawFn, first: str, second: str, added: str | None = None) -> Arguments:
    """Two factors, whose dimensions are named by letters, and perhaps a sum that the product is added to."""
    sizes = {letter: draw(SIZES) for letter in "bnkm"}
    inputs = [draw(arrays(tuple(sizes[letter] for letter in term))) for term in (first, second)]
    if added is None:
        return inputs, {}
    shape = tuple(draw(st.sampled_from([sizes[letter], 1])) for letter in added)
    scales = {name: draw(st.sampled_from([1, 0, 2, -0.5])) for name in ("alpha", "beta")}
    return [draw(arrays(shape[draw(st.integers(0, len(shape))) :])), *inputs], scales


def _summed(x: Host, first: Host, second: Host, alpha: float, beta: float) -> Host:
    product = alpha * _product(first, second)
    return product + (beta * x if beta else 0)


# ---- sums over named indices ----------------------------------------------------------------------------------------


@st.composite
def _einsum(draw: st.DrawFn) -> Arguments:
    """One to three operands; letters repeat within one and among them; the result is named, or left to the rule."""
    sizes = {letter: draw(st.integers(0, 3)) for letter in "ijk"}
    terms = draw(st.lists(st.text("ijk", max_size=3), min_size=1, max_size=3))
    used = sorted(set("".join(terms)))
    equation = ",".join(terms)
    if draw(st.booleans()):
        equation += "->" + "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))])
    return [draw(arrays(tuple(sizes[letter] for letter in term))) for term in terms], {"equation": equation}


def _sum_of_products(*operands: Host, equation: str) -> Host:
    """A loop over all values of all letters."""
    left, _, right = equation.partition("->")
    terms = left.split(",")
    letters = sorted(set("".join(terms)))
    result = right if "->" in equation else "".join(one for one in letters if left.count(one) == 1)
    sizes = {name: size for term, x in zip(terms, operands, strict=True) for name, size in zip(term, x.shape)}
    total = np.zeros([sizes[name] for name in result])
    for place in np.ndindex(*[sizes[name] for name in letters]):
        at = dict(zip(letters, place, strict=True))
        factors = [x[tuple(at[name] for name in term)] for term, x in zip(terms, operands, strict=True)]
        total[tuple(at[name] for name in result)] += np.prod(factors)
    return total


@st.composite
def _einsum_of_batches(draw: st.DrawFn) -> Arguments:
    """`...` stands for dimensions that broadcast."""
    batch = draw(shapes(max_dims=2, min_side=1, max_side=2))
    other = tuple(draw(st.sampled_from([1, size])) for size in batch[draw(st.integers(0, len(batch))) :])
    i, j, k = (draw(st.integers(1, 3)) for _ in range(3))
    equation = draw(st.sampled_from(["...ij,...jk->...ik", "...ij,...jk", "...ij,...jk->...", "...ij,...jk->ki..."]))
    return [draw(arrays((*batch, i, j))), draw(arrays((*other, j, k)))], {"equation": equation}


@st.composite
def _tensordot(draw: st.DrawFn) -> Arguments:
    shared = draw(shapes(max_dims=2, min_side=1))
    before, after = draw(shapes(max_dims=2, min_side=1)), draw(shapes(max_dims=2, min_side=1))
    if draw(st.booleans()):
        return [draw(arrays((*before, *shared))), draw(arrays((*shared, *after)))], {"dims": len(shared)}
    order = draw(st.permutations(range(len(shared))))
    second = tuple(shared[at] for at in order)
    dims = ([len(before) + at for at in order], list(range(len(shared))))
    return [draw(arrays((*before, *shared))), draw(arrays((*second, *after)))], {"dims": dims}


def _dotted(x: Host, y: Host, dims: Any) -> Host:
    first = list(range(x.ndim - dims, x.ndim)) if isinstance(dims, int) else dims[0]
    second = list(range(dims)) if isinstance(dims, int) else dims[1]
    names, others = list("abcdef"[: x.ndim]), list("uvwxyz"[: y.ndim])
    for one, other in zip(first, second, strict=True):
        others[other] = names[one]
    rest = [name for at, name in enumerate(names) if at not in first]
    rest += [name for at, name in enumerate(others) if at not in second]
    return _sum_of_products(x, y, equation=f"{''.join(names)},{''.join(others)}->{''.join(rest)}")


# ---- softmax, conversions -------------------------------------------------------------------------------------------


@st.composite
def _wide(draw: st.DrawFn) -> Arguments:
    x = draw(arrays(shapes()))
    return [x], {"dim": draw(axis(x.ndim)), "dtype": np.dtype(np.float64)}


def _softmax(x: Host, dim: int, dtype: Any) -> Host:
    return _probabilities(x, dim) if x.ndim else np.ones(())


@st.composite
def _converted(draw: st.DrawFn) -> Arguments:
    return [draw(arrays(shapes()))], {"dtype": np.dtype(np.float64)}


_ONE = st.tuples(arrays(shapes())).map(lambda x: (x, {}))


@st.composite
def _pair(draw: st.DrawFn) -> Arguments:
    return [draw(arrays(shapes())), draw(arrays(shapes()))], {}


def _conversion(name: str, dtype: Any) -> OpSpec:
    floating = np.dtype(dtype).kind == "f"
    smooth = 2 if dtype == np.float64 else 0  # in fewer digits a numeric derivative means nothing
    return OpSpec(
        getattr(Tensor, name),
        lambda x: x.astype(dtype),
        _ONE,
        smooth=smooth,
        floats_keep_dtype=not floating,
    )


PUBLIC = {
    "mm": OpSpec(minigrad.mm, _product, _factors("nk", "km")),
    "bmm": OpSpec(minigrad.bmm, _product, _factors("bnk", "bkm")),
    "mv": OpSpec(minigrad.mv, _product, _factors("nk", "k")),
    "dot": OpSpec(minigrad.dot, _product, _factors("k", "k")),
    "outer": OpSpec(minigrad.outer, lambda x, y: _sum_of_products(x, y, equation="i,j->ij"), _factors("n", "m")),
    "addmm": OpSpec(minigrad.addmm, _summed, _factors("nk", "km", "nm")),
    "baddbmm": OpSpec(minigrad.baddbmm, _summed, _factors("bnk", "bkm", "bnm")),
    "addmv": OpSpec(minigrad.addmv, _summed, _factors("nk", "k", "n")),
    "einsum": OpSpec(leading(minigrad.einsum, "equation"), _sum_of_products, _einsum(), exact=False),
    "einsum/...": OpSpec(
        leading(minigrad.einsum, "equation"),
        lambda x, y, equation: np.einsum(equation, x, y),
        _einsum_of_batches(),
        exact=False,
    ),
    "tensordot": OpSpec(minigrad.tensordot, _dotted, _tensordot()),
    "softmax": OpSpec(minigrad.softmax, _softmax, _wide(), floats_keep_dtype=False),
    "log_softmax": OpSpec(
        minigrad.log_softmax, lambda x, **s: np.log(_softmax(x, **s)), _wide(), floats_keep_dtype=False
    ),
    "Tensor.to": OpSpec(trailing(Tensor.to, "dtype"), lambda x, dtype: x, _converted(), floats_keep_dtype=False),
    "Tensor.type": OpSpec(trailing(Tensor.type, "dtype"), lambda x, dtype: x, _converted(), floats_keep_dtype=False),
    "Tensor.type_as": OpSpec(Tensor.type_as, lambda x, y: x, _pair(), differentiable=(0,)),
    "Tensor.contiguous": OpSpec(Tensor.contiguous, lambda x: x, _ONE),
    "Tensor.cpu": OpSpec(Tensor.cpu, lambda x: x, _ONE, devices=False),
    **{
        f"Tensor.{name}": _conversion(name, dtype)
        for name, dtype in {
            "float": "f4", "double": "f8", "half": "f2", "long": "i8", "int": "i4", "short": "i2", "char": "i1",
            "bool": "?",
        }.items()
    },
    # PyTorch turns a negative number into a byte its own way on each processor.
    "Tensor.byte": OpSpec(
        Tensor.byte,
        lambda x: x.astype("u1"),
        st.tuples(arrays(shapes(), domain=(0, 9))).map(lambda x: (x, {})),
        smooth=0,
    ),
}  # fmt: skip
