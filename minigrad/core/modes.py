"""What is switched on in this thread: recording, anomaly detection, inference.

Every switch is a context manager and a decorator, as in PyTorch, and belongs to one thread.
"""

from __future__ import annotations

import threading
from contextlib import ContextDecorator
from typing import Any

import numpy as np


class _Mode(threading.local):
    grad = True  # ops record the graph
    anomaly = False  # every result and every gradient is checked for NaN and infinity
    inference = False  # results carry no version and can never enter a graph
    lean: bool | None = True  # what ops on the lean way go by: `grad`, or None where anomaly or inference closes it

    def __init__(self) -> None:
        self.before: list[dict[str, bool]] = []  # what the switches that are entered now will put back


mode = _Mode()


class _Switch(ContextDecorator):
    """Set some of this thread's modes on entry, put them back on exit; one object serves any number of threads."""

    def __init__(self, **values: bool) -> None:
        self._values = values

    def __enter__(self) -> _Switch:
        mode.before.append({name: getattr(mode, name) for name in self._values})
        _set(self._values)
        return self

    def __exit__(self, *_: object) -> None:
        _set(mode.before.pop())


def _set(values: dict[str, bool]) -> None:
    for name, value in values.items():
        setattr(mode, name, value)
    mode.lean = None if mode.anomaly or mode.inference else mode.grad


def quiet() -> Any:
    """NumPy says nothing of overflow and 0/0 inside.

    For its sums, products and means: they warn from a file of NumPy's, where the filter that `import minigrad` sets for
    minigrad's own lines does not reach.
    """
    return np.errstate(all="ignore")


def _maybe_decorate(switch: _Switch, function: Any) -> Any:
    return switch if function is None else switch(function)


def no_grad(function: Any = None) -> Any:
    """Record nothing inside: `with no_grad():`, `@no_grad()` or `@no_grad`."""
    return _maybe_decorate(_Switch(grad=False), function)


def enable_grad(function: Any = None) -> Any:
    """Record inside, also within a `no_grad` block."""
    return _maybe_decorate(_Switch(grad=True), function)


class set_grad_enabled(_Switch):  # noqa: N801 - the name is PyTorch's
    """Switch recording now; used with `with` or as a decorator, the state from before comes back."""

    def __init__(self, mode: bool) -> None:
        super().__init__(grad=bool(mode))
        self._earlier = is_grad_enabled()
        _set(self._values)

    def __enter__(self) -> _Switch:
        mode.before.append({"grad": self._earlier})
        return self

    def __call__(self, function: Any) -> Any:
        _set({"grad": self._earlier})  # decorating a function switches nothing outside it
        return _Switch(**self._values)(function)


def inference_mode(mode: Any = True) -> Any:
    """As `no_grad`, and what is made inside can never take part in a recorded computation."""
    if callable(mode):
        return _Switch(grad=False, inference=True)(mode)
    return _Switch(grad=False, inference=True) if mode else _Switch(grad=True, inference=False)


def is_grad_enabled() -> bool:
    """Whether ops in this thread record the graph."""
    return mode.grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode()`."""
    return mode.inference


def detect_anomaly(check_nan: bool = True) -> _Switch:
    """Check every result and gradient for NaN and infinity; the first raises, naming the forward line that made it."""
    return _Switch(anomaly=check_nan)
