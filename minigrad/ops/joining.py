"""Several tensors made one, one made several, and one repeated: cat, stack, split, chunk, repeat, meshgrid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.backend import Array, namespace
from minigrad.core import dtypes
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor
from minigrad.ops import conversion
from minigrad.ops.method import function, method
from minigrad.ops.shape import dim_of, expand_sizes, or_named, ravel, reshape, sizes_of, transpose, unsqueeze


@primitive(promote=True)
def concatenated(*tensors: Array, dim: int) -> Array:
    """The tensors one after the other along `dim`."""
    return namespace(tensors[0]).concatenate(tensors, dim)


def _cut(g: Any, tensors_shape: Any, needs: Any, dim: int) -> list[Any]:
    pieces, start = [], 0
    for shape, need in zip(tensors_shape, needs, strict=True):
        stop = start + shape[dim]
        pieces.append(g[(slice(None),) * dim + (slice(start, stop),)] if need else None)
        start = stop
    return pieces


concatenated.vjp(tensors=_cut)


@function("concat", "concatenate")
def cat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """The tensors one after the other along `dim`; all other sizes must agree. Empty 1-d tensors are left out."""
    _check_sequence(tensors, "cat")
    vectors = all(tensor.ndim == 1 for tensor in tensors)  # among these an empty one fits, and keeps its gradient
    whole = [tensor for tensor in tensors if vectors or tuple(tensor.shape) != (0,)]
    at = dim_of(dim if axis is None else axis, whole[0].ndim, "cat")
    expected = tuple(whole[0].shape)
    for position, tensor in enumerate(whole):
        shape = tuple(tensor.shape)
        if len(shape) != len(expected) or shape[:at] + shape[at + 1 :] != expected[:at] + expected[at + 1 :]:
            raise RuntimeError(
                f"cat: tensor {position} has shape {shape}, the first {expected}: sizes must agree except in dim {at}"
            )
    if not expected:
        raise RuntimeError("cat: 0-d tensors cannot be joined: use stack()")
    result = concatenated(*whole, dim=at)
    if len(whole) == len(tensors):
        return result
    return result.to(dtypes.result_type(*[tensor._array for tensor in tensors]))  # those left out count for the dtype


def _check_sequence(tensors: Any, name: str) -> None:
    if isinstance(tensors, Tensor) or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise TypeError(f"{name} takes a sequence of tensors, such as {name}([x, y])")
    if not len(tensors):
        raise RuntimeError(f"{name} needs at least one tensor, the sequence is empty")


@primitive(promote=True)
def stacked(*tensors: Array, dim: int) -> Array:
    """Tensors of one shape side by side in a new dimension."""
    return namespace(tensors[0]).stack(tensors, dim)


stacked.vjp(tensors=lambda g, needs, dim: [_layer(g, dim, place) if need else None for place, need in enumerate(needs)])


def _layer(array: Any, dim: int, place: int) -> Any:
    """The slice at one place of a dimension, without it; a view also where it is a number."""
    return array[(*(slice(None),) * dim, place, ...)]


@function()
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape side by side in a new dimension."""
    _check_sequence(tensors, "stack")
    shapes = {tuple(tensor._array.shape) for tensor in tensors}
    if len(shapes) > 1:
        raise RuntimeError(
            f"stack: the tensors must have one shape, these have {' and '.join(map(str, sorted(shapes)))}"
        )
    at = dim_of(dim, tensors[0].ndim + 1, "stack")
    return stacked(*tensors, dim=at)


@function()
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the second dimension, or along the only one; numbers become vectors."""
    _check_sequence(tensors, "hstack")
    tensors = [unsqueeze(tensor, 0) if tensor.ndim == 0 else tensor for tensor in tensors]
    return cat(tensors, 0 if tensors[0].ndim == 1 else 1)


@function()
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the first dimension; vectors become rows, and numbers rows of one element."""
    _check_sequence(tensors, "vstack")
    return cat([reshape(tensor, (1, tensor.numel())) if tensor.ndim < 2 else tensor for tensor in tensors], 0)


@primitive(outputs="*", view=True)
def split_with_sizes(input: Array, split_sizes: Sequence[int], dim: int = 0) -> Any:
    """Pieces of the given sizes along `dim`."""
    pieces, start = [], 0
    for size in split_sizes:
        pieces.append(input[(slice(None),) * dim + (slice(start, start + size),)])
        start += size
    return tuple(pieces)


split_with_sizes.vjp(input=lambda g, dim: concatenated(*g, dim=dim))


