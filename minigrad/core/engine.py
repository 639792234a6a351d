"""Backpropagation: nodes, and the one loop that walks them from the result back to the leaves.

A node is born when an op runs on something that needs a gradient. It holds edges to the nodes its inputs came from, the
arrays its rule will need, and nothing else: no Tensor, so no cycle. `run` keeps the nodes whose gradient is pending in
a queue, youngest first. A node is always younger than everything it was computed from, so when it leaves the queue all
its gradient has arrived: the order of creation is a topological order, and no recursion is needed.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush, heappushpop
from types import CodeType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from minigrad.backend import Array, namespace
from minigrad.core import dtypes, views
from minigrad.core.errors import AnomalyError, describe_location
from minigrad.core.modes import _Switch, mode, quiet
from minigrad.core.rows import Rows
from minigrad.kernels import memory

from minigrad.core import tensor as tensor_module  # isort: skip - it imports this file

if TYPE_CHECKING:
    from minigrad.core.tensor import Tensor

Shape = tuple[int, ...]
_birth = itertools.count(0, -1).__next__  # younger nodes have smaller numbers, as heapq wants them


class Plan(Protocol):
    """How a node goes backward: an op's rules for the inputs that need a gradient (`plan.py`)."""

    name: str
    outputs: int

    def backward(self, node: Node, g: Any, create_graph: bool) -> Sequence[Any]:
        """The gradients along `node.edges`, given that of the output (a list of them for several outputs)."""


class Extras:
    """What only few nodes have: hooks and retained gradients, by output index."""

    def __init__(self) -> None:
        self.hooks: dict[int, dict[int, Callable[[Any], Any]]] = {}
        self.retained: dict[int, Any] = {}


class Node:
    """One recorded op."""

    __slots__ = ("__weakref__", "birth", "edges", "extras", "location", "plan", "saved", "shapes", "versions")

    plan: Plan | None  # None for a leaf
    edges: tuple[Edge, ...]  # one for each input that needs a gradient
    shapes: tuple[Shape, ...]  # of the outputs
    saved: Any  # what the rules named; None once freed
    versions: tuple[Any, ...]  # the saved inputs' counters, and then their counts when saved
    location: tuple[CodeType, int] | None  # the forward line
    extras: Extras | None
    birth: int

    def name(self) -> str:
        """The op's name as PyTorch writes it: `MulBackward0`."""
        assert self.plan is not None
        return "".join(part[:1].upper() + part[1:] for part in self.plan.name.split("_")) + "Backward0"

    @property
    def next_functions(self) -> tuple[Edge, ...]:
        """The edges towards the leaves."""
        return self.edges

    @property
    def line(self) -> str:
        """The line of the user's code that recorded this node."""
        return describe_location(self.location)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


Edge = tuple[Node, int]


class Leaf(Node):
    """The end of a path: collects the gradient of one leaf tensor.

    `held` is what has been collected. Of a large table few rows of which were looked up these are just the rows, and
    become a table when somebody asks for `.grad`; who can use rows takes `held` and spares the table.
    """

    __slots__ = ("held", "wanted")

    def __init__(self, shape: Shape) -> None:
        self.plan = self.location = self.extras = None
        self.edges, self.saved, self.versions = (), (), ()
        self.shapes = (shape,)
        self.birth = _birth()
        self.held: Any = None
        self.wanted = True  # False while its tensor does not require grad

    def name(self) -> str:
        """PyTorch's name for the node that adds to `.grad`."""
        return "AccumulateGrad"

    @property
    def grad(self) -> Any:
        """What `.grad` shows: a Tensor, rows if they were asked for, or None."""
        held = self.held
        if type(held) is Rows and not held.keep:
            self.held = held = held.to_dense()
        return held

    def accumulate(self, gradient: Any, create_graph: bool) -> None:
        """Add to `.grad`. The first gradient becomes it: an array that the caller owns."""
        if not self.wanted:
            return
        if self.held is None and type(gradient) is np.ndarray:
            self.held = tensor_module.wrap(gradient)
            return
        if isinstance(gradient, Rows) and not gradient.keep:
            gradient = gradient.coalesce() if gradient.is_thin() else gradient.to_dense()._array
        if create_graph and isinstance(gradient, tensor_module.Tensor):
            gradient = gradient.clone()  # rules hand one gradient to several inputs; each .grad is its own
        if self.held is None:
            if isinstance(gradient, Rows) and gradient.keep:
                gradient = gradient.clone()  # its values are what flowed in
            self.held = gradient if isinstance(gradient, (tensor_module.Tensor, Rows)) else as_tensor(gradient)
        elif isinstance(gradient, Rows) and isinstance(self.held, tensor_module.Tensor) and not create_graph:
            gradient.add_to(self.held._array)
            views.count_write(self.held)
        elif create_graph or isinstance(self.held, Rows):
            total = _add(self.held, gradient)
            if isinstance(total, Rows) and not total.keep:
                total = total.coalesce()
            self.held = total if isinstance(total, (tensor_module.Tensor, Rows)) else as_tensor(total)
        else:
            self.held._array += gradient
            views.count_write(self.held)


