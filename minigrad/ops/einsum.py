"""Sums of products over named indices.

`einsum("bik,bkj->bij", x, y)` is worked out in primitives: a diagonal is taken where an operand repeats an index, a
size of 1 that others stretch is dropped, an index that one operand has alone is summed, and then the operands are
contracted two at a time. In `contract` every index occurs at least twice among the two operands and the result, which
makes its derivative a contraction again.
"""

from __future__ import annotations

import functools
import math
import re
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.backend import Array, namespace
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Tensor
from minigrad.ops import shape
from minigrad.ops.method import function

# ---- two operands ---------------------------------------------------------------------------------------------------


@primitive
def contract(input: Array, other: Array, *, indices: tuple[str, str, str]) -> Array:
    """The sum of products over the indices that the result lacks; `indices` are input's, other's and the result's.

    Every index must occur at least twice among the three, and have one size.
    """
    xp = namespace(input)
    plan = _as_matmul(indices)
    if plan is None:
        return xp.einsum(f"{indices[0]},{indices[1]}->{indices[2]}", input, other)
    to_input, to_other, to_result, batch, left, summed = plan
    input, other = input.transpose(to_input), other.transpose(to_other)
    sizes = (*input.shape[: batch + left], *other.shape[batch + summed :])
    # The batch, left and right indices and those summed over as one dimension each: (B, L, S) @ (B, S, R) -> (B, L, R).
    B, L, S = math.prod(sizes[:batch]), math.prod(sizes[batch : batch + left]), math.prod(input.shape[batch + left :])
    R = math.prod(sizes[batch + left :])
    product = xp.matmul(_for_blas(input.reshape(B, L, S)), _for_blas(other.reshape(B, S, R)))
    return product.reshape(sizes).transpose(to_result)


contract.vjp(
    input=lambda g, other, indices: contract(g, other, indices=(indices[2], indices[1], indices[0])),
    other=lambda g, input, indices: contract(g, input, indices=(indices[2], indices[0], indices[1])),
)


@functools.lru_cache(maxsize=1024)
def _as_matmul(indices: tuple[str, str, str]) -> Any:
    """Orders of the dimensions that make this a batched matrix product; None where einsum itself does as well."""
    first, second, result = indices
    shared = [index for index in first if index in second]
    batch = [index for index in shared if index in result]
    summed = [index for index in shared if index not in result]
    left = [index for index in first if index not in second]
    right = [index for index in second if index not in first]
    if not summed or not (left or right):
        return None
    made = [*batch, *left, *right]
    return (
        tuple([first.index(index) for index in (*batch, *left, *summed)]),
        tuple([second.index(index) for index in (*batch, *summed, *right)]),
        tuple([made.index(index) for index in result]),
        len(batch),
        len(left),
        len(summed),
    )


def _for_blas(x: Array) -> Array:
    """Rows or columns in one piece; without that, matmul goes element by element."""
    return x if x.itemsize in x.strides[-2:] else namespace(x).ascontiguousarray(x)


# ---- any number of them ---------------------------------------------------------------------------------------------


@function()
def einsum(*arguments: Any) -> Tensor:
    """The sum of products that an equation describes, as `torch.einsum`.

    `einsum("ij,jk->ik", a, b)`; without `->` the result has the indices that occur once, in alphabetical order; "..."
    stands for further dimensions, which broadcast; an index twice in one operand takes its diagonal. The operands may
    come in one list, or each followed by its indices as numbers: `einsum(a, [0, 1], b, [1, 2], [0, 2])`.

    Raises RuntimeError for an equation that does not fit the operands, naming the index.
    """
    terms, result, operands = _read(arguments)
    terms, result = _without_ellipsis(terms, result, operands)
    _check_sizes(terms, result, operands)
    operands, terms = _prepared(operands, terms, result)
    while len(operands) > 1:
        one, two = _next_pair(tuple(terms), result, tuple([tuple(tensor.shape) for tensor in operands]))
        rest = [position for position in range(len(operands)) if position not in (one, two)]
        needed = {*result, *(index for position in rest for index in terms[position])}
        kept = "".join(dict.fromkeys(index for index in terms[one] + terms[two] if index in needed))
        kept = kept if rest else result
        product = contract(operands[one], operands[two], indices=(terms[one], terms[two], kept))
        operands = [*(operands[position] for position in rest), product]
        terms = [*(terms[position] for position in rest), kept]
    order = tuple([terms[0].index(index) for index in result])
    return operands[0] if order == tuple(range(len(order))) else shape.permuted(operands[0], dims=order)


