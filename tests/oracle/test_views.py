"""What is a view in PyTorch is one here: a write through it shows in the base, and a write to the base in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from specs import Call

import minigrad
from minigrad.testing import Case, OpSpec
from minigrad.testing.strategies import arrays, broadcastable, indices, shapes

from .both import Host, _settings, attempted, counterpart, shared, torch

pytestmark = pytest.mark.oracle

_SHARED = shared()
_MAY_VIEW = [
    "reshape",
    "Tensor.view",
    "Tensor.view_as",
    "Tensor.reshape_as",
    "flatten",
    "ravel",
    "unflatten",
    "squeeze",
    "unsqueeze",
    "broadcast_to",
    "Tensor.expand",
    "Tensor.expand_as",
    "permute",
    "transpose",
    "t",
    "movedim",
    "flip",
    "split",
    "chunk",
    "tensor_split",
    "unbind",
    "diagonal",
    "diag",
    "Tensor.__getitem__",
    "select",
    "narrow",
    "positive",
    "Tensor.contiguous",
    "Tensor.to",
    "Tensor.type_as",
    "clone",
    "cat",
    "roll",
    "index_select",
    "gather",
    "where",
    "masked_select",
    "broadcast_tensors",
    "meshgrid",
    "Tensor.repeat",
    "tile",
    "Tensor.double",
    "F.dropout",
]
# A difference in memory alone that nothing but a write can see, and why.
_OTHERWISE = {"diag": "a matrix's diagonal is a copy in PyTorch", "reshape": "an empty tensor shares nothing"}


def _written_through(library: Any, call: Any, case: Case, settings: dict[str, Any]) -> list[Host]:
    """The base and every result after a write to each result in turn, and to the base."""
    inputs = [library.tensor(one) if isinstance(one, np.ndarray) else one for one in case.inputs]
    results = call(*inputs, **settings)
    outputs = list(results) if isinstance(results, (tuple, list)) else [results]
    seen = []
    for place, output in enumerate([*outputs, inputs[0]]):
        try:
            output.add_(100.0 + place)
        except RuntimeError:  # several elements in one place, as after expand()
            continue
        seen += [np.array(one.tolist()) for one in (inputs[0], *outputs)]
    return seen


def _assert_same_memory(name: str, spec: OpSpec, case: Case) -> None:
    function = counterpart(name)
    call = spec.call.on(function) if isinstance(spec.call, Call) else function
    found = _written_through(minigrad, spec.call, case, case.settings)
    expected = _written_through(torch(), call, case, _settings(name, case))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", [name for name in _MAY_VIEW if name not in _OTHERWISE])
def test_views_share_memory_where_pytorchs_do(name: str) -> None:
    spec = _SHARED[name]

    @given(spec.cases())
    def holds(case: Case) -> None:
        _assert_same_memory(name, spec, case)

    holds()


# ---- x[index] = value -----------------------------------------------------------------------------------------------


def _assigned(library: Any, x: Host, index: Any, value: Any) -> list[Host]:
    """The tensor after the write, and the gradients of what it was and of what was written."""
    leaf = library.tensor(x).requires_grad_()
    source = library.tensor(value).requires_grad_() if isinstance(value, np.ndarray) else value
    target = leaf.clone()
    target[_index(library, index)] = source
    flowing = library.tensor(np.arange(1.0, x.size + 1).reshape(x.shape))
    target.backward(flowing)
    zeros = [np.zeros(x.shape), np.zeros(np.shape(value))]
    leaves = [leaf, source] if isinstance(value, np.ndarray) else [leaf]
    gradients = [zeros[at] if one.grad is None else np.array(one.grad.tolist()) for at, one in enumerate(leaves)]
    return [np.array(target.tolist()), *gradients]


def _index(library: Any, index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_index(library, part) for part in index)
    return library.tensor(index) if isinstance(index, np.ndarray) else index


@st.composite
def _writes(draw: st.DrawFn) -> tuple[Host, Any, Any]:
    """A tensor, an index that takes no place twice, and what to put there: a number, or an array that fits."""
    x = draw(arrays(shapes()))
    index = draw(indices(x.shape))
    places = np.arange(x.size).reshape(x.shape)[index]
    if np.unique(places).size < places.size:
        index, places = Ellipsis, np.arange(x.size).reshape(x.shape)
    if draw(st.booleans()):
        return x, index, 7.5
    region = np.shape(places)
    return x, index, draw(arrays(region[draw(st.integers(0, len(region))) :]))


@given(_writes())
def test_writing_to_an_index(drawn: tuple[Host, Any, Any]) -> None:
    found, expected = (_assigned(library, *drawn) for library in (minigrad, torch()))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@given(broadcastable(2), st.data())
def test_a_value_fits_or_is_refused_in_both(pair: tuple[tuple[int, ...], ...], data: st.DataObject) -> None:
    """Any value into any region: the same numbers, or an error in both."""
    x, value = data.draw(arrays(pair[0])), data.draw(arrays(pair[1]))

    def written(library: Any) -> Any:
        target = library.tensor(x)
        target[...] = library.tensor(value)
        return target.tolist()

    found, expected = (attempted(lambda library=library: written(library)) for library in (minigrad, torch()))
    assert (getattr(found, "error", None) is None) == (getattr(expected, "error", None) is None)
    if getattr(found, "error", None) is None:
        assert found == expected
