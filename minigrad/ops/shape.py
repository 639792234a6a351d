"""The same elements, arranged otherwise: reshaped, stretched, permuted, joined, cut.

Most of these are views: the result shares memory with the input, and writing to it writes to the input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigrad.backend import Array, namespace
from minigrad.core import dtypes
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor
from minigrad.ops import conversion
from minigrad.ops.method import function, method

Dims = int | Sequence[int] | None


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given one by one or as one sequence."""
    if len(sizes) == 1 and not isinstance(sizes[0], int) and hasattr(sizes[0], "__iter__"):
        sizes = tuple(sizes[0])
    return tuple([int(size) for size in sizes])


def _or_named(sizes: tuple[Any, ...], given: dict[str, Any], name: str) -> tuple[Any, ...]:
    """Sizes as `f(x, 2, 3)` or `f(x, (2, 3))` gives them, or by the name that PyTorch has for them."""
    if not given:
        return sizes
    if sizes or given.keys() != {name}:
        raise TypeError(
            f"give {name} one by one, as a sequence or by this name, and nothing else: got {', '.join(given)}"
        )
    return (given[name],)


def _dim(dim: int, ndim: int, name: str) -> int:
    """A dimension counted from the front; IndexError if there is none such."""
    if not -max(ndim, 1) <= dim < max(ndim, 1):
        raise IndexError(f"{name}: dim {dim} is out of range for a tensor of {ndim} dimensions")
    return dim % max(ndim, 1)


# ---- other sizes ----------------------------------------------------------------------------------------------------


@primitive(view=True)
def reshaped(input: Array, *, shape: tuple[int, ...]) -> Array:
    """The elements in row-major order as another shape; a view where the memory allows it."""
    return input.reshape(shape)


reshaped.vjp(input=lambda g, input_shape: g.reshape(input_shape))


@method()
def reshape(input: Tensor, *shape: Any, **given: Any) -> Tensor:
    """The elements in row-major order as another shape, one size of which may be -1: a view if possible."""
    sizes = _sizes(_or_named(shape, given, "shape"))
    count = math.prod(size for size in sizes if size != -1)
    size = input.numel()
    if sizes.count(-1) > 1 or (size % count if -1 in sizes and count else -1 not in sizes and size != count):
        raise RuntimeError(
            f"reshape: {size} elements of shape {tuple(input.shape)} do not fit shape {sizes}: the sizes must "
            f"multiply to {size}, and at most one may be -1"
        )
    return reshaped(input, shape=sizes)


@method(only=True)
def view(input: Tensor, *size: Any, **given: Any) -> Tensor:
    """Another shape that looks at the same memory; RuntimeError if the memory does not allow it (use reshape)."""
    result = reshape(input, *_or_named(size, given, "size"))
    if result._view is None and input.numel():
        raise RuntimeError(
            f"view: a tensor of shape {tuple(input.shape)} and strides {input.stride()} cannot be seen as "
            f"{tuple(result.shape)} without a copy: use reshape()"
        )
    return result


