"""Values and gradients at 0, ±infinity, NaN, ties and the ends of the range are those stored in tests/special."""

from __future__ import annotations

import numpy as np
import pytest
from special.values import DIFFERENT, QUESTIONS, answer, answers, equal

import minigrad

_STORED = answers()


# NumPy's sum is written in Python there, and so its warnings are not taken for one of minigrad's lines.
@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered in reduce:RuntimeWarning")
@pytest.mark.parametrize("name", [name for name in QUESTIONS if name not in DIFFERENT])
def test_special_values_are_the_stored_ones(name: str) -> None:
    found = answer(minigrad, QUESTIONS[name])
    for what, expected in _STORED[name].items():
        same = equal(name, what, found[what], expected)
        assert same.all(), f"{what} of {name} at places {np.argwhere(~same).tolist()}: {found[what]}, not {expected}"


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_said_to_differ_does(name: str) -> None:
    found = answer(minigrad, QUESTIONS[name])
    assert not all(equal(name, what, found[what], expected).all() for what, expected in _STORED[name].items())


def test_each_question_has_an_answer() -> None:
    assert set(_STORED) == set(QUESTIONS)


def test_logits_of_any_size_give_the_same_gradient() -> None:
    """Softmax does not change when a number is added to all logits, and neither may its last digits."""
    near = np.array([[1.5, 0.0, -2.0], [0.25, 3.0, 1.0]], np.float32)
    gradients = []
    for shift in (0, 4096, 1 << 20):
        logits = minigrad.tensor(near + np.float32(shift)).requires_grad_()
        minigrad.nn.functional.cross_entropy(logits, minigrad.tensor([2, 0])).backward()
        gradients.append(logits.grad.numpy())
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-6)
    np.testing.assert_allclose(gradients[2], gradients[0], rtol=1e-6)
