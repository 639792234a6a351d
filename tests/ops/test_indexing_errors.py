"""Indices of the wrong kind, number or shape, what cannot be written, and the nearest calls that are right.

Places out of range are drawn in `test_wrong_indices.py`, right ones in every form in `tests/specs`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from refusals import Mistake, check_refused

import minigrad
from minigrad import Tensor


def x(*sizes: int) -> Tensor:
    """Numbers 0, 1, ... in a shape."""
    return minigrad.arange(int(np.prod(sizes))).reshape(sizes).to(minigrad.float32)


def mask(*places: int) -> Tensor:
    """A mask of numbers 0 and 1."""
    return minigrad.tensor(places).bool()


def written(tensor: Tensor, index: Any, value: Any) -> Tensor:
    """The tensor after `tensor[index] = value`."""
    tensor[index] = value
    return tensor


def places(*index: int) -> Tensor:
    """An index."""
    return minigrad.tensor(index, dtype=minigrad.int64)


Call = Callable[[], Any]

REFUSED: dict[str, Mistake] = {
    "too many": (lambda: x(2, 3)[0, 1, 2], IndexError, "too many indices: 3 for a tensor of 2 dimensions"),
    "too many with a mask": (lambda: x(2)[mask(1, 0), 0], IndexError, "too many indices: 2 for a tensor of 1"),
    "too many with a list": (lambda: x(2)[0, [0]], IndexError, "too many indices: 2 for a tensor of 1"),
    "too many of a number": (lambda: x()[0], IndexError, "too many indices: 1 for a tensor of 0"),
    "too many around dots": (lambda: x(2)[0, ..., 0], IndexError, "index"),
    "dots twice": (lambda: x(2, 3)[..., 0, ...], IndexError, "only one ellipsis"),
    "behind dots": (lambda: x(2, 3)[..., 3], IndexError, r"index 3 is out of range for dimension 1 of size 3 \(the"),
    "behind dots and None": (lambda: x(2, 3)[..., None, 3], IndexError, "index 3 is out of range for dimension 1"),
    "between dots and a mask": (
        lambda: x(2, 3, 2)[..., 3, mask(1, 0)], IndexError, "index 3 is out of range for dimension 1",
    ),
    "behind None": (lambda: x(2, 3)[None, 2], IndexError, "index 2 is out of range for dimension 0"),
    "behind a slice": (lambda: x(2, 3)[:, -4], IndexError, "index -4 is out of range for dimension 1"),
    "behind a list": (lambda: x(2, 3)[[0], 3], IndexError, "index 3 is out of range for dimension 1"),
    "a list behind a slice": (lambda: x(2, 3)[:, [3]], IndexError, "index 3 is out of range for dimension 1 of size 3"),
    "behind a mask of a matrix": (
        lambda: x(2, 1, 2)[minigrad.ones(2, 1).bool(), 2], IndexError, "index 2 is out of range for dimension 2",
    ),
    "floats": (lambda: x(2)[minigrad.tensor([0.0])], IndexError, "of integers or a mask of bools, got float32"),
    "a list of floats": (lambda: x(2)[[0.5]], IndexError, "of integers or a mask of bools, got float64"),
    "a mask too short": (lambda: x(3)[mask(1, 0)], IndexError, r"of shape \(2,\) does not fit dimensions 0 to 0"),
    "a mask of another dimension": (
        lambda: x(2, 3)[:, mask(1, 0)], IndexError, r"does not fit dimensions 1 to 1 of a tensor of shape \(2, 3\)",
    ),
    "a mask of too many": (
        lambda: x(2)[minigrad.ones(2, 1).bool()], IndexError, r"of shape \(2, 1\) does not fit dimensions 0 to 1",
    ),
    "too wide to write": (
        lambda: written(x(2, 3), 0, x(2, 3)), RuntimeError, r"shape \(2, 3\) cannot be put into .* shape \(3,\)",
    ),
    "too short to write": (lambda: written(x(3), slice(0, 3), x(2)), RuntimeError, "cannot be put into a region"),
    "too short for nothing": (lambda: written(x(0), slice(0, 0), x(2)), RuntimeError, "cannot be put into a region"),
    "too short for places": (lambda: written(x(3), [0, 1, 2], x(2)), RuntimeError, "cannot be put into a region"),
    "no number of a list": (lambda: written(x(3), 0, [1.0, 2.0]), RuntimeError, "cannot be put into a region"),
    "index_put: too long": (lambda: x(3).index_put((places(0),), x(2)), RuntimeError, "cannot be put into a region"),
    "index_select: a matrix": (
        lambda: x(2).index_select(0, places(0)[None]), IndexError, r"at most 1 dimension, this one has 2: use",
    ),
    "index_select: no such": (lambda: x(2).index_select(1, places(0)), IndexError, "index_select: dim 1"),
    "index_select: an int": (lambda: x(2).index_select(0, 1), IndexError, "index_select: .* tensor of integers"),
    "index_add: a slice too few": (
        lambda: x(2, 3).index_add(0, places(0, 1), x(1, 3)),
        RuntimeError,
        r"index_add: source has shape \(1, 3\), with this index it must be \(2, 3\): one slice for each place",
    ),
    "index_copy: of another size": (
        lambda: x(2, 3).index_copy(1, places(0), x(1, 1)), RuntimeError, r"index_copy: .* it must be \(2, 1\)",
    ),
    "index_select: a number twice": (
        lambda: x().index_select(0, places(0, 0)), RuntimeError, "index_select: a 0-d tensor has one slice, .* names 2",
    ),
    "index_add: a number twice": (
        lambda: x().index_add(0, places(0, 0), x()), RuntimeError, "index_add: a 0-d tensor has one slice, .* names 2",
    ),
    "index_add: a vector to a number": (
        lambda: x().index_add(0, places(0), x(1)), RuntimeError, r"index_add: source has shape \(1,\), .* must be \(\)",
    ),
    "index_copy: a slice too many": (
        lambda: x(2, 3).index_copy(0, places(0), x(2, 3)), IndexError, "names 1 places in dimension 0, source has 2",
    ),
    "take_along_dim: a list": (lambda: x(2).take_along_dim([0], 0), TypeError, "take_along_dim: .* tensor of integers"),
    "take_along_dim: of a number": (
        lambda: x().take_along_dim(places(0), 0), RuntimeError, "the index has 1 dimensions, the tensor 0",
    ),
    "index_put: too many dimensions": (
        lambda: x(3).index_put((places(0),), x(1, 1)), RuntimeError, r"shape \(1, 1\) do not stretch to .* \(1,\)",
    ),
    "index_put: a number": (lambda: x(3).index_put((places(0),), 3.0), TypeError, "must be a Tensor, got float"),
    "diff: a list": (lambda: x(2).diff(prepend=[1.0]), TypeError, "diff: prepend must be a Tensor, got list"),
    "diff: another shape, and nothing to do": (
        lambda: x(2, 3).diff(0, 0, prepend=x(1, 4)), RuntimeError, r"prepend has shape \(1, 4\), .* except in dim 0",
    ),
    "index_fill: numbers": (
        lambda: x(2).index_fill(0, places(0), x(1)), RuntimeError, r"one number, got shape \(1,\): use index_copy\(\)",
    ),
    "gather: of a number": (
        lambda: x().gather(0, places(1)), IndexError, "^gather: index 1 is out of range for dimension 0 of size 1$",
    ),
    "select: no such": (lambda: x(2).select(1, 0), IndexError, "select: dim 1"),
    "narrow: behind the end": (lambda: x(3).narrow(0, 4, 0), IndexError, "start 4 is out of range for dim"),
    "narrow: in front": (lambda: x(3).narrow(0, -4, 1), IndexError, "start -4 is out of range"),
    "narrow: too long": (lambda: x(3).narrow(0, 2, 2), RuntimeError, "places 2 to 4 do not lie in dimension 0"),
    "narrow: too long from the end": (lambda: x(3).narrow(0, -1, 2), RuntimeError, "do not lie in dimension 0"),
    "narrow: negative": (lambda: x(3).narrow(0, 1, -1), RuntimeError, "do not lie in dimension 0"),
    "masked_select": (lambda: x(3).masked_select(mask(1, 0)), RuntimeError, "broadcast"),
    "scatter: reduce": (
        lambda: x(2).scatter(0, places(0), x(1), reduce="add"), RuntimeError, "reduce='add' is not offered: use",
    ),
    "sort: no such": (lambda: x(2).sort(1), IndexError, "sort: dim 1"),
    "topk: too many": (lambda: x(2).topk(3), RuntimeError, "k=3 is out of range for dimension 0 of size 2"),
    "topk: too many numbers": (lambda: x().topk(2), RuntimeError, "k=2 is out of range for dimension 0 of size 1"),
    "topk: negative": (lambda: x(2).topk(-1), RuntimeError, "k=-1 is out of range"),
    "topk: no such": (lambda: x(2).topk(1, 1), IndexError, "topk: dim 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_index_or_does_not_fit_is_refused(name: str) -> None:
    check_refused(REFUSED[name])


# Next to a mistake, and none; with what comes out.
RIGHT: dict[str, tuple[Call, Any]] = {
    "a range": (lambda: x(4)[range(1, 3)], [1.0, 2.0]),
    "an empty list": (lambda: x(2)[[]], []),
    "an empty list of a matrix": (lambda: x(2, 0)[:, []], [[], []]),
    "one place of a tensor": (lambda: x(2, 2)[minigrad.tensor(1)], [2.0, 3.0]),
    "one place of each": (lambda: x(2, 2)[minigrad.tensor(1), minigrad.tensor(-2)], 2.0),
    "bytes as a mask": (lambda: x(3)[minigrad.tensor([1, 0, 2], dtype=minigrad.uint8)], [0.0, 2.0]),
    "an array of bytes as places": (lambda: x(3)[np.array([1, 0, 2], np.uint8)], [1.0, 0.0, 2.0]),
    "a numpy int": (lambda: x(2, 2)[np.int32(1)], [2.0, 3.0]),
    "slices of 0-d tensors": (lambda: x(5)[minigrad.tensor(1) : minigrad.tensor(4) : minigrad.tensor(2)], [1.0, 3.0]),
    "a matrix of places in front of an int": (lambda: x(2, 3)[[[0, 1]], 2], [[2.0, 5.0]]),
    "True": (lambda: x(2)[True], [[0.0, 1.0]]),
    "False": (lambda: x(2)[False], []),
    "dots for nothing": (lambda: x(2)[..., 1], 1.0),
    "dots of a number": (lambda: x()[...], 0.0),
    "dots in front of a mask": (lambda: x(2, 3)[..., mask(0, 1, 1)], [[1.0, 2.0], [4.0, 5.0]]),
    "dots between": (lambda: x(2, 1, 2)[1, ..., -1], [3.0]),
    "write to nothing": (lambda: written(x(0), slice(0, 0), 5.0), []),
    "write a row of one": (lambda: written(x(2), slice(0, 2), minigrad.ones(1, 1, 2)), [1.0, 1.0]),
    "write another dtype": (lambda: written(x(2), 0, places(7)[0]), [7.0, 1.0]),
    "write a number to places": (lambda: written(x(3), [0, 2], 7), [7.0, 1.0, 7.0]),
    "write an array": (lambda: written(x(3), [0, 2], np.array([7, 8])), [7.0, 1.0, 8.0]),
    "index_select: one place": (lambda: x(2, 2).index_select(0, minigrad.tensor(1)), [[2.0, 3.0]]),
    "index_put: accumulate": (lambda: x(2).index_put((places(0, 0),), x(1) + 2, accumulate=True), [4.0, 1.0]),
    "index_add: alpha": (lambda: x(2).index_add(0, places(1), x(1) + 1, alpha=3), [0.0, 4.0]),
    "index_add: as integers": (lambda: places(1, 2).index_add(0, places(0, 0), places(2, 3), alpha=2), [11, 2]),
    "index_fill: a tensor": (lambda: x(2).index_fill(0, places(-1), minigrad.tensor(5)), [0.0, 5.0]),
    "index_fill: a number, once, twice or not": (
        lambda: [x().index_fill(0, places(*at), 5.0).item() for at in ((0,), (0, 0), ())], [5.0, 5.0, 0.0],
    ),
    "index_copy: a number without dimensions": (lambda: x(2).index_copy(0, places(1), x() + 7), [0.0, 7.0]),
    "index_copy: a vector into a number": (lambda: x().index_copy(0, places(0, 0), x(2)), 1.0),
    "narrow: nothing at the end": (lambda: x(3).narrow(0, 3, 0), []),
    "narrow: from the front, counted from the end": (lambda: x(3).narrow(0, -3, 3), [0.0, 1.0, 2.0]),
    "nonzero: of a number": (lambda: x().nonzero().shape, (0, 0)),
    "nonzero: of another number": (lambda: (x() + 1).nonzero().shape, (1, 0)),
    "nonzero: as a tuple": (lambda: [one.tolist() for one in x(2, 2).nonzero(as_tuple=True)], [[0, 1, 1], [1, 0, 1]]),
    "nonzero: a number as a tuple": (lambda: [one.tolist() for one in (x() + 1).nonzero(as_tuple=True)], [[0]]),
    "take_along_dim: a number": (lambda: (x() + 1).take_along_dim(minigrad.tensor(-1), 0), 1.0),
    "take_along_dim: bytes": (lambda: x(1, 200).take_along_dim(places(-1)[None].to(minigrad.int8), 1), [[199.0]]),
    "topk: none": (lambda: x(2).topk(0).values, []),
    "topk: a number": (lambda: (x() + 1).topk(1).values, 1.0),
    "topk: the smallest, not sorted": (lambda: x(3).topk(2, largest=False, sorted=False).indices, [0, 1]),
    "unique: alone": (lambda: minigrad.tensor([2, 1, 2]).unique(), [1, 2]),
    "unique: of a matrix": (lambda: minigrad.tensor([[2, 1], [2, 3]]).unique(return_inverse=True)[1], [[1, 0], [1, 2]]),
    "scatter: a number of another dtype": (lambda: places(1, 2).scatter(0, places(0), value=7.9), [7, 2]),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_gives_what_it_should(name: str) -> None:
    call, expected = RIGHT[name]
    found = call()
    assert (found.tolist() if isinstance(found, Tensor) else found) == expected


def test_ints_and_slices_look_at_the_tensor() -> None:
    tensor = x(2, 3)
    tensor[1, ::2].fill_(9.0)
    assert tensor.tolist() == [[0.0, 1.0, 2.0], [9.0, 4.0, 9.0]]
    tensor[minigrad.tensor(0)].fill_(7.0)  # one place, too
    assert tensor[0].tolist() == [7.0, 7.0, 7.0]


def test_what_is_written_gets_the_gradient() -> None:
    value = x(2).requires_grad_()
    for index in (slice(0, 2), [0, 1]):
        (2 * written(x(2), index, value)).sum().backward()
    assert value.grad.tolist() == [4.0, 4.0]


def test_index_fill_along_a_dimension_between_others() -> None:
    filled = x(2, 3, 2).index_fill(1, places(0, -1), 9.0)
    assert filled.tolist() == [[[9.0, 9.0], [2.0, 3.0], [9.0, 9.0]], [[9.0, 9.0], [8.0, 9.0], [9.0, 9.0]]]


def test_the_places_that_come_out_are_int64() -> None:
    for found in (
        x(2, 2).nonzero(), x().nonzero(), x(2).nonzero(as_tuple=True)[0], x(2).sort().indices,
        x().sort().indices, x(2).topk(1).indices, x(2).argsort(), x(2).argwhere(),
        *x(2).unique(return_inverse=True, return_counts=True)[1:],
    ):  # fmt: skip
        assert found.dtype == minigrad.int64


def test_what_the_graph_keeps_of_an_index_does_not_change_with_the_callers() -> None:
    for keeps in (places(0, 1), np.array([0, 1])):
        tensor = x(3).requires_grad_()
        chosen = tensor[keeps]
        keeps[0] = 2
        chosen.sum().backward()
        assert tensor.grad.tolist() == [1.0, 1.0, 0.0]


def test_equal_elements_stay_in_their_order_and_nan_is_the_largest() -> None:
    values = minigrad.tensor([[1.0, np.nan, 0.0, 1.0, np.nan, 0.0]])
    assert values.sort().indices.tolist() == [[2, 5, 0, 3, 1, 4]]
    assert values.sort(descending=True).indices.tolist() == [[1, 4, 0, 3, 2, 5]]
    assert values.argsort(-1, True).tolist() == [[1, 4, 0, 3, 2, 5]]
    assert values.topk(3, largest=False).indices.tolist() == [[2, 5, 0]]
