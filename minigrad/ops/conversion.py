"""The same values in another dtype, on another device, or in memory of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backend
from minigrad.backend import Array, Device, DeviceLike
from minigrad.core import dtypes
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor
from minigrad.ops.method import method


@primitive
def cast(input: Array, *, dtype: Any, source: Any) -> Array:
    """The values as `dtype`; `source` is the dtype they have, which the gradient returns to."""
    return input.astype(dtype)


cast.vjp(input=lambda g, source, dtype: cast(g, dtype=source, source=dtype))


@primitive
def move(input: Array, *, device: Device, source: Device) -> Array:
    """The values on `device`; `source` is where they are, and where the gradient goes back to."""
    return backend.transfer(input, device)


move.vjp(input=lambda g, source, device: move(g, device=source, source=device))


@method()
@primitive
def clone(input: Array) -> Array:
    """A copy in memory of its own, in the graph."""
    return input.copy()


clone.vjp(input=lambda g: g)


@method(only=True)
def to(
    input: Tensor,
    *wanted: Any,
    dtype: Any = None,
    device: DeviceLike = None,
    copy: bool = False,
    non_blocking: bool = False,
) -> Tensor:
    """The tensor with another dtype, on another device, or both; itself where nothing changes.

    `x.to(minigrad.float64)`, `x.to("cuda")`, `x.to(other_tensor)`, `x.to("cuda", minigrad.float16)`.
    """
    for one in wanted:
        if isinstance(one, Tensor):
            dtype, device = one.dtype, one.device
        elif isinstance(one, (np.dtype, type)):
            dtype = one
        elif isinstance(one, bool):
            copy = one or copy
        elif one is not None:
            device = one
    result = input
    if dtype is not None and np.dtype(dtype) != input.dtype:
        result = cast(result, dtype=np.dtype(dtype), source=input.dtype)
    if device is not None:
        target = backend.device(device)
        here = input.device
        if target.type != here.type or target.index not in (None, here.index):
            result = move(result, device=target, source=here)
    return clone(result) if copy and result is input else result


# PyTorch's names for the types, as in `LongTensor` and `x.long()`.
_BY_NAME = {
    "Float": dtypes.float32,
    "Double": dtypes.float64,
    "Half": dtypes.float16,
    "Long": dtypes.int64,
    "Int": dtypes.int32,
    "Short": dtypes.int16,
    "Char": dtypes.int8,
    "Byte": dtypes.uint8,
    "Bool": dtypes.bool,
}


def _converter(name: str, dtype: Any) -> None:
    def convert(input: Tensor) -> Tensor:
        return to(input, dtype)

    convert.__name__ = name
    convert.__doc__ = f"The values as {dtype}."
    method(only=True)(convert)


for _name in ("float", "double", "half", "long", "int", "short", "char", "byte", "bool"):
    _converter(_name, _BY_NAME[_name.capitalize()])


@method(called="type", only=True)
def as_type(input: Tensor, dtype: Any = None) -> Any:
    """The tensor as `dtype` (a dtype, or a name such as "minigrad.FloatTensor"); without one, that name."""
    if dtype is None:
        short = next(name for name, known in _BY_NAME.items() if known == input.dtype)
        return f"minigrad.{'cuda.' if input.is_cuda else ''}{short}Tensor"
    if isinstance(dtype, str):
        short = dtype.rpartition(".")[2].removesuffix("Tensor")
        dtype = _BY_NAME.get(short, dtype)
    return to(input, np.dtype(dtype))


@method(only=True)
def type_as(input: Tensor, other: Tensor) -> Tensor:
    """The tensor with the other's dtype, on its device."""
    return to(input, other)


@method(only=True)
def cpu(input: Tensor) -> Tensor:
    """The tensor in the host's memory."""
    return to(input, device="cpu")


@method(only=True)
def cuda(input: Tensor, device: DeviceLike = None, non_blocking: bool = False) -> Tensor:
    """The tensor on a CUDA device: the current one, or that of the given number."""
    return to(input, device="cuda" if device is None else device)


@method(only=True)
def contiguous(input: Tensor) -> Tensor:
    """The tensor in row-major order without gaps: itself if it is so already."""
    return input if input.is_contiguous() else clone_contiguous(input)


@primitive
def clone_contiguous(input: Array) -> Array:
    """A copy in row-major order."""
    return backend.namespace(input).ascontiguousarray(input).reshape(input.shape)  # it makes 1-d of 0-d


clone_contiguous.vjp(input=lambda g: g)
