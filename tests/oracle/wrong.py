"""Calls with one mistake in them: a right call, and one thing about it changed that may or may not be allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.testing import Case

_DTYPES = ["int64", "int32", "uint8", "bool", "float32"]


def _other_dtype(draw: st.DrawFn, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    finite = array.dtype.kind != "f" or bool(np.isfinite(array).all())
    dtype = draw(st.sampled_from(_DTYPES if finite else _DTYPES[-1:]))
    numbers = np.abs(array) if dtype == "uint8" else array  # what a negative number becomes is left to the processor
    return np.asarray(numbers, dtype)


def _other_shape(draw: st.DrawFn, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    kind = draw(st.sampled_from(["more", "less", "longer", "number"]))
    if kind == "more" or not array.ndim:
        return array[None] if draw(st.booleans()) else array[..., None]
    if kind == "number":
        return np.ones((), array.dtype)
    dim = draw(st.integers(0, array.ndim - 1))
    if kind == "less" and array.shape[dim]:
        return array.take(0, dim) if array.ndim > 1 else np.asarray(array.flat[0])
    return np.concatenate([array, array[tuple([slice(None)] * dim + [slice(0, 1)])]], dim)


def _other_numbers(draw: st.DrawFn, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Indices and classes that do not exist."""
    if not array.size:
        return array
    changed = array.copy()
    changed.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from([-9, 9]))
    return changed


def _other_setting(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, (int, float)):
        return draw(st.sampled_from([value + 1, value - 1, 7, -7, 0]))
    if isinstance(value, str):
        return "nonsense"
    if isinstance(value, (tuple, list)) and all(isinstance(part, int) for part in value):
        parts = list(value)
        if parts and draw(st.booleans()):
            parts[draw(st.integers(0, len(parts) - 1))] = draw(st.sampled_from([-7, -2, -1, 0, 7]))
        else:
            parts.append(draw(st.sampled_from([*parts, 0, 7])))
        return tuple(parts)
    return value


@st.composite
def mistakes(draw: st.DrawFn, case: Case) -> tuple[str, Case]:
    """What was changed, and the call with one input or one setting changed."""
    arrays = [place for place, one in enumerate(case.inputs) if isinstance(one, np.ndarray)]
    settings = [name for name, one in case.settings.items() if not isinstance(one, (bool, np.dtype, type(None)))]
    if settings and draw(st.booleans()):
        name = draw(st.sampled_from(settings))
        return name, Case(case.inputs, {**case.settings, name: _other_setting(draw, case.settings[name])})
    place = draw(st.sampled_from(arrays))
    array = case.inputs[place]
    changes = {"dtype": _other_dtype, "shape": _other_shape}
    if array.dtype.kind == "i":
        changes["numbers"] = _other_numbers
    kind = draw(st.sampled_from(sorted(changes)))
    changed = changes[kind](draw, array)
    return kind, case.with_inputs([changed if at == place else one for at, one in enumerate(case.inputs)])
