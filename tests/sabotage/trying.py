"""Trying the checks on a sabotage: the property named, and what a user calls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest import mock

from minigrad.testing import OpSpec, check_op
from minigrad.testing.module_properties import MODULE_PROPERTIES, check_module
from minigrad.testing.module_spec import ModuleSpec
from minigrad.testing.optimizer_properties import OPTIMIZER_PROPERTIES, check_optimizer
from minigrad.testing.optimizer_spec import OptimizerSpec
from minigrad.testing.properties import OP_PROPERTIES
from minigrad.testing.trying import verify

from .making import CAUGHT, QUICK, Sabotage

_CATALOGUES: dict[type, Any] = {
    OpSpec: OP_PROPERTIES,
    ModuleSpec: MODULE_PROPERTIES,
    OptimizerSpec: OPTIMIZER_PROPERTIES,
}


def by_its_property(sabotage: Sabotage) -> str | None:
    """What the property named says; None if it finds nothing."""
    spec: Any = sabotage.spec
    options = QUICK if isinstance(spec, OpSpec) else {**QUICK, "max_examples": 100}
    prop = _CATALOGUES[type(spec)].named(sabotage.caught_by)
    return _caught(sabotage, lambda: verify(spec, prop, **options))


def by_the_users_check(sabotage: Sabotage) -> str | None:
    """What `check_op`, `check_module` or `check_optimizer` says; None if it finds nothing."""
    return _caught(sabotage, lambda: users_check(sabotage.spec))


# Enough examples that a fault which shows in one call of ten is found, whatever the seed. Modules show theirs in any.
_ENOUGH = {OpSpec: 40, ModuleSpec: 12, OptimizerSpec: 60}


def users_check(spec: Any) -> None:
    """What a user calls for a thing of this kind."""
    checks: dict[type, Any] = {OpSpec: check_op, ModuleSpec: check_module, OptimizerSpec: check_optimizer}
    checks[type(spec)](spec, **{**QUICK, "max_examples": _ENOUGH[type(spec)]})


def _caught(sabotage: Sabotage, check: Callable[[], Any]) -> str | None:
    with _sabotaged(sabotage):
        try:
            check()
        except CAUGHT as error:
            return _text(error)
    return None


def _text(error: Exception) -> str:
    """What it says; of something that failed once and passed when tried again, what it said when it failed."""
    parts = error.exceptions if isinstance(error, ExceptionGroup) else ()
    return "\n".join([str(error) or type(error).__name__, *map(_text, parts)])


def _sabotaged(sabotage: Sabotage) -> AbstractContextManager[Any]:
    patch = sabotage.engine
    return nullcontext() if patch is None else mock.patch.object(patch.owner, patch.name, patch.wrong)
