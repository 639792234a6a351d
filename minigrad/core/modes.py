"""What is switched on in this thread: recording, anomaly detection, inference.

Every switch is a context manager and a decorator, as in PyTorch, and belongs to one thread.
"""

from __future__ import annotations

import threading
from contextlib import ContextDecorator
from typing import Any


class _Mode(threading.local):
    grad = True  # ops record the graph
    anomaly = False  # every result and every gradient is checked for NaN and infinity
    special = False  # anomaly or inference: the lean way through an op is closed
    inference = False  # results carry no version and can never enter a graph


mode = _Mode()


class _Switch(ContextDecorator):
    """Set some of this thread's modes on entry, put them back on exit; re-entrant and reusable."""

    def __init__(self, **values: bool) -> None:
        self._values = values
        self._before: list[dict[str, bool]] = []

    def __enter__(self) -> _Switch:
        self._before.append({name: getattr(mode, name) for name in self._values})
        for name, value in self._values.items():
            setattr(mode, name, value)
        mode.special = mode.anomaly or mode.inference
        return self

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.pop().items():
            setattr(mode, name, value)
        mode.special = mode.anomaly or mode.inference

    def _recreate_cm(self) -> _Switch:
        return _Switch(**self._values)  # one switch a call, so that a decorated function may recurse and be threaded


def _maybe_decorate(switch: _Switch, function: Any) -> Any:
    return switch if function is None else switch(function)


def no_grad(function: Any = None) -> Any:
    """Record nothing inside: `with no_grad():`, `@no_grad()` or `@no_grad`."""
    return _maybe_decorate(_Switch(grad=False), function)


def enable_grad(function: Any = None) -> Any:
    """Record inside, also within a `no_grad` block."""
    return _maybe_decorate(_Switch(grad=True), function)


class set_grad_enabled(_Switch):  # noqa: N801 - the name is PyTorch's
    """Switch recording now; used with `with`, the state from before comes back at its end."""

    def __init__(self, mode: bool) -> None:
        super().__init__(grad=bool(mode))
        super().__enter__()

    def __enter__(self) -> _Switch:
        return self


def inference_mode(enabled: bool = True) -> _Switch:
    """As `no_grad`, and what is made inside can never take part in a recorded computation."""
    return _Switch(grad=False, inference=True) if enabled else _Switch(grad=True, inference=False)


def is_grad_enabled() -> bool:
    """Whether ops in this thread record the graph."""
    return mode.grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode()`."""
    return mode.inference


def detect_anomaly(check_nan: bool = True) -> _Switch:
    """Check every result and gradient for NaN and infinity; the first raises, naming the forward line that made it."""
    return _Switch(anomaly=check_nan)
