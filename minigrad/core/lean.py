"""The lean way through an op, on which every step counts: ops of one to three tensors and no settings.

Most calls of a program are such. What `call.apply` does for every op is done here where nothing is to be promoted, no
view to be refreshed and no mode to be served; at anything else the call is handed over to `apply`. On 8 x 8 numbers the
product of two tensors takes 1.3 microseconds this way, with its node, and 3.9 the other; a small linear layer takes 4.6
and 6.6.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from minigrad.backend import is_array, namespace
from minigrad.core import engine
from minigrad.core.call import CONSTANT, apply, record, save, watching
from minigrad.core.engine import Node
from minigrad.core.errors import is_inside, user_location
from minigrad.core.modes import mode
from minigrad.core.tensor import Tensor, VersionCounter, wrap

if TYPE_CHECKING:
    from minigrad.core.primitive import Op

_new = object.__new__
_birth = engine._birth
_getframe = sys._getframe
_MISSING = object()
# Something that is no tensor, or a mistake: the general way handles the one and explains the other.
_LEFT_TO_APPLY = (AttributeError, ValueError, TypeError)


def make_function(op: Op) -> Any:
    """The function that users call."""
    lean = not (op.variadic or op.settings or op.several or op.view)
    if lean and op.forward.__module__.startswith("minigrad."):  # an op of the user's may give a view and not say so
        if len(op.inputs) == 1:
            return _of_one(op)
        if len(op.inputs) == 2:
            return _of_two(op)
        if len(op.inputs) == 3 and not op.promote:
            return _of_three(op)
    return _of_any(op)


def _of_any(op: Op) -> Any:
    count, defaults = len(op.inputs), op.settings
    plain = not op.variadic and not op.required

    @functools.wraps(op.forward)
    def function(*args: Any, **given: Any) -> Any:
        if given or len(args) != count or not plain:
            return apply(op, *op.bind(args, given))
        return apply(op, args, defaults)

    return function


def _of_one(op: Op) -> Any:
    forward, plans, floats_only = op.forward, op.lean_plans, op.promote == "float"

    @functools.wraps(forward)
    def function(a: Any = _MISSING, /, *rest: Any, **given: Any) -> Any:
        if rest or given or a is _MISSING:
            return apply(op, *op.bind(_together(rest, a), given))
        recording = mode.lean
        try:
            x = a._array
            if recording is None or a._view is not None or (floats_only and x.dtype.kind not in "fc"):
                return apply(op, (a,), op.settings)
            out = forward(x)
        except _LEFT_TO_APPLY:
            return forward(a) if is_array(a) else apply(op, (a,), op.settings)
        if type(out) is not type(x):
            out = namespace(x).asarray(out)
        tensor = _new(Tensor)
        tensor._array = out
        tensor._view = tensor._leaf = None
        tensor._counter = own = VersionCounter()
        edge, plan = a._edge, plans[1]
        if edge is None or plan is None or not recording:
            tensor._edge = None
            return tensor
        node = _new(Node)
        node.plan, node.edges, node.shapes, node.extras = plan, (edge,), (out.shape,), None
        keep = plan.keep
        if keep is None:
            node.saved = node.versions = ()
        else:
            counter = a._counter
            node.saved, node.versions = keep(out, x, None, own, counter, CONSTANT)
        frame = _getframe(1)
        code = frame.f_code
        node.location = (code, frame.f_lasti) if is_inside.get(code.co_filename) is False else user_location(1)
        node.birth = _birth()
        tensor._edge = (node, 0)
        return tensor

    return function


def _of_two(op: Op) -> Any:
    forward, plans, numbers, floats_only = op.forward, op.lean_plans, op.numbers, op.promote == "float"

    @functools.wraps(forward)
    def function(a: Any = _MISSING, b: Any = _MISSING, /, *rest: Any, **given: Any) -> Any:
        if rest or given or b is _MISSING:
            return apply(op, *op.bind(_together(rest, a, b), given))
        recording = mode.lean
        try:
            x, kind = a._array, type(b)
            if kind is float or kind is int:
                y, second, other = b, None, CONSTANT
                if not numbers or recording is None or a._view is not None or x.dtype.kind != "f":
                    return apply(op, (a, b), op.settings)
            else:
                y, second, other = b._array, b._edge, b._counter
                if (
                    recording is None
                    or x.dtype is not y.dtype
                    or type(x) is not type(y)
                    or a._view is not None
                    or b._view is not None
                    or (floats_only and x.dtype.kind not in "fc")
                ):
                    return apply(op, (a, b), op.settings)
            out = forward(x, y)
        except _LEFT_TO_APPLY:
            if is_array(a) and is_array(b):  # a rule on its way back
                return forward(a, b)
            return apply(op, (a, b), op.settings)
        if type(out) is not type(x):
            out = namespace(x).asarray(out)
        tensor = _new(Tensor)
        tensor._array = out
        tensor._view = tensor._leaf = None
        tensor._counter = own = VersionCounter()
        first: Any = a._edge
        edges: tuple[engine.Edge, ...]
        if first is None:
            plan, edges = (None, ()) if second is None else (plans[2], (second,))
        elif second is None:
            plan, edges = plans[1], (first,)
        else:
            plan, edges = plans[3], (first, second)
        if plan is None or not recording:
            tensor._edge = None
            return tensor
        node = _new(Node)
        node.plan, node.edges, node.shapes, node.extras = plan, edges, (out.shape,), None
        keep = plan.keep
        if keep is None:
            node.saved = node.versions = ()
        else:
            node.saved, node.versions = keep(out, x, y, own, a._counter, other)
        frame = _getframe(1)
        code = frame.f_code
        node.location = (code, frame.f_lasti) if is_inside.get(code.co_filename) is False else user_location(1)
        node.birth = _birth()
        tensor._edge = (node, 0)
        return tensor

    return function


def _of_three(op: Op) -> Any:
    """For a linear layer, and choices: three tensors, whose dtypes the op looks at itself. There are few such ops, and
    their arrays cost more than the calls that `_of_two` spares."""
    forward, settings = op.forward, op.settings

    @functools.wraps(forward)
    def function(a: Any = _MISSING, b: Any = _MISSING, c: Any = _MISSING, /, *rest: Any, **given: Any) -> Any:
        if rest or given or c is _MISSING:
            return apply(op, *op.bind(_together(rest, a, b, c), given))
        recording = mode.lean
        try:
            x, y, z = a._array, b._array, c._array
            views = a._view is not None or b._view is not None or c._view is not None
            if recording is None or views or type(x) is not type(y) or type(x) is not type(z):
                return apply(op, (a, b, c), settings)
            out = forward(x, y, z)
        except _LEFT_TO_APPLY:
            if is_array(a) and is_array(b) and is_array(c):  # a rule on its way back
                return forward(a, b, c)
            return apply(op, (a, b, c), settings)
        if type(out) is not type(x):
            out = namespace(x).asarray(out)
        tensor = wrap(out)
        first, second, third = a._edge, b._edge, c._edge
        edges = tuple([edge for edge in (first, second, third) if edge is not None])
        if edges and recording:
            plan = op.plan((first is not None, second is not None, third is not None))
            watched = watching(plan, (a._counter, b._counter, c._counter), (tensor,))
            node = record(plan, edges, save(plan, (out,), (x, y, z), settings), watched, (out.shape,))
            tensor._edge = (node, 0)
        return tensor

    return function


def _together(rest: tuple[Any, ...], *first: Any) -> tuple[Any, ...]:
    """The arguments as they were given by position."""
    return (*[one for one in first if one is not _MISSING], *rest)
