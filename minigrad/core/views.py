"""Views: tensors that share memory, and keep their places in the graph when that memory is written.

A view knows its base and the ops that led to it. Writing in place (`inplace.py`) gives the base a new edge. Every view
of it is then out of date; it notices on its next use, because the base's edge is no longer the one its own was derived
from, and derives its own anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minigrad.core import engine
from minigrad.core.modes import _Switch, mode

from minigrad.core import tensor as tensors  # isort: skip - it imports this file

if TYPE_CHECKING:
    from minigrad.core.tensor import Tensor

Step = tuple[Callable[..., Any], dict[str, Any]]  # a view op and its settings


class View:
    """Where a view came from."""

    __slots__ = ("base", "edge", "path", "recorded", "refused")
    recorded: bool  # False if taken under no_grad: it then never follows its base
    refused: str | None  # why writing to it cannot be recorded

    def __init__(self, source: Tensor, step: Step, refused: str | None) -> None:
        outer = source._view
        self.base: Tensor = source if outer is None else outer.base
        self.path: tuple[Step, ...] = (step,) if outer is None else (*outer.path, step)
        self.edge = self.base._edge  # the base's edge this view's own edge was derived from
        self.recorded = mode.grad and (outer is None or outer.recorded)
        self.refused = refused if outer is None or outer.refused is None else outer.refused


def replay(array: Any, path: tuple[Step, ...]) -> Any:
    """Take the view again, of a tensor or a raw array."""
    for op, settings in path:
        array = op(array, **settings)
    return array


def refresh(tensor: Tensor) -> None:
    """Give a view whose base has moved in the graph its edge anew."""
    view = tensor._view
    assert view is not None
    if view.edge is view.base._edge or not view.recorded:
        return
    view.edge = view.base._edge
    before = tensor._edge
    with _Switch(grad=True):
        tensor._edge = replay(view.base, view.path)._edge
    engine.move_retained(before, tensor._edge)


def count_write(tensor: Tensor) -> None:
    """Note that the tensor's memory was written."""
    if tensor._counter is not tensors.UNWATCHED:
        tensor._counter.count += 1
