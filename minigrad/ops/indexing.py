"""Some of the elements, and writing to some: `x[i]` and `x[i] = y` in every form NumPy has, gather, scatter.

An index of ints, slices, None and `...` gives a view. An index with a list, an array or a tensor in it gives a copy;
where such an index also has ints, the result has the shape that NumPy gives it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backend
from minigrad.backend import Array, namespace
from minigrad.core import dtypes
from minigrad.core.inplace import check_writable, in_place, write
from minigrad.core.modes import mode
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor, wrap
from minigrad.ops import shape
from minigrad.ops.comparison import replace_where
from minigrad.ops.method import method

# ---- x[i] -----------------------------------------------------------------------------------------------------------


@primitive(view=True)
def basic_index(input: Array, *, index: tuple[Any, ...]) -> Array:
    """The view that ints, slices, None and `...` select."""
    return input[index]


basic_index.vjp(input=lambda g, input_shape, index: basic_scatter(g, shape=input_shape, index=index))


@primitive
def basic_scatter(src: Array, *, shape: tuple[int, ...], index: tuple[Any, ...]) -> Array:
    """Zeros of `shape` with `src` where the index selects."""
    result = namespace(src).zeros(shape, src.dtype)
    result[index] = src
    return result


basic_scatter.vjp(src=lambda g, index: g[index])


@primitive
def array_index(input: Array, *, index: tuple[Any, ...]) -> Array:
    """A copy of the elements that arrays of places, or masks, select."""
    return input[index]


array_index.vjp(input=lambda g, input_shape, index: index_sum(g, shape=input_shape, index=index))


@primitive
def index_sum(src: Array, *, shape: tuple[int, ...], index: tuple[Any, ...]) -> Array:
    """Zeros of `shape` with each element of `src` added where the index puts it, also where it puts several."""
    xp = namespace(src)
    result = xp.zeros(shape, src.dtype)
    if any(backend.is_array(part) and part.dtype.kind != "b" for part in index):
        xp.add.at(result, index, src)
    else:
        result[index] = src  # a mask selects no place twice
    return result


index_sum.vjp(src=lambda g, index: array_index(g, index=index))


def _normal(index: Any, tensor: Tensor) -> tuple[tuple[Any, ...], bool]:
    """An index as a tuple that the array library takes, and whether it has arrays in it (and so copies)."""
    parts = index if isinstance(index, tuple) else (index,)
    # One place, given as a 0-d tensor, is an int: it selects a view, as in PyTorch.
    parts = tuple([int(part) if _is_place(part) else part for part in parts])
    result: list[Any] = []
    arrays = False
    dim = 0  # of the tensor, for the range check
    for part in parts:
        if part is None or isinstance(part, slice):
            result.append(_plain_slice(part) if part is not None else None)
            dim += part is not None
        elif part is Ellipsis:
            result.append(part)
            dim = tensor.ndim - sum(map(_width, parts[_ellipsis(parts) + 1 :]))
        elif isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool)):
            place = int(part)
            if dim < tensor.ndim and not -tensor.shape[dim] <= place < tensor.shape[dim]:
                raise IndexError(
                    f"index {place} is out of range for dimension {dim} of size {tensor.shape[dim]} "
                    f"(the tensor has shape {tuple(tensor.shape)})"
                )
            result.append(place)
            dim += 1
        else:
            array = _index_array(part, tensor, dim)
            arrays = True
            result.append(array)
            dim += array.ndim if array.dtype.kind == "b" else 1
    if dim > tensor.ndim:
        raise IndexError(f"too many indices: {dim} for a tensor of {tensor.ndim} dimensions")
    if not arrays and not any(part is Ellipsis for part in result):
        result.append(Ellipsis)  # so that NumPy gives a 0-d view where it would give a number
    return tuple(result), arrays


def _is_place(part: Any) -> bool:
    return isinstance(part, Tensor) and not part.ndim and part.dtype.kind in "iu"


def _ellipsis(parts: tuple[Any, ...]) -> int:
    """The position of the one `...`."""
    positions = [position for position, part in enumerate(parts) if part is Ellipsis]
    if len(positions) > 1:
        raise IndexError("an index can have only one ellipsis ('...')")
    return positions[0]


def _width(part: Any) -> int:
    """How many dimensions of the tensor one part of an index takes."""
    if part is None or isinstance(part, bool):
        return 0
    kind = getattr(part, "dtype", None)
    return part.ndim if kind is not None and kind.kind == "b" else 1


def _plain_slice(part: slice) -> slice:
    def plain(bound: Any) -> Any:
        return bound if bound is None or isinstance(bound, int) else int(bound)

    return slice(plain(part.start), plain(part.stop), plain(part.step))


def _index_array(part: Any, tensor: Tensor, dim: int) -> Array:
    """A list, array or tensor of places or a mask, on the tensor's device; a copy of its own, checked on the host."""
    array = part._array if isinstance(part, Tensor) else part
    if isinstance(array, range):
        array = list(array)
    if not backend.is_array(array):
        array = np.asarray(array)
        if array.size == 0:
            array = array.astype(np.int64)
    if array.dtype == np.uint8 and isinstance(part, Tensor):
        array = array != 0
    if array.dtype.kind not in "iub":
        raise IndexError(f"an index must be of integers or a mask of bools, got {array.dtype}")
    if array.dtype.kind == "b":
        covered = tuple(tensor.shape[dim : dim + array.ndim])
        if tuple(array.shape) != covered:
            raise IndexError(
                f"a mask of shape {tuple(array.shape)} does not fit dimensions {dim} to {dim + array.ndim - 1} of a "
                f"tensor of shape {tuple(tensor.shape)}"
            )
    elif isinstance(array, np.ndarray) and array.size and dim < tensor.ndim:
        size = tensor.shape[dim]
        wrong = (array < -size) | (array >= size)
        if wrong.any():
            raise IndexError(f"index {array[wrong].flat[0]} is out of range for dimension {dim} of size {size}")
    if mode.grad and tensor.requires_grad and array is getattr(part, "_array", part):
        array = array.copy()  # what the graph keeps must not change with the caller's
    return backend.transfer(array, tensor.device)


