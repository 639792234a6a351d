"""The same computation in minigrad and in PyTorch, and whether they agree: values, dtypes, gradients of both orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import minigrad

Host = np.ndarray[Any, Any]
Function = Callable[..., Any]  # takes the library and its tensors


def torch() -> Any:
    """PyTorch; without it the test is skipped."""
    return pytest.importorskip("torch")


def flow(shape: Sequence[int]) -> Host:
    """A gradient to send in that is different for every element."""
    return np.cos(np.arange(int(np.prod(shape)))).reshape(tuple(shape)) + 2


def _numpy(value: Any) -> Host:
    return (value.detach() + 0).numpy()  # + 0: PyTorch's lazy zeros have no array


def results(library: Any, function: Function, arrays: Sequence[Host], order: int) -> list[tuple[str, Host | None]]:
    """The output, its gradients, and with order 2 the gradients of their sum, each with what it is."""
    inputs = [library.tensor(array) for array in arrays]
    inputs = [one.requires_grad_() if array.dtype.kind == "f" else one for one, array in zip(inputs, arrays)]
    differentiable = [one for one in inputs if one.requires_grad]
    output = function(library, *inputs)
    found: list[tuple[str, Host | None]] = [("the value", output.detach().numpy())]
    if not (order and output.requires_grad):
        return found
    given = library.tensor(flow(output.shape).astype(found[0][1].dtype))  # type: ignore[union-attr]
    first = _gradients(library, [output], differentiable, [given], order > 1)
    found += [
        (f"the gradient of input {place}", None if one is None else _numpy(one)) for place, one in enumerate(first)
    ]
    again = [one for one in first if one is not None and one.requires_grad]
    if order > 1 and again:
        flows = [library.tensor(flow(one.shape).astype(_numpy(one).dtype)) for one in again]
        second = _gradients(library, again, differentiable, flows, False)
        found += [
            (f"the second gradient of input {place}", None if one is None else _numpy(one))
            for place, one in enumerate(second)
        ]
    return found


def _gradients(library: Any, outputs: Any, inputs: Any, flows: Any, create_graph: bool) -> Any:
    return library.autograd.grad(outputs, inputs, flows, create_graph=create_graph, allow_unused=True)


def agree(function: Function, *arrays: Host, order: int = 1, rtol: float = 1e-9, atol: float = 1e-11) -> None:
    """Both libraries give the same value, dtype, shape and gradients; one that PyTorch leaves out counts as zero."""
    expected = results(torch(), function, arrays, order)
    found = dict(results(minigrad, function, arrays, order))
    for what, reference in expected:
        if reference is None:
            continue
        one = found.get(what)
        if one is None:
            # Where we have no path PyTorch may have one whose parts cancel, to the last digit but one.
            assert np.abs(reference).max(initial=0) <= atol, f"{what} is missing, PyTorch has {reference}"
            continue
        assert one.dtype == reference.dtype, f"{what} is {one.dtype}, in PyTorch {reference.dtype}"
        assert one.shape == reference.shape, f"{what} has shape {one.shape}, in PyTorch {reference.shape}"
        np.testing.assert_allclose(one, reference, rtol=rtol, atol=atol, err_msg=what)
