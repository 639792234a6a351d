"""What every module of `minigrad.nn` should compute: one ModuleSpec each, by family."""

from minigrad.testing.module_spec import ModuleSpec

from . import activations, classes, containers, distances, dropouts, layers, margins, recurrent

MODULES: list[ModuleSpec] = [
    spec
    for family in (activations, layers, dropouts, containers, recurrent, classes, distances, margins)
    for spec in family.SPECS
]