@method("__getitem__", called="__getitem__")
def getitem(input: Tensor, index: Any) -> Tensor:
    """`input[index]`: a view for ints, slices, None and `...`; a copy once a list, array or tensor is in the index."""
    parts, arrays = _normal(index, input)
    return array_index(input, index=parts) if arrays else basic_index(input, index=parts)


@method("__setitem__", called="__setitem__")
def setitem(input: Tensor, index: Any, value: Any) -> None:
    """`input[index] = value`, with the value broadcast to the places."""
    parts, arrays = _normal(index, input)
    source = value if isinstance(value, Tensor) else wrap(value_array(value, input))
    if arrays:
        in_place(input, index_put, _Index(parts), source)
        return
    region = basic_index(input, index=parts)
    if region._view is None:  # an empty region has no memory to share
        _fit(source, region.shape)
        return
    check_writable(region, "x[index] = value")
    write(region, _fit(source.to(input.dtype), region.shape), "x[index] = value")


class _Index(tuple[Any, ...]):
    """An index that is ready for the array library."""


def value_array(value: Any, like: Tensor) -> Array:
    if backend.is_array(value):
        return backend.transfer(value, like.device)
    xp = namespace(like._array)
    return xp.asarray(np.asarray(value)).astype(like.dtype)


def _fit(value: Tensor, wanted: tuple[int, ...]) -> Tensor:
    """The value stretched to a region, surplus leading dimensions of size 1 left out."""
    while value.ndim > len(wanted) and value.shape[0] == 1:
        value = shape.squeeze(value, 0)
    if tuple(value.shape) == tuple(wanted):
        return value
    try:
        return shape.expand_sizes(value, *wanted)
    except RuntimeError:
        raise RuntimeError(
            f"a value of shape {tuple(value.shape)} cannot be put into a region of shape {tuple(wanted)}"
        ) from None


