"""Losses that ask for a margin: the right answer must lie ahead by so much, and nothing is gained beyond.

Scores are s, targets y. A sign y is 1 or -1. `reduction` is "mean" (over all losses), "sum" or "none".
Shapes: N examples, C classes, D features.
"""

from __future__ import annotations

from minigrad.backend import device_of
from minigrad.core.tensor import Tensor
from minigrad.nn.functional_loss import binary_cross_entropy_with_logits, check_same_shape, reduced
from minigrad.ops.arithmetic import minimum
from minigrad.ops.class_targets import as_rows, check_class_weight, check_classes, check_reduction
from minigrad.ops.comparison import ne, where
from minigrad.ops.elementwise import logsigmoid, relu, sign

# ---- signs ----------------------------------------------------------------------------------------------------------


def hinge_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """max(0, 1 - y s), the binary hinge of support vector machines (Cortes & Vapnik, Machine Learning 1995).

    Scores and signs have one shape. PyTorch has no such loss: its `hinge_embedding_loss` is another one.
    Raises ValueError where the shapes differ, RuntimeError for a target other than 1 and -1 (not seen on a GPU).
    """
    check_same_shape(input, target, "hinge_loss")
    _check_signs("hinge_loss", target)
    return reduced(relu(1 - input * target), reduction, "hinge_loss")


def soft_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """log(1 + e^(-y s)), the logistic loss of scores and signs; it never overflows.

    The signs broadcast to the scores' shape. Raises RuntimeError where that would make more losses than scores.
    """
    product = input * target
    if product.shape != input.shape:
        raise RuntimeError(
            f"soft_margin_loss: input {tuple(input.shape)} and target {tuple(target.shape)} would make losses of shape "
            f"{tuple(product.shape)}: give both one shape"
        )
    return reduced(-logsigmoid(product), reduction, "soft_margin_loss")


def zero_one_loss(input: Tensor, target: Tensor, *, ignore_index: int = -100, reduction: str = "mean") -> Tensor:
    """The share of wrong decisions: 1 less the accuracy. A metric, not a loss to train on.

    A decision is a whole number, constant but for its jumps, so its derivative is 0 wherever there is one: the result
    carries no gradient. `hinge_loss` and `multi_margin_loss` are what one trains in its place.

    Args:
        input: scores (C), (N, C) or (N, C, d1, ...), of which the largest decides (the first of several); or binary
            scores of any shape, of which the sign decides. A score of 0 decides nothing, which is wrong for both signs.
        target: class indices (), (N) or (N, d1, ...); or signs, 1 and -1, in the shape of the binary scores.
        ignore_index: a class index that counts for nothing.
        reduction: "mean" of those that count, "sum" for their number, "none" for a 1 at each wrong decision.

    Raises RuntimeError for shapes or dtypes that do not fit, IndexError for a class that does not exist.
    """
    name = "zero_one_loss"
    check_reduction(name, reduction)
    if input.shape == target.shape:
        _check_signs(name, target)
        return reduced(ne(sign(input), target).to(input.dtype), reduction, name)
    rows, classes = as_rows(name, input, target, ignore_index)
    counts = ne(classes, ignore_index)  # N
    wrong = (ne(rows.argmax(1), classes) & counts).to(input.dtype)
    if reduction == "mean":
        return wrong.sum() / counts.sum()
    return reduced(wrong.reshape(target.shape), reduction, name)


def _check_signs(name: str, target: Tensor) -> None:
    """RuntimeError for a target other than 1 and -1, as far as the host can see."""
    signs = target._array
    if device_of(signs).type == "cpu" and not ((signs == 1) | (signs == -1)).all():
        raise RuntimeError(
            f"{name}: the target of binary scores holds the signs 1 and -1 alone: make them of classes 0 and 1 by "
            f"2 * target - 1"
        )


# ---- classes --------------------------------------------------------------------------------------------------------


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
) -> Tensor:
    """sum_c max(0, margin - s[y] + s[c])^p / C over all classes c but y: the multiclass hinge (Weston & Watkins 1999).

    Args:
        input: scores (C) or (N, C).
        target: class indices () or (N).
        p: 1, or 2 for squared distances.
        margin: how far the right class should be ahead of each other one.
        weight: a weight for each class (C), which its examples get; "mean" divides by N all the same.

    As in PyTorch, a distance that is no number, such as that of two infinite scores, counts for nothing.
    Raises ValueError for another p, RuntimeError for what does not fit, IndexError for a class that does not exist.
    """
    name = "multi_margin_loss"
    if p not in (1, 2):
        raise ValueError(f"{name}: p is 1 or 2, not {p!r}")
    if input.ndim not in (1, 2):
        raise RuntimeError(f"{name}: input must be (C) or (N, C), got {tuple(input.shape)}")
    rows, classes = as_rows(name, input, target)  # N, C and N
    check_class_weight(name, weight, rows, rows.shape[1])
    right = classes[:, None]  # N, 1
    behind = margin - rows.gather(1, right) + rows  # N, C: by how much class c comes too close
    missing = where((behind > 0).scatter(1, right, False), behind, 0.0)
    if p == 2:
        missing = missing * missing
    losses = missing.sum(1) / rows.shape[1]
    if weight is not None:
        losses = losses * weight[classes]
    return reduced(losses.reshape(target.shape), reduction, name)


