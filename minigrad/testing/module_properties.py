"""What is true of every right module, each property written once, and `check_module`, which tries them on yours.

    check_module(MyLayer, calls)             # calls draws (arguments of the constructor, inputs of forward)
    check_module(MyLayer, calls, reference=in_numpy, torch="Linear")

The checks are in `module_values` (values and gradients), `module_batches`, `module_life` (built, switched, copied,
saved, shown) and `module_torch` (beside PyTorch, where that is installed).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigrad.nn.module import Module
from minigrad.testing import module_batches, module_life, module_torch, module_values
from minigrad.testing.catalogue import Catalogue
from minigrad.testing.module_running import Call
from minigrad.testing.module_spec import Calls, ModuleCase, ModuleSpec
from minigrad.testing.report import Report
from minigrad.testing.trying import Property, simplest

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


def _has_gradient(spec: ModuleSpec) -> bool:
    return spec.smooth >= 1


def _has_batch(spec: ModuleSpec) -> bool:
    return spec.batch is not None


def _beside_pytorch(spec: ModuleSpec) -> bool:
    return spec.torch is not None and module_torch.installed()


def _beside_its_refusals(spec: ModuleSpec) -> bool:
    return _beside_pytorch(spec) and bool(spec.beside and spec.beside.flaws)


# Shares of the profile's examples. A module's case has dozens of numbers, and what depends on none of them needs few.
SOME, FEW, FEWEST = 0.6, 0.3, 0.15

# What a user can do about a property that did not run.
_NO_REFERENCE = "no reference= to compare with"
_NO_BATCH = "no batch= says which dimensions count examples"
_NO_TORCH = "no torch= names the same in PyTorch, or PyTorch is not installed"
_NO_REPR = "the class has no extra_repr for its constructor"

MODULE_PROPERTIES: Catalogue[ModuleSpec] = Catalogue(
    "check_module",
    ModuleSpec,
    Property(module_values.calls_are_independent, share=FEW),
    Property(module_values.equals_reference, lambda spec: spec.reference is not None, SOME, _NO_REFERENCE),
    Property(module_values.gradients_are_numeric, _has_gradient, SOME, "smooth= is below 1"),
    Property(module_values.second_gradients_are_numeric, lambda spec: spec.smooth >= 2, FEW, "smooth= is below 2"),
    Property(module_values.gradients_keep_their_dtype, _has_gradient, FEW),
    Property(module_values.writes_nothing, share=FEW),
    Property(module_values.inplace_gives_the_same, lambda spec: "inplace" in module_life.words_of(spec), FEW),
    Property(module_values.layout_does_not_matter, share=FEW),
    Property(module_values.used_twice_adds_up, _has_gradient, FEWEST),
    Property(module_values.runs_on_another_device, share=FEW),
    Property(module_batches.batch_equals_one_by_one, _has_batch, FEW, _NO_BATCH),
    Property(module_batches.empty_batch_is_empty, _has_batch, FEWEST, _NO_BATCH),
    Property(module_batches.packed_equals_one_by_one, lambda spec: spec.packs, SOME),
    Property(module_life.begins_from_the_seed, share=FEWEST),
    Property(module_life.resets_as_it_began, share=FEWEST),
    Property(module_life.takes_dtype_and_device, share=FEWEST),
    Property(module_life.converts_in_place, share=FEWEST),
    Property(module_life.train_and_eval_switch, share=FEWEST),
    Property(module_life.frozen_parameters_get_none, _has_gradient, FEWEST),
    Property(module_life.copies_are_independent, share=FEWEST),
    Property(module_life.state_dict_round_trips, share=FEWEST),
    Property(module_life.wrong_state_dicts_are_refused, share=FEWEST),
    Property(module_life.repr_is_the_constructors, module_life.shows_its_constructor, FEWEST, _NO_REPR),
    Property(module_torch.equals_pytorch, _beside_pytorch, SOME, _NO_TORCH),
    Property(module_torch.refuses_what_pytorch_refuses, _beside_its_refusals, FEW),
)


def check_module(
    module: ModuleSpec | Callable[..., Module],
    calls: Calls | None = None,
    *,
    only: str | None = None,
    skip: Sequence[str] = (),
    case: ModuleCase | None = None,
    draws: Sequence[Any] = (),
    **options: Any,
) -> Report:
    """Try every property on a module. The first it lacks raises, with the smallest case that shows it, to be pasted.

        check_module(MyLayer, calls)
        check_module(MyDropout, calls, noise=zeros_or_twice, max_examples=50)
        print(check_module(ModuleSpec(MyLayer, calls, in_numpy)))

    Args:
        module: the module's class, or a function that builds it; or a spec, which says all the rest itself.
        calls: draws `(arguments of the constructor, inputs of forward)`, as for `ModuleSpec`.
        only: the name of the one property to try, as in the report.
        skip: the names of properties to leave out.
        case: a given case instead of drawn ones: what a failing run prints, and good as a regression test.
        draws: what the property drew besides in that case.
        **options: further fields of `ModuleSpec` (`reference=`, `batch=`, `smooth=1`, ...), and hypothesis's settings
            (`max_examples=50`, ...; by default those of the loaded profile).

    Returns a Report: which properties hold, on how many examples, and what was left out.

    Raises GradcheckError or AssertionError for a property that does not hold, and whatever the module itself raises;
    TypeError if it cannot be told how the module is built and called, LookupError for an unknown name.
    """
    chosen, given_settings = MODULE_PROPERTIES.sorted_out(options)
    said = {} if calls is None else {"calls": calls}
    spec = MODULE_PROPERTIES.spec_of(module, Module, {**said, **chosen})
    if case is None:
        _is_built(spec, simplest(spec.cases()))
    return MODULE_PROPERTIES.check(spec, only=only, skip=skip, case=case, draws=draws, **given_settings)


def _is_built(spec: ModuleSpec, case: ModuleCase) -> None:
    """Try the simplest case before any property, so that a slip in `calls` is not taken for a fault of the module."""
    try:
        Call(spec, case).outputs()
    except Exception as error:
        error.add_note(
            f"check_module({spec.name}): no property was tried yet. The first case that calls drew could not be built "
            f"and called: arguments {case.arguments!r:.200}, inputs {case.inputs!r:.200}"
        )
        raise
