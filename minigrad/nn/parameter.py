"""Parameter: a tensor that a module registers when it is assigned to one of its attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigrad.backend import DeviceLike, backend_for, on
from minigrad.core.dtypes import get_default_dtype
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor, wrap
from minigrad.core.views import count_write


class Parameter(Tensor):
    """A tensor to be learned. It shares the memory of `data`, is a leaf, and asks for gradients unless told not to.

    Raises TypeError for data that is no Tensor, RuntimeError for integers (a gradient needs real numbers).
    """

    # No __slots__: a parameter, unlike other tensors, may be given attributes of the user's own.

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        data = Tensor([]) if data is None else data
        if not isinstance(data, Tensor):
            raise TypeError(
                f"a Parameter is made of a Tensor, got {type(data).__name__}: make one with minigrad.tensor()"
            )
        parameter = wrap(data._array, cls)
        parameter._counter = data._counter  # the same memory, so the same count of writes
        if requires_grad:
            parameter.requires_grad_()
        return parameter  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


def held_gradient(tensor: Tensor) -> Any:
    """`tensor.grad`, but for a table few rows of which were looked up: of that just the rows, while nobody has asked
    for more. Other rows' gradient is zero; to change what comes back is to change `.grad`."""
    held = None if tensor._leaf is None else tensor._leaf.held
    return held if isinstance(held, Rows) else tensor.grad


def clear_gradients(leaves: Iterable[Tensor], set_to_none: bool) -> None:
    """Forget the gradients of the leaves, or fill them with zeros in place; a sparse one is forgotten either way."""
    for tensor in leaves:
        leaf = tensor._leaf
        if leaf is None or leaf.held is None:
            continue
        if set_to_none or isinstance(leaf.grad, Rows):
            leaf.held = None
        else:
            leaf.grad.detach_()  # a gradient made under create_graph has a graph of its own
            leaf.grad._array[...] = 0
            count_write(leaf.grad)


def empty_parameter(*shape: int, device: DeviceLike = None, dtype: Any = None) -> Parameter:
    """A parameter whose values are still to be drawn."""
    with on(device):
        array = backend_for(device).namespace.empty(shape, dtype=get_default_dtype() if dtype is None else dtype)
    return Parameter(wrap(array))