@method()
def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of the pieces along `dim`: of one size (the last may be smaller), or of the sizes listed."""
    at = dim_of(dim, tensor.ndim, "split")
    total = tensor.shape[at]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < (1 if total else 0):
            raise RuntimeError(f"split: the size of a piece must be positive, got {size}")
        sizes = [min(size, total - start) for start in range(0, total, max(size, 1))] or [0]
    else:
        sizes = [int(size) for size in split_size_or_sections]
        if sum(sizes) != total or min(sizes, default=0) < 0:
            raise RuntimeError(f"split: the sizes {sizes} must be positive and add up to {total}, the size of dim {at}")
    return split_with_sizes(tensor, split_sizes=tuple(sizes), dim=at)


Tensor.split_with_sizes = split  # type: ignore[attr-defined]


@method()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views along `dim`, all of one size but perhaps the last; of nothing, so many empty ones."""
    if chunks < 1:
        raise RuntimeError(f"chunk: the number of chunks must be positive, got {chunks}")
    at = dim_of(dim, input.ndim, "chunk")
    if not input.shape[at]:  # the one case in which their number is not given by their size
        return split(input, [0] * chunks, at)
    return split(input, -(-input.shape[at] // chunks), at)


@method()
def tensor_split(input: Tensor, indices_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views along `dim`, cut at the given places, or into so many pieces of nearly one size."""
    at = dim_of(dim, input.ndim, "tensor_split")
    total = input.shape[at]
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count < 1:
            raise RuntimeError(f"tensor_split: the number of pieces must be positive, got {count}")
        sizes = [total // count + (position < total % count) for position in range(count)]
        return split_with_sizes(input, split_sizes=tuple(sizes), dim=at)
    # Cuts need not be in order: a piece is what a slice from one to the next would take.
    return tuple(
        [
            input[(slice(None),) * at + (slice(start, stop),)]
            for start, stop in zip([0, *indices_or_sections], [*indices_or_sections, total], strict=True)
        ]
    )


@primitive(outputs="*", view=True)
def unbound(input: Array, dim: int = 0) -> Any:
    """The slices along `dim`, without it."""
    return tuple([_layer(input, dim, place) for place in range(input.shape[dim])])


unbound.vjp(input=lambda g, dim: stacked(*g, dim=dim))


@method()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along `dim`, without it."""
    at = dim_of(dim, input.ndim, "unbind")
    if not input.ndim:
        raise IndexError("unbind: a 0-d tensor has no dimension to take apart")
    return unbound(input, dim=at) if input.shape[at] else ()


@method(only=True)
def repeat(input: Tensor, *repeats: Any, **given: Any) -> Tensor:
    """The whole tensor repeated: `repeats[i]` copies along dimension i."""
    times = sizes_of(or_named(repeats, given, "repeats"))
    if len(times) < input.ndim or min(times, default=0) < 0:
        raise RuntimeError(
            f"repeat: {input.ndim} dimensions need at least as many numbers, none of them negative, got {times}"
        )
    shape = (1,) * (len(times) - input.ndim) + tuple(input.shape)
    between = [size for pair in zip((1,) * len(shape), shape, strict=True) for size in pair]
    stretched = [size for pair in zip(times, shape, strict=True) for size in pair]
    copies = conversion.clone(expand_sizes(reshape(input, between), stretched))
    return reshape(copies, [count * size for count, size in zip(times, shape, strict=True)])


@method()
def tile(input: Tensor, *dims: Any, **given: Any) -> Tensor:
    """As `repeat`, with missing leading counts taken as 1."""
    times = sizes_of(or_named(dims, given, "dims"))
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


@method()
def repeat_interleave(input: Tensor, repeats: Any, dim: int | None = None) -> Tensor:
    """Each element (or slice along `dim`) several times in a row; `repeats` is a number, or one for each."""
    import numpy as np

    if dim is None:
        input, dim = ravel(input), 0
    at = dim_of(dim, input.ndim, "repeat_interleave")
    counts = repeats.tolist() if isinstance(repeats, Tensor) else repeats
    if np.min(counts, initial=0) < 0:
        raise RuntimeError(f"repeat_interleave: repeats must not be negative, got {counts}")
    places = np.repeat(np.arange(input.shape[at]), counts)
    return input[(slice(None),) * at + (places,)]


@function()
def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinate grids of 1-d tensors; `indexing="xy"` exchanges the first two dimensions."""
    axes = list(tensors[0]) if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else list(tensors)
    if any(axis.ndim > 1 for axis in axes):
        shapes = ", ".join(str(tuple(axis.shape)) for axis in axes)
        raise RuntimeError(f"meshgrid: takes tensors of at most 1 dimension, these have shapes {shapes}")
    grids = []
    shape = [axis.numel() for axis in axes]
    for at, axis in enumerate(axes):
        grids.append(expand_sizes(reshape(axis, [-1 if at == other else 1 for other in range(len(axes))]), shape))
    if indexing == "xy" and len(grids) > 1:
        grids = [transpose(grid, 0, 1) for grid in grids]
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing is 'ij' or 'xy', not {indexing!r}")
    return tuple(grids)
