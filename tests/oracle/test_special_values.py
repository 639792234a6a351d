"""The stored answers at special values are what PyTorch gives."""

from __future__ import annotations

import warnings

import pytest
from special.values import QUESTIONS, answer, answers, equal

from .both import torch

pytestmark = pytest.mark.oracle

_STORED = answers()


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_stored_answers_are_pytorchs(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = answer(torch(), QUESTIONS[name])
    assert found.keys() == _STORED[name].keys()
    for what, expected in _STORED[name].items():
        assert equal(name, what, found[what], expected).all(), f"{what} of {name}: {found[what]}, stored {expected}"
