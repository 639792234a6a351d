"""Views and writing in place: tensors that share memory, and a graph that stays right when it changes.

A view knows its base and the ops that led to it. Writing through a view of a recorded tensor makes the base a new
result: its old value with one region replaced (`view_scatter`). Every other view of that base is then out of date; it
notices on its next use, because the base's edge is no longer the one it was derived from, and derives its own anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minigrad.backend import Array
from minigrad.core import engine
from minigrad.core.modes import _Switch, mode

if TYPE_CHECKING:
    from minigrad.core.tensor import Tensor

Step = tuple[Callable[..., Any], dict[str, Any]]  # a view op and its settings


class View:
    """Where a view came from."""

    __slots__ = ("base", "edge", "path", "recorded", "refused")

    def __init__(self, source: Tensor, step: Step, refused: str | None) -> None:
        outer = source._view
        self.base: Tensor = source if outer is None else outer.base
        self.path: tuple[Step, ...] = (step,) if outer is None else (*outer.path, step)
        self.edge = self.base._edge  # the base's edge this view's own edge was derived from
        self.recorded = mode.grad and (outer is None or outer.recorded)  # made under no_grad: never follows the base
        self.refused = refused if outer is None or outer.refused is None else outer.refused  # why writing is refused


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
    with _Switch(grad=True):
        tensor._edge = replay(view.base, view.path)._edge


def count_write(tensor: Tensor) -> None:
    """Note that the tensor's memory was written."""
    if tensor._counter is not None:
        tensor._counter.count += 1


def check_writable(tensor: Tensor, op: str) -> None:
    """Refuse what PyTorch refuses: writing in place to a leaf that requires grad, or to a view of one."""
    if not mode.grad:
        return
    view = tensor._view
    edge = tensor._current_edge()
    if view is None:
        if edge is not None and edge[0].plan is None:
            raise RuntimeError(
                f"{op}: a leaf that requires grad is used in an in-place operation: do it under no_grad(), "
                f"or make a new tensor"
            )
        return
    base_edge = view.base._edge
    if base_edge is not None and base_edge[0].plan is None:
        raise RuntimeError(
            f"{op}: a view of a leaf that requires grad is used in an in-place operation: do it under no_grad(), "
            f"or clone() the leaf first"
        )
    if base_edge is not None and not view.recorded:
        raise RuntimeError(f"{op}: this view was taken under no_grad(), so writing through it cannot be recorded: take it again")
    if view.refused is not None:
        raise RuntimeError(f"{op}: {view.refused}")


def in_place(tensor: Tensor, op: Callable[..., Any], *args: Any, **settings: Any) -> Tensor:
    """`tensor.op_(*args)`: compute `op(tensor, *args)`, then put the result where `tensor` is, memory and graph."""
    name = f"{op.__name__}_"
    check_writable(tensor, name)
    source = tensor
    if mode.grad and any(_recorded(value) for value in (tensor, *args)):
        # What the rule saves of the old value must outlive the write.
        source = _snapshot(tensor)
        args = tuple(source if value is tensor else value for value in args)
    result = op(source, *args, **settings)
    if result.shape != tensor.shape:
        raise RuntimeError(
            f"{name}: the result has shape {tuple(result.shape)}, which does not fit in place of "
            f"{tuple(tensor.shape)}: use {op.__name__}()"
        )
    return write(tensor, result, name)


def _recorded(value: Any) -> bool:
    edge = getattr(value, "_current_edge", None)
    return edge is not None and edge() is not None


def _snapshot(tensor: Tensor) -> Tensor:
    from minigrad.core.tensor import wrap

    copy = wrap(tensor._array.copy())
    copy._edge = tensor._current_edge()
    return copy


def write(tensor: Tensor, result: Tensor, name: str) -> Tensor:
    """Make `tensor`, and the memory it shares, hold `result`; its gradient flows to where `result` came from."""
    wanted, array = tensor._array.dtype, result._array
    if array.dtype != wanted:
        if "biufc".index(array.dtype.kind) > "biufc".index(wanted.kind) and not {array.dtype.kind, wanted.kind} <= set("iu"):
            raise RuntimeError(f"{name}: a {array.dtype} result cannot be put into a {wanted} tensor in place")
        result = result.to(wanted)
        array = result._array
    _store(tensor._array, array, name)
    count_write(tensor)
    if not mode.grad:
        return tensor
    view = tensor._view
    if view is None:
        if result._edge is not None or tensor._edge is not None:
            _move_retained(tensor._edge, result._edge)
            tensor._edge = result._edge
    elif result._edge is not None or view.base._edge is not None:
        scattered = _view_scatter_node(view, result)
        _move_retained(view.base._edge, scattered)
        view.base._edge = scattered
        refresh(tensor)
    return tensor


def _store(target: Array, array: Array, name: str) -> None:
    flags = getattr(target, "flags", None)
    if flags is not None and getattr(flags, "writeable", True) is False:
        raise RuntimeError(f"{name}: this tensor's memory cannot be written, as after expand(): clone() it first")
    if 0 in target.strides and target.size > 1 and any(
        step == 0 and size > 1 for step, size in zip(target.strides, target.shape, strict=True)
    ):
        raise RuntimeError(f"{name}: several elements of this tensor share one place in memory: clone() it first")
    target[...] = array


def _move_retained(old: engine.Edge | None, new: engine.Edge | None) -> None:
    """retain_grad() was asked of the tensor, so it follows the tensor to its new node."""
    if old is not None and new is not None and old[0].plan is not None and old[0].extras is not None:
        if old[1] in old[0].extras.retained:
            del old[0].extras.retained[old[1]]
            engine.extras_of(new[0]).retained[new[1]] = None


def _view_scatter_node(view: View, result: Tensor) -> engine.Edge:
    """The base after the write as a result of the graph. Its memory holds the value already."""
    from minigrad.core import primitive

    return primitive.record_view_write(view.base, result, view.path)