def _read(arguments: tuple[Any, ...]) -> tuple[list[str], str | None, list[Tensor]]:
    """The indices of each operand and of the result (None if not given), with "..." as "."; and the operands."""
    if not arguments:
        raise RuntimeError('einsum: needs an equation and operands, such as einsum("ij,jk->ik", a, b)')
    if not isinstance(arguments[0], str):
        return _read_lists(arguments)
    equation = re.sub(r"\s", "", arguments[0])
    operands = arguments[1:]
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    left, arrow, right = equation.replace("...", ".").partition("->")
    terms = left.split(",")
    if any(letter not in string.ascii_letters + "." for letter in "".join(terms) + right):
        raise RuntimeError(f"einsum: {arguments[0]!r} may have letters, ',', '...' and one '->' only")
    if len(terms) != len(operands):
        raise RuntimeError(f"einsum: {arguments[0]!r} describes {len(terms)} operands, {len(operands)} were given")
    return terms, right if arrow else None, list(operands)


def _read_lists(arguments: tuple[Any, ...]) -> tuple[list[str], str | None, list[Tensor]]:
    """The same for operands that are each followed by a list of index numbers or Ellipsis."""
    pairs, result = arguments[: len(arguments) // 2 * 2], None
    if len(arguments) % 2:
        result = _letters(arguments[-1])
    return [_letters(numbers) for numbers in pairs[1::2]], result, list(pairs[0::2])


def _letters(numbers: Sequence[Any]) -> str:
    if not isinstance(numbers, (list, tuple)):
        raise TypeError(f"einsum: after each operand comes the list of its indices, got {type(numbers).__name__}")
    if any(number is not Ellipsis and not 0 <= number < 52 for number in numbers):
        raise RuntimeError(f"einsum: an index in a list is a number from 0 to 51 or Ellipsis, got {list(numbers)}")
    return "".join("." if number is Ellipsis else string.ascii_letters[number] for number in numbers)


def _without_ellipsis(terms: list[str], result: str | None, operands: list[Tensor]) -> tuple[list[str], str]:
    """Letters for the dimensions of "...", the same ones from the right, and the result where it was implied."""
    free = [letter for letter in string.ascii_letters if letter not in "".join([*terms, result or ""])]
    full, widest = [], ""
    for position, (term, tensor) in enumerate(zip(terms, operands, strict=True)):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"einsum: operand {position} must be a Tensor, got {type(tensor).__name__}")
        named = len(term.replace(".", ""))
        covered = tensor.ndim - named
        if term.count(".") > 1 or covered < 0 or (covered and "." not in term):
            said = term.replace(".", "...")
            raise RuntimeError(
                f"einsum: {said!r} names {named} dimensions, operand {position} has {tensor.ndim}, shape "
                f"{tuple(tensor.shape)}; one '...' in it would stand for the rest"
            )
        letters = "".join(free[:covered][::-1])
        widest = max(widest, letters, key=len)
        full.append(term.replace(".", letters))
    if result is None:
        named_once = [letter for letter in sorted({*"".join(terms)} - {"."}) if "".join(terms).count(letter) == 1]
        return full, widest + "".join(named_once)
    return full, result.replace(".", widest)


def _check_sizes(terms: list[str], result: str, operands: list[Tensor]) -> None:
    sizes: dict[str, int] = {}
    for term, tensor in zip(terms, operands, strict=True):
        for index, size in zip(term, tensor.shape, strict=True):
            before = sizes.setdefault(index, size)
            if size != before and 1 not in (size, before):
                raise RuntimeError(
                    f"einsum: index {index!r} has size {before} in one place and {size} in another "
                    f"(operand of shape {tuple(tensor.shape)} with indices {term!r}): sizes must be equal or 1"
                )
            sizes[index] = size if before == 1 else before
    for index in result:
        if index not in sizes or result.count(index) > 1:
            problem = "occurs in no operand" if index not in sizes else "occurs twice in the result"
            raise RuntimeError(f"einsum: index {index!r} of the result {result!r} {problem}")


