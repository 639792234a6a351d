"""Losses with a margin as modules: each calls its function in `minigrad.nn.functional`. `reduction` as there."""

from __future__ import annotations

from minigrad.core.tensor import Tensor
from minigrad.nn import functional as F
from minigrad.nn.functional_margin import check_margin
from minigrad.nn.loss import Loss, WeightedLoss


class _MarginLoss(Loss):
    """A loss with a margin."""

    def __init__(self, margin: float, *, reduction: str) -> None:
        super().__init__(reduction=reduction)
        self.margin = margin


# ---- signs ----------------------------------------------------------------------------------------------------------


class HingeLoss(Loss):
    """max(0, 1 - y s) of scores and signs, 1 or -1, in one shape: the binary hinge, which PyTorch does not have."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_loss(input, target, reduction=self.reduction)


class SoftMarginLoss(Loss):
    """log(1 + e^(-y s)), the logistic loss of scores and signs."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, reduction=self.reduction)


# ---- classes --------------------------------------------------------------------------------------------------------


class MultiMarginLoss(WeightedLoss):
    """sum_c max(0, margin - s[y] + s[c])^p / C over all classes c but y: the multiclass hinge of scores (N, C).

    The target holds class indices (N).

    Args:
        p: 1 or 2.
        weight: a weight for each class (C).
    """

    def __init__(
        self, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, *, reduction: str = "mean"
    ) -> None:
        super().__init__(weight, reduction=reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p is 1 or 2, not {p!r}")
        self.p, self.margin = p, margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(Loss):
    """The hinge between each right class and each wrong one: scores (N, C), lists of classes (N, C) that -1 ends."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(WeightedLoss):
    """The binary cross-entropy of each class, averaged over them: scores (N, C), targets 0 or 1 (N, C)."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


# ---- pairs and triples ----------------------------------------------------------------------------------------------


class MarginRankingLoss(_MarginLoss):
    """max(0, margin - y (s1 - s2)): with y = 1 the first score should be higher, with y = -1 the second."""

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(margin, reduction=reduction)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class HingeEmbeddingLoss(_MarginLoss):
    """A distance itself for pairs that belong together (y = 1), max(0, margin - distance) for others (y = -1)."""

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__(margin, reduction=reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_MarginLoss):
    """1 - cos of vectors (N, D) that belong together (y = 1), max(0, cos - margin) of those that do not (y = -1)."""

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(margin, reduction=reduction)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class TripletMarginLoss(_MarginLoss):
    """max(0, margin + d(anchor, positive) - d(anchor, negative)) with the p-norm d, of vectors (N, D)."""

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        *,
        reduction: str = "mean",
    ) -> None:
        check_margin("TripletMarginLoss", margin)
        super().__init__(margin, reduction=reduction)
        self.p, self.eps, self.swap = p, eps, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, reduction=self.reduction
        )
