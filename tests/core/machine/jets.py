"""Dual numbers: arrays whose every number carries its derivatives, of first and second order, by every seed.

A seed is an infinitesimal that was added to one number of the program: to an element of a leaf, or of a result. What a
number's derivative by a seed is follows from how the number was computed, forwards; nothing ever goes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Host = np.ndarray[Any, Any]
ORDER = 2


@dataclass(frozen=True)
class Jet:
    """Numbers of some shape, and their derivatives.

    `parts[0]` are the values, (*shape). `parts[1]` the derivatives by S seeds, (*shape, S). `parts[2]` the derivatives
    of those by S seeds, (*shape, S, S). A jet of lower order ends earlier.
    """

    parts: tuple[Host, ...]

    @staticmethod
    def constant(values: Host) -> Jet:
        return Jet((values, *[np.zeros(values.shape + (0,) * order) for order in range(1, ORDER + 1)]))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.parts[0].shape

    @property
    def size(self) -> int:
        return self.parts[0].size

    def grown(self, seeds: int) -> Jet:
        """The same, with derivatives by more seeds, which are zero."""
        return Jet(
            tuple(
                np.pad(part, [(0, 0)] * len(self.shape) + [(0, seeds - part.shape[-1])] * order) if order else part
                for order, part in enumerate(self.parts)
            )
        )

    def pick(self, places: Host) -> Jet:
        """The numbers at these places of the flattened jet, in the shape of `places`."""
        dims = len(self.shape)
        return Jet(tuple(part.reshape(self.size, *part.shape[dims:])[places] for part in self.parts))

    def places(self) -> Host:
        """The place of each number in the flattened jet."""
        return np.arange(self.size).reshape(self.shape)

    def to_shape(self, shape: tuple[int, ...]) -> Jet:
        """Stretched as NumPy broadcasts."""
        return self if shape == self.shape else self.pick(np.broadcast_to(self.places(), shape))

    def sum(self, axes: tuple[int, ...]) -> Jet:
        return Jet(tuple(part.sum(axes) for part in self.parts))

    def slopes(self) -> Jet:
        """The derivatives as numbers of their own, which carry derivatives of one order less."""
        return Jet(self.parts[1:])

    def __add__(self, other: Jet) -> Jet:
        x, y = _alike(self, other)
        return Jet(tuple(a + b for a, b in zip(x.parts, y.parts)))

    def __mul__(self, other: Jet) -> Jet:
        """The product rule, once and twice."""
        x, y = _alike(self, other)
        parts = [x.parts[0] * y.parts[0]]
        if len(x.parts) > 1:
            parts.append(x.parts[1] * y.parts[0][..., None] + x.parts[0][..., None] * y.parts[1])
        if len(x.parts) > 2:
            straight = x.parts[2] * y.parts[0][..., None, None] + x.parts[0][..., None, None] * y.parts[2]
            parts.append(straight + _outer(x.parts[1], y.parts[1]) + _outer(y.parts[1], x.parts[1]))
        return Jet(tuple(parts))

    def scaled(self, factor: float) -> Jet:
        return Jet(tuple(part * factor for part in self.parts))

    def through(self, values: Host, slope: Callable[[Jet, Jet], Jet], first_seed: int | None) -> Jet:
        """A function of each number: what it gives, and its slope written in the argument and the result.

        If the result gets seeds of its own, from `first_seed` on, a slope that is written in the result moves with
        them: this is what `backward` does when a rule is written in terms of `ans`.
        """
        at = slope(self, Jet((values,))).parts[0]
        result = Jet((values, self.parts[1] * at[..., None]))
        if first_seed is not None:
            result = result.seeded(first_seed)
        x, moving = _alike(self, slope(self, result), cut=False)
        parts = [values, x.parts[1] * at[..., None]]
        if len(x.parts) > 2:
            parts.append(x.parts[2] * at[..., None, None] + _outer(x.parts[1], moving.parts[1]))
        return Jet(tuple(parts))

    def seeded(self, first: int) -> Jet:
        """Each number with a seed of its own added; the seeds count from `first`."""
        grown = self.grown(first + self.size)
        own = np.zeros(grown.parts[1].shape).reshape(self.size, first + self.size)
        own[np.arange(self.size), first + np.arange(self.size)] = 1
        return Jet((grown.parts[0], grown.parts[1] + own.reshape(grown.parts[1].shape), *grown.parts[2:]))

    def replaced(self, places: Host, by: Jet) -> Jet:
        """The numbers at these places of the flattened jet replaced."""
        x, y = _alike(self, by, stretch=False)
        parts = []
        for old, new in zip(x.parts, y.parts):
            flat = old.copy().reshape(x.size, *old.shape[len(x.shape) :])
            flat[places] = new
            parts.append(flat.reshape(old.shape))
        return Jet(tuple(parts))

    @staticmethod
    def joined(jets: list[Jet], axis: int) -> Jet:
        seeds = max(jet.parts[1].shape[-1] for jet in jets)
        grown = [jet.grown(seeds).parts for jet in jets]
        return Jet(tuple(np.concatenate(parts, axis) for parts in zip(*grown)))


def _outer(x: Host, y: Host) -> Host:
    return x[..., :, None] * y[..., None, :]


def _alike(x: Jet, y: Jet, stretch: bool = True, cut: bool = True) -> tuple[Jet, Jet]:
    """Both of one shape, with as many seeds; and of the lower order of the two."""
    if stretch:
        shape = np.broadcast_shapes(x.shape, y.shape)
        x, y = x.to_shape(shape), y.to_shape(shape)
    if cut:
        order = min(len(x.parts), len(y.parts))
        x, y = Jet(x.parts[:order]), Jet(y.parts[:order])
    seeds = max([jet.parts[1].shape[-1] for jet in (x, y) if len(jet.parts) > 1], default=0)
    return x.grown(seeds), y.grown(seeds)