# ---- the loop -------------------------------------------------------------------------------------------------------


def run(
    edges: Sequence[Edge],
    gradients: Sequence[Any],
    targets: Sequence[Edge] | None,
    *,
    retain_graph: bool,
    create_graph: bool,
) -> dict[Edge, Any]:
    """Send `gradients` in along `edges` and carry them to the leaves, or only to `targets`, whose gradients return.

    The gradients are raw arrays, or Tensors when `create_graph`: the same rules then record a graph of their own.
    """
    wanted = None if targets is None else _between(edges, targets)
    captured: dict[Edge, Any] = dict.fromkeys(targets or ())
    pending: dict[Node | Edge, Any] = {}  # by node for its output 0, by edge for a further output
    owned: set[Node | Edge] = set()  # whose pending gradient is an array of our own, free to add to in place
    queue: list[tuple[int, Node]] = []
    latest: tuple[int, Node] | None = None  # what came last to the queue waits beside it: mostly it leaves at once
    several: set[Node] = set()  # those of several outputs that are in the queue, once for all
    anomaly = mode.anomaly
    node: Any = None
    while True:
        for edge, gradient in zip(edges, gradients):  # a plan gives one gradient for each edge
            parent, index = edge
            if gradient is None or (wanted is not None and parent not in wanted):
                continue
            if gradient.shape != parent.shapes[index]:
                try:
                    gradient = sum_to(gradient, parent.shapes[index])
                except (ValueError, IndexError, RuntimeError) as error:
                    pairs = zip(edges, gradients, strict=True)
                    position = next(at for at, (to, one) in enumerate(pairs) if to is edge and one is gradient)
                    raise _does_not_fit(node, position, gradient.shape, parent.shapes[index]) from error
            key = edge if index else parent
            before = pending.get(key)
            if before is None:
                pending[key] = gradient
                if len(parent.shapes) > 1:
                    if parent in several:
                        continue
                    several.add(parent)
                if latest is not None:
                    heappush(queue, latest)
                latest = (parent.birth, parent)
            elif key in owned and type(before) is type(gradient):
                before += gradient
                pending[key] = before
            else:
                pending[key] = before = _add(before, gradient)
                if not create_graph and type(before) is not Rows:
                    owned.add(key)
        edges = gradients = ()
        if latest is not None:
            node, latest = heappushpop(queue, latest)[1], None
        elif queue:
            node = heappop(queue)[1]
        else:
            return captured
        plan = node.plan
        gradient = before = None
        if plan is None or plan.outputs == 1:
            g = pending.pop(node)
            if type(g) is Rows and (plan is not None or (node.extras is not None and not g.keep)):
                g = g.to_dense()._array  # rules know dense gradients only, and hooks but for those asked for as rows
            if node.extras is not None:
                g = _apply_extras(node, 0, g)
                owned.discard(node)  # a hook may have kept it, or given what somebody holds
            if captured and (node, 0) in captured:
                captured[node, 0] = g
            if plan is None:
                if targets is None:
                    gradient, g = g, None
                    if not create_graph and node not in owned and type(gradient) is not Rows:
                        gradient = own(gradient)
                    node.accumulate(gradient, create_graph)
                continue
        else:
            g = [pending.pop((node, index) if index else node, None) for index in range(plan.outputs)]
            for index, one in enumerate(g):
                if type(one) is Rows:
                    g[index] = one = one.to_dense()._array
                if one is not None and node.extras is not None:
                    g[index] = _apply_extras(node, index, one)
                if captured and (node, index) in captured:
                    captured[node, index] = g[index]
        if wanted is not None and not any(edge[0] in wanted for edge in node.edges):
            continue
        if anomaly:
            _check_finite(node, g, "flows into")
        edges, gradients = node.edges, plan.backward(node, g, create_graph)
        if anomaly:
            _check_finite(node, gradients, "comes out of")
        g = None
        if node.versions and not retain_graph:
            node.saved = None  # there are arrays in it; shapes and settings alone may stay for another time


