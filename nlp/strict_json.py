"""JSON that every program reads: it has no numbers for infinity and what is no number, so that they are written as the
strings "Infinity", "-Infinity" and "NaN".

Python's own `json` writes them bare, which others refuse (RFC 8259, section 6), and reads both.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

__all__ = ["dumps", "number"]

_NUMBERS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


def dumps(content: Any, **settings: Any) -> str:
    """`content` as JSON, numbers that are not finite by name; `settings` as `json.dumps` takes them."""
    return json.dumps(_named(content), allow_nan=False, **settings)


def number(value: Any) -> Any:
    """What was read where a number is due: the number for the name of one, anything else as it is."""
    return _NUMBERS.get(value, value) if isinstance(value, str) else value


def _named(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _named(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_named(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