@method(only=True)
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` in the shape of `other`, on the same memory."""
    return view(input, *other.shape)


@method(only=True)
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` in the shape of `other`."""
    return reshape(input, *other.shape)


@method()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from `start_dim` to `end_dim` as one."""
    first, last = _dim(start_dim, input.ndim, "flatten"), _dim(end_dim, input.ndim, "flatten")
    if first > last:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    shape = input.shape
    return reshape(input, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


@method()
def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension."""
    return reshape(input, (input.numel(),))


@method()
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension as several, whose sizes multiply to it."""
    at = _dim(dim, input.ndim, "unflatten")
    known = math.prod(size for size in sizes if size != -1)
    filled = [input.shape[at] // max(known, 1) if size == -1 else size for size in sizes]
    if math.prod(filled) != input.shape[at] or min(filled, default=0) < 0:
        raise RuntimeError(
            f"unflatten: sizes {tuple(sizes)} must multiply to {input.shape[at]}, the size of dimension {at}, and at "
            f"most one may be -1"
        )
    return reshape(input, (*input.shape[:at], *filled, *input.shape[at + 1 :]))


@method()
def squeeze(input: Tensor, dim: Dims = None) -> Tensor:
    """Without the dimensions of size 1, or without those named in `dim` if their size is 1."""
    dims = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    gone = [_dim(one, input.ndim, "squeeze") for one in dims]
    if len(set(gone)) < len(gone):
        raise RuntimeError(f"squeeze: a dimension appears twice in dim={dim}")
    return reshape(input, [size for at, size in enumerate(input.shape) if size != 1 or at not in gone])


@method()
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a dimension of size 1 put in at `dim`."""
    at = _dim(dim, input.ndim + 1, "unsqueeze")
    return reshape(input, (*input.shape[:at], 1, *input.shape[at:]))


@primitive(view=True)
def expand(input: Array, shape: tuple[int, ...]) -> Array:
    """The elements repeated along dimensions of size 1 (and new leading ones) without using memory; -1 keeps a size."""
    kept = (1,) * (len(shape) - input.ndim) + tuple(input.shape)
    wanted = tuple([old if new == -1 else new for new, old in zip(shape, kept)])
    if wanted == kept:
        return input.reshape(kept)  # a view that can be written: no two of its elements share a place
    return namespace(input).broadcast_to(input, wanted)


expand.vjp(input=lambda g: g)  # the engine sums a gradient back to its input's shape


@method(called="expand", only=True)
def expand_sizes(input: Tensor, *size: Any, **given: Any) -> Tensor:
    """The elements repeated along dimensions of size 1 and new leading ones, on the same memory; -1 keeps a size."""
    wanted = _sizes(_or_named(size, given, "size"))
    padded = (1,) * (len(wanted) - input.ndim) + tuple(input.shape)
    leading = wanted[: len(wanted) - input.ndim]
    if (
        len(wanted) < input.ndim
        or min(wanted, default=0) < -1
        or -1 in leading
        or any(new not in (-1, old) and old != 1 for new, old in zip(wanted, padded, strict=True))
    ):
        raise RuntimeError(
            f"expand: shape {tuple(input.shape)} does not stretch to {wanted}: only dimensions of size 1 stretch, and "
            f"-1 keeps the size of one that is there"
        )
    return expand(input, shape=wanted)


@method()
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """The elements repeated to the shape `size`, on the same memory."""
    return expand_sizes(input, *size)


@method(only=True)
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """The elements repeated to the shape of `other`, on the same memory."""
    return expand_sizes(input, *other.shape)


@function()
def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All tensors stretched to their common shape."""
    import numpy as np

    from minigrad.core.errors import shapes_do_not_broadcast

    shapes = [tuple(tensor.shape) for tensor in tensors]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise shapes_do_not_broadcast("broadcast_tensors", shapes) from None
    return tuple([expand_sizes(tensor, *shape) for tensor in tensors])


# ---- another order --------------------------------------------------------------------------------------------------


@primitive(view=True)
def permuted(input: Array, *, dims: tuple[int, ...]) -> Array:
    """The dimensions in another order."""
    return input.transpose(dims)


permuted.vjp(input=lambda g, dims: permuted(g, dims=_inverse(dims)))


def _inverse(dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([dims.index(position) for position in range(len(dims))])


@method()
def permute(input: Tensor, *dims: Any, **given: Any) -> Tensor:
    """The dimensions in the order `dims`."""
    named = _sizes(_or_named(dims, given, "dims"))
    order = tuple([_dim(dim, input.ndim, "permute") for dim in named])
    if sorted(order) != list(range(input.ndim)):
        raise RuntimeError(f"permute: {named} does not name each of the {input.ndim} dimensions once")
    return permuted(input, dims=order)


@method("swapaxes", "swapdims", inplace=False)
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged."""
    first, second = _dim(dim0, input.ndim, "transpose"), _dim(dim1, input.ndim, "transpose")
    order = list(range(input.ndim))
    if order:
        order[first], order[second] = second, first
    return permuted(input, dims=tuple(order))


@method()
def t(input: Tensor) -> Tensor:
    """A matrix transposed; a vector or a number as it is."""
    if input.ndim > 2:
        raise RuntimeError(f"t: takes at most 2 dimensions, this tensor has {input.ndim}: use transpose(dim0, dim1)")
    return permuted(input, dims=tuple(range(input.ndim))[::-1])


Tensor.T = property(lambda self: permuted(self, dims=tuple(range(self.ndim))[::-1]))  # type: ignore[attr-defined]
Tensor.mT = property(lambda self: transpose(self, -2, -1))  # type: ignore[attr-defined]


@method("moveaxis")
def movedim(input: Tensor, source: Dims, destination: Dims) -> Tensor:
    """Dimensions moved to other places; the rest keep their order."""
    sources = [_dim(dim, input.ndim, "movedim") for dim in ([source] if isinstance(source, int) else source or [])]
    targets = [
        _dim(dim, input.ndim, "movedim")
        for dim in ([destination] if isinstance(destination, int) else destination or [])
    ]
    if len(sources) != len(targets):
        raise RuntimeError(f"movedim: {len(sources)} dimensions cannot move to {len(targets)} places")
    rest = iter([dim for dim in range(input.ndim) if dim not in sources])
    placed = dict(zip(targets, sources, strict=True))
    return permuted(input, dims=tuple([placed[at] if at in placed else next(rest) for at in range(input.ndim)]))


@primitive
def flipped(input: Array, *, dims: tuple[int, ...]) -> Array:
    """Reversed along `dims`."""
    return namespace(input).flip(input, dims).copy()


flipped.vjp(input=lambda g, dims: flipped(g, dims=dims))


@method()
def flip(input: Tensor, *dims: Any, **given: Any) -> Tensor:
    """A copy, reversed along `dims`."""
    named = _sizes(_or_named(dims, given, "dims"))
    order = tuple([_dim(dim, input.ndim, "flip") for dim in named])
    if len(set(order)) < len(order):
        raise RuntimeError(f"flip: a dimension appears twice in dims={named}")
    return flipped(input, dims=order if input.ndim else ())


@method()
@primitive
def roll(input: Array, shifts: Dims, dims: Dims = None) -> Array:
    """The elements shifted along `dims`, those that fall off the end put back at the front."""
    shift_count, dim_count = (1 if isinstance(one, int) or one is None else len(one) for one in (shifts, dims))
    if shift_count != dim_count:
        raise ValueError(f"there must be one shift for each dimension, not {shift_count} for {dim_count}")
    return namespace(input).roll(input, shifts, dims)


roll.vjp(input=lambda g, shifts, dims: roll(g, _negated(shifts), dims))


def _negated(shifts: Any) -> Any:
    return -shifts if isinstance(shifts, int) else tuple([-shift for shift in shifts])


# ---- joined and cut -------------------------------------------------------------------------------------------------


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
    at = _dim(dim if axis is None else axis, whole[0].ndim, "cat")
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


@function()
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape side by side in a new dimension."""
    _check_sequence(tensors, "stack")
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) > 1:
        raise RuntimeError(
            f"stack: the tensors must have one shape, these have {' and '.join(map(str, sorted(shapes)))}"
        )
    at = _dim(dim, tensors[0].ndim + 1, "stack")
    return concatenated(*[unsqueeze(tensor, at) for tensor in tensors], dim=at)


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
    at = _dim(dim, tensor.ndim, "split")
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
    at = _dim(dim, input.ndim, "chunk")
    if not input.shape[at]:  # the one case in which their number is not given by their size
        return split(input, [0] * chunks, at)
    return split(input, -(-input.shape[at] // chunks), at)


@method()
def tensor_split(input: Tensor, indices_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views along `dim`, cut at the given places, or into so many pieces of nearly one size."""
    at = _dim(dim, input.ndim, "tensor_split")
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


@method()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along `dim`, without it."""
    at = _dim(dim, input.ndim, "unbind")
    return tuple([squeeze(piece, at) for piece in split(input, 1, at)]) if input.shape[at] else ()


@method(only=True)
def repeat(input: Tensor, *repeats: Any, **given: Any) -> Tensor:
    """The whole tensor repeated: `repeats[i]` copies along dimension i."""
    times = _sizes(_or_named(repeats, given, "repeats"))
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
    times = _sizes(_or_named(dims, given, "dims"))
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


@method()
def repeat_interleave(input: Tensor, repeats: Any, dim: int | None = None) -> Tensor:
    """Each element (or slice along `dim`) several times in a row; `repeats` is a number, or one for each."""
    import numpy as np

    if dim is None:
        input, dim = ravel(input), 0
    at = _dim(dim, input.ndim, "repeat_interleave")
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


# ---- triangles and diagonals ----------------------------------------------------------------------------------------


def _check_matrices(input: Array) -> None:
    if input.ndim < 2:
        raise ValueError("a triangle is that of a matrix, so there must be at least 2 dimensions")


@method(inplace=True)
@primitive
def tril(input: Array, diagonal: int = 0) -> Array:
    """The lower triangle of matrices, zero above the given diagonal."""
    _check_matrices(input)
    return namespace(input).tril(input, diagonal)


tril.vjp(input=lambda g, diagonal: tril(g, diagonal))


@method(inplace=True)
@primitive
def triu(input: Array, diagonal: int = 0) -> Array:
    """The upper triangle of matrices, zero below the given diagonal."""
    _check_matrices(input)
    return namespace(input).triu(input, diagonal)


triu.vjp(input=lambda g, diagonal: triu(g, diagonal))


@method()
@primitive(view=True)
def diagonal(input: Array, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Array:
    """The diagonals of the matrices that two dimensions span, as a new last dimension: a view."""
    view = namespace(input).diagonal(input, offset, dim1, dim2)
    if not getattr(view.flags, "writeable", True) and input.flags.writeable:
        view.flags.writeable = True  # NumPy alone hands this view out as read-only
    return view


diagonal.vjp(
    input=lambda g, input_shape, offset, dim1, dim2: diagonal_scatter(g, input_shape, offset, dim1, dim2),
)


@primitive
def diagonal_scatter(src: Array, shape: tuple[int, ...], offset: int = 0, dim1: int = 0, dim2: int = 1) -> Array:
    """Zeros of `shape` with `src` on the diagonal."""
    xp = namespace(src)
    result = xp.zeros(shape, src.dtype)
    matrices = xp.moveaxis(result, (dim1, dim2), (-2, -1))
    count = src.shape[-1]
    rows = xp.arange(count) + max(0, -offset)
    columns = xp.arange(count) + max(0, offset)
    matrices[..., rows, columns] = src
    return result


diagonal_scatter.vjp(src=lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2))


@method()
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as a matrix's diagonal, or a matrix's diagonal as a vector."""
    from minigrad.ops import shape

    if input.ndim == 1:
        size = input.numel() + abs(diagonal)
        return diagonal_scatter(input, (size, size), diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag: takes a vector or a matrix, this tensor has {input.ndim} dimensions: use diagonal()")
    return shape.diagonal(input, diagonal)


@method()
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: takes a matrix, this tensor has {input.ndim} dimensions")
    return diag(input).sum()


@method()
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of `size` along a dimension, `step` apart, as a new last dimension."""
    import numpy as np

    at = _dim(dimension, input.ndim, "unfold")
    length = input.shape[at]
    if not 0 < size <= length or step < 1:
        raise RuntimeError(f"unfold: windows of {size} with step {step} do not fit a dimension of size {length}")
    places = np.arange(0, length - size + 1, step)[:, None] + np.arange(size)
    return movedim(input[(slice(None),) * at + (places,)], at + 1, -1)