def _prepared(operands: list[Tensor], terms: list[str], result: str) -> tuple[list[Tensor], list[str]]:
    """The operands with each index once, of one size everywhere, and shared with another operand or the result."""
    for position, (tensor, term) in enumerate(zip(operands, terms, strict=True)):
        operands[position], terms[position] = _diagonals(tensor, term)
    sizes: dict[str, int] = {}
    for tensor, term in zip(operands, terms, strict=True):
        sizes.update((index, size) for index, size in zip(term, tensor.shape, strict=True) if sizes.get(index, 1) == 1)
    for position, (tensor, term) in enumerate(zip(operands, terms, strict=True)):
        kept = [place for place, index in enumerate(term) if tensor.shape[place] == sizes[index]]
        if len(kept) < len(term):
            operands[position] = tensor.reshape([tensor.shape[place] for place in kept])
            terms[position] = "".join(term[place] for place in kept)
    for position, (tensor, term) in enumerate(zip(operands, terms, strict=True)):
        others = {*result, *(index for at, one in enumerate(terms) if at != position for index in one)}
        alone = tuple([place for place, index in enumerate(term) if index not in others])
        if alone:
            operands[position] = tensor.sum(alone)
            terms[position] = "".join(index for index in term if index in others)
    return operands, terms


def _diagonals(tensor: Tensor, term: str) -> tuple[Tensor, str]:
    """Each index of the term once; an index that occurred twice goes along the diagonal."""
    for index in dict.fromkeys(term):
        while term.count(index) > 1:
            first = term.index(index)
            second = term.index(index, first + 1)
            if tensor.shape[first] != tensor.shape[second]:  # one of them is 1, and stretched
                place = first if tensor.shape[first] == 1 else second
                tensor = tensor.select(place, 0)
                term = term[:place] + term[place + 1 :]
            else:
                tensor = tensor.diagonal(0, first, second)  # its dimension comes last
                term = term[:first] + term[first + 1 : second] + term[second + 1 :] + index
    return tensor, term


@functools.lru_cache(maxsize=1024)
def _next_pair(terms: tuple[str, ...], result: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[int, int]:
    """Which two operands to contract first, so that little is computed."""
    if len(terms) == 2:
        return 0, 1
    empty = [np.broadcast_to(np.zeros(()), shape) for shape in shapes]
    path, _ = np.einsum_path(f"{','.join(terms)}->{result}", *empty, optimize="greedy")
    one, two = path[1][:2]
    return one, two


@function()
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum over the last `dims` dimensions of `a` and the first of `b`, or over those in the two lists `dims`."""
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise RuntimeError(
                f"tensordot: {dims} dimensions of shapes {tuple(a.shape)} and {tuple(b.shape)} cannot be summed over: "
                f"give a number from 0 to {min(a.ndim, b.ndim)}"
            )
        dims = (range(a.ndim - dims, a.ndim), range(dims))
    of_a, of_b = (
        [shape.dim_of(int(dim), tensor.ndim, "tensordot") for dim in part]
        for part, tensor in zip(dims, (a, b), strict=True)
    )
    if len(of_a) != len(of_b) or any(a.shape[i] != b.shape[j] for i, j in zip(of_a, of_b, strict=True)):
        raise RuntimeError(
            f"tensordot: dimensions {of_a} of shape {tuple(a.shape)} and {of_b} of shape {tuple(b.shape)} must have "
            f"the same sizes, pair by pair"
        )
    letters = string.ascii_letters
    first, second = letters[: a.ndim], list(letters[a.ndim : a.ndim + b.ndim])
    for i, j in zip(of_a, of_b, strict=True):
        second[j] = first[i]
    shared = {first[i] for i in of_a}
    kept = "".join(index for index in first + "".join(second) if index not in shared)
    return einsum(f"{first},{''.join(second)}->{kept}", a, b)
