"""What is true of every right op, each property written once, and `verify`, which tries one on an `OpSpec`.

A property takes the spec, one drawn call of the op, and a source of further draws, and raises AssertionError (or
GradcheckError) when the op lacks it. `OP_PROPERTIES` is their catalogue, `PROPERTIES` has them by name.
"""

# Each of these modules puts its properties into the list, which has their order.
from minigrad.testing.properties import first  # isort: skip
from minigrad.testing.properties import values  # isort: skip
from minigrad.testing.properties import gradients  # isort: skip
from minigrad.testing.properties import sharing  # isort: skip
from minigrad.testing.properties import calls  # isort: skip
from minigrad.testing.properties import devices  # isort: skip
from minigrad.testing.properties.base import OP_PROPERTIES, PROPERTIES, Check, check_case, properties_of
from minigrad.testing.trying import Draw, Property, verify

__all__ = [
    "OP_PROPERTIES", "PROPERTIES", "Check", "Draw", "Property", "calls", "check_case", "devices", "first", "gradients",
    "properties_of", "sharing", "values", "verify",
]  # fmt: skip
