"""Every property of `minigrad.testing.properties` on every primitive, and on every public function made of them.

A primitive's properties are tried one by one. What a public function adds is arguments taken apart and put together, so
all its properties are tried on the same drawn calls, half as many. That none lacks a spec: `test_registry.py`.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from specs import PUBLIC, SPECS

from minigrad.core.primitive import registry
from minigrad.testing import OpSpec
from minigrad.testing.properties import Property, properties_of, verify

_KNOWN = [spec for spec in SPECS if spec.name in registry]


@pytest.mark.parametrize(
    ("spec", "prop"),
    [pytest.param(spec, prop, id=f"{spec.name}-{prop.name}") for spec in _KNOWN for prop in properties_of(spec)],
)
def test_property(spec: OpSpec, prop: Property) -> None:
    verify(spec, prop)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_function(name: str) -> None:
    verify(PUBLIC[name], properties_of(PUBLIC[name]), max_examples=settings().max_examples // 2)
