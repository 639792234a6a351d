"""What is true of every right optimizer, each property written once, and `check_optimizer`, which tries them on yours.

    check_optimizer(MyOptimizer)                                                  # with its own settings
    check_optimizer(MyOptimizer, settings=settings, update=in_numpy, torch="SGD")

The checks are in `optimizer_steps` (where the steps go, and what they leave alone), `optimizer_life` (closures, states,
refusals) and `optimizer_torch` (beside PyTorch, where that is installed).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import minigrad
from minigrad.optim.optimizer import Optimizer
from minigrad.testing import optimizer_life, optimizer_steps, optimizer_torch
from minigrad.testing.catalogue import Catalogue
from minigrad.testing.module_torch import installed
from minigrad.testing.optimizer_spec import OptimizerCase, OptimizerSpec
from minigrad.testing.report import Report
from minigrad.testing.trying import Property, simplest

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


def _by_gradients(spec: OptimizerSpec) -> bool:
    return not spec.closure


def _has_maximize(spec: OptimizerSpec) -> bool:
    return not spec.closure and "maximize" in inspect.signature(spec.optimizer).parameters


def _beside_pytorch(spec: OptimizerSpec) -> bool:
    return spec.torch is not None and installed()


def _takes_dense(spec: OptimizerSpec) -> bool:
    return not spec.closure and spec.rows in ("refused", "as dense")


SOME, FEW = 0.6, 0.3  # shares of the profile's examples, for what hardly depends on the numbers

# What a user can do about a property that did not run.
_NO_UPDATE = "no update= to compare with"
_NO_TORCH = "no torch= names the same in PyTorch, or PyTorch is not installed"
_NO_MAXIMIZE = "it has no setting maximize"
_NO_ROWS = "no rows= says what it does with sparse gradients"
_NO_REFUSALS = "refuses=True asks for it: a constructor that looks at its settings"

OPTIMIZER_PROPERTIES: Catalogue[OptimizerSpec] = Catalogue(
    "check_optimizer",
    OptimizerSpec,
    Property(optimizer_steps.follows_the_paper, lambda spec: spec.update is not None, otherwise=_NO_UPDATE),
    Property(optimizer_torch.equals_pytorch, _beside_pytorch, otherwise=_NO_TORCH),
    Property(optimizer_steps.maximize_is_descent_on_the_negative, _has_maximize, FEW, _NO_MAXIMIZE),
    Property(optimizer_steps.parameters_move_alone, _by_gradients, FEW),
    Property(optimizer_steps.layout_does_not_matter, share=FEW),
    Property(optimizer_steps.keeps_the_dtype, share=FEW),
    Property(optimizer_steps.runs_on_another_device, share=FEW),
    Property(optimizer_steps.writes_in_place, share=FEW),
    Property(optimizer_steps.gradients_are_only_read, _by_gradients, FEW),
    Property(optimizer_steps.without_gradient_nothing_moves, share=SOME),
    Property(optimizer_steps.zero_grad_forgets, _by_gradients, FEW),
    Property(optimizer_life.returns_the_closures_loss, share=FEW),
    Property(optimizer_life.state_dict_round_trips, share=SOME),
    Property(optimizer_life.takes_sparse_gradients, _takes_dense, FEW, _NO_ROWS),
    Property(optimizer_life.refuses_dense_gradients, lambda spec: spec.rows == "only", FEW),
    Property(optimizer_life.refuses_settings_out_of_range, lambda spec: spec.refuses, FEW, _NO_REFUSALS),
)


def check_optimizer(
    optimizer: OptimizerSpec | Callable[..., Optimizer],
    *,
    only: str | None = None,
    skip: Sequence[str] = (),
    case: OptimizerCase | None = None,
    draws: Sequence[Any] = (),
    **options: Any,
) -> Report:
    """Try every property on an optimizer. The first it lacks raises, with the smallest case of it, to be pasted.

        check_optimizer(MyOptimizer)
        check_optimizer(MyOptimizer, settings=settings, update=in_numpy, max_examples=50)

    Args:
        optimizer: the class, which is tried with its own settings if none are given; or a spec, which says all the rest
            itself.
        only: the name of the one property to try, as in the report.
        skip: the names of properties to leave out.
        case: a given case instead of drawn ones: what a failing run prints, and good as a regression test.
        draws: what the property drew besides in that case.
        **options: further fields of `OptimizerSpec` (`settings=`, `update=`, `rows=`, ...), and hypothesis's settings
            (`max_examples=50`, ...; by default those of the loaded profile).

    Returns a Report: which properties hold, on how many examples, and what was left out.

    Raises AssertionError for a property that does not hold, and whatever the optimizer itself raises; TypeError if it
    is no optimizer's class or an option is unknown, LookupError for an unknown name in `only` or `skip`.
    """
    chosen, given_settings = OPTIMIZER_PROPERTIES.sorted_out(options)
    spec = OPTIMIZER_PROPERTIES.spec_of(optimizer, Optimizer, chosen)
    if isinstance(spec.optimizer, type) and not issubclass(spec.optimizer, Optimizer):
        raise TypeError(f"check_optimizer: {spec.name} is no subclass of Optimizer")
    settings = simplest(spec.settings) if case is None else case.settings
    built = spec.optimizer([minigrad.ones(1, requires_grad=True)], **settings)
    if not isinstance(built, Optimizer):
        raise TypeError(f"{spec.name} builds an object of {type(built).__name__}, which is no Optimizer")
    return OPTIMIZER_PROPERTIES.check(spec, only=only, skip=skip, case=case, draws=draws, **given_settings)
