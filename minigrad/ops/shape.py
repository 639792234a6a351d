"""The same elements, arranged otherwise: reshaped, stretched, permuted. For more than one tensor see `joining`.

Most of these are views: the result shares memory with the input, and writing to it writes to the input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigrad.backend import Array, namespace
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor
from minigrad.ops.method import function, method

Dims = int | Sequence[int] | None


def sizes_of(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given one by one or as one sequence."""
    if len(sizes) == 1 and not isinstance(sizes[0], int) and hasattr(sizes[0], "__iter__"):
        sizes = tuple(sizes[0])
    return tuple([int(size) for size in sizes])


def or_named(sizes: tuple[Any, ...], given: dict[str, Any], name: str) -> tuple[Any, ...]:
    """Sizes as `f(x, 2, 3)` or `f(x, (2, 3))` gives them, or by the name that PyTorch has for them."""
    if not given:
        return sizes
    if sizes or given.keys() != {name}:
        raise TypeError(
            f"give {name} one by one, as a sequence or by this name, and nothing else: got {', '.join(given)}"
        )
    return (given[name],)


def dim_of(dim: int, ndim: int, name: str) -> int:
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
    sizes = sizes_of(or_named(shape, given, "shape"))
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
    result = reshape(input, *or_named(size, given, "size"))
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
    first, last = dim_of(start_dim, input.ndim, "flatten"), dim_of(end_dim, input.ndim, "flatten")
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
    at = dim_of(dim, input.ndim, "unflatten")
    known = math.prod(size for size in sizes if size != -1)
    filled = [input.shape[at] // max(known, 1) if size == -1 else size for size in sizes]
    if list(sizes).count(-1) > 1 or math.prod(filled) != input.shape[at] or min(filled, default=0) < 0:
        raise RuntimeError(
            f"unflatten: sizes {tuple(sizes)} must multiply to {input.shape[at]}, the size of dimension {at}, and at "
            f"most one may be -1"
        )
    return reshape(input, (*input.shape[:at], *filled, *input.shape[at + 1 :]))


@method()
def squeeze(input: Tensor, dim: Dims = None) -> Tensor:
    """Without the dimensions of size 1, or without those named in `dim` if their size is 1."""
    dims = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    gone = [dim_of(one, input.ndim, "squeeze") for one in dims]
    if len(set(gone)) < len(gone):
        raise RuntimeError(f"squeeze: a dimension appears twice in dim={dim}")
    return reshaped(input, shape=tuple([size for at, size in enumerate(input.shape) if size != 1 or at not in gone]))


@method()
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a dimension of size 1 put in at `dim`."""
    at = dim_of(dim, input.ndim + 1, "unsqueeze")
    return reshaped(input, shape=(*input.shape[:at], 1, *input.shape[at:]))


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
    wanted = sizes_of(or_named(size, given, "size"))
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
    named = sizes_of(or_named(dims, given, "dims"))
    order = tuple([dim_of(dim, input.ndim, "permute") for dim in named])
    if sorted(order) != list(range(input.ndim)):
        raise RuntimeError(f"permute: {named} does not name each of the {input.ndim} dimensions once")
    return permuted(input, dims=order)


@method("swapaxes", "swapdims", inplace=False)
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged."""
    first, second = dim_of(dim0, input.ndim, "transpose"), dim_of(dim1, input.ndim, "transpose")
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
    sources = [dim_of(dim, input.ndim, "movedim") for dim in ([source] if isinstance(source, int) else source or [])]
    targets = [
        dim_of(dim, input.ndim, "movedim")
        for dim in ([destination] if isinstance(destination, int) else destination or [])
    ]
    if len(sources) != len(targets):
        raise RuntimeError(f"movedim: {len(sources)} dimensions cannot move to {len(targets)} places")
    for name, dims, given in (("source", sources, source), ("destination", targets, destination)):
        if len(set(dims)) < len(dims):
            raise RuntimeError(f"movedim: a dimension appears twice in {name}={given}")
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
    named = sizes_of(or_named(dims, given, "dims"))
    order = tuple([dim_of(dim, input.ndim, "flip") for dim in named])
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
