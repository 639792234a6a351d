"""Shapes, joins and cuts that do not fit: what is refused, with which words, and the nearest calls that are right."""

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


Call = Callable[[], Any]

REFUSED: dict[str, Mistake] = {
    # ---- shape ----
    "sizes and a name": (lambda: x(6).reshape(2, 3, shape=(2, 3)), TypeError, "one by one, as a sequence or by this"),
    "another name": (lambda: x(6).reshape(size=(2, 3)), TypeError, "give shape one by one"),
    "one name too many": (lambda: x(6).view(size=(2, 3), shape=(2, 3)), TypeError, "give size one by one"),
    "reshape: too few": (lambda: x(6).reshape(4), RuntimeError, r"6 elements of shape \(6,\) do not fit shape \(4,\)"),
    "reshape: too many": (lambda: x(6).reshape(2, 4), RuntimeError, "do not fit"),
    "reshape: a rest": (lambda: x(6).reshape(4, -1), RuntimeError, r"do not fit shape \(4, -1\)"),
    "reshape: two unknown": (lambda: x(6).reshape(-1, 2, -1), RuntimeError, "at most one may be -1"),
    "reshape: any size": (lambda: x(0).reshape(0, -1), RuntimeError, "reshape"),
    "reshape: nothing to something": (lambda: x(0).reshape(1), RuntimeError, "do not fit"),
    "view: a copy": (
        lambda: x(2, 3).T.view(6),
        RuntimeError,
        r"strides \(1, 3\) cannot be seen as \(6,\) without a copy",
    ),
    "view_as: a copy": (lambda: x(2, 3).T.view_as(x(6)), RuntimeError, "without a copy"),
    "flatten: backwards": (lambda: x(2, 3).flatten(1, 0), RuntimeError, "start_dim 1 comes after end_dim 0"),
    "flatten: no such": (lambda: x(2, 3).flatten(0, 2), IndexError, "flatten: dim 2 is out of range"),
    "flatten: no such in front": (lambda: x(2, 3).flatten(-3), IndexError, "flatten: dim -3 is out of range"),
    "unflatten: a rest": (lambda: x(6).unflatten(0, (4, -1)), RuntimeError, "must multiply to 6"),
    "unflatten: too few": (lambda: x(6).unflatten(0, (2, 2)), RuntimeError, "the size of dimension 0"),
    "unflatten: two unknown": (lambda: x(4).unflatten(0, (-1, -1)), RuntimeError, "at most one may be -1"),
    "unflatten: 1 and two unknown": (lambda: x(1).unflatten(0, (1, -1, -1)), RuntimeError, "at most one may be -1"),
    "unflatten: negative": (lambda: x(6).unflatten(0, (-2, -3)), RuntimeError, "must multiply to 6"),
    "unflatten: no such": (lambda: x(6).unflatten(1, (2, 3)), IndexError, "unflatten: dim 1"),
    "squeeze: twice": (lambda: x(1, 2).squeeze((0, -2)), RuntimeError, "appears twice in dim="),
    "squeeze: no such": (lambda: x(1, 2).squeeze(2), IndexError, "squeeze: dim 2"),
    "unsqueeze: too far": (lambda: x(2).unsqueeze(2), IndexError, "unsqueeze: dim 2"),
    "unsqueeze: too far in front": (lambda: x(2).unsqueeze(-3), IndexError, "unsqueeze: dim -3"),
    "expand: another size": (lambda: x(2).expand(3), RuntimeError, r"shape \(2,\) does not stretch to \(3,\)"),
    "expand: to 1": (lambda: x(2).expand(1), RuntimeError, "does not stretch"),
    "expand: fewer dimensions": (lambda: x(1, 2).expand(2), RuntimeError, "does not stretch"),
    "expand: -1 in front": (lambda: x(2).expand(-1, 2), RuntimeError, "keeps the size of one that is there"),
    "expand: -2": (lambda: x(1).expand(-2), RuntimeError, "does not stretch"),
    "broadcast_to": (lambda: minigrad.broadcast_to(x(2), (2, 3)), RuntimeError, "does not stretch"),
    "expand_as": (lambda: x(2).expand_as(x(3)), RuntimeError, "does not stretch"),
    "broadcast_tensors": (
        lambda: minigrad.broadcast_tensors(x(2), x(3)),
        RuntimeError,
        "broadcast_tensors: .*broadcast",
    ),
    "permute: too few": (lambda: x(2, 3).permute(0), RuntimeError, "does not name each of the 2 dimensions once"),
    "permute: twice": (lambda: x(2, 3).permute(0, -2), RuntimeError, "once"),
    "permute: no such": (lambda: x(2, 3).permute(0, 2), IndexError, "permute: dim 2"),
    "transpose: no such": (lambda: x(2, 3).transpose(0, 2), IndexError, "transpose: dim 2"),
    "transpose: no such in front": (lambda: x(2, 3).transpose(-3, 1), IndexError, "transpose: dim -3"),
    "t": (lambda: x(1, 2, 3).t(), RuntimeError, "at most 2 dimensions, this tensor has 3"),
    "mT of a vector": (lambda: x(2).mT, IndexError, "dim -2"),
    "movedim: more places": (
        lambda: x(2, 3).movedim((0,), (0, 1)),
        RuntimeError,
        "1 dimensions cannot move to 2 places",
    ),
    "unbind: of a number": (lambda: x().unbind(), IndexError, "unbind: a 0-d tensor has no dimension"),
    "movedim: to one place": (
        lambda: x(2, 3, 4).movedim((0, 1), (-2, 1)), RuntimeError, r"appears twice in destination=\(-2, 1\)",
    ),
    "movedim: from one place": (lambda: x(2, 3).movedim((0, 0), (0, 1)), RuntimeError, "appears twice in source="),
    "movedim: no such": (lambda: x(2, 3).movedim(2, 0), IndexError, "movedim: dim 2"),
    "movedim: no such place": (lambda: x(2, 3).movedim(0, -3), IndexError, "movedim: dim -3"),
    "flip: twice": (lambda: x(2, 3).flip(0, -2), RuntimeError, "appears twice in dims"),
    "flip: no such": (lambda: x(2, 3).flip(2), IndexError, "flip: dim 2"),
    "roll: a shift too many": (
        lambda: x(2, 3).roll((1, 1), 0),
        RuntimeError,
        "one shift for each dimension, not 2 for 1",
    ),
    "roll: shifts of no dimension": (lambda: x(2, 3).roll((1, 1)), RuntimeError, "not 2 for 1"),
    # ---- joining ----
    "cat: one tensor": (
        lambda: minigrad.cat(x(2)),
        TypeError,
        r"cat takes a sequence of tensors, such as cat\(\[x, y\]\)",
    ),
    "cat: an array": (lambda: minigrad.cat([x(2), np.ones(2)]), TypeError, "cat takes a sequence of tensors"),
    "cat: nothing": (lambda: minigrad.cat([]), RuntimeError, "cat needs at least one tensor"),
    "cat: other sizes": (
        lambda: minigrad.cat([x(2, 3), x(2, 2)]),
        RuntimeError,
        r"tensor 1 has shape \(2, 2\), the first \(2, 3\): sizes must agree except in dim 0",
    ),
    "cat: other sizes in front": (lambda: minigrad.cat([x(2, 3), x(1, 3)], 1), RuntimeError, "except in dim 1"),
    "cat: another rank": (lambda: minigrad.cat([x(2, 3), x(3)]), RuntimeError, "tensor 1 has shape"),
    "cat: a longer one": (lambda: minigrad.cat([x(2), x(2, 3)]), RuntimeError, "tensor 1 has shape"),
    "cat: numbers": (lambda: minigrad.cat([x(), x()]), RuntimeError, r"0-d tensors cannot be joined: use stack\(\)"),
    "cat: no such": (lambda: minigrad.cat([x(2)], 1), IndexError, "cat: dim 1"),
    "stack: other shapes": (lambda: minigrad.stack([x(2), x(1)]), RuntimeError, r"these have \(1,\) and \(2,\)"),
    "stack: no such": (lambda: minigrad.stack([x(2)], 2), IndexError, "stack: dim 2"),
    "stack: nothing": (lambda: minigrad.stack([]), RuntimeError, "stack needs at least one tensor"),
    "hstack: one tensor": (lambda: minigrad.hstack(x(2)), TypeError, "hstack takes a sequence"),
    "vstack: nothing": (lambda: minigrad.vstack([]), RuntimeError, "vstack needs at least one"),
    "split: of size 0": (lambda: x(4).split(0), RuntimeError, "size of a piece must be positive, got 0"),
    "split: of size -1": (lambda: x(0).split(-1), RuntimeError, "must be positive, got -1"),
    "split: too few": (
        lambda: x(4).split([1, 2]),
        RuntimeError,
        r"\[1, 2\] must be positive and add up to 4, the size of dim 0",
    ),
    "split: negative": (lambda: x(4).split([5, -1]), RuntimeError, "must be positive"),
    "split: none": (lambda: x(4).split([]), RuntimeError, "add up to 4"),
    "split: no such": (lambda: x(4).split(2, 1), IndexError, "split: dim 1"),
    "chunk": (lambda: x(4).chunk(0), RuntimeError, "number of chunks must be positive, got 0"),
    "tensor_split": (lambda: x(4).tensor_split(0), RuntimeError, "number of pieces must be positive, got 0"),
    "unbind: no such": (lambda: x(4).unbind(1), IndexError, "unbind: dim 1"),
    "repeat: too few": (lambda: x(2, 3).repeat(2), RuntimeError, "2 dimensions need at least as many numbers"),
    "repeat: negative": (lambda: x(2).repeat(-1), RuntimeError, "none of them negative"),
    "repeat_interleave: negative": (lambda: x(2).repeat_interleave(-1), RuntimeError, "must not be negative, got -1"),
    "repeat_interleave: one negative": (
        lambda: x(2).repeat_interleave(minigrad.tensor([1, -1])),
        RuntimeError,
        "negative",
    ),
    "meshgrid: a matrix": (
        lambda: minigrad.meshgrid(x(2), x(2, 2)),
        RuntimeError,
        r"at most 1 dimension, .* \(2,\), \(2, 2\)",
    ),
    "meshgrid: indexing": (
        lambda: minigrad.meshgrid(x(2), x(3), indexing="yx"),
        RuntimeError,
        "'ij' or 'xy', not 'yx'",
    ),
    # ---- diagonals ----
    "tril: a vector": (lambda: x(3).tril(), RuntimeError, "at least 2 dimensions"),
    "triu: a number": (lambda: x().triu(), RuntimeError, "at least 2 dimensions"),
    "diag: of rank 3": (lambda: x(1, 2, 2).diag(), RuntimeError, "takes a vector or a matrix, this tensor has 3"),
    "diag: a number": (lambda: x().diag(), RuntimeError, "this tensor has 0"),
    "trace: a vector": (lambda: x(2).trace(), RuntimeError, "takes a matrix, this tensor has 1"),
    "unfold: too large": (
        lambda: x(3).unfold(0, 4, 1),
        RuntimeError,
        "windows of 4 with step 1 do not fit .* of size 3",
    ),
    "unfold: of size 0": (lambda: x(3).unfold(0, 0, 1), RuntimeError, "windows of 0"),
    "unfold: no step": (lambda: x(3).unfold(0, 2, 0), RuntimeError, "with step 0"),
    "unfold: no such": (lambda: x(3).unfold(1, 2, 1), IndexError, "unfold: dim 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str) -> None:
    check_refused(REFUSED[name])


# Next to a mistake, and none; with the shape (or the shapes) that comes out.
RIGHT: dict[str, tuple[Call, Any]] = {
    "reshape: a name": (lambda: x(6).reshape(shape=(2, 3)), (2, 3)),
    "reshape: one list": (lambda: x(6).reshape([2, 3]), (2, 3)),
    "reshape: one number": (lambda: x(6).reshape(6), (6,)),
    "reshape: a number from 0-d": (lambda: x(1).reshape(()), ()),
    "reshape: nothing": (lambda: x(0).reshape(-1, 2), (0, 2)),
    "view: nothing": (lambda: x(0, 2).T.view(0), (0,)),
    "view_as": (lambda: x(6).view_as(x(2, 3)), (2, 3)),
    "flatten: one dimension": (lambda: x(2, 3).flatten(1, 1), (2, 3)),
    "flatten: a number": (lambda: x().flatten(), (1,)),
    "flatten: from the end": (lambda: x(2, 3, 4).flatten(-2), (2, 12)),
    "unflatten": (lambda: x(2, 6).unflatten(-1, (-1, 3)), (2, 2, 3)),
    "unflatten: nothing": (lambda: x(0).unflatten(0, (2, 0)), (2, 0)),
    "unflatten: unknown of nothing": (lambda: x(0).unflatten(0, (2, -1)), (2, 0)),
    "squeeze: two": (lambda: x(1, 2, 1).squeeze((0, 2)), (2,)),
    "squeeze: not of size 1": (lambda: x(1, 2).squeeze(1), (1, 2)),
    "unsqueeze: behind all": (lambda: x(2).unsqueeze(-1), (2, 1)),
    "unsqueeze: in front of all": (lambda: x(2).unsqueeze(-2), (1, 2)),
    "expand: -1 keeps": (lambda: x(1, 2).expand(3, -1), (3, 2)),
    "expand: to nothing": (lambda: x(1).expand(0), (0,)),
    "permute: nothing": (lambda: x().permute(), ()),
    "movedim: two": (lambda: x(2, 3, 4).movedim((0, 1), (-1, 0)), (3, 4, 2)),
    "transpose: a number": (lambda: x().transpose(0, -1), ()),
    "t: a number": (lambda: x().t(), ()),
    "flip: a number": (lambda: x().flip(0), ()),
    "cat: by axis": (lambda: minigrad.cat([x(2, 3), x(2, 1)], axis=1), (2, 4)),
    "cat: an empty vector": (lambda: minigrad.cat([x(0), x(2, 3), x(0)]), (2, 3)),
    "split: nothing in one piece": (lambda: x(0).split(0), [(0,)]),
    "split: nothing": (lambda: x(0).split(3), [(0,)]),
    "split: a smaller last one": (lambda: x(5).split(2), [(2,), (2,), (1,)]),
    "split: an empty piece": (lambda: x(2).split([0, 2]), [(0,), (2,)]),
    "split: into none": (lambda: x(0).split([]), []),
    "chunk: more than there are": (lambda: x(2).chunk(3), [(1,), (1,)]),
    "chunk: of nothing": (lambda: x(0).chunk(3), [(0,), (0,), (0,)]),
    "chunk: one": (lambda: x(2).chunk(1), [(2,)]),
    "tensor_split: one piece": (lambda: x(2).tensor_split(1), [(2,)]),
    "tensor_split: the first are larger": (lambda: x(5).tensor_split(3), [(2,), (2,), (1,)]),
    "tensor_split: cuts": (lambda: x(5).tensor_split([1, 4, 2]), [(1,), (3,), (0,), (3,)]),
    "unbind: nothing": (lambda: x(0, 2).unbind(), []),
    "repeat: none": (lambda: x(2).repeat(0), (0,)),
    "repeat: more dimensions": (lambda: x(2).repeat(2, 3), (2, 6)),
    "repeat_interleave: of none": (lambda: x(0).repeat_interleave(2), (0,)),
    "repeat_interleave: none": (lambda: x(2).repeat_interleave(0), (0,)),
    "meshgrid: a number": (lambda: minigrad.meshgrid(x(), x(2)), [(1, 2), (1, 2)]),
    "meshgrid: xy of one": (lambda: minigrad.meshgrid(x(2), indexing="xy"), [(2,)]),
    "meshgrid: xy": (lambda: minigrad.meshgrid([x(2), x(3)], indexing="xy"), [(3, 2), (3, 2)]),
    "diag: of nothing": (lambda: x(0).diag(), (0, 0)),
    "unfold: the whole": (lambda: x(3).unfold(0, 3, 5), (1, 3)),
    "unfold: single": (lambda: x(3).unfold(-1, 1, 1), (3, 1)),
}  # fmt: skip


def test_windows_along_the_last_dimension_and_a_diagonal_that_is_written() -> None:
    assert x(1, 4).unfold(1, 2, 2).tolist() == [[[0.0, 1.0], [2.0, 3.0]]]
    matrix = x(2, 2)
    matrix.diagonal().fill_(7.0)
    assert matrix.tolist() == [[7.0, 1.0], [2.0, 7.0]]


def test_an_empty_vector_that_is_left_out_counts_for_the_dtype() -> None:
    assert minigrad.cat([minigrad.zeros(0, dtype=minigrad.float64), x(2, 3)]).dtype == minigrad.float64
    assert minigrad.cat([minigrad.zeros(0, dtype=minigrad.int64), x(2, 3)]).dtype == minigrad.float32


@pytest.mark.parametrize("name", RIGHT)
def test_what_fits_has_the_right_shape(name: str) -> None:
    call, expected = RIGHT[name]
    found = call()
    assert (tuple(found.shape) if isinstance(found, Tensor) else [tuple(one.shape) for one in found]) == expected
