"""The registry: what is public has a spec, and every property of the catalogue is a test of its own for every spec."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import ModuleType
from typing import Any

import pytest

from minigrad.testing.catalogue import Catalogue
from minigrad.testing.trying import Property, Spec, verify


def public(package: ModuleType, base: type) -> set[str]:
    """The names of the public classes of this kind."""
    found = {name: getattr(package, name) for name in package.__all__}
    return {name for name, one in found.items() if isinstance(one, type) and issubclass(one, base)}


def without_spec(names: Collection[str], specs: Sequence[Spec], exempt: Collection[str]) -> list[str]:
    """The names of which there is no spec; a name that is exempt and unknown is a slip in the list of those."""
    assert set(names) >= set(exempt), f"nothing is called {sorted(set(exempt) - set(names))}"
    return sorted(set(names) - {spec.name for spec in specs} - set(exempt))


def each(catalogue: Catalogue[Any], specs: Sequence[Spec]) -> list[object]:
    """Every spec with every property that means something for it, as pytest's parameters."""
    return [
        pytest.param(spec, prop, id=f"{spec.name}-{prop.name}", marks=[pytest.mark.oracle] * ("pytorch" in prop.name))
        for spec in specs
        for prop in catalogue.of(spec)
    ]


def holds(spec: Spec, prop: Property[Any]) -> None:
    """Try one; beside PyTorch only where that is installed."""
    if "pytorch" in prop.name:
        pytest.importorskip("torch")
    verify(spec, prop)