# ---- writing to places ----------------------------------------------------------------------------------------------


@primitive
def index_replace(input: Array, values: Array, *, index: tuple[Any, ...]) -> Array:
    """`input` with the elements at the index replaced by `values`."""
    result = input.copy()
    result[index] = values
    return result


@primitive
def zero_at(input: Array, *, index: tuple[Any, ...]) -> Array:
    """`input` with zeros at the index (also where it is infinite there, which a product with 0 would not give)."""
    result = input.copy()
    result[index] = 0
    return result


zero_at.vjp(input=lambda g, index: zero_at(g, index=index))

index_replace.vjp(
    input=lambda g, index: zero_at(g, index=index),
    values=lambda g, index: array_index(g, index=index),
)


@primitive
def index_accumulate(input: Array, values: Array, *, index: tuple[Any, ...]) -> Array:
    """`input` with `values` added at the index, all of them where a place comes several times."""
    result = input.copy()
    namespace(input).add.at(result, index, values)
    return result


index_accumulate.vjp(input=lambda g: g, values=lambda g, index: array_index(g, index=index))


@method(inplace=True)
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with `values` at the places `indices` (one tensor of places for each leading dimension, or a mask).

    With `accumulate`, values are added, and all count where a place comes several times.
    """
    parts = indices if isinstance(indices, _Index) else _named("index_put", tuple(indices), input)
    region = _region(input, parts)
    if not isinstance(values, Tensor):
        raise TypeError(f"index_put: values must be a Tensor, got {type(values).__name__}: x[...] = takes numbers, too")
    if not isinstance(indices, _Index) and values.ndim > len(region):
        raise RuntimeError(
            f"index_put: values of shape {tuple(values.shape)} do not stretch to the places' {tuple(region)}"
        )
    op = index_accumulate if accumulate else index_replace
    return op(input, _fit(values.to(input.dtype), region), index=parts)


def _region(input: Tensor, parts: tuple[Any, ...]) -> tuple[int, ...]:
    return input._array[parts].shape


def _row_index(input: Tensor, dim: int, index: Any, name: str) -> tuple[Tensor, int, tuple[Any, ...]]:
    """What has the slices, along which dimension, the index of those named; a 0-d tensor's number is its one slice."""
    at = shape.dim_of(dim, input.ndim, name)
    if isinstance(index, Tensor) and index.ndim > 1:
        raise IndexError(f"{name}: the index must have at most 1 dimension, this one has {index.ndim}: use gather()")
    if isinstance(index, Tensor):
        index = index.reshape(-1)
        index = index.to(dtypes.int64) if index.dtype == dtypes.uint8 else index  # which would be a mask
    rows = input if input.ndim else input.reshape(1)
    parts = _named(name, (slice(None),) * at + (index,), rows)
    if not backend.is_array(parts[at]) or parts[at].dtype.kind == "b":
        raise IndexError(f"{name}: the index must be a tensor of integers, the places: x[mask] takes a mask")
    return rows, at, parts


def _named(name: str, index: Any, input: Tensor) -> tuple[Any, ...]:
    """The index of a function, whose name stands in its errors."""
    try:
        return _normal(index, input)[0]
    except IndexError as error:
        raise IndexError(f"{name}: {error}") from None


