"""Writing in place: the memory, its version, and the tensor's place in the graph change together.

`x.mul_(y)` computes `x * y` as a new result and puts it where `x` is. Where `x` is a view, its base becomes a new
result as well: its old value with one region replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.backend import Array, namespace
from minigrad.core import engine, views
from minigrad.core.call import record, save
from minigrad.core.modes import mode
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor, wrap


def check_writable(tensor: Tensor, op: str, recorded: bool = False) -> None:
    """Refuse what PyTorch refuses: writing in place to a leaf that requires grad, or to a view of one, and through a
    view that cannot say how it was taken; `recorded` if what is written requires grad."""
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
    if base_edge is None and not recorded:
        return
    if not view.recorded:
        raise RuntimeError(
            f"{op}: this view was taken under no_grad(), so writing through it cannot be recorded: take it again"
        )
    if view.refused is not None:
        raise RuntimeError(f"{op}: {view.refused}")


def in_place(tensor: Tensor, op: Callable[..., Any], *args: Any, **settings: Any) -> Tensor:
    """`tensor.op_(*args)`: compute `op(tensor, *args)`, then put the result where `tensor` is, memory and graph."""
    name = f"{op.__name__}_"
    check_writable(tensor, name)
    source = tensor
    if mode.grad and any(_recorded(value) for value in (tensor, *args, *settings.values())):
        # What the rule saves of the old value must outlive the write.
        source = _snapshot(tensor)
        args = tuple(source if value is tensor else value for value in args)
        settings = {name: source if value is tensor else value for name, value in settings.items()}
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
    copy = wrap(tensor._array.copy())
    copy._edge = tensor._current_edge()
    return copy


def write(tensor: Tensor, result: Tensor, name: str) -> Tensor:
    """Make `tensor`, and the memory it shares, hold `result`; its gradient flows to where `result` came from."""
    wanted, array = tensor._array.dtype, result._array
    if array.dtype != wanted:
        if "biufc".index(array.dtype.kind) > "biufc".index(wanted.kind) and not {array.dtype.kind, wanted.kind} <= set(
            "iu"
        ):
            raise RuntimeError(f"{name}: a {array.dtype} result cannot be put into a {wanted} tensor in place")
        result = result.to(wanted)
        array = result._array
    edge = result._current_edge()
    if edge is not None and tensor._view is not None:
        check_writable(tensor, name, recorded=True)
    _store(tensor._array, array, name)
    views.count_write(tensor)
    if not mode.grad:
        return tensor
    view = tensor._view
    if view is None:
        engine.move_retained(tensor._edge, edge)
        tensor._edge = edge
    elif edge is not None or view.base._edge is not None:
        scattered = _record_view_write(view.base, result, view.path)
        engine.move_retained(view.base._edge, scattered)
        view.base._edge = scattered
        views.refresh(tensor)
    return tensor


def _store(target: Array, array: Array, name: str) -> None:
    if not target.size:
        return
    flags = getattr(target, "flags", None)
    if flags is not None and getattr(flags, "writeable", True) is False:
        raise RuntimeError(f"{name}: this tensor's memory cannot be written, as after expand(): clone() it first")
    if (
        0 in target.strides
        and target.size > 1
        and any(step == 0 and size > 1 for step, size in zip(target.strides, target.shape, strict=True))
    ):
        raise RuntimeError(f"{name}: several elements of this tensor share one place in memory: clone() it first")
    target[...] = array


@primitive
def view_scatter(input: Array, src: Array, *, path: Any) -> Array:
    """`input` with the region that the view ops in `path` select replaced by `src`."""
    xp = namespace(input)
    places = views.replay(xp.arange(input.size).reshape(input.shape), path)
    result = input.reshape(-1).copy()
    result[places.reshape(-1)] = src.reshape(-1)
    return result.reshape(input.shape)


view_scatter.vjp(
    input=lambda g, path, src_shape: view_scatter(g, _zeros(g, src_shape), path=path),
    src=lambda g, path: views.replay(g, path),
)


def _zeros(like: Any, shape: tuple[int, ...]) -> Any:
    array = like._array if isinstance(like, Tensor) else like
    zeros = namespace(array).zeros(shape, array.dtype)
    return wrap(zeros) if isinstance(like, Tensor) else zeros


def _record_view_write(base: Tensor, written: Tensor, path: Any) -> engine.Edge:
    """The node that says `base` is now its old value with `written` in the region `path`. Nothing is computed."""
    op = view_scatter.op
    needs = (base._edge is not None, written._edge is not None)
    plan = op.plan(needs)
    edges = tuple([edge for edge in (base._edge, written._edge) if edge is not None])
    saved = save(plan, (base._array,), [base._array, written._array], {"path": path})
    node = record(plan, edges, saved, (), (base._array.shape,))
    return (node, 0)
