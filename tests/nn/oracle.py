"""What the tests of layers and optimizers share: PyTorch beside minigrad, and the stand-in device beside the CPU."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.backend import to_host
from minigrad.testing import standin


def torch() -> Any:
    """PyTorch, or the test is skipped."""
    return pytest.importorskip("torch")


def array(value: Any) -> np.ndarray:
    """The values of a tensor of either library, or of a sparse gradient, on the host."""
    if hasattr(value, "to_dense") and getattr(value, "is_sparse", False):
        value = value.to_dense()
    if isinstance(value, minigrad.Tensor):
        return np.array(to_host(value._array))
    return np.array(value.detach().numpy()) if hasattr(value, "detach") else np.asarray(value)


def close(ours: Any, expected: Any, tolerance: float = 1e-6) -> None:
    """Equal shapes, dtypes, and values to `tolerance`, relative to 1 and to the value."""
    found, wanted = array(ours), array(expected)
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def tensor_in(library: Any, values: np.ndarray, requires_grad: bool = False) -> Any:
    """A leaf of either library with these values."""
    return library.tensor(values, requires_grad=requires_grad)


def same_weights(ours: nn.Module, theirs: Any) -> None:
    """Give PyTorch's module our weights; the state dicts must have the same keys in the same order."""
    state = {name: torch().from_numpy(array(value)) for name, value in ours.state_dict().items()}
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict(state)


def agree(ours: nn.Module, theirs: Any, *inputs: np.ndarray, tolerance: float = 1e-6) -> None:
    """The same output, and the same gradients of its weighted sum, for the inputs and all parameters."""
    same_weights(ours, theirs)
    results = []
    for library, module in ((minigrad, ours), (torch(), theirs)):
        tensors = [tensor_in(library, values, values.dtype.kind == "f") for values in inputs]
        output = module(*tensors)
        weights = np.cos(np.arange(output.numel() if hasattr(output, "numel") else 1)).reshape(tuple(output.shape))
        (output * tensor_in(library, weights.astype(array(output).dtype))).sum().backward()
        gradients = [tensor.grad for tensor in tensors if tensor.requires_grad]
        results.append([output, *gradients, *(parameter.grad for parameter in module.parameters())])
    for found, expected in zip(*results, strict=True):
        assert (found is None) == (expected is None)
        if found is not None:
            close(found, expected, tolerance)


def runs_on_standin(module: nn.Module, *inputs: np.ndarray, call: Callable[..., Any] | None = None) -> None:
    """On the stand-in device, forward and backward give what they give on the CPU, without waiting for the device."""
    standin.install()
    results = []
    for device in ("cpu", "standin"):
        there = copy.deepcopy(module).to(device)
        tensors = [minigrad.tensor(values, device=device, requires_grad=values.dtype.kind == "f") for values in inputs]
        minigrad.manual_seed(0)
        with standin.no_synchronisation():
            output = (call or there)(*tensors) if call is None else call(there, *tensors)
            output.sum().backward()
        gradients = [tensor.grad for tensor in tensors if tensor.requires_grad]
        results.append([output, *gradients, *(parameter.grad for parameter in there.parameters())])
    for expected, found in zip(*results, strict=True):
        assert (found is None) == (expected is None)
        if found is not None:
            assert found.device.type == "standin"
            close(found, expected, 1e-5)
