"""Products: of matrices and vectors in all ranks, and the linear layer's. Sums over named indices are in `einsum`.

Where many rows meet one matrix, (..., n, k) @ (k, m), the leading dimensions are taken as rows of one large product:
forward, and for both gradients. Array libraries would go through them one by one.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import kernels
from minigrad.backend import Array
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor
from minigrad.ops.method import method, reflected
from minigrad.ops.shape import expand

# ---- matmul ---------------------------------------------------------------------------------------------------------


@method("__matmul__")
@primitive
def matmul(input: Array, other: Array) -> Array:
    """The matrix product, as NumPy and PyTorch define it for every rank but 0.

    (k) @ (k) is a number, (n, k) @ (k, m) a matrix, (n, k) @ (k) a vector; further dimensions in front are batches,
    which broadcast. Both must have one dtype. Raises RuntimeError where shapes or dtypes do not fit.
    """
    try:
        if input.dtype is not other.dtype and input.dtype != other.dtype:
            raise _different_dtypes("matmul", input=input, other=other)
        return _times(input, other)
    except (ValueError, AttributeError):  # shapes that do not fit, or a number
        raise RuntimeError(_misfit(input, other)) from None


def _times(x: Any, other: Any) -> Any:
    """x @ other; of a stack times one matrix or vector as one product, which NumPy would multiply matrix by matrix."""
    if x.ndim <= 2 or other.ndim > 2:
        return x @ other
    return (as_rows(x) @ other).reshape(*x.shape[:-1], *other.shape[1:])


def as_rows(x: Any) -> Any:
    """All dimensions but the last as one: (..., k) -> (n, k)."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _input_gradient(g: Any, input_shape: Any, other: Any) -> Any:
    """g other^T, where a vector stands for a matrix of one row (input) or one column (other)."""
    if other.ndim == 1:
        return g[..., None] * other
    if len(input_shape) == 1:  # (k) @ (..., k, m)
        return (other @ g) if other.ndim == 2 else (other @ g[..., None])[..., 0]
    return _times(g, other.mT)


def _other_gradient(g: Any, input: Any, other_shape: Any) -> Any:
    """input^T g, summed over all rows at once where `other` is a single matrix."""
    if input.ndim == 1:
        return input * g if len(other_shape) == 1 else input[:, None] * g[..., None, :]
    if len(other_shape) == 1:
        return g.reshape(math.prod(g.shape)) @ as_rows(input)
    if len(other_shape) == 2:
        return as_rows(input).mT @ as_rows(g)
    return input.mT @ g


matmul.vjp(
    input=lambda g, input_shape, other: _input_gradient(g, input_shape, other),
    other=lambda g, input, other_shape: _other_gradient(g, input, other_shape),
)
Tensor.__rmatmul__ = reflected(matmul)  # type: ignore[attr-defined]


def _different_dtypes(name: str, **arrays: Any) -> RuntimeError:
    said = " and ".join(f"{word} is {array.dtype}" for word, array in arrays.items())
    return RuntimeError(f"{name}: {said}: they must be equal, so convert one of them with .to(dtype)")


def _misfit(input: Any, other: Any) -> str:
    """Why two arrays have no matrix product, and which of them to transpose if that would help."""
    first, second = tuple(getattr(input, "shape", ())), tuple(getattr(other, "shape", ()))
    if not first or not second:
        return f"matmul: {first} @ {second}: both need at least one dimension: multiply by a number with *"
    place = "dimension 0" if len(second) == 1 else "dimension -2"
    inner = second[0] if len(second) == 1 else second[-2]
    if first[-1] == inner:
        return f"matmul: {first} @ {second}: the batch dimensions {first[:-2]} and {second[:-2]} do not broadcast"
    message = (
        f"matmul: {first} @ {second}: dimension -1 of the first has size {first[-1]} and {place} of the second "
        f"{inner}, they must be equal"
    )
    if len(second) > 1 and first[-1] == second[-1]:
        return f"{message}: transpose the second with .mT"
    if len(first) > 1 and first[-2] == inner:
        return f"{message}: transpose the first with .mT"
    return message


# ---- its names for single ranks -------------------------------------------------------------------------------------


def _check_ranks(name: str, tensors: tuple[Tensor, ...], ranks: tuple[int, ...]) -> None:
    found = tuple([tensor.ndim for tensor in tensors])
    if found != ranks:
        wanted, shapes = " and ".join(map(str, ranks)), " and ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise RuntimeError(f"{name}: takes tensors of {wanted} dimensions, these are {shapes}: matmul takes any")


@method()
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """(n, k) @ (k, m) -> (n, m)."""
    _check_ranks("mm", (input, mat2), (2, 2))
    return matmul(input, mat2)


@method()
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """(b, n, k) @ (b, k, m) -> (b, n, m)."""
    _check_ranks("bmm", (input, mat2), (3, 3))
    if input.shape[0] != mat2.shape[0]:
        raise RuntimeError(f"bmm: the batches have sizes {input.shape[0]} and {mat2.shape[0]}: matmul would broadcast")
    return matmul(input, mat2)