def unpack(node: Node) -> Any:
    """What the node saved, checked: not freed, and not written since."""
    if node.saved is None:
        raise RuntimeError(
            f"a second backward through {node.plan.name!r}, whose saved arrays the first one freed "  # type: ignore[union-attr]
            f"(recorded at {node.line}): say retain_graph=True in the first, or compute the result again"
        )
    versions = node.versions
    count = len(versions)
    if count == 2:  # most nodes watch one array or two: no loop for these
        unchanged = versions[0].count == versions[1]
    elif count == 4:
        unchanged = versions[0].count == versions[2] and versions[1].count == versions[3]
    else:
        unchanged = not count
    return node.saved if unchanged else _unpack_many(node, versions)


def _unpack_many(node: Node, versions: tuple[Any, ...]) -> Any:
    """`unpack` for any number of watched arrays; it finds the one that was written, and says so."""
    expectations = versions[len(versions) // 2 :]
    for position, (counter, expected) in enumerate(zip(versions, expectations)):
        if counter.count != expected:
            raise RuntimeError(
                f"{node.plan.name!r} saved {node.plan.saved_name(position)!r} for its gradient, and it was changed in "  # type: ignore[union-attr]
                f"place since: it is at version {counter.count}, saved at version {expected} "
                f"(recorded at {node.line}): clone() it before writing, or write with an op that makes a new tensor"
            )
    return node.saved


def watching(node: Node) -> tuple[Any, ...]:
    """The counters of the memory that the node saved."""
    return node.versions[: len(node.versions) // 2]


def _between(starts: Sequence[Edge], targets: Sequence[Edge]) -> set[Node]:
    """The nodes on a path from `starts` to `targets`, both ends included."""
    ends = {edge[0] for edge in targets}
    oldest = max((node.birth for node in ends), default=0)
    found: dict[Node, bool] = {}
    for start in starts:
        stack = [start[0]]
        while stack:
            node = stack[-1]
            if node not in found:
                found[node] = False  # until its parents are known
                # A node older than every target cannot have been computed from one.
                if node.birth <= oldest:
                    stack.extend(edge[0] for edge in node.edges if edge[0] not in found)
                    continue
            stack.pop()
            found[node] = found[node] or node in ends or any(found.get(edge[0], False) for edge in node.edges)
    return {node for node, reaches in found.items() if reaches}


def sum_to(gradient: Any, shape: Shape) -> Any:
    """Undo broadcasting: sum `gradient` over the dimensions that were stretched from `shape`."""
    extra, raw = gradient.ndim - len(shape), type(gradient) is np.ndarray
    precise = np.float32 if raw and gradient.dtype.char == "e" else None  # half precision stops counting at 2048
    if extra == 1 and shape and raw and gradient.shape[1:] == shape and precise is None:
        return np.add.reduce(gradient)  # a bias beside rows: the usual case, in half the time
    kept = gradient.shape[extra:] if extra >= 0 else ()
    stretched = [extra + dim for dim, (size, own) in enumerate(zip(shape, kept)) if size == 1 and own != 1]
    if len(kept) != len(shape) or any(size not in (1, own) for size, own in zip(shape, kept)):
        raise ValueError(f"a gradient of shape {tuple(gradient.shape)} was not broadcast from {shape}")
    dims = (*range(extra), *stretched)
    total = gradient.sum(dims) if precise is None else gradient.sum(dims, precise).astype(gradient.dtype)
    return total.reshape(shape)


def _does_not_fit(node: Node, position: int, found: Shape, wanted: Shape) -> RuntimeError:
    """What to say of a gradient along an edge that is not the input's, nor broadcast from it."""
    plan: Any = node.plan
    needs = getattr(plan, "needs", (True,) * len(node.edges))
    place = [at for at, need in enumerate(needs) if need][position]
    inputs = getattr(getattr(plan, "op", None), "inputs", ())
    name = repr(inputs[place]) if place < len(inputs) else f"input {place}"
    return RuntimeError(
        f"the rule of {plan.name!r} for {name} gives a gradient of shape {tuple(found)}, and the input has shape "
        f"{tuple(wanted)} (recorded at {node.line}): a rule gives a gradient of the input's shape, or of one that this "
        f"was broadcast to"
    )


def _add(first: Any, second: Any) -> Any:
    """The sum of two gradients, out of place; rows stay rows until they meet a dense gradient."""
    if isinstance(first, Rows):
        if isinstance(second, Rows):
            return first + second
        first, second = second, first
    if isinstance(second, Rows):
        return second.add_to(first.copy()) if not hasattr(first, "_array") else first + second.to_dense()
    return first + second


def as_tensor(gradient: Any) -> Tensor:
    """A raw gradient as a Tensor; NumPy's arithmetic on 0-d arrays gives scalars, which become arrays again."""
    return tensor_module.wrap(np.asarray(gradient) if isinstance(gradient, np.generic) else gradient)


def _holders(box: list[Any]) -> int:
    return sys.getrefcount(box[0])


_probe = np.empty(0)
_ALONE = _holders([_probe])


def own(array: Array) -> Array:
    """`array` itself if nothing else can see its memory, a copy of it otherwise; never a NumPy scalar."""
    if isinstance(array, np.generic):
        return np.asarray(array)
    # Whoever else sees this memory holds a reference to `array`, or to the base of both. Only the caller's frame may.
    if _holders([array]) <= _ALONE + 1 and array.flags.c_contiguous:
        if array.base is None and (not isinstance(array, np.ndarray) or array.flags.writeable):
            return array
        if isinstance(array, np.ndarray) and memory.is_alone(array):
            return array
    return array.copy()


def _check_finite(node: Node, gradients: Any, what: str) -> None:
    for gradient in gradients if isinstance(gradients, (list, tuple)) else [gradients]:
        array = getattr(gradient, "_values", getattr(gradient, "_array", gradient))
        if array is not None and not bool(namespace(array).isfinite(array).all()):
            kind = "NaN" if bool(namespace(array).isnan(array).any()) else "an infinity"
            raise AnomalyError(f"{kind} {what} the gradient of {node.plan.name!r}, recorded at {node.line}")  # type: ignore[union-attr]


# ---- hooks and retained gradients -----------------------------------------------------------------------------------


class RemovableHandle:
    """Takes a hook back: `handle.remove()`."""

    _next = itertools.count().__next__

    def __init__(self, hooks: dict[int, Any]) -> None:
        self._hooks, self.id = hooks, RemovableHandle._next()

    def remove(self) -> None:
        """Take the hook back; a second time does nothing."""
        self._hooks.pop(self.id, None)


def extras_of(node: Node) -> Extras:
    """The node's hooks and retained gradients, made on first use."""
    if node.extras is None:
        node.extras = Extras()
    return node.extras


def add_hook(edge: Edge, hook: Callable[[Any], Any]) -> RemovableHandle:
    """Call `hook` with the gradient along `edge` when it is complete."""
    hooks = extras_of(edge[0]).hooks.setdefault(edge[1], {})
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def move_retained(old: Edge | None, new: Edge | None) -> None:
    """A tensor that retain_grad() was asked of has a new node: what was kept, and the wish, follow it there."""
    extras = None if old is None or old[0].plan is None else old[0].extras
    if old is not None and new is not None and extras is not None and old[1] in extras.retained:
        extras_of(new[0]).retained[new[1]] = extras.retained.pop(old[1])


def _apply_extras(node: Node, index: int, gradient: Any) -> Any:
    """Run the hooks on a complete gradient, and keep it if that was asked."""
    extras = extras_of(node)
    for hook in list(extras.hooks.get(index, {}).values()):
        given = gradient if isinstance(gradient, (tensor_module.Tensor, Rows)) else as_tensor(gradient)
        result = hook(given)
        if result is not None:
            if not isinstance(result, (tensor_module.Tensor, Rows)):
                raise TypeError(f"a hook must return a Tensor or None, this one returned {type(result).__name__}")
            if result.dtype != given.dtype:
                raise RuntimeError(f"a hook returned {result.dtype} for a gradient of {given.dtype}")
            if tuple(result.shape) != node.shapes[index]:
                raise RuntimeError(
                    f"a hook returned shape {tuple(result.shape)} for a gradient of {node.shapes[index]}"
                )
            gradient = (
                result if isinstance(gradient, tensor_module.Tensor) or isinstance(result, Rows) else result._array
            )
    if index in extras.retained:
        before = extras.retained[index]
        recorded = isinstance(gradient, (tensor_module.Tensor, Rows))
        if before is not None:
            kept = _add(before if recorded else before._array, gradient)
        else:
            kept = gradient.clone() if recorded else own(gradient)  # the gradient itself may go to the user as well
        extras.retained[index] = kept if recorded else as_tensor(kept)
    return gradient


# ---- the public ways in ---------------------------------------------------------------------------------------------


def _listed(value: Any) -> list[Any]:
    return [value] if value is None or isinstance(value, tensor_module.Tensor) else list(value)


def _start(tensors: Iterable[Any], gradients: Sequence[Any], create_graph: bool) -> tuple[list[Edge], list[Any]]:
    """The edges backpropagation starts from, and what flows in there."""
    edges, flowing = [], []
    for tensor, gradient in zip(tensors, gradients, strict=True):
        edge = tensor._current_edge()
        if edge is None:
            raise RuntimeError(
                "this tensor needs no gradient, so there is nothing to go back through: set requires_grad=True on an "
                "input, and compute it outside no_grad()"
            )
        if gradient is None:
            if tensor._array.size != 1:
                raise RuntimeError(
                    f"backward starts from a single number, this tensor has shape {tuple(tensor.shape)}: "
                    f"reduce it with .sum() or .mean(), or pass gradient="
                )
            gradient = tensor_module.wrap(namespace(tensor._array).ones_like(tensor._array))
        elif not isinstance(gradient, tensor_module.Tensor):
            raise TypeError(f"gradient must be a Tensor, got {type(gradient).__name__}")
        elif gradient.shape != tensor.shape:
            raise RuntimeError(
                f"gradient has shape {tuple(gradient.shape)}, the tensor {tuple(tensor.shape)}: they must be equal"
            )
        elif gradient.dtype != tensor.dtype:
            gradient = gradient.to(tensor.dtype)
        edges.append(edge)
        flowing.append(gradient if create_graph else gradient._array)
    return edges, flowing


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of `tensors` with respect to the leaves (or only `inputs`) to their `.grad`.

    As `torch.autograd.backward`; see `Tensor.backward` for the arguments.
    """

    tensors = _listed(tensors)
    retain = create_graph if retain_graph is None else retain_graph
    if create_graph:
        warnings.warn(
            "backward(create_graph=True) leaves .grad referring to the graph that refers to it, which only the "
            "garbage collector frees: use minigrad.grad() instead",
            UserWarning,
            stacklevel=3,
        )
    edges, flowing = _start(
        tensors, _listed(grad_tensors) if grad_tensors is not None else [None] * len(tensors), create_graph
    )
    targets = None if inputs is None else [_target(tensor) for tensor in _listed(inputs)]
    for node, index in targets or ():
        if not isinstance(node, Leaf):  # a result among the inputs: its gradient is kept as it passes
            extras_of(node).retained.setdefault(index, None)
    with _Switch(grad=create_graph), quiet():
        captured = run(edges, flowing, targets, retain_graph=retain, create_graph=create_graph)
        for (node, _), gradient in captured.items():
            if gradient is not None and isinstance(node, Leaf):
                as_it_is = create_graph or isinstance(gradient, Rows)
                node.accumulate(gradient if as_it_is else own(gradient), create_graph)


def _target(tensor: Any) -> Edge:
    edge = tensor._current_edge()
    if edge is None:
        raise RuntimeError("one of the inputs does not require grad: set requires_grad=True on it before computing")
    return edge


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of `outputs` with respect to `inputs`, returned; no `.grad` is touched.

    As `torch.autograd.grad`. With `create_graph` the results can be differentiated again, to any order.

    Raises RuntimeError for an input that needs no gradient, and for one the outputs do not depend on unless
    `allow_unused` (None is returned for it) or `materialize_grads` (zeros are).
    """
    outputs, inputs = _listed(outputs), _listed(inputs)
    given = _listed(grad_outputs) if grad_outputs is not None else [None] * len(outputs)
    retain = create_graph if retain_graph is None else retain_graph
    edges, flowing = _start(outputs, given, create_graph)
    targets = [_target(tensor) for tensor in inputs]
    with _Switch(grad=create_graph), quiet():
        captured = run(edges, flowing, targets, retain_graph=retain, create_graph=create_graph)
    results: list[Any] = []
    for position, (edge, tensor) in enumerate(zip(targets, inputs, strict=True)):
        gradient = captured[edge]
        if gradient is None:
            if materialize_grads:
                gradient = tensor_module.wrap(namespace(tensor._array).zeros_like(tensor._array))
            elif not allow_unused:
                raise RuntimeError(
                    f"the outputs do not depend on input {position}: pass allow_unused=True to get None for it, or "
                    f"materialize_grads=True to get zeros"
                )
        elif isinstance(gradient, Rows):
            gradient = gradient.clone() if gradient.keep else gradient.to_dense()
        elif not isinstance(gradient, tensor_module.Tensor):
            gradient = tensor_module.wrap(own(gradient))
        results.append(gradient)
    return tuple(results)


def floating(array: Array) -> bool:
    """Whether an output can carry a gradient at all."""
    return bool(dtypes.is_floating(array.dtype))
