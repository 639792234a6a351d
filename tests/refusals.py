"""Mistakes that are refused: a call, the kind of error, and a pattern of what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Mistake = tuple[Callable[[], Any], type[Exception], str]


def check_refused(mistake: Mistake) -> None:
    """The call raises that error with these words, in one line."""
    call, error, said = mistake
    with pytest.raises(error, match=said) as refused:
        call()
    assert "\n" not in str(refused.value)