@method()
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """(n, k) @ (k) -> (n)."""
    _check_ranks("mv", (input, vec), (2, 1))
    return matmul(input, vec)


@method()
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """(k) @ (k) -> a number."""
    _check_ranks("dot", (input, tensor), (1, 1))
    return matmul(input, tensor)


@method("ger")
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of two vectors: (n), (m) -> (n, m)."""
    _check_ranks("outer", (input, vec2), (1, 1))
    return input[:, None] * vec2


@method(inplace=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """`beta * input + alpha * (mat1 @ mat2)`; with beta 0, `input` counts for nothing, not even its nan."""
    return _added(input, mm(mat1, mat2), beta, alpha)


@method(inplace=True)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """`beta * input + alpha * (batch1 @ batch2)`, batch by batch."""
    return _added(input, bmm(batch1, batch2), beta, alpha)


@method(inplace=True)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """`beta * input + alpha * (mat @ vec)`."""
    return _added(input, mv(mat, vec), beta, alpha)


def _stretches(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    ends = zip(shape[::-1], wanted[::-1], strict=False)
    return len(shape) <= len(wanted) and all(size in (1, whole) for size, whole in ends)


def _added(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    if not _stretches(tuple(input.shape), tuple(product.shape)):
        raise RuntimeError(
            f"the product has shape {tuple(product.shape)}, to which an input of shape {tuple(input.shape)} does not "
            f"stretch"
        )
    scaled = product if alpha == 1 else product * alpha
    if not beta:
        return scaled
    return (input if beta == 1 else input * beta) + scaled


# ---- the linear layer -----------------------------------------------------------------------------------------------


FEW = 1 << 14  # of so few numbers a sum takes no longer than calling an op


@primitive
def linear(input: Array, weight: Array, bias: Array = None) -> Array:
    """`input @ weight.T + bias`: (..., in), (out, in), (out) -> (..., out), one node of the graph.

    A weight (in) gives (...). All must have one dtype. Raises RuntimeError where shapes or dtypes do not fit.
    """
    if (
        not (0 < weight.ndim <= 2 and input.ndim)
        or input.shape[-1] != weight.shape[-1]
        or input.dtype != weight.dtype
        or (bias is not None and (bias.shape != weight.shape[:-1] or bias.dtype != weight.dtype))
    ):
        raise _linear_misfit(input, weight, bias)
    if input.ndim == 1 or weight.ndim == 1:
        out = _times(input, weight.T)
        return out if bias is None else out + bias
    out = kernels.of(input).linear(as_rows(input), weight, bias)
    return out if input.ndim == 2 else out.reshape(*input.shape[:-1], len(weight))


def _linear_weight_gradient(g: Any, input: Any) -> Any:
    """(out, in) straight from one product over all rows, not the transposed view of (in, out). A weight (in) took a
    dimension away."""
    if g.ndim < input.ndim:
        return _other_gradient(g, input, input.shape[-1:])
    if input.ndim == 1:
        return g[:, None] * input
    return as_rows(g).mT @ as_rows(input)


@primitive
def sum_of_rows(input: Array) -> Array:
    """The rows (n, m) added up: (m), faster than by `sum`."""
    return kernels.of(input).sum_of_rows(input)


sum_of_rows.vjp(input=lambda g, input_shape: expand(g, input_shape))


def _linear_bias_gradient(g: Any, weight_shape: Any) -> Any:
    """The gradient summed over all rows; of few numbers, or where there are no rows, it is left to the engine."""
    in_rows = g.ndim > 1 and len(weight_shape) == 2
    return sum_of_rows(as_rows(g)) if in_rows and math.prod(g.shape) > FEW else g


linear.vjp(
    input=lambda g, weight: _times(g, weight) if weight.ndim == 2 else g[..., None] * weight,
    weight=lambda g, input: _linear_weight_gradient(g, input),
    bias=lambda g, weight_shape: _linear_bias_gradient(g, weight_shape),
)


def _linear_misfit(input: Any, weight: Any, bias: Any) -> RuntimeError:
    shapes = f"linear: input {tuple(input.shape)} and weight {tuple(weight.shape)}"
    if not 0 < weight.ndim <= 2 or not input.ndim:
        return RuntimeError(f"{shapes}: input must be (..., in) and weight (out, in)")
    if input.shape[-1] != weight.shape[-1]:
        hint = ": transpose the weight with .T" if input.shape[-1] == weight.shape[0] else ""
        return RuntimeError(
            f"{shapes}: the last dimension of input has size {input.shape[-1]}, the weight takes {weight.shape[-1]} "
            f"features{hint}"
        )
    if input.dtype != weight.dtype:
        return _different_dtypes("linear", input=input, weight=weight)
    if bias.dtype != weight.dtype:
        return _different_dtypes("linear", weight=weight, bias=bias)
    return RuntimeError(f"{shapes}: the bias must have shape {tuple(weight.shape[:-1])}, it has {tuple(bias.shape)}")
