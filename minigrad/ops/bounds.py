"""Numbers that must lie in a range, looked at on the host before anything is indexed with them."""

from __future__ import annotations

import numpy as np

from minigrad.backend import Array, device_of


def first_outside(index: Array, size: int, ignored: int | None = None) -> tuple[int, ...] | None:
    """The place of the first number that is neither in 0 .. size - 1 nor `ignored`; None if there is none.

    An array on a device is not looked at: that would wait for the device at every step.
    """
    if device_of(index).type != "cpu" or not index.size:
        return None
    # Without its sign a negative number is larger than any size: one pass, a microsecond, in place of two.
    if index.dtype == np.int64 and int(index.view(np.uint64).max()) < size:
        return None
    wrong = (index < 0) | (index >= size)
    if ignored is not None:
        wrong &= index != ignored
    if not wrong.any():
        return None
    return tuple([int(place) for place in np.unravel_index(int(wrong.argmax()), index.shape)])
