"""What the engine says when something is wrong, and the line of the user's code it points at.

The classes follow PyTorch's situations: shape, device and graph mistakes are `RuntimeError`, dimensions and indices out
of range `IndexError`, arguments of the wrong kind `TypeError`.
"""

from __future__ import annotations

import linecache
import os
import sys
from types import CodeType, FrameType
from typing import Any, NoReturn

import numpy as np

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
is_inside: dict[str, bool] = {}  # by file name: whether the file is part of the package


class AnomalyError(RuntimeError):
    """A NaN or an infinity appeared while `detect_anomaly()` was on."""


def user_location(depth: int) -> tuple[CodeType, int]:
    """The nearest line outside the package, `depth` frames up, as (code object, instruction offset).

    A frame would keep every local variable of the caller alive; its code object and an offset keep nothing.
    """
    frame: FrameType = sys._getframe(depth + 1)
    while True:
        filename = frame.f_code.co_filename
        inside = is_inside.get(filename)
        if inside is None:
            inside = is_inside[filename] = os.path.abspath(filename).startswith(_PACKAGE)
        if not inside or frame.f_back is None:
            return frame.f_code, frame.f_lasti
        frame = frame.f_back


def describe_location(location: tuple[CodeType, int] | None) -> str:
    """`file.py:12, in train: loss = model(x).sum()`, from what `user_location` kept."""
    if location is None:
        return "an unrecorded line"
    code, offset = location
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= offset < end and number is not None:
            line = number
    source = linecache.getline(code.co_filename, line).strip()
    return f"{code.co_filename}:{line}, in {code.co_name}" + (f": {source}" if source else "")


def describe(value: Any) -> str:
    """One argument as an error message names it: dtype and shape of an array, the value of anything else."""
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return repr(value)
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{dtype}{list(shape)}"
    return type(value).__name__


def shapes_do_not_broadcast(name: str, shapes: list[tuple[int, ...]]) -> RuntimeError:
    """The error for shapes that do not broadcast: which op, which shapes, which dimension, what to do."""
    positions = range(-1, -max(map(len, shapes)) - 1, -1)
    by_position = [(place, {shape[place] for shape in shapes if len(shape) >= -place} - {1}) for place in positions]
    position, sizes = next((place, sizes) for place, sizes in by_position if len(sizes) > 1)
    where = f"dimension {position} has sizes {' and '.join(map(str, sorted(sizes)))}"
    listed = " and ".join(map(str, shapes))
    return RuntimeError(
        f"{name}: shapes {listed} do not broadcast: {where}; sizes must be equal or 1, "
        f"so reshape, unsqueeze or transpose one of them"
    )


def forward_failed(name: str, error: Exception, values: tuple[Any, ...], settings: dict[str, Any]) -> NoReturn:
    """Turn an array library's complaint in a forward into one sentence that names the op and its arguments."""
    said = ", ".join([*map(describe, values), *(f"{key}={describe(value)}" for key, value in settings.items())])
    kind: type[Exception]
    if isinstance(error, np.exceptions.AxisError):
        kind, reason = (
            IndexError,
            f"dimension out of range, {error}".replace("axis", "dim").replace("array", "a tensor"),
        )
    else:
        # Not `type(error)`: a library's own subclass may want more than a message, as NumPy's casting error does.
        known = (TypeError, IndexError, ZeroDivisionError, MemoryError)
        kind, reason = next((one for one in known if isinstance(error, one)), RuntimeError), str(error)
    raise kind(f"{name}({said}): {reason}") from error
