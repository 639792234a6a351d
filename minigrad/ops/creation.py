"""Tensors from nothing: filled with a number, counted up, or made of an array.

Every function takes `dtype` (float32 unless told otherwise), `device` and `requires_grad`. Sizes are given one by one
or as one tuple: `zeros(2, 3)` is `zeros((2, 3))`. The random ones are in `drawing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backend
from minigrad.backend import Array, DeviceLike
from minigrad.core import dtypes
from minigrad.core.tensor import Tensor, tensor, wrap
from minigrad.ops.method import function, method


def sizes_of(size: Sequence[Any], name: str) -> tuple[int, ...]:
    """Sizes given one by one or as one sequence. TypeError for what is no whole number, RuntimeError below 0."""
    if len(size) == 1 and not isinstance(size[0], (int, Tensor)):
        size = size[0]
    try:
        sizes = tuple([one.__index__() for one in size])
    except (AttributeError, TypeError):
        raise TypeError(f"{name}: the sizes must be whole numbers, got {size!r}") from None
    if min(sizes, default=0) < 0:
        raise RuntimeError(f"{name}: a size cannot be negative, got {sizes}")
    return sizes


def dtype_or_default(dtype: Any) -> Any:
    """What the user asked for, or the default floating point dtype."""
    return dtypes.get_default_dtype() if dtype is None else np.dtype(dtype)


def finished(array: Array, requires_grad: bool) -> Tensor:
    """A new leaf around an array of its own."""
    result = wrap(array)
    return result.requires_grad_() if requires_grad else result


def _built(make: str, device: DeviceLike, *args: Any, **settings: Any) -> Array:
    """Call a creating function of the device's array library."""
    with backend.on(device):
        return getattr(backend.backend_for(device).namespace, make)(*args, **settings)


# ---- one number everywhere ------------------------------------------------------------------------------------------


