"""What is true of every right module, each property written once, and `check_module`, which tries them on yours.

    check_module(MyLayer, calls)             # calls draws (arguments of the constructor, inputs of forward)
    check_module(ModuleSpec(MyLayer, calls, reference, torch="Linear"))

The checks are in `module_values` (values and gradients), `module_batches`, `module_life` (built, switched, copied,
saved, shown) and `module_torch` (beside PyTorch, where that is installed).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.nn.module import Module
from minigrad.testing import module_batches, module_life, module_torch, module_values
from minigrad.testing.catalogue import Catalogue, Property, verify
from minigrad.testing.module_spec import Calls, ModuleSpec


def _has_gradient(spec: ModuleSpec) -> bool:
    return spec.smooth >= 1


def _has_batch(spec: ModuleSpec) -> bool:
    return spec.batch is not None


def _beside_pytorch(spec: ModuleSpec) -> bool:
    return spec.torch is not None


# Shares of the profile's examples. A module's case has dozens of numbers, and what depends on none of them needs few.
SOME, FEW, FEWEST = 0.6, 0.3, 0.15

MODULE_PROPERTIES: Catalogue[ModuleSpec] = Catalogue(
    Property(module_values.equals_reference, lambda spec: spec.reference is not None, SOME),
    Property(module_values.gradients_are_numeric, _has_gradient, SOME),
    Property(module_values.second_gradients_are_numeric, lambda spec: spec.smooth >= 2, FEW),
    Property(module_values.gradients_keep_their_dtype, _has_gradient, FEW),
    Property(module_values.writes_nothing, share=FEW),
    Property(module_values.inplace_gives_the_same, lambda spec: "inplace" in module_life.words_of(spec), FEW),
    Property(module_values.layout_does_not_matter, share=FEW),
    Property(module_values.used_twice_adds_up, _has_gradient, FEWEST),
    Property(module_values.runs_on_another_device, share=FEW),
    Property(module_batches.batch_equals_one_by_one, _has_batch, FEW),
    Property(module_batches.empty_batch_is_empty, _has_batch, FEWEST),
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
    Property(module_life.repr_is_the_constructors, share=FEWEST),
    Property(module_torch.equals_pytorch, _beside_pytorch, SOME),
    Property(module_torch.refuses_what_pytorch_refuses, lambda spec: bool(spec.beside and spec.beside.flaws), FEW),
)


def check_module(module: ModuleSpec | Callable[..., Module], calls: Calls | None = None, **given_settings: Any) -> None:
    """Try every property on a module; the first it lacks raises, with the smallest case that shows it.

    Args:
        module: a spec; or the module's class, and `calls` to draw from.
        calls: draws `(arguments of the constructor, inputs of forward)`, as for `ModuleSpec`.
        given_settings: hypothesis's, e.g. `max_examples=50`; by default those of the loaded profile.

    What needs PyTorch is left out where it is not installed. Raises TypeError for a class without `calls`.
    """
    if not isinstance(module, ModuleSpec):
        if calls is None:
            raise TypeError(
                f"check_module({module.__name__}) needs to know how it is called: give it a strategy that draws "
                f"(arguments of the constructor, inputs of forward), or a ModuleSpec"
            )
        module = ModuleSpec(module, calls)
    for prop in MODULE_PROPERTIES.of(module):
        if "pytorch" not in prop.name or module_torch.installed():
            verify(module, prop, **given_settings)
