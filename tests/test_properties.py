"""Every property of `minigrad.testing.properties` on every primitive; one without a spec fails, by name."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from specs import SPECS

import minigrad
from minigrad.core.primitive import registry
from minigrad.testing import OpSpec
from minigrad.testing.properties import Property, properties_of, verify

# Every module has put its primitives into the registry once it is imported. The kernels have none, and need a GPU.
for _module in pkgutil.walk_packages(minigrad.__path__, "minigrad."):
    if not _module.name.startswith("minigrad.kernels."):
        importlib.import_module(_module.name)

_KNOWN = [spec for spec in SPECS if spec.name in registry]


def test_every_primitive_has_a_spec() -> None:
    without = sorted(set(registry) - {spec.name for spec in SPECS})
    assert not without, f"write an OpSpec in tests/specs for {', '.join(without)}"


def test_every_spec_has_a_primitive() -> None:
    gone = sorted({spec.name for spec in SPECS} - set(registry))
    assert not gone, f"no primitive is called {', '.join(gone)}"


def test_no_primitive_has_two_specs() -> None:
    names = [spec.name for spec in SPECS]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)


@pytest.mark.parametrize(
    ("spec", "prop"),
    [pytest.param(spec, prop, id=f"{spec.name}-{prop.name}") for spec in _KNOWN for prop in properties_of(spec)],
)
def test_property(spec: OpSpec, prop: Property) -> None:
    verify(spec, prop)