@function()
def zeros(*size: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros."""
    return finished(_built("zeros", device, sizes_of(size, "zeros"), dtype_or_default(dtype)), requires_grad)


@function()
def ones(*size: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return finished(_built("ones", device, sizes_of(size, "ones"), dtype_or_default(dtype)), requires_grad)


@function()
def empty(*size: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """A tensor of whatever its memory holds, to be written before it is read."""
    return finished(_built("empty", device, sizes_of(size, "empty"), dtype_or_default(dtype)), requires_grad)


@function()
def full(
    size: Any, fill_value: Any, *, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of one number, whose kind decides the dtype: bool, int64, or the default floating point dtype."""
    number = fill_value.item() if isinstance(fill_value, (Tensor, np.ndarray, np.generic)) else fill_value
    wanted = dtypes.number_dtype(number) if dtype is None else np.dtype(dtype)
    return finished(_built("full", device, sizes_of((size,), "full"), number, wanted), requires_grad)


@function()
def eye(
    n: int, m: int | None = None, *, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A matrix of n rows and m columns (n by default) with ones on the diagonal and zeros elsewhere."""
    rows, columns = sizes_of((n, n if m is None else m), "eye")
    return finished(_built("eye", device, rows, columns, dtype=dtype_or_default(dtype)), requires_grad)


# ---- like another tensor --------------------------------------------------------------------------------------------


@function()
def zeros_like(input: Tensor, *, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the input's shape, dtype and device."""
    return zeros(input.shape, **like(input, dtype, device), requires_grad=requires_grad)


@function()
def ones_like(input: Tensor, *, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Ones in the input's shape, dtype and device."""
    return ones(input.shape, **like(input, dtype, device), requires_grad=requires_grad)


@function()
def empty_like(input: Tensor, *, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """A tensor of the input's shape, dtype and device, to be written before it is read."""
    return empty(input.shape, **like(input, dtype, device), requires_grad=requires_grad)


@function()
def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """One number in the input's shape, dtype and device."""
    return full(input.shape, fill_value, **like(input, dtype, device), requires_grad=requires_grad)


def like(input: Tensor, dtype: Any, device: DeviceLike) -> dict[str, Any]:
    """The dtype and device asked for, or else the input's."""
    return {"dtype": input.dtype if dtype is None else dtype, "device": input.device if device is None else device}


@method(only=True)
def new_zeros(
    input: Tensor, *size: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Zeros of another size in the tensor's dtype, on its device."""
    return zeros(*size, **like(input, dtype, device), requires_grad=requires_grad)


@method(only=True)
def new_ones(
    input: Tensor, *size: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Ones of another size in the tensor's dtype, on its device."""
    return ones(*size, **like(input, dtype, device), requires_grad=requires_grad)


@method(only=True)
def new_empty(
    input: Tensor, *size: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of another size in the tensor's dtype, on its device, to be written before it is read."""
    return empty(*size, **like(input, dtype, device), requires_grad=requires_grad)


@method(only=True)
def new_full(
    input: Tensor,
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """One number in another size, in the tensor's dtype, on its device."""
    return full(size, fill_value, **like(input, dtype, device), requires_grad=requires_grad)


@method(only=True)
def new_tensor(
    input: Tensor, data: Any, *, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A tensor with a copy of `data` in this tensor's dtype, on its device."""
    return tensor(data, **like(input, dtype, device), requires_grad=requires_grad)


@method(only=True)
def new(input: Tensor, *data: Any) -> Tensor:
    """A tensor of this one's dtype and device: of the given sizes, or with a copy of the given data."""
    if len(data) == 1 and not isinstance(data[0], int):
        return new_tensor(input, data[0])
    return new_zeros(input, data)


# ---- counting -------------------------------------------------------------------------------------------------------


@function()
def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, … up to but without `end`; `arange(end)` starts at 0. Whole numbers give int64."""
    first, last = (0, start) if end is None else (start, end)
    first, last, by = [one.item() if isinstance(one, (Tensor, np.generic)) else one for one in (first, last, step)]
    if by == 0 or (last - first) * by < 0:
        raise RuntimeError(f"arange: steps of {by} do not lead from {first} to {last}")
    whole = all(isinstance(one, int) for one in (first, last, by))
    wanted = np.dtype(dtype) if dtype is not None else dtypes.int64 if whole else dtypes.get_default_dtype()
    # Counted in float64: in float32 the last value could reach the end.
    values = _built("arange", device, first, last, by, dtype=dtypes.int64 if whole else dtypes.float64)
    return finished(values.astype(wanted, copy=False), requires_grad)


@function()
def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """`steps` numbers at equal distances, from `start` up to and with `end`."""
    if steps < 0:
        raise RuntimeError(f"linspace: the number of steps cannot be negative, got {steps}")
    values = _built("linspace", device, float(start), float(end), steps, dtype=dtypes.float64)
    return finished(values.astype(dtype_or_default(dtype), copy=False), requires_grad)


# ---- of an array ----------------------------------------------------------------------------------------------------


@function()
def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A tensor on the array's memory: what is written to one is seen in the other."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy takes a numpy.ndarray, got {type(ndarray).__name__}: use tensor()")
    if ndarray.dtype.kind not in "biufc":
        raise TypeError(f"from_numpy takes an array of numbers, got {ndarray.dtype}")
    return wrap(ndarray)


@function("asarray")
def as_tensor(data: Any, dtype: Any = None, device: DeviceLike = None) -> Tensor:
    """`data` as a tensor, without a copy where a tensor or array has the dtype and device that are asked for."""
    if not isinstance(data, Tensor):
        if not backend.is_array(data):
            return tensor(data, dtype=dtype, device=device)
        data = wrap(data)
    return data.to(dtype=dtype, device=device)


# ---- PyTorch's old constructors -------------------------------------------------------------------------------------


def _constructor(name: str, dtype: Any) -> None:
    def construct(*data: Any) -> Tensor:
        if len(data) == 1 and not isinstance(data[0], int):
            return tensor(data[0], dtype=dtype)
        return zeros(data, dtype=dtype)

    construct.__name__ = construct.__qualname__ = name
    construct.__doc__ = f"A {dtype} tensor: `{name}([1, 0])` of data, `{name}(2, 3)` of zeros in that size."
    function()(construct)


for _name, _dtype in {
    "FloatTensor": dtypes.float32, "DoubleTensor": dtypes.float64, "HalfTensor": dtypes.float16,
    "LongTensor": dtypes.int64, "IntTensor": dtypes.int32, "ShortTensor": dtypes.int16, "CharTensor": dtypes.int8,
    "ByteTensor": dtypes.uint8, "BoolTensor": dtypes.bool,
}.items():  # fmt: skip
    _constructor(_name, _dtype)
