"""Adaptive softmax: few numbers for each of the many rare classes.

Grave, Joulin, Cissé, Grangier and Jégou, "Efficient softmax approximation for GPUs" (ICML 2017). The classes stand in
the order of falling frequency. The frequent ones are foretold by the head; a cluster of rarer ones has one place in
the head and, for the few rows that need it, a layer of its own over features that are made smaller.

Shapes: N rows, C classes, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from minigrad.core import dtypes
from minigrad.core.tensor import Tensor
from minigrad.nn import functional as F
from minigrad.nn.containers import ModuleList, Sequential
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.ops.comparison import where
from minigrad.ops.joining import cat

NOT_HERE = -100  # a row whose class is in another cluster: the `ignore_index` of cross_entropy


class AdaptiveOutput(NamedTuple):
    """The log-probability of each row's class, and the mean of their negatives."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """The log-likelihood of classes (N) given features (N, in_features), or of one class () given (in_features).

    Args:
        in_features: D.
        n_classes: C, numbered from the most frequent on.
        cutoffs: rising, from 1 to C - 1: the head has the classes below the first, cluster i those from cutoffs[i] on.
        div_value: cluster i has features of size D // div_value ** (i + 1).
        head_bias: the head has a bias; the clusters never have.

    `head` is Linear(D, cutoffs[0] + clusters); `tail` has two Linear without bias for each cluster.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_cutoffs(cutoffs, n_classes)
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs = [*map(int, cutoffs), n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = self.cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, device=device, dtype=dtype)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            size, classes = int(in_features // div_value ** (i + 1)), self.cutoffs[i + 1] - self.cutoffs[i]
            smaller = Linear(in_features, size, bias=False, device=device, dtype=dtype)
            self.tail.append(Sequential(smaller, Linear(size, classes, bias=False, device=device, dtype=dtype)))

    def reset_parameters(self) -> None:
        """Draw the initial weights anew."""
        for layer in [self.head, *(layer for cluster in self.tail for layer in cluster)]:
            layer.reset_parameters()

    def forward(self, input: Tensor, target: Tensor) -> AdaptiveOutput:
        """(output, loss): the log-probability of each target, in its shape, and the mean of their negatives.

        On the host a cluster is computed for its own rows alone. To tell which these are, a device would have to be
        waited for; there all rows go through every cluster.

        Raises RuntimeError for shapes that do not fit, and on the host for a class that does not exist.
        """
        self._check(input, target)
        rows, classes = input.reshape(-1, self.in_features), target.reshape(-1).to(dtypes.int64)
        place = classes  # in the head: of a class itself, or of its cluster
        for i, low in enumerate(self.cutoffs[:-1]):
            place = where(classes >= low, self.shortlist_size + i, place)
        output = -F.cross_entropy(self.head(rows), place, reduction="none")
        for i, layers in enumerate(self.tail):
            low, high = self.cutoffs[i : i + 2]
            here = (classes >= low) & (classes < high)
            if input.device.type == "cpu":
                members = here.nonzero().reshape(-1)
                losses = F.cross_entropy(layers(rows[members]), classes[members] - low, reduction="none")
                output = output.index_add(0, members, losses, alpha=-1)
            else:
                output = output - F.cross_entropy(layers(rows), where(here, classes - low, NOT_HERE), reduction="none")
        return AdaptiveOutput(output.reshape(target.shape), -output.mean())

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities (N, C) of all classes given features (N, D)."""
        head = F.log_softmax(self.head(input), 1)
        size = self.shortlist_size
        clusters = [
            F.log_softmax(layers(input), 1) + head[:, size + i : size + i + 1] for i, layers in enumerate(self.tail)
        ]
        return cat([head[:, :size], *clusters], 1)

    def predict(self, input: Tensor) -> Tensor:
        """The likeliest class (N) of each row of features (N, D)."""
        return self.log_prob(input).argmax(1)

    def _check(self, input: Tensor, target: Tensor) -> None:
        name, found = type(self).__name__, f"input {tuple(input.shape)} and target {tuple(target.shape)}"
        if target.ndim > 1 or tuple(input.shape) != (*target.shape, self.in_features):
            D = self.in_features
            raise RuntimeError(f"{name}: {found}: they must be (N, {D}) and (N), or ({D}) and ()")
        if target.dtype.kind not in "iu":
            raise RuntimeError(f"{name}: target must be class indices, integers, got {target.dtype}")
        if target.device.type == "cpu" and target.numel() and not _inside(target, self.n_classes):
            raise RuntimeError(
                f"{name}: target has classes from {target.min().item()} to {target.max().item()}, they must be from 0 "
                f"to {self.n_classes - 1}"
            )


def _inside(target: Tensor, n_classes: int) -> bool:
    return target.min().item() >= 0 and target.max().item() < n_classes


def _check_cutoffs(cutoffs: Sequence[int], n_classes: int) -> None:
    """ValueError unless they divide the classes into parts that are not empty."""
    bounds = [0, *cutoffs, n_classes]
    whole = all(int(bound) == bound for bound in bounds)
    if not cutoffs or not whole or any(low >= high for low, high in pairwise(bounds)):
        raise ValueError(
            f"AdaptiveLogSoftmaxWithLoss: cutoffs must be whole numbers that rise, from 1 to n_classes - 1 = "
            f"{n_classes - 1}, got {list(cutoffs)}"
        )