def multilabel_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """sum over right classes y and wrong ones c of max(0, 1 - s[y] + s[c]) / C, for examples with several classes.

    Args:
        input: scores (C) or (N, C).
        target: integers of that shape: each row lists its classes, and -1 ends the list.

    As in PyTorch, a distance that is no number, such as that of two infinite scores, counts for nothing.
    Raises RuntimeError for what does not fit, IndexError for a class that does not exist.
    """
    name = "multilabel_margin_loss"
    if input.ndim not in (1, 2) or input.shape != target.shape:
        raise RuntimeError(
            f"{name}: input {tuple(input.shape)} and target {tuple(target.shape)}: they must both be (C) or (N, C)"
        )
    C = input.shape[-1]
    check_classes(name, target, C, ignore_index=-1)
    before_end = (target >= 0).to(target.dtype).cumprod(-1)  # N, J
    place, listed = target * before_end, before_end.to(input.dtype)
    wrong = listed.new_zeros(input.shape).scatter_add(-1, place, listed) == 0  # N, C
    behind = 1 - input.gather(-1, place)[..., None] + input[..., None, :]  # N, J, C
    counts = (before_end > 0)[..., None] & wrong[..., None, :] & (behind > 0)
    # Chosen, not multiplied by 0: an infinite score must not make nan of pairs that do not count.
    return reduced(where(counts, behind, 0.0).sum((-2, -1)) / C, reduction, name)


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """The binary cross-entropy of each class, averaged over them: scores and targets 0 or 1 (..., C) -> (...).

    `weight` (C) rescales each class. Raises ValueError where the shapes differ.
    """
    each = binary_cross_entropy_with_logits(input, target, weight, reduction="none")
    return reduced(each.mean(-1), reduction, "multilabel_soft_margin_loss")


# ---- pairs and triples ----------------------------------------------------------------------------------------------


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, *, reduction: str = "mean"
) -> Tensor:
    """max(0, margin - y (s1 - s2)): with y = 1 the first score should be higher, with y = -1 the second.

    So Collobert & Weston (ICML 2008) train a language model: text as it stands, beside the same with a word replaced.
    Raises RuntimeError for different numbers of dimensions; the shapes broadcast.
    """
    _check_same_rank("margin_ranking_loss", input1=input1, input2=input2, target=target)
    return reduced((margin - target * (input1 - input2)).clamp(min=0), reduction, "margin_ranking_loss")


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean") -> Tensor:
    """A distance d itself for pairs that belong together (y = 1), max(0, margin - d) for those that do not (y = -1)."""
    apart = where(target != 1, (margin - input).clamp(min=0), 0.0)
    together = where(target != -1, input, 0.0)
    return reduced(apart + together, reduction, "hinge_embedding_loss")


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, *, reduction: str = "mean"
) -> Tensor:
    """1 - cos of two vectors that belong together (y = 1), max(0, cos - margin) of two that do not (y = -1).

    The vectors are (D) with a target (), or (N, D) with a target (N). Raises RuntimeError for other ranks.
    """
    name = "cosine_embedding_loss"
    _check_same_rank(name, input1=input1, input2=input2)
    if target.ndim > 1 or input1.ndim != target.ndim + 1:
        raise RuntimeError(
            f"{name}: inputs {tuple(input1.shape)} and target {tuple(target.shape)}: they must be (D) and (), or (N, D)"
            f" and (N)"
        )
    squares = [(vectors * vectors).sum(-1) + 1e-12 for vectors in (input1, input2)]
    cosine = (input1 * input2).sum(-1) / (squares[0] * squares[1]).sqrt()
    together = where(target == 1, 1 - cosine, 0.0)
    apart = where(target == -1, (cosine - margin).clamp(min=0), 0.0)
    return reduced(together + apart, reduction, name)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension: (..., D), (..., D) -> (...).

    `eps` keeps equal vectors apart, where the norm would have no derivative.
    """
    return (x1 - x2 + eps).norm(p, -1, keepdim)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), d the p-norm (Schroff et al., CVPR 2015).

    With `swap` the negative's distance is the smaller one of those to the anchor and to the positive (Balntas et al.,
    BMVC 2016). All are (D) or (N, D). Raises ValueError for a margin that is not above 0, RuntimeError for different
    numbers of dimensions.
    """
    name = "triplet_margin_loss"
    check_margin(name, margin)
    _check_same_rank(name, anchor=anchor, positive=positive, negative=negative)
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduced((margin + near - far).clamp(min=0), reduction, name)


def check_margin(name: str, margin: float) -> None:
    """ValueError for a margin that is none."""
    if not margin > 0:
        raise ValueError(f"{name}: margin must be above 0, got {margin}")


def _check_same_rank(name: str, **tensors: Tensor) -> None:
    """RuntimeError for different numbers of dimensions: (N) beside (N, 1) would become (N, N)."""
    if len({tensor.ndim for tensor in tensors.values()}) > 1:
        said = ", ".join(f"{word} {tuple(tensor.shape)}" for word, tensor in tensors.items())
        raise RuntimeError(f"{name}: {said}: they must have the same number of dimensions: unsqueeze or reshape")
