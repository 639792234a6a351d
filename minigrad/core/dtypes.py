"""Element types and PyTorch's promotion table.

A dtype is NumPy's: `minigrad.float32 == numpy.dtype("float32")`. What differs from NumPy is which dtype a mix gives,
and that Python numbers and lists make float32: see `result_type`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

DType = np.dtype[Any]

bool = np.dtype("bool")
uint8 = np.dtype("uint8")
int8 = np.dtype("int8")
int16 = np.dtype("int16")
int32 = np.dtype("int32")
int64 = np.dtype("int64")
float16 = np.dtype("float16")
float32 = np.dtype("float32")
float64 = np.dtype("float64")
complex64 = np.dtype("complex64")
complex128 = np.dtype("complex128")

_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
_NUMBER: dict[type, DType] = {int: int64, float: float32, complex: complex64}
_default = float32


def get_default_dtype() -> DType:
    """The dtype of tensors made from Python floats: float32 unless `set_default_dtype` changed it."""
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Make Python floats give `dtype` (float32 or float64; TypeError otherwise)."""
    global _default
    wanted = np.dtype(dtype)
    if wanted not in (float32, float64):
        raise TypeError(f"set_default_dtype takes float32 or float64, got {wanted}")
    _default = wanted
    _NUMBER[float] = wanted
    _combine.cache_clear()


def is_floating(dtype: DType) -> Any:
    """Whether gradients exist for this dtype: real or complex floating point."""
    return dtype.kind in "fc"


def number_dtype(number: Any) -> DType:
    """The dtype of a tensor made of one Python number."""
    return np.dtype("bool") if number is True or number is False else _NUMBER[type(number)]


def result_type(*operands: Any) -> DType:
    """The dtype PyTorch computes a mix of tensors, arrays and Python numbers in.

    Categories go bool < integer < floating < complex. Tensors with dimensions decide within their category; a 0-d
    tensor, then a Python number, only matters when its category is higher. So int64 with float32 gives float32, and
    float32 with a 0-d float64 gives float32.
    """
    tensors, scalars, numbers = [], [], []
    for operand in operands:
        if isinstance(operand, (int, float, complex)):
            numbers.append(number_dtype(operand))
        elif operand.ndim:
            tensors.append(operand.dtype)
        else:
            scalars.append(operand.dtype)
    return _combine(tuple(tensors), tuple(scalars), tuple(numbers))


def in_range(value: Any, dtype: DType) -> Any:
    """A Python int as an integer dtype holds it, which counts modulo its range: 300 is 44 in uint8.

    Anything else as it is; OverflowError for an int beyond 64 bits.
    """
    if type(value) is not int or dtype.kind not in "iu":
        return value
    if not -(1 << 63) <= value < 1 << 64:
        raise OverflowError(f"{value} has more than 64 bits, which no integer dtype holds")
    low, count = int(np.iinfo(dtype).min), 1 << (8 * dtype.itemsize)
    return (value - low) % count + low


def promote_types(first: Any, second: Any) -> DType:
    """The dtype two tensors of these dtypes combine to, as `torch.promote_types`."""
    a, b = np.dtype(first), np.dtype(second)
    if _CATEGORY[a.kind] == _CATEGORY[b.kind] or a.kind == "c" or b.kind == "c":
        return np.promote_types(a, b) if _CATEGORY[a.kind] == _CATEGORY[b.kind] else _complex_of(a, b)
    return a if _CATEGORY[a.kind] > _CATEGORY[b.kind] else b


def _complex_of(a: DType, b: DType) -> DType:
    complex_one, other = (a, b) if a.kind == "c" else (b, a)
    return np.promote_types(complex_one, complex64 if other.kind in "bui" else other)


@cache
def _combine(tensors: tuple[DType, ...], scalars: tuple[DType, ...], numbers: tuple[DType, ...]) -> DType:
    result: DType | None = None
    for group in (tensors, scalars, numbers):  # from the group that decides to the one that decides least
        if not group:
            continue
        lower = group[0]
        for dtype in group[1:]:
            lower = promote_types(lower, dtype)
        if result is None:
            result = lower
        elif lower.kind == "c" and result.kind == "f":
            result = _complex_of(np.result_type(result, complex64), result)
        elif _CATEGORY[lower.kind] > _CATEGORY[result.kind]:
            result = promote_types(result, lower)
    assert result is not None
    return result
