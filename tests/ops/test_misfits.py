"""Products, recurrent steps and losses whose sizes, dtypes or words do not fit, and the nearest calls that do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from refusals import Mistake, check_refused

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor
from minigrad.ops import fused

ones = minigrad.ones
Call = Callable[[], Any]


def classes(*index: int) -> Tensor:
    """Class indices."""
    return minigrad.tensor(index, dtype=minigrad.int64)


def lstm(*sizes: int, batch_sizes: Any = None, B: int = 2, **other: Any) -> Any:
    """An LSTM of 3 features and 2 hidden ones on an input of these sizes."""
    given = {"h0": ones(B, 2), "c0": ones(B, 2), "w_ih": ones(8, 3), "w_hh": ones(8, 2), **other}
    return fused.lstm(ones(*sizes), **given, batch_sizes=batch_sizes)


def gru_cell(*sizes: int, **other: Any) -> Any:
    """A step of a GRU of 3 features and 2 hidden ones on an input of these sizes."""
    given = {"hx": ones(*sizes[:-1], 2), "w_ih": ones(6, 3), "w_hh": ones(6, 2), **other}
    return fused.gru_cell(ones(*sizes), **given)


REFUSED: dict[str, Mistake] = {
    # ---- linalg ----
    "bmm: other batches": (lambda: ones(2, 1, 1).bmm(ones(1, 1, 1)), RuntimeError, "batches have sizes 2 and 1"),
    "addmm: more rows": (lambda: ones(3, 2).addmm(ones(2, 2), ones(2, 2)), RuntimeError, r"\(3, 2\) does not"),
    "addmm: another rank": (lambda: ones(1, 2, 2).addmm(ones(2, 2), ones(2, 2)), RuntimeError, "does not stretch"),
    "addmm: ends alone": (lambda: ones(3, 2).addmm(ones(2, 2), ones(2, 2)), RuntimeError, "product has shape"),
    "addmv: more rows": (lambda: ones(3).addmv(ones(2, 2), ones(2)), RuntimeError, "product has shape"),
    "matmul: vectors": (lambda: ones(2) @ ones(3), RuntimeError, "has size 2 and dimension 0 of the second 3"),
    "matmul: a number behind": (lambda: ones(2) @ ones(()), RuntimeError, r"multiply by a number with \*"),
    "matmul: one vector": (lambda: ones(3) @ ones(2, 3), RuntimeError, "of the second 2, .*transpose the second"),
    "matmul: a column": (lambda: ones(2, 3) @ ones(2), RuntimeError, "of the second 2, .*transpose the first"),
    "matmul: no help": (lambda: ones(2, 3) @ ones(4), RuntimeError, "must be equal$"),
    "linear: a number": (lambda: F.linear(ones(()), ones(2, 3)), RuntimeError, r"input must be \(..., in\)"),
    "linear: a weight of rank 3": (lambda: F.linear(ones(3), ones(1, 2, 3)), RuntimeError, "weight .out, in"),
    "linear: a weight of rank 0": (lambda: F.linear(ones(3), ones(())), RuntimeError, "weight .out, in"),
    "linear: transposed": (lambda: F.linear(ones(1, 2), ones(2, 3)), RuntimeError, r"transpose the weight with \.T"),
    "linear: features": (lambda: F.linear(ones(1, 4), ones(2, 3)), RuntimeError, "takes 3 features$"),
    "linear: a dtype": (
        lambda: F.linear(ones(1, 3), ones(2, 3).double()), RuntimeError, "input is float32 and weight is float64",
    ),
    "linear: the bias's dtype": (
        lambda: F.linear(ones(1, 3), ones(2, 3), ones(2).double()), RuntimeError, "float32 and bias is float64",
    ),
    "linear: the bias's size": (
        lambda: F.linear(ones(1, 3), ones(2, 3), ones(1)), RuntimeError, r"must have shape \(2,\), it has \(1,\)",
    ),
    # ---- einsum ----
    "einsum: no tensor": (lambda: minigrad.einsum("i", np.ones(2)), TypeError, "0 must be a Tensor, got ndarray"),
    "einsum: too many dimensions": (lambda: minigrad.einsum("ij", ones(2)), RuntimeError, "'ij' names 2 .* has 1"),
    "einsum: too few": (lambda: minigrad.einsum("i", ones(2, 2)), RuntimeError, "'i' names 1 .* would stand for"),
    "einsum: too many beside dots": (lambda: minigrad.einsum("...ij", ones(2)), RuntimeError, "'...ij' names 2"),
    "einsum: dots twice": (lambda: minigrad.einsum("...i...", ones(2)), RuntimeError, r"\.\.\.i\.\.\."),
    "einsum: dots that do not fit": (lambda: minigrad.einsum("...,...", ones(2), ones(3)), RuntimeError, "size 2 .* 3"),
    "einsum: within one": (lambda: minigrad.einsum("ii", ones(2, 3)), RuntimeError, "index 'i' has size 2 .* and 3"),
    "einsum: a list of letters": (lambda: minigrad.einsum(ones(2), "i"), TypeError, "list of its indices, got str"),
    "einsum: number 52": (lambda: minigrad.einsum(ones(2), [52]), RuntimeError, r"0 to 51 or Ellipsis, got \[52\]"),
    "einsum: number -1": (lambda: minigrad.einsum(ones(2), [-1]), RuntimeError, r"got \[-1\]"),
    "tensordot: too many": (
        lambda: minigrad.tensordot(ones(2), ones(2, 2), 2), RuntimeError, "2 dimensions of .* a number from 0 to 1",
    ),
    "tensordot: negative": (lambda: minigrad.tensordot(ones(2), ones(2), -1), RuntimeError, "-1 dimensions of"),
    "tensordot: more of one": (
        lambda: minigrad.tensordot(ones(2, 2), ones(2), ([0, 1], [0])), RuntimeError, "the same sizes, pair by pair",
    ),
    "tensordot: other sizes": (
        lambda: minigrad.tensordot(ones(2), ones(3), ([0], [0])), RuntimeError, r"\[0\] of shape \(2,\) and \[0\]",
    ),
    "tensordot: no such": (lambda: minigrad.tensordot(ones(2), ones(2), ([1], [0])), IndexError, "tensordot: dim 1"),
    # ---- recurrent ----
    "lstm: a matrix": (lambda: lstm(2, 3), RuntimeError, r"\(T, B, I\): steps, .* got shape \(2, 3\)"),
    "lstm: a vector": (lambda: lstm(3), RuntimeError, "lstm: input must be"),
    "lstm: no steps": (lambda: lstm(0, 2, 3), RuntimeError, r"input of shape \(0, 2, 3\) has no steps"),
    "lstm: a state of other rows": (lambda: lstm(1, 2, 3, h0=ones(1, 2)), RuntimeError, r"h0 has shape \(1, 2\)"),
    "lstm: a state without rows": (lambda: lstm(1, 2, 3, h0=ones(2)), RuntimeError, r"h0 has .* must be \(2, 2\)"),
    "lstm: a number for a state": (lambda: lstm(1, 2, 3, h0=ones(())), RuntimeError, r"size 0 .* must be \(2, 0\)"),
    "lstm: a cell of another size": (lambda: lstm(1, 2, 3, c0=ones(2, 1)), RuntimeError, r"c0 has shape \(2, 1\)"),
    "lstm: a bias": (lambda: lstm(1, 2, 3, b_ih=ones(2)), RuntimeError, r"b_ih has shape \(2,\), .* must be \(8,\)"),
    "lstm: packed, of rank 3": (
        lambda: lstm(1, 2, 3, batch_sizes=[1]), RuntimeError, r"packed input must be \(N, I\).* got \(1, 2, 3\)",
    ),
    "lstm: packed, growing": (
        lambda: lstm(3, 3, batch_sizes=[1, 2], B=1), RuntimeError, r"never grow, .* got \[1, 2\]",
    ),
    "lstm: packed, an empty step": (
        lambda: lstm(2, 3, batch_sizes=[2, 0]), RuntimeError, "batch_sizes must be at least 1",
    ),
    "lstm: packed, no step": (lambda: lstm(0, 3, batch_sizes=[]), RuntimeError, "batch_sizes must be at least 1"),
    "lstm: packed, rows left": (
        lambda: lstm(4, 3, batch_sizes=[2, 1]), RuntimeError, r"add up to the 4 rows of the packed input, got \[2, 1\]",
    ),
    "lstm: packed, fewer states": (
        lambda: lstm(3, 3, batch_sizes=[2, 1], B=1), RuntimeError, r"h0 has shape \(1, 2\), .* must be \(2, 2\)",
    ),
    "gru_cell: a sequence": (lambda: gru_cell(1, 2, 3), RuntimeError, r"\(B, I\) or \(I\): .* got shape \(1, 2, 3\)"),
    "gru_cell: a number": (lambda: gru_cell(hx=ones(2)), RuntimeError, r"gru_cell: input must be \(B, I\) or \(I\)"),
    "gru_cell: rows for one": (lambda: gru_cell(3, hx=ones(1, 2)), RuntimeError, r"hx has shape \(1, 2\)"),
    "gru_cell: gates": (lambda: gru_cell(2, 3, w_hh=ones(8, 2)), RuntimeError, r"w_hh .* must be \(6, 2\)"),
    "rnn_cell: a word": (
        lambda: fused.rnn_cell(ones(3), ones(2), ones(2, 3), ones(2, 2), nonlinearity="Tanh"),
        RuntimeError,
        "rnn_cell: nonlinearity must be 'tanh' or 'relu', got 'Tanh'",
    ),
    # ---- losses ----
    "cross_entropy: a number": (lambda: F.cross_entropy(ones(()), classes(0)), RuntimeError, "got a number"),
    "cross_entropy: less smooth": (
        lambda: F.cross_entropy(ones(2), classes(0)[0], label_smoothing=-0.1), RuntimeError, "between 0 and 1, got -",
    ),
    "cross_entropy: a row for one": (
        lambda: F.cross_entropy(ones(2), classes(0)), RuntimeError, r"must be \(\): the class indices of \(C\)$",
    ),
    "cross_entropy: places": (
        lambda: F.cross_entropy(ones(2, 3, 4), classes(0, 0)), RuntimeError, r"must be \(2, 4\): .* dimension 1, the",
    ),
    "cross_entropy: a weight's dtype": (
        lambda: F.cross_entropy(ones(1, 2), classes(0), ones(2).double()), RuntimeError, "weight is float64",
    ),
    "cross_entropy: a class ignored of distributions": (
        lambda: F.cross_entropy(ones(1, 2), ones(1, 2), ignore_index=0), RuntimeError, "ignore_index is 0, but target",
    ),
    "nll_loss: distributions": (lambda: F.nll_loss(ones(1, 2), ones(1)), RuntimeError, "integer dtype, it is float"),
    "nll_loss: a reduction": (
        lambda: F.nll_loss(ones(1, 2), classes(0), reduction="max"), ValueError, "nll_loss: reduction is .* not 'max'",
    ),
    "nll_loss: a weight": (lambda: F.nll_loss(ones(1, 2), classes(0), ones(1)), RuntimeError, "one weight for each"),
    "linear_cross_entropy: a reduction": (
        lambda: F.linear_cross_entropy(ones(1, 2), ones(3, 2), classes(0), reduction="avg"), ValueError, "not 'avg'",
    ),
    "linear_cross_entropy: smooth": (
        lambda: F.linear_cross_entropy(ones(1, 2), ones(3, 2), classes(0), label_smoothing=1.1), RuntimeError, "1.1",
    ),
    "linear_cross_entropy: a table": (
        lambda: F.linear_cross_entropy(ones(1, 2), ones(2), classes(0)), RuntimeError, r"linear_weight \(2,\)",
    ),
    "linear_cross_entropy: a number": (
        lambda: F.linear_cross_entropy(ones(()), ones(1, 1), classes(0)), RuntimeError, r"input \(\) and linear_weight",
    ),
    "linear_cross_entropy: the bias's dtype": (
        lambda: F.linear_cross_entropy(ones(1, 2), ones(3, 2), classes(0), linear_bias=ones(3).double()),
        RuntimeError,
        "linear_bias float64",
    ),
    "linear_cross_entropy: a weight": (
        lambda: F.linear_cross_entropy(ones(1, 2), ones(3, 2), classes(0), weight=ones(2)),
        RuntimeError,
        r"must be float32 of shape \(3,\)",
    ),
    "linear_cross_entropy: a class ignored of distributions": (
        lambda: F.linear_cross_entropy(ones(1, 2), ones(3, 2), ones(1, 3), ignore_index=2), RuntimeError, "index is 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str) -> None:
    check_refused(REFUSED[name])


# Next to a mistake, and none; with the shape of what comes out, of the first of several.
RIGHT: dict[str, tuple[Call, tuple[int, ...]]] = {
    "addmm: a row": (lambda: ones(2).addmm(ones(3, 2), ones(2, 2)), (3, 2)),
    "addmm: a column": (lambda: ones(3, 1).addmm(ones(3, 2), ones(2, 2)), (3, 2)),
    "addmm: a number": (lambda: ones(()).addmm(ones(3, 2), ones(2, 2)), (3, 2)),
    "linear: one row of numbers": (lambda: F.linear(ones(3), ones(3)), ()),
    "linear: a vector for each": (lambda: F.linear(ones(2, 4, 3), ones(3), ones(())), (2, 4)),
    "einsum: dots for nothing": (lambda: minigrad.einsum("...i->...", ones(2)), ()),
    "einsum: dots stretched": (lambda: minigrad.einsum("...,...->...", ones(1, 3), ones(2, 1, 1)), (2, 1, 3)),
    "einsum: one stretched to a diagonal": (lambda: minigrad.einsum("ii->i", ones(1, 3)), (3,)),
    "einsum: numbers 0 and 51": (lambda: minigrad.einsum(ones(2, 3), [0, 51], [51, 0]), (3, 2)),
    "einsum: dots in a list": (lambda: minigrad.einsum(ones(2, 3), [..., 1], [1, ...]), (3, 2)),
    "tensordot: over nothing": (lambda: minigrad.tensordot(ones(2), ones(3), 0), (2, 3)),
    "tensordot: over all": (lambda: minigrad.tensordot(ones(2, 3), ones(2, 3), 2), ()),
    "lstm: one step": (lambda: lstm(1, 2, 3)[0], (1, 2, 2)),
    "lstm: packed": (lambda: lstm(5, 3, batch_sizes=[2, 2, 1])[0], (5, 2)),
    "gru_cell: one": (lambda: gru_cell(3), (2,)),
    "cross_entropy: smooth to the ends": (lambda: F.cross_entropy(ones(2), classes(1)[0], label_smoothing=1.0), ()),
    "cross_entropy: distributions": (lambda: F.cross_entropy(ones(2, 3, 4), ones(2, 3, 4), reduction="none"), (2, 4)),
    "cross_entropy: one distribution": (lambda: F.cross_entropy(ones(3), ones(3), ones(3), reduction="none"), ()),
    "cross_entropy: uint8": (lambda: F.cross_entropy(ones(2, 3), classes(0, 1).to(minigrad.uint8)), ()),
    "cross_entropy: distributions ignore a negative class": (
        lambda: F.cross_entropy(ones(1, 2), ones(1, 2), ignore_index=-1), (),
    ),
    "linear_cross_entropy: one": (lambda: F.linear_cross_entropy(ones(2), ones(3, 2), classes(0)[0]), ()),
    "linear_cross_entropy: of rank 3": (
        lambda: F.linear_cross_entropy(ones(1, 4, 2), ones(3, 2), classes(0, 1, 2, 0)[None], reduction="none"), (1, 4),
    ),
    "linear_cross_entropy: distributions": (
        lambda: F.linear_cross_entropy(ones(4, 2), ones(3, 2), ones(4, 3), reduction="none"), (4,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_fits_has_the_right_shape(name: str) -> None:
    call, expected = RIGHT[name]
    assert tuple(call().shape) == expected


@pytest.mark.parametrize("sizes", [(1, 3, 2), (3, 1, 2), (3, 2, 1)])
def test_sizes_that_do_not_meet_are_found_whichever_operand_stretches(sizes: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError, match=r"einsum: index 'i' has size 3 in one place and 2 in another"):
        minigrad.einsum("i,i,i", *[minigrad.ones(size) for size in sizes])
