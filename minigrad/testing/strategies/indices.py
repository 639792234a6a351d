"""Indices in the forms NumPy takes.

A tuple of parts, each of which takes none, one or several dimensions. Integer arrays, lists and masks anywhere in it
select together: their shapes broadcast to one common shape. PyTorch has no negative steps, so they are left out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.testing.strategies.arrays import Host, integers, masks
from minigrad.testing.strategies.shapes import Shape, shapes


@st.composite
def indices(draw: st.DrawFn, shape: Shape) -> Any:
    """An index of an array of this shape: ints, slices, `...`, None, integer arrays that repeat, bool masks."""
    kind = draw(st.sampled_from(["basic", "arrays", "mask", "mixed"]))
    if kind == "mask" and shape:
        covered = draw(st.integers(1, len(shape)))
        return draw(masks(shape[:covered]))
    if kind in ("arrays", "mixed") and shape and 0 not in shape:
        count = draw(st.integers(1, len(shape)))
        common = draw(shapes(min_dims=1, max_dims=2, min_side=1, max_side=3))
        parts: list[Any] = [draw(integers(common, -size, size)) for size in shape[:count]]
        if kind == "mixed":
            place = draw(st.integers(0, count - 1))
            drawn = draw(hnp.basic_indices((shape[place],), min_dims=1, allow_ellipsis=False))
            drawn = drawn if not isinstance(drawn, tuple) else drawn[0] if drawn else slice(None)
            parts[place] = without_negative_steps(drawn)
        return parts[0] if count == 1 else tuple(parts)
    return without_negative_steps(draw(hnp.basic_indices(shape, min_dims=0, allow_newaxis=True)))


def without_negative_steps(index: Any) -> Any:
    """A basic index whose slices go forward."""
    if isinstance(index, tuple):
        return tuple(without_negative_steps(part) for part in index)
    if isinstance(index, slice) and index.step is not None and index.step < 0:
        return slice(None, None, -index.step)
    return index


# What one index is made of: a few kinds often go together, which all kinds at once seldom do.
_COMPANIES = (
    ("slice", "int", "numpy int", "array", "list", "mask", "bool"),
    ("slice", "array"),
    ("slice", "array", "mask"),
    ("slice", "int", "list"),
)


@st.composite
def any_indices(draw: st.DrawFn, shape: Shape) -> Any:
    """An index in every form that NumPy and PyTorch read alike.

    Ints and NumPy ints, slices, `...`, None, True and False, lists and nested lists, integer arrays of several shapes
    that broadcast, masks of one or more dimensions at any place, and all of these mixed. Alone or in a tuple.
    """
    company = draw(st.sampled_from(_COMPANIES))
    common = draw(shapes(min_dims=0 if "int" in company else 1, max_dims=2, max_side=3))
    whole = draw(st.booleans())
    front = len(shape) if whole else draw(st.integers(0, len(shape)))
    back = draw(st.integers(0, len(shape) - front)) if not whole and draw(st.booleans()) else None
    room = _Room(draw, common, company)
    parts = room.parts(shape[:front])
    if back is not None:  # `...` stands for what lies between, which may be nothing
        parts += [Ellipsis, *room.parts(shape[len(shape) - back :])]
    if not draw(st.integers(0, 2)):
        for place in sorted(draw(st.lists(st.integers(0, len(parts)), min_size=1, max_size=2)), reverse=True):
            parts.insert(place, None)
    if not parts:
        return draw(st.sampled_from([(), Ellipsis, None]))
    return parts[0] if len(parts) == 1 and draw(st.booleans()) else tuple(parts)


class _Room:
    """Draws the parts of one index, with what those that select together have agreed on."""

    def __init__(self, draw: st.DrawFn, common: Shape, kinds: tuple[str, ...]) -> None:
        self.draw, self.common, self.kinds = draw, common, kinds
        self.masked = False  # one mask is enough: a second one would have to have as many True

    def parts(self, shape: Shape) -> list[Any]:
        """Parts that take all dimensions of `shape`."""
        result: list[Any] = []
        taken = 0
        while taken < len(shape):
            part, count = self.part(shape[taken:])
            result.append(part)
            taken += count
        return result

    def part(self, shape: Shape) -> tuple[Any, int]:
        """One part, and how many dimensions it takes."""
        size = shape[0]
        fits = {
            "slice": True,
            "int": size > 0,
            "numpy int": size > 0,
            "array": size > 0 or 0 in self.common,
            "list": size > 0 or 0 in self.common,
            "mask": not self.masked and self._mask_fits(shape, 1),
            "bool": not self.masked and self.common == (),
        }
        kind = self.draw(st.sampled_from([kind for kind in self.kinds if fits[kind]]))
        if kind == "slice":
            return self.draw(st.slices(size).map(without_negative_steps)), 1
        if kind == "int":
            return self.draw(st.integers(-size, size - 1)), 1
        if kind == "numpy int":
            return np.int64(self.draw(st.integers(-size, size - 1))), 1
        if kind == "bool":
            self.masked = True
            return self.draw(st.booleans()), 0
        if kind == "mask":
            self.masked = True
            most = max(dims for dims in range(1, len(shape) + 1) if self._mask_fits(shape, dims))
            dims = self.draw(st.integers(1, most).filter(lambda dims: self._mask_fits(shape, dims)))
            return self._mask(shape[:dims]), dims
        array = self._places(size)
        return (array.tolist() if kind == "list" and array.ndim and array.size else array), 1

    def _places(self, size: int) -> Host:
        """Integer places whose shape broadcasts to the common one."""
        if not size:
            return np.zeros(self.common, np.int64)  # places in nothing: the common shape is empty
        own = tuple(self.draw(st.sampled_from([side, 1])) for side in self.common)
        if self.draw(st.integers(0, 2)) == 2:
            own = own[self.draw(st.integers(0, len(own))) :]
        return self.draw(integers(own, -size, size)) if math.prod(own) else np.zeros(own, np.int64)

    def _mask_fits(self, shape: Shape, dims: int) -> bool:
        return self.common == () or math.prod(shape[:dims]) >= self.common[-1]

    def _mask(self, shape: Shape) -> Host:
        """A mask with as many True as the common shape's last dimension has room for."""
        if self.common == ():
            return self.draw(masks(shape))
        order = self.draw(st.permutations(range(math.prod(shape))))
        flat = np.zeros(len(order), np.bool_)
        flat[order[: self.common[-1]]] = True
        return flat.reshape(shape)
