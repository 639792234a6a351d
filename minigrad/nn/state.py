"""Loading a state dict: everything is checked before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from minigrad.backend import device_of, transfer
from minigrad.core.tensor import Tensor
from minigrad.core.views import count_write


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(strict=False)` left as it was, and what it had no place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load(
    owner: str, own: Mapping[str, Tensor], given: Mapping[str, Any], strict: bool, assign: bool
) -> IncompatibleKeys:
    """Put the tensors of `given` into those of `own`, by name; `owner` is the model's name for the error message."""
    if not isinstance(given, Mapping):
        raise TypeError(f"load_state_dict() takes a dictionary of tensors, got {type(given).__name__}")
    missing = [name for name in own if name not in given]
    unexpected = [name for name in given if name not in own]
    complaints = _complaints_about_values(own, given)
    if strict and missing:
        complaints.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}.")
    if strict and unexpected:
        complaints.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}.")
    if complaints:
        raise RuntimeError("\n\t".join([f"Error(s) in loading state_dict for {owner}:", *complaints]))
    for name, tensor in own.items():
        if name in given:
            _load(tensor, given[name], assign)
    return IncompatibleKeys(missing, unexpected)


def _complaints_about_values(own: Mapping[str, Tensor], given: Mapping[str, Any]) -> list[str]:
    complaints = []
    for name, tensor in own.items():
        value = given.get(name, tensor)
        if not isinstance(value, Tensor):
            complaints.append(f'"{name}" must be a Tensor, the state_dict holds a {type(value).__name__}.')
        elif value.shape != tensor.shape:
            complaints.append(
                f"size mismatch for {name}: the state_dict has {tuple(value.shape)}, the model {tuple(tensor.shape)}."
            )
    return complaints


def _load(tensor: Tensor, value: Tensor, assign: bool) -> None:
    if assign:
        tensor.data = value
        tensor._counter = value._counter  # the same memory, so the same count of writes
    else:
        tensor._array[...] = transfer(value._array, device_of(tensor._array)).astype(tensor.dtype, copy=False)
        count_write(tensor)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