@method()
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along `dim` at the places in `index` (1-d), negative ones from the end; of a 0-d tensor its number."""
    rows, _, parts = _row_index(input, dim, index, "index_select")
    if not input.ndim:
        _check_one_place("index_select", parts[0])
    return _shaped(array_index(rows, index=parts), input)


@method(inplace=True)
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """`input` with the slices of `source`, times `alpha`, added along `dim` at the places in `index`."""
    rows, _, parts = _row_index(input, dim, index, "index_add")
    _check_slices("index_add", source, _region(rows, parts) if input.ndim else ())
    if not input.ndim:
        _check_one_place("index_add", parts[0])
        source = source.reshape(1)
    return _shaped(index_accumulate(rows, source if alpha == 1 else source * alpha, index=parts), input)


@method(inplace=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """`input` with the slices along `dim` at the places in `index` replaced by those of `source`."""
    rows, at, parts = _row_index(input, dim, index, "index_copy")
    wanted = _region(rows, parts)
    source = source.reshape(1) if wanted == (1,) and not source.ndim else source  # one number may come without a dim
    if source.ndim == rows.ndim and source.shape[at] != wanted[at]:
        raise IndexError(
            f"index_copy: the index names {wanted[at]} places in dimension {at}, source has {source.shape[at]}"
        )
    _check_slices("index_copy", source, wanted)
    return _shaped(index_replace(rows, source, index=parts), input)


def _shaped(rows: Tensor, input: Tensor) -> Tensor:
    return rows if input.ndim else rows.reshape(())


def _check_one_place(name: str, places: Array) -> None:
    if places.size != 1:
        raise RuntimeError(f"{name}: a 0-d tensor has one slice, at place 0, and the index names {places.size}")


def _check_slices(name: str, source: Tensor, wanted: tuple[int, ...]) -> None:
    if tuple(source.shape) != tuple(wanted):
        raise RuntimeError(
            f"{name}: source has shape {tuple(source.shape)}, with this index it must be {tuple(wanted)}: one slice "
            f"for each place"
        )


@method(inplace=True)
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """`input` with the slices along `dim` at the places in `index` set to one number.

    A number given as a 0-d tensor gets each place's gradient once, also where `index` names a place several times.
    """
    rows, at, parts = _row_index(input, dim, index, "index_fill")
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                f"index_fill: the value must be one number, got shape {tuple(value.shape)}: use index_copy()"
            )
        value = value.to(input.dtype)
    xp = namespace(input._array)
    named = xp.zeros(tuple(rows.shape[at : at + 1]), bool)
    named[parts[at]] = True
    named = named.reshape(-1, *[1] * (input.ndim - at - 1)) if input.ndim else named.reshape(())
    return replace_where(input, wrap(named), value)


@method()
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at one place along `dim`: a view without that dimension."""
    at = shape.dim_of(dim, input.ndim, "select")
    return basic_index(input, index=_named("select", (slice(None),) * at + (int(index),), input))


@method()
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A view of `length` places along `dim`, from `start` on."""
    at = shape.dim_of(dim, input.ndim, "narrow")
    size = input.shape[at]
    first = start + size if start < 0 else start
    if not -size <= start <= size:
        raise IndexError(f"narrow: start {start} is out of range for dimension {at} of size {size}")
    if not 0 <= first <= first + length <= size:
        raise RuntimeError(f"narrow: places {start} to {start + length} do not lie in dimension {at} of size {size}")
    return getitem(input, (slice(None),) * at + (slice(first, first + length),))


# ---- masks ----------------------------------------------------------------------------------------------------------


@method()
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask is true, in one dimension. Waits for the device: the count depends on the values."""
    input, mask = shape.broadcast_tensors(input, mask)
    return getitem(input, mask)


@method()
def nonzero(input: Tensor, as_tuple: bool = False) -> Any:
    """The places of the elements that are not zero: (count, ndim), or one tensor for each dimension."""
    array = input._array
    xp = namespace(array)
    places = xp.nonzero(array if array.ndim else array.reshape(1))
    if as_tuple:
        return tuple([wrap(one.astype(np.int64)) for one in places])
    return wrap(xp.stack(places[: array.ndim], axis=1) if array.ndim else xp.zeros((len(places[0]), 0), np.int64))


@method()
def argwhere(input: Tensor) -> Tensor:
    """The places of the elements that are not zero, (count, ndim)."""
    return nonzero(input)
