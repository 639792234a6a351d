"""Calls with a mistake in them: both raise, or both give the same. An error is one sentence of a fitting class.

Where PyTorch only lacks a kernel for a dtype, minigrad may compute; where PyTorch is lenient, `REFUSED_HERE` says why
minigrad is not. Of nothing (an input without elements) PyTorch checks less, and minigrad may refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from minigrad.testing import Case, OpSpec

from .both import BEYOND_PYTORCH, Outcome, assert_same, attempted, in_minigrad, in_pytorch, shared
from .wrong import mistakes

pytestmark = pytest.mark.oracle

_SHARED = shared()

REFUSED_HERE = {
    "F.linear": "a bias must have one number for each feature",
    "F.bilinear": "see F.linear",
    "F.rms_norm": "a weight must have the input's dtype, as for layer_norm",
    "F.cross_entropy": "label_smoothing must not be negative",
    "F.cross_entropy/distributions": "label_smoothing must not be negative, a weight must have the input's dtype",
    "F.linear_cross_entropy": "label_smoothing must not be negative; a target has exactly the shape of the rows",
    "F.multi_margin_loss": "a target has exactly the shape of the rows",
    "F.nll_loss": "a target has exactly the shape of the rows",
    "F.multilabel_soft_margin_loss": "a target has exactly the scores' shape",
    "tensordot": "dimensions that are summed over must have one size; PyTorch stretches those of size 1",
    "take_along_dim": "a place must exist; PyTorch counts modulo the size",
    "index_put": "values stretch to the places; PyTorch takes one with any number of dimensions if the index is a mask",
    "diff": "a dimension must exist, also when nothing is done along it",
}
COMPUTED_HERE = {
    "index_put": "a mask may be one True or False; PyTorch says that it fails inside",
    "logsumexp": "of no dimensions it is that of all, as a sum is; PyTorch fails when it writes its result",
}
DIFFERENT_HERE = {
    "F.huber_loss": "of float32 and float64 PyTorch takes the input's dtype, and not as elsewhere the larger",
    "F.hinge_embedding_loss": "of integers PyTorch makes integers",
    "F.soft_margin_loss": "see F.huber_loss",
    "F.margin_ranking_loss": "of a uint8 target PyTorch takes the negative modulo 256",
    "F.binary_cross_entropy_with_logits": "of float32 and float64 PyTorch takes the target's, and not the larger",
    "F.softplus": "with beta = 0 PyTorch divides 0.69 by it, and minigrad by -0",
    "lt": "PyTorch takes a number modulo the range of an integer dtype, and so finds 1 < -1 in uint8",
    "le": "see lt", "gt": "see lt", "ge": "see lt",
}  # fmt: skip
# Which of several equal elements is named is not defined.
_NAMES_ONE_OF_SEVERAL = {"median/dim", "kthvalue", "max/dim", "min/dim", "sort", "topk"}
_WHERE = {"dim", "dims", "dim0", "dim1", "index", "numbers"}  # changes after which a place does not exist
_CLASSES = (ValueError, TypeError, IndexError, RuntimeError, ZeroDivisionError)


def _sentence(error: Exception) -> str:
    """What is wrong with an error's words; nothing if it is one plain sentence of a class that a user expects."""
    text = str(error)
    if not isinstance(error, _CLASSES):
        return f"{type(error).__name__} is no class for a user's mistake: {text}"
    if "\n" in text or len(text) < 15 or "object has no attribute" in text:
        return f"this explains nothing: {text!r}"
    return ""


def _is_empty(arrays: Sequence[Any]) -> bool:
    return any(isinstance(one, np.ndarray) and not one.size for one in arrays)


def _compare(name: str, kind: str, case: Case, found: Outcome, expected: Outcome) -> None:
    nothing = _is_empty(case.inputs)
    if found.error is not None:
        assert not _sentence(found.error), _sentence(found.error)
        if isinstance(expected.error, IndexError) and kind in _WHERE:
            assert isinstance(found.error, IndexError), f"PyTorch has an IndexError: {expected.error}"
        if expected.error is None:
            assert nothing or name in REFUSED_HERE, f"refused, PyTorch computes it: {found.error}"
    elif expected.error is not None:
        assert kind == "dtype" or name in COMPUTED_HERE, f"computed, PyTorch refuses: {expected.error}"
    elif name not in DIFFERENT_HERE and not (kind == "dtype" and (nothing or _is_empty(expected.outputs))):
        count = 1 if name in _NAMES_ONE_OF_SEVERAL else len(expected.outputs)
        assert_same(found.outputs[:count], expected.outputs[:count], "output", 1e-6 if kind == "dtype" else 1e-9)


def _check(name: str, spec: OpSpec, kind: str, case: Case) -> None:
    found = attempted(lambda: in_minigrad(spec, case))
    expected = attempted(lambda: in_pytorch(name, spec, case))
    _compare(name, kind, case, found, expected)


@pytest.mark.parametrize("name", [name for name in _SHARED if name != "argsort"])
def test_both_refuse_or_both_compute(name: str) -> None:
    spec = _SHARED[name]

    @given(spec.cases().flatmap(mistakes))
    def holds(drawn: tuple[str, Case]) -> None:
        kind, case = drawn
        try:
            beyond = name in BEYOND_PYTORCH and BEYOND_PYTORCH[name](case)
        except ValueError:
            beyond = False  # shapes that do not broadcast are part of the question
        if not beyond:
            _check(name, spec, kind, case)

    holds()
