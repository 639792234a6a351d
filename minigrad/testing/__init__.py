"""Prove that a derivative is right: the tools minigrad's own suite is made of, for anyone's ops.

    from minigrad.testing import gradcheck

    gradcheck(lambda x: x.tanh(), minigrad.randn(3, dtype=minigrad.float64, requires_grad=True))

- `gradcheck` and `gradgradcheck` compare a function's gradient at one point with numeric derivatives, by differences or
  by complex steps (NumPy alone).
- `check_op(op)` finds out how an op is called, draws arguments and tries every property in `properties` on it; `OpSpec`
  says what an op should compute, and on which arguments, where that is to be said; `check_case` tries one call (these
  need hypothesis). What fails prints the smallest call that does, as Python to paste.
- `ModuleSpec` and `check_module`, `OptimizerSpec` and `check_optimizer` do the same for modules and optimizers.
- `strategies` are the hypothesis strategies the arguments are drawn with.
- `standin` is a device for tests: CuPy's manners on the host's memory.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from minigrad.testing.gradcheck import GradcheckError, gradcheck, gradgradcheck

if TYPE_CHECKING:
    from minigrad.testing.check import check_op
    from minigrad.testing.module_properties import check_module
    from minigrad.testing.module_spec import ModuleSpec
    from minigrad.testing.optimizer_properties import check_optimizer
    from minigrad.testing.optimizer_spec import OptimizerSpec
    from minigrad.testing.properties import check_case
    from minigrad.testing.spec import Case, OpSpec

__all__ = [
    "Case", "GradcheckError", "ModuleSpec", "OpSpec", "OptimizerSpec", "check_case", "check_module", "check_op",
    "check_optimizer", "gradcheck", "gradgradcheck",
]  # fmt: skip

_NEEDS_HYPOTHESIS = {
    "Case": "spec", "ModuleSpec": "module_spec", "OpSpec": "spec", "OptimizerSpec": "optimizer_spec",
    "check_case": "properties", "check_module": "module_properties", "check_op": "check",
    "check_optimizer": "optimizer_properties",
}  # fmt: skip


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
