"""What the kernels share: the array type's name and the walk through time."""

from typing import Any, TypeAlias

Array: TypeAlias = Any  # a numpy.ndarray, a cupy.ndarray, or another array type known to minigrad.backend
Needs: TypeAlias = tuple[bool, ...]  # one entry for each array argument of the forward: is its gradient wanted?


def time_order(steps: int, reverse: bool) -> range:
    """The order in which a recurrence visits the rows of its input."""
    return range(steps - 1, -1, -1) if reverse else range(steps)
