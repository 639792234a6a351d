"""Prove that a derivative is right: the tools minigrad's own suite is made of, for anyone's ops.

    from minigrad.testing import gradcheck

    gradcheck(lambda x: x.tanh(), minigrad.randn(3, dtype=minigrad.float64, requires_grad=True))

- `gradcheck` and `gradgradcheck` compare a function's gradient at one point with numeric derivatives (NumPy alone).
- `OpSpec` says what an op should compute and on which arguments; `check_op(spec)` then draws arguments and tries every
  property in `properties` on it (these need hypothesis).
- `strategies` are the hypothesis strategies the arguments are drawn with.
- `standin` is a device for tests: CuPy's manners on the host's memory.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from minigrad.testing.gradcheck import GradcheckError, gradcheck, gradgradcheck

if TYPE_CHECKING:
    from minigrad.testing.properties import check_op
    from minigrad.testing.spec import Case, OpSpec

__all__ = ["Case", "GradcheckError", "OpSpec", "check_op", "gradcheck", "gradgradcheck"]

_NEEDS_HYPOTHESIS = {"Case": "spec", "OpSpec": "spec", "check_op": "properties"}


def __getattr__(name: str) -> Any:
    """What needs hypothesis is imported on first use, so that `gradcheck` and the stand-in device do not need it."""
    if name not in _NEEDS_HYPOTHESIS:
        raise AttributeError(f"minigrad.testing has no {name!r}; it has {', '.join(__all__)}")
    try:
        module = importlib.import_module(f"minigrad.testing.{_NEEDS_HYPOTHESIS[name]}")
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ImportError(
            f"minigrad.testing.{name} draws its examples with hypothesis: pip install hypothesis"
        ) from error
    return getattr(module, name)
