"""The functions behind the layers, with PyTorch's signatures: `import minigrad.nn.functional as F`.

Those with a node of their own in the graph come from `minigrad.ops`, the others are written in such ops: activations
in `functional_activation.py`, losses in `functional_loss.py`, those with a margin in `functional_margin.py`, the rest
here. Where PyTorch has an `inplace` argument, so has the function here: it writes the result into the input.
"""

from __future__ import annotations

import warnings
from typing import Any

from minigrad.backend import namespace
from minigrad.core.dtypes import get_default_dtype, is_floating, result_type
from minigrad.core.inplace import in_place
from minigrad.core.tensor import Tensor, wrap
from minigrad.nn.functional_activation import (
    celu,
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    mish,
    prelu,
    relu6,
    selu,
    silu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
)
from minigrad.nn.functional_loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from minigrad.nn.functional_margin import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    hinge_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    pairwise_distance,
    soft_margin_loss,
    triplet_margin_loss,
    zero_one_loss,
)
from minigrad.ops.elementwise import logsigmoid, sigmoid, tanh
from minigrad.ops.elementwise import relu as relu_of
from minigrad.ops.fused import cross_entropy, embedding, layer_norm, linear_cross_entropy, nll_loss
from minigrad.ops.linalg import linear
from minigrad.ops.norm import rms_norm
from minigrad.ops.shape import broadcast_tensors
from minigrad.ops.softmax import log_softmax_as, softmax_as
from minigrad.random import default_generator

__all__ = [
    "bilinear", "binary_cross_entropy", "binary_cross_entropy_with_logits", "celu", "cosine_embedding_loss",
    "cosine_similarity", "cross_entropy", "dropout", "elu", "embedding", "gelu", "glu", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "hinge_embedding_loss", "hinge_loss", "huber_loss", "kl_div", "l1_loss", "layer_norm",
    "leaky_relu", "linear", "linear_cross_entropy", "log_softmax", "logsigmoid", "margin_ranking_loss", "mish",
    "mse_loss", "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "nll_loss", "normalize",
    "one_hot", "pairwise_distance", "prelu", "relu", "relu6", "rms_norm", "selu", "sigmoid", "silu", "smooth_l1_loss",
    "soft_margin_loss", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
    "triplet_margin_loss", "zero_one_loss",
]  # fmt: skip


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """x above 0, 0 elsewhere."""
    return in_place(input, relu_of) if inplace else relu_of(input)


# ---- the softmax family ---------------------------------------------------------------------------------------------


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(x) over its sum along `dim`: probabilities."""
    return softmax_as(input, _chosen_dim("softmax", input, dim, _stacklevel), dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """The logarithm of softmax, exact where a probability would round to 0."""
    return log_softmax_as(input, _chosen_dim("log_softmax", input, dim, _stacklevel), dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax of -x."""
    return softmax_as(-input, _chosen_dim("softmin", input, dim, _stacklevel), dtype)


def _chosen_dim(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    """`dim`, or with a warning the one that PyTorch's oldest programs count on."""
    if dim is not None:
        return dim
    chosen = 0 if input.ndim in (0, 1, 3) else 1
    warnings.warn(
        f"{name} without dim takes dim={chosen} for an input of {input.ndim} dimensions, which may not be meant: "
        f"name the dimension",
        stacklevel=stacklevel,
    )
    return chosen


# ---- the rest -------------------------------------------------------------------------------------------------------


def check_probability(p: float) -> None:
    """ValueError for a dropout probability outside [0, 1]."""
    if not 0 <= p <= 1:
        raise ValueError(f"a dropout probability is between 0 and 1, got {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set each element to zero with probability `p` and divide the others by `1 - p` (Srivastava et al., JMLR 2014).

    The input itself unless `training`. Draws from `minigrad.default_generator`. Raises TypeError for other than a
    Tensor: of a PackedSequence, drop the data.
    """
    check_probability(p)
    if not isinstance(input, Tensor):
        raise TypeError(
            f"dropout takes a Tensor, got {type(input).__name__}: of a PackedSequence, drop the data, as in "
            f"PackedSequence(dropout(packed.data), *packed[1:])"
        )
    if not training or p == 0:
        return input
    mask = wrap(default_generator.bernoulli_mask(tuple(input.shape), 1 - p, dtype=input.dtype, device=input.device))
    return input.mul_(mask) if inplace else input * mask


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Whole numbers (...) -> int64 (..., num_classes), with a 1 at each number's place and 0 elsewhere.

    Without `num_classes` it is the largest number plus one, for which a GPU is waited for. Raises RuntimeError for
    numbers that are negative or too large (not on a GPU, where such rows are zero), and for a dtype that is no integer.
    """
    array = tensor._array
    xp = namespace(array)
    if array.dtype.kind not in "iu":
        raise RuntimeError(f"one_hot needs whole numbers, got {array.dtype}: convert them with .long()")
    if num_classes < -1:
        raise RuntimeError(
            f"one_hot: num_classes must not be negative, got {num_classes}: leave it out to have them counted"
        )
    if not array.size and num_classes < 1:
        raise RuntimeError("one_hot of no numbers cannot know the number of classes: give num_classes")
    if num_classes == -1:
        num_classes = int(array.max()) + 1
    if tensor.device.type == "cpu" and array.size and not 0 <= int(array.min()) <= int(array.max()) < num_classes:
        raise RuntimeError(
            f"one_hot: the numbers go from {array.min()} to {array.max()}, and the classes from 0 to {num_classes - 1}"
        )
    return wrap((array[..., None] == xp.arange(num_classes)).astype(xp.int64))


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[o] = x1 W[o] x2 + b[o]: (..., I), (..., J), weight (O, I, J), bias (O) -> (..., O).

    Raises RuntimeError for shapes that do not fit.
    """
    shapes = [tuple(tensor.shape) for tensor in (input1, input2, weight)]
    if weight.ndim != 3 or shapes[0][:-1] != shapes[1][:-1] or shapes[0][-1:] + shapes[1][-1:] != shapes[2][1:]:
        raise RuntimeError(
            f"bilinear: inputs {shapes[0]} and {shapes[1]} with weight {shapes[2]}: they must be (..., I), (..., J) "
            f"and (O, I, J)"
        )
    outputs, first, second = shapes[2]
    half = linear(input2, weight.reshape(outputs * first, second)).reshape(*shapes[0][:-1], outputs, first)
    result = (half @ input1[..., None])[..., 0]  # ..., O
    if bias is None:
        return result
    if tuple(bias.shape) != (outputs,):
        raise RuntimeError(f"bilinear: bias has shape {tuple(bias.shape)}, it must be {(outputs,)}")
    return result + bias


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """The input divided by its p-norm along `dim`, or by `eps` where the norm is smaller."""
    return input / input.norm(p, dim, keepdim=True).clamp(min=eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors that lie along `dim`; the norms are taken as at least `eps`.

    The two are stretched to a common shape and brought to one floating dtype first.
    """
    if eps < 0:
        raise RuntimeError(f"cosine_similarity: eps must be at least 0, got {eps}")
    x1, x2 = broadcast_tensors(x1, x2)
    dtype = result_type(x1._array, x2._array)
    dtype = dtype if is_floating(dtype) else get_default_dtype()
    x1, x2 = x1.to(dtype), x2.to(dtype)
    return (normalize(x1, 2.0, dim, eps) * normalize(x2, 2.0, dim, eps)).sum(dim)
