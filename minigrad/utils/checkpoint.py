"""Memory for time: keep what goes into a function, not what it computes, and run it again in backward.

A deep network or a long sequence saves something at every op until backward has used it. `checkpoint(f, x)` gives the
value of `f(x)` as one node, which has saved `x` alone.

The node's edges are all the places where the graph of `f` begins: its arguments, and whatever else it used that needs a
gradient, such as the parameters of a module. In backward `f` runs again, and its graph is made to begin at aliases of
these places, nodes that lead there and at which the first derivative stops. So a path from one of them to another
outside of `f` is not counted twice, and gradients of gradients come out right, as they do for `minigrad.fused`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigrad.core import engine
from minigrad.core.call import record
from minigrad.core.engine import Edge, Node
from minigrad.core.fused import alias
from minigrad.core.modes import enable_grad, is_grad_enabled
from minigrad.core.tensor import Tensor, wrap
from minigrad.random import default_generator


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, which runs again in backward instead of saving what its gradients need.

    Args:
        function: gives a Tensor or a tuple. Run twice it must do the same; it may use tensors that are not among its
            arguments, such as parameters.
        use_reentrant: PyTorch's choice between its two ways; taken and left alone, as there is one here.
        preserve_rng_state: draw the same random numbers (dropout) the second time.

    Raises RuntimeError in backward if the function then does something else than before, or if an argument was written
    in between.
    """
    if not is_grad_enabled():
        return function(*args, **kwargs)
    watched: list[Tensor] = []
    call = (function, _held(args, watched), _held(kwargs, watched))
    random_state = default_generator.get_state() if preserve_rng_state else None
    start = engine._birth()
    results = function(*args, **kwargs)
    outs = results if isinstance(results, tuple) else (results,)
    recorded = _recorded(outs)
    edges = _outer_edges([out._edge for out in recorded], start)
    if not edges:
        return results
    counters: Any = tuple([tensor._counter for tensor in watched])
    shapes = tuple([out._array.shape for out in recorded])
    node = record(_Plan(len(recorded)), edges, (call, random_state), counters, shapes)
    places = {id(out): place for place, out in enumerate(recorded)}
    ours = tuple([_at(out, (node, places[id(out)])) if id(out) in places else out for out in outs])
    return ours if isinstance(results, tuple) else ours[0]


class _Plan:
    """Backward through a checkpoint: run the function again, then go back through the graph which that made."""

    name = "checkpoint"

    def __init__(self, outputs: int) -> None:
        self.outputs = outputs

    def saved_name(self, position: int) -> str:
        """Which of the watched tensors this is, for an error message."""
        return f"tensor {position} among the arguments"

    def backward(self, node: Node, g: Any, create_graph: bool) -> Sequence[Any]:
        """The gradients along the node's edges."""
        (function, args, kwargs), random_state = engine.unpack(node)
        aliases = {edge: _alias(edge) for edge in node.edges}  # older than anything the second run records
        start = engine._birth()
        with enable_grad():
            results = _run_again(function, args, kwargs, random_state)
        ends = [out._edge for out in _recorded(results if isinstance(results, tuple) else (results,))]
        if len(ends) != self.outputs or not aliases.keys() >= set(_outer_edges(ends, start)):
            raise RuntimeError(
                f"checkpoint: run again in backward, the function gave other results, or used other tensors, than the "
                f"first time (recorded at {node.line}): it must do the same every time"
            )
        for inner in _inner_nodes(ends, start):
            inner.edges = tuple([aliases.get(edge, edge) for edge in inner.edges])
        flowing = g if self.outputs > 1 else [g]
        used = [(aliases.get(end, end), one) for end, one in zip(ends, flowing, strict=True) if one is not None]
        captured = engine.run(
            [end for end, _ in used],
            [one for _, one in used],
            list(aliases.values()),
            retain_graph=create_graph,
            create_graph=create_graph,
        )
        return [captured[aliases[edge]] for edge in node.edges]


def _run_again(function: Callable[..., Any], args: Any, kwargs: Any, random_state: Any) -> Any:
    if random_state is None:
        return function(*args, **kwargs)
    state_now = default_generator.get_state()
    default_generator.set_state(random_state)
    try:
        return function(*args, **kwargs)
    finally:
        default_generator.set_state(state_now)


def _held(value: Any, watched: list[Tensor]) -> Any:
    """`value` with its tensors as they are now: the user's may move to another place in the graph."""
    if isinstance(value, Tensor):
        watched.append(value)
        return _at(value, value._current_edge())
    if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
        return type(value)([_held(one, watched) for one in value])
    return {name: _held(one, watched) for name, one in value.items()} if type(value) is dict else value


def _at(tensor: Tensor, edge: Edge | None) -> Tensor:
    """The same memory, watched by the same counter, at another place in the graph."""
    result = wrap(tensor._array)
    result._edge, result._counter = edge, tensor._counter
    return result


def _recorded(outs: Sequence[Any]) -> list[Any]:
    return [out for out in outs if isinstance(out, Tensor) and out._current_edge() is not None]


def _alias(edge: Edge) -> Edge:
    shape = edge[0].shapes[edge[1]]
    return record(alias.op.plan((True,)), (edge,), (), (), (shape,), edge[0].location), 0


# A node has the smaller number the later it was made: what a run has recorded lies below the number taken before it.


def _inner_nodes(ends: Sequence[Edge], start: int) -> list[Node]:
    """The nodes recorded since `start` that lead to `ends`."""
    found = {end[0] for end in ends if end[0].birth < start}
    waiting = list(found)
    while waiting:
        for parent, _ in waiting.pop().edges:
            if parent.birth < start and parent not in found:
                found.add(parent)
                waiting.append(parent)
    return list(found)


def _outer_edges(ends: Sequence[Edge], start: int) -> tuple[Edge, ...]:
    """The edges by which the graph recorded since `start` is reached from outside; each once."""
    edges = [edge for node in _inner_nodes(ends, start) for edge in node.edges]
    return tuple(dict.fromkeys(edge for edge in [*ends, *edges] if edge[0].birth > start))
